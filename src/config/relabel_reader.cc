#include "config/relabel_reader.h"

namespace config {
namespace {

using core::Result;

Result<model::RelabelRule> take_rule(Value& value, const Source& source) {
  model::RelabelConfig config;
  for (const Value& label : value.at("source_labels").items) {
    if (label.text.empty()) {
      return error_at(source, label, "source_labels: \"\" is not a valid label name");
    }
    config.source_labels.push_back(label.text);
  }
  Value& action = value.at("action");
  if (action.text.empty()) return error_at(source, action, "relabel action cannot be empty");
  const Result<model::RelabelAction> known = model::parse_relabel_action(action.text);
  if (!known) {
    return error_at(source, action,
                    fmt::format("{}, expected replace, keep, drop, keepequal, dropequal, hashmod, "
                                "labelmap, labeldrop, labelkeep, lowercase or uppercase",
                                known.error().message));
  }
  config.action = *known;
  action.set_text(std::string(model::relabel_action_name(config.action)));
  const Value& regex = value.at("regex");
  config.separator = value.at("separator").text;
  config.regex = regex.text;
  config.modulus = static_cast<uint64_t>(value.at("modulus").number);
  config.target_label = value.at("target_label").text;
  config.replacement = value.at("replacement").text;
  config.has_regex = regex.given || regex.text.empty();
  config.has_separator = value.at("separator").given;
  config.has_replacement = value.at("replacement").given;
  Result<model::RelabelRule> rule =
      model::RelabelRule::create(std::move(config), model::NameScheme::Utf8);
  if (!rule) return error_at(source, value, rule.error().message);
  return rule;
}

}  // namespace

Result<model::RelabelRules> take_relabel_rules(Value& list, const Source& source,
                                               std::string_view null_message) {
  model::RelabelRules rules;
  for (Value& item : list.items) {
    if (!item.given) return error_at(source, item, null_message);
    rules.push_back(TRY(take_rule(item, source)));
  }
  return rules;
}

}  // namespace config
