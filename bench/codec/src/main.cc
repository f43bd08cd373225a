// What the codec makes of a recording of tools/record_host.sh, beside Gorilla and a
// VictoriaMetrics-style encoding:
//   codec_bench RECORDING [--sizes]      (--sizes leaves the speeds out)
// Prints a table, then lines "key=value" for ./gates.

#include "encoding/chunk.h"
#include "encoding/kernels.h"
#include "gorilla.h"
#include "model/sample.h"
#include "recording.h"
#include "vm_style.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

// A series refers to its timestamps, which stand in the block once: as a varint of two bytes.
constexpr size_t kReferenceSize = 2;
constexpr size_t kSamplesMin = 16;  // the rest of a series below that is left out

struct Piece {
  std::span<const int64_t> timestamps_ms;
  std::span<const double> values;
  bool constant = false;
  std::string chunk;
};

std::vector<Piece> cut(const std::vector<Series>& recording, size_t size) {
  std::vector<Piece> pieces;
  for (const Series& series : recording) {
    for (size_t at = 0; at < series.values.size(); at += size) {
      const size_t count = std::min(size, series.values.size() - at);
      if (count < std::min(size, kSamplesMin)) continue;
      Piece& one = pieces.emplace_back();
      one.timestamps_ms = std::span(series.timestamps_ms).subspan(at, count);
      one.values = std::span(series.values).subspan(at, count);
      one.constant = std::all_of(one.values.begin(), one.values.end(), [&](double value) {
        return model::same_bits(value, one.values[0]);
      });
    }
  }
  return pieces;
}

struct Sizes {
  size_t samples = 0;
  double petrel_values = 0;
  double petrel_timestamps = 0;
  double gorilla_values = 0;
  double gorilla_timestamps = 0;
  double vm_values = 0;
  double vm_timestamps = 0;
  size_t vm_altered = 0;

  double petrel() const { return petrel_values + petrel_timestamps; }
  double gorilla() const { return gorilla_values + gorilla_timestamps; }
  double vm() const { return vm_values + vm_timestamps; }
};

enum class Which : uint8_t { All, Changing };

void encode(Piece& piece) {
  piece.chunk.clear();
  encoding::append_value_chunk(piece.chunk, piece.values);
}

void check(const Piece& piece) {
  std::vector<double> back;
  if (!encoding::decode_value_chunk(piece.chunk, piece.values.size(), back)) std::abort();
  for (size_t i = 0; i < back.size(); ++i) {
    if (!model::same_bits(back[i], piece.values[i])) {
      std::fprintf(stderr, "codec_bench: a value came back with other bits\n");
      std::exit(1);
    }
  }
}

Sizes measure(std::vector<Piece>& pieces, Which which) {
  Sizes sizes;
  std::unordered_map<std::string, size_t> columns;  // distinct ones, as in a block
  for (Piece& piece : pieces) {
    if (which == Which::Changing && piece.constant) continue;
    sizes.samples += piece.values.size();
    encode(piece);
    check(piece);
    sizes.petrel_values += static_cast<double>(piece.chunk.size());
    std::string column;
    encoding::append_timestamp_column(column, piece.timestamps_ms);
    ++columns[column];
    sizes.petrel_timestamps += kReferenceSize;
    const GorillaSize gorilla = gorilla_size(piece.timestamps_ms, piece.values);
    sizes.gorilla_values += static_cast<double>(gorilla.value_bits) / 8;
    sizes.gorilla_timestamps += static_cast<double>(gorilla.timestamp_bits) / 8;
    const VmValues vm = vm_values_size(piece.values);
    sizes.vm_values += static_cast<double>(vm.size);
    sizes.vm_altered += vm.altered;
    sizes.vm_timestamps += static_cast<double>(vm_timestamps_size(piece.timestamps_ms));
  }
  for (const auto& [column, uses] : columns) {
    sizes.petrel_timestamps += static_cast<double>(column.size());
  }
  return sizes;
}

// Of this thread: other work on the machine counts as little as possible.
double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// The best of several rounds over all pieces, each at least so long.
constexpr int kRounds = 5;
constexpr double kRoundSeconds = 0.2;

template <typename Work>
double best_seconds_per_pass(Work work) {
  double best = 1e9;
  for (int round = 0; round < kRounds; ++round) {
    size_t passes = 0;
    const double start = cpu_seconds();
    do {
      work();
      ++passes;
    } while ((cpu_seconds() - start) < kRoundSeconds);
    best = std::min(best, (cpu_seconds() - start) / static_cast<double>(passes));
  }
  return best;
}

// As cheap as the machine allows: what is measured is decoding.
__attribute__((target_clones("avx512f", "avx2", "default"))) double sum_of(
    std::span<const double> values) {
  std::array<double, 32> sums{};
  size_t i = 0;
  for (; i + sums.size() <= values.size(); i += sums.size()) {
    for (size_t k = 0; k < sums.size(); ++k) sums[k] += values[i + k];
  }
  double sum = 0;
  for (; i < values.size(); ++i) sum += values[i];
  for (const double one : sums) sum += one;
  return sum;
}

struct Speed {
  double encode_ns = 0;      // per value
  double decode_per_ns = 0;  // values, decoded and summed
};

Speed measure_speed(std::vector<Piece>& pieces, Which which) {
  std::vector<Piece*> chosen;
  size_t samples = 0;
  for (Piece& piece : pieces) {
    if (which == Which::Changing && piece.constant) continue;
    chosen.push_back(&piece);
    samples += piece.values.size();
  }
  if (samples == 0) return {};
  const auto count = static_cast<double>(samples);
  Speed speed;
  speed.encode_ns = best_seconds_per_pass([&] {
                      for (Piece* piece : chosen) encode(*piece);
                    }) *
                    1e9 / count;
  volatile double kept = 0;
  std::vector<double> room(encoding::kChunkSamplesMax);
  const double seconds = best_seconds_per_pass([&] {
    double sum = 0;
    for (const Piece* piece : chosen) {
      const std::span<double> values = std::span(room).first(piece->values.size());
      if (!encoding::decode_value_chunk(piece->chunk, values)) std::abort();
      sum += sum_of(values);
    }
    kept = sum;
  });
  speed.decode_per_ns = count / (seconds * 1e9);
  return speed;
}

void print_row(const char* name, size_t chunk, const Sizes& sizes) {
  const auto count = static_cast<double>(std::max<size_t>(sizes.samples, 1));
  std::printf("%-10s %5zu %9zu  %6.3f %6.3f %6.3f  %6.3f  %6.3f %6.3f %6.3f  %5.3f %5.3f\n", name,
              chunk, sizes.samples, sizes.petrel_values / count, sizes.petrel_timestamps / count,
              sizes.petrel() / count, sizes.gorilla() / count, sizes.vm_values / count,
              sizes.vm_timestamps / count, sizes.vm() / count,
              sizes.petrel_values / sizes.vm_values, sizes.petrel() / sizes.vm());
}

std::string print_speeds(const std::vector<Series>& recording) {
  std::string lines;
  std::printf("\n%-10s %5s %-9s %12s %22s\n", "series", "chunk", "kernels", "encode ns/v",
              "decode + sum G values/s");
  const encoding::Kernels& usual = encoding::kernels();
  for (const size_t size : {120, 720}) {
    std::vector<Piece> pieces = cut(recording, size);
    for (Piece& piece : pieces) encode(piece);
    for (const Which which : {Which::All, Which::Changing}) {
      for (const encoding::Kernels* one : encoding::available_kernels()) {
        encoding::force_kernels(*one);
        const Speed speed = measure_speed(pieces, which);
        const char* const name = which == Which::All ? "all" : "changing";
        std::printf("%-10s %5zu %-9s %12.1f %22.2f\n", name, size, one->name.data(),
                    speed.encode_ns, speed.decode_per_ns);
        if (one == &usual) {
          lines += fmt::format("encode_ns_{}_{}={:.1f}\ndecode_gps_{}_{}={:.2f}\n", name, size,
                               speed.encode_ns, name, size, speed.decode_per_ns);
        }
      }
    }
  }
  encoding::force_kernels(usual);
  return lines;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: codec_bench RECORDING\n");
    return 2;
  }
  const core::Result<std::vector<Series>> recording = read_recording(argv[1]);
  if (!recording) {
    std::fprintf(stderr, "codec_bench: %s\n", recording.error().message.c_str());
    return 1;
  }
  std::printf(
      "%zu series. Bytes per sample; the VictoriaMetrics-style encoding repeats timestamps "
      "for each series\n\n",
      recording->size());
  std::printf("%-10s %5s %9s  %20s  %6s  %20s  %11s\n", "", "", "", "Petrel", "Goril", "VM-style",
              "Petrel/VM");
  std::printf("%-10s %5s %9s  %6s %6s %6s  %6s  %6s %6s %6s  %5s %5s\n", "series", "chunk",
              "samples", "values", "times", "both", "both", "values", "times", "both", "vals",
              "both");
  std::string lines;
  for (const size_t size : {120, 720}) {
    std::vector<Piece> pieces = cut(*recording, size);
    for (const Which which : {Which::All, Which::Changing}) {
      const char* const name = which == Which::All ? "all" : "changing";
      const Sizes sizes = measure(pieces, which);
      print_row(name, size, sizes);
      const auto count = static_cast<double>(std::max<size_t>(sizes.samples, 1));
      lines +=
          fmt::format("bytes_{}_{}={:.4f}\nratio_{}_{}={:.4f}\nratio_values_{}_{}={:.4f}\n", name,
                      size, sizes.petrel() / count, name, size, sizes.petrel() / sizes.vm(), name,
                      size, sizes.petrel_values / sizes.vm_values);
      if (which == Which::All && size == 720) {
        lines += fmt::format("vm_altered={}\n", sizes.vm_altered);
      }
    }
  }
  if (argc < 3 || std::string_view(argv[2]) != "--sizes") lines += print_speeds(*recording);
  std::printf("\n%s", lines.c_str());
  return 0;
}
