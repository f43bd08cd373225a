#include "discovery/etcd_provider.h"

#include "core/log.h"
#include "core/testing/sim_file_system.h"
#include "core/testing/sim_scheduler.h"
#include "core/base64.h"
#include "net/stream_client.h"

#include <doctest/doctest.h>
#include <map>

namespace {

using core::ErrorCode;

// Keeps what was asked; the test answers.
class FakeClient final : public net::StreamClient {
 public:
  struct Call {
    net::StreamRequest request;
    OnChunk on_chunk;
    OnEnd on_end;
    bool is_cancelled = false;
    bool is_over = false;
  };

  explicit FakeClient(std::map<net::StreamId, Call>& calls) : calls_(calls) {}

  net::StreamId open(net::StreamRequest request, OnChunk on_chunk, OnEnd on_end) override {
    calls_[++next_] = {std::move(request), std::move(on_chunk), std::move(on_end)};
    return next_;
  }
  void cancel(net::StreamId id) override {
    if (calls_.contains(id)) calls_[id].is_cancelled = true;
  }

 private:
  std::map<net::StreamId, Call>& calls_;
  net::StreamId next_ = 0;
};

std::string entry(std::string_view key, std::string_view value) {
  return fmt::format(R"({{"key":"{}","value":"{}"}})", core::base64_encode(key),
                     core::base64_encode(value));
}

constexpr const char* kCreated =
    "{\"result\":{\"header\":{\"revision\":\"7\"},\"created\":true}}\n";

class Fixture {
 public:
  Fixture() { core::set_log_level(core::LogLevel::Error); }
  ~Fixture() {
    if (provider) provider->stop();
    core::set_log_level(core::LogLevel::Info);
  }

  void start() {
    calls.clear();
    updates.clear();
    provider = discovery::make_etcd_provider(
        config, "node/0",
        {scheduler, scheduler, clock, files, rng,
         *reinterpret_cast<net::ClientLoop*>(this),  // NOLINT: not used by this provider
         "/state"},
        std::make_unique<FakeClient>(calls));
    provider->start([this](std::vector<config::TargetGroup> groups) {
      for (config::TargetGroup& group : groups) {
        if (group.targets.empty()) {
          known.erase(group.source);
        } else {
          known[group.source] = std::string(group.targets[0].get("__address__"));
        }
      }
      updates.push_back(groups.size());
    });
  }

  // The last call that is neither answered nor cancelled.
  FakeClient::Call& last() {
    for (auto it = calls.rbegin(); it != calls.rend(); ++it) {
      if (!it->second.is_over && !it->second.is_cancelled) return it->second;
    }
    FAIL("nothing is asked");
    return calls.begin()->second;
  }
  std::string asked() {
    for (auto it = calls.rbegin(); it != calls.rend(); ++it) {
      if (!it->second.is_over && !it->second.is_cancelled) return it->second.request.url;
    }
    return "";
  }
  void answer(const std::string& body, int status = 200) {
    FakeClient::Call& call = last();
    call.is_over = true;
    const auto on_end = call.on_end;
    if (call.on_chunk(status, body)) on_end(status);
  }
  void refuse(const std::string& why = "refused") {
    FakeClient::Call& call = last();
    call.is_over = true;
    call.on_end(core::fail(ErrorCode::Unavailable, "{}", why));
  }
  void answer_range(const std::string& entries, const char* more = "") {
    answer(R"({"header":{"revision":"7"},"kvs":[)" + entries + "]" + more + "}");
  }
  void stream(const std::string& bytes) { last().on_chunk(200, bytes); }
  void event(const std::string& event) {
    stream(R"({"result":{"header":{"revision":"8"},"events":[)" + event + "]}}\n");
  }

  core::testing::FakeClock clock;
  core::testing::SimScheduler scheduler{clock};
  core::testing::SimFileSystem files;
  core::SeededRng rng{1};
  config::EtcdDiscovery config = [] {
    config::EtcdDiscovery out;
    out.endpoints = {"http://a:2379"};
    return out;
  }();
  std::map<net::StreamId, FakeClient::Call> calls;
  std::map<std::string, std::string> known;  // what a user of the updates knows
  std::vector<size_t> updates;
  std::unique_ptr<discovery::Provider> provider;
};

constexpr const char* kOne = R"({"targets":["h1:1"]})";
constexpr const char* kTwo = R"({"targets":["h2:1"]})";
using Known = std::map<std::string, std::string>;

}  // namespace

TEST_CASE_FIXTURE(Fixture, "etcd: the prefix is read in pages and watched from the next revision") {
  start();
  CHECK(asked() == "http://a:2379/v3/kv/range");
  CHECK(last().request.body ==
        R"({"key":"L3BldHJlbC9zZC8=","range_end":"L3BldHJlbC9zZDA=","limit":"500"})");
  answer_range(entry("/petrel/sd/t/j/1", kOne), R"(,"more":true)");
  CHECK(last().request.body.find(core::base64_encode(std::string("/petrel/sd/t/j/1\0", 17))) !=
        std::string::npos);
  CHECK(last().request.body.find(R"("revision":"7")") != std::string::npos);
  answer_range(entry("/petrel/sd/t/j/2", kTwo));
  CHECK(asked() == "http://a:2379/v3/watch");
  CHECK(last().request.body.find(R"("start_revision":"8")") != std::string::npos);
  scheduler.run_due();
  CHECK(known == Known{{"/petrel/sd/t/j/1", "h1:1"}, {"/petrel/sd/t/j/2", "h2:1"}});
  CHECK(provider->status().last_error == "");
  CHECK(provider->status().last_success_ms == clock.now_ms());
}

TEST_CASE_FIXTURE(Fixture, "etcd: the first update comes also when there is nothing") {
  start();
  answer(R"({"header":{"revision":"7"}})");
  scheduler.run_due();
  CHECK(updates == std::vector<size_t>{0});
}

TEST_CASE_FIXTURE(Fixture, "etcd: events are told together half a second later") {
  start();
  answer_range(entry("/petrel/sd/t/j/1", kOne));
  stream(kCreated);
  scheduler.run_due();
  event(R"({"kv":)" + entry("/petrel/sd/t/j/2", kTwo) + "}");
  // A message may come in pieces.
  const std::string gone = R"({"result":{"header":{},"events":[{"type":"DELETE","kv":)" +
                           entry("/petrel/sd/t/j/1", "") + "}]}}\n";
  for (const char c : gone) stream(std::string(1, c));
  scheduler.run_for(499);
  CHECK(known == Known{{"/petrel/sd/t/j/1", "h1:1"}});
  scheduler.run_for(1);
  CHECK(known == Known{{"/petrel/sd/t/j/2", "h2:1"}});
  CHECK(updates == std::vector<size_t>{1, 2});
}

TEST_CASE_FIXTURE(Fixture, "etcd: an entry that turns bad keeps its last good value") {
  start();
  answer_range(entry("/petrel/sd/t/j/1", kOne) + "," + entry("/petrel/sd/odd", kOne));
  stream(kCreated);
  event(R"({"kv":)" + entry("/petrel/sd/t/j/1", R"({"targets":["h1"]})") + "}");
  scheduler.run_for(500);
  CHECK(known == Known{{"/petrel/sd/t/j/1", "h1:1"}});
  CHECK(provider->status().invalid ==
        std::vector<std::string>{"/petrel/sd/odd: expected /petrel/sd/<tenant>/<job>/<instance>",
                                 "/petrel/sd/t/j/1: targets[0]: \"h1\": expected \"host:port\""});
  event(R"({"kv":)" + entry("/petrel/sd/t/j/1", kTwo) + R"(},{"type":"DELETE","kv":)" +
        entry("/petrel/sd/odd", "") + "}");
  scheduler.run_for(500);
  CHECK(known == Known{{"/petrel/sd/t/j/1", "h2:1"}});
  CHECK(provider->status().invalid.empty());
}

TEST_CASE_FIXTURE(Fixture, "etcd: a compaction reads all again") {
  start();
  answer_range(entry("/petrel/sd/t/j/1", kOne));
  stream("{\"result\":{\"canceled\":true,\"compact_revision\":\"99\"}}\n");
  CHECK(asked() == "http://a:2379/v3/kv/range");
  answer_range(entry("/petrel/sd/t/j/2", kTwo));
  scheduler.run_for(500);
  CHECK(known == Known{{"/petrel/sd/t/j/2", "h2:1"}});
  CHECK(provider->status().last_error == "");
}

TEST_CASE_FIXTURE(Fixture, "etcd: endpoints take turns, and known targets stay meanwhile") {
  config.endpoints = {"http://a:2379", "http://b:2379/"};
  start();
  answer_range(entry("/petrel/sd/t/j/1", kOne));
  stream(kCreated);
  scheduler.run_due();
  refuse("a is gone");
  scheduler.run_due();
  CHECK(asked() == "http://b:2379/v3/kv/range");
  CHECK(provider->status().last_error == "");  // not all were tried yet
  refuse("b is gone");
  CHECK(provider->status().last_error == "b is gone");
  CHECK(asked() == "");
  scheduler.run_for(700);
  CHECK(asked() == "http://a:2379/v3/kv/range");
  for (int i = 0; i < 20; ++i) {
    refuse();
    scheduler.run_for(6000);
  }
  CHECK(known == Known{{"/petrel/sd/t/j/1", "h1:1"}});
  answer_range("");
  scheduler.run_for(500);
  CHECK(known.empty());
}

TEST_CASE_FIXTURE(Fixture, "etcd: a silent watch and an error as an answer count as losses") {
  start();
  answer_range("");
  scheduler.run_for(10'000);
  CHECK(provider->status().last_error == "http://a:2379: no watch within 10000 ms");
  scheduler.run_for(700);
  answer(
      R"({"error":"etcdserver: permission denied","code":7,"message":"etcdserver: permission denied"})",
      403);
  CHECK(provider->status().last_error == "http://a:2379: etcd: etcdserver: permission denied");
  scheduler.run_for(2000);
  answer("404 page not found\n", 404);
  CHECK(provider->status().last_error ==
        "http://a:2379: HTTP status 404: is it etcd's client address?");
  scheduler.run_for(6000);
  answer("<html>", 200);
  CHECK(provider->status().last_error.starts_with("not an answer of etcd: "));
}

TEST_CASE_FIXTURE(Fixture, "etcd: the whole prefix is read again at each refresh interval") {
  start();
  answer_range(entry("/petrel/sd/t/j/1", kOne));
  stream(kCreated);
  scheduler.run_for(300'000);
  CHECK(asked() == "http://a:2379/v3/kv/range");
  answer_range(entry("/petrel/sd/t/j/2", kTwo));
  CHECK(asked() == "http://a:2379/v3/watch");
  scheduler.run_for(500);
  CHECK(known == Known{{"/petrel/sd/t/j/2", "h2:1"}});
}

TEST_CASE_FIXTURE(Fixture, "etcd: user and password become a token, read anew for each pass") {
  config.username = "petrel";
  config.password.file = "/pw";
  CHECK(files.write_file_atomically("/pw", "s3cret\n"));
  start();
  CHECK(asked() == "http://a:2379/v3/auth/authenticate");
  CHECK(last().request.body == R"({"name":"petrel","password":"s3cret"})");
  answer(R"({"header":{},"token":"abc.1"})");
  CHECK(asked() == "http://a:2379/v3/kv/range");
  CHECK(net::find_header(last().request.headers, "Authorization") == "abc.1");
}

TEST_CASE_FIXTURE(Fixture, "etcd: a start while the store is away uses the targets on disk") {
  start();
  answer_range(entry("/petrel/sd/t/j/1", kOne) + "," + entry("/petrel/sd/t/j/bad", "{}"));
  scheduler.run_for(500);
  provider->stop();
  known.clear();

  start();
  scheduler.run_for(100);
  CHECK(known.empty());  // not before the store is known to be away
  refuse();
  scheduler.run_for(500);
  CHECK(known == Known{{"/petrel/sd/t/j/1", "h1:1"}});

  SUBCASE("and what the store has is taken over when it returns") {
    scheduler.run_for(5000);
    answer_range(entry("/petrel/sd/t/j/2", kTwo));
    scheduler.run_for(500);
    CHECK(known == Known{{"/petrel/sd/t/j/2", "h2:1"}});
  }
  SUBCASE("unless the file is damaged in any byte") {
    provider->stop();
    const std::string path = "/state/node%2F0.json";
    const std::string good = *files.read_file(path);
    for (size_t i = 0; i < good.size(); ++i) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ 1);
      CHECK(files.write_file_atomically(path, bad));
      known.clear();
      start();
      refuse();
      scheduler.run_for(500);
      CHECK(known.empty());
      provider->stop();
    }
  }
  SUBCASE("or of another prefix") {
    provider->stop();
    known.clear();
    config.prefix = "/other/";
    start();
    refuse();
    scheduler.run_for(500);
    CHECK(known.empty());
  }
}

TEST_CASE_FIXTURE(Fixture, "etcd: no update comes after stop") {
  start();
  answer_range(entry("/petrel/sd/t/j/1", kOne));
  provider->stop();
  scheduler.run_for(60'000);
  CHECK(updates.empty());
}

TEST_CASE("base64 goes both ways") {
  for (const auto& [bytes, text] :
       {std::pair{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"\xff\xfe", "//4="}}) {
    CHECK(core::base64_encode(bytes) == text);
    CHECK(core::base64_decode(text) == bytes);
  }
  for (const char* bad : {"Z", "Zg=", "Z===", "Zg==Zg==", "Zm-v"}) {
    CAPTURE(bad);
    CHECK_FALSE(core::base64_decode(bad));
  }
}
