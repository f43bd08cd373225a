// Reads rule files: Prometheus's form (groups: [...]) and the plain list of groups.
// Strict: what is unknown or of the wrong type is an error with file:line:column.

#pragma once

#include "alertstore/alert_event.h"
#include "model/labels.h"
#include "rules/rule_manager.h"
#include "templates/template.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rules {

struct RuleSpec {
  RuleKind kind = RuleKind::Alerting;
  std::string name;  // alert: or record:
  std::string expression;
  int64_t for_ms = 0;
  int64_t keep_firing_for_ms = 0;
  alertstore::Annotations labels;  // as written, those of the group included; sorted
  alertstore::Annotations annotations;
  // Parsed values of `labels` and `annotations`, in their order; alerting rules only.
  std::vector<templates::Template> label_templates;
  std::vector<templates::Template> annotation_templates;
};

struct GroupSpec {
  std::string file;
  std::string name;
  std::optional<int64_t> interval_ms;
  std::optional<int64_t> query_offset_ms;
  uint64_t limit = 0;
  std::vector<RuleSpec> rules;

  // Equal exactly when two groups would do the same.
  std::string definition() const;
};

struct RuleFile {
  std::vector<GroupSpec> groups;
  std::vector<std::string> errors;  // file:line:column: what
};

RuleFile read_rule_file(const RuleText& file, const CheckExpression& check_expression, bool strict);

}  // namespace rules
