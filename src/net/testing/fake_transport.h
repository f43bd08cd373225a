// A Transport without a network: the test answers.

#pragma once

#include "core/scheduler.h"
#include "net/transport.h"

#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

namespace net::testing {

// Thread-safe. Requests wait until deliver_all(), or, with a scheduler, until
// `latency_ms` have passed; the responder then decides what comes back.
class FakeTransport final : public Transport {
 public:
  using Responder = std::function<core::Result<Response>(const OutgoingRequest&)>;

  FakeTransport() = default;
  FakeTransport(core::Scheduler& scheduler, int64_t latency_ms)
      : scheduler_(&scheduler), latency_ms_(latency_ms) {}

  void send(OutgoingRequest request, Done done) override;

  // What to answer from now on; 200 with an empty body until set.
  void respond_with(Responder responder);
  // Answers the oldest waiting request with the responder. False when none waits.
  bool deliver_one();
  void deliver_all();

  // Everything sent so far, in order.
  std::vector<OutgoingRequest> requests() const;
  size_t waiting() const;

 private:
  struct Waiting {
    OutgoingRequest request;
    Done done;
  };

  core::Scheduler* scheduler_ = nullptr;
  int64_t latency_ms_ = 0;
  mutable std::mutex mutex_;
  Responder responder_;                    // guarded by mutex_
  std::vector<OutgoingRequest> requests_;  // guarded by mutex_
  std::deque<Waiting> waiting_;            // guarded by mutex_
};

}  // namespace net::testing
