#include "net/client_resolver.h"

#include <algorithm>
#include <arpa/inet.h>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <netdb.h>
#include <pthread.h>
#include <sys/socket.h>
#include <thread>
#include <utility>

namespace net {

using core::ErrorCode;
using core::fail;
using core::Result;

namespace {

constexpr unsigned kThreads = 4;  // one name server that does not answer holds one up
constexpr size_t kWaitingMax = 10'000;

std::string text_of(int error) {
  switch (error) {
    case EAI_NONAME:
    case EAI_NODATA:
      return "no such host";
    case EAI_AGAIN:
      return "temporary failure in name resolution";
    default:
      return gai_strerror(error);
  }
}

Result<std::vector<std::string>> resolve(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  int error = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (error == EAI_NONAME || error == EAI_ADDRFAMILY || error == EAI_NODATA) {
    // AI_ADDRCONFIG hides loopback names on a host without any other address.
    hints.ai_flags = 0;
    error = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  }
  if (error != 0) return fail(ErrorCode::Unavailable, "lookup {}: {}", host, text_of(error));
  std::vector<std::string> addresses;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    char text[NI_MAXHOST];
    if (getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof(text), nullptr, 0, NI_NUMERICHOST) !=
        0) {
      continue;
    }
    if (std::find(addresses.begin(), addresses.end(), text) == addresses.end()) {
      addresses.emplace_back(text);
    }
  }
  freeaddrinfo(found);
  if (addresses.empty()) return fail(ErrorCode::Unavailable, "lookup {}: no such host", host);
  return addresses;
}

}  // namespace

struct Resolver::Shared {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::pair<std::string, Done>> waiting;  // guarded by mutex
  bool stopping = false;                             // guarded by mutex
  bool has_threads = false;                          // guarded by mutex
};

Resolver::Resolver() : shared_(std::make_shared<Shared>()) {}

Resolver::~Resolver() {
  const std::lock_guard lock(shared_->mutex);
  shared_->stopping = true;
  shared_->waiting.clear();
  shared_->changed.notify_all();
}

void Resolver::look_up(const std::string& host, Done done) {
  {
    const std::lock_guard lock(shared_->mutex);
    if (!shared_->has_threads) {
      shared_->has_threads = true;
      for (unsigned i = 0; i < kThreads; ++i) {
        std::thread thread([shared = shared_] { run(shared); });
        pthread_setname_np(thread.native_handle(), "resolver");
        thread.detach();
      }
    }
    if (shared_->waiting.size() < kWaitingMax) {
      shared_->waiting.emplace_back(host, std::move(done));
      shared_->changed.notify_one();
      return;
    }
  }
  done(
      fail(ErrorCode::LimitExceeded, "lookup {}: {} names are waiting already", host, kWaitingMax));
}

void Resolver::run(const std::shared_ptr<Shared>& shared) {
  std::unique_lock lock(shared->mutex);
  for (;;) {
    shared->changed.wait(lock, [&] { return shared->stopping || !shared->waiting.empty(); });
    if (shared->stopping) return;
    auto [host, done] = std::move(shared->waiting.front());
    shared->waiting.pop_front();
    lock.unlock();
    Result<std::vector<std::string>> found = resolve(host);
    lock.lock();
    // Under the lock, so that the resolver's end waits for it: `done` only posts.
    if (!shared->stopping) done(std::move(found));
  }
}

}  // namespace net
