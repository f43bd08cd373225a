// A D-Bus message, and its body read as what systemd answers.

#include "agent/collectors/dbus.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto message = agent::parse_dbus_message(bytes);
  if (!message) return 0;
  agent::DbusReader one(message->body);
  (void)agent::read_variant(one);
  agent::DbusReader reader(message->body);
  const size_t end = reader.array_end(8);
  while (reader.is_before(end)) {
    reader.align(8);
    for (int i = 0; i < 7; ++i) reader.string();
    reader.uint32();
    reader.string();
    reader.string();
  }
  return 0;
}
