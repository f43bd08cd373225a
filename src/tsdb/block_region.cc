#include "tsdb/block_region.h"

#include "core/bytes.h"
#include "core/crc32c.h"
#include "core/mutation.h"
#include "core/varint.h"
#include "encoding/chunk.h"
#include "encoding/float_column.h"
#include "encoding/kernels.h"
#include "tsdb/head.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace tsdb {

using core::ErrorCode;
using core::Result;
using model::HistogramSample;
using model::TimeRange;

namespace {

// A chunk in a block: two hours at 10 s, the size after which chunks gain little.
constexpr size_t kFloatsMax = 720;
constexpr size_t kHistogramsMax = 120;
// Chunks that are not small end where two hours do: the series of a target then have the
// same timestamps again soon after one of them missed a sample.
constexpr int64_t kCutMs = 2LL * 3'600'000;
constexpr size_t kFloatsCutMin = 300;
constexpr size_t kHistogramsCutMin = 50;

// The flags byte of a chunk.
constexpr uint8_t kHistograms = 1;
constexpr unsigned kTimesShift = 1;
constexpr uint8_t kTimesMask = 3;
enum class Times : uint8_t {
  Regular = 0,  // evenly from the first to the last
  Shared = 1,   // a column of the block
  Inline = 2,   // before the values
};
constexpr uint8_t kSummary = 8;  // not written yet; skipped where it is there
constexpr uint8_t kKnownFlags = kHistograms | (kTimesMask << kTimesShift) | kSummary;

int64_t cut_of(int64_t time_ms) {
  return time_ms / kCutMs - (time_ms % kCutMs < 0 ? 1 : 0);
}

size_t chunk_end(std::span<const int64_t> times_ms, size_t begin, size_t size_max, size_t cut_min) {
  const size_t end_max = std::min(times_ms.size(), begin + size_max);
  for (size_t end = begin + cut_min; end < end_max; ++end) {
    if (cut_of(times_ms[end]) != cut_of(times_ms[end - 1])) return end;
  }
  return end_max;
}

uint64_t distance(int64_t from, int64_t to) {
  return static_cast<uint64_t>(to) - static_cast<uint64_t>(from);
}

bool is_regular(std::span<const int64_t> times_ms) {
  const uint64_t step = times_ms.size() < 2 ? 0 : distance(times_ms[0], times_ms[1]);
  for (size_t i = 1; i < times_ms.size(); ++i) {
    if (distance(times_ms[i - 1], times_ms[i]) != step) return false;
  }
  return true;
}

class RegionEncoder {
 public:
  RegionEncoder(int64_t base_ms, TimeColumnsBuilder& columns, std::string& out)
      : before_ms_(base_ms), columns_(columns), out_(out) {}

  void add_floats(std::span<const int64_t> times_ms, std::span<const double> values) {
    for (size_t at = 0; at < times_ms.size();) {
      const size_t end = chunk_end(times_ms, at, kFloatsMax, kFloatsCutMin);
      begin_chunk(0, times_ms.subspan(at, end - at));
      encoding::append_value_chunk(payload_, values.subspan(at, end - at));
      core::append_string(out_, payload_);
      at = end;
    }
  }

  void add_histograms(std::span<const HistogramSample> samples) {
    std::vector<int64_t> times_ms;
    for (const HistogramSample& one : samples) times_ms.push_back(one.timestamp_ms);
    for (size_t at = 0; at < times_ms.size();) {
      const size_t end = chunk_end(times_ms, at, kHistogramsMax, kHistogramsCutMin);
      begin_chunk(kHistograms, std::span(times_ms).subspan(at, end - at));
      encoding::append_histogram_value_chunk(payload_, samples.subspan(at, end - at));
      core::append_string(out_, payload_);
      at = end;
    }
  }

 private:
  // The header; leaves what comes before the values in payload_.
  void begin_chunk(uint8_t flags, std::span<const int64_t> times_ms) {
    payload_.clear();
    Times kind = Times::Regular;
    std::optional<uint32_t> column;
    if (!is_regular(times_ms)) {
      column = columns_.add(times_ms);
      kind = column ? Times::Shared : Times::Inline;
      if (!column) payload_ = columns_.encoded();
    }
    flags |= static_cast<uint8_t>(static_cast<uint8_t>(kind) << kTimesShift);
    out_.push_back(static_cast<char>(flags));
    core::append_varint(out_, times_ms.size());
    core::append_zigzag(out_, static_cast<int64_t>(distance(before_ms_, times_ms.front())));
    core::append_varint(out_, distance(times_ms.front(), times_ms.back()));
    if (column) core::append_varint(out_, *column);
    before_ms_ = times_ms.back();
  }

  int64_t before_ms_;
  TimeColumnsBuilder& columns_;
  std::string& out_;
  std::string payload_;
};

struct ChunkHeader {
  uint8_t flags = 0;
  uint64_t count = 0;
  int64_t first_ms = 0;
  int64_t last_ms = 0;
  Times times = Times::Regular;
  uint64_t column = 0;
  std::string_view payload;
};

bool take_chunk(std::string_view& bytes, int64_t before_ms, ChunkHeader& chunk) {
  if (bytes.empty()) return false;
  chunk.flags = static_cast<uint8_t>(bytes.front());
  bytes.remove_prefix(1);
  const auto times = static_cast<uint8_t>((chunk.flags >> kTimesShift) & kTimesMask);
  if ((chunk.flags & ~kKnownFlags) != 0 || times > static_cast<uint8_t>(Times::Inline)) {
    return false;
  }
  chunk.times = static_cast<Times>(times);
  int64_t gap = 0;
  uint64_t span = 0;
  if (!core::take_varint(bytes, chunk.count) || !core::take_zigzag(bytes, gap) ||
      !core::take_varint(bytes, span)) {
    return false;
  }
  if (chunk.count == 0 || chunk.count > encoding::kChunkSamplesMax) return false;
  chunk.first_ms =
      static_cast<int64_t>(static_cast<uint64_t>(before_ms) + static_cast<uint64_t>(gap));
  chunk.last_ms = static_cast<int64_t>(static_cast<uint64_t>(chunk.first_ms) + span);
  if (chunk.last_ms < chunk.first_ms) return false;
  if (chunk.times == Times::Shared && !core::take_varint(bytes, chunk.column)) return false;
  std::string_view summary;
  if ((chunk.flags & kSummary) != 0 && !core::take_string(bytes, summary)) return false;
  return core::take_string(bytes, chunk.payload);
}

// The times of the chunk; moves the payload to its values. Precondition: room for all of them.
bool read_times(ChunkHeader& chunk, const RegionContext& context, std::span<int64_t> out) {
  if (chunk.times == Times::Regular) {
    const uint64_t span = distance(chunk.first_ms, chunk.last_ms);
    const uint64_t step = chunk.count == 1 ? 0 : span / (chunk.count - 1);
    if (step * (chunk.count - 1) != span) return false;
    encoding::kernels().linear(static_cast<uint64_t>(chunk.first_ms), step, out.size(), out.data());
  } else if (chunk.times == Times::Shared) {
    if (context.columns == nullptr) return false;
    if (!context.columns->read(chunk.column, chunk.first_ms, out)) return false;
  } else {
    if (!take_time_column(chunk.payload, chunk.first_ms, out)) return false;
  }
  return encoding::kernels().is_rising(out.data(), out.size()) && out.front() == chunk.first_ms &&
         out.back() == chunk.last_ms;
}

Result<void> append_floats(const ChunkHeader& chunk, std::span<const int64_t> times_ms,
                           TimeRange range, storage::SeriesBatch& batch) {
  if (chunk.first_ms >= range.start_ms && chunk.last_ms < range.end_ms) {
    TRY(encoding::decode_value_chunk(chunk.payload, chunk.count, batch.values));
    batch.timestamps_ms.insert(batch.timestamps_ms.end(), times_ms.begin(), times_ms.end());
    return {};
  }
  const auto first = std::lower_bound(times_ms.begin(), times_ms.end(), range.start_ms);
  const auto last = std::lower_bound(first, times_ms.end(), range.end_ms);
  if (first == last) return {};
  const auto from = static_cast<size_t>(first - times_ms.begin());
  const auto to = static_cast<size_t>(last - times_ms.begin());
  std::array<double, encoding::kChunkSamplesMax> values;
  TRY(encoding::decode_value_chunk(chunk.payload, std::span(values).first(chunk.count), from));
  batch.timestamps_ms.insert(batch.timestamps_ms.end(), first, last);
  batch.values.insert(batch.values.end(), values.data() + from, values.data() + to);
  return {};
}

Result<void> append_chunk(ChunkHeader& chunk, const RegionContext& context, TimeRange range,
                          storage::SeriesBatch& batch) {
  std::array<int64_t, encoding::kChunkSamplesMax> room;
  const std::span<int64_t> times_ms = std::span(room).first(chunk.count);
  if (!read_times(chunk, context, times_ms)) {
    return core::fail(ErrorCode::Corruption, "bad timestamps of {} samples from {} to {}",
                      chunk.count, chunk.first_ms, chunk.last_ms);
  }
  if ((chunk.flags & kHistograms) == 0) return append_floats(chunk, times_ms, range, batch);
  const bool clip = chunk.first_ms < range.start_ms || chunk.last_ms >= range.end_ms;
  const auto before = static_cast<ptrdiff_t>(batch.histograms.size());
  TRY(encoding::decode_histogram_value_chunk(chunk.payload, times_ms, batch.histograms));
  if (!clip) return {};
  batch.histograms.erase(
      std::remove_if(batch.histograms.begin() + before, batch.histograms.end(),
                     [&](const auto& one) { return !range.contains(one.timestamp_ms); }),
      batch.histograms.end());
  return {};
}

Result<void> append_chunks(std::string_view rest, const RegionContext& context, TimeRange range,
                           storage::SeriesBatch& batch) {
  int64_t before_ms = context.columns == nullptr ? 0 : context.columns->base_ms();
  for (size_t number = 0; !rest.empty(); ++number) {
    ChunkHeader chunk;
    if (!take_chunk(rest, before_ms, chunk)) {
      return core::fail(ErrorCode::Corruption, "region: chunk {} is malformed", number);
    }
    before_ms = chunk.last_ms;
    if (!range.overlaps({chunk.first_ms, chunk.last_ms}) && !range.contains(chunk.last_ms)) {
      continue;
    }
    TRY(append_chunk(chunk, context, range, batch).context("region: chunk {}", number));
  }
  return {};
}

// Of version 1: chunks with their own timestamps and without a header.
Result<void> append_chunks_v1(std::string_view rest, TimeRange range, storage::SeriesBatch& batch) {
  while (!rest.empty()) {
    std::string_view chunk;
    if (!core::take_string(rest, chunk)) {
      return core::fail(ErrorCode::Corruption, "region: chunk is cut short");
    }
    const encoding::Codec codec = TRY(encoding::codec_of(chunk));
    if (codec == encoding::Codec::Floats) {
      const size_t before = batch.timestamps_ms.size();
      TRY(encoding::decode_float_chunk(chunk, batch.timestamps_ms, batch.values));
      clip_samples(batch.timestamps_ms, batch.values, before, range);
    } else {
      const auto before = static_cast<ptrdiff_t>(batch.histograms.size());
      TRY(encoding::decode_histogram_chunk(chunk, batch.histograms));
      batch.histograms.erase(
          std::remove_if(batch.histograms.begin() + before, batch.histograms.end(),
                         [&](const auto& one) { return !range.contains(one.timestamp_ms); }),
          batch.histograms.end());
    }
  }
  return {};
}

std::string_view name_of(Times times) {
  switch (times) {
    case Times::Regular:
      return "regular";
    case Times::Shared:
      return "shared";
    case Times::Inline:
      return "inline";
  }
  return "";
}

// Of a chunk without its times; empty: malformed.
std::string value_kind(std::string_view chunk) {
  const auto codec = encoding::codec_of(chunk);
  if (!codec) return {};
  const bool is_float = *codec == encoding::Codec::FloatValues;
  return is_float ? encoding::float_column_kind(chunk.substr(1)) : "histogram";
}

// What the columns of version 1 take is not told apart: their times are among the values.
Result<ChunkShape> shape_of_v1(std::string_view& rest) {
  std::string_view chunk;
  if (!core::take_string(rest, chunk)) {
    return core::fail(ErrorCode::Corruption, "region: chunk is cut short");
  }
  const encoding::Codec codec = TRY(encoding::codec_of(chunk));
  ChunkShape shape{.times = name_of(Times::Inline), .values = "histogram"};
  std::string_view body = chunk.substr(1);
  if (!core::take_varint(body, shape.samples) || shape.samples > encoding::kChunkSamplesMax) {
    return core::fail(ErrorCode::Corruption, "region: chunk of {} bytes: bad count", chunk.size());
  }
  if (codec == encoding::Codec::Floats) {
    std::vector<int64_t> times(shape.samples);
    const size_t before = body.size();
    if (!encoding::take_timestamp_column(body, times)) {
      return core::fail(ErrorCode::Corruption, "region: chunk of {} bytes: bad timestamps",
                        chunk.size());
    }
    shape.time_bytes = before - body.size();
    shape.values = encoding::float_column_kind(body);
  }
  shape.value_bytes = body.size();
  return shape;
}

}  // namespace

void encode_region(const storage::SeriesBatch& samples, int64_t base_ms,
                   TimeColumnsBuilder& columns, std::string& out) {
  const size_t begin = out.size();
  core::append_le<uint32_t>(out, 0);  // the checksum, when all is there
  RegionEncoder encoder(base_ms, columns, out);
  encoder.add_floats(samples.timestamps_ms, samples.values);
  encoder.add_histograms(samples.histograms);
  const uint32_t crc = core::crc32c(std::string_view(out).substr(begin + sizeof(uint32_t)));
  std::memcpy(out.data() + begin, &crc, sizeof(crc));
}

Result<void> append_region(std::string_view region, const RegionContext& context, TimeRange range,
                           storage::SeriesBatch& batch) {
  if (region.size() < sizeof(uint32_t) ||
      (core::crc32c(region.substr(sizeof(uint32_t))) != core::load_le<uint32_t>(region) &&
       !PETREL_MUTATED("region-no-checksum"))) {
    return core::fail(ErrorCode::Corruption, "region of {} bytes: bad checksum", region.size());
  }
  region.remove_prefix(sizeof(uint32_t));
  if (context.version == 1) return append_chunks_v1(region, range, batch);
  return append_chunks(region, context, range, batch);
}

Result<std::vector<ChunkShape>> chunk_shapes(std::string_view region,
                                             const RegionContext& context) {
  std::vector<ChunkShape> shapes;
  if (region.size() < sizeof(uint32_t)) {
    return core::fail(ErrorCode::Corruption, "region of {} bytes is cut short", region.size());
  }
  region.remove_prefix(sizeof(uint32_t));
  while (!region.empty()) {
    if (context.version == 1) {
      shapes.push_back(TRY(shape_of_v1(region)));
      continue;
    }
    ChunkHeader chunk;
    const size_t before = region.size();
    if (!take_chunk(region, 0, chunk)) {
      return core::fail(ErrorCode::Corruption, "region: chunk {} is malformed", shapes.size());
    }
    const size_t header_bytes = before - region.size() - chunk.payload.size();
    std::string_view values = chunk.payload;
    if (chunk.times == Times::Inline) {
      std::vector<int64_t> times(chunk.count);
      if (!encoding::take_timestamp_column(values, times)) {
        return core::fail(ErrorCode::Corruption, "region: chunk {}: bad timestamps", shapes.size());
      }
    }
    shapes.push_back({.times = name_of(chunk.times),
                      .values = value_kind(values),
                      .samples = chunk.count,
                      .time_bytes = header_bytes + chunk.payload.size() - values.size(),
                      .value_bytes = values.size()});
  }
  return shapes;
}

}  // namespace tsdb
