#include "templates/value.h"

#include "core/utf8.h"
#include "templates/go_time.h"

#include <charconv>
#include <cmath>
#include <fmt/format.h>
#include <optional>

namespace templates {

using core::ErrorCode;
using core::Result;

namespace {

// Width and precision beyond this are a mistake or an attack.
constexpr int kFormatWidthMax = 1000;

std::optional<std::string> not_finite(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return std::nullopt;
}

struct Verb {
  char letter = 0;
  bool minus = false;
  bool plus = false;
  bool sharp = false;
  bool space = false;
  bool zero = false;
  int width = 0;
  int precision = -1;
};

std::string pad(std::string text, const Verb& verb) {
  size_t length = 0;  // code points, as Go counts
  for (const char c : text) length += (static_cast<uint8_t>(c) & 0xc0) != 0x80;
  const auto width = static_cast<size_t>(verb.width);
  if (length >= width) return text;
  const size_t missing = width - length;
  if (verb.minus) return text + std::string(missing, ' ');
  if (!verb.zero) return std::string(missing, ' ') + text;
  const size_t sign = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  return text.substr(0, sign) + std::string(missing, '0') + text.substr(sign);
}

std::string signed_text(std::string text, const Verb& verb) {
  if (text.starts_with('-') || text.starts_with('+')) return text;
  if (verb.plus) return "+" + text;
  if (verb.space) return " " + text;
  return text;
}

std::string quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<uint8_t>(c) < 0x20 || c == 0x7f) {
          out += fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
        } else {
          out += c;
        }
    }
  }
  return out + "\"";
}

std::string utf8_of(int64_t code_point) {
  auto c = static_cast<uint32_t>(code_point);
  if (code_point < 0 || code_point > 0x10ffff || (c >= 0xd800 && c < 0xe000)) c = 0xfffd;
  std::string out;
  core::append_utf8(out, c);
  return out;
}

std::string bad_verb(const Verb& verb, const Value& value) {
  if (value.is_nil()) return fmt::format("%!{}(<nil>)", verb.letter);
  return fmt::format("%!{}({}={})", verb.letter, value.type_name(), print(value));
}

std::string format_float(const Verb& verb, double value) {
  if (const auto text = not_finite(value)) return signed_text(*text, verb);
  switch (verb.letter) {
    case 'v':
    case 'g':
      return verb.precision < 0 ? print_float(value) : format_g(value, verb.precision);
    case 'G': {
      std::string text = verb.precision < 0 ? print_float(value) : format_g(value, verb.precision);
      for (char& c : text) c = c == 'e' ? 'E' : c;
      return text;
    }
    case 'e':
      return fmt::format("{:.{}e}", value, verb.precision < 0 ? 6 : verb.precision);
    case 'E':
      return fmt::format("{:.{}E}", value, verb.precision < 0 ? 6 : verb.precision);
    default:
      return fmt::format("{:.{}f}", value, verb.precision < 0 ? 6 : verb.precision);
  }
}

std::string format_int(const Verb& verb, int64_t value) {
  switch (verb.letter) {
    case 'x':
      return fmt::format("{}{:x}", verb.sharp ? "0x" : "", value);
    case 'X':
      return fmt::format("{}{:X}", verb.sharp ? "0X" : "", value);
    case 'o':
      return fmt::format("{:o}", value);
    case 'b':
      return fmt::format("{:b}", value);
    case 'c':
      return utf8_of(value);
    default:
      return fmt::format("{}", value);
  }
}

std::string hex(std::string_view text, bool upper) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    out += upper ? fmt::format("{:02X}", byte) : fmt::format("{:02x}", byte);
  }
  return out;
}

// The first `count` code points.
std::string_view cut(std::string_view text, int count) {
  if (count < 0) return text;
  size_t at = 0;
  for (; at < text.size(); ++at) {
    const bool starts = (static_cast<uint8_t>(text[at]) & 0xc0) != 0x80;
    if (starts && count-- == 0) break;
  }
  return text.substr(0, at);
}

std::string format_one(const Verb& verb, const Value& value) {
  if (verb.letter == 'T') return std::string(value.type_name());
  if (const double* number = value.get<double>()) {
    if (std::string_view("vgGeEfF").find(verb.letter) == std::string_view::npos) {
      return bad_verb(verb, value);
    }
    return pad(signed_text(format_float(verb, *number), verb), verb);
  }
  if (const int64_t* number = value.get<int64_t>()) {
    if (std::string_view("vdxXobc").find(verb.letter) == std::string_view::npos) {
      return bad_verb(verb, value);
    }
    const std::string text = format_int(verb, *number);
    return pad(verb.letter == 'c' ? text : signed_text(text, verb), verb);
  }
  Verb padding = verb;
  padding.zero = false;
  if (const std::string* text = value.get<std::string>()) {
    switch (verb.letter) {
      case 'v':
        if (verb.sharp) return pad(quote(*text), padding);
        [[fallthrough]];
      case 's':
        return pad(std::string(cut(*text, verb.precision)), padding);
      case 'q':
        return pad(quote(cut(*text, verb.precision)), padding);
      case 'x':
      case 'X':
        return pad(hex(*text, verb.letter == 'X'), padding);
      default:
        return bad_verb(verb, value);
    }
  }
  if (const bool* flag = value.get<bool>()) {
    if (verb.letter != 't' && verb.letter != 'v') return bad_verb(verb, value);
    return pad(*flag ? "true" : "false", padding);
  }
  if (value.is_nil()) return verb.letter == 'v' ? pad("<nil>", padding) : bad_verb(verb, value);
  return pad(print(value), padding);
}

}  // namespace

Value::Value(List list) : of(std::make_shared<const List>(std::move(list))) {}
Value::Value(Record record) : of(std::make_shared<const Record>(std::move(record))) {}

Value Value::labels(model::LabelsView labels) {
  Record record;
  for (const model::Label& label : labels) {
    record.fields.emplace(std::string(label.name), Value(std::string(label.value)));
  }
  return Value(std::move(record));
}

bool Time::is_zero() const {
  return time_ms == kZeroTimeMs;
}

const List* Value::list() const {
  const auto* held = get<std::shared_ptr<const List>>();
  return held != nullptr ? held->get() : nullptr;
}

const Record* Value::record() const {
  const auto* held = get<std::shared_ptr<const Record>>();
  return held != nullptr ? held->get() : nullptr;
}

bool Value::truth() const {
  if (const bool* flag = get<bool>()) return *flag;
  if (const int64_t* number = get<int64_t>()) return *number != 0;
  if (const double* number = get<double>()) return *number != 0;
  if (const std::string* text = get<std::string>()) return !text->empty();
  if (list() != nullptr) return !list()->empty();
  if (record() != nullptr) return record()->is_struct() || !record()->fields.empty();
  if (const Html* html = get<Html>()) return !html->text.empty();
  if (const Duration* duration = get<Duration>()) return duration->duration_ms != 0;
  return get<Time>() != nullptr;
}

std::string_view Value::type_name() const {
  static constexpr std::string_view kNames[] = {"nil",       "bool",         "int", "float64",
                                                "string",    "slice",        "map", "template.HTML",
                                                "time.Time", "time.Duration"};
  if (record() != nullptr && record()->is_struct()) return "struct";
  return kNames[of.index()];
}

std::string print_float(double value) {
  if (const auto text = not_finite(value)) return *text;
  char buffer[40];
  const auto scientific =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific);
  const std::string_view text(buffer, static_cast<size_t>(scientific.ptr - buffer));
  const size_t e = text.find('e');
  int exponent = 0;
  const char* digits = text.data() + e + 1;
  std::from_chars(*digits == '+' ? digits + 1 : digits, text.data() + text.size(), exponent);
  // strconv.FormatFloat(f, 'g', -1): with shortest digits the limit is precision 6.
  if (exponent < -4 || exponent >= 6) return std::string(text);
  const auto fixed =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::fixed);
  return std::string(buffer, fixed.ptr);
}

std::string format_g(double value, int precision) {
  if (const auto text = not_finite(value)) return *text;
  return fmt::format("{:.{}g}", value, precision);
}

std::string print(const Value& value) {
  if (const bool* flag = value.get<bool>()) return *flag ? "true" : "false";
  if (const int64_t* number = value.get<int64_t>()) return std::to_string(*number);
  if (const double* number = value.get<double>()) return print_float(*number);
  if (const std::string* text = value.get<std::string>()) return *text;
  std::string out;
  if (const List* list = value.list()) {
    for (const Value& item : *list) out += (out.empty() ? "[" : " ") + print(item);
    return (out.empty() ? "[" : out) + "]";
  }
  if (const Record* record = value.record()) {
    if (record->kind == Record::Kind::Labels) {
      for (const auto& [name, field] : record->fields) {
        out += (out.empty() ? "" : ", ") + name + "=" + print(field);
      }
      return out;
    }
    for (const auto& [name, field] : record->fields) {
      if (!out.empty()) out += ' ';
      out += record->is_struct() ? print(field) : name + ":" + print(field);
    }
    return record->is_struct() ? "{" + out + "}" : "map[" + out + "]";
  }
  if (const Html* html = value.get<Html>()) return html->text;
  if (const Time* time = value.get<Time>()) {
    const core::Result<ZoneOffset> zone = zone_offset(time->zone, time->time_ms);
    return format_time(time->time_ms, zone ? *zone : ZoneOffset{},
                       "2006-01-02 15:04:05.999999999 -0700 MST");
  }
  if (const Duration* duration = value.get<Duration>()) {
    return duration_text(duration->duration_ms);
  }
  return "<no value>";
}

std::string print_all(std::span<const Value> values) {
  std::string out;
  for (size_t i = 0; i < values.size(); ++i) {
    const bool is_text = values[i].get<std::string>() != nullptr;
    if (i > 0 && !is_text && values[i - 1].get<std::string>() == nullptr) out += ' ';
    out += values[i].is_nil() ? "<nil>" : print(values[i]);
  }
  return out;
}

std::string format(std::string_view pattern, std::span<const Value> values) {
  std::string out;
  size_t used = 0;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '%') {
      out += pattern[i];
      continue;
    }
    Verb verb;
    for (++i; i < pattern.size(); ++i) {
      if (pattern[i] == '-') {
        verb.minus = true;
      } else if (pattern[i] == '+') {
        verb.plus = true;
      } else if (pattern[i] == '#') {
        verb.sharp = true;
      } else if (pattern[i] == ' ') {
        verb.space = true;
      } else if (pattern[i] == '0') {
        verb.zero = true;
      } else {
        break;
      }
    }
    const auto number = [&pattern, &i] {
      int n = 0;
      for (; i < pattern.size() && pattern[i] >= '0' && pattern[i] <= '9'; ++i) {
        n = std::min(n * 10 + (pattern[i] - '0'), kFormatWidthMax);
      }
      return n;
    };
    verb.width = number();
    if (i < pattern.size() && pattern[i] == '.') {
      ++i;
      verb.precision = number();
    }
    if (i >= pattern.size()) {
      out += "%!(NOVERB)";
      break;
    }
    verb.letter = pattern[i];
    if (verb.letter == '%') {
      out += '%';
    } else if (used >= values.size()) {
      out += fmt::format("%!{}(MISSING)", verb.letter);
    } else {
      out += format_one(verb, values[used++]);
    }
  }
  if (used < values.size()) {
    out += "%!(EXTRA ";
    for (size_t i = used; i < values.size(); ++i) {
      if (i > used) out += ", ";
      out += fmt::format("{}={}", values[i].type_name(), print(values[i]));
    }
    out += ')';
  }
  return out;
}

Result<double> to_float(const Value& value) {
  if (const double* number = value.get<double>()) return *number;
  if (const int64_t* number = value.get<int64_t>()) return static_cast<double>(*number);
  if (const std::string* text = value.get<std::string>()) {
    std::string_view digits = *text;
    if (digits.starts_with('+')) digits.remove_prefix(1);
    double number = 0;
    const auto [rest, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error == std::errc() && rest == digits.data() + digits.size() && !digits.empty()) {
      return number;
    }
    return core::fail(ErrorCode::InvalidArgument, "\"{}\" is not a number", *text);
  }
  return core::fail(ErrorCode::InvalidArgument, "can't convert {} to float", value.type_name());
}

Result<int64_t> to_int(const Value& value) {
  if (const int64_t* number = value.get<int64_t>()) return *number;
  return core::fail(ErrorCode::InvalidArgument, "expected an integer, not {}", value.type_name());
}

Result<std::string> to_text(const Value& value) {
  if (const std::string* text = value.get<std::string>()) return *text;
  return core::fail(ErrorCode::InvalidArgument, "expected a string, not {}", value.type_name());
}

}  // namespace templates
