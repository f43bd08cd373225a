#include "discovery/zookeeper_session.h"

#include "core/log.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>
#include <zookeeper/zookeeper.h>

namespace discovery {

using core::ErrorCode;
using core::fail;
using core::Result;

namespace {

ErrorCode code_of(int rc) {
  switch (rc) {
    case ZNONODE:
      return ErrorCode::NotFound;
    case ZNODEEXISTS:
      return ErrorCode::Conflict;
    case ZNOAUTH:
    case ZAUTHFAILED:
      return ErrorCode::PermissionDenied;
    case ZBADARGUMENTS:
      return ErrorCode::InvalidArgument;
    case ZCLOSING:
      return ErrorCode::Cancelled;
    default:
      return ErrorCode::Unavailable;
  }
}

Result<void> judge(int rc, const std::string& path) {
  if (rc == ZOK) return {};
  return fail(code_of(rc), "ZooKeeper: {}: {}", path, zerror(rc));
}

// What a completion gets back as its `data`; freed there.
template <typename Done>
struct Call {
  std::string path;
  Done done;
};

template <typename Done>
std::unique_ptr<Call<Done>> take_call(const void* data) {
  return std::unique_ptr<Call<Done>>(static_cast<Call<Done>*>(const_cast<void*>(data)));  // NOLINT
}

using DoneCall = Call<ZookeeperSession::OnDone>;
using ValueCall = Call<ZookeeperSession::OnValue>;
using ChildrenCall = Call<ZookeeperSession::OnChildren>;

void on_void(int rc, const void* data) {
  const auto call = take_call<ZookeeperSession::OnDone>(data);
  call->done(judge(rc, call->path));
}
void on_stat(int rc, const Stat*, const void* data) {
  on_void(rc, data);
}
void on_string(int rc, const char*, const void* data) {
  on_void(rc, data);
}

void on_data(int rc, const char* value, int size, const Stat*, const void* data) {
  const auto call = take_call<ZookeeperSession::OnValue>(data);
  if (const Result<void> judged = judge(rc, call->path); !judged) {
    call->done(tl::unexpected(judged.error()));
    return;
  }
  // A node without a value has the size -1.
  call->done(size > 0 ? std::string(value, static_cast<size_t>(size)) : std::string());
}

void on_strings(int rc, const String_vector* names, const void* data) {
  const auto call = take_call<ZookeeperSession::OnChildren>(data);
  if (const Result<void> judged = judge(rc, call->path); !judged) {
    call->done(tl::unexpected(judged.error()));
    return;
  }
  std::vector<std::string> out;
  for (int32_t i = 0; names != nullptr && i < names->count; ++i) out.emplace_back(names->data[i]);
  call->done(std::move(out));
}

// The library's own lines tell of each try to connect; Petrel tells of changes.
void on_log(const char* message) {
  core::log_debug("zookeeper", message);
}

class CSession final : public ZookeeperSession {
 public:
  explicit CSession(OnEvent on_event) : on_event_(std::move(on_event)) {}

  ~CSession() override {
    if (handle_.load() != nullptr) zookeeper_close(handle_);
  }

  Result<void> open(const std::vector<std::string>& servers, int64_t session_timeout_ms) {
    std::string hosts;
    for (const std::string& server : servers) hosts += (hosts.empty() ? "" : ",") + server;
    errno = 0;
    handle_ = zookeeper_init2(hosts.c_str(), &CSession::on_watch,
                              static_cast<int>(session_timeout_ms), nullptr, this, 0, &on_log);
    if (handle_.load() != nullptr) return {};
    return fail(ErrorCode::Unavailable, "ZooKeeper: {}: {}", hosts, std::strerror(errno));
  }

  void exists(const std::string& path, OnDone done) override {
    auto call = std::make_unique<DoneCall>(path, std::move(done));
    const int rc =
        zoo_awexists(handle_, path.c_str(), &CSession::on_watch, this, &on_stat, call.get());
    settle(rc, std::move(call));
  }
  void children(const std::string& path, OnChildren done) override {
    auto call = std::make_unique<ChildrenCall>(path, std::move(done));
    if (const int rc = zoo_awget_children(handle_, path.c_str(), &CSession::on_watch, this,
                                          &on_strings, call.get());
        rc != ZOK) {
      call->done(tl::unexpected(judge(rc, path).error()));
      return;
    }
    std::ignore = call.release();
  }
  void get(const std::string& path, OnValue done) override {
    auto call = std::make_unique<ValueCall>(path, std::move(done));
    if (const int rc =
            zoo_awget(handle_, path.c_str(), &CSession::on_watch, this, &on_data, call.get());
        rc != ZOK) {
      call->done(tl::unexpected(judge(rc, path).error()));
      return;
    }
    std::ignore = call.release();
  }
  void create(const std::string& path, std::string_view value, Lifetime lifetime,
              OnDone done) override {
    auto call = std::make_unique<DoneCall>(path, std::move(done));
    const int mode = lifetime == Lifetime::Ephemeral ? ZOO_EPHEMERAL : ZOO_PERSISTENT;
    const int rc = zoo_acreate(handle_, path.c_str(), value.data(), static_cast<int>(value.size()),
                               &ZOO_OPEN_ACL_UNSAFE, mode, &on_string, call.get());
    settle(rc, std::move(call));
  }
  void set(const std::string& path, std::string_view value, OnDone done) override {
    auto call = std::make_unique<DoneCall>(path, std::move(done));
    const int rc = zoo_aset(handle_, path.c_str(), value.data(), static_cast<int>(value.size()), -1,
                            &on_stat, call.get());
    settle(rc, std::move(call));
  }
  void remove(const std::string& path, OnDone done) override {
    auto call = std::make_unique<DoneCall>(path, std::move(done));
    const int rc = zoo_adelete(handle_, path.c_str(), -1, &on_void, call.get());
    settle(rc, std::move(call));
  }

 private:
  // A call that was taken belongs to its completion.
  static void settle(int rc, std::unique_ptr<DoneCall> call) {
    if (rc == ZOK) {
      std::ignore = call.release();
    } else {
      call->done(judge(rc, call->path));
    }
  }

  static void on_watch(zhandle_t* handle, int type, int state, const char* path, void* context) {
    auto& session = *static_cast<CSession*>(context);
    session.handle_ = handle;  // the first event may come before open() has it
    const std::string where = path == nullptr ? "" : path;
    if (type == ZOO_CREATED_EVENT) session.on_event_(ZookeeperEvent::NodeCreated, where);
    if (type == ZOO_DELETED_EVENT) session.on_event_(ZookeeperEvent::NodeDeleted, where);
    if (type == ZOO_CHANGED_EVENT) session.on_event_(ZookeeperEvent::NodeChanged, where);
    if (type == ZOO_CHILD_EVENT) session.on_event_(ZookeeperEvent::ChildrenChanged, where);
    if (type != ZOO_SESSION_EVENT) return;
    if (state == ZOO_CONNECTED_STATE) {
      session.on_event_(ZookeeperEvent::Connected, "");
    } else if (state == ZOO_EXPIRED_SESSION_STATE || state == ZOO_AUTH_FAILED_STATE) {
      session.on_event_(ZookeeperEvent::Expired, "");
    } else {
      session.on_event_(ZookeeperEvent::Disconnected, "");
    }
  }

  const OnEvent on_event_;
  std::atomic<zhandle_t*> handle_ = nullptr;
};

class CConnector final : public ZookeeperConnector {
 public:
  Result<std::unique_ptr<ZookeeperSession>> connect(const std::vector<std::string>& servers,
                                                    int64_t session_timeout_ms,
                                                    ZookeeperSession::OnEvent on_event) override {
    static const bool kQuiet = (zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR), true);
    std::ignore = kQuiet;
    auto session = std::make_unique<CSession>(std::move(on_event));
    TRY(session->open(servers, session_timeout_ms));
    return session;
  }
};

}  // namespace

std::unique_ptr<ZookeeperConnector> make_zookeeper_connector() {
  return std::make_unique<CConnector>();
}

}  // namespace discovery
