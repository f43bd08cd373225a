// The Transport seam: outgoing HTTP requests and mails of notifiers. Embedded
// form: libcurl on its own thread; simulated: the receiver of alerting/notifier_test.cc.

#pragma once

#include "core/result.h"
#include "net/client_config.h"
#include "net/http.h"
#include "net/smtp.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace net {

struct OutgoingRequest {
  std::string method = "GET";
  std::string url{};
  Headers headers{};
  std::string body{};
  int64_t timeout_ms = 10'000;
  uint64_t response_size_max = 1U << 20;
  // Authentication, TLS, proxy, redirects. Secrets stand in it by value: who sends has
  // read their files. Null: none of that, and redirects are answers.
  std::shared_ptr<const ClientConfig> client{};
};

// Thread-safe.
class Transport {
 public:
  virtual ~Transport() = default;
  using Done = std::function<void(core::Result<Response>)>;
  // Calls `done` exactly once, from another thread or (in simulation) later: any HTTP
  // status is a Response, everything before it an Error (Unavailable, Timeout,
  // InvalidArgument for a bad URL). LimitExceeded when too many are in flight.
  virtual void send(OutgoingRequest request, Done done) = 0;

  using MailDone = std::function<void(core::Result<MailReceipt>)>;
  // The same for a mail: whatever the server answered is a receipt; an error is that
  // there was no answer, or none that counts (TLS, no common way to log in).
  virtual void send_mail(OutgoingMail mail, MailDone done);
};

}  // namespace net
