#include "templates/template.h"

#include "templates/functions.h"
#include "templates/interpreter.h"
#include "templates/tree.h"

#include <fmt/format.h>

namespace templates {

using core::Result;

Result<Template> Template::parse(std::string_view text, const ParseOptions& options) {
  Tree tree = TRY(parse_tree(text, options));
  return Template(std::make_shared<const Tree>(std::move(tree)));
}

Result<std::string> Template::expand(const Data& data) const {
  const Value root = root_value(data);
  std::vector<std::pair<std::string, Value>> variables;
  for (const auto& [name, field] : {std::pair{"$labels", "Labels"},
                                    {"$value", "Value"},
                                    {"$externalLabels", "ExternalLabels"},
                                    {"$externalURL", "ExternalURL"}}) {
    variables.emplace_back(name, root.record()->fields.at(field));
  }
  return run_program({.tree = *tree_}, root, std::move(variables), data);
}

std::string Template::expand_or_error(const Data& data) const {
  Result<std::string> text = expand(data);
  if (text) return std::move(*text);
  return fmt::format("<error expanding template: {}>", text.error().message);
}

}  // namespace templates
