#include "promql/testing/series_description.h"

#include "model/sample.h"
#include "promql/histogram_math.h"
#include "promql/lexer.h"
#include "promql/parser.h"

#include <cstdlib>
#include <map>
#include <string>
#include <utility>

namespace promql::testing {

using core::ErrorCode;
using core::Result;

namespace {

// Mistakes of a test's author, not limits of anything.
constexpr size_t kRepetitionsMax = 1'000'000;

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool done() const { return text_.empty(); }
  char peek() const { return text_.empty() ? '\0' : text_.front(); }
  bool accept(std::string_view prefix) {
    if (!text_.starts_with(prefix)) return false;
    text_.remove_prefix(prefix.size());
    return true;
  }
  void skip_blank() {
    while (!text_.empty() && (text_.front() == ' ' || text_.front() == '\t')) {
      text_.remove_prefix(1);
    }
  }
  std::string_view rest() const { return text_; }

  // No hexadecimal: "0x3" is a zero, four times.
  std::optional<double> number() {
    size_t size = 0;
    if (size < text_.size() && (text_[size] == '+' || text_[size] == '-')) ++size;
    const size_t digits = size;
    if (size < text_.size() && std::isalpha(static_cast<unsigned char>(text_[size])) != 0) {
      size += 3;  // Inf, NaN
    } else {
      while (size < text_.size() && (is_digit(text_[size]) || text_[size] == '.')) ++size;
      if (size + 1 < text_.size() && (text_[size] == 'e' || text_[size] == 'E')) {
        const size_t sign = text_[size + 1] == '+' || text_[size + 1] == '-' ? 2 : 1;
        if (size + sign < text_.size() && is_digit(text_[size + sign])) {
          size += sign;
          while (size < text_.size() && is_digit(text_[size])) ++size;
        }
      }
    }
    if (size == digits || size > text_.size()) return std::nullopt;
    const std::string copy(text_.substr(0, size));
    char* end = nullptr;
    const double value = std::strtod(copy.c_str(), &end);
    if (end != copy.c_str() + copy.size()) return std::nullopt;
    text_.remove_prefix(size);
    return value;
  }

  std::string_view word() {
    size_t size = 0;
    while (size < text_.size() &&
           (std::isalpha(static_cast<unsigned char>(text_[size])) != 0 || text_[size] == '_')) {
      ++size;
    }
    const std::string_view taken = text_.substr(0, size);
    text_.remove_prefix(size);
    return taken;
  }

 private:
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }
  std::string_view text_;
};

tl::unexpected<core::Error> bad(std::string_view what, const Scanner& at) {
  return core::fail(ErrorCode::InvalidArgument, "{} at {}", what, quote(at.rest().substr(0, 40)));
}

Result<std::vector<double>> number_list(Scanner& in) {
  std::vector<double> list;
  if (!in.accept("[")) return bad("expected [", in);
  in.skip_blank();
  while (!in.accept("]")) {
    const auto value = in.number();
    if (!value) return bad("expected a number", in);
    list.push_back(*value);
    in.skip_blank();
  }
  return list;
}

Result<void> histogram_field(Scanner& in, std::string_view key, model::Histogram& out,
                             std::map<std::string_view, int32_t>& offsets) {
  if (key == "buckets" || key == "n_buckets") {
    (key == "buckets" ? out.positive_counts : out.negative_counts) = TRY(number_list(in));
    return {};
  }
  if (key == "custom_values") {
    out.custom_bounds = TRY(number_list(in));
    return {};
  }
  if (key == "counter_reset_hint") {
    const std::string_view hint = in.word();
    out.reset_hint = hint == "reset"       ? model::CounterResetHint::Reset
                     : hint == "not_reset" ? model::CounterResetHint::NotReset
                     : hint == "gauge"     ? model::CounterResetHint::Gauge
                                           : model::CounterResetHint::Unknown;
    return {};
  }
  const auto value = in.number();
  if (!value) return bad("expected a number", in);
  if (key == "schema") {
    out.schema = static_cast<int32_t>(*value);
  } else if (key == "count") {
    out.count = *value;
  } else if (key == "sum") {
    out.sum = *value;
  } else if (key == "z_bucket") {
    out.zero_count = *value;
  } else if (key == "z_bucket_w") {
    out.zero_threshold = *value;
  } else if (key == "offset" || key == "n_offset") {
    offsets[key] = static_cast<int32_t>(*value);
  } else {
    return bad("unknown histogram key before", in);
  }
  return {};
}

// The opening {{ has been read.
Result<model::Histogram> histogram(Scanner& in) {
  model::Histogram out;
  std::map<std::string_view, int32_t> offsets;
  in.skip_blank();
  while (!in.accept("}}")) {
    const std::string_view key = in.word();
    if (key.empty() || !in.accept(":")) return bad("expected key: in a histogram", in);
    TRY(histogram_field(in, key, out, offsets));
    in.skip_blank();
  }
  if (!out.positive_counts.empty()) {
    out.positive_spans = {{offsets["offset"], static_cast<uint32_t>(out.positive_counts.size())}};
  }
  if (!out.negative_counts.empty()) {
    out.negative_spans = {{offsets["n_offset"], static_cast<uint32_t>(out.negative_counts.size())}};
  }
  return out;
}

Result<size_t> repetitions(Scanner& in) {
  const auto count = in.number();
  if (!count || *count < 0 || *count > static_cast<double>(kRepetitionsMax)) {
    return bad("expected a number of repetitions", in);
  }
  return static_cast<size_t>(*count);
}

Result<void> histogram_item(Scanner& in, std::vector<SequenceValue>& out) {
  model::Histogram value = TRY(histogram(in));
  const bool rises = in.accept("+{{");
  const bool falls = !rises && in.accept("-{{");
  std::optional<model::Histogram> change;
  if (rises || falls) change = TRY(histogram(in));
  size_t times = 0;
  if (in.accept("x")) times = TRY(repetitions(in));
  out.push_back({false, 0, value});
  for (size_t i = 0; i < times; ++i) {
    if (change) {
      const HistogramProblem problem = rises ? add(value, *change) : subtract(value, *change);
      if (problem != HistogramProblem::None) return bad("incompatible histograms", in);
    }
    out.push_back({false, 0, value});
  }
  return {};
}

Result<void> float_item(Scanner& in, std::vector<SequenceValue>& out) {
  const auto number = in.number();
  if (!number) return bad("expected a value", in);
  double value = *number;
  double change = 0;
  if (in.peek() == '+' || in.peek() == '-') {
    const auto given = in.number();
    if (!given) return bad("expected a number", in);
    change = *given;
  }
  size_t times = 0;
  if (in.accept("x")) times = TRY(repetitions(in));
  out.push_back({false, value, std::nullopt});
  for (size_t i = 0; i < times; ++i) {
    value += change;
    out.push_back({false, value, std::nullopt});
  }
  return {};
}

Result<model::Labels> parse_labels(std::string_view text) {
  auto matchers = parse_selector(text);
  bool has_dummy_name = false;
  if (!matchers) {
    // "{}" and the like select nothing, but are label sets.
    matchers = parse_selector("x" + std::string(text));
    has_dummy_name = true;
    if (!matchers) return tl::unexpected(std::move(matchers).error());
  }
  if (has_dummy_name) matchers->pop_back();
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const model::Matcher& matcher : *matchers) {
    pairs.emplace_back(matcher.name(), matcher.value());
  }
  return model::Labels::of(std::move(pairs));
}

}  // namespace

Result<std::vector<SequenceValue>> parse_values(std::string_view text) {
  Scanner in(text);
  std::vector<SequenceValue> out;
  in.skip_blank();
  while (!in.done()) {
    if (in.accept("{{")) {
      TRY(histogram_item(in, out));
    } else if (in.accept("_")) {
      size_t times = 1;
      if (in.accept("x")) times = TRY(repetitions(in));
      out.insert(out.end(), times, SequenceValue{true, 0, std::nullopt});
    } else if (in.accept("stale")) {
      out.push_back({false, model::stale_nan(), std::nullopt});
    } else {
      TRY(float_item(in, out));
    }
    if (!in.done() && in.peek() != ' ' && in.peek() != '\t') return bad("expected a blank", in);
    in.skip_blank();
  }
  return out;
}

Result<SeriesDescription> parse_series(std::string_view line) {
  size_t end = 0;
  bool braces = false;
  char quoted = '\0';
  for (; end < line.size(); ++end) {
    const char c = line[end];
    if (quoted != '\0') {
      if (c == '\\') ++end;
      if (c == quoted) quoted = '\0';
    } else if (braces) {
      if (c == '"' || c == '\'' || c == '`') quoted = c;
      if (c == '}') {
        ++end;
        break;
      }
    } else if (c == '{') {
      braces = true;
    } else if (c == ' ' || c == '\t') {
      break;
    }
  }
  SeriesDescription out;
  out.labels = TRY(parse_labels(line.substr(0, end)).context("series {}", quote(line)));
  out.values = TRY(parse_values(line.substr(std::min(end, line.size()))));
  return out;
}

}  // namespace promql::testing
