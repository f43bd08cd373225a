#include "alerting/notify/email.h"

#include "alerting/notify/mime.h"
#include "alerting/notify/template_data.h"
#include "core/varint.h"
#include "templates/go_time.h"

#include <algorithm>
#include <fmt/format.h>
#include <openssl/sha.h>

namespace alerting {

using core::ErrorCode;
using core::Result;

namespace {

constexpr size_t kRecipientsMax = 1000;

std::string short_hash(std::string_view text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  std::string out;
  for (size_t i = 0; i < 16; ++i) out += fmt::format("{:02x}", digest[i]);
  return out;
}

class Maker {
 public:
  Maker(const EmailConfig& config, const Notification& notification, const EmailContext& context)
      : config_(config),
        notification_(notification),
        context_(context),
        data_(template_data(notification)) {}

  Result<EmailMessage> run() {
    const std::vector<Mailbox> from = TRY(addresses("from", config_.from));
    if (from.size() != 1) {
      return core::fail(ErrorCode::InvalidArgument, "from: one address is needed, not {}",
                        from.size());
    }
    const std::vector<Mailbox> to = TRY(addresses("to", config_.to));
    if (to.size() > kRecipientsMax) {
      return core::fail(ErrorCode::LimitExceeded, "to: {} addresses, at most {}", to.size(),
                        kRecipientsMax);
    }
    EmailMessage email;
    email.from = from[0].address;
    for (const Mailbox& box : to) email.to.push_back(box.address);
    domain_ = email.from.substr(email.from.rfind('@') + 1);
    email.message = headers(from, to) + body();
    return email;
  }

 private:
  Result<std::vector<Mailbox>> addresses(std::string_view what, const std::string& text) {
    const std::string expanded =
        TRY(context_.templates.expand(text, data_, context_.now_ms).context("{}", what));
    return parse_addresses(expanded).context("{}", what);
  }

  std::string expanded(const std::string& text, std::string_view what) {
    Result<std::string> done = context_.templates.expand(text, data_, context_.now_ms);
    if (done) return std::move(*done);
    failures_ += fmt::format("The template of {} failed: {}\n", what, done.error().message);
    return "";
  }

  std::string headers(const std::vector<Mailbox>& from, const std::vector<Mailbox>& to) {
    std::string out;
    const auto given = [this](std::string_view name) {
      return std::ranges::any_of(config_.headers,
                                 [name](const auto& one) { return one.first == name; });
    };
    if (!given("From")) out += header_line("From", encode_mailboxes(from));
    if (!given("To")) out += header_line("To", encode_mailboxes(to));
    if (!given("Subject")) out += subject(R"({{ template "email.default.subject" . }})");
    for (const auto& [name, value] : config_.headers) {
      if (name == "Subject") {
        out += subject(value);
        continue;
      }
      const std::string text = expanded(value, fmt::format("header {}", name));
      const bool has_addresses =
          name == "From" || name == "To" || name == "Cc" || name == "Reply-To" || name == "Sender";
      std::string encoded = encode_header(text);
      if (has_addresses) {
        if (const auto boxes = parse_addresses(text)) encoded = encode_mailboxes(*boxes);
      }
      out += header_line(encode_header(name), encoded);
    }
    if (!given("Message-Id")) {
      out += header_line("Message-Id", fmt::format("<{}@{}>", context_.id, domain_));
    }
    if (config_.threading) out += thread();
    if (!given("Date")) out += header_line("Date", mail_date(context_.now_ms));
    if (!given("Auto-Submitted")) out += header_line("Auto-Submitted", "auto-generated");
    return out + "MIME-Version: 1.0\r\n";
  }

  std::string subject(const std::string& text) {
    std::string line = expanded(text, "the subject");
    if (line.empty() && !failures_.empty()) {
      line = context_.templates
                 .expand(R"({{ template "email.default.subject" . }})", data_, context_.now_ms)
                 .value_or("Alerts of " + notification_.receiver);
    }
    return header_line("Subject", encode_header(line));
  }

  // All messages of a group refer to one that was never sent: mail programs put them
  // together.
  std::string thread() const {
    std::string key = notification_.group_key;
    if (config_.thread_by_date) {
      key += templates::format_time(context_.now_ms, {}, " 2006-01-02");
    }
    const std::string id = fmt::format("<group-{}@{}>", short_hash(key), domain_);
    return header_line("References", id) + header_line("In-Reply-To", id);
  }

  std::string body() {
    std::string html;
    if (!config_.html.empty()) {
      Result<std::string> page =
          context_.templates.expand_html(config_.html, data_, context_.now_ms);
      if (page) {
        html = std::move(*page);
      } else {
        failures_ +=
            fmt::format("The template of the HTML text failed: {}\n", page.error().message);
      }
    }
    std::string text = config_.text.empty() ? "" : expanded(config_.text, "the text");
    if (!failures_.empty()) {
      if (text.empty()) {
        text = context_.templates
                   .expand(R"({{ template "email.default.text" . }})", data_, context_.now_ms)
                   .value_or("");
      }
      text = failures_ + "\n" + text;
      html.clear();  // the reader sees the richest part only, and must see this
    }
    const std::string boundary = "=_petrel_" + context_.id;
    std::string out =
        fmt::format("Content-Type: multipart/alternative;\r\n boundary=\"{}\"\r\n\r\n", boundary);
    const auto part = [&](std::string_view type, const std::string& content) {
      if (content.empty()) return;
      out += fmt::format(
          "--{}\r\nContent-Type: {}; charset=UTF-8\r\nContent-Transfer-Encoding: "
          "quoted-printable\r\n\r\n{}\r\n",
          boundary, type, quoted_printable(content));
    };
    part("text/plain", text.empty() && html.empty() ? " " : text);
    part("text/html", html);  // the last one is the one to prefer
    return out + fmt::format("--{}--\r\n", boundary);
  }

  const EmailConfig& config_;
  const Notification& notification_;
  const EmailContext& context_;
  const templates::Value data_;
  std::string domain_;
  std::string failures_;
};

Verdict failed(const core::Error& error) {
  switch (error.code) {
    case ErrorCode::Timeout:
      return {.reason = error.message, .failure = "timeout"};
    case ErrorCode::Unsupported:
    case ErrorCode::Unauthenticated:
      return {.reason = error.message, .failure = "tls"};
    case ErrorCode::PermissionDenied:
      return {.reason = error.message, .failure = "auth"};
    case ErrorCode::InvalidArgument:
      return {.outcome = Outcome::Permanent, .reason = error.message};
    default:
      return {.reason = error.message, .failure = "connect"};
  }
}

}  // namespace

std::string encode_email(const EmailMessage& email) {
  std::string out;
  core::append_string(out, email.from);
  core::append_varint(out, email.to.size());
  for (const std::string& to : email.to) core::append_string(out, to);
  core::append_string(out, email.message);
  return out;
}

Result<EmailMessage> decode_email(std::string_view bytes) {
  EmailMessage email;
  uint64_t count = 0;
  bool good = core::take_string(bytes, email.from) && core::take_varint(bytes, count) &&
              count <= bytes.size();
  for (uint64_t i = 0; good && i < count; ++i) {
    good = core::take_string(bytes, email.to.emplace_back());
  }
  if (good && core::take_string(bytes, email.message) && bytes.empty()) return email;
  return core::fail(ErrorCode::Corruption, "alert store: malformed mail");
}

Result<EmailMessage> make_email(const EmailConfig& config, const Notification& notification,
                                const EmailContext& context) {
  return Maker(config, notification, context).run();
}

Verdict judge_email(const Result<net::MailReceipt>& receipt, const EmailMessage& email) {
  if (!receipt) return failed(receipt.error());
  const auto said = [](std::string_view at, int code, std::string_view text) {
    return fmt::format("{}: {} {}", at, code, text);
  };
  // Those who may take it later, and why the others never will.
  EmailMessage later = email;
  later.to.clear();
  std::string refused;
  for (const net::RefusedRecipient& one : receipt->refused) {
    if (one.code < 500) {
      later.to.push_back(one.address);
    } else {
      refused +=
          fmt::format("{}{}: {} {}", refused.empty() ? "" : "; ", one.address, one.code, one.text);
    }
  }
  const bool nobody = receipt->refused.size() >= email.to.size();
  if (receipt->delivered && !nobody) {
    if (later.to.empty()) return {.outcome = Outcome::Delivered, .refused = refused};
    return {
        .reason = fmt::format("{} of {} recipients are deferred", later.to.size(), email.to.size()),
        .failure = "deferred",
        .rest = encode_email(later),
        .refused = refused};
  }
  if (nobody && !receipt->refused.empty()) {
    if (later.to.empty()) return {.outcome = Outcome::Permanent, .reason = "RCPT TO: " + refused};
    const net::RefusedRecipient& last = receipt->refused.back();
    return {.reason = said("RCPT TO", last.code, last.text),
            .failure = "deferred",
            .rest = encode_email(later),
            .refused = refused};
  }
  Verdict verdict{.reason = said(receipt->at, receipt->code, receipt->text)};
  // A password can be mended, and what the server says of itself concerns no message.
  const bool about_us = receipt->at == "AUTH" || receipt->at == "EHLO" || receipt->at == "HELO" ||
                        receipt->at == "STARTTLS" || receipt->at == "connect";
  if (receipt->at == "AUTH") verdict.failure = "auth";
  if (receipt->code >= 500 && !about_us) verdict.outcome = Outcome::Permanent;
  return verdict;
}

}  // namespace alerting
