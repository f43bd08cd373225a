#include "net/testing/fake_transport.h"

#include <utility>

namespace net::testing {

void FakeTransport::send(OutgoingRequest request, Done done) {
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
    waiting_.push_back({.request = std::move(request), .done = std::move(done)});
  }
  if (scheduler_ != nullptr) scheduler_->after(latency_ms_, [this] { deliver_one(); });
}

void FakeTransport::respond_with(Responder responder) {
  const std::lock_guard lock(mutex_);
  responder_ = std::move(responder);
}

bool FakeTransport::deliver_one() {
  Waiting next;
  Responder responder;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty()) return false;
    next = std::move(waiting_.front());
    waiting_.pop_front();
    responder = responder_;
  }
  next.done(responder ? responder(next.request) : Response{});
  return true;
}

void FakeTransport::deliver_all() {
  while (deliver_one()) {
  }
}

std::vector<OutgoingRequest> FakeTransport::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

size_t FakeTransport::waiting() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

}  // namespace net::testing
