#include "api/answer.h"

#include "api/http_status.h"

#include <cmath>
#include <doctest/doctest.h>
#include <limits>

namespace api {

namespace {

std::string value_text(double value) {
  std::string out;
  append_sample_value(out, value);
  return out;
}

std::string json_of(const model::Histogram& histogram) {
  std::string out;
  append_histogram(out, histogram);
  return out;
}

}  // namespace

TEST_CASE("Sample values are printed as Prometheus prints them") {
  CHECK(value_text(0) == "0");
  CHECK(value_text(-0.0) == "-0");
  CHECK(value_text(1.0 / 3) == "0.3333333333333333");
  CHECK(value_text(1e20) == "100000000000000000000");
  CHECK(value_text(1e21) == "1e+21");
  CHECK(value_text(-2.5e22) == "-2.5e+22");
  CHECK(value_text(0.000001) == "0.000001");
  CHECK(value_text(1e-7) == "1e-07");
  CHECK(value_text(5e-324) == "5e-324");
  CHECK(value_text(INFINITY) == "+Inf");
  CHECK(value_text(-INFINITY) == "-Inf");
  CHECK(value_text(NAN) == "NaN");
  CHECK(format_float_e(7) == "7e+00");
  CHECK(format_float_e(0.00012) == "1.2e-04");
  CHECK(format_float_e(NAN) == "NaN");
}

TEST_CASE("Each kind of value has its form") {
  using promql::Value;
  const auto text_of = [](const Value& value) {
    std::string out;
    append_value(out, value);
    return out;
  };
  const model::Labels labels = model::Labels::of({{"__name__", "m"}, {"a", "x\"y"}});
  CHECK(text_of(promql::Scalar{.timestamp_ms = 1500, .value = 2}) == "[1.5,\"2\"]");
  CHECK(text_of(promql::String{.timestamp_ms = 1000, .value = "a\tb"}) == "[1,\"a\\tb\"]");
  CHECK(text_of(promql::Vector{}) == "[]");
  CHECK(text_of(promql::Vector{
            {.labels = labels, .point = {.timestamp_ms = 0, .value = 1, .histogram = {}}}}) ==
        R"([{"metric":{"__name__":"m","a":"x\"y"},"value":[0,"1"]}])");
  model::Histogram histogram;
  histogram.count = 1;
  const promql::Point float_point{.timestamp_ms = 1000, .value = 1, .histogram = {}};
  const promql::Point histogram_point{.timestamp_ms = 2000, .histogram = histogram};
  CHECK(text_of(promql::Matrix{{.labels = {}, .points = {float_point, histogram_point}}}) ==
        R"([{"metric":{},"values":[[1,"1"]],"histograms":[[2,{"count":"1","sum":"0"}]]}])");
}

TEST_CASE("An exponential histogram shows its filled buckets from low to high") {
  model::Histogram histogram;
  histogram.schema = 1;
  histogram.count = 12;
  histogram.sum = 18.4;
  histogram.zero_threshold = 0.001;
  histogram.zero_count = 2;
  histogram.positive_spans = {{.offset = 0, .length = 2}, {.offset = 1, .length = 2}};
  histogram.positive_counts = {1, 2, 0, 4};
  histogram.negative_spans = {{.offset = 1, .length = 1}, {.offset = 1, .length = 1}};
  histogram.negative_counts = {3, 5};
  CHECK(json_of(histogram) ==
        R"({"count":"12","sum":"18.4","buckets":[[1,"-2.8284271247461903","-2","5"],)"
        R"([1,"-1.4142135623730951","-1","3"],[3,"-0.001","0.001","2"],)"
        R"([0,"0.7071067811865476","1","1"],[0,"1","1.4142135623730951","2"],)"
        R"([0,"2.8284271247461903","4","4"]]})");
}

TEST_CASE("Coarse, extreme and custom buckets have their bounds") {
  model::Histogram coarse;
  coarse.schema = -2;
  coarse.count = 2;
  coarse.positive_spans = {{.offset = -1, .length = 1}, {.offset = 256, .length = 1}};
  coarse.positive_counts = {1, 1};
  CHECK(json_of(coarse) == R"({"count":"2","sum":"0","buckets":[[0,"0.00390625","0.0625","1"],)"
                           R"([0,"1.1235582092889474e+307","1.7976931348623157e+308","1"]]})");
  model::Histogram custom;
  custom.schema = model::kCustomBucketsSchema;
  custom.count = 3;
  custom.custom_bounds = {1, 2.5};
  custom.positive_spans = {{.offset = 0, .length = 3}};
  custom.positive_counts = {1, 0, 2};
  CHECK(json_of(custom) ==
        R"({"count":"3","sum":"0","buckets":[[3,"-Inf","1","1"],[0,"2.5","+Inf","2"]]})");
}

TEST_CASE("Errors become Prometheus's JSON and the status that says what to do") {
  const net::Response response =
      error_response(core::Error{core::ErrorCode::InvalidArgument, "say \"what\""});
  CHECK(response.status == 400);
  CHECK(response.body == R"({"status":"error","errorType":"bad_data","error":"say \"what\""})");
  CHECK(http_status(core::ErrorCode::Timeout).status == 503);
  CHECK(http_status(core::ErrorCode::Timeout).error_type == "timeout");
  CHECK(http_status(core::ErrorCode::Cancelled).status == 499);
  CHECK(http_status(core::ErrorCode::Corruption).error_type == "internal");
  const net::Response later = error_response(core::Error{core::ErrorCode::Unavailable, "later"});
  CHECK(net::find_header(later.headers, "Retry-After") == "1");
}

}  // namespace api
