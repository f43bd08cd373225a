// Chunks come from disk. The bytes are taken as every kind of chunk and as samples: what decodes
// must encode to something that decodes to the same, with every set of kernels alike, and nothing
// may read or write out of bounds.

#include "encoding/chunk.h"
#include "encoding/kernels.h"

#include <cstdlib>
#include <cstring>

namespace {

void must(bool condition) {
  if (!condition) std::abort();
}

bool same(std::span<const double> a, std::span<const double> b) {
  if (a.size() != b.size()) return false;
  return a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

void round_trip(const std::vector<int64_t>& times, const std::vector<double>& values,
                encoding::Effort effort) {
  std::string first;
  for (const encoding::Kernels* kernels : encoding::available_kernels()) {
    encoding::force_kernels(*kernels);
    std::string chunk;
    encoding::append_float_chunk(chunk, times, values, effort);
    if (first.empty()) first = chunk;
    must(chunk == first);
    std::vector<int64_t> times_back;
    std::vector<double> back;
    must(encoding::decode_float_chunk(chunk, times_back, back).has_value());
    must(times_back == times && same(back, values));
    chunk.clear();
    encoding::append_value_chunk(chunk, values);
    back.clear();
    must(encoding::decode_value_chunk(chunk, values.size(), back).has_value());
    must(same(back, values));
  }
}

void round_trip(const std::vector<int64_t>& times, const std::vector<double>& values) {
  round_trip(times, values, encoding::Effort::Best);
  round_trip(times, values, encoding::Effort::Quick);
}

// What all kernels make of a chunk of floats: the same, or all refuse it.
void decode(std::string_view chunk) {
  const std::span<const encoding::Kernels* const> all = encoding::available_kernels();
  std::vector<int64_t> times;
  std::vector<double> values;
  encoding::force_kernels(*all.front());
  const bool good = encoding::decode_float_chunk(chunk, times, values).has_value();
  for (const encoding::Kernels* kernels : all) {
    encoding::force_kernels(*kernels);
    std::vector<int64_t> times_again;
    std::vector<double> again;
    must(encoding::decode_float_chunk(chunk, times_again, again).has_value() == good);
    must(times_again == times && same(again, values));
  }
  if (good) round_trip(times, values);
}

void decode_values(std::string_view chunk, size_t count) {
  const std::span<const encoding::Kernels* const> all = encoding::available_kernels();
  std::vector<double> values;
  encoding::force_kernels(*all.front());
  const bool good = encoding::decode_value_chunk(chunk, count, values).has_value();
  must(values.size() == (good ? count : 0));
  for (const encoding::Kernels* kernels : all) {
    encoding::force_kernels(*kernels);
    std::vector<double> again;
    must(encoding::decode_value_chunk(chunk, count, again).has_value() == good);
    must(same(again, values));
  }
  if (good) round_trip(std::vector<int64_t>(count), values);
}

// The bytes as samples: float64s as they are, timestamps from their other ends.
void encode(std::string_view input) {
  const size_t count = std::min(input.size() / sizeof(double), encoding::kChunkSamplesMax);
  if (count == 0) return;
  std::vector<double> values(count);
  std::memcpy(values.data(), input.data(), count * sizeof(double));
  std::vector<int64_t> times(count);
  std::memcpy(times.data(), input.data() + input.size() - count * sizeof(double),
              count * sizeof(double));
  round_trip(times, values);
  // Small numbers are what metrics are made of.
  for (size_t i = 0; i < count; ++i) {
    const auto byte = static_cast<uint8_t>(input[i]);
    values[i] = static_cast<double>(byte) / 10;
    times[i] = static_cast<int64_t>(i) * 1000 + byte % 5;
  }
  round_trip(times, values);
}

void decode_histograms(std::string_view input) {
  std::vector<model::HistogramSample> histograms;
  if (!encoding::decode_histogram_chunk(input, histograms)) return;
  std::string again;
  encoding::append_histogram_chunk(again, histograms);
  std::vector<model::HistogramSample> back;
  must(encoding::decode_histogram_chunk(again, back).has_value());
  must(back.size() == histograms.size());
  again.clear();
  encoding::append_histogram_value_chunk(again, histograms);
  std::vector<int64_t> times;
  for (const model::HistogramSample& one : histograms) times.push_back(one.timestamp_ms);
  back.clear();
  must(encoding::decode_histogram_value_chunk(again, times, back).has_value());
  must(back.size() == histograms.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  decode(input);
  // A count of its own, so that little has to be guessed.
  if (size > 2) {
    const size_t count = 1 + (data[0] + size_t{256} * data[1]) % encoding::kChunkSamplesMax;
    decode_values(input.substr(2), count);
    std::vector<int64_t> times(count);
    std::string_view rest = input.substr(2);
    if (encoding::take_timestamp_column(rest, times)) {
      round_trip(times, std::vector<double>(count));
    }
  }
  encode(input);
  decode_histograms(input);
  return 0;
}
