// One mail through libcurl. What the server answers to which command is taken from
// curl's trace, because curl's own result tells only the last code.

#include "net/curl_transfer_impl.h"
#include "net/smtp.h"

#include <algorithm>
#include <fmt/format.h>

namespace net {

using core::Error;
using core::ErrorCode;
using core::Result;

namespace {

constexpr size_t kExchangesMax = 2000;
constexpr size_t kReplySizeMax = 4096;
constexpr long kConnectTimeoutMs = 30'000;
// RFC 5321, 4.5.3.2: minutes for a command, ten for the end of the message. Once all is
// said, the goodbye must not hold up the loop.
constexpr long kReplyTimeoutS = 120;
constexpr long kAcceptTimeoutS = 600;
constexpr long kGoodbyeTimeoutS = 2;

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "127.0.0.1" || host == "::1";
}

class MailTransfer final : public CurlTransfer {
 public:
  MailTransfer(OutgoingMail mail, Transport::MailDone done)
      : mail_(std::move(mail)), done_(std::move(done)) {}

  Result<void> prepare(const std::string& user_agent) override;
  void finish(CURLcode code) override;
  void fail(Error error) override { done_(tl::unexpected(std::move(error))); }

 private:
  Result<void> check() const;
  void set_authentication();
  void took_line(std::string_view line);
  void gave_line(std::string_view line);
  void wait_for(long seconds) {
    curl_easy_setopt(easy(), CURLOPT_SERVER_RESPONSE_TIMEOUT, seconds);
  }

  static size_t on_read(char* data, size_t unit, size_t count, void* user);
  static int on_trace(CURL* easy, curl_infotype type, char* data, size_t size, void* user);
  static size_t on_reply(char* data, size_t unit, size_t count, void* user);

  OutgoingMail mail_;
  Transport::MailDone done_;
  CurlList recipients_;
  CurlList connect_to_;
  size_t read_ = 0;
  std::string command_;  // that waits for its reply
  bool in_message_ = false;
  std::vector<SmtpExchange> exchanges_;
};

size_t MailTransfer::on_read(char* data, size_t unit, size_t count, void* user) {
  auto& transfer = *static_cast<MailTransfer*>(user);
  const std::string& message = transfer.mail_.message;
  const size_t size = std::min(unit * count, message.size() - transfer.read_);
  std::copy_n(message.data() + transfer.read_, size, data);
  transfer.read_ += size;
  return size;
}

void MailTransfer::gave_line(std::string_view line) {
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  // Lines of AUTH hold credentials: only the word is kept.
  if (line.starts_with("AUTH")) line = "AUTH";
  const bool known = line == "AUTH" || line == "DATA" || line == "STARTTLS" || line == "QUIT" ||
                     line.starts_with("EHLO") || line.starts_with("HELO") ||
                     line.starts_with("MAIL FROM") || line.starts_with("RCPT TO");
  if (known) command_ = line;
}

void MailTransfer::took_line(std::string_view line) {
  SmtpReplyLine reply;
  if (command_ == "QUIT" || exchanges_.size() >= kExchangesMax) return;
  if (!parse_smtp_reply(line, reply)) return;
  if (exchanges_.empty() || exchanges_.back().code != 0) exchanges_.push_back({});
  SmtpExchange& open = exchanges_.back();
  if (open.text.size() + reply.text.size() < kReplySizeMax) {
    if (!open.text.empty()) open.text += ' ';
    open.text += reply.text;
  }
  if (!reply.is_last) return;
  open.command = in_message_ ? "." : command_;
  open.code = reply.code;
  in_message_ = open.command == "DATA" && reply.code == 354;
  if (in_message_) wait_for(kAcceptTimeoutS);
  const bool refused = reply.code >= 400 && !open.command.starts_with("RCPT");
  if (open.command == "." || refused) wait_for(kGoodbyeTimeoutS);
}

int MailTransfer::on_trace(CURL*, curl_infotype type, char* data, size_t size, void* user) {
  auto& transfer = *static_cast<MailTransfer*>(user);
  if (type == CURLINFO_HEADER_OUT) transfer.gave_line({data, size});
  return 0;
}

size_t MailTransfer::on_reply(char* data, size_t unit, size_t count, void* user) {
  static_cast<MailTransfer*>(user)->took_line({data, unit * count});
  return unit * count;
}

Result<void> MailTransfer::check() const {
  const auto is_bad = [](const std::string& text) {
    return text.find_first_of(std::string_view("\r\n\0<> ", 6)) != std::string::npos;
  };
  if (is_bad(mail_.from) || mail_.from.empty()) {
    return core::fail(ErrorCode::InvalidArgument, "\"{}\" is not an address", mail_.from);
  }
  for (const std::string& to : mail_.to) {
    if (is_bad(to) || to.empty()) {
      return core::fail(ErrorCode::InvalidArgument, "\"{}\" is not an address", to);
    }
  }
  if (mail_.to.empty()) return core::fail(ErrorCode::InvalidArgument, "no recipients");
  for (const std::string* part : {&mail_.hello, &mail_.host, &mail_.port}) {
    if (is_bad(*part)) return core::fail(ErrorCode::InvalidArgument, "\"{}\": bad name", *part);
  }
  return {};
}

void MailTransfer::set_authentication() {
  if (mail_.user.empty()) return;
  const bool by_password = !mail_.password.empty() || mail_.secret.empty();
  set(CURLOPT_USERNAME, mail_.user.c_str());
  set(CURLOPT_PASSWORD, (by_password ? mail_.password : mail_.secret).reveal().c_str());
  if (!mail_.identity.empty()) set(CURLOPT_SASL_AUTHZID, mail_.identity.c_str());
  if (!by_password) {
    set(CURLOPT_LOGIN_OPTIONS, "AUTH=CRAM-MD5");
    return;
  }
  // As Go's mail client: PLAIN does not go over an open line to another host.
  const bool open_line = mail_.security == SmtpSecurity::None && !is_loopback(mail_.host);
  set(CURLOPT_LOGIN_OPTIONS, open_line ? "AUTH=LOGIN" : "AUTH=PLAIN;AUTH=LOGIN");
}

Result<void> MailTransfer::prepare(const std::string&) {
  if (easy() == nullptr) return core::fail(ErrorCode::Unavailable, "no memory for curl");
  TRY(check());
  const bool brackets = mail_.host.find(':') != std::string::npos;
  const std::string host = brackets ? "[" + mail_.host + "]" : mail_.host;
  const std::string& shown = mail_.tls.server_name.empty() ? host : mail_.tls.server_name;
  const std::string_view scheme = mail_.security == SmtpSecurity::Tls ? "smtps" : "smtp";
  const std::string url = fmt::format("{}://{}:{}/{}", scheme, shown, mail_.port, mail_.hello);
  if (shown != host) {
    if (!append_line(connect_to_, fmt::format("::{}:{}", host, mail_.port))) {
      return core::fail(ErrorCode::Unavailable, "no memory");
    }
    set(CURLOPT_CONNECT_TO, connect_to_.get());
  }
  for (const std::string& to : mail_.to) {
    if (!append_line(recipients_, fmt::format("<{}>", to))) {
      return core::fail(ErrorCode::Unavailable, "no memory");
    }
  }
  set(CURLOPT_ERRORBUFFER, error_text_);
  set(CURLOPT_URL, url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_PROXY, "");
  // A connection of its own: what was said on it before must not count for this mail.
  set(CURLOPT_FRESH_CONNECT, 1L);
  set(CURLOPT_FORBID_REUSE, 1L);
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(mail_.timeout_ms));
  set(CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
  set(CURLOPT_SERVER_RESPONSE_TIMEOUT, kReplyTimeoutS);
  set(CURLOPT_USE_SSL,
      static_cast<long>(mail_.security == SmtpSecurity::None ? CURLUSESSL_NONE : CURLUSESSL_ALL));
  set_tls(mail_.tls);
  set_authentication();
  set(CURLOPT_MAIL_FROM, fmt::format("<{}>", mail_.from).c_str());
  set(CURLOPT_MAIL_RCPT, recipients_.get());
  // One address that is gone must not keep the page from the others.
  set(CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1L);
  set(CURLOPT_UPLOAD, 1L);
  set(CURLOPT_READFUNCTION, &on_read);
  set(CURLOPT_READDATA, static_cast<void*>(this));
  set(CURLOPT_HEADERFUNCTION, &on_reply);
  set(CURLOPT_HEADERDATA, static_cast<void*>(this));
  set(CURLOPT_VERBOSE, 1L);
  set(CURLOPT_DEBUGFUNCTION, &on_trace);
  set(CURLOPT_DEBUGDATA, static_cast<void*>(this));
  if (option_code_ != CURLE_OK) {
    return core::fail(ErrorCode::InvalidArgument, "{}:{}: {}", mail_.host, mail_.port,
                      curl_easy_strerror(option_code_));
  }
  return {};
}

void MailTransfer::finish(CURLcode code) {
  MailReceipt receipt = summarize(exchanges_);
  // A server that took the mail has taken it, whatever came behind.
  if (receipt.delivered || receipt.code >= 400) {
    done_(std::move(receipt));
    return;
  }
  const auto fails = [this](ErrorCode error, std::string_view why) {
    done_(core::fail(error, "{}:{}: {}", mail_.host, mail_.port, why));
  };
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return fails(ErrorCode::Timeout, "no answer in time");
    case CURLE_USE_SSL_FAILED:
      return fails(ErrorCode::Unsupported,
                   "the server does not offer STARTTLS (require_tls: false sends in the clear)");
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
      return fails(ErrorCode::Unauthenticated, fmt::format("TLS: {}", reason(code)));
    case CURLE_LOGIN_DENIED:
      return fails(ErrorCode::PermissionDenied,
                   "no way to log in that both sides know (PLAIN, LOGIN, CRAM-MD5)");
    default:
      return fails(ErrorCode::Unavailable, reason(code));
  }
}

}  // namespace

std::unique_ptr<CurlTransfer> make_mail_transfer(OutgoingMail mail, Transport::MailDone done) {
  return std::make_unique<MailTransfer>(std::move(mail), std::move(done));
}

}  // namespace net
