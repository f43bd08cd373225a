// Any bytes as the lines of a mail server.

#include "core/result.h"
#include "net/smtp.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(bytes), size);
  std::vector<net::SmtpExchange> exchanges;
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    net::SmtpReplyLine reply;
    if (!net::parse_smtp_reply(line, reply)) continue;
    ENSURE(reply.code >= 0 && reply.code <= 999);
    const bool recipient = exchanges.size() % 2 == 1;
    exchanges.push_back(
        {recipient ? "RCPT TO:<" + std::string(line) : ".", reply.code, std::string(reply.text)});
  }
  const net::MailReceipt receipt = net::summarize(exchanges);
  ENSURE(receipt.text.find_first_of("\r\n") == std::string::npos);
  return 0;
}
