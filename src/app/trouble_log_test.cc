#include "app/trouble_log.h"

#include <doctest/doctest.h>

using api::Trouble;
using app::TroubleLog;

TEST_CASE("what does not work is told at once, then rarely, and its end once") {
  TroubleLog log;
  const auto full = [](const char* text) {
    return Trouble{.part = "storage", .reason = "disk_full", .text = text, .stops_writes = true};
  };
  const Trouble alerting{.part = "alerting", .reason = "alert_store", .text = "no pages"};
  CHECK(log.step({}, 0).due.empty());
  CHECK(log.step({full("3 MiB are free")}, 1'000).due.size() == 1);
  // The numbers in it change; a second one is told on its own.
  for (int64_t now_ms = 2'000; now_ms < 600'000; now_ms += 1'000) {
    CHECK(log.step({full(std::to_string(now_ms).c_str())}, now_ms).due.empty());
  }
  TroubleLog::Changes changes = log.step({full("2 MiB are free"), alerting}, 600'000);
  REQUIRE(changes.due.size() == 1);
  CHECK(changes.due[0].part == "alerting");
  changes = log.step({full("1 MiB are free"), alerting}, 601'000);
  REQUIRE(changes.due.size() == 1);
  CHECK(changes.due[0].text == "1 MiB are free");
  CHECK(changes.gone.empty());

  changes = log.step({alerting}, 602'000);
  CHECK(changes.due.empty());
  REQUIRE(changes.gone.size() == 1);
  CHECK(changes.gone[0].reason == "disk_full");
  CHECK(log.step({alerting}, 603'000).gone.empty());
  CHECK(log.step({full("again"), alerting}, 604'000).due.size() == 1);
}
