#include "discovery/registration.h"

#include <doctest/doctest.h>

using discovery::parse_registration;
using discovery::Registration;
using discovery::RegistrationState;

namespace {

std::string error_of(std::string_view json) {
  const auto parsed = parse_registration(json);
  return parsed ? "none" : parsed.error().message;
}

constexpr std::string_view kWhole =
    R"({"v":1,"targets":["10.0.3.17:9100","[fe80::1]:9100"],"labels":{"env":"prod","__param_x":"1"},)"
    R"("scheme":"https","metrics_path":"/m","params":{"module":"a","one":["b"]},"interval":"10s",)"
    R"("timeout":"5s","retry":{"max":1,"backoff":"500ms"},"honor_labels":false,)"
    R"("honor_timestamps":true,"auth_ref":"","state":"up","future":{"x":[1]}})";

}  // namespace

TEST_CASE("a registration with every field becomes the labels of a group") {
  const auto parsed = parse_registration(kWhole);
  REQUIRE(parsed);
  const auto path = discovery::parse_registration_path("/petrel/sd/", "/petrel/sd/acme/node/h1");
  REQUIRE(path);
  const config::TargetGroup group = discovery::target_group(
      *parsed, *path, "/petrel/sd/acme/node/h1", discovery::RegistrationStore::Etcd);
  CHECK(group.source == "/petrel/sd/acme/node/h1");
  CHECK(group.labels == model::Labels::of({{"job", "node"},
                                           {"env", "prod"},
                                           {"__scheme__", "https"},
                                           {"__metrics_path__", "/m"},
                                           {"__param_module", "a"},
                                           {"__param_one", "b"},
                                           {"__param_x", "1"},
                                           {"__scrape_interval__", "10s"},
                                           {"__scrape_timeout__", "5s"},
                                           {"__scrape_retry_max__", "1"},
                                           {"__scrape_retry_backoff__", "500ms"},
                                           {"__meta_etcd_key", "/petrel/sd/acme/node/h1"},
                                           {"__meta_etcd_tenant", "acme"},
                                           {"__meta_etcd_job", "node"}}));
  REQUIRE(group.targets.size() == 2);
  CHECK(group.targets[1] == model::Labels::of({{"__address__", "[fe80::1]:9100"}}));
}

TEST_CASE("a small registration leaves the rest to the scrape configuration") {
  const auto parsed = parse_registration(R"({"targets":["h:1"],"labels":{"job":"mine"}})");
  REQUIRE(parsed);
  const config::TargetGroup group = discovery::target_group(
      *parsed, {"t", "j", "i"}, "/p/t/j/i", discovery::RegistrationStore::Zookeeper);
  CHECK(group.labels == model::Labels::of({{"job", "mine"},
                                           {"__meta_zookeeper_path", "/p/t/j/i"},
                                           {"__meta_zookeeper_tenant", "t"},
                                           {"__meta_zookeeper_job", "j"}}));
}

TEST_CASE("paused and draining registrations are good and have no target") {
  for (const std::string state : {"drain", "paused"}) {
    const auto parsed = parse_registration(R"({"targets":["h:1"],"state":")" + state + "\"}");
    REQUIRE(parsed);
    const config::TargetGroup group = discovery::target_group(*parsed, {"t", "j", "i"}, "/p/t/j/i",
                                                              discovery::RegistrationStore::Etcd);
    CHECK(group == config::TargetGroup{"/p/t/j/i", {}, {}});
  }
}

TEST_CASE("a written registration reads back the same") {
  const auto parsed = parse_registration(kWhole);
  REQUIRE(parsed);
  const auto again = parse_registration(discovery::format_registration(*parsed));
  REQUIRE(again);
  CHECK(*again == *parsed);
  Registration small;
  small.targets = {"h:1"};
  small.state = RegistrationState::Paused;
  CHECK(discovery::format_registration(small) == R"({"v":1,"targets":["h:1"],"state":"paused"})");
}

TEST_CASE("an error names the field, the value and what was expected") {
  CHECK(error_of("[]") == "an array: expected an object");
  CHECK(error_of("{}") == "targets: absent: expected a list of \"host:port\"");
  CHECK(error_of(R"({"v":2,"targets":["h:1"]})") == "v: 2: expected 1");
  CHECK(error_of(R"({"targets":"h:1"})") == "targets: \"h:1\": expected a list of \"host:port\"");
  CHECK(error_of(R"({"targets":[]})") == "targets: 0 entries: expected 1 to 100");
  CHECK(error_of(R"({"targets":["h:1","h"]})") == "targets[1]: \"h\": expected \"host:port\"");
  CHECK(error_of(R"({"targets":["h:1"],"labels":{"__address__":"x"}})") ==
        "labels: name \"__address__\": expected one that is not empty and does not begin with "
        "\"__\", except \"__param_<name>\"");
  CHECK(error_of(R"({"targets":["h:1"],"labels":{"a":1}})") == "labels.a: 1: expected a string");
  CHECK(error_of(R"({"targets":["h:1"],"scheme":"ftp"})") ==
        R"(scheme: "ftp": expected "http" or "https")");
  CHECK(error_of(R"({"targets":["h:1"],"metrics_path":"m"})") ==
        R"(metrics_path: "m": expected a path that begins with "/")");
  CHECK(error_of(R"({"targets":["h:1"],"params":{"a":["x","y"]}})") ==
        "params.a: a list of 2: expected a string, or a list of one string");
  CHECK(error_of(R"({"targets":["h:1"],"interval":"500ms"})") ==
        "interval: \"500ms\": expected a duration from 1s to 10m, as in \"10s\"");
  CHECK(error_of(R"({"targets":["h:1"],"interval":10})") ==
        "interval: 10: expected a duration from 1s to 10m, as in \"10s\"");
  CHECK(error_of(R"({"targets":["h:1"],"interval":"5s","timeout":"6s"})") ==
        "timeout: \"6s\": expected at most the interval, 5s");
  CHECK(error_of(R"({"targets":["h:1"],"retry":{"max":4}})") == "retry.max: 4: expected 0 to 3");
  CHECK(error_of(R"({"targets":["h:1"],"retry":{"backoff":"x"}})") ==
        "retry.backoff: \"x\": expected a duration from 1ms to 10m, as in \"10s\"");
  CHECK(error_of(R"({"targets":["h:1"],"state":"down"})") ==
        R"(state: "down": expected "up", "drain" or "paused")");
}

TEST_CASE("what cannot be done for one target is refused") {
  CHECK(error_of(R"({"targets":["h:1"],"honor_labels":true})") ==
        "honor_labels: true: expected false: it is set for the whole job, in scrape_configs");
  CHECK(error_of(R"({"targets":["h:1"],"honor_timestamps":false})") ==
        "honor_timestamps: false: expected true: it is set for the whole job, in scrape_configs");
  CHECK(error_of(R"({"targets":["h:1"],"auth_ref":"node"})") ==
        "auth_ref: \"node\": expected \"\": credentials are set for the whole job, in "
        "scrape_configs");
}

TEST_CASE("limits: 64 KiB, 100 targets") {
  std::string targets = R"({"targets":["h:1")";
  for (int i = 1; i < 100; ++i) targets += ",\"h:1\"";
  CHECK(error_of(targets + "]}") == "none");
  CHECK(error_of(targets + ",\"h:1\"]}") == "targets: 101 entries: expected 1 to 100");
  std::string large = R"({"targets":["h:1"],"x":")";
  large += std::string((64 << 10) - large.size() - 2, 'x') + "\"}";
  CHECK(error_of(large) == "none");
  CHECK(error_of(large + " ") == "the value has 65537 bytes: expected at most 65536");
}

TEST_CASE("addresses are host:port and nothing else") {
  for (const char* good : {"h:1", "10.0.0.1:65535", "[::1]:80", "a-b.c_d:9100"}) {
    CAPTURE(good);
    CHECK(error_of(fmt::format(R"({{"targets":["{}"]}})", good)) == "none");
  }
  for (const char* bad : {"", ":1", "h:", "h:0", "h:65536", "h:1x", "http://h:1", "h:1/m", "::1:80",
                          "[]:1", "[::1]", "[x]:1", "u@h:1", "h h:1", "h%20:1"}) {
    CAPTURE(bad);
    CHECK(error_of(fmt::format(R"({{"targets":["{}"]}})", bad)) != "none");
  }
}

TEST_CASE("a path has a tenant, a job and an instance below the prefix") {
  const auto parts = discovery::parse_registration_path("/petrel/sd", "/petrel/sd/t/j/h:9100");
  REQUIRE(parts);
  CHECK(parts->tenant == "t");
  CHECK(parts->job == "j");
  CHECK(parts->instance == "h:9100");
  for (const char* bad :
       {"/petrel/sd", "/petrel/sd/", "/petrel/sd/t", "/petrel/sd/t/j", "/petrel/sd/t/j/",
        "/petrel/sd/t//i", "/petrel/sd//j/i", "/petrel/sd/t/j/i/k", "/petrel/sdx/t/j/i",
        "/other/t/j/i", "/petrel/sd/t t/j/i", "/petrel/sd/t/j/\xff"}) {
    CAPTURE(bad);
    CHECK_FALSE(discovery::parse_registration_path("/petrel/sd/", bad));
  }
}
