#include "templates/methods.h"

#include "templates/go_time.h"

#include <algorithm>
#include <ctime>
#include <fmt/format.h>

namespace templates {

using core::ErrorCode;
using core::Result;

namespace {

using Answer = std::optional<Result<Value>>;

tl::unexpected<core::Error> wrong(std::string message) {
  return tl::unexpected(core::Error{ErrorCode::InvalidArgument, std::move(message)});
}

Value pair_of(const std::string& name, const Value& value) {
  Record pair;
  pair.kind = Record::Kind::Struct;
  pair.fields = {{"Name", Value(name)}, {"Value", value}};
  return Value(std::move(pair));
}

// alertname first, then by name.
List sorted_pairs(const Record& labels) {
  List pairs;
  const auto alertname = labels.fields.find("alertname");
  if (alertname != labels.fields.end()) pairs.push_back(pair_of("alertname", alertname->second));
  for (const auto& [name, value] : labels.fields) {
    if (name != "alertname") pairs.push_back(pair_of(name, value));
  }
  return pairs;
}

Result<Value> column(const List& pairs, const char* field) {
  List values;
  for (const Value& pair : pairs) {
    const Record* record = pair.record();
    if (record == nullptr || !record->fields.contains(field)) {
      return wrong(fmt::format("a list of {} has no {}", pair.type_name(), field));
    }
    values.push_back(record->fields.at(field));
  }
  return Value(std::move(values));
}

Answer of_labels(const Record& labels, std::string_view name, std::span<const Value> arguments) {
  if (name == "SortedPairs") return Value(sorted_pairs(labels));
  if (name == "Names") return column(sorted_pairs(labels), "Name");
  if (name == "Values") return column(sorted_pairs(labels), "Value");
  if (name != "Remove") return std::nullopt;
  const List* names = arguments.size() == 1 ? arguments[0].list() : nullptr;
  if (names == nullptr) return wrong("Remove needs a list of names");
  Record rest = labels;
  for (const Value& one : *names) rest.fields.erase(print(one));
  return Value(std::move(rest));
}

Answer of_list(const List& list, std::string_view name) {
  if (name == "Names") return column(list, "Name");
  if (name == "Values") return column(list, "Value");
  if (name != "Firing" && name != "Resolved") return std::nullopt;
  List some;
  for (const Value& alert : list) {
    const Record* record = alert.record();
    const auto status = record == nullptr ? Value() : [&] {
      const auto found = record->fields.find("Status");
      return found == record->fields.end() ? Value() : found->second;
    }();
    if (print(status) == (name == "Firing" ? "firing" : "resolved")) some.push_back(alert);
  }
  return Value(std::move(some));
}

Answer of_time(const Time& time, std::string_view name, std::span<const Value> arguments) {
  const Result<ZoneOffset> offset = zone_offset(time.zone, time.time_ms);
  const ZoneOffset zone = offset ? *offset : ZoneOffset{};
  const auto number = [&](std::string_view layout) {
    return Value(static_cast<int64_t>(std::stoll(format_time(time.time_ms, zone, layout))));
  };
  if (name == "Format") {
    const std::string* layout = arguments.size() == 1 ? arguments[0].get<std::string>() : nullptr;
    if (layout == nullptr) return wrong("Format needs a layout");
    return Value(format_time(time.time_ms, zone, *layout));
  }
  if (name == "Sub" || name == "After" || name == "Before" || name == "Equal") {
    const Time* other = arguments.size() == 1 ? arguments[0].get<Time>() : nullptr;
    if (other == nullptr) return wrong(fmt::format("{} needs a time", name));
    if (name == "Sub") return Value(Duration{time.time_ms - other->time_ms});
    if (name == "Equal") return Value(time.time_ms == other->time_ms);
    return Value(name == "After" ? time.time_ms > other->time_ms : time.time_ms < other->time_ms);
  }
  if (name == "Add") {
    if (arguments.size() != 1) return wrong("Add needs a duration");
    int64_t by_ms = 0;
    if (const Duration* duration = arguments[0].get<Duration>()) {
      by_ms = duration->duration_ms;
    } else if (const int64_t* nanoseconds = arguments[0].get<int64_t>()) {
      by_ms = *nanoseconds / 1'000'000;
    } else {
      return wrong("Add needs a duration");
    }
    return Value(Time{time.time_ms + by_ms, time.zone});
  }
  if (!arguments.empty()) return std::nullopt;
  if (name == "Unix") return Value(time.time_ms / 1000);
  if (name == "UnixMilli") return Value(time.time_ms);
  if (name == "UnixNano") return Value(time.time_ms * 1'000'000);
  if (name == "UTC") return Value(Time{time.time_ms, ""});
  if (name == "Local") return Value(time);
  if (name == "IsZero") return Value(time.is_zero());
  if (name == "String") return Value(print(Value(time)));
  if (name == "Year") return number("2006");
  if (name == "Day") return number("2");
  if (name == "Hour") return number("15");
  if (name == "Minute") return number("4");
  if (name == "Second") return number("5");
  if (name == "YearDay") return number("002");
  if (name == "Month") return Value(format_time(time.time_ms, zone, "January"));
  if (name == "Weekday") return Value(format_time(time.time_ms, zone, "Monday"));
  return std::nullopt;
}

Answer of_duration(const Duration& duration, std::string_view name) {
  const auto in = [&](double unit_ms) {
    return Value(static_cast<double>(duration.duration_ms) / unit_ms);
  };
  if (name == "Hours") return in(3'600'000);
  if (name == "Minutes") return in(60'000);
  if (name == "Seconds") return in(1'000);
  if (name == "Milliseconds") return Value(duration.duration_ms);
  if (name == "String") return Value(duration_text(duration.duration_ms));
  return std::nullopt;
}

}  // namespace

Answer call_method(const Value& of, std::string_view name, std::span<const Value> arguments) {
  if (const Record* record = of.record()) {
    if (record->kind == Record::Kind::Labels) return of_labels(*record, name, arguments);
    return std::nullopt;
  }
  if (const List* list = of.list(); list != nullptr && arguments.empty())
    return of_list(*list, name);
  if (const Time* time = of.get<Time>()) return of_time(*time, name, arguments);
  if (const Duration* duration = of.get<Duration>(); duration != nullptr && arguments.empty()) {
    return of_duration(*duration, name);
  }
  return std::nullopt;
}

}  // namespace templates
