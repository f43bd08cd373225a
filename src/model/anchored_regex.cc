#include "model/anchored_regex.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <re2/re2.h>

namespace model {
namespace {

re2::StringPiece piece(std::string_view text) {
  return {text.data(), text.size()};
}

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// Go's words for RE2's error codes.
std::string_view error_name(re2::RE2::ErrorCode code) {
  switch (code) {
    case re2::RE2::ErrorBadEscape:
      return "invalid escape sequence";
    case re2::RE2::ErrorBadCharClass:
      return "invalid character class";
    case re2::RE2::ErrorBadCharRange:
      return "invalid character class range";
    case re2::RE2::ErrorMissingBracket:
      return "missing closing ]";
    case re2::RE2::ErrorMissingParen:
      return "missing closing )";
    case re2::RE2::ErrorUnexpectedParen:
      return "unexpected )";
    case re2::RE2::ErrorTrailingBackslash:
      return "trailing backslash at end of expression";
    case re2::RE2::ErrorRepeatArgument:
      return "missing argument to repetition operator";
    case re2::RE2::ErrorRepeatSize:
      return "invalid repeat count";
    case re2::RE2::ErrorRepeatOp:
      return "invalid nested repetition operator";
    case re2::RE2::ErrorBadPerlOp:
      return "invalid or unsupported Perl syntax";
    case re2::RE2::ErrorBadUTF8:
      return "invalid UTF-8";
    case re2::RE2::ErrorBadNamedCapture:
      return "invalid named capture";
    case re2::RE2::ErrorPatternTooLarge:
      return "expression too large";
    case re2::RE2::NoError:
    case re2::RE2::ErrorInternal:
      break;
  }
  return "internal error";
}

// Go reads (?<name>...) since 1.22, Debian's RE2 only (?P<name>...).
std::string with_named_groups_of_re2(std::string_view pattern) {
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    out += c;
    if (c == '\\' && i + 1 < pattern.size()) {
      out += pattern[++i];
    } else if (in_class) {
      in_class = c != ']';
    } else if (c == '[') {
      in_class = true;
      // A bracket that comes first, also after '^', is a member.
      if (pattern.substr(i + 1, 1) == "^") out += pattern[++i];
      if (pattern.substr(i + 1, 1) == "]") out += pattern[++i];
    } else if (c == '(' && pattern.substr(i + 1, 2) == "?<" && i + 3 < pattern.size() &&
               is_word(pattern[i + 3])) {
      out += "?P<";
      i += 2;
    }
  }
  return out;
}

}  // namespace

core::Result<AnchoredRegex> AnchoredRegex::create(std::string_view pattern) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(32 << 20);  // lists of thousands of names are written as one regex
  auto compiled =
      std::make_shared<const re2::RE2>("^(?s:" + with_named_groups_of_re2(pattern) + ")$", options);
  if (!compiled->ok()) {
    return core::fail(core::ErrorCode::InvalidArgument, "error parsing regexp: {}: `{}`",
                      error_name(compiled->error_code()), compiled->error_arg());
  }
  AnchoredRegex regex;
  regex.group_count_ = static_cast<size_t>(compiled->NumberOfCapturingGroups());
  regex.regex_ = std::move(compiled);
  regex.is_default_ = pattern == "(.*)";
  regex.find_shortcuts(pattern);
  return regex;
}

// A literal, escapes of punctuation undone, with ".*" or ".+" at either end. False when
// there is anything else.
bool AnchoredRegex::parse_alternative(std::string_view text, Alternative& alternative) {
  const auto wildcard = [](std::string_view two) { return two == ".*" ? 0 : two == ".+" ? 1 : -1; };
  alternative.lead = wildcard(text.substr(0, 2));
  if (alternative.lead >= 0) text.remove_prefix(2);
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (i + 2 == text.size() && wildcard(text.substr(i)) >= 0) {
      alternative.tail = wildcard(text.substr(i));
      return true;
    }
    if (c == '\\') {
      if (i + 1 == text.size() || is_word(text[i + 1]) || (text[i + 1] & 0x80) != 0) return false;
      alternative.literal += text[++i];
      continue;
    }
    if (std::strchr(".+*?()[]{}^$", c) != nullptr) return false;
    alternative.literal += c;
  }
  return true;
}

bool AnchoredRegex::alternative_matches(const Alternative& alternative, std::string_view text) {
  const auto& [literal, lead, tail] = alternative;
  if (lead < 0 && tail < 0) return text == literal;
  const auto before = static_cast<size_t>(std::max(lead, 0));
  const auto after = static_cast<size_t>(std::max(tail, 0));
  if (text.size() < before + literal.size() + after) return false;
  if (tail < 0) return text.ends_with(literal);
  if (lead < 0) return text.starts_with(literal);
  return text.substr(before, text.size() - before - after).find(literal) != std::string_view::npos;
}

// A literal before "(.*)" or "(.+)", as most labelmap rules have it.
bool AnchoredRegex::find_prefix_capture(std::string_view pattern) {
  if (!pattern.ends_with("(.*)") && !pattern.ends_with("(.+)")) return false;
  const std::string_view wildcard = pattern.substr(pattern.size() - 3, 2);
  Alternative found;
  const std::string_view literal = pattern.substr(0, pattern.size() - 4);
  if (literal.find('|') != std::string_view::npos || !parse_alternative(literal, found) ||
      found.lead >= 0 || found.tail >= 0) {
    return false;
  }
  found.tail = wildcard == ".+" ? 1 : 0;
  alternatives_.push_back(std::move(found));
  has_prefix_capture_ = true;
  return true;
}

void AnchoredRegex::find_shortcuts(std::string_view pattern) {
  if (find_prefix_capture(pattern)) return;
  // One pair of brackets around all of it changes nothing about what matches.
  if (pattern.starts_with('(') && pattern.ends_with(')') && !pattern.ends_with("\\)")) {
    std::string_view inner = pattern.substr(1, pattern.size() - 2);
    if (inner.starts_with("?:")) inner.remove_prefix(2);
    if (inner.find_first_of("()") == std::string_view::npos) pattern = inner;
  }
  // An escaped '|' makes a part that ends in a backslash, which is refused.
  std::vector<Alternative> found;
  while (true) {
    const size_t bar = pattern.find('|');
    if (!parse_alternative(pattern.substr(0, bar), found.emplace_back())) return;
    if (bar == std::string_view::npos) break;
    pattern.remove_prefix(bar + 1);
  }
  only_literals_ = std::all_of(found.begin(), found.end(), [](const Alternative& alternative) {
    return alternative.lead < 0 && alternative.tail < 0;
  });
  std::sort(found.begin(), found.end(),
            [](const Alternative& a, const Alternative& b) { return a.literal < b.literal; });
  alternatives_ = std::move(found);
}

bool AnchoredRegex::matches(std::string_view text) const {
  if (alternatives_.empty()) {
    return regex_->Match(piece(text), 0, text.size(), re2::RE2::UNANCHORED, nullptr, 0);
  }
  if (only_literals_) {
    const auto at = std::lower_bound(alternatives_.begin(), alternatives_.end(), text,
                                     [](const Alternative& alternative, std::string_view key) {
                                       return alternative.literal < key;
                                     });
    return at != alternatives_.end() && at->literal == text;
  }
  return std::any_of(
      alternatives_.begin(), alternatives_.end(),
      [text](const Alternative& alternative) { return alternative_matches(alternative, text); });
}

bool AnchoredRegex::capture(std::string_view text, std::span<std::string_view> groups) const {
  if (is_default_) {
    for (size_t i = 0; i < groups.size(); ++i) groups[i] = i < 2 ? text : std::string_view();
    return true;
  }
  if (!alternatives_.empty() && !matches(text)) return false;
  if (has_prefix_capture_) {
    const std::string_view rest = text.substr(alternatives_.front().literal.size());
    for (size_t i = 0; i < groups.size(); ++i) {
      groups[i] = i == 0 ? text : i == 1 ? rest : std::string_view();
    }
    return true;
  }
  return capture_from(text, 0, groups);
}

bool AnchoredRegex::capture_from(std::string_view text, size_t start,
                                 std::span<std::string_view> groups) const {
  constexpr size_t kUsualGroups = 8;
  std::array<re2::StringPiece, kUsualGroups> usual;
  std::vector<re2::StringPiece> many;
  re2::StringPiece* pieces = usual.data();
  if (groups.size() > kUsualGroups) {
    many.resize(groups.size());
    pieces = many.data();
  }
  const auto count = static_cast<int>(std::min(groups.size(), group_count_ + 1));
  if (!regex_->Match(piece(text), start, text.size(), re2::RE2::UNANCHORED, pieces, count)) {
    return false;
  }
  for (size_t i = 0; i < groups.size(); ++i) {
    groups[i] = std::string_view(pieces[i].data(), pieces[i].size());
  }
  return true;
}

int AnchoredRegex::group_index(std::string_view name) const {
  const auto& names = regex_->NamedCapturingGroups();
  const auto at = names.find(std::string(name));
  return at == names.end() ? -1 : at->second;
}

namespace {

struct Reference {
  std::string_view name;  // empty: not a reference
  size_t size = 0;        // of all of it, behind the '$'
};

// `text` follows a '$'. Names are as long as they can be: "$1x" is the group "1x".
Reference read_reference(std::string_view text) {
  static const re2::RE2 kName(R"(^[\pL\p{Nd}_]+)");
  const bool braces = text.starts_with('{');
  if (braces) text.remove_prefix(1);
  re2::StringPiece found;
  if (!kName.Match(piece(text), 0, text.size(), re2::RE2::ANCHOR_START, &found, 1)) return {};
  const std::string_view name = text.substr(0, found.size());
  if (!braces) return {name, name.size()};
  if (!text.substr(name.size()).starts_with('}')) return {};
  return {name, name.size() + 2};
}

// The number that a group's name is, or -1: "01" and names are not numbers.
int group_number(std::string_view name) {
  constexpr int kLimit = 100'000'000;
  if (name.size() > 1 && name.front() == '0') return -1;
  int number = 0;
  for (const char c : name) {
    if (c < '0' || c > '9' || number >= kLimit) return -1;
    number = number * 10 + (c - '0');
  }
  return number;
}

}  // namespace

GroupTemplate::GroupTemplate(std::string_view text, const AnchoredRegex& regex) {
  while (!text.empty()) {
    const size_t dollar = text.find('$');
    parts_.back().literal += text.substr(0, dollar);
    if (dollar == std::string_view::npos) break;
    text.remove_prefix(dollar + 1);
    if (text.starts_with('$')) {
      parts_.back().literal += '$';
      text.remove_prefix(1);
      continue;
    }
    const Reference reference = read_reference(text);
    if (reference.name.empty()) {
      parts_.back().literal += '$';
      continue;
    }
    text.remove_prefix(reference.size);
    int group = group_number(reference.name);
    if (group < 0) group = regex.group_index(reference.name);
    // A group that does not exist is empty.
    if (group < 0 || static_cast<size_t>(group) > regex.group_count()) continue;
    parts_.back().group = group;
    group_count_ = std::max(group_count_, static_cast<size_t>(group));
    parts_.emplace_back();
  }
  if (parts_.size() > 1 && parts_.back().literal.empty()) parts_.pop_back();
}

void GroupTemplate::append(std::string& out, std::span<const std::string_view> groups) const {
  for (const Part& part : parts_) {
    out += part.literal;
    if (part.group >= 0) out += groups[static_cast<size_t>(part.group)];
  }
}

}  // namespace model
