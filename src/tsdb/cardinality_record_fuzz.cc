// Any bytes as a record of cardinality: refused, or what they say is written back as it was.

#include "tsdb/cardinality_record.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto records = tsdb::decode_cardinality_records(bytes);
  if (!records) return 0;
  const auto again = tsdb::decode_cardinality_records(tsdb::encode_cardinality_records(*records));
  ENSURE(again.has_value() && *again == *records);
  return 0;
}
