// The embedded Transport: libcurl's multi interface, on a thread for requests and one for
// mails (libcurl says goodbye to a mail server while the thread waits).
//
// Redirects are followed only where the request's ClientConfig says so, and credentials
// never go to another host.

#pragma once

#include "net/transport.h"

#include <cstddef>
#include <memory>
#include <string>

namespace net {

struct CurlTransportOptions {
  size_t in_flight_max = 256;  // waiting and running; above it send() answers LimitExceeded
  std::string user_agent = "Petrel";
};

// Thread-safe. The destructor ends what is in flight with Cancelled and joins; `done`
// callbacks run on the transport's thread and must be short.
class CurlTransport final : public Transport {
 public:
  static core::Result<std::unique_ptr<CurlTransport>> start(CurlTransportOptions options = {});
  ~CurlTransport() override;

  void send(OutgoingRequest request, Done done) override;
  void send_mail(OutgoingMail mail, MailDone done) override;

 private:
  struct Loop;

  CurlTransport(std::unique_ptr<Loop> requests, std::unique_ptr<Loop> mails);
  static core::Result<std::unique_ptr<Loop>> start_loop(const CurlTransportOptions& options,
                                                        const char* thread_name);

  std::unique_ptr<Loop> requests_;
  std::unique_ptr<Loop> mails_;
};

}  // namespace net
