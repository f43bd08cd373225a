#include "templates/template_set.h"

#include "templates/interpreter.h"

namespace templates {

using core::Result;

namespace {

constexpr ParseOptions kOptions = {.strict = true, .dialect = Dialect::Notifications};
// A mail about hundreds of alerts.
constexpr size_t kOutputSizeMax = 8U << 20;

Result<std::string> run(std::string_view text, const Definitions& defined, Escaping escaping,
                        const Value& root, int64_t now_ms) {
  const Tree tree = TRY(parse_tree(text, kOptions));
  Data data;
  data.now_ms = now_ms;
  return run_program({.tree = tree,
                      .shared = &defined,
                      .dialect = Dialect::Notifications,
                      .escaping = escaping,
                      .output_size_max = kOutputSizeMax},
                     root, {}, data);
}

}  // namespace

TemplateSet::TemplateSet() {
  static const Definitions kDefaults = [] {
    TemplateSet empty(Definitions{});
    const Result<void> added = empty.add(default_templates());
    ENSURE(added);
    return empty.defined_;
  }();
  defined_ = kDefaults;
}

Result<void> TemplateSet::add(std::string_view text) {
  const Tree tree = TRY(parse_tree(text, kOptions));
  for (const auto& [name, body] : tree.defined) defined_.insert_or_assign(name, body);
  return {};
}

Result<void> TemplateSet::check(std::string_view text) const {
  TRY(parse_tree(text, kOptions));
  return {};
}

Result<std::string> TemplateSet::expand(std::string_view text, const Value& root,
                                        int64_t now_ms) const {
  return run(text, defined_, Escaping::None, root, now_ms);
}

Result<std::string> TemplateSet::expand_html(std::string_view text, const Value& root,
                                             int64_t now_ms) const {
  return run(text, defined_, Escaping::Html, root, now_ms);
}

}  // namespace templates
