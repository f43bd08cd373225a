#include "core/result.h"
#include "discovery/etcd_messages.h"
#include "discovery/saved_entries.h"

#include <cstdint>
#include <string_view>

// No answer of a store and no file of known targets makes a reader fail in another way
// than by an error.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)discovery::etcd::parse_authenticate(text);
  (void)discovery::etcd::parse_range(text);
  (void)discovery::etcd::parse_watch(text);
  (void)discovery::etcd::parse_grant(text);
  (void)discovery::etcd::parse_keep_alive(text);
  if (const auto saved = discovery::parse_saved_entries(text)) {
    const auto again = discovery::parse_saved_entries(discovery::format_saved_entries(*saved));
    ENSURE(again && *again == *saved);
  }
  return 0;
}
