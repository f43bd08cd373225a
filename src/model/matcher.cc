#include "model/matcher.h"

#include <algorithm>
#include <optional>
#include <re2/re2.h>

namespace model {
namespace {

// "a|b|c" without any operator: the alternatives. Operators that are escaped count as
// operators here, which only costs speed.
std::optional<std::vector<std::string>> split_literals(std::string_view regex) {
  if (regex.find_first_of("\\.+*?()[]{}^$") != std::string_view::npos) return std::nullopt;
  std::vector<std::string> parts;
  size_t start = 0;
  while (true) {
    const size_t bar = regex.find('|', start);
    parts.emplace_back(regex.substr(start, bar - start));
    if (bar == std::string_view::npos) return parts;
    start = bar + 1;
  }
}

}  // namespace

std::string_view match_symbol(MatchType type) {
  switch (type) {
    case MatchType::Equal:
      return "=";
    case MatchType::NotEqual:
      return "!=";
    case MatchType::Regex:
      return "=~";
    case MatchType::NotRegex:
      return "!~";
  }
  return {};
}

core::Result<Matcher> Matcher::create(MatchType type, std::string name, std::string value) {
  Matcher matcher;
  matcher.type_ = type;
  matcher.name_ = std::move(name);
  matcher.value_ = std::move(value);
  if (type == MatchType::Equal || type == MatchType::NotEqual) return matcher;
  if (auto literals = split_literals(matcher.value_)) {
    matcher.literals_ = std::move(*literals);
    return matcher;
  }
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_dot_nl(true);
  auto regex = std::make_shared<const re2::RE2>("^(?s:" + matcher.value_ + ")$", options);
  if (!regex->ok()) {
    return core::fail(core::ErrorCode::InvalidArgument, "error parsing regexp: {}: `{}`",
                      regex->error(), matcher.value_);
  }
  matcher.regex_ = std::move(regex);
  return matcher;
}

Matcher Matcher::equal(std::string name, std::string value) {
  Matcher matcher;
  matcher.name_ = std::move(name);
  matcher.value_ = std::move(value);
  return matcher;
}

bool Matcher::matches(std::string_view label_value) const {
  switch (type_) {
    case MatchType::Equal:
      return label_value == value_;
    case MatchType::NotEqual:
      return label_value != value_;
    case MatchType::Regex:
    case MatchType::NotRegex:
      break;
  }
  const bool hit =
      regex_
          ? re2::RE2::FullMatch(re2::StringPiece(label_value.data(), label_value.size()), *regex_)
          : std::find(literals_.begin(), literals_.end(), label_value) != literals_.end();
  return hit == (type_ == MatchType::Regex);
}

std::string Matcher::to_string() const {
  std::string out = is_legacy_label_name(name_) ? name_ : "\"" + name_ + "\"";
  out += match_symbol(type_);
  out += '"';
  for (const char c : value_) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    out += c;
  }
  out += '"';
  return out;
}

bool matches_all(const Matchers& matchers, LabelsView labels) {
  return std::all_of(matchers.begin(), matchers.end(), [labels](const Matcher& matcher) {
    return matcher.matches(labels.get(matcher.name()));
  });
}

}  // namespace model
