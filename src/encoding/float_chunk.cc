#include "core/varint.h"
#include "encoding/chunk.h"
#include "encoding/float_column.h"

#include <algorithm>
#include <array>

namespace encoding {

using core::ErrorCode;
using core::Result;

Result<Codec> codec_of(std::string_view chunk) {
  if (chunk.empty()) return core::fail(ErrorCode::Corruption, "chunk is empty");
  const auto id = static_cast<uint8_t>(chunk.front());
  if (id < static_cast<uint8_t>(Codec::Floats) ||
      id > static_cast<uint8_t>(Codec::HistogramValues)) {
    return core::fail(ErrorCode::Corruption, "chunk has unknown codec {}, known are 1 to 4", id);
  }
  return static_cast<Codec>(id);
}

void append_float_chunk(std::string& out, std::span<const int64_t> timestamps_ms,
                        std::span<const double> values, Effort effort) {
  ENSURE(timestamps_ms.size() == values.size());
  out.push_back(static_cast<char>(Codec::Floats));
  core::append_varint(out, values.size());
  append_int_column(out, timestamps_ms, Xor::Leave, effort);
  append_float_column(out, values, effort);
}

namespace {

// Moves `rest` to the columns behind it.
Result<size_t> take_count(std::string_view chunk, std::string_view& rest) {
  const Codec codec = TRY(codec_of(chunk));
  if (codec != Codec::Floats) return core::fail(ErrorCode::Corruption, "not a chunk of floats");
  rest = chunk.substr(1);
  uint64_t count = 0;
  if (!core::take_varint(rest, count) || count == 0 || count > kChunkSamplesMax) {
    return core::fail(ErrorCode::Corruption, "float chunk of {} bytes: bad count {}", chunk.size(),
                      count);
  }
  return static_cast<size_t>(count);
}

tl::unexpected<core::Error> malformed(std::string_view chunk, size_t count) {
  return core::fail(ErrorCode::Corruption, "float chunk of {} bytes and {} samples is malformed",
                    chunk.size(), count);
}

}  // namespace

Result<void> decode_float_chunk(std::string_view chunk, std::vector<int64_t>& timestamps_ms,
                                std::vector<double>& values) {
  std::string_view rest;
  const size_t count = TRY(take_count(chunk, rest));
  const size_t begin = timestamps_ms.size();
  const size_t values_begin = values.size();
  timestamps_ms.resize(begin + count);
  values.resize(values_begin + count);
  if (!take_int_column(rest, std::span(timestamps_ms).subspan(begin)) ||
      !take_float_column(rest, std::span(values).subspan(values_begin)) || !rest.empty()) {
    timestamps_ms.resize(begin);
    values.resize(values_begin);
    return malformed(chunk, count);
  }
  return {};
}

Result<void> decode_float_chunk(std::string_view chunk, int64_t start_ms, int64_t end_ms,
                                std::vector<int64_t>& timestamps_ms, std::vector<double>& values) {
  std::string_view rest;
  const size_t count = TRY(take_count(chunk, rest));
  std::array<int64_t, kChunkSamplesMax> times;
  std::array<double, kChunkSamplesMax> decoded;
  if (!take_int_column(rest, std::span(times).first(count))) return malformed(chunk, count);
  const int64_t* const begin = times.data();
  const auto* const first = std::lower_bound(begin, begin + count, start_ms);
  const auto* const last = std::lower_bound(first, begin + count, end_ms);
  if (first == last) return {};
  const auto from = static_cast<size_t>(first - begin);
  const auto to = static_cast<size_t>(last - begin);
  if (!take_float_column(rest, std::span(decoded).first(count), from) || !rest.empty()) {
    return malformed(chunk, count);
  }
  timestamps_ms.insert(timestamps_ms.end(), first, last);
  values.insert(values.end(), decoded.data() + from, decoded.data() + to);
  return {};
}

bool stores_raw_floats(std::string_view chunk) {
  std::string_view rest;
  const auto count = take_count(chunk, rest);
  if (!count) return false;
  std::array<int64_t, kColumnSizeMax> times;
  if (!take_int_column(rest, std::span(times).first(*count))) return false;
  return float_column_kind(rest).starts_with("raw ");
}

void append_value_chunk(std::string& out, std::span<const double> values) {
  ENSURE(!values.empty() && values.size() <= kChunkSamplesMax);
  out.push_back(static_cast<char>(Codec::FloatValues));
  append_float_column(out, values);
}

namespace {

Result<void> check_expected(size_t count) {
  if (count > 0 && count <= kChunkSamplesMax) return {};
  return core::fail(ErrorCode::Corruption, "{} values are expected of a chunk, at most {} fit",
                    count, kChunkSamplesMax);
}

}  // namespace

Result<void> decode_value_chunk(std::string_view chunk, std::span<double> values, size_t from) {
  const Codec codec = TRY(codec_of(chunk));
  if (codec != Codec::FloatValues) {
    return core::fail(ErrorCode::Corruption, "chunk has codec {}, expected 3, floats without times",
                      static_cast<unsigned>(codec));
  }
  TRY(check_expected(values.size()));
  std::string_view rest = chunk.substr(1);
  if (!take_float_column(rest, values, from) || !rest.empty()) {
    return core::fail(ErrorCode::Corruption,
                      "float chunk of {} bytes is malformed, or not one of {} values", chunk.size(),
                      values.size());
  }
  return {};
}

Result<void> decode_value_chunk(std::string_view chunk, size_t count_expected,
                                std::vector<double>& values) {
  TRY(check_expected(count_expected));
  const size_t begin = values.size();
  values.resize(begin + count_expected);
  Result<void> read = decode_value_chunk(chunk, std::span(values).subspan(begin));
  if (!read) values.resize(begin);
  return read;
}

void append_timestamp_column(std::string& out, std::span<const int64_t> timestamps_ms) {
  append_int_column(out, timestamps_ms);
}

bool take_timestamp_column(std::string_view& bytes, std::span<int64_t> out) {
  return take_int_column(bytes, out);
}

}  // namespace encoding
