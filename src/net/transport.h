// The Transport seam: outgoing HTTP requests of notifiers and discovery. Embedded
// form: libcurl on its own thread; simulated: the receiver of alerting/notifier_test.cc.

#pragma once

#include "core/result.h"
#include "net/http.h"

#include <cstdint>
#include <functional>
#include <string>

namespace net {

struct OutgoingRequest {
  std::string method = "GET";
  std::string url{};
  Headers headers{};
  std::string body{};
  int64_t timeout_ms = 10'000;
  uint64_t response_size_max = 1U << 20;
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
};

}  // namespace net
