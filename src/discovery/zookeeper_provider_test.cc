#include "discovery/zookeeper_provider.h"

#include "core/log.h"
#include "core/testing/sim_file_system.h"
#include "core/testing/sim_scheduler.h"
#include "discovery/zookeeper_session.h"

#include <doctest/doctest.h>
#include <map>
#include <optional>
#include <set>

namespace {

using core::ErrorCode;
using core::Result;
using discovery::ZookeeperEvent;

constexpr int64_t kAnswerMs = 1;

// A server in one thread: nodes, and the one-shot watches of the session of the time.
struct FakeServer {
  explicit FakeServer(core::testing::SimScheduler& on) : scheduler(on) {}

  core::testing::SimScheduler& scheduler;
  std::map<std::string, std::string> nodes;
  bool is_up = true;
  std::set<std::string> value_watches;
  std::set<std::string> child_watches;
  discovery::ZookeeperSession::OnEvent on_event;  // of the open session
  int sessions = 0;
  int reads = 0;

  static std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

  void tell(ZookeeperEvent event, const std::string& path = "") {
    if (on_event) scheduler.after(0, [listener = on_event, event, path] { listener(event, path); });
  }
  void put(const std::string& path, const std::string& value) {
    const bool is_new = !nodes.contains(path);
    nodes[path] = value;
    if (value_watches.erase(path) > 0) {
      tell(is_new ? ZookeeperEvent::NodeCreated : ZookeeperEvent::NodeChanged, path);
    }
    if (is_new && child_watches.erase(parent_of(path)) > 0) {
      tell(ZookeeperEvent::ChildrenChanged, parent_of(path));
    }
  }
  void add(const std::string& path, const std::string& value) {
    for (size_t i = path.find('/', 1); i != std::string::npos; i = path.find('/', i + 1)) {
      if (!nodes.contains(path.substr(0, i))) put(path.substr(0, i), "");
    }
    put(path, value);
  }
  void remove(const std::string& path) {
    nodes.erase(path);
    const bool was_watched = value_watches.erase(path) + child_watches.erase(path) > 0;
    if (was_watched) tell(ZookeeperEvent::NodeDeleted, path);
    if (child_watches.erase(parent_of(path)) > 0) {
      tell(ZookeeperEvent::ChildrenChanged, parent_of(path));
    }
  }
  // What is not a change of nodes by a client of its own.
  void die() {
    is_up = false;
    tell(ZookeeperEvent::Disconnected);
  }
  void return_with_session() {
    is_up = true;
    tell(ZookeeperEvent::Connected);
  }
  void expire() {
    value_watches.clear();
    child_watches.clear();
    is_up = true;
    tell(ZookeeperEvent::Expired);
  }
};

class FakeSession final : public discovery::ZookeeperSession {
 public:
  explicit FakeSession(FakeServer& server) : server_(server) {}
  ~FakeSession() override {
    *is_open_ = false;
    server_.on_event = nullptr;
  }

  void exists(const std::string& path, OnDone done) override {
    answer([this, path, done](bool is_up) {
      if (!is_up) return done(core::fail(ErrorCode::Unavailable, "connection lost"));
      server_.value_watches.insert(path);
      done(server_.nodes.contains(path) ? Result<void>() : not_found(path));
    });
  }
  void children(const std::string& path, OnChildren done) override {
    answer([this, path, done](bool is_up) {
      if (!is_up) return done(core::fail(ErrorCode::Unavailable, "connection lost"));
      if (!server_.nodes.contains(path)) return done(not_found(path));
      server_.child_watches.insert(path);
      std::vector<std::string> names;
      for (const auto& [node, value] : server_.nodes) {
        if (node.size() > path.size() && FakeServer::parent_of(node) == path) {
          names.push_back(node.substr(path.size() + 1));
        }
      }
      done(names);
    });
  }
  void get(const std::string& path, OnValue done) override {
    answer([this, path, done](bool is_up) {
      if (!is_up) return done(core::fail(ErrorCode::Unavailable, "connection lost"));
      if (!server_.nodes.contains(path)) return done(not_found(path));
      server_.value_watches.insert(path);
      done(server_.nodes[path]);
    });
  }
  void create(const std::string&, std::string_view, Lifetime, OnDone) override {}
  void set(const std::string&, std::string_view, OnDone) override {}
  void remove(const std::string&, OnDone) override {}

 private:
  static tl::unexpected<core::Error> not_found(const std::string& path) {
    return core::fail(ErrorCode::NotFound, "{}: no node", path);
  }
  template <typename Answer>
  void answer(Answer answer) {
    ++server_.reads;
    server_.scheduler.after(kAnswerMs, [this, answer, is_open = is_open_] {
      if (*is_open) answer(server_.is_up);
    });
  }

  FakeServer& server_;
  const std::shared_ptr<bool> is_open_ = std::make_shared<bool>(true);
};

class FakeConnector final : public discovery::ZookeeperConnector {
 public:
  explicit FakeConnector(FakeServer& server) : server_(server) {}
  Result<std::unique_ptr<discovery::ZookeeperSession>> connect(
      const std::vector<std::string>&, int64_t,
      discovery::ZookeeperSession::OnEvent on_event) override {
    ++server_.sessions;
    server_.on_event = std::move(on_event);
    if (server_.is_up) server_.tell(ZookeeperEvent::Connected);
    return std::make_unique<FakeSession>(server_);
  }

 private:
  FakeServer& server_;
};

class Fixture {
 public:
  Fixture() { core::set_log_level(core::LogLevel::Error); }
  ~Fixture() {
    if (provider) provider->stop();
    core::set_log_level(core::LogLevel::Info);
  }

  void start() {
    config::ZookeeperDiscovery config;
    config.servers = {"zk:2181"};
    updates = 0;
    provider = discovery::make_zookeeper_provider(
        config, "node/0",
        {scheduler, scheduler, clock, files, rng,
         *reinterpret_cast<net::ClientLoop*>(this),  // NOLINT: not used by this provider
         "/state"},
        std::make_unique<FakeConnector>(server));
    provider->start([this](std::vector<config::TargetGroup> groups) {
      ++updates;
      for (config::TargetGroup& group : groups) {
        if (group.targets.empty()) {
          known.erase(group.source);
        } else {
          known[group.source] = std::string(group.targets[0].get("__address__"));
        }
      }
    });
  }

  core::testing::FakeClock clock;
  core::testing::SimScheduler scheduler{clock};
  core::testing::SimFileSystem files;
  core::SeededRng rng{1};
  FakeServer server{scheduler};
  std::map<std::string, std::string> known;
  int updates = 0;
  std::unique_ptr<discovery::Provider> provider;
};

constexpr const char* kOne = R"({"targets":["h1:1"]})";
constexpr const char* kTwo = R"({"targets":["h2:1"]})";
using Known = std::map<std::string, std::string>;

}  // namespace

TEST_CASE_FIXTURE(Fixture, "zookeeper: all levels are read, and each change is seen") {
  server.add("/petrel/sd/t/j/1", kOne);
  server.add("/petrel/sd/u/k/1", kTwo);
  start();
  scheduler.run_for(100);
  CHECK(known == Known{{"/petrel/sd/t/j/1", "h1:1"}, {"/petrel/sd/u/k/1", "h2:1"}});
  server.put("/petrel/sd/t/j/1", kTwo);
  scheduler.run_for(1000);
  CHECK(known["/petrel/sd/t/j/1"] == "h2:1");
  server.put("/petrel/sd/t/j/1", kOne);
  scheduler.run_for(1000);
  CHECK(known["/petrel/sd/t/j/1"] == "h1:1");
  server.add("/petrel/sd/t/j/2", kTwo);
  server.add("/petrel/sd/v/new/1", kTwo);
  scheduler.run_for(1000);
  CHECK(known.size() == 4);
  server.remove("/petrel/sd/t/j/1");
  server.remove("/petrel/sd/v/new/1");
  server.remove("/petrel/sd/v/new");
  server.remove("/petrel/sd/v");
  scheduler.run_for(1000);
  CHECK(known == Known{{"/petrel/sd/t/j/2", "h2:1"}, {"/petrel/sd/u/k/1", "h2:1"}});
  CHECK(provider->status().last_error == "");
}

TEST_CASE_FIXTURE(Fixture,
                  "zookeeper: a node that goes and comes between two looks is read again") {
  server.add("/petrel/sd/t/j/1", kOne);
  start();
  scheduler.run_for(100);
  server.remove("/petrel/sd/t/j/1");
  server.add("/petrel/sd/t/j/1", kTwo);
  scheduler.run_for(1000);
  CHECK(known == Known{{"/petrel/sd/t/j/1", "h2:1"}});
  server.remove("/petrel/sd/t/j/1");
  server.remove("/petrel/sd/t/j");
  server.add("/petrel/sd/t/j/3", kOne);
  scheduler.run_for(1000);
  CHECK(known == Known{{"/petrel/sd/t/j/3", "h1:1"}});
  server.put("/petrel/sd/t/j/3", kTwo);
  scheduler.run_for(1000);
  CHECK(known == Known{{"/petrel/sd/t/j/3", "h2:1"}});
}

TEST_CASE_FIXTURE(Fixture, "zookeeper: the prefix may come later") {
  start();
  scheduler.run_for(100);
  CHECK(updates == 1);
  CHECK(known.empty());
  server.add("/petrel/sd/t/j/1", kOne);
  scheduler.run_for(1500);
  CHECK(known == Known{{"/petrel/sd/t/j/1", "h1:1"}});
  CHECK(provider->status().last_error == "");
}

TEST_CASE_FIXTURE(Fixture,
                  "zookeeper: known targets stay while it is away; what it missed is read") {
  server.add("/petrel/sd/t/j/1", kOne);
  start();
  scheduler.run_for(100);
  server.die();
  scheduler.run_for(600'000);
  CHECK(known == Known{{"/petrel/sd/t/j/1", "h1:1"}});
  CHECK(provider->status().last_error == "ZooKeeper: zk:2181: connection lost");
  server.on_event = [inner = server.on_event](ZookeeperEvent event, const std::string& path) {
    if (path.empty()) inner(event, path);  // watches that were lost meanwhile
  };
  server.remove("/petrel/sd/t/j/1");
  server.add("/petrel/sd/t/j/2", kTwo);
  server.return_with_session();
  scheduler.run_for(1000);
  CHECK(known == Known{{"/petrel/sd/t/j/2", "h2:1"}});
  CHECK(server.sessions == 1);
  CHECK(provider->status().last_error == "");
}

TEST_CASE_FIXTURE(Fixture, "zookeeper: an expired session is replaced and all is read again") {
  server.add("/petrel/sd/t/j/1", kOne);
  start();
  scheduler.run_for(100);
  server.expire();
  server.remove("/petrel/sd/t/j/1");
  server.add("/petrel/sd/t/j/2", kTwo);
  scheduler.run_for(1000);
  CHECK(server.sessions == 2);
  CHECK(known == Known{{"/petrel/sd/t/j/2", "h2:1"}});
  server.add("/petrel/sd/t/j/3", kTwo);
  scheduler.run_for(1000);
  CHECK(known.size() == 2);
}

TEST_CASE_FIXTURE(Fixture, "zookeeper: a start while it is away uses the targets on disk") {
  server.add("/petrel/sd/t/j/1", kOne);
  server.add("/petrel/sd/t/j/2", "{}");
  start();
  scheduler.run_for(1000);
  CHECK(provider->status().invalid.size() == 1);
  provider->stop();
  known.clear();
  server.is_up = false;
  start();
  scheduler.run_for(4900);
  CHECK(known.empty());
  scheduler.run_for(200);
  CHECK(known == Known{{"/petrel/sd/t/j/1", "h1:1"}});
  server.remove("/petrel/sd/t/j/1");
  server.put("/petrel/sd/t/j/2", kTwo);
  server.return_with_session();
  scheduler.run_for(1000);
  CHECK(known == Known{{"/petrel/sd/t/j/2", "h2:1"}});
}

TEST_CASE_FIXTURE(Fixture, "zookeeper: thousands of nodes are read a bounded number at a time") {
  for (int i = 0; i < 3000; ++i) server.add(fmt::format("/petrel/sd/t/j/{}", i), kOne);
  start();
  scheduler.run_for(3);  // prefix, tenant, job
  CHECK(server.reads <= 3 + 256);
  scheduler.run_for(1000);
  CHECK(known.size() == 3000);
  const int reads = server.reads;
  scheduler.run_for(10'000);
  CHECK(server.reads == reads);
  scheduler.run_for(300'000);
  CHECK(server.reads > reads + 3000);  // the refresh reads it all again
}

TEST_CASE_FIXTURE(Fixture, "zookeeper: no update comes after stop") {
  server.add("/petrel/sd/t/j/1", kOne);
  start();
  provider->stop();
  scheduler.run_for(60'000);
  CHECK(updates == 0);
}
