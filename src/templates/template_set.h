// Templates that call each other by name, as notifications have them: the default ones
// and those of files ({{ define "email.subject" }}...{{ end }}).

#pragma once

#include "core/result.h"
#include "templates/tree.h"
#include "templates/value.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace templates {

// Thread-safe once filled.
class TemplateSet {
 public:
  // Holds the default templates.
  TemplateSet();

  // The definitions of a file; a later one takes the place of an earlier one.
  // InvalidArgument with "line:column: what".
  core::Result<void> add(std::string_view text);
  // Whether `text` parses.
  core::Result<void> check(std::string_view text) const;
  // `root` is what the template's dot is.
  core::Result<std::string> expand(std::string_view text, const Value& root, int64_t now_ms) const;
  // The same with values escaped for the place in the page that they come to.
  core::Result<std::string> expand_html(std::string_view text, const Value& root,
                                        int64_t now_ms) const;

 private:
  explicit TemplateSet(Definitions defined) : defined_(std::move(defined)) {}

  Definitions defined_;
};

// The text that TemplateSet() begins with.
std::string_view default_templates();

}  // namespace templates
