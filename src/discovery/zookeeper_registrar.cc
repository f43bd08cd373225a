#include "discovery/registrar.h"
#include "discovery/zookeeper_session.h"

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <utility>

namespace discovery {

using core::ErrorCode;
using core::fail;
using core::Result;

namespace {

constexpr auto kCallTimeout = std::chrono::seconds(10);
constexpr int64_t kKeepIntervalMs = 1'000;  // looks at the session only, sends nothing

class ZookeeperRegistrar final : public Registrar {
 public:
  ZookeeperRegistrar(config::ZookeeperDiscovery config, RegistrarOptions options)
      : config_(std::move(config)),
        options_(std::move(options)),
        connector_(make_zookeeper_connector()) {}

  Result<void> put() override {
    TRY(connect());
    if (!options_.is_bound) {
      const Result<void> set = run([this](auto done) { session_->set(path(), value(), done); });
      if (set || set.error().code != ErrorCode::NotFound) return set;
    }
    TRY(create_parents());
    Result<void> created = create();
    if (created || created.error().code != ErrorCode::Conflict) return created;
    // Left by an earlier session, with which it would go.
    const Result<void> removed = run([this](auto done) { session_->remove(path(), done); });
    if (!removed && removed.error().code != ErrorCode::NotFound) return removed;
    return create();
  }

  Result<void> keep() override {
    const std::lock_guard lock(mutex_);
    if (is_expired_) return fail(ErrorCode::NotFound, "the session has expired");
    if (!is_connected_) return fail(ErrorCode::Unavailable, "connection lost");
    return {};
  }

  int64_t keep_interval_ms() const override { return kKeepIntervalMs; }

  Result<void> remove() override {
    TRY(connect());
    return run([this](auto done) { session_->remove(path(), done); });
  }

 private:
  const std::string& path() const { return options_.path; }
  const std::string& value() const { return options_.value; }

  Result<void> connect() {
    std::unique_lock lock(mutex_);
    if (session_ && is_expired_) {
      lock.unlock();
      session_.reset();  // waits for callbacks, which take the lock
      lock.lock();
    }
    if (!session_) {
      is_expired_ = is_connected_ = false;
      lock.unlock();
      session_ = TRY(connector_->connect(
          config_.servers, config_.session_timeout_ms,
          [this](ZookeeperEvent event, const std::string&) { on_event(event); }));
      lock.lock();
    }
    const bool is_up = changed_.wait_for(lock, kCallTimeout, [this] { return is_connected_; });
    if (is_up) return {};
    return fail(ErrorCode::Unavailable, "ZooKeeper: no session within {} s", kCallTimeout.count());
  }

  void on_event(ZookeeperEvent event) {
    const std::lock_guard lock(mutex_);
    if (event == ZookeeperEvent::Connected) is_connected_ = true;
    if (event == ZookeeperEvent::Disconnected) is_connected_ = false;
    if (event == ZookeeperEvent::Expired) {
      is_connected_ = false;
      is_expired_ = true;
    }
    changed_.notify_all();
  }

  Result<void> create_parents() {
    for (size_t slash = path().find('/', 1); slash != std::string::npos;
         slash = path().find('/', slash + 1)) {
      const Result<void> made = run([&](auto done) {
        session_->create(path().substr(0, slash), "", ZookeeperSession::Lifetime::Persistent, done);
      });
      if (!made && made.error().code != ErrorCode::Conflict) return made;
    }
    return {};
  }

  Result<void> create() {
    return run([this](auto done) {
      session_->create(path(), value(),
                       options_.is_bound ? ZookeeperSession::Lifetime::Ephemeral
                                         : ZookeeperSession::Lifetime::Persistent,
                       done);
    });
  }

  // Starts a call and waits for its answer; one that comes too late finds nobody.
  Result<void> run(const std::function<void(ZookeeperSession::OnDone)>& start) {
    struct Wait {
      std::mutex mutex;
      std::condition_variable ended;
      Result<void> result = {};
      bool has_ended = false;
    };
    const auto wait = std::make_shared<Wait>();
    start([wait](Result<void> result) {
      const std::lock_guard lock(wait->mutex);
      wait->result = std::move(result);
      wait->has_ended = true;
      wait->ended.notify_one();
    });
    std::unique_lock lock(wait->mutex);
    if (wait->ended.wait_for(lock, kCallTimeout, [&] { return wait->has_ended; })) {
      return wait->result;
    }
    return fail(ErrorCode::Timeout, "ZooKeeper: no answer within {} s", kCallTimeout.count());
  }

  const config::ZookeeperDiscovery config_;
  const RegistrarOptions options_;
  const std::unique_ptr<ZookeeperConnector> connector_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_connected_ = false;  // guarded by mutex_
  bool is_expired_ = false;    // guarded by mutex_
  // After what its callbacks use.
  std::unique_ptr<ZookeeperSession> session_;
};

}  // namespace

Result<std::unique_ptr<Registrar>> make_zookeeper_registrar(
    const config::ZookeeperDiscovery& config, RegistrarOptions options) {
  if (config.servers.empty()) {
    return fail(ErrorCode::InvalidArgument, "zookeeper: expected at least one server");
  }
  return std::make_unique<ZookeeperRegistrar>(config, std::move(options));
}

}  // namespace discovery
