// The functions that notification templates have besides Go's own
// (prometheus.io/docs/alerting/latest/notifications/#functions).

#include "core/json_writer.h"
#include "core/text.h"
#include "core/time.h"
#include "templates/functions.h"
#include "templates/go_time.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace templates {

using core::ErrorCode;
using core::Result;

namespace {

using Arguments = std::span<const Value>;

constexpr size_t kAny = SIZE_MAX;
constexpr size_t kJsonDepthMax = 50;

tl::unexpected<core::Error> wrong(std::string message) {
  return tl::unexpected(core::Error{ErrorCode::InvalidArgument, std::move(message)});
}

Result<Time> time_argument(const Value& value) {
  if (const Time* time = value.get<Time>()) return *time;
  return wrong(fmt::format("expected a time, not {}", value.type_name()));
}

Result<Value> title(Arguments arguments, const Data&) {
  std::string text = core::lower(TRY(to_text(arguments[0])));
  bool in_word = false;
  for (char& c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '\'' || c == '_' ||
                        static_cast<uint8_t>(c) >= 0x80;
    if (!in_word && c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    in_word = letter;
  }
  return Value(std::move(text));
}

Result<Value> trim_space(Arguments arguments, const Data&) {
  const std::string text = TRY(to_text(arguments[0]));
  return Value(std::string(core::trim(text, " \t\r\n\v\f")));
}

Result<Value> join(Arguments arguments, const Data&) {
  const std::string separator = TRY(to_text(arguments[0]));
  const List* list = arguments[1].list();
  if (list == nullptr) return wrong(fmt::format("join of type {}", arguments[1].type_name()));
  std::string out;
  for (size_t i = 0; i < list->size(); ++i) out += (i == 0 ? "" : separator) + print((*list)[i]);
  return Value(std::move(out));
}

Result<Value> safe_html(Arguments arguments, const Data&) {
  return Value(Html{print(arguments[0])});
}

Result<Value> url_unescape(Arguments arguments, const Data&) {
  const std::string text = TRY(to_text(arguments[0]));
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i] == '+' ? ' ' : text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? core::hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? core::hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      return wrong(fmt::format("invalid URL escape \"{}\"", text.substr(i, 3)));
    }
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return Value(std::move(out));
}

Result<Value> make_list(Arguments arguments, const Data&) {
  return Value(List(arguments.begin(), arguments.end()));
}

Result<Value> append(Arguments arguments, const Data&) {
  const List* list = arguments[0].list();
  if (list == nullptr) return wrong(fmt::format("append to type {}", arguments[0].type_name()));
  List longer = *list;
  longer.insert(longer.end(), arguments.begin() + 1, arguments.end());
  return Value(std::move(longer));
}

Result<Value> dict(Arguments arguments, const Data&) {
  if (arguments.size() % 2 != 0) return wrong("dict needs pairs of key and value");
  Record record;
  for (size_t i = 0; i < arguments.size(); i += 2) {
    std::string key = TRY(to_text(arguments[i]));
    record.fields.insert_or_assign(std::move(key), arguments[i + 1]);
  }
  return Value(std::move(record));
}

Result<Value> date(Arguments arguments, const Data&) {
  const std::string layout = TRY(to_text(arguments[0]));
  const Time time = TRY(time_argument(arguments[1]));
  const ZoneOffset zone = TRY(zone_offset(time.zone, time.time_ms));
  return Value(format_time(time.time_ms, zone, layout));
}

Result<Value> tz(Arguments arguments, const Data&) {
  std::string zone = TRY(to_text(arguments[0]));
  Time time = TRY(time_argument(arguments[1]));
  TRY(zone_offset(zone, time.time_ms));
  time.zone = std::move(zone);
  return Value(std::move(time));
}

Result<Value> since(Arguments arguments, const Data& data) {
  const Time time = TRY(time_argument(arguments[0]));
  return Value(Duration{data.now_ms - time.time_ms});
}

Result<Value> now(Arguments, const Data& data) {
  return Value(Time{data.now_ms, ""});
}

Result<Value> humanize_duration(Arguments arguments, const Data& data) {
  const Function* seconds = find_function("humanizeDuration", Dialect::Rules);
  if (const Duration* duration = arguments[0].get<Duration>()) {
    const Value value(static_cast<double>(duration->duration_ms) / 1000);
    return seconds->call(std::span(&value, 1), data);
  }
  return seconds->call(arguments, data);
}

// As the fields of a message are called in JSON: "StartsAt" > "startsAt".
std::string json_name(const std::string& field) {
  if (field == "NotificationReason") return "notification_reason";
  std::string name = field;
  if (!name.empty() && name[0] >= 'A' && name[0] <= 'Z') name[0] = core::lower(name[0]);
  return name;
}

Result<void> write_json(core::JsonWriter& json, const Value& value, size_t depth) {
  if (depth > kJsonDepthMax) return wrong("toJson: nested too deeply");
  if (const bool* flag = value.get<bool>()) {
    json.value(*flag);
  } else if (const int64_t* number = value.get<int64_t>()) {
    json.value(*number);
  } else if (const double* real = value.get<double>()) {
    if (!std::isfinite(*real)) return wrong("toJson: NaN and infinity have no JSON form");
    json.value(*real);
  } else if (const Time* time = value.get<Time>()) {
    json.value(time->is_zero() ? std::string("0001-01-01T00:00:00Z")
                               : core::format_rfc3339(time->time_ms));
  } else if (const Duration* duration = value.get<Duration>()) {
    json.value(duration->duration_ms * 1'000'000);
  } else if (const List* list = value.list()) {
    json.array();
    for (const Value& item : *list) TRY(write_json(json, item, depth + 1));
    json.end();
  } else if (const Record* record = value.record()) {
    json.object();
    for (const auto& [name, field] : record->fields) {
      json.key(record->is_struct() ? json_name(name) : name);
      TRY(write_json(json, field, depth + 1));
    }
    json.end();
  } else if (value.is_nil()) {
    json.null();
  } else {
    json.value(print(value));
  }
  return {};
}

Result<Value> to_json(Arguments arguments, const Data&) {
  std::string text;
  core::JsonWriter json(text);
  TRY(write_json(json, arguments[0], 0));
  // Safe inside HTML, as Go writes it.
  std::string out;
  for (const char c : text) {
    if (c == '<' || c == '>' || c == '&') {
      out += fmt::format("\\u{:04x}", static_cast<uint8_t>(c));
    } else {
      out += c;
    }
  }
  return Value(std::move(out));
}

constexpr Function kFunctions[] = {
    {"append", 1, kAny, append},
    {"date", 2, 2, date},
    {"dict", 0, kAny, dict},
    {"humanizeDuration", 1, 1, humanize_duration},
    {"join", 2, 2, join},
    {"list", 0, kAny, make_list},
    {"now", 0, 0, now},
    {"safeHtml", 1, 1, safe_html},
    {"safeUrl", 1, 1, safe_html},
    {"since", 1, 1, since},
    {"stringSlice", 0, kAny, make_list},
    {"title", 1, 1, title},
    {"toJson", 1, 1, to_json},
    {"trimSpace", 1, 1, trim_space},
    {"tz", 2, 2, tz},
    {"urlUnescape", 1, 1, url_unescape},
};

// Rules have these too, with the same meaning.
constexpr std::string_view kShared[] = {
    "and",   "eq",       "ge",    "gt",           "html",    "index",  "js",     "le",
    "len",   "lt",       "ne",    "not",          "or",      "print",  "printf", "println",
    "slice", "urlquery", "match", "reReplaceAll", "toLower", "toUpper"};

}  // namespace

const Function* find_notification_function(std::string_view name) {
  for (const Function& function : kFunctions) {
    if (function.name == name) return &function;
  }
  if (std::ranges::find(kShared, name) == std::end(kShared)) return nullptr;
  return find_function(name, Dialect::Rules);
}

}  // namespace templates
