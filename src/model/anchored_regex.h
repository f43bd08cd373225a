// Regular expressions of relabel rules: RE2 in the form ^(?s:...)$ (prometheus/model/
// relabel, NewRegexp), with shortcuts for what most rules are, and the templates that
// take their groups ("$1", "${name}", "$$"; Go's regexp.Expand).

#pragma once

#include "core/result.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace re2 {
class RE2;
}

namespace model {

// Immutable, cheap to copy, thread-safe.
class AnchoredRegex {
 public:
  // InvalidArgument with Go's text: "error parsing regexp: missing closing ): `^(?s:()$`".
  static core::Result<AnchoredRegex> create(std::string_view pattern);

  bool matches(std::string_view text) const;
  // Group 0 is the whole match; a group that took no part is empty. `groups` may be
  // shorter than there are groups, which is faster. False: no match.
  bool capture(std::string_view text, std::span<std::string_view> groups) const;
  // Every match replaced, as Go's ReplaceAllString: `expand` appends the replacement.
  template <typename Expand>
  std::string replace_all(std::string_view text, size_t group_count, Expand expand) const;

  size_t group_count() const { return group_count_; }  // without group 0
  // -1 when no group has this name.
  int group_index(std::string_view name) const;
  // "(.*)", which takes every text whole.
  bool is_default() const { return is_default_; }

 private:
  // `lead` and `tail` are the fewest bytes that ".*" (0) or ".+" (1) around a literal
  // take; -1: there is no such part.
  struct Alternative {
    std::string literal;
    int lead = -1;
    int tail = -1;
  };
  static bool parse_alternative(std::string_view text, Alternative& alternative);
  static bool alternative_matches(const Alternative& alternative, std::string_view text);
  void find_shortcuts(std::string_view pattern);
  bool find_prefix_capture(std::string_view pattern);
  bool capture_from(std::string_view text, size_t start, std::span<std::string_view> groups) const;

  std::shared_ptr<const re2::RE2> regex_;
  size_t group_count_ = 0;
  bool is_default_ = false;
  bool only_literals_ = false;       // then alternatives_ are sorted
  bool has_prefix_capture_ = false;  // "__meta_(.+)": group 1 is what follows the literal
  // "a|b.*|.+c": what can be told without the regex; empty: ask the regex.
  std::vector<Alternative> alternatives_;
};

template <typename Expand>
std::string AnchoredRegex::replace_all(std::string_view text, size_t group_count,
                                       Expand expand) const {
  std::vector<std::string_view> groups(group_count + 1);
  std::string out;
  size_t last_end = 0;
  for (size_t at = 0; at <= text.size();) {
    if (at == 0 ? !capture(text, groups) : !capture_from(text, at, groups)) break;
    const auto start = static_cast<size_t>(groups[0].data() - text.data());
    const size_t end = start + groups[0].size();
    out += text.substr(last_end, start - last_end);
    // No replacement for an empty match right behind another match.
    if (end > last_end || start == 0) expand(out, groups);
    last_end = end;
    if (end == text.size()) break;  // what could follow is empty, right behind this one
    at = end > at ? end : at + 1;
  }
  out += text.substr(last_end);
  return out;
}

// Text with references to groups. Immutable, thread-safe.
class GroupTemplate {
 public:
  GroupTemplate() = default;
  GroupTemplate(std::string_view text, const AnchoredRegex& regex);

  // Whether there is no reference to a group; text() is then what it always gives.
  bool is_literal() const { return parts_.size() == 1 && parts_[0].group < 0; }
  const std::string& text() const { return parts_.front().literal; }
  // Exactly "$1".
  bool is_first_group() const {
    return parts_.size() == 1 && parts_[0].literal.empty() && parts_[0].group == 1;
  }
  // The highest group asked for.
  size_t group_count() const { return group_count_; }
  void append(std::string& out, std::span<const std::string_view> groups) const;

 private:
  struct Part {
    std::string literal;
    int group = -1;  // after the literal; -1: none
  };
  std::vector<Part> parts_{1};
  size_t group_count_ = 0;
};

}  // namespace model
