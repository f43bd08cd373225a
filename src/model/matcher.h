// Label matchers: =, !=, =~, !~. Regular expressions are RE2, anchored at both ends,
// and dot matches newline, as in Prometheus. An absent label has the value "".

#pragma once

#include "core/result.h"
#include "model/labels.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace re2 {
class RE2;
}

namespace model {

enum class MatchType : uint8_t { Equal, NotEqual, Regex, NotRegex };
// =, !=, =~, !~
std::string_view match_symbol(MatchType type);

// Immutable, cheap to copy, thread-safe.
class Matcher {
 public:
  // InvalidArgument when a regular expression does not compile.
  static core::Result<Matcher> create(MatchType type, std::string name, std::string value);
  // Equal and NotEqual cannot fail.
  static Matcher equal(std::string name, std::string value);

  MatchType type() const { return type_; }
  const std::string& name() const { return name_; }
  const std::string& value() const { return value_; }
  bool matches(std::string_view label_value) const;
  // Whether a series without the label matches.
  bool matches_empty() const { return matches(""); }
  // When a regex is an alternation of literals ("a|b|c"): those, else empty.
  const std::vector<std::string>& literals() const { return literals_; }
  // name="value", quoted as PromQL prints it.
  std::string to_string() const;

 private:
  MatchType type_ = MatchType::Equal;
  std::string name_;
  std::string value_;
  std::vector<std::string> literals_;
  std::shared_ptr<const re2::RE2> regex_;
};

using Matchers = std::vector<Matcher>;

bool matches_all(const Matchers& matchers, LabelsView labels);

}  // namespace model
