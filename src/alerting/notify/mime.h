// Text as mail carries it: addresses (RFC 5322), encoded words in headers (RFC 2047) and
// quoted-printable bodies (RFC 2045). Pure.

#pragma once

#include "core/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace alerting {

struct Mailbox {
  std::string name;     // may be empty
  std::string address;  // "a@example.org"
};

// `Ops <ops@example.org>, "A, B" <ab@example.org>, c@example.org`. InvalidArgument names
// what is no address.
core::Result<std::vector<Mailbox>> parse_addresses(std::string_view text);

// As the value of a header: ASCII stays, other text becomes encoded words; line breaks,
// which would begin a header of their own, become blanks.
std::string encode_header(std::string_view text);
std::string encode_mailboxes(const std::vector<Mailbox>& boxes);
// "Name: value\r\n", folded before 78 columns where there are blanks.
std::string header_line(std::string_view name, std::string_view encoded);

// Lines of at most 76 columns that end with CRLF.
std::string quoted_printable(std::string_view text);

// "Fri, 20 Nov 2026 13:22:09 +0000"
std::string mail_date(int64_t time_ms);

}  // namespace alerting
