#include "alerting/config_intervals.h"

#include "core/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fmt/format.h>
#include <optional>

namespace alerting {

using config::Source;
using config::Value;
using core::ErrorCode;
using core::Result;

namespace {

constexpr std::array<std::string_view, 7> kWeekdays = {"sunday",   "monday", "tuesday", "wednesday",
                                                       "thursday", "friday", "saturday"};
constexpr std::array<std::string_view, 12> kMonths = {
    "january", "february", "march",     "april",   "may",      "june",
    "july",    "august",   "september", "october", "november", "december"};

tl::unexpected<core::Error> bad(std::string message) {
  return tl::unexpected(core::Error{ErrorCode::InvalidArgument, std::move(message)});
}

Result<int> number(std::string_view text) {
  int value = 0;
  std::string_view rest = text;
  if (rest.starts_with('+')) rest.remove_prefix(1);
  const auto [at, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (rest.empty() || error != std::errc() || at != rest.data() + rest.size()) {
    return bad(fmt::format("\"{}\" is not a number", text));
  }
  return value;
}

Result<int> weekday(std::string_view text) {
  const auto found = std::ranges::find(kWeekdays, core::lower(text));
  if (found == kWeekdays.end()) return bad(fmt::format("{} is not a valid weekday", text));
  return static_cast<int>(found - kWeekdays.begin());
}

Result<int> month(std::string_view text) {
  const auto found = std::ranges::find(kMonths, core::lower(text));
  if (found != kMonths.end()) return static_cast<int>(found - kMonths.begin()) + 1;
  const Result<int> value = number(text);
  if (!value) return bad(fmt::format("{} is not a valid month", text));
  return *value;
}

// "HH:MM" up to 24:00; minutes of the day.
Result<int> time_of_day(const std::string& text) {
  const auto digit = [&text](size_t i) { return text[i] >= '0' && text[i] <= '9'; };
  if (text.size() == 5 && text[2] == ':' && digit(0) && digit(1) && digit(3) && digit(4)) {
    const int hours = (text[0] - '0') * 10 + text[1] - '0';
    const int minutes = (text[3] - '0') * 10 + text[4] - '0';
    if (minutes < 60 && (hours < 24 || (hours == 24 && minutes == 0))) return hours * 60 + minutes;
  }
  return bad(fmt::format("couldn't parse timestamp {}, invalid format", text));
}

struct Range {
  int begin = 0;
  int end = 0;
};

template <typename Read>
Result<Range> range(const std::string& text, Read read) {
  const size_t colon = text.find(':');
  if (colon == std::string::npos) {
    const int one = TRY(read(text));
    return Range{one, one};
  }
  if (text.find(':', colon + 1) != std::string::npos) {
    return bad(fmt::format("couldn't parse range {}, invalid format", text));
  }
  const int begin = TRY(read(std::string_view(text).substr(0, colon)));
  const int end = TRY(read(std::string_view(text).substr(colon + 1)));
  return Range{begin, end};
}

Result<void> check_weekdays(const std::string& text) {
  const Range days = TRY(range(text, weekday));
  if (days.begin > days.end) return bad("start day cannot be before end day");
  return {};
}

Result<void> check_days_of_month(const std::string& text) {
  const Range days = TRY(range(text, number));
  for (const int day : {days.begin, days.end}) {
    if (day != 0 && day >= -31 && day <= 31) continue;
    return bad(fmt::format("{} is not a valid day of the month: out of range", day));
  }
  if (days.begin < 0 && days.end > 0)
    return bad("end day must be negative if start day is negative");
  // Of the longest month: a negative day counts from its end.
  const auto in_month = [](int day) { return day < 0 ? 31 + day + 1 : day; };
  if (in_month(days.begin) > in_month(days.end)) {
    return bad(fmt::format("end day {} is always before start day {}", days.end, days.begin));
  }
  return {};
}

Result<void> check_months(const std::string& text) {
  const Range months = TRY(range(text, month));
  if (months.begin > months.end) {
    return bad(fmt::format("end month {} is before start month {}", months.end, months.begin));
  }
  return {};
}

Result<void> check_years(const std::string& text) {
  const Range years = TRY(range(text, number));
  if (years.begin > years.end) {
    return bad(fmt::format("end year {} is before start year {}", years.end, years.begin));
  }
  return {};
}

Result<void> check_location(const std::string& name) {
  if (name.empty() || name == "UTC" || name == "Local") return {};
  std::error_code ignored;
  const bool plain =
      name.find("..") == std::string::npos && !name.starts_with('/') && !name.starts_with('\\');
  if (plain && std::filesystem::is_regular_file("/usr/share/zoneinfo/" + name, ignored)) return {};
  return bad(fmt::format("unknown time zone {}", name));
}

Result<void> check_times(const Value& times) {
  const std::string& start = times.at("start_time").text;
  const std::string& end = times.at("end_time").text;
  if (start.empty() || end.empty()) return bad("both start and end times must be provided");
  const int begin_minute = TRY(time_of_day(start));
  const int end_minute = TRY(time_of_day(end));
  if (begin_minute >= end_minute) return bad("start time cannot be equal or greater than end time");
  return {};
}

}  // namespace

Result<void> check_time_interval(const Value& interval, const Source& source) {
  const auto at = [&source](const Value& value, const Result<void>& checked) -> Result<void> {
    if (checked) return {};
    return config::error_at(source, value,
                            fmt::format("{}: {}", value.key, checked.error().message));
  };
  for (const Value& times : interval.at("times").items) TRY(at(times, check_times(times)));
  static constexpr std::pair<std::string_view, Result<void> (*)(const std::string&)> kChecks[] = {
      {"weekdays", check_weekdays},
      {"days_of_month", check_days_of_month},
      {"months", check_months},
      {"years", check_years}};
  for (const auto& [key, check] : kChecks) {
    for (const Value& one : interval.at(key).items) TRY(at(one, check(one.text)));
  }
  const Value& location = interval.at("location");
  return at(location, check_location(location.text));
}

}  // namespace alerting
