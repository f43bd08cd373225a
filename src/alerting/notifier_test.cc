// The notifier in simulated time, against a receiver and a store that fail.

#include "alerting/notifier.h"

#include "alerting/notifier_core.h"
#include "alerting/notify/webhook.h"
#include "alertstore/alert_event.h"
#include "alertstore/testing/memory_store.h"
#include "core/json.h"
#include "core/log.h"
#include "core/testing/fake_clock.h"
#include "core/testing/sim_scheduler.h"
#include "core/thread_pool.h"
#include "core/timer_thread.h"

#include <algorithm>
#include <atomic>
#include <doctest/doctest.h>
#include <map>
#include <memory>
#include <set>
#include <thread>

using namespace alerting;
using alertstore::AlertEvent;
using alertstore::Transition;
using alertstore::testing::Fault;
using core::ErrorCode;
using core::Result;

namespace {

constexpr int64_t kSecond = 1000;

// One message as the receiver took it: "F a, R b".
struct Received {
  std::string key;
  std::string url;
  std::string authorization;
  int64_t time_ms = 0;
  std::string text;
  std::vector<std::string> alerts;  // "F a @startsAt"
  std::string body;
};

// The receiver and the network to it. What falls between a send and its answer is up to
// the test.
class Receiver final : public net::Transport {
 public:
  Receiver(core::testing::SimScheduler& scheduler, core::testing::FakeClock& clock)
      : scheduler_(scheduler), clock_(clock) {}

  void send(net::OutgoingRequest request, Done done) override {
    attempts.push_back(clock_.now_ms());
    if (crash_at_send && attempts.size() - 1 == *crash_at_send) {
      // Some crashes come just before the bytes leave, some just after.
      if (crash_after_arrival) arrive(request);
      crashed = true;
      return;
    }
    scheduler_.after(latency_ms, [this, request = std::move(request), done = std::move(done)] {
      if (down) return done(core::fail(ErrorCode::Unavailable, "connection refused"));
      net::Response response;
      response.status = status;
      response.headers = headers;
      if (status < 300) arrive(request);
      // The answer takes its time too; a crash in between loses it.
      scheduler_.after(latency_ms, [done, response] { done(response); });
    });
  }

  std::string texts() const {
    std::string all;
    for (const Received& one : received) all += (all.empty() ? "" : "; ") + one.text;
    return all;
  }

  std::vector<Received> received;
  std::vector<int64_t> attempts;
  int64_t latency_ms = 5;
  bool down = false;
  int status = 200;
  net::Headers headers;
  std::optional<size_t> crash_at_send;
  bool crash_after_arrival = false;
  bool crashed = false;
  size_t answers_lost = 0;  // by crashes: attempts whose receipt was not durable then

 private:
  void arrive(const net::OutgoingRequest& request) {
    Received one;
    one.url = request.url;
    one.key = net::find_header(request.headers, "Idempotency-Key").value_or("");
    if (request.client && request.client->authorization) {
      const net::Authorization& authorization = *request.client->authorization;
      one.authorization = authorization.type + " " + authorization.credentials.value.reveal();
    }
    one.time_ms = clock_.now_ms();
    one.body = request.body;
    const auto json = core::parse_json(request.body);
    REQUIRE(json);
    for (const core::Json& alert : *json->find("alerts")->as_array()) {
      const std::string status_letter =
          *alert.find("status")->as_string() == "firing" ? "F " : "R ";
      const std::string name = status_letter + *alert.find("labels")->find("instance")->as_string();
      one.text += (one.text.empty() ? "" : ", ") + name;
      one.alerts.push_back(name + " @" + *alert.find("startsAt")->as_string());
    }
    received.push_back(std::move(one));
  }

  core::testing::SimScheduler& scheduler_;
  core::testing::FakeClock& clock_;
};

Config config_with(const std::string& receiver = "w", const std::string& url = "http://h/") {
  Config config;
  config.route.receiver = receiver;
  config.route.group_by = {"alertname"};
  config.route.group_wait_ms = 1 * kSecond;
  config.route.group_interval_ms = 10 * kSecond;
  config.route.repeat_interval_ms = 3'600 * kSecond;
  WebhookConfig webhook;
  webhook.url = core::Secret(url);
  config.receivers.push_back({receiver, {webhook}, {}});
  return config;
}

AlertEvent event_of(const std::string& instance, Transition transition, int64_t starts_at_ms,
                    int64_t now_ms) {
  AlertEvent event;
  event.transition = transition;
  event.labels = model::Labels::of({{"alertname", "X"}, {"instance", instance}});
  event.annotations = {{"summary", instance}};
  event.starts_at_ms = starts_at_ms;
  event.ends_at_ms = transition == Transition::Resolved ? now_ms : 0;
  event.id = instance + std::to_string(starts_at_ms) + std::to_string(static_cast<int>(transition));
  return event;
}

size_t without_receipt(const alertstore::testing::MemoryStore& store) {
  size_t count = 0;
  for (const auto& [key, value] : store.contents()) {
    if (!key.starts_with(kDeliveryPrefix)) continue;
    count += decode_delivery(value).value().state == DeliveryState::Sending ? 1 : 0;
  }
  return count;
}

// Everything that outlives a process, and the process.
struct World {
  explicit World(Config given = config_with()) : config(std::move(given)) {
    core::set_log_level(core::LogLevel::Error);
    start();
  }
  ~World() { stop(); }

  void start() {
    notifier = std::make_unique<Notifier>(
        NotifierOptions{.external_url = "http://petrel"},
        NotifierParts{.store = store,
                      .transport = receiver,
                      .clock = clock,
                      .rng = rng,
                      .read_file = [this](const std::string& path) -> Result<std::string> {
                        if (!files.contains(path)) {
                          return core::fail(ErrorCode::NotFound, "{}", path);
                        }
                        return files[path];
                      }},
        config);
    notifier->start(scheduler, scheduler);
  }
  void stop() { notifier.reset(); }
  void kill() {
    stop();
    receiver.answers_lost += without_receipt(store);
    store.restart();
    receiver.crashed = false;
    start();
  }
  void run(int64_t seconds) {
    const int64_t end_ms = clock.now_ms() + seconds * kSecond;
    while (clock.now_ms() < end_ms) {
      scheduler.run_for(1);
      if (store.crashed() || receiver.crashed) kill();
    }
  }

  // By the monotonic clock.
  void run_for(int64_t seconds) { scheduler.run_for(seconds * kSecond); }

  // What the ruler does; its own write may be the one that fails.
  void put(const AlertEvent& event) {
    const std::string key = alertstore::outbox_key("default", ++sequence);
    const alertstore::Mutation row{key, alertstore::encode_event(event)};
    while (!store.apply(std::span(&row, 1))) {
      if (store.crashed()) kill();
      if (store.get(key).value()) break;
    }
    notifier->wake();
  }
  void fire(const std::string& instance) {
    starts[instance] = clock.now_ms();
    put(event_of(instance, Transition::Firing, clock.now_ms(), clock.now_ms()));
  }
  void resolve(const std::string& instance) {
    put(event_of(instance, Transition::Resolved, starts[instance], clock.now_ms()));
  }
  // Nothing is owed any more.
  bool quiet() {
    for (const auto& [key, value] : store.contents()) {
      if (key.starts_with("delivery/") || key.starts_with("outbox/")) return false;
    }
    return true;
  }

  Config config;
  core::testing::FakeClock clock;
  core::testing::SimScheduler scheduler{clock};
  core::SeededRng rng{7};
  alertstore::testing::MemoryStore store;
  Receiver receiver{scheduler, clock};
  std::map<std::string, std::string> files;
  std::unique_ptr<Notifier> notifier;
  std::map<std::string, int64_t> starts;
  uint64_t sequence = 0;
};

}  // namespace

TEST_CASE("a firing alert is told after group_wait, its end after group_interval") {
  World world;
  const int64_t begin_ms = world.clock.now_ms();
  world.fire("a");
  world.run(5);
  REQUIRE(world.receiver.texts() == "F a");
  CHECK(world.receiver.received[0].time_ms - begin_ms >= kSecond);
  CHECK(world.receiver.received[0].time_ms - begin_ms < 2 * kSecond);
  CHECK(world.notifier->status().firing_alerts == 1);
  world.resolve("a");
  world.run(20);
  CHECK(world.receiver.texts() == "F a; R a");
  CHECK(world.receiver.received[1].time_ms - world.receiver.received[0].time_ms >= 9 * kSecond);
  CHECK(world.quiet());
  CHECK(world.notifier->status().firing_alerts == 0);
}

TEST_CASE("alerts that come together are told together; later ones a group_interval later") {
  World world;
  world.fire("a");
  world.fire("b");
  world.run(3);
  CHECK(world.receiver.texts() == "F a, F b");
  world.fire("c");
  world.resolve("a");
  world.run(5);
  CHECK(world.receiver.texts() == "F a, F b");
  world.run(10);
  CHECK(world.receiver.texts() == "F a, F b; F b, F c, R a");
}

TEST_CASE("an alert that comes and goes within group_wait is told twice, in order") {
  World world;
  world.fire("a");
  world.resolve("a");
  world.run(5);
  CHECK(world.receiver.texts() == "F a; R a");
}

TEST_CASE("what goes on firing is told again after repeat_interval") {
  World world;
  world.config.route.repeat_interval_ms = 60 * kSecond;
  world.notifier->reload(world.config);
  world.fire("a");
  world.run(150);
  CHECK(world.receiver.texts() == "F a; F a; F a");
  CHECK(world.receiver.received[0].key != world.receiver.received[1].key);
}

TEST_CASE("a receiver that is down is tried until it is back, then told in order") {
  World world;
  world.receiver.down = true;
  world.fire("a");
  world.run(600);
  world.resolve("a");
  world.run(600);
  CHECK(world.receiver.texts() == "");
  CHECK(world.receiver.attempts.size() > 50);
  CHECK(world.receiver.attempts.size() < 300);
  CHECK(world.notifier->status().last_error == "w: cannot be reached");
  world.receiver.down = false;
  world.run(20);
  CHECK(world.receiver.texts() == "F a; R a");
  CHECK(world.notifier->status().last_error.empty());
}

TEST_CASE("every attempt at a message carries the same key and the same bytes") {
  World world;
  world.receiver.status = 503;
  world.fire("a");
  world.run(30);
  world.kill();
  world.receiver.status = 200;
  world.run(30);
  REQUIRE(world.receiver.received.size() == 1);
  CHECK(world.receiver.received[0].key.size() == 32);
}

TEST_CASE("Retry-After is waited for") {
  World world;
  world.receiver.status = 429;
  world.receiver.headers = {{"Retry-After", "120"}};
  world.fire("a");
  world.run(60);
  REQUIRE(world.receiver.attempts.size() == 1);
  world.receiver.status = 200;
  world.run(90);
  REQUIRE(world.receiver.attempts.size() == 2);
  CHECK(world.receiver.attempts[1] - world.receiver.attempts[0] >= 120 * kSecond);
  CHECK(world.receiver.texts() == "F a");
}

TEST_CASE("a message that is refused for good is kept and does not stop the next") {
  World world;
  world.receiver.status = 400;
  world.fire("a");
  world.run(5);
  CHECK(world.receiver.attempts.size() == 1);
  CHECK(world.notifier->status().dead_letters == 1);
  world.receiver.status = 200;
  world.resolve("a");
  world.run(20);
  CHECK(world.receiver.texts() == "R a");
  size_t letters = 0;
  for (const auto& [key, value] : world.store.contents()) {
    letters += key.starts_with(kDeadLetterPrefix) ? 1 : 0;
  }
  CHECK(letters == 1);
}

TEST_CASE("a restart repeats nothing that was delivered") {
  World world;
  world.fire("a");
  world.run(5);
  world.kill();
  world.run(60);
  CHECK(world.receiver.texts() == "F a");
  world.resolve("a");
  world.kill();
  world.run(30);
  CHECK(world.receiver.texts() == "F a; R a");
}

TEST_CASE("send_resolved: false tells only what fires") {
  Config config = config_with();
  config.receivers[0].webhooks[0].send_resolved = false;
  World world(config);
  world.fire("a");
  world.fire("b");
  world.run(15);
  world.resolve("a");
  world.run(15);
  world.resolve("b");
  world.run(15);
  CHECK(world.receiver.texts() == "F a, F b");
  CHECK(world.quiet());
}

TEST_CASE("without a receiver alerts are tracked, and told once there is one") {
  World world(no_receivers());
  world.fire("a");
  world.run(60);
  CHECK(world.receiver.attempts.empty());
  CHECK(world.quiet());
  CHECK(world.notifier->status().firing_alerts == 1);
  SUBCASE("by a reload") {
    world.notifier->reload(config_with());
  }
  SUBCASE("by a restart") {
    world.config = config_with();
    world.kill();
  }
  world.run(10);
  CHECK(world.receiver.texts() == "F a");
  world.resolve("a");
  world.run(30);
  CHECK(world.receiver.texts() == "F a; R a");
}

TEST_CASE("what is owed to a receiver that is gone goes to the one there is") {
  World world;
  world.receiver.down = true;
  world.fire("a");
  world.run(5);
  world.config = config_with("other", "http://other/");
  world.notifier->reload(world.config);
  world.receiver.down = false;
  world.run(30);
  REQUIRE(!world.receiver.received.empty());
  for (const Received& one : world.receiver.received) CHECK(one.url == "http://other/");
  world.resolve("a");
  world.run(30);
  CHECK(world.receiver.received.back().text == "R a");
}

TEST_CASE("when the route changes the new receiver hears what fires, both hear the end") {
  World world;
  world.fire("a");
  world.run(5);
  world.config = config_with("second", "http://second/");
  world.config.receivers.push_back(config_with().receivers[0]);
  world.notifier->reload(world.config);
  world.run(5);
  CHECK(world.receiver.texts() == "F a; F a");
  CHECK(world.receiver.received[1].url == "http://second/");
  world.resolve("a");
  world.run(30);
  CHECK(world.receiver.texts() == "F a; F a; R a; R a");
}

namespace {

Route route_to(const std::string& receiver, const std::string& name, const std::string& value) {
  Route route = config_with(receiver).route;
  route.matchers = {model::Matcher::create(model::MatchType::Regex, name, value).value()};
  return route;
}

std::string group_key_of(const Received& one) {
  return std::string(*core::parse_json(one.body)->find("groupKey")->as_string());
}

}  // namespace

TEST_CASE(
    "routes to one receiver group for themselves; a new one before them tells nothing again") {
  Config config = config_with();
  config.route.routes = {route_to("w", "instance", "a"), route_to("w", "instance", "b")};
  finish_routes(config.route);
  World world(config);
  world.fire("a");
  world.fire("b");
  world.fire("c");
  world.run(5);
  REQUIRE(world.receiver.received.size() == 3);  // one group each, though their labels are equal
  std::set<std::string> keys;
  for (const Received& one : world.receiver.received) keys.insert(group_key_of(one));
  CHECK(keys == std::set<std::string>{R"({}/{instance=~"a"}:{alertname="X"})",
                                      R"({}/{instance=~"b"}:{alertname="X"})",
                                      R"({}:{alertname="X"})"});

  world.config.route.routes.insert(world.config.route.routes.begin(),
                                   route_to("w", "instance", "zzz"));
  finish_routes(world.config.route);
  world.notifier->reload(world.config);
  world.run(30);
  CHECK(world.receiver.received.size() == 3);
  world.resolve("b");
  world.run(30);
  REQUIRE(world.receiver.received.size() == 4);
  CHECK(world.receiver.received[3].text == "R b");
  CHECK(group_key_of(world.receiver.received[3]) == R"({}/{instance=~"b"}:{alertname="X"})");
  world.kill();
  world.resolve("a");
  world.resolve("c");
  world.run(30);
  CHECK(world.receiver.received.size() == 6);
}

TEST_CASE("a group of a store that was written before routes had numbers is read as it was") {
  Group group;
  group.tenant = "default";
  group.receiver = "w";
  group.labels = model::Labels::of({{"alertname", "X"}});
  group.last_notified_ms = 5;
  const std::string old_form = encode_group(group);
  CHECK(old_form[0] == 1);
  CHECK(decode_group(group.key(), old_form)->public_key.empty());
  CHECK(decode_group(group.key(), old_form)->route == 0);

  group.route = 2;
  group.public_key = "{}/{a=\"b\"}:{}";
  const Group again = decode_group(group.key(), encode_group(group)).value();
  CHECK(again.receiver == "w");
  CHECK(again.route == 2);
  CHECK(again.public_key == group.public_key);
  CHECK(again.key() == group.key());
}

TEST_CASE("credentials come from the configuration or fresh from their file") {
  Config config = config_with();
  WebhookConfig& webhook = config.receivers[0].webhooks[0];
  webhook.http.authorization = net::Authorization{.credentials = {{}, "token"}};
  webhook.url_file = "url";
  World world(config);
  world.files["url"] = "http://from-file/\n";
  world.fire("a");
  world.run(5);
  CHECK(world.receiver.attempts.empty());
  world.files["token"] = "t0\n";
  world.run(20);
  REQUIRE(world.receiver.received.size() == 1);
  CHECK(world.receiver.received[0].authorization == "Bearer t0");
  CHECK(world.receiver.received[0].url == "http://from-file/");
  world.files["token"] = "t1";
  world.resolve("a");
  world.run(20);
  CHECK(world.receiver.received.back().authorization == "Bearer t1");
}

TEST_CASE("an alert that flaps while its receiver is down is told from its first to its last") {
  World world;
  world.receiver.down = true;
  for (int i = 0; i < 500; ++i) {
    world.fire("a");
    world.run(2);
    world.resolve("a");
    world.run(2);
  }
  world.fire("a");
  world.run(60);
  size_t waiting = world.notifier->status().deliveries_waiting;
  CHECK(waiting <= 32);
  world.receiver.down = false;
  world.run(600);
  CHECK(world.receiver.received.front().text == "F a");
  CHECK(world.receiver.received.back().text == "F a");
  CHECK(world.quiet());
}

TEST_CASE("a store that is down for a while delays pages and loses none") {
  World world;
  world.fire("a");
  world.store.set_down(true);
  world.run(60);
  CHECK(world.receiver.attempts.empty());
  world.store.set_down(false);
  world.run(10);
  CHECK(world.receiver.texts() == "F a");
}

TEST_CASE("a wall clock that is set neither holds a page back nor repeats it") {
  for (const bool restart : {false, true}) {
    for (const int64_t jump_s : {-86'400, -60, 60, 3'000}) {
      CAPTURE(restart);
      CAPTURE(jump_s);
      World world;
      world.receiver.down = true;
      world.fire("a");
      world.run(20);
      world.clock.jump_to_ms(world.clock.now_ms() + jump_s * kSecond);
      world.receiver.down = false;
      world.run_for(20);
      CHECK(world.receiver.texts() == "F a");
      world.resolve("a");
      world.clock.jump_to_ms(world.clock.now_ms() + jump_s * kSecond);
      if (restart) world.kill();
      world.run_for(20);
      CHECK(world.receiver.texts() == "F a; R a");
    }
  }
}

TEST_CASE("a malformed row of the outbox is put aside") {
  World world;
  const alertstore::Mutation row{alertstore::outbox_key("default", ++world.sequence), "garbage"};
  core::set_log_level(core::LogLevel::Error);
  REQUIRE(world.store.apply(std::span(&row, 1)));
  world.fire("a");
  world.run(5);
  CHECK(world.receiver.texts() == "F a");
  CHECK(world.quiet());
}

namespace {

// What must hold of everything that the receiver took, when each alert is a group of its
// own and nothing is repeated on purpose.
struct Judge {
  std::string fault;  // the first that was found

  void expect(bool holds, const std::string& what) {
    if (!holds && fault.empty()) fault = what;
  }

  void all_told(const Receiver& receiver, const std::vector<std::string>& transitions) {
    std::map<std::string, std::set<std::string>> keys_of;  // by alert text
    std::map<std::string, size_t> times;                   // by key
    std::set<std::string> ended;                           // "a @start"
    for (const Received& one : receiver.received) {
      expect(one.alerts.size() == 1, "a message of several groups");
      const std::string& alert = one.alerts.at(0);
      keys_of[alert].insert(one.key);
      ++times[one.key];
      const std::string incident = alert.substr(2);
      if (alert[0] == 'R') {
        expect(keys_of.contains("F " + incident), "resolved before firing: " + alert);
        ended.insert(incident);
      } else {
        expect(!ended.contains(incident), "firing after resolved: " + alert);
      }
    }
    for (const std::string& transition : transitions) {
      expect(keys_of.contains(transition), "never told: " + transition);
    }
    size_t duplicates = 0;
    for (const auto& [alert, keys] : keys_of) {
      expect(keys.size() == 1, "told under two keys: " + alert);
    }
    for (const auto& [key, count] : times) duplicates += count - 1;
    expect(duplicates <= receiver.answers_lost, "a duplicate that no crash explains");
  }
};

std::string told_as(const std::string& letter, const std::string& instance, int64_t starts_at_ms) {
  AlertEvent event = event_of(instance, Transition::Firing, starts_at_ms, 0);
  Notification one;
  one.alerts = {event};
  const auto json = core::parse_json(webhook_body(one, 0));
  return letter + " " + instance + " @" +
         *json->find("alerts")->as_array()->at(0).find("startsAt")->as_string();
}

// Two alerts fire and end twice each, at random times.
template <typename W>
std::vector<std::string> play(W& world, core::Rng& rng) {
  std::vector<std::string> transitions;
  for (int round = 0; round < 2; ++round) {
    for (const char* instance : {"a", "b"}) {
      world.run(static_cast<int64_t>(rng.below(4)));
      world.fire(instance);
      transitions.push_back(told_as("F", instance, world.starts[instance]));
    }
    if (rng.below(3) == 0) world.receiver.down = true;
    for (const char* instance : {"a", "b"}) {
      world.run(static_cast<int64_t>(rng.below(20)));
      transitions.push_back(told_as("R", instance, world.starts[instance]));
      world.resolve(instance);
    }
    world.run(static_cast<int64_t>(rng.below(10)));
    world.receiver.down = false;
  }
  world.run(120);
  return transitions;
}

Config each_alone() {
  Config config = config_with();
  config.route.group_by.clear();
  config.route.group_by_all = true;
  return config;
}

}  // namespace

TEST_CASE("whatever fails and wherever it dies, each transition is told, once and in order") {
  constexpr Fault kFaults[] = {Fault::Unavailable, Fault::UnknownButApplied, Fault::CrashBefore,
                               Fault::CrashAfter};
  for (uint64_t seed = 0; seed < 400; ++seed) {
    CAPTURE(seed);
    core::SeededRng rng(seed);
    World world(each_alone());
    world.receiver.latency_ms = static_cast<int64_t>(1 + rng.below(800));
    if (seed % 3 == 0) {
      world.receiver.crash_at_send = rng.below(8);
      world.receiver.crash_after_arrival = rng.below(2) == 0;
    } else {
      world.store.fail_write(rng.below(50), kFaults[rng.below(4)]);
    }
    const std::vector<std::string> transitions = play(world, rng);
    Judge judge;
    judge.all_told(world.receiver, transitions);
    CHECK_MESSAGE(judge.fault.empty(), judge.fault);
    CHECK(world.quiet());
  }
}

namespace {

// The same decisions under a driver that sends before it stores: the mistake that the
// order of effects exists to prevent. The judge has to notice.
struct HastyWorld {
  explicit HastyWorld(Config given) : config(std::move(given)) { start(); }

  void start() {
    core.emplace(NotifierCore::load({}, config, store, rng, true, clock.now_ms()).value());
    ++generation;
  }
  void kill() {
    receiver.answers_lost += without_receipt(store);
    store.restart();
    start();
  }
  void run(int64_t seconds) {
    const int64_t end_ms = clock.now_ms() + seconds * kSecond;
    while (clock.now_ms() < end_ms) {
      scheduler.run_for(50);
      pump();
    }
  }
  void pump() {
    const auto rows = store.scan(std::string(alertstore::kOutboxPrefix), 100);
    if (!rows) return kill();
    Effects effects;
    for (const auto& [delivery, attempt] : delivered) {
      core->finished(delivery, attempt, {Outcome::Delivered, 0, ""}, clock.now_ms(), effects);
    }
    delivered.clear();
    core->take(*rows, clock.now_ms(), effects);
    core->tick(clock.now_ms(), effects);
    for (const Send& one : effects.sends) {
      net::OutgoingRequest request = webhook_request({.url = "http://h/",
                                                      .idempotency_key = one.id,
                                                      .attempt = one.attempt,
                                                      .body = one.body,
                                                      .timeout_ms = 1});
      receiver.send(std::move(request), [this, one, mine = generation](const auto& response) {
        if (mine == generation && response && response->status == 200) {
          delivered.emplace_back(one.delivery, one.attempt);
        }
      });
    }
    if (!effects.mutations.empty() && !store.apply(effects.mutations)) kill();
  }
  void put(const AlertEvent& event) {
    const alertstore::Mutation row{alertstore::outbox_key("default", ++sequence),
                                   alertstore::encode_event(event)};
    while (!store.apply(std::span(&row, 1))) {
      kill();
      if (store.get(row.key).value()) break;
    }
  }
  void fire(const std::string& instance) {
    starts[instance] = clock.now_ms();
    put(event_of(instance, Transition::Firing, clock.now_ms(), clock.now_ms()));
  }
  void resolve(const std::string& instance) {
    put(event_of(instance, Transition::Resolved, starts[instance], clock.now_ms()));
  }

  Config config;
  core::testing::FakeClock clock;
  core::testing::SimScheduler scheduler{clock};
  core::SeededRng rng{7};
  alertstore::testing::MemoryStore store;
  Receiver receiver{scheduler, clock};
  std::optional<NotifierCore> core;
  std::vector<std::pair<std::string, uint64_t>> delivered;
  std::map<std::string, int64_t> starts;
  uint64_t sequence = 0;
  uint64_t generation = 0;
};

}  // namespace

TEST_CASE("a driver that sends before it stores is caught") {
  size_t caught = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    core::SeededRng rng(seed);
    HastyWorld world(each_alone());
    world.receiver.latency_ms = 5;
    world.store.fail_write(rng.below(30), Fault::CrashBefore);
    const std::vector<std::string> transitions = play(world, rng);
    Judge judge;
    judge.all_told(world.receiver, transitions);
    caught += judge.fault.empty() ? 0 : 1;
  }
  CHECK(caught > 0);
}

namespace {

// Answers at once, on another thread.
class PoolTransport final : public net::Transport {
 public:
  explicit PoolTransport(core::Executor& pool) : pool_(pool) {}
  void send(net::OutgoingRequest, Done done) override {
    if (!pool_.post([this, done] {
          done(net::Response{});
          ++answered;
        })) {
      done(core::fail(ErrorCode::LimitExceeded, "queue full"));
    }
  }
  std::atomic<size_t> answered = 0;

 private:
  core::Executor& pool_;
};

}  // namespace

// For the sanitizers: real threads.
TEST_CASE("wakes, reloads, answers and stop do not disturb each other") {
  core::set_log_level(core::LogLevel::Error);
  const core::SystemClock clock;
  core::SeededRng rng(1);
  alertstore::testing::MemoryStore store;
  core::TimerThread timers;
  core::ThreadPool pool({.name = "alerting", .threads = 3, .queue_max = 64});
  PoolTransport transport(pool);
  Config config = each_alone();
  config.route.group_wait_ms = 0;
  config.route.group_interval_ms = 1;
  Notifier notifier({}, {store, transport, clock, rng, {}}, config);
  notifier.start(timers, pool);
  for (uint64_t i = 1; i <= 100; ++i) {
    const AlertEvent event = event_of(std::to_string(i), Transition::Firing, 1, 1);
    const alertstore::Mutation row{alertstore::outbox_key("default", i),
                                   alertstore::encode_event(event)};
    REQUIRE(store.apply(std::span(&row, 1)));
    notifier.wake();
    if (i % 10 == 0) notifier.reload(config);
    (void)notifier.status();
  }
  while (transport.answered < 100) std::this_thread::yield();
  notifier.stop();
  CHECK(transport.answered == 100);
}
