#include "api/params.h"

#include <doctest/doctest.h>

namespace api {

TEST_CASE("Times are float seconds or RFC 3339") {
  CHECK(parse_time("1435781451.781").value() == 1'435'781'451'781);
  CHECK(parse_time("-0.5").value() == -500);
  CHECK(parse_time("+1e3").value() == 1'000'000);
  CHECK(parse_time("2015-07-01T22:10:51+02:00").value() == 1'435'781'451'000);
  CHECK(parse_time("-292273086-05-16T16:47:06Z").value() == kTimeMinMs);
  CHECK(parse_time("292277025-08-18T07:12:54.999999999Z").value() == kTimeMaxMs);
  for (const std::string_view bad : {"", "yesterday", "1s", "--1", "+-1", "1e300", "NaN", "Inf",
                                     "2015-07-01", "2015-07-01T20:10:51"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_time(bad));
  }
  CHECK(parse_time("yester\"day").error().message ==
        "cannot parse \"yester\\\"day\" to a valid timestamp");
}

TEST_CASE("Durations are float seconds or Prometheus's form") {
  CHECK(parse_duration_ns("15").value() == 15'000'000'000);
  CHECK(parse_duration_ns("0.5").value() == 500'000'000);
  CHECK(parse_duration_ns("1e2").value() == 100'000'000'000);
  CHECK(parse_duration_ns("1m30s").value() == 90'000'000'000);
  CHECK(parse_duration_ns("-1").value() == -1'000'000'000);
  CHECK(parse_duration_ns("soon").error().message == "cannot parse \"soon\" to a valid duration");
  CHECK(parse_duration_ns("1e10").error().message ==
        "cannot parse \"1e10\" to a valid duration. It overflows int64");
  CHECK_FALSE(parse_duration_ns("0.5m"));
  CHECK_FALSE(parse_duration_ns("400y"));
  CHECK_FALSE(parse_duration_ns("NaN"));
}

}  // namespace api
