// Calendar functions (UTC) and timestamp().

#include "promql/functions/families.h"

#include <cmath>
#include <utility>

namespace promql {

namespace {

struct Date {
  int64_t year;
  int month;  // 1..12
  int day;    // 1..31
  int day_of_year;
};

bool is_leap(int64_t year) {
  return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

int days_in_month(const Date& date) {
  static constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return date.month == 2 && is_leap(date.year) ? 29 : kDays[date.month - 1];
}

// H. Hinnant, "chrono-compatible low-level date algorithms": civil_from_days.
Date date_of(int64_t days) {
  days += 719468;
  const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const int64_t day_of_era = days - era * 146097;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const int64_t from_march = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted = (5 * from_march + 2) / 153;
  Date date{};
  date.day = static_cast<int>(from_march - (153 * shifted + 2) / 5 + 1);
  date.month = static_cast<int>(shifted < 10 ? shifted + 3 : shifted - 9);
  date.year = year_of_era + era * 400 + (date.month <= 2 ? 1 : 0);
  date.day_of_year = date.day;
  for (Date before{date.year, 1, 1, 0}; before.month < date.month; ++before.month) {
    date.day_of_year += days_in_month(before);
  }
  return date;
}

constexpr int64_t kDaySeconds = 86400;

int64_t floor_div(int64_t a, int64_t b) {
  return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

// Days since 1970 and the second of the day. What does not fit an int64 (NaN too)
// becomes what Prometheus on amd64 makes of it: the conversion gives -2^63 seconds,
// and its calendar, which counts in unsigned seconds, wraps that around to +2^63.
struct DayAndSecond {
  int64_t days;
  int64_t second;
};
DayAndSecond split(double value) {
  if (!(std::fabs(value) < 0x1p63)) {
    constexpr uint64_t kSeconds = uint64_t{1} << 63;
    return {static_cast<int64_t>(kSeconds / kDaySeconds),
            static_cast<int64_t>(kSeconds % kDaySeconds)};
  }
  const auto seconds = static_cast<int64_t>(value);
  const int64_t days = floor_div(seconds, kDaySeconds);
  return {days, seconds - days * kDaySeconds};
}

double date_part(std::string_view name, double value) {
  const auto [days, of_day] = split(value);
  if (name == "hour") return static_cast<double>(of_day / 3600);
  if (name == "minute") return static_cast<double>(of_day / 60 % 60);
  if (name == "day_of_week") {  // 1970-01-01 was a Thursday
    return static_cast<double>(days + 4 - floor_div(days + 4, 7) * 7);
  }
  const Date date = date_of(days);
  if (name == "year") return static_cast<double>(date.year);
  if (name == "month") return date.month;
  if (name == "day_of_month") return date.day;
  if (name == "day_of_year") return date.day_of_year;
  return days_in_month(date);
}

}  // namespace

BuildResult build_date(const Call& call, const Context& context) {
  const std::string_view name = call.function->name;
  if (call.arguments.empty()) {
    std::vector<Column> columns(1);
    columns[0].reset(context.steps.count);
    for (size_t i = 0; i < context.steps.count; ++i) {
      columns[0].set(i, date_part(name, static_cast<double>(context.steps.at(i)) / 1000));
    }
    return std::make_unique<ColumnsOperator>(std::move(columns));
  }
  auto source = TRY(build_vector(*call.arguments[0], context));
  return mapped_floats(std::move(source), *call.arguments[0], context,
                       [name](double value, size_t) { return date_part(name, value); });
}

BuildResult build_timestamp(const Call& call, const Context& context) {
  const Expr& argument = unwrap(*call.arguments[0]);
  if (const auto* selector = try_as<VectorSelector>(argument)) {
    auto times = TRY(build_selector(*selector, context, true));
    return mapped_without_name(std::move(times), argument, context, [](Column&) {});
  }
  auto source = TRY(build_vector(argument, context));
  return mapped_without_name(std::move(source), argument, context, [context](Column& column) {
    for (size_t i = 0; i < column.size(); ++i) {
      if (column.cells[i] != Cell::Absent) {
        column.set(i, static_cast<double>(context.steps.at(i)) / 1000);
      }
    }
    column.histograms.clear();
  });
}

}  // namespace promql
