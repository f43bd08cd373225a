#include "core/time.h"

#include <array>
#include <ctime>
#include <limits>

namespace core {
namespace {

struct Unit {
  std::string_view name;
  int64_t ms;
};
// Falling order, as the grammar demands. A year has 365 days and a week 7.
constexpr std::array<Unit, 7> kUnits = {{{"y", 365LL * 86'400'000},
                                         {"w", 7LL * 86'400'000},
                                         {"d", 86'400'000},
                                         {"h", 3'600'000},
                                         {"m", 60'000},
                                         {"s", 1'000},
                                         {"ms", 1}}};

// Days since 1970-01-01 of a proleptic Gregorian date (Howard Hinnant, "chrono-
// Compatible Low-Level Date Algorithms").
int64_t days_from_civil(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2 ? 1 : 0;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146'097 + day_of_era - 719'468;
}

bool take_digits(std::string_view& text, size_t count, int64_t& value) {
  if (text.size() < count) return false;
  value = 0;
  for (size_t i = 0; i < count; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(count);
  return true;
}

bool take_char(std::string_view& text, char wanted) {
  if (text.empty() || text.front() != wanted) return false;
  text.remove_prefix(1);
  return true;
}

int64_t days_in_month(int64_t year, int64_t month) {
  constexpr std::array<int64_t, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : kDays[static_cast<size_t>(month - 1)];
}

// "Z", "+hh:mm" or "-hh:mm" and nothing behind it.
bool take_offset(std::string_view& text, int64_t& offset_minutes) {
  offset_minutes = 0;
  if (take_char(text, 'Z') || take_char(text, 'z')) return text.empty();
  const bool minus = !text.empty() && text.front() == '-';
  if (!take_char(text, '-') && !take_char(text, '+')) return false;
  int64_t hours = 0;
  int64_t minutes = 0;
  if (!take_digits(text, 2, hours) || !take_char(text, ':') || !take_digits(text, 2, minutes)) {
    return false;
  }
  if (hours > 23 || minutes > 59) return false;
  offset_minutes = (hours * 60 + minutes) * (minus ? -1 : 1);
  return text.empty();
}

}  // namespace

std::string format_rfc3339(int64_t time_ms) {
  const int64_t millis = ((time_ms % 1000) + 1000) % 1000;
  const time_t seconds = time_ms / 1000 - (time_ms % 1000 < 0 ? 1 : 0);
  tm utc{};
  gmtime_r(&seconds, &utc);
  std::string text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", utc.tm_year + 1900,
                                 utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
  if (millis != 0) text += fmt::format(".{:03}", millis);
  return text + "Z";
}

Result<int64_t> parse_rfc3339(std::string_view text) {
  const std::string_view whole = text;
  int64_t year = 0;
  int64_t month = 0;
  int64_t day = 0;
  int64_t hour = 0;
  int64_t minute = 0;
  int64_t second = 0;
  bool good = take_digits(text, 4, year) && take_char(text, '-') && take_digits(text, 2, month) &&
              take_char(text, '-') && take_digits(text, 2, day) &&
              (take_char(text, 'T') || take_char(text, 't') || take_char(text, ' ')) &&
              take_digits(text, 2, hour) && take_char(text, ':') && take_digits(text, 2, minute) &&
              take_char(text, ':') && take_digits(text, 2, second);
  int64_t millis = 0;
  if (good && take_char(text, '.')) {
    int64_t scale = 100;
    size_t digits = 0;
    while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
      millis += (text.front() - '0') * scale;
      scale /= 10;
      ++digits;
      text.remove_prefix(1);
    }
    good = digits > 0;
  }
  int64_t offset_minutes = 0;
  good = good && take_offset(text, offset_minutes);
  good = good && month >= 1 && month <= 12 && day >= 1 && day <= days_in_month(year, month) &&
         hour <= 23 && minute <= 59 && second <= 59;
  if (!good) {
    return fail(ErrorCode::InvalidArgument,
                "\"{}\" is not a time in RFC 3339 form, such as 2026-01-02T15:04:05Z", whole);
  }
  const int64_t days = days_from_civil(year, month, day);
  return (((days * 24 + hour) * 60 + minute - offset_minutes) * 60 + second) * 1000 + millis;
}

Result<int64_t> parse_duration_ms(std::string_view text) {
  const std::string_view whole = text;
  if (text == "0") return 0;
  const auto bad = [whole] {
    return fail(ErrorCode::InvalidArgument, "not a valid duration string: \"{}\"", whole);
  };
  if (text.empty()) return fail(ErrorCode::InvalidArgument, "empty duration string");

  int64_t total_ms = 0;
  size_t next_unit = 0;
  while (!text.empty()) {
    int64_t number = 0;
    size_t digits = 0;
    while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
      if (__builtin_mul_overflow(number, 10, &number) ||
          __builtin_add_overflow(number, text[digits] - '0', &number)) {
        return fail(ErrorCode::InvalidArgument, "duration out of range: \"{}\"", whole);
      }
      ++digits;
    }
    if (digits == 0) return bad();
    text.remove_prefix(digits);

    size_t letters = 0;
    while (letters < text.size() && text[letters] >= 'a' && text[letters] <= 'z') ++letters;
    size_t unit = next_unit;
    while (unit < kUnits.size() && kUnits[unit].name != text.substr(0, letters)) ++unit;
    if (unit == kUnits.size()) return bad();
    text.remove_prefix(letters);
    next_unit = unit + 1;

    int64_t part_ms = 0;
    if (__builtin_mul_overflow(number, kUnits[unit].ms, &part_ms) ||
        __builtin_add_overflow(total_ms, part_ms, &total_ms)) {
      return fail(ErrorCode::InvalidArgument, "duration out of range: \"{}\"", whole);
    }
  }
  return total_ms;
}

// Years, weeks and days appear only when nothing smaller remains, as in Prometheus:
// 90 d is "90d", 25 h is "25h"... and 168 h is "1w".
std::string format_duration(int64_t duration_ms) {
  if (duration_ms == 0) return "0s";
  std::string text;
  if (duration_ms < 0) {
    text = "-";
    duration_ms = -duration_ms;
  }
  for (const Unit& unit : kUnits) {
    const bool exact_only = unit.ms >= kUnits[2].ms;
    if (duration_ms < unit.ms || (exact_only && duration_ms % unit.ms != 0)) continue;
    text += fmt::format("{}{}", duration_ms / unit.ms, unit.name);
    duration_ms %= unit.ms;
  }
  return text;
}

}  // namespace core
