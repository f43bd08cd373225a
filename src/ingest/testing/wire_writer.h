// Writes protobuf messages for tests.

#pragma once

#include "core/varint.h"
#include "ingest/wire_reader.h"

#include <bit>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace ingest::testing {

class WireWriter {
 public:
  WireWriter& varint(uint32_t field, uint64_t value) {
    core::append_varint(out_, wire_tag(field, WireType::Varint));
    core::append_varint(out_, value);
    return *this;
  }
  WireWriter& sint(uint32_t field, int64_t value) { return varint(field, core::zigzag(value)); }
  WireWriter& float64(uint32_t field, double value) {
    core::append_varint(out_, wire_tag(field, WireType::Fixed64));
    core::append_le(out_, std::bit_cast<uint64_t>(value));
    return *this;
  }
  WireWriter& bytes(uint32_t field, std::string_view content) {
    core::append_varint(out_, wire_tag(field, WireType::Bytes));
    core::append_string(out_, content);
    return *this;
  }
  WireWriter& bytes(uint32_t field, const WireWriter& message) {
    return bytes(field, message.out_);
  }
  WireWriter& packed_sints(uint32_t field, std::initializer_list<int64_t> values) {
    std::string content;
    for (const int64_t value : values) core::append_varint(content, core::zigzag(value));
    return bytes(field, content);
  }
  WireWriter& packed_doubles(uint32_t field, std::initializer_list<double> values) {
    std::string content;
    for (const double value : values) core::append_le(content, value);
    return bytes(field, content);
  }
  const std::string& str() const { return out_; }

 private:
  std::string out_;
};

// The messages of prometheus/prompb/types.proto.
inline WireWriter label_message(std::string_view name, std::string_view value) {
  return WireWriter().bytes(1, name).bytes(2, value);
}

inline WireWriter sample_message(double value, int64_t timestamp_ms) {
  return WireWriter().float64(1, value).varint(2, static_cast<uint64_t>(timestamp_ms));
}

using TestLabels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

inline WireWriter series_message(TestLabels labels) {
  WireWriter series;
  for (const auto& [name, value] : labels) series.bytes(1, label_message(name, value));
  return series;
}

}  // namespace ingest::testing
