// PromQL over the engine's series and over a plain model's, through a simulated day
// (tsdb/testing/model_day.h): every result is the same, bit for bit.

#include "tsdb/testing/model_day.h"

#include "core/testing/quiet_log.h"
#include "promql/engine.h"
#include "storage/testing/changed_requests.h"

#include <cstdio>
#include <cstdlib>
#include <doctest/doctest.h>
#include <fmt/core.h>

namespace promql {
namespace {

using tsdb::testing::ModelDay;
using tsdb::testing::ModelDayOptions;
using tsdb::testing::ModelStore;
using tsdb::testing::ModelWords;

constexpr int64_t kMinute = 60'000;
constexpr int64_t kHour = 60 * kMinute;

using core::testing::QuietLog;

class Expressions {
 public:
  Expressions(const ModelWords& words, core::Rng& rng) : words_(words), rng_(rng) {}

  std::string next() {
    switch (rng_.below(20)) {
      case 0:
        return instant();
      case 1:
        return fmt::format("{}({})", one_of({"rate", "increase", "irate", "delta", "deriv"}),
                           range());
      case 2:
      case 3:
        return fmt::format("sum by ({}) (rate({}))", label(), range());
      case 4:
        return fmt::format(
            "{}_over_time({})",
            one_of({"sum", "avg", "min", "max", "count", "last", "stddev", "present"}), range());
      case 5:
        return fmt::format("quantile_over_time({}, {})", one_of({"0", "0.5", "0.99"}), range());
      case 6:
        return fmt::format("histogram_quantile({}, sum by (le, job) (rate({})))", quantile(),
                           range("latency_seconds_bucket"));
      case 7:
        return fmt::format("histogram_quantile({}, sum by (job) (rate({})))", quantile(),
                           range(native()));
      case 8:
        return fmt::format(
            "{}(rate({}))",
            one_of({"histogram_count", "histogram_sum", "histogram_avg", "histogram_stddev"}),
            range(native()));
      case 9:
        return fmt::format("histogram_fraction(0, {}, {})", one_of({"0.1", "1", "5"}),
                           instant(native()));
      case 10:
        return fmt::format("{}({}, {})", one_of({"topk", "bottomk"}), 1 + rng_.below(5), instant());
      case 11:
        return fmt::format("{} by ({}) ({})",
                           one_of({"sum", "avg", "min", "max", "count", "stddev", "group"}),
                           label(), instant());
      case 12:
        return fmt::format("{} without (pod, instance) (increase({}))", one_of({"sum", "max"}),
                           range());
      case 13:
        return fmt::format("max_over_time(rate({})[{}m:{}m])", range(), 10 + rng_.below(60),
                           1 + rng_.below(5));
      case 14:
        return fmt::format("{} - {} offset {}m", instant("temperature_celsius"),
                           instant("temperature_celsius"), rng_.below(400));
      case 15:
        return fmt::format("{} / on (instance, pod) group_left () {}",
                           instant("latency_seconds_bucket"), instant("latency_seconds_count"));
      case 16:
        return fmt::format("{}({})", one_of({"changes", "resets"}), range());
      case 17:
        return fmt::format("absent_over_time({})", range());
      case 18:
        return fmt::format("{} {} {}", instant(), one_of({"and", "or", "unless"}), instant());
      default:
        return fmt::format("count_values by (job) (\"v\", {})", instant("temperature_celsius"));
    }
  }
  // For an instant query only.
  std::string raw() { return range(); }

 private:
  std::string one_of(std::initializer_list<const char*> all) {
    return *(all.begin() + rng_.below(all.size()));
  }
  std::string label() { return one_of({"job", "zone", "instance", "job, zone", "pod"}); }
  std::string quantile() { return one_of({"0", "0.5", "0.9", "0.999", "1"}); }
  std::string native() {
    return one_of({"rpc_seconds", "queue_size", "handler_seconds", "switching"});
  }
  std::string any() { return words_.metrics[rng_.below(words_.metrics.size())]; }
  std::string selector(const std::string& metric) {
    switch (rng_.below(6)) {
      case 0:
        return metric + "{job=\"api\"}";
      case 1:
        return metric + "{zone!=\"z1\"}";
      case 2:
        return metric + "{pod=~\"node-.*|db-0\"}";
      default:
        return metric;
    }
  }
  std::string instant(const std::string& metric) {
    const bool is_moved = rng_.below(5) == 0;
    return selector(metric) + (is_moved ? fmt::format(" offset {}m", rng_.below(600)) : "");
  }
  std::string instant() { return instant(any()); }
  std::string range(const std::string& metric) {
    const bool is_moved = rng_.below(5) == 0;
    return fmt::format("{}[{}m]{}", selector(metric), 1 + rng_.below(60),
                       is_moved ? fmt::format(" offset {}m", rng_.below(600)) : "");
  }
  std::string range() { return range(any()); }

  const ModelWords& words_;
  core::Rng& rng_;
};

bool same(const Point& a, const Point& b) {
  if (a.timestamp_ms != b.timestamp_ms) return false;
  if (a.histogram.has_value() != b.histogram.has_value()) return false;
  if (a.histogram) return tsdb::testing::same_bits(*a.histogram, *b.histogram);
  return model::same_bits(a.value, b.value);
}

std::string text_of(const Point& point) {
  return fmt::format(
      "{} at {}",
      point.histogram ? std::string("a histogram") : fmt::format("{:.17g}", point.value),
      point.timestamp_ms);
}

std::optional<std::string> difference(const QueryResult& got, const QueryResult& expected) {
  if (got.warnings != expected.warnings || got.infos != expected.infos) {
    return "other warnings or infos";
  }
  if (got.value.index() != expected.value.index()) return "another type of result";
  if (const auto* a = std::get_if<Vector>(&got.value)) {
    const Vector& b = std::get<Vector>(expected.value);
    if (a->size() != b.size()) return fmt::format("{} samples, expected {}", a->size(), b.size());
    for (size_t i = 0; i < b.size(); ++i) {
      if ((*a)[i].labels == b[i].labels && same((*a)[i].point, b[i].point)) continue;
      return fmt::format("{} {}, expected {} {}", (*a)[i].labels.to_string(),
                         text_of((*a)[i].point), b[i].labels.to_string(), text_of(b[i].point));
    }
  }
  if (const auto* a = std::get_if<Matrix>(&got.value)) {
    const Matrix& b = std::get<Matrix>(expected.value);
    if (a->size() != b.size()) return fmt::format("{} series, expected {}", a->size(), b.size());
    for (size_t i = 0; i < b.size(); ++i) {
      const std::string labels = b[i].labels.to_string();
      if ((*a)[i].labels != b[i].labels) {
        return fmt::format("{}, expected {}", (*a)[i].labels.to_string(), labels);
      }
      if ((*a)[i].points.size() != b[i].points.size()) {
        return fmt::format("{}: {} points, expected {}", labels, (*a)[i].points.size(),
                           b[i].points.size());
      }
      for (size_t j = 0; j < b[i].points.size(); ++j) {
        if (same((*a)[i].points[j], b[i].points[j])) continue;
        return fmt::format("{}: {}, expected {}", labels, text_of((*a)[i].points[j]),
                           text_of(b[i].points[j]));
      }
    }
  }
  return std::nullopt;
}

struct Asked {
  uint64_t queries = 0;
  uint64_t errors = 0;  // the same ones on both sides
  uint64_t empty = 0;
};

bool is_empty(const Value& value) {
  if (const auto* vector = std::get_if<Vector>(&value)) return vector->empty();
  if (const auto* matrix = std::get_if<Matrix>(&value)) return matrix->empty();
  return false;
}

std::optional<std::string> ask(const storage::SeriesSource& engine, const ModelStore& model,
                               const ModelWords& words, core::Rng& rng, Asked& asked) {
  const core::testing::FakeClock clock;
  // In the order of their labels: sums of floats depend on it.
  const storage::testing::ChangedRequests sorted(
      engine, [](storage::SelectRequest& request) { request.sorted = true; });
  const Engine over_engine(sorted, clock, {});
  const Engine over_model(model, clock, {});
  Expressions expressions(words, rng);
  const int64_t span = words.end_ms - words.start_ms;
  const bool is_instant = rng.below(3) == 0;
  const std::string query =
      is_instant && rng.below(4) == 0 ? expressions.raw() : expressions.next();
  const QueryOptions options{.tenant = tsdb::testing::random_tenant(words, rng),
                             .lookback_ms = 0,
                             .timeout_ms = 0,
                             .stop = {}};
  int64_t end_ms = words.end_ms;
  if (rng.below(3) != 0) end_ms -= static_cast<int64_t>(rng.below(span));
  const int64_t start_ms = end_ms - static_cast<int64_t>(rng.below(4 * kHour));
  const auto step_ms = static_cast<int64_t>(15'000 + rng.below(5 * kMinute));
  const auto run = [&](const Engine& over) {
    return is_instant ? over.instant(query, end_ms, options)
                      : over.range(query, start_ms, end_ms, step_ms, options);
  };
  const core::Result<QueryResult> got = run(over_engine);
  const core::Result<QueryResult> expected = run(over_model);
  const std::string where = fmt::format("tenant {}, {} [{}, {}] step {}", options.tenant, query,
                                        is_instant ? end_ms : start_ms, end_ms, step_ms);
  ++asked.queries;
  if (!got || !expected) {
    ++asked.errors;
    const std::string a = got ? "no error" : got.error().message;
    const std::string b = expected ? "no error" : expected.error().message;
    if (a == b) return std::nullopt;
    return fmt::format("{}: {}, expected {}", where, a, b);
  }
  asked.empty += is_empty(expected->value) ? 1 : 0;
  if (auto different = difference(*got, *expected)) return where + ": " + *different;
  return std::nullopt;
}

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace

// PETREL_MODEL_SEEDS=10 PETREL_MODEL_FIRST_SEED=100 PETREL_MODEL_TARGETS=95: other days,
// and one of 2,000 series.
TEST_CASE("PromQL over a day in the engine is PromQL over what was written") {
  const QuietLog quiet;
  const uint64_t first = number_from("PETREL_MODEL_FIRST_SEED", 1);
  const uint64_t seeds = number_from("PETREL_MODEL_SEEDS", 1);
  const uint64_t targets = number_from("PETREL_MODEL_TARGETS", 3);
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    ModelDayOptions options;
    options.seed = seed;
    options.targets = static_cast<uint32_t>(targets);
    options.questions = static_cast<uint32_t>(number_from("PETREL_MODEL_QUESTIONS", 3));
    if (seed % 3 == 2) options.window_ms = (seed % 2 == 0 ? 72 : 6) * kHour;
    if (seed % 2 == 1) options.block_range_max_ms = 8 * kHour;
    CAPTURE(seed);
    Asked asked;
    ModelDay day(options);
    day.set_check([&](const storage::SeriesSource& engine, const ModelStore& model,
                      const ModelWords& words, core::Rng& rng) -> std::optional<std::string> {
      for (uint32_t i = 0; i < 2 * options.questions; ++i) {
        if (auto different = ask(engine, model, words, rng, asked)) return different;
      }
      return std::nullopt;
    });
    const std::optional<std::string> different = day.run();
    if (different) FAIL(*different);
    fmt::print(
        "seed {}, {} targets, window {} h: {}; {} expressions, {} with an empty result, {} "
        "with an error\n",
        seed, targets, options.window_ms / kHour, day.totals().to_string(), asked.queries,
        asked.empty, asked.errors);
    std::fflush(stdout);  // a gate shows how far it is
    CHECK(asked.queries > 300);
    CHECK(asked.empty < asked.queries * 6 / 10);
    CHECK(asked.errors < asked.queries / 5);
  }
}

}  // namespace promql
