// Any bytes as a record. The checksum is put right first, or no input would get past it;
// what decodes has to survive being encoded and decoded again.

#include "core/bytes.h"
#include "core/crc32c.h"
#include "pipeline/record_v1.h"

#include <cstddef>
#include <cstdint>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  pipeline::DecodedRecord record;
  if (!pipeline::decode_record_v1(bytes, record) && size >= 4) {
    bytes.resize(size - 4);
    core::append_le(bytes, core::crc32c(bytes));
    if (!pipeline::decode_record_v1(bytes, record)) return 0;
  }
  std::string again;
  pipeline::append_record_v1(again, record.header, record.sections);
  pipeline::DecodedRecord second;
  ENSURE(pipeline::decode_record_v1(again, second).has_value());
  ENSURE(second.sections.size() == record.sections.size());
  for (size_t i = 0; i < second.sections.size(); ++i) {
    ENSURE(second.sections[i].samples.size() == record.sections[i].samples.size());
    ENSURE(second.sections[i].series.size() == record.sections[i].series.size());
  }
  return 0;
}
