#include "templates/functions.h"

#include "core/time.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <memory>
#include <optional>
#include <re2/re2.h>

namespace templates {

using core::ErrorCode;
using core::Result;

namespace {

using Arguments = std::span<const Value>;

tl::unexpected<core::Error> wrong(std::string message) {
  return tl::unexpected(core::Error{ErrorCode::InvalidArgument, std::move(message)});
}

// --- numbers as people read them (prometheus/template/template.go) ---

std::string scaled(double value, double factor, std::span<const std::string_view> prefixes) {
  std::string_view prefix;
  for (const std::string_view next : prefixes) {
    if (factor > 1 ? std::fabs(value) < factor : std::fabs(value) >= 1) break;
    prefix = next;
    value = factor > 1 ? value / factor : value * 1000;
  }
  return format_g(value, 4) + std::string(prefix);
}

constexpr std::string_view kLarge[] = {"k", "M", "G", "T", "P", "E", "Z", "Y"};
constexpr std::string_view kBinary[] = {"ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"};
constexpr std::string_view kSmall[] = {"m", "u", "n", "p", "f", "a", "z", "y"};

Result<Value> humanize(Arguments arguments, const Data&) {
  const double v = TRY(to_float(arguments[0]));
  if (v == 0 || !std::isfinite(v)) return Value(format_g(v, 4));
  if (std::fabs(v) >= 1) return Value(scaled(v, 1000, kLarge));
  return Value(scaled(v, 0.001, kSmall));
}

Result<Value> humanize1024(Arguments arguments, const Data&) {
  const double v = TRY(to_float(arguments[0]));
  if (std::fabs(v) <= 1 || !std::isfinite(v)) return Value(format_g(v, 4));
  return Value(scaled(v, 1024, kBinary));
}

Result<Value> humanize_duration(Arguments arguments, const Data&) {
  double v = TRY(to_float(arguments[0]));
  if (!std::isfinite(v)) return Value(format_g(v, 4));
  if (v == 0) return Value("0s");
  if (std::fabs(v) < 1) return Value(scaled(v, 0.001, kSmall) + "s");
  const std::string sign = v < 0 ? "-" : "";
  v = std::fabs(v);
  // Beyond int64 whole days are all there is to say.
  if (v >= 9e18) return Value(fmt::format("{}{}d", sign, format_g(v / 86'400, 4)));
  const auto duration = static_cast<int64_t>(v);
  const int64_t seconds = duration % 60;
  const int64_t minutes = duration / 60 % 60;
  const int64_t hours = duration / 3'600 % 24;
  const int64_t days = duration / 86'400;
  if (days != 0)
    return Value(fmt::format("{}{}d {}h {}m {}s", sign, days, hours, minutes, seconds));
  if (hours != 0) return Value(fmt::format("{}{}h {}m {}s", sign, hours, minutes, seconds));
  if (minutes != 0) return Value(fmt::format("{}{}m {}s", sign, minutes, seconds));
  return Value(sign + format_g(v, 4) + "s");
}

Result<Value> humanize_percentage(Arguments arguments, const Data&) {
  const double v = TRY(to_float(arguments[0]));
  return Value(format_g(v * 100, 4) + "%");
}

// Go's time.Time as text: "2015-06-23 13:19:44.128 +0000 UTC".
Result<std::string> timestamp_text(double seconds) {
  if (!std::isfinite(seconds)) return format_g(seconds, 4);
  if (std::fabs(seconds) > 9.2e9) {
    return wrong(print_float(seconds) +
                 " cannot be represented as a nanoseconds timestamp since it overflows int64");
  }
  std::string text = core::format_rfc3339(std::llround(std::floor(seconds * 1000)));
  if (text.ends_with('Z')) text.pop_back();
  std::replace(text.begin(), text.end(), 'T', ' ');
  if (text.find('.') != std::string::npos) {
    while (text.ends_with('0')) text.pop_back();
  }
  return text + " +0000 UTC";
}

Result<Value> humanize_timestamp(Arguments arguments, const Data&) {
  const double v = TRY(to_float(arguments[0]));
  return Value(TRY(timestamp_text(v)));
}

// Go's time.Duration as text: "1h2m3.5s".
Result<Value> to_duration(Arguments arguments, const Data&) {
  const double v = TRY(to_float(arguments[0]));
  if (!std::isfinite(v) || std::fabs(v) > 9.2e9) return wrong("duration overflows int64");
  const std::string sign = v < 0 ? "-" : "";
  const double size = std::fabs(v);
  if (size == 0) return Value("0s");
  const auto unit = [&](double factor, const char* name) {
    return Value(fmt::format("{}{}{}", sign, size * factor, name));
  };
  if (size < 1e-6) return unit(1e9, "ns");
  if (size < 1e-3) return unit(1e6, "µs");
  if (size < 1) return unit(1e3, "ms");
  const auto whole = static_cast<int64_t>(size / 60);
  const double seconds = size - static_cast<double>(whole) * 60;
  std::string text = sign;
  if (whole >= 60) text += fmt::format("{}h", whole / 60);
  if (whole > 0) text += fmt::format("{}m", whole % 60);
  return Value(text + fmt::format("{}s", std::round(seconds * 1e9) / 1e9));
}

Result<Value> parse_duration(Arguments arguments, const Data&) {
  const std::string text = TRY(to_text(arguments[0]));
  const int64_t duration_ms = TRY(core::parse_duration_ms(text));
  return Value(static_cast<double>(duration_ms) / 1000);
}

Result<Value> now(Arguments, const Data& data) {
  return Value(static_cast<double>(data.now_ms) / 1000);
}

// --- texts ---

char upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
}
char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

Result<Value> to_upper(Arguments arguments, const Data&) {
  std::string text = TRY(to_text(arguments[0]));
  for (char& c : text) c = upper(c);
  return Value(std::move(text));
}

Result<Value> to_lower(Arguments arguments, const Data&) {
  std::string text = TRY(to_text(arguments[0]));
  for (char& c : text) c = lower(c);
  return Value(std::move(text));
}

Result<Value> title(Arguments arguments, const Data&) {
  std::string text = TRY(to_text(arguments[0]));
  bool in_word = false;
  for (char& c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '\'' || c == '_' ||
                        static_cast<uint8_t>(c) >= 0x80;
    if (letter && !in_word) c = upper(c);
    in_word = letter;
  }
  return Value(std::move(text));
}

re2::StringPiece piece(std::string_view text) {
  return {text.data(), text.size()};
}

Result<std::unique_ptr<RE2>> compile(const std::string& pattern) {
  RE2::Options options;
  options.set_log_errors(false);
  auto regex = std::make_unique<RE2>(piece(pattern), options);
  if (!regex->ok()) return wrong(fmt::format("bad pattern \"{}\": {}", pattern, regex->error()));
  return regex;
}

Result<Value> match(Arguments arguments, const Data&) {
  const std::string pattern = TRY(to_text(arguments[0]));
  const std::string text = TRY(to_text(arguments[1]));
  const std::unique_ptr<RE2> regex = TRY(compile(pattern));
  return Value(RE2::PartialMatch(piece(text), *regex));
}

// Go's Regexp.Expand: $1, ${1}, ${name}, $$; $1x is the group named "1x".
void expand_groups(std::string& out, const std::string& replacement, const RE2& regex,
                   const std::vector<re2::StringPiece>& groups) {
  for (size_t i = 0; i < replacement.size(); ++i) {
    const char next = i + 1 < replacement.size() ? replacement[i + 1] : '\0';
    if (replacement[i] != '$' || next == '\0') {
      out += replacement[i];
      continue;
    }
    if (next == '$') {
      out += '$';
      ++i;
      continue;
    }
    const bool braces = next == '{';
    const size_t start = i + (braces ? 2 : 1);
    size_t end = start;
    while (end < replacement.size() &&
           (std::isalnum(static_cast<unsigned char>(replacement[end])) != 0 ||
            replacement[end] == '_')) {
      ++end;
    }
    const bool closed = end < replacement.size() && replacement[end] == '}';
    if (end == start || (braces && !closed)) {
      out += '$';
      continue;
    }
    const std::string name = replacement.substr(start, end - start);
    size_t index = groups.size();
    if (std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; })) {
      if (name.size() < 6) index = static_cast<size_t>(std::stoi(name));
    } else if (const auto named = regex.NamedCapturingGroups().find(name);
               named != regex.NamedCapturingGroups().end()) {
      index = static_cast<size_t>(named->second);
    }
    if (index < groups.size()) out.append(groups[index].data(), groups[index].size());
    i = braces ? end : end - 1;
  }
}

Result<Value> re_replace_all(Arguments arguments, const Data&) {
  const std::string pattern = TRY(to_text(arguments[0]));
  const std::string replacement = TRY(to_text(arguments[1]));
  const std::string text = TRY(to_text(arguments[2]));
  const std::unique_ptr<RE2> regex = TRY(compile(pattern));
  std::vector<re2::StringPiece> groups(static_cast<size_t>(regex->NumberOfCapturingGroups()) + 1);
  // The loop of Go's Regexp.replaceAll: no empty match right behind the match before.
  std::string out;
  size_t search = 0;
  size_t copied = 0;
  while (search <= text.size() && regex->Match(piece(text), search, text.size(), RE2::UNANCHORED,
                                               groups.data(), static_cast<int>(groups.size()))) {
    const auto begin = static_cast<size_t>(groups[0].data() - text.data());
    const size_t end = begin + groups[0].size();
    out.append(text, copied, begin - copied);
    if (end > copied || begin == 0) expand_groups(out, replacement, *regex, groups);
    copied = end;
    size_t next = search + 1;
    while (next < text.size() && (static_cast<uint8_t>(text[next]) & 0xc0) == 0x80) ++next;
    search = std::max(next, end);
  }
  out.append(text, std::min(copied, text.size()));
  return Value(std::move(out));
}

struct HostPort {
  std::string host;
  std::string port;
};

// net.SplitHostPort; nothing when there is no port or the form is another.
std::optional<HostPort> split_host_port(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  std::string host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    return HostPort{host.substr(1, host.size() - 2), text.substr(colon + 1)};
  }
  if (host.find_first_of(":[]") != std::string::npos) return std::nullopt;
  return HostPort{std::move(host), text.substr(colon + 1)};
}

bool is_ip(const std::string& host) {
  if (host.find(':') != std::string::npos) return true;
  return !host.empty() && std::ranges::count(host, '.') == 3 &&
         std::ranges::all_of(host, [](char c) { return c == '.' || (c >= '0' && c <= '9'); });
}

Result<Value> strip_port(Arguments arguments, const Data&) {
  std::string text = TRY(to_text(arguments[0]));
  if (auto parts = split_host_port(text)) return Value(std::move(parts->host));
  return Value(std::move(text));
}

Result<Value> strip_domain(Arguments arguments, const Data&) {
  std::string text = TRY(to_text(arguments[0]));
  const auto parts = split_host_port(text);
  const std::string host = parts ? parts->host : text;
  if (is_ip(host)) return Value(std::move(text));
  const std::string first = host.substr(0, host.find('.'));
  return Value(parts && !parts->port.empty() ? first + ":" + parts->port : first);
}

Result<Value> urlquery(Arguments arguments, const Data&) {
  return Value(query_escape(print_all(arguments)));
}

Result<Value> graph_link(Arguments arguments, const Data&) {
  const std::string expression = TRY(to_text(arguments[0]));
  return Value("/graph?g0.expr=" + query_escape(expression) + "&g0.tab=0");
}

Result<Value> table_link(Arguments arguments, const Data&) {
  const std::string expression = TRY(to_text(arguments[0]));
  return Value("/graph?g0.expr=" + query_escape(expression) + "&g0.tab=1");
}

std::string replace_characters(std::string_view text, std::string_view characters,
                               std::span<const std::string_view> replacements) {
  std::string out;
  for (const char c : text) {
    const size_t at = characters.find(c);
    if (at == std::string_view::npos) {
      out += c;
    } else {
      out += replacements[at];
    }
  }
  return out;
}

Result<Value> html(Arguments arguments, const Data&) {
  static constexpr std::string_view kHtml[] = {"&#34;", "&#39;", "&amp;", "&lt;", "&gt;"};
  return Value(replace_characters(print_all(arguments), "\"'&<>", kHtml));
}

Result<Value> js(Arguments arguments, const Data&) {
  static constexpr std::string_view kJs[] = {R"(\")",     R"(\')",     R"(\\)",     R"(\u003C)",
                                             R"(\u003E)", R"(\u0026)", R"(\u003D)", R"(\u000A)",
                                             R"(\u000D)", R"(\u0009)"};
  return Value(replace_characters(print_all(arguments), "\"'\\<>&=\n\r\t", kJs));
}

Result<Value> identity(Arguments arguments, const Data&) {
  return arguments[0];
}

Result<Value> external_url(Arguments, const Data& data) {
  return Value(data.external_url);
}

Result<Value> path_prefix(Arguments, const Data& data) {
  const size_t host = data.external_url.find("://");
  const size_t path = data.external_url.find('/', host == std::string::npos ? 0 : host + 3);
  return Value(path == std::string::npos ? std::string() : data.external_url.substr(path));
}

Result<Value> print_function(Arguments arguments, const Data&) {
  return Value(print_all(arguments));
}

Result<Value> println_function(Arguments arguments, const Data&) {
  std::string out;
  for (const Value& value : arguments) out += (out.empty() ? "" : " ") + print(value);
  return Value(out + "\n");
}

Result<Value> printf_function(Arguments arguments, const Data&) {
  const std::string pattern = TRY(to_text(arguments[0]));
  return Value(format(pattern, arguments.subspan(1)));
}

// --- query results ---

Value sample_value(const Sample& sample) {
  Record record;
  record.kind = Record::Kind::Struct;
  record.fields.emplace("Labels", Value::labels(sample.labels));
  record.fields.emplace("Value", Value(sample.value));
  return Value(std::move(record));
}

Result<Value> query(Arguments arguments, const Data& data) {
  const std::string expression = TRY(to_text(arguments[0]));
  if (!data.query) return wrong("query is not available here");
  const std::vector<Sample> samples = TRY(data.query(expression));
  List list;
  for (const Sample& sample : samples) list.push_back(sample_value(sample));
  return Value(std::move(list));
}

Result<Value> first(Arguments arguments, const Data&) {
  const List* list = arguments[0].list();
  if (list == nullptr) return wrong("first() needs the result of a query");
  if (list->empty()) return wrong("first() called on vector with no elements");
  return list->front();
}

Result<const Value*> sample_field(const Value& sample, const char* field) {
  const Record* record = sample.record();
  if (record == nullptr || !record->is_struct()) return wrong("expected a sample of a query");
  const auto found = record->fields.find(field);
  if (found == record->fields.end()) return wrong("expected a sample of a query");
  return &found->second;
}

Result<std::string> sample_label(const Value& sample, const std::string& name) {
  const Value* labels = TRY(sample_field(sample, "Labels"));
  const auto found = labels->record()->fields.find(name);
  return found == labels->record()->fields.end() ? std::string() : print(found->second);
}

Result<Value> label(Arguments arguments, const Data&) {
  const std::string name = TRY(to_text(arguments[0]));
  return Value(TRY(sample_label(arguments[1], name)));
}

Result<Value> value_of(Arguments arguments, const Data&) {
  return *TRY(sample_field(arguments[0], "Value"));
}

Result<Value> strvalue(Arguments arguments, const Data&) {
  return Value(TRY(sample_label(arguments[0], "__value__")));
}

Result<Value> sort_by_label(Arguments arguments, const Data&) {
  const std::string name = TRY(to_text(arguments[0]));
  const List* list = arguments[1].list();
  if (list == nullptr) return wrong("sortByLabel() needs the result of a query");
  std::vector<std::pair<std::string, const Value*>> keyed;
  for (const Value& sample : *list) {
    std::string key = TRY(sample_label(sample, name));
    keyed.emplace_back(std::move(key), &sample);
  }
  std::ranges::stable_sort(keyed, {}, &std::pair<std::string, const Value*>::first);
  List sorted;
  for (const auto& [key, sample] : keyed) sorted.push_back(*sample);
  return Value(std::move(sorted));
}

// --- Go's own ---

Result<Value> len(Arguments arguments, const Data&) {
  const Value& value = arguments[0];
  if (const std::string* text = value.get<std::string>()) {
    return Value(static_cast<int64_t>(text->size()));
  }
  if (const List* list = value.list()) return Value(static_cast<int64_t>(list->size()));
  if (const Record* record = value.record(); record != nullptr && !record->is_struct()) {
    return Value(static_cast<int64_t>(record->fields.size()));
  }
  return wrong(fmt::format("len of type {}", value.type_name()));
}

Result<Value> index_one(const Value& value, const Value& key) {
  if (const Record* record = value.record(); record != nullptr && !record->is_struct()) {
    const std::string name = TRY(to_text(key));
    const auto found = record->fields.find(name);
    return found == record->fields.end() ? Value("") : found->second;
  }
  const List* list = value.list();
  const std::string* text = value.get<std::string>();
  if (list == nullptr && text == nullptr) {
    return wrong(fmt::format("can't index item of type {}", value.type_name()));
  }
  const int64_t at = TRY(to_int(key));
  const size_t size = list != nullptr ? list->size() : text->size();
  if (at < 0 || static_cast<size_t>(at) >= size) {
    return wrong(fmt::format("index out of range: {}", at));
  }
  const auto position = static_cast<size_t>(at);
  if (list != nullptr) return (*list)[position];
  return Value(static_cast<int64_t>(static_cast<uint8_t>((*text)[position])));
}

Result<Value> index(Arguments arguments, const Data&) {
  Value value = arguments[0];
  for (const Value& key : arguments.subspan(1)) value = TRY(index_one(value, key));
  return value;
}

Result<Value> slice(Arguments arguments, const Data&) {
  const std::string* text = arguments[0].get<std::string>();
  const List* list = arguments[0].list();
  if (text == nullptr && list == nullptr) {
    return wrong(fmt::format("can't slice item of type {}", arguments[0].type_name()));
  }
  const auto size = static_cast<int64_t>(text != nullptr ? text->size() : list->size());
  const int64_t begin = arguments.size() > 1 ? TRY(to_int(arguments[1])) : 0;
  const int64_t end = arguments.size() > 2 ? TRY(to_int(arguments[2])) : size;
  if (begin < 0 || end > size || begin > end) {
    return wrong(fmt::format("slice index out of range: {}:{} of {}", begin, end, size));
  }
  if (text != nullptr) {
    return Value(text->substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin)));
  }
  return Value(List(list->begin() + begin, list->begin() + end));
}

Result<Value> not_function(Arguments arguments, const Data&) {
  return Value(!arguments[0].truth());
}

Result<Value> never_called(Arguments, const Data&) {
  return wrong("and/or");
}

bool is_number(const Value& value) {
  return value.get<int64_t>() != nullptr || value.get<double>() != nullptr;
}

// Go refuses to compare an int with a float64; `gt $value 80` is what people write, so
// here numbers are numbers.
Result<bool> equal(const Value& a, const Value& b) {
  if (is_number(a) && is_number(b)) {
    const double x = TRY(to_float(a));
    const double y = TRY(to_float(b));
    return x == y;
  }
  if (a.of.index() != b.of.index()) return wrong("incompatible types for comparison");
  if (a.list() != nullptr || a.record() != nullptr) return wrong("non-comparable type");
  return print(a) == print(b);
}

Result<bool> less(const Value& a, const Value& b) {
  if (is_number(a) && is_number(b)) {
    const double x = TRY(to_float(a));
    const double y = TRY(to_float(b));
    return x < y;
  }
  const std::string* x = a.get<std::string>();
  const std::string* y = b.get<std::string>();
  if (x == nullptr || y == nullptr) return wrong("incompatible types for comparison");
  return *x < *y;
}

Result<Value> eq(Arguments arguments, const Data&) {
  for (const Value& other : arguments.subspan(1)) {
    if (TRY(equal(arguments[0], other))) return Value(true);
  }
  return Value(false);
}

Result<Value> ne(Arguments arguments, const Data&) {
  return Value(!TRY(equal(arguments[0], arguments[1])));
}

Result<Value> lt(Arguments arguments, const Data&) {
  return Value(TRY(less(arguments[0], arguments[1])));
}

Result<Value> gt(Arguments arguments, const Data&) {
  return Value(TRY(less(arguments[1], arguments[0])));
}

// Not "not greater": NaN is neither.
Result<Value> le(Arguments arguments, const Data&) {
  const bool smaller = TRY(less(arguments[0], arguments[1]));
  return Value(smaller || TRY(equal(arguments[0], arguments[1])));
}

Result<Value> ge(Arguments arguments, const Data&) {
  const bool larger = TRY(less(arguments[1], arguments[0]));
  return Value(larger || TRY(equal(arguments[0], arguments[1])));
}

constexpr size_t kAny = SIZE_MAX;

constexpr Function kFunctions[] = {
    {"and", 1, kAny, never_called},
    {"externalURL", 0, 0, external_url},
    {"eq", 2, kAny, eq},
    {"first", 1, 1, first},
    {"ge", 2, 2, ge},
    {"graphLink", 1, 1, graph_link},
    {"gt", 2, 2, gt},
    {"html", 1, kAny, html},
    {"humanize", 1, 1, humanize},
    {"humanize1024", 1, 1, humanize1024},
    {"humanizeDuration", 1, 1, humanize_duration},
    {"humanizePercentage", 1, 1, humanize_percentage},
    {"humanizeTimestamp", 1, 1, humanize_timestamp},
    {"index", 1, kAny, index},
    {"js", 1, kAny, js},
    {"label", 2, 2, label},
    {"le", 2, 2, le},
    {"len", 1, 1, len},
    {"lt", 2, 2, lt},
    {"match", 2, 2, match},
    {"ne", 2, 2, ne},
    {"not", 1, 1, not_function},
    {"now", 0, 0, now},
    {"or", 1, kAny, never_called},
    {"parseDuration", 1, 1, parse_duration},
    {"pathPrefix", 0, 0, path_prefix},
    {"print", 0, kAny, print_function},
    {"printf", 1, kAny, printf_function},
    {"println", 0, kAny, println_function},
    {"query", 1, 1, query},
    {"reReplaceAll", 3, 3, re_replace_all},
    {"safeHtml", 1, 1, identity},
    {"slice", 1, 3, slice},
    {"sortByLabel", 2, 2, sort_by_label},
    {"stripDomain", 1, 1, strip_domain},
    {"stripPort", 1, 1, strip_port},
    {"strvalue", 1, 1, strvalue},
    {"tableLink", 1, 1, table_link},
    {"title", 1, 1, title},
    {"toDuration", 1, 1, to_duration},
    {"toLower", 1, 1, to_lower},
    {"toTime", 1, 1, humanize_timestamp},
    {"toUpper", 1, 1, to_upper},
    {"urlQueryEscape", 1, 1, urlquery},
    {"urlquery", 1, kAny, urlquery},
    {"value", 1, 1, value_of},
};

}  // namespace

std::string query_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      out += c;
    } else if (c == ' ') {
      out += '+';
    } else {
      out += fmt::format("%{:02X}", static_cast<uint8_t>(c));
    }
  }
  return out;
}

const Function* find_function(std::string_view name, Dialect dialect) {
  if (dialect == Dialect::Notifications) return find_notification_function(name);
  for (const Function& function : kFunctions) {
    if (function.name == name) return &function;
  }
  return nullptr;
}

Value root_value(const Data& data) {
  Record record;
  record.kind = Record::Kind::Struct;
  record.fields.emplace("Labels", Value::labels(data.labels));
  record.fields.emplace("Value", Value(data.value));
  record.fields.emplace("ExternalLabels", Value::labels(data.external_labels));
  record.fields.emplace("ExternalURL", Value(data.external_url));
  return Value(std::move(record));
}

}  // namespace templates
