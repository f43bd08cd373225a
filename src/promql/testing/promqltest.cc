#include "promql/testing/promqltest.h"

#include "core/clock.h"
#include "core/time.h"
#include "promql/engine.h"
#include "promql/histogram_math.h"
#include "promql/printer.h"
#include "promql/testing/series_description.h"
#include "storage/testing/memory_store.h"

#include <algorithm>
#include <cmath>
#include <fmt/core.h>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace promql::testing {

using core::ErrorCode;
using core::Result;

namespace {

constexpr double kTolerance = 1e-6;
constexpr int64_t kMinuteMs = 60'000;

bool close(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  if (a == b) return true;
  if (std::isinf(a) || std::isinf(b)) return false;
  const double sum = std::fabs(a) + std::fabs(b);
  const double difference = std::fabs(a - b);
  if (a == 0 || b == 0 || sum < std::numeric_limits<double>::min()) {
    return difference < kTolerance * std::numeric_limits<double>::min();
  }
  return difference / std::min(sum, std::numeric_limits<double>::max()) < kTolerance;
}

bool close(const model::Histogram& a, const model::Histogram& b) {
  if (a.schema != b.schema || !close(a.count, b.count) || !close(a.sum, b.sum)) return false;
  if (a.custom_bounds != b.custom_bounds) return false;
  if (!close(a.zero_threshold, b.zero_threshold) || !close(a.zero_count, b.zero_count)) {
    return false;
  }
  const auto populated = [](const model::Histogram& one) {
    std::vector<HistogramBucket> buckets = buckets_of(one);
    std::erase_if(buckets, [](const HistogramBucket& bucket) { return bucket.count == 0; });
    return buckets;
  };
  const auto left = populated(a);
  const auto right = populated(b);
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](const HistogramBucket& x, const HistogramBucket& y) {
                      return close(x.lower, y.lower) && close(x.upper, y.upper) &&
                             close(x.count, y.count);
                    });
}

std::string show(const Point& point) {
  return point.histogram ? to_string(*point.histogram) : format_number(point.value);
}

std::string_view trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

std::string_view take_word(std::string_view& text) {
  text = trim(text);
  const std::string_view word = text.substr(0, text.find_first_of(" \t"));
  text.remove_prefix(word.size());
  text = trim(text);
  return word;
}

Result<int64_t> take_time(std::string_view& text) {
  const std::string_view word = take_word(text);
  const bool negative = word.starts_with('-');
  const std::string_view digits = negative ? word.substr(1) : word;
  int64_t time_ms = 0;
  if (!digits.empty() && digits.find_first_not_of("0123456789.") == std::string_view::npos) {
    time_ms = std::llround(std::strtod(std::string(digits).c_str(), nullptr) * 1000);
  } else {
    time_ms = TRY(core::parse_duration_ms(digits));
  }
  return negative ? -time_ms : time_ms;
}

struct Expected {
  model::Labels labels;
  std::vector<SequenceValue> values;
};

// What an eval is to give.
struct Eval {
  int line = 0;
  std::string query;
  bool is_range = false;
  int64_t start_ms = 0;
  int64_t end_ms = 0;
  int64_t step_ms = 1;
  bool fail = false;
  bool warn = false;
  bool info = false;
  bool ordered = false;
  bool annotations_checked = true;
  std::string fail_message;
  std::optional<double> scalar;
  std::optional<std::string> text;
  std::vector<Expected> expected;
};

class Script {
 public:
  explicit Script(const ScriptOptions& script_options) : script_options_(script_options) {}

  Result<ScriptResult> run(std::string_view text) {
    split(text);
    while (at_ < lines_.size()) {
      std::string_view line = lines_[at_];
      if (line.empty()) {
        ++at_;
        continue;
      }
      std::string_view rest = line;
      const std::string_view command = take_word(rest);
      if (command == "clear") {
        ++at_;
        store_.clear();
      } else if (command == "load" || command == "load_with_nhcb") {
        TRY(load(rest, command != "load").context("line {}", at_ + 1));
      } else if (command.starts_with("eval")) {
        const size_t line_number = at_ + 1;
        const Eval eval = TRY(read_eval(command, rest).context("line {}", line_number));
        evaluate(eval);
      } else {
        return core::fail(ErrorCode::InvalidArgument, "line {}: unknown command {}", at_ + 1,
                          command);
      }
    }
    return std::move(result_);
  }

 private:
  void split(std::string_view text) {
    while (!text.empty()) {
      const size_t end = std::min(text.find('\n'), text.size());
      std::string_view line = trim(text.substr(0, end));
      if (line.starts_with('#')) line = "";
      lines_.emplace_back(line);
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  }

  Result<void> load(std::string_view rest, bool with_custom_buckets) {
    const int64_t step_ms = TRY(take_time(rest));
    storage::WriteBatch batch;
    std::vector<SeriesDescription> list;
    for (++at_; at_ < lines_.size() && !lines_[at_].empty(); ++at_) {
      SeriesDescription series = TRY(parse_series(lines_[at_]));
      // Of a series given twice the last counts.
      std::erase_if(list, [&](const auto& one) { return one.labels == series.labels; });
      list.push_back(std::move(series));
    }
    if (with_custom_buckets) add_custom_buckets(list);
    for (SeriesDescription& series : list) {
      batch.begin_series(batch.keep(series.labels.bytes()));
      for (size_t i = 0; i < series.values.size(); ++i) {
        if (series.values[i].omitted) continue;
        const int64_t time_ms = static_cast<int64_t>(i) * step_ms;
        if (series.values[i].histogram) {
          batch.add_histogram(time_ms, std::move(*series.values[i].histogram));
        } else {
          batch.add_sample(time_ms, series.values[i].value);
        }
      }
    }
    TRY(store_.append(batch));
    return {};
  }

  // From classic buckets x_bucket{le} (x_sum, x_count) to one histogram series x.
  static void add_custom_buckets(std::vector<SeriesDescription>& list) {
    struct Classic {
      std::map<double, const SeriesDescription*> buckets;
      const SeriesDescription* sum = nullptr;
      const SeriesDescription* count = nullptr;
    };
    std::map<model::Labels, Classic> groups;
    const auto group = [&](const model::Labels& labels, std::string_view suffix) -> Classic& {
      const std::string_view name = labels.metric_name();
      return groups[model::LabelsBuilder(labels)
                        .remove("le")
                        .set(model::kMetricName, name.substr(0, name.size() - suffix.size()))
                        .build()];
    };
    for (const SeriesDescription& series : list) {
      const std::string_view name = series.labels.metric_name();
      if (name.ends_with("_bucket")) {
        const double bound = std::strtod(std::string(series.labels.get("le")).c_str(), nullptr);
        group(series.labels, "_bucket").buckets[bound] = &series;
      } else if (name.ends_with("_sum")) {
        group(series.labels, "_sum").sum = &series;
      } else if (name.ends_with("_count")) {
        group(series.labels, "_count").count = &series;
      }
    }
    std::vector<SeriesDescription> added;
    for (const auto& [labels, classic] : groups) {
      if (classic.buckets.empty()) continue;
      SeriesDescription series;
      series.labels = labels;
      size_t length = 0;
      for (const auto& [bound, bucket] : classic.buckets) {
        length = std::max(length, bucket->values.size());
      }
      for (size_t i = 0; i < length; ++i) {
        series.values.push_back(custom_histogram(classic.buckets, classic.sum, i));
      }
      added.push_back(std::move(series));
    }
    for (SeriesDescription& series : added) list.push_back(std::move(series));
  }

  static SequenceValue custom_histogram(const std::map<double, const SeriesDescription*>& buckets,
                                        const SeriesDescription* sum, size_t i) {
    model::Histogram histogram;
    histogram.schema = model::kCustomBucketsSchema;
    double before = 0;
    bool present = false;
    for (const auto& [bound, bucket] : buckets) {
      double count = before;
      if (i < bucket->values.size() && !bucket->values[i].omitted) {
        count = bucket->values[i].value;
        present = true;
      }
      if (!std::isinf(bound)) histogram.custom_bounds.push_back(bound);
      histogram.positive_counts.push_back(count - before);
      before = count;
    }
    histogram.count = before;
    if (sum != nullptr && i < sum->values.size()) histogram.sum = sum->values[i].value;
    histogram.positive_spans = {{0, static_cast<uint32_t>(histogram.positive_counts.size())}};
    return {!present, 0, std::move(histogram)};
  }

  Result<Eval> read_eval(std::string_view command, std::string_view rest) {
    Eval eval;
    eval.line = static_cast<int>(at_) + 1;
    eval.fail = command == "eval_fail";
    eval.warn = command == "eval_warn";
    eval.info = command == "eval_info";
    eval.ordered = command == "eval_ordered";
    const std::string_view kind = take_word(rest);
    if (kind == "instant") {
      take_word(rest);  // at
      eval.start_ms = TRY(take_time(rest));
      eval.end_ms = eval.start_ms;
    } else {
      eval.is_range = true;
      take_word(rest);  // from
      eval.start_ms = TRY(take_time(rest));
      take_word(rest);  // to
      eval.end_ms = TRY(take_time(rest));
      take_word(rest);  // step
      eval.step_ms = TRY(take_time(rest));
    }
    eval.query = std::string(rest);
    for (++at_; at_ < lines_.size() && !lines_[at_].empty(); ++at_) {
      TRY(read_expectation(eval, lines_[at_]).context("line {}", at_ + 1));
    }
    return eval;
  }

  static Result<void> read_expectation(Eval& eval, std::string_view line) {
    std::string_view rest = line;
    const std::string_view word = take_word(rest);
    if (word == "expect") {
      const std::string_view what = take_word(rest);
      eval.fail = eval.fail || what == "fail";
      eval.warn = eval.warn || what == "warn";
      eval.info = eval.info || what == "info";
      eval.ordered = eval.ordered || what == "ordered";
      if (what == "string") eval.text = std::string(rest);
      if (what == "fail" && rest.starts_with("msg:")) eval.fail_message = trim(rest.substr(4));
      return {};
    }
    if (word == "expected_fail_message") {
      eval.fail_message = std::string(rest);
      return {};
    }
    if (word.find_first_not_of("0123456789+-.eEINFnaif") == std::string_view::npos &&
        rest.empty() && word.find('{') == std::string_view::npos) {
      const auto values = TRY(parse_values(word));
      if (values.size() == 1) {
        eval.scalar = values.front().value;
        return {};
      }
    }
    SeriesDescription series = TRY(parse_series(line));
    eval.expected.push_back({std::move(series.labels), std::move(series.values)});
    return {};
  }

  void fail(const Eval& eval, std::string what, bool unsupported = false) {
    result_.failures.push_back({eval.line, eval.query, std::move(what), unsupported});
  }

  EngineOptions options() const {
    EngineOptions options;
    options.delayed_name_removal = script_options_.delayed_name_removal;
    options.subquery_step_ms = kMinuteMs;
    return options;
  }

  void evaluate(const Eval& eval) {
    ++result_.evals;
    const Engine engine(store_, clock_, options());
    auto got = eval.is_range ? engine.range(eval.query, eval.start_ms, eval.end_ms, eval.step_ms)
                             : engine.instant(eval.query, eval.start_ms);
    if (!got) {
      if (got.error().code == ErrorCode::Unsupported) {
        return fail(eval, got.error().message, true);
      }
      if (!eval.fail) return fail(eval, "error: " + got.error().message);
      if (!eval.fail_message.empty() && got.error().message != eval.fail_message) {
        fail(eval, fmt::format("error {} instead of {}", got.error().message, eval.fail_message));
      }
      return;
    }
    if (eval.fail) return fail(eval, "no error");
    const size_t failures = result_.failures.size();
    check_annotations(eval, *got);
    if (eval.is_range) {
      check_matrix(eval, std::get<Matrix>(got->value));
    } else {
      check_instant(eval, got->value);
      if (result_.failures.size() == failures && !eval.ordered) check_in_range(eval, engine);
    }
  }

  void check_annotations(const Eval& eval, const QueryResult& got) {
    if (eval.ordered) return;
    const auto check = [&](bool wanted, const std::vector<std::string>& given, const char* kind) {
      if (wanted && given.empty()) fail(eval, fmt::format("no {}", kind));
      if (!wanted && !given.empty()) fail(eval, fmt::format("unexpected {}: {}", kind, given[0]));
    };
    check(eval.warn, got.warnings, "warning");
    check(eval.info, got.infos, "info");
  }

  void check_point(const Eval& eval, const std::string& where, const SequenceValue& wanted,
                   const Point& got) {
    const bool same = wanted.histogram ? got.histogram && close(*wanted.histogram, *got.histogram)
                                       : !got.histogram && close(wanted.value, got.value);
    if (same) return;
    Point expected;
    expected.value = wanted.value;
    if (wanted.histogram) expected.histogram = *wanted.histogram;
    fail(eval, fmt::format("{}: got {}, expected {}", where, show(got), show(expected)));
  }

  void check_instant(const Eval& eval, const Value& value) {
    if (const auto* scalar = std::get_if<Scalar>(&value)) {
      if (!eval.scalar) return fail(eval, "got a scalar");
      if (!close(scalar->value, *eval.scalar)) {
        fail(eval, fmt::format("got {}, expected {}", format_number(scalar->value),
                               format_number(*eval.scalar)));
      }
      return;
    }
    if (std::get_if<String>(&value) != nullptr) return;
    if (const auto* matrix = std::get_if<Matrix>(&value)) return check_matrix(eval, *matrix);
    const auto& vector = std::get<Vector>(value);
    std::vector<bool> used(vector.size(), false);
    for (size_t i = 0; i < eval.expected.size(); ++i) {
      const Expected& wanted = eval.expected[i];
      size_t found = vector.size();
      for (size_t j = 0; j < vector.size(); ++j) {
        if (vector[j].labels == wanted.labels) found = j;
      }
      if (found == vector.size()) {
        fail(eval, fmt::format("missing {}", wanted.labels.to_string()));
        continue;
      }
      if (eval.ordered && found != i) {
        fail(eval, fmt::format("{} stands at place {} instead of {}", wanted.labels.to_string(),
                               found, i));
      }
      used[found] = true;
      if (wanted.values.size() == 1) {
        check_point(eval, wanted.labels.to_string(), wanted.values[0], vector[found].point);
      }
    }
    for (size_t j = 0; j < vector.size(); ++j) {
      if (!used[j]) {
        fail(eval,
             fmt::format("unexpected {} {}", vector[j].labels.to_string(), show(vector[j].point)));
      }
    }
  }

  void check_matrix(const Eval& eval, const Matrix& matrix) {
    std::set<std::string> wanted_labels;
    for (const Expected& wanted : eval.expected) {
      wanted_labels.insert(wanted.labels.bytes());
      const Series* series = nullptr;
      for (const Series& one : matrix) {
        if (one.labels == wanted.labels) series = &one;
      }
      if (series == nullptr) {
        fail(eval, fmt::format("missing {}", wanted.labels.to_string()));
        continue;
      }
      size_t next = 0;
      for (size_t i = 0; i < wanted.values.size(); ++i) {
        const int64_t time_ms = eval.start_ms + static_cast<int64_t>(i) * eval.step_ms;
        const bool present =
            next < series->points.size() && series->points[next].timestamp_ms == time_ms;
        if (present == wanted.values[i].omitted) {
          fail(eval, fmt::format("{} at {}: {}", wanted.labels.to_string(), time_ms,
                                 present ? "unexpected " + show(series->points[next]) : "missing"));
        } else if (present) {
          check_point(eval, fmt::format("{} at {}", wanted.labels.to_string(), time_ms),
                      wanted.values[i], series->points[next]);
        }
        if (present) ++next;
      }
      if (next < series->points.size()) {
        fail(eval, fmt::format("{}: points too many", wanted.labels.to_string()));
      }
    }
    for (const Series& one : matrix) {
      if (wanted_labels.count(one.labels.bytes()) == 0) {
        fail(eval, fmt::format("unexpected {}", one.labels.to_string()));
      }
    }
  }

  void check_in_range(const Eval& eval, const Engine& engine) {
    auto got =
        engine.range(eval.query, eval.start_ms - kMinuteMs, eval.start_ms + kMinuteMs, kMinuteMs);
    if (!got) return;  // range vectors and strings have no range form
    Vector middle;
    for (const Series& series : std::get<Matrix>(got->value)) {
      for (const Point& point : series.points) {
        if (point.timestamp_ms == eval.start_ms) middle.push_back({series.labels, point});
      }
    }
    Eval in_range = eval;
    in_range.query = "(as a range) " + eval.query;
    if (eval.scalar) {
      in_range.expected.push_back(
          {model::Labels{}, {SequenceValue{false, *eval.scalar, std::nullopt}}});
    }
    check_instant(in_range, Value(std::move(middle)));
  }

  const ScriptOptions script_options_;
  std::vector<std::string> lines_;
  size_t at_ = 0;
  storage::testing::MemoryStore store_;
  core::SystemClock clock_;
  ScriptResult result_;
};

}  // namespace

Result<ScriptResult> run_script(std::string_view text, const ScriptOptions& options) {
  return Script(options).run(text);
}

}  // namespace promql::testing
