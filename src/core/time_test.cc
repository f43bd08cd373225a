#include "core/time.h"

#include <doctest/doctest.h>
#include <limits>
#include <utility>
#include <vector>

namespace core {

TEST_CASE("a duration is the sum of its parts") {
  const std::vector<std::pair<const char*, int64_t>> cases = {{"0", 0},
                                                              {"5ms", 5},
                                                              {"1s", 1000},
                                                              {"1h30m", 5'400'000},
                                                              {"1d", 86'400'000},
                                                              {"1y2w3d4h5m6s7ms", 33'019'506'007},
                                                              {"90d", 7'776'000'000}};
  for (const auto& [text, expected_ms] : cases) {
    CAPTURE(text);
    CHECK(*parse_duration_ms(text) == expected_ms);
  }
}

TEST_CASE("a duration needs units, in falling order, within 64 bits") {
  for (const char* text : {"", "1", "m", "-1s", "1m1h", "1s1s", "1.5h", "1 h", "1h ", "5M",
                           "99999999999999999999s", "300000000y"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_duration_ms(text));
  }
}

TEST_CASE("a duration is printed as Prometheus prints it") {
  for (const char* text : {"0s", "5ms", "1s", "1h30m", "25h", "1d", "1w", "1y", "4d", "1m1s1ms"}) {
    CAPTURE(text);
    CHECK(format_duration(*parse_duration_ms(text)) == text);
  }
}

TEST_CASE("RFC 3339 times are read with offset and fraction and printed in UTC") {
  CHECK(*parse_rfc3339("1970-01-01T00:00:00Z") == 0);
  CHECK(*parse_rfc3339("2015-07-01T20:10:51.781Z") == 1'435'781'451'781);
  CHECK(*parse_rfc3339("2015-07-01T22:10:51.7815+02:00") == 1'435'781'451'781);
  CHECK(*parse_rfc3339("2024-02-29T00:00:00Z") == 1'709'164'800'000);
  CHECK(format_rfc3339(1'435'781'451'781) == "2015-07-01T20:10:51.781Z");
  CHECK(format_rfc3339(0) == "1970-01-01T00:00:00Z");
  CHECK(format_rfc3339(-1) == "1969-12-31T23:59:59.999Z");
  CHECK(format_rfc3339(std::numeric_limits<int64_t>::min()) == "-292275055-05-16T16:47:04.192Z");
  for (const char* text :
       {"", "2015-07-01", "2015-13-01T00:00:00Z", "2023-02-29T00:00:00Z", "2015-07-01T24:00:00Z",
        "2015-07-01T00:00:00", "2015-07-01T00:00:00.Z"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_rfc3339(text));
  }
}

}  // namespace core
