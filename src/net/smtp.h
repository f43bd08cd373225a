// Outgoing mail: one message to one SMTP server (RFC 5321), as a value. Sent through
// Transport::send_mail.

#pragma once

#include "core/result.h"
#include "core/secret.h"
#include "net/client_config.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace net {

enum class SmtpSecurity : uint8_t {
  None,      // in the clear
  StartTls,  // required: a server that does not offer it gets nothing
  Tls,       // from the first byte, port 465
};

struct OutgoingMail {
  std::string host{};
  std::string port = "25";
  std::string hello = "localhost";  // EHLO
  SmtpSecurity security = SmtpSecurity::StartTls;
  TlsConfig tls{};
  // No user: no authentication. The password goes by PLAIN or LOGIN, the secret by
  // CRAM-MD5; with both the password is used.
  std::string user{};
  std::string identity{};  // authorization identity of PLAIN
  core::Secret password{};
  core::Secret secret{};
  std::string from{};  // addresses without names: "a@example.org"
  std::vector<std::string> to{};
  std::string message{};  // header and body, lines end with CRLF
  // RFC 5321, 4.5.3.2.6: a server may take ten minutes to say that it has the mail.
  int64_t timeout_ms = 11 * 60'000;
};

struct RefusedRecipient {
  std::string address;
  int code = 0;  // 4yz: for now; 5yz: for good
  std::string text;
};

// What the server said. Sent when code is 250 and not every recipient is refused.
struct MailReceipt {
  int code = 0;            // of the last reply
  std::string text;        // of the last reply, one line
  std::string at;          // the command it answers: "AUTH", "MAIL FROM", "DATA"
  bool delivered = false;  // to those who are not refused
  std::vector<RefusedRecipient> refused;
};

// Replies as they came, without the final line breaks, to the commands in order.
// `commands` are their first words: "EHLO", "RCPT TO:<a@b>", ".".
struct SmtpExchange {
  std::string command;
  int code = 0;
  std::string text;
};
MailReceipt summarize(const std::vector<SmtpExchange>& exchanges);

// "250-first" and "250 last" are one reply; false for what is none.
struct SmtpReplyLine {
  int code = 0;
  bool is_last = false;
  std::string_view text;
};
bool parse_smtp_reply(std::string_view line, SmtpReplyLine& reply);

}  // namespace net
