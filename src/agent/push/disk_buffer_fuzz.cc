// A segment's records.

#include "agent/push/disk_buffer.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  while (!rest.empty()) {
    const std::string_view before = rest;
    const auto record = agent::take_buffer_record(rest);
    if (!record) return 0;
    // What reads back was written just so.
    if (agent::encode_buffer_record(*record) != before.substr(0, before.size() - rest.size())) {
      __builtin_trap();
    }
  }
  return 0;
}
