// The email channel: a notification as a MIME message, and what a mail server's answer
// means.

#pragma once

#include "alerting/config.h"
#include "alerting/notify/notification.h"
#include "core/result.h"
#include "net/smtp.h"
#include "templates/template_set.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace alerting {

// A message as it is kept until it is delivered: the same bytes, with the same
// Message-ID, for every attempt.
struct EmailMessage {
  std::string from;
  std::vector<std::string> to;
  std::string message;
};
std::string encode_email(const EmailMessage& email);
core::Result<EmailMessage> decode_email(std::string_view bytes);

struct EmailContext {
  const templates::TemplateSet& templates;
  std::string id;  // of the delivery
  int64_t now_ms = 0;
};

// A template that fails does not keep the page back: what it should have made is then
// a plain text that says so. InvalidArgument when `to` or `from` give no address.
core::Result<EmailMessage> make_email(const EmailConfig& config, const Notification& notification,
                                      const EmailContext& context);

// `email` is what was sent.
Verdict judge_email(const core::Result<net::MailReceipt>& receipt, const EmailMessage& email);

}  // namespace alerting
