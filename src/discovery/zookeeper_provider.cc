#include "discovery/zookeeper_provider.h"

#include "discovery/registered_entries.h"
#include "discovery/zookeeper_session.h"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <utility>

namespace discovery {

using core::Error;
using core::ErrorCode;
using core::fail;
using core::Result;

namespace {

constexpr size_t kInFlightMax = 256;
constexpr size_t kInstanceDepth = 3;   // <prefix>/<tenant>/<job>/<instance>
constexpr int64_t kConnectMs = 5'000;  // without a session by then the store counts as away
constexpr int64_t kRetryMs = 4'000;
constexpr int64_t kBusyMs = 1'000;  // when the executor is full
constexpr int64_t kGatherMs = 200;  // a watch fires, and its node is read this much later

// Keeps the tree of nodes and reads of it what the watches say has changed.
//
// Thread-safe. Held by shared_ptr because timers that have started cannot be stopped.
// Sessions are opened, used by timers and closed under tend_mutex_; their callbacks, which
// closing waits for, never take it. Order: tend_mutex_, then mutex_.
class ZookeeperReader : public std::enable_shared_from_this<ZookeeperReader> {
 public:
  ZookeeperReader(const config::ZookeeperDiscovery& config, const std::string& name,
                  const ProviderParts& parts, std::unique_ptr<ZookeeperConnector> connector)
      : config_(config),
        parts_(parts),
        entries_(RegisteredEntries::create(
            {RegistrationStore::Zookeeper, name, config.prefix, config.refresh_interval_ms},
            parts)),
        connector_(std::move(connector)) {}

  void start(Provider::Update update) {
    entries_->start(std::move(update));
    {
      // What the file knows and the store does not is then gone as any other.
      const std::lock_guard lock(mutex_);
      for (const std::string& path : entries_->paths()) remember(path);
    }
    tend_soon(0);
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      is_stopped_ = true;
    }
    {
      const std::lock_guard tend_lock(tend_mutex_);
      close();
    }
    entries_->stop();
  }

  ProviderStatus status() const { return entries_->status(); }

 private:
  struct Read {
    std::string path;
    bool is_deep = true;  // also what is known already below it
  };

  // Everything that must not happen in a callback, on the executor.
  void tend() {
    const std::lock_guard tend_lock(tend_mutex_);
    bool is_expired = false;
    bool is_connected = false;
    bool wants_pass = false;
    std::set<std::string> dirty;
    {
      const std::lock_guard lock(mutex_);
      if (is_stopped_) return;
      is_expired = std::exchange(is_expired_, false);
      is_connected = is_connected_;
      wants_pass = is_connected && std::exchange(wants_pass_, false);
      if (is_connected) dirty.swap(dirty_);
    }
    if (is_expired) close();
    if (session_ == nullptr) {
      connect();
      return;
    }
    if (!is_connected) return;
    if (wants_pass) {
      begin_pass();
    } else if (!dirty.empty()) {
      read(dirty);
    }
    pump(session_.get());
  }

  void connect() {
    auto session = connector_->connect(
        config_.servers, config_.session_timeout_ms,
        [this](ZookeeperEvent event, const std::string& path) { on_event(event, path); });
    if (!session) {
      entries_->store_lost(session.error().message);
      tend_soon(kRetryMs);
      return;
    }
    session_ = *std::move(session);
    tend_soon(0);  // its first event may have come already
    after(kConnectMs, [this] {
      bool is_unheard = false;
      {
        const std::lock_guard lock(mutex_);
        is_unheard = !has_connected_;
      }
      if (is_unheard) entries_->store_lost("ZooKeeper: " + servers() + ": no session");
    });
  }

  void close() {
    {
      const std::lock_guard lock(mutex_);
      is_connected_ = false;
      has_connected_ = false;
      queue_.clear();
    }
    session_.reset();  // answers what is in flight with Cancelled
    const std::lock_guard lock(mutex_);
    in_flight_ = 0;
  }

  void on_event(ZookeeperEvent event, const std::string& path) {
    switch (event) {
      case ZookeeperEvent::Connected: {
        const std::lock_guard lock(mutex_);
        is_connected_ = true;
        has_connected_ = true;
        wants_pass_ = true;  // watches may have fired unseen
        break;
      }
      case ZookeeperEvent::Disconnected:
      case ZookeeperEvent::Expired: {
        const bool is_expired = event == ZookeeperEvent::Expired;
        {
          const std::lock_guard lock(mutex_);
          is_connected_ = false;
          is_expired_ = is_expired_ || is_expired;
          queue_.clear();
        }
        entries_->store_lost(fmt::format("ZooKeeper: {}: {}", servers(),
                                         is_expired ? "session expired" : "connection lost"));
        break;
      }
      default: {
        const std::lock_guard lock(mutex_);
        const bool is_first = dirty_.empty();
        dirty_.insert(path);
        if (!is_first) return;
      }
    }
    const bool is_node = !path.empty();
    tend_soon(is_node ? kGatherMs : 0);
  }

  void begin_pass() {
    {
      const std::lock_guard lock(mutex_);
      queue_.clear();
      queue_.push_back({config_.prefix, true});
      error_.clear();
      ++pass_;
    }
    schedule_refresh();
  }

  void schedule_refresh() {
    uint64_t pass = 0;
    {
      const std::lock_guard lock(mutex_);
      pass = pass_;
    }
    after(config_.refresh_interval_ms, [this, pass] { want_pass(pass); });
  }

  // Unless another pass has begun since `pass`.
  void want_pass(uint64_t pass) {
    {
      const std::lock_guard lock(mutex_);
      if (pass_ != pass) return;
      wants_pass_ = true;
    }
    tend_soon(0);
  }

  void read(const std::set<std::string>& paths) {
    const std::lock_guard lock(mutex_);
    for (const std::string& path : paths) queue_.push_back({path, false});
  }

  // Sends what is queued, a bounded number at a time.
  void pump(ZookeeperSession* session) {
    while (true) {
      Read next;
      {
        const std::lock_guard lock(mutex_);
        if (is_stopped_ || queue_.empty() || in_flight_ >= kInFlightMax) return;
        next = std::move(queue_.front());
        queue_.pop_front();
        ++in_flight_;
      }
      send(session, next);
    }
  }

  void send(ZookeeperSession* session, const Read& read) {
    const std::string& path = read.path;
    if (depth_of(path) == kInstanceDepth) {
      session->get(path, [this, session, path](Result<std::string> value) {
        take_value(path, value);
        finish(session, value ? Error{} : value.error(), value.has_value());
      });
      return;
    }
    session->children(path, [this, session, read](Result<std::vector<std::string>> names) {
      take_children(session, read, names);
      finish(session, names ? Error{} : names.error(), names.has_value());
    });
  }

  void take_value(const std::string& path, const Result<std::string>& value) {
    if (value) {
      entries_->put(path, *value);
    } else if (value.error().code == ErrorCode::NotFound) {
      entries_->erase(path);
      const std::lock_guard lock(mutex_);
      forget(path);
    }
  }

  void take_children(ZookeeperSession* session, const Read& read,
                     const Result<std::vector<std::string>>& names) {
    if (!names && names.error().code != ErrorCode::NotFound) return;
    std::vector<std::string> gone;
    {
      const std::lock_guard lock(mutex_);
      const std::set<std::string> now =
          names ? std::set<std::string>(names->begin(), names->end()) : std::set<std::string>();
      std::set<std::string>& known = children_[read.path];
      for (const std::string& name : known) {
        if (!now.contains(name)) collect(read.path + "/" + name, gone);
      }
      for (const std::string& name : now) {
        if (!read.is_deep && known.contains(name)) continue;
        if (queue_.size() >= kRegisteredEntriesMax) {
          error_ = fmt::format("{}: more than {} nodes", config_.prefix, kRegisteredEntriesMax);
          break;
        }
        queue_.push_back({read.path + "/" + name, true});
      }
      known = now;
      if (!names) forget(read.path);
    }
    for (const std::string& path : gone) entries_->erase(path);
    // The prefix itself may come later; above it nothing is watched.
    if (!names && read.path == config_.prefix) watch_for_prefix(session);
  }

  void watch_for_prefix(ZookeeperSession* session) {
    {
      const std::lock_guard lock(mutex_);
      ++in_flight_;
    }
    session->exists(config_.prefix, [this, session](Result<void> found) {
      if (found) {
        const std::lock_guard lock(mutex_);
        queue_.push_back({config_.prefix, true});
      }
      finish(session, found ? Error{} : found.error(), found.has_value());
    });
  }

  // One answer has come. With the last one all that is known is the store's content.
  void finish(ZookeeperSession* session, const Error& error, bool is_good) {
    const bool is_bad = !is_good && error.code != ErrorCode::NotFound;
    std::string pass_error;
    uint64_t pass = 0;  // over, when set
    {
      const std::lock_guard lock(mutex_);
      if (in_flight_ > 0) --in_flight_;
      if (error.code == ErrorCode::Cancelled && !is_good) return;
      if (is_bad && error_.empty()) error_ = error.message;
      if (is_bad && error.code == ErrorCode::Unavailable) queue_.clear();
      if (queue_.empty() && in_flight_ == 0) {
        pass_error = error_;
        pass = pass_;
      }
    }
    if (pass == 0) {
      pump(session);
    } else if (pass_error.empty()) {
      entries_->store_read();
    } else {
      entries_->store_lost(pass_error);
      after(kRetryMs, [this, pass] { want_pass(pass); });
    }
  }

  size_t depth_of(std::string_view path) const {
    path.remove_prefix(std::min(path.size(), config_.prefix.size()));
    return static_cast<size_t>(std::count(path.begin(), path.end(), '/'));
  }

  // With mutex_ held: `path` and what leads to it become known children.
  void remember(const std::string& path) {
    for (std::string at = path; at.size() > config_.prefix.size();) {
      const size_t slash = at.rfind('/');
      children_[at.substr(0, slash)].insert(at.substr(slash + 1));
      at.resize(slash);
    }
  }

  // With mutex_ held: a node that was not there is new when it is listed again.
  void forget(const std::string& path) {
    const size_t slash = path.rfind('/');
    const auto parent = children_.find(path.substr(0, slash));
    if (parent != children_.end()) parent->second.erase(path.substr(slash + 1));
    children_.erase(path);
  }

  // With mutex_ held: the entries at and below `path`, which are no longer known.
  void collect(const std::string& path, std::vector<std::string>& out) {
    if (depth_of(path) == kInstanceDepth) {
      out.push_back(path);
      return;
    }
    const auto found = children_.find(path);
    if (found == children_.end()) return;
    const std::set<std::string> names = std::move(found->second);
    children_.erase(found);
    for (const std::string& name : names) collect(path + "/" + name, out);
  }

  void tend_soon(int64_t delay_ms) {
    parts_.scheduler.after(delay_ms, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      const bool is_posted = self->parts_.executor.post([weak] {
        if (const auto reader = weak.lock()) reader->tend();
      });
      if (!is_posted) self->tend_soon(kBusyMs);
    });
  }

  template <typename Task>
  void after(int64_t delay_ms, Task task) {
    parts_.scheduler.after(delay_ms, [weak = weak_from_this(), task] {
      const auto self = weak.lock();
      if (!self) return;
      {
        const std::lock_guard lock(self->mutex_);
        if (self->is_stopped_) return;
      }
      task();
    });
  }

  std::string servers() const {
    std::string out;
    for (const std::string& server : config_.servers) out += (out.empty() ? "" : ",") + server;
    return out;
  }

  const config::ZookeeperDiscovery config_;
  const ProviderParts parts_;
  const std::shared_ptr<RegisteredEntries> entries_;
  const std::unique_ptr<ZookeeperConnector> connector_;

  std::mutex tend_mutex_;
  std::unique_ptr<ZookeeperSession> session_;  // guarded by tend_mutex_

  std::mutex mutex_;
  // All below guarded by mutex_.
  std::map<std::string, std::set<std::string>> children_;  // of every node above the instances
  std::deque<Read> queue_;       // at most one per node, and one per watch that fired
  std::set<std::string> dirty_;  // nodes whose watch fired
  size_t in_flight_ = 0;
  std::string error_;  // the first of this pass
  uint64_t pass_ = 0;
  bool is_connected_ = false;
  bool has_connected_ = false;  // once in this session
  bool is_expired_ = false;
  bool wants_pass_ = false;
  bool is_stopped_ = false;
};

class ZookeeperProvider final : public Provider {
 public:
  explicit ZookeeperProvider(std::shared_ptr<ZookeeperReader> reader)
      : reader_(std::move(reader)) {}
  ~ZookeeperProvider() override { ZookeeperProvider::stop(); }
  void start(Update update) override { reader_->start(std::move(update)); }
  void stop() override { reader_->stop(); }
  ProviderStatus status() const override { return reader_->status(); }

 private:
  const std::shared_ptr<ZookeeperReader> reader_;
};

}  // namespace

Result<std::unique_ptr<Provider>> make_zookeeper_provider(const config::ZookeeperDiscovery& config,
                                                          const std::string& name,
                                                          const ProviderParts& parts) {
  if (config.servers.empty()) {
    return fail(ErrorCode::InvalidArgument, "zookeeper: servers: expected at least one");
  }
  if (config.prefix.size() < 2 || !config.prefix.starts_with('/')) {
    return fail(ErrorCode::InvalidArgument,
                "zookeeper: prefix: \"{}\": expected a path such as \"/petrel/sd\"", config.prefix);
  }
  return make_zookeeper_provider(config, name, parts, make_zookeeper_connector());
}

std::unique_ptr<Provider> make_zookeeper_provider(const config::ZookeeperDiscovery& config,
                                                  const std::string& name,
                                                  const ProviderParts& parts,
                                                  std::unique_ptr<ZookeeperConnector> connector) {
  config::ZookeeperDiscovery whole = config;
  while (whole.prefix.ends_with('/')) whole.prefix.pop_back();
  return std::make_unique<ZookeeperProvider>(
      std::make_shared<ZookeeperReader>(whole, name, parts, std::move(connector)));
}

}  // namespace discovery
