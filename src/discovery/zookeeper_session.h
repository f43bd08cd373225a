// A session with ZooKeeper, over its C client (libzookeeper_mt): asynchronous, one-shot
// watches, threads of the library's own.

#pragma once

#include "core/result.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace discovery {

enum class ZookeeperEvent : uint8_t {
  Connected,  // also after a lost connection: the session and its watches are the same
  Disconnected,
  Expired,          // the session is over for good, its ephemeral nodes are gone
  NodeCreated,      // of exists()
  NodeDeleted,      // of exists(), get() and children()
  NodeChanged,      // of exists() and get()
  ChildrenChanged,  // of children()
};

// Thread-safe. Callbacks run on one thread of the session, one at a time, and exactly
// once, with Cancelled when the session ends; a call that cannot even be sent is answered
// from within. Errors: NotFound (no such node), Conflict (it exists), Unavailable (connection lost,
// expired), PermissionDenied.
class ZookeeperSession {
 public:
  using OnEvent = std::function<void(ZookeeperEvent, const std::string& path)>;
  using OnChildren = std::function<void(core::Result<std::vector<std::string>>)>;
  using OnValue = std::function<void(core::Result<std::string>)>;
  using OnDone = std::function<void(core::Result<void>)>;

  // Joins the session's threads: not from a callback. A session that is connected is
  // closed, which removes its ephemeral nodes.
  virtual ~ZookeeperSession() = default;

  // These three set a watch; exists() also when there is no such node (NotFound).
  virtual void exists(const std::string& path, OnDone done) = 0;
  virtual void children(const std::string& path, OnChildren done) = 0;
  virtual void get(const std::string& path, OnValue done) = 0;

  enum class Lifetime : uint8_t { Persistent, Ephemeral };
  virtual void create(const std::string& path, std::string_view value, Lifetime lifetime,
                      OnDone done) = 0;
  virtual void set(const std::string& path, std::string_view value, OnDone done) = 0;
  virtual void remove(const std::string& path, OnDone done) = 0;
};

// Opens sessions. Thread-safe.
class ZookeeperConnector {
 public:
  virtual ~ZookeeperConnector() = default;
  // Returns before it is connected, which an event tells. Unavailable when no server's
  // name resolves.
  virtual core::Result<std::unique_ptr<ZookeeperSession>> connect(
      const std::vector<std::string>& servers, int64_t session_timeout_ms,
      ZookeeperSession::OnEvent on_event) = 0;
};

std::unique_ptr<ZookeeperConnector> make_zookeeper_connector();

}  // namespace discovery
