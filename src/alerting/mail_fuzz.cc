// Any text as addresses, as a header and as a body: what comes out has no line that the
// text made.

#include "alerting/notify/email.h"
#include "alerting/notify/mime.h"
#include "core/result.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  ENSURE(alerting::encode_header(text).find_first_of("\r\n") == std::string::npos);
  if (const auto boxes = alerting::parse_addresses(text)) {
    ENSURE(alerting::encode_mailboxes(*boxes).find_first_of("\r\n") == std::string::npos);
    for (const alerting::Mailbox& box : *boxes) {
      ENSURE(box.address.find_first_of(" \r\n<>") == std::string::npos);
    }
  }
  size_t column = 0;
  for (const char c : alerting::quoted_printable(text)) {
    column = c == '\n' ? 0 : column + 1;
    ENSURE(column <= 77);
  }
  (void)alerting::decode_email(text);
  return 0;
}
