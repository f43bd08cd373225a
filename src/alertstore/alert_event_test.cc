#include "alertstore/alert_event.h"

#include <doctest/doctest.h>

using namespace alertstore;

namespace {

AlertEvent example() {
  AlertEvent event;
  event.id = "0123";
  event.tenant = "team-a";
  event.transition = Transition::Resolved;
  event.rule_group = "rules.yml;host";
  event.labels = model::Labels::of({{"alertname", "Down"}, {"instance", "a:1"}});
  event.annotations = {{"summary", "a is down"}, {"empty", ""}};
  event.value = -0.5;
  event.starts_at_ms = 1'700'000'000'000;
  event.ends_at_ms = -1;
  event.generator_url = "http://x/graph";
  event.reason = "rule_removed";
  return event;
}

}  // namespace

TEST_CASE("an event is read back as it was written") {
  CHECK(decode_event(encode_event(example())).value() == example());
  CHECK(decode_event(encode_event(AlertEvent{})).value() == AlertEvent{});
}

TEST_CASE("an event cut at any byte, or with one behind it, is refused") {
  const std::string bytes = encode_event(example());
  for (size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(decode_event(bytes.substr(0, size)));
  }
  CHECK_FALSE(decode_event(bytes + "x"));
}

TEST_CASE("outbox keys sort by sequence and give it back") {
  CHECK(outbox_key("t", 9) < outbox_key("t", 10));
  CHECK(outbox_key("t", UINT64_MAX).starts_with(outbox_prefix("t")));
  CHECK(outbox_sequence(outbox_key("t", UINT64_MAX)).value() == UINT64_MAX);
  CHECK_FALSE(outbox_sequence("outbox/t/x"));
}

TEST_CASE("fingerprints are those of Prometheus's clients") {
  CHECK(fingerprint(model::Labels()) == "cbf29ce484222325");
  const auto labels = model::Labels::of({{"name", "garland"}, {"weight", "1"}});
  CHECK(fingerprint(labels).size() == 16);
  CHECK(fingerprint(labels) != fingerprint(model::Labels::of({{"name", "garland"}})));
}
