#include "tsdb/block_times.h"

#include "core/varint.h"
#include "encoding/chunk.h"

namespace tsdb {

using core::ErrorCode;
using core::Result;

namespace {

// Wraps, as all arithmetic on times from disk does.
int64_t add_wrapping(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

int64_t subtract_wrapping(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}

}  // namespace

void append_time_column(std::string& out, std::span<const int64_t> times_ms,
                        std::vector<int64_t>& scratch) {
  scratch.resize(times_ms.size());
  for (size_t i = 0; i < times_ms.size(); ++i) {
    scratch[i] = subtract_wrapping(times_ms[i], times_ms[0]);
  }
  encoding::append_timestamp_column(out, scratch);
}

bool take_time_column(std::string_view& bytes, int64_t first_ms, std::span<int64_t> out) {
  if (!encoding::take_timestamp_column(bytes, out)) return false;
  for (int64_t& time_ms : out) time_ms = add_wrapping(time_ms, first_ms);
  return true;
}

std::optional<uint32_t> TimeColumnsBuilder::add(std::span<const int64_t> times_ms) {
  scratch_.clear();
  append_time_column(scratch_, times_ms, relative_);
  if (const auto found = known_.find(scratch_); found != known_.end()) {
    return found->second;  // decoding it with this count gives these times, whoever wrote it
  }
  if (columns_.size() >= kColumnsMax || bytes_ + scratch_.size() > kBytesMax) return std::nullopt;
  const auto number = static_cast<uint32_t>(columns_.size());
  bytes_ += scratch_.size();
  columns_.push_back(&known_.emplace(scratch_, number).first->first);
  return number;
}

std::string TimeColumnsBuilder::encode(int64_t base_ms) const {
  std::string out;
  core::append_zigzag(out, base_ms);
  core::append_varint(out, columns_.size());
  for (const std::string* column : columns_) core::append_varint(out, column->size());
  for (const std::string* column : columns_) out += *column;
  return out;
}

Result<TimeColumns> TimeColumns::decode(std::string bytes) {
  TimeColumns columns;
  columns.bytes_ = std::move(bytes);
  std::string_view rest = columns.bytes_;
  uint64_t count = 0;
  if (!core::take_zigzag(rest, columns.base_ms_) || !core::take_varint(rest, count) ||
      count > rest.size()) {
    return core::fail(ErrorCode::Corruption, "timestamp columns: {} of them in {} bytes", count,
                      columns.bytes_.size());
  }
  uint64_t end = 0;
  columns.ends_.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t size = 0;
    if (!core::take_varint(rest, size) || size > columns.bytes_.size() - end) {
      return core::fail(ErrorCode::Corruption, "timestamp column {}: bad size {}", i, size);
    }
    end += size;
    columns.ends_.push_back(static_cast<uint32_t>(end));
  }
  if (rest.size() != end) {
    return core::fail(ErrorCode::Corruption, "timestamp columns: {} bytes, expected {}",
                      rest.size(), end);
  }
  columns.begin_ = columns.bytes_.size() - rest.size();
  return columns;
}

bool TimeColumns::read(uint64_t column, int64_t first_ms, std::span<int64_t> out) const {
  if (column >= ends_.size()) return false;
  const uint32_t begin = column == 0 ? 0 : ends_[column - 1];
  std::string_view bytes = std::string_view(bytes_).substr(begin_ + begin, ends_[column] - begin);
  return take_time_column(bytes, first_ms, out) && bytes.empty();
}

}  // namespace tsdb
