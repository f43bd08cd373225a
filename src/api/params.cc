#include "api/params.h"

#include "core/json_writer.h"
#include "core/time.h"
#include "promql/parser.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fmt/format.h>

namespace api {

using core::Error;
using core::ErrorCode;
using core::fail;
using core::Result;

namespace {

constexpr double kNsPerSecond = 1e9;
// The text forms that Prometheus gives for its bounds, which no RFC 3339 parser reads.
constexpr std::string_view kTimeMinText = "-292273086-05-16T16:47:06Z";
constexpr std::string_view kTimeMaxText = "292277025-08-18T07:12:54.999999999Z";

// Go's %q for what comes in as a parameter.
std::string quoted(std::string_view text) {
  std::string out;
  core::append_json_string(out, text);
  return out;
}

}  // namespace

std::optional<double> parse_float(std::string_view text) {
  const bool has_sign = text.starts_with('+') || text.starts_with('-');
  const bool negative = text.starts_with('-');
  if (has_sign) text.remove_prefix(1);
  if (text.empty() || text.front() == '+' || text.front() == '-') return std::nullopt;
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  // Out of range, from_chars leaves the value alone; Go reports an error as well.
  if (stop != end || error != std::errc()) return std::nullopt;
  return negative ? -value : value;
}

Result<int64_t> parse_time(std::string_view text) {
  if (const std::optional<double> seconds = parse_float(text)) {
    // Beyond 64 bits of milliseconds there is no such time; Go wraps around.
    const double ms = std::round(*seconds * 1000);
    if (std::abs(ms) < 0x1p63) return static_cast<int64_t>(ms);
  } else if (const Result<int64_t> time = core::parse_rfc3339(text)) {
    return *time;
  }
  if (text == kTimeMinText) return kTimeMinMs;
  if (text == kTimeMaxText) return kTimeMaxMs;
  return fail(ErrorCode::InvalidArgument, "cannot parse {} to a valid timestamp", quoted(text));
}

Result<int64_t> parse_duration_ns(std::string_view text) {
  if (const std::optional<double> seconds = parse_float(text)) {
    const double ns = *seconds * kNsPerSecond;
    if (!(std::abs(ns) < 0x1p63)) {
      return fail(ErrorCode::InvalidArgument,
                  "cannot parse {} to a valid duration. It overflows int64", quoted(text));
    }
    return static_cast<int64_t>(ns);
  }
  const Result<int64_t> ms = core::parse_duration_ms(text);
  if (ms && *ms <= INT64_MAX / 1'000'000) return *ms * 1'000'000;
  return fail(ErrorCode::InvalidArgument, "cannot parse {} to a valid duration", quoted(text));
}

Error invalid_parameter(std::string_view name, std::string_view why) {
  return {ErrorCode::InvalidArgument, fmt::format("invalid parameter \"{}\": {}", name, why)};
}

Result<int64_t> time_param(const Call& call, std::string_view name, int64_t absent_ms) {
  const std::string_view text = call.param(name);
  if (text.empty()) return absent_ms;
  Result<int64_t> time = parse_time(text);
  if (!time) {
    return tl::unexpected(invalid_parameter(
        name, fmt::format("invalid time value for '{}': {}", name, time.error().message)));
  }
  return time;
}

Result<uint64_t> limit_param(const Call& call) {
  const std::string_view text = call.param("limit");
  if (text.empty()) return 0;
  int64_t limit = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, limit);
  if (stop != end || error != std::errc()) {
    return tl::unexpected(
        invalid_parameter("limit", fmt::format("cannot parse {} to a number", quoted(text))));
  }
  if (limit < 0) return tl::unexpected(invalid_parameter("limit", "limit must be non-negative"));
  return static_cast<uint64_t>(limit);
}

model::TimeRange inclusive_range(int64_t start_ms, int64_t end_ms) {
  return {.start_ms = start_ms, .end_ms = end_ms == INT64_MAX ? end_ms : end_ms + 1};
}

Result<model::TimeRange> range_params(const Call& call) {
  const int64_t start_ms = TRY(time_param(call, "start", kTimeMinMs));
  const int64_t end_ms = TRY(time_param(call, "end", kTimeMaxMs));
  return inclusive_range(start_ms, end_ms);
}

Result<std::vector<model::Matchers>> match_params(const Call& call, std::string_view name) {
  std::vector<model::Matchers> sets;
  for (const std::string_view text : call.all(name)) {
    Result<model::Matchers> matchers = promql::parse_selector(text);
    if (!matchers) return tl::unexpected(invalid_parameter(name, matchers.error().message));
    const bool selects = std::any_of(matchers->begin(), matchers->end(),
                                     [](const auto& matcher) { return !matcher.matches_empty(); });
    if (!selects) {
      return tl::unexpected(
          invalid_parameter(name, "match[] must contain at least one non-empty matcher"));
    }
    sets.push_back(std::move(*matchers));
  }
  return sets;
}

}  // namespace api
