#include "ingest/data_point.h"

#include "core/text.h"
#include "core/utf8.h"
#include "model/labels.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace ingest {

using core::ErrorCode;
using core::Result;

namespace {

constexpr int64_t kMillisecondsFrom = 100'000'000'000;
constexpr int64_t kMicrosecondsFrom = 100'000'000'000'000;
constexpr int64_t kNanosecondsFrom = 100'000'000'000'000'000;
// Texts quoted in errors are cut to this.
constexpr size_t kQuotedSizeMax = 60;

int64_t floor_divide(int64_t number, int64_t divisor) {
  return number / divisor - (number % divisor < 0 ? 1 : 0);
}

}  // namespace

int64_t point_time_of(int64_t number) {
  // The extremes first: they have no absolute value.
  if (number >= kNanosecondsFrom || number <= -kNanosecondsFrom) {
    return floor_divide(number, 1'000'000);
  }
  if (number >= kMicrosecondsFrom || number <= -kMicrosecondsFrom) {
    return floor_divide(number, 1'000);
  }
  if (number >= kMillisecondsFrom || number <= -kMillisecondsFrom) return number;
  return number * 1'000;
}

Result<int64_t> point_time_of(double seconds) {
  const double time_ms = seconds * 1'000;
  // Beyond this doubles do not hold whole milliseconds.
  constexpr double kTimeMax = 9'007'199'254'740'992.0;
  if (!(std::abs(time_ms) <= kTimeMax)) {
    return core::fail(ErrorCode::InvalidArgument, "{} is no time in seconds", seconds);
  }
  // 1613707265.29 * 1000 is a hair below 1613707265290 in doubles: floor after rounding
  // to a microsecond.
  return static_cast<int64_t>(std::floor(std::round(time_ms * 1'000) / 1'000));
}

Result<int64_t> parse_point_time(std::string_view text) {
  int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto integer = std::from_chars(text.data(), end, number);
  if (integer.ec == std::errc() && integer.ptr == end) return point_time_of(number);
  double seconds = 0;
  const auto fraction = std::from_chars(text.data(), end, seconds);
  if (fraction.ec == std::errc() && fraction.ptr == end) {
    if (Result<int64_t> time_ms = point_time_of(seconds)) return time_ms;
  }
  return core::fail(ErrorCode::InvalidArgument, "\"{}\", expected seconds since 1970",
                    text.substr(0, kQuotedSizeMax));
}

Result<double> parse_point_value(std::string_view text) {
  std::string_view digits = text;
  if (digits.starts_with('+')) digits.remove_prefix(1);
  double value = 0;
  const char* const end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), end, value);
  const bool two_signs = digits.size() < text.size() && digits.starts_with('-');
  const bool has_payload = digits.find('(') != digits.npos;  // "nan(1)"
  if (result.ec == std::errc() && result.ptr == end && !two_signs && !has_payload) {
    // One NaN only: others are markers of our own.
    return std::isnan(value) ? std::numeric_limits<double>::quiet_NaN() : value;
  }
  if (result.ec == std::errc::result_out_of_range && result.ptr == end) {
    return core::fail(ErrorCode::InvalidArgument, "\"{}\" is beyond the range of a float64",
                      text.substr(0, kQuotedSizeMax));
  }
  return core::fail(ErrorCode::InvalidArgument, "\"{}\", expected a number",
                    text.substr(0, kQuotedSizeMax));
}

Result<void> split_labels(std::string_view text, char separator, PointLabels& labels) {
  if (core::trim(text).empty()) return {};
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view pair = core::trim(text.substr(begin, end - begin));
    const size_t split = pair.find(separator);
    if (split == pair.npos || split == 0) {
      return core::fail(ErrorCode::InvalidArgument, "pair {} is \"{}\", expected name{}value",
                        labels.size() + 1, pair.substr(0, kQuotedSizeMax), separator);
    }
    labels.emplace_back(core::trim(pair.substr(0, split)), core::trim(pair.substr(split + 1)));
    begin = end + 1;
  }
  return {};
}

std::string encode_labels(std::string_view metric, PointLabels& labels, std::string& bytes) {
  if (metric.empty()) return "the metric name is empty";
  if (!core::is_utf8(metric)) return "the metric name is not UTF-8";
  for (const auto& [name, value] : labels) {
    if (name.empty()) return "a label without a name";
    if (name == model::kMetricName) return "__name__ among the labels";
    if (!core::is_utf8(name)) return "a label name that is not UTF-8";
    if (!core::is_utf8(value)) return fmt::format("label {} with a value that is not UTF-8", name);
  }
  std::erase_if(labels, [](const auto& label) { return label.second.empty(); });
  labels.emplace_back(model::kMetricName, metric);
  std::sort(labels.begin(), labels.end());
  bytes.clear();
  for (size_t i = 0; i < labels.size(); ++i) {
    if (i > 0 && labels[i].first == labels[i - 1].first) {
      return fmt::format("label {} is given twice", labels[i].first);
    }
    model::append_label(bytes, labels[i].first, labels[i].second);
  }
  return {};
}

}  // namespace ingest
