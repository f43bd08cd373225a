#include "core/metrics.h"

#include <doctest/doctest.h>

namespace core {
namespace {

bool exposes(const std::string& line) {
  return expose_metrics().find("\n" + line + "\n") != std::string::npos;
}

TEST_CASE("a metric is exposed with help, type and escaped labels") {
  counter("test_requests_total", "Requests.", {{"code", "200"}, {"path", "a\"b"}}).add(3);
  CHECK(exposes("# TYPE test_requests_total counter"));
  CHECK(exposes(R"(test_requests_total{code="200",path="a\"b"} 3)"));
}

TEST_CASE("the same name and labels give the same metric") {
  gauge("test_depth", "Depth.", {{"queue", "a"}}).set(1);
  gauge("test_depth", "Depth.", {{"queue", "a"}}).add(1);
  CHECK(exposes(R"(test_depth{queue="a"} 2)"));
}

TEST_CASE("histogram buckets are cumulative") {
  DurationHistogram& histogram = duration_histogram("test_seconds", "Time.");
  histogram.observe(0.0001);
  histogram.observe(0.02);
  histogram.observe(100);
  CHECK(exposes(R"(test_seconds_bucket{le="0.0001"} 1)"));
  CHECK(exposes(R"(test_seconds_bucket{le="0.025"} 2)"));
  CHECK(exposes(R"(test_seconds_bucket{le="+Inf"} 3)"));
  CHECK(exposes("test_seconds_count 3"));
}

TEST_CASE("a callback is read while its handle lives") {
  {
    const MetricCallback handle =
        callback_metric(MetricKind::Gauge, "test_live", "Live.", {}, [] { return 7.0; });
    CHECK(exposes("test_live 7"));
  }
  CHECK_FALSE(exposes("test_live 7"));
}

}  // namespace
}  // namespace core
