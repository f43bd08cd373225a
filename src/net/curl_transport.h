// The embedded Transport: libcurl's multi interface on one thread of its own.
//
// Redirects are not followed (a 3xx is an answer like any other): a webhook that moves
// must be reconfigured, and no credential may follow to another host.

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

 private:
  struct Loop;

  explicit CurlTransport(std::unique_ptr<Loop> loop);

  std::unique_ptr<Loop> loop_;
};

}  // namespace net
