#include "core/result.h"
#include "discovery/registration.h"

#include <cstdint>
#include <string_view>

// What is read can be written and read again, and its group holds no label of ours twice.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto parsed = discovery::parse_registration(text);
  if (!parsed) {
    ENSURE(!parsed.error().message.empty());
    return 0;
  }
  const std::string written = discovery::format_registration(*parsed);
  if (written.size() <= discovery::kRegistrationSizeMax) {
    const auto again = discovery::parse_registration(written);
    ENSURE(again && *again == *parsed);
  }
  const config::TargetGroup group = discovery::target_group(*parsed, {"t", "j", "i"}, "/p/t/j/i",
                                                            discovery::RegistrationStore::Etcd);
  ENSURE(group.targets.empty() == (parsed->state != discovery::RegistrationState::Up));
  return 0;
}
