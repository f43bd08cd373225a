#include "api/testing/api_fixture.h"

#include <doctest/doctest.h>

namespace api {

namespace {

using testing::ApiFixture;
using testing::failure;
using testing::success;

struct RulesFixture : ApiFixture {
  RulesFixture() {
    rules::RuleView record{.kind = rules::RuleKind::Recording,
                           .name = "job:up:sum",
                           .expression = "sum(up)",
                           .labels = {},
                           .health = rules::RuleHealth::Ok,
                           .last_error = {},
                           .evaluation_seconds = 0.5,
                           .last_evaluation_ms = 1'000'000,
                           .annotations = {},
                           .alerts = {},
                           .resolved = {}};
    rules::RuleView alert{.kind = rules::RuleKind::Alerting,
                          .name = "Down",
                          .expression = "up == 0",
                          .labels = model::Labels::of({{"severity", "page"}}),
                          .health = rules::RuleHealth::Err,
                          .last_error = "storage is away",
                          .for_ms = 300'000,
                          .annotations = {{"summary", "{{ $labels.job }}"}},
                          .state = rules::AlertState::Firing,
                          .alerts = {},
                          .resolved = {}};
    alert.alerts.push_back({.labels = model::Labels::of({{"alertname", "Down"}, {"job", "a"}}),
                            .annotations = {{"summary", "a"}},
                            .state = rules::AlertState::Firing,
                            .value = 7,
                            .active_at_ms = 1'000'500});
    rules.groups = {
        {.name = "g1", .file = "a.yml", .interval_ms = 60'000, .rules = {record, alert}},
        {.name = "g2", .file = "b.yml", .interval_ms = 1'500, .limit = 5, .rules = {record}}};
  }

  std::string names(std::string_view parameters) {
    const std::string body = text("/api/v1/rules?" + std::string(parameters));
    std::string found;
    for (size_t at = 0; (at = body.find("\"name\":\"", at)) != body.npos;) {
      at += 8;
      found += body.substr(at, body.find('"', at) - at) + " ";
    }
    return found;
  }
};

constexpr std::string_view kAlert =
    R"({"labels":{"alertname":"Down","job":"a"},"annotations":{"summary":"a"},"state":"firing",)"
    R"("activeAt":"1970-01-01T00:16:40.500Z","value":"7e+00"})";

}  // namespace

TEST_CASE("Rules have Prometheus's shape") {
  RulesFixture fixture;
  CHECK(fixture.text("/api/v1/rules?rule_group[]=g1") ==
        success(R"({"groups":[{"name":"g1","file":"a.yml","rules":[)"
                R"j({"name":"job:up:sum","query":"sum(up)","health":"ok","evaluationTime":0.5,)j"
                R"("lastEvaluation":"1970-01-01T00:16:40Z","type":"recording"},)"
                R"({"state":"firing","name":"Down","query":"up == 0","duration":300,)"
                R"("keepFiringFor":0,"labels":{"severity":"page"},)"
                R"("annotations":{"summary":"{{ $labels.job }}"},"alerts":[)" +
                std::string(kAlert) +
                R"(],"health":"err","lastError":"storage is away","evaluationTime":0,)"
                R"("lastEvaluation":"0001-01-01T00:00:00Z","type":"alerting"}],)"
                R"("interval":60,"limit":0,"evaluationTime":0,)"
                R"("lastEvaluation":"0001-01-01T00:00:00Z"}]})"));
  CHECK(fixture.text("/api/v1/alerts") == success("{\"alerts\":[" + std::string(kAlert) + "]}"));
}

TEST_CASE("Rules are filtered by kind, name, group, file and labels") {
  RulesFixture fixture;
  CHECK(fixture.names("") == "g1 job:up:sum Down g2 job:up:sum ");
  CHECK(fixture.names("type=alert") == "g1 Down ");
  CHECK(fixture.names("type=record") == "g1 job:up:sum g2 job:up:sum ");
  CHECK(fixture.names("rule_name[]=Down&rule_name[]=other") == "g1 Down ");
  CHECK(fixture.names("file[]=b.yml") == "g2 job:up:sum ");
  CHECK(fixture.names("file[]=c.yml") == "");
  CHECK(fixture.names("match[]=%7Bseverity%3D%22page%22%7D") == "g1 Down ");
  CHECK(fixture.text("/api/v1/rules?type=x") ==
        failure(400, "bad_data", "invalid parameter \"type\": not supported value \"x\""));
  CHECK(fixture.text("/api/v1/rules?type=alert&exclude_alerts=true").find("7e+00") ==
        std::string::npos);
}

TEST_CASE("Groups come in pages") {
  RulesFixture fixture;
  CHECK(fixture.names("group_limit=1") == "g1 job:up:sum Down ");
  const std::string body = fixture.text("/api/v1/rules?group_limit=1");
  const size_t at = body.find("\"groupNextToken\":\"");
  REQUIRE(at != std::string::npos);
  const std::string token = body.substr(at + 18, body.find('"', at + 18) - at - 18);
  const std::string next = "group_limit=1&group_next_token=" + net::percent_encode(token);
  CHECK(fixture.names(next) == "g2 job:up:sum ");
  CHECK(fixture.text("/api/v1/rules?" + next).find("groupNextToken") == std::string::npos);
  CHECK(fixture.text("/api/v1/rules?group_limit=1&group_next_token=x").starts_with("400 "));
  CHECK(fixture.text("/api/v1/rules?group_next_token=x").starts_with("400 "));
  CHECK(fixture.text("/api/v1/rules?group_limit=0").starts_with("400 "));
}

}  // namespace api
