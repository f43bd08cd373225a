#include "net/smtp.h"

#include "core/text.h"
#include "net/transport.h"

#include <fmt/format.h>

namespace net {

namespace {

// Replies are text from outside: one short line is kept.
constexpr size_t kTextSizeMax = 300;

std::string one_line(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, kTextSizeMax)) {
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  }
  return std::string(core::trim(out));
}

constexpr std::string_view kRecipient = "RCPT TO:<";

std::string_view recipient_of(std::string_view command) {
  command.remove_prefix(kRecipient.size());
  return command.substr(0, command.find('>'));
}

std::string_view name_of(std::string_view command) {
  if (command == ".") return "DATA";
  if (command.empty()) return "connect";
  return command.substr(0, command.find_first_of(" :"));
}

}  // namespace

void Transport::send_mail(OutgoingMail, MailDone done) {
  done(core::fail(core::ErrorCode::Unsupported, "this transport sends no mail"));
}

bool parse_smtp_reply(std::string_view line, SmtpReplyLine& reply) {
  while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);
  if (line.size() < 3) return false;
  reply.code = 0;
  for (const char c : line.substr(0, 3)) {
    if (c < '0' || c > '9') return false;
    reply.code = reply.code * 10 + (c - '0');
  }
  const char separator = line.size() > 3 ? line[3] : ' ';
  if (separator != ' ' && separator != '-') return false;
  reply.is_last = separator == ' ';
  reply.text = line.size() > 4 ? line.substr(4) : std::string_view();
  return true;
}

MailReceipt summarize(const std::vector<SmtpExchange>& exchanges) {
  MailReceipt receipt;
  for (const SmtpExchange& one : exchanges) {
    receipt.code = one.code;
    receipt.text = one_line(one.text);
    receipt.at = name_of(one.command);
    if (one.command.starts_with(kRecipient) && one.code >= 300) {
      receipt.refused.push_back(
          {std::string(recipient_of(one.command)), one.code, one_line(one.text)});
    }
    if (one.command == ".") receipt.delivered = one.code >= 200 && one.code < 300;
  }
  return receipt;
}

}  // namespace net
