#include "rules/rule_file.h"

#include "config/schema.h"
#include "core/time.h"
#include "core/varint.h"
#include "core/yaml.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace rules {

using core::Yaml;

namespace {

// Collects errors rather than stopping at the first: who edits a file wants them all.
class Reader {
 public:
  Reader(const RuleText& file, const CheckExpression& check_expression, bool strict)
      : file_(file), check_expression_(check_expression), strict_(strict) {}

  RuleFile read() {
    const core::Result<Yaml> root = core::parse_yaml(file_.text, file_.name);
    if (!root) {
      result_.errors.push_back(root.error().message);
      return std::move(result_);
    }
    if (root->kind == Yaml::Kind::Sequence) {
      groups(*root);
    } else if (root->kind == Yaml::Kind::Mapping) {
      known_keys(*root, {"groups"}, "rule file");
      if (const Yaml* list = root->find("groups")) groups(*list);
    } else if (root->kind != Yaml::Kind::Null) {
      error(*root, fmt::format("expected groups, not {}", root->kind_name()));
    }
    return std::move(result_);
  }

 private:
  void error(const Yaml& at, std::string_view message) {
    result_.errors.push_back(core::yaml_error(file_.name, at, message).message);
  }

  // Of the rule that is being read, in Prometheus's words.
  void rule_error(const Yaml& at, std::string_view message) {
    error(at, fmt::format("group \"{}\", rule {}, \"{}\": {}", group_name_, rule_number_,
                          rule_name_, message));
  }

  void known_keys(const Yaml& mapping, std::initializer_list<std::string_view> known,
                  std::string_view where) {
    for (const auto& [key, value] : mapping.members) {
      if (std::ranges::count(known, key.text) == 0) {
        error(key, fmt::format("unknown field \"{}\" in {}", key.text, where));
      }
    }
  }

  bool is_sequence(const Yaml& node, std::string_view what) {
    if (node.kind == Yaml::Kind::Null) return false;
    if (node.kind == Yaml::Kind::Sequence) return true;
    error(node, fmt::format("{} must be a sequence, not {}", what, node.kind_name()));
    return false;
  }

  bool is_mapping(const Yaml& node, std::string_view what) {
    if (node.kind == Yaml::Kind::Mapping) return true;
    error(node, fmt::format("{} must be a mapping, not {}", what, node.kind_name()));
    return false;
  }

  // The text of `key`; "" when it is absent or null.
  std::string text(const Yaml& mapping, std::string_view key) {
    const Yaml* node = mapping.find(key);
    if (node == nullptr || node->kind == Yaml::Kind::Null) return "";
    if (node->kind == Yaml::Kind::Scalar) return node->text;
    error(*node, fmt::format("{} must be a text, not {}", key, node->kind_name()));
    return "";
  }

  std::optional<int64_t> duration(const Yaml& mapping, std::string_view key) {
    const std::string value = text(mapping, key);
    const Yaml* node = mapping.find(key);
    if (node == nullptr || node->kind != Yaml::Kind::Scalar) return std::nullopt;
    const core::Result<int64_t> duration_ms = core::parse_duration_ms(value);
    if (duration_ms) return *duration_ms;
    error(*node, fmt::format("{}: {}", key, duration_ms.error().message));
    return std::nullopt;
  }

  void groups(const Yaml& list) {
    if (!is_sequence(list, "groups")) return;
    std::set<std::string> names;
    for (const Yaml& node : list.items) {
      if (!is_mapping(node, "a group")) continue;
      if (node.find("alert") != nullptr || node.find("record") != nullptr) {
        error(node, "expected a group, with name and rules, not a rule");
        continue;
      }
      GroupSpec spec = group(node);
      if (!spec.name.empty() && !names.insert(spec.name).second) {
        error(*node.find("name"),
              fmt::format("groupname: \"{}\" is repeated in the same file", spec.name));
      }
      result_.groups.push_back(std::move(spec));
    }
  }

  GroupSpec group(const Yaml& node) {
    known_keys(node, {"name", "interval", "query_offset", "limit", "labels", "rules"}, "group");
    GroupSpec spec;
    spec.file = file_.name;
    spec.name = text(node, "name");
    if (spec.name.empty()) error(node, "Groupname must not be empty");
    group_name_ = spec.name;
    rule_number_ = 0;
    spec.interval_ms = duration(node, "interval");
    if (spec.interval_ms == 0) spec.interval_ms.reset();
    spec.query_offset_ms = duration(node, "query_offset");
    spec.limit = limit(node);
    const alertstore::Annotations labels = label_pairs(node);
    if (const Yaml* own = node.find("labels")) {
      check_labels(*own, [this](const Yaml& at, std::string_view text) { error(at, text); });
    }
    const Yaml* list = node.find("rules");
    if (list == nullptr || !is_sequence(*list, "rules")) return spec;
    for (const Yaml& item : list->items) {
      ++rule_number_;
      if (is_mapping(item, "a rule")) spec.rules.push_back(rule(item, labels));
    }
    return spec;
  }

  uint64_t limit(const Yaml& node) {
    const Yaml* value = node.find("limit");
    if (value == nullptr || value->kind == Yaml::Kind::Null) return 0;
    if (value->kind == Yaml::Kind::Scalar && !value->quoted) {
      // Below zero there is none either, as in Prometheus.
      const core::Result<int64_t> number = config::parse_int(value->text);
      if (number) return *number > 0 ? static_cast<uint64_t>(*number) : 0;
    }
    error(*value, fmt::format("limit: \"{}\" is not a whole number", value->text));
    return 0;
  }

  RuleSpec rule(const Yaml& node, const alertstore::Annotations& group_labels) {
    known_keys(node, {"record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"},
               "rule");
    RuleSpec spec;
    const std::string record = text(node, "record");
    const std::string alert = text(node, "alert");
    spec.kind = record.empty() ? RuleKind::Alerting : RuleKind::Recording;
    spec.name = record.empty() ? alert : record;
    rule_name_ = alert.empty() ? record : alert;
    if (record.empty() && alert.empty()) {
      rule_error(node, "one of 'record' or 'alert' must be set");
    }
    if (!record.empty() && !alert.empty()) {
      rule_error(*node.find("record"), "only one of 'record' and 'alert' must be set");
    }
    expression(node, spec);
    spec.for_ms = duration(node, "for").value_or(0);
    spec.keep_firing_for_ms = duration(node, "keep_firing_for").value_or(0);
    spec.labels = merged(group_labels, label_pairs(node));
    const auto tell = [this](const Yaml& at, std::string_view text) { rule_error(at, text); };
    if (const Yaml* labels = node.find("labels")) check_labels(*labels, tell);
    if (const Yaml* annotations = node.find("annotations")) {
      spec.annotations = pairs(*annotations, "annotations");
      for (const auto& [key, value] : annotations->members) {
        if (key.text.empty()) rule_error(key, "invalid annotation name: ");
      }
    }
    if (spec.kind == RuleKind::Recording) {
      check_recording(node, spec);
    } else {
      const Yaml* labels = node.find("labels");
      parse_templates(labels != nullptr ? *labels : node, "label", spec.labels,
                      spec.label_templates);
      const Yaml* annotations = node.find("annotations");
      parse_templates(annotations != nullptr ? *annotations : node, "annotation", spec.annotations,
                      spec.annotation_templates);
    }
    return spec;
  }

  void expression(const Yaml& node, RuleSpec& spec) {
    spec.expression = text(node, "expr");
    if (spec.expression.empty()) {
      rule_error(node, "field 'expr' must be set in rule");
      return;
    }
    if (const auto checked = check_expression_(spec.expression); !checked) {
      rule_error(*node.find("expr"),
                 fmt::format("could not parse expression: {}", checked.error().message));
    }
  }

  void check_recording(const Yaml& node, const RuleSpec& spec) {
    const auto refuse = [&](std::string_view key) {
      rule_error(*node.find(key), fmt::format("invalid field '{}' in recording rule", key));
    };
    if (!spec.annotations.empty()) refuse("annotations");
    if (spec.for_ms != 0) refuse("for");
    if (spec.keep_firing_for_ms != 0) refuse("keep_firing_for");
    // Valid as a name is all UTF-8; with braces it is an expression gone astray.
    if (spec.name.find_first_of("{}") != std::string::npos) {
      rule_error(*node.find("record"),
                 fmt::format("braces present in the recording rule name; should it be in expr?: {}",
                             spec.name));
    }
  }

  alertstore::Annotations pairs(const Yaml& node, std::string_view what) {
    alertstore::Annotations result;
    if (node.kind == Yaml::Kind::Null || !is_mapping(node, what)) return result;
    for (const auto& [key, value] : node.members) {
      if (value.kind != Yaml::Kind::Scalar && value.kind != Yaml::Kind::Null) {
        error(value, fmt::format("{} must be a text, not {}", key.text, value.kind_name()));
      }
      result.emplace_back(key.text, value.text);
    }
    return result;
  }

  alertstore::Annotations label_pairs(const Yaml& node) {
    const Yaml* labels = node.find("labels");
    if (labels == nullptr) return {};
    alertstore::Annotations result = pairs(*labels, "labels");
    std::ranges::sort(result);
    return result;
  }

  template <typename Tell>
  static void check_labels(const Yaml& labels, Tell tell) {
    for (const auto& [key, value] : labels.members) {
      if (key.text.empty() || key.text == model::kMetricName) {
        tell(key, fmt::format("invalid label name: {}", key.text));
      }
    }
  }

  static alertstore::Annotations merged(const alertstore::Annotations& defaults,
                                        alertstore::Annotations own) {
    for (const auto& [name, value] : defaults) {
      const bool overridden =
          std::ranges::any_of(own, [&key = name](const auto& pair) { return pair.first == key; });
      if (!overridden) own.emplace_back(name, value);
    }
    std::ranges::sort(own);
    return own;
  }

  // `where` is the mapping the pairs came from, for places; a group's label is not there.
  void parse_templates(const Yaml& where, std::string_view what,
                       const alertstore::Annotations& pairs,
                       std::vector<templates::Template>& out) {
    for (const auto& [name, value] : pairs) {
      auto parsed = templates::Template::parse(value, {.strict = strict_});
      if (parsed) {
        out.push_back(std::move(*parsed));
        continue;
      }
      const Yaml* node = where.find(name);
      rule_error(node != nullptr ? *node : where,
                 fmt::format("{} \"{}\": {}", what, name, parsed.error().message));
    }
  }

  const RuleText& file_;
  const CheckExpression& check_expression_;
  const bool strict_;
  // Where we are, for errors.
  std::string group_name_;
  size_t rule_number_ = 0;
  std::string rule_name_;
  RuleFile result_;
};

}  // namespace

std::string GroupSpec::definition() const {
  std::string out;
  core::append_string(out, file);
  core::append_string(out, name);
  core::append_varint(out, core::zigzag(interval_ms.value_or(-1)));
  core::append_varint(out, core::zigzag(query_offset_ms.value_or(-1)));
  core::append_varint(out, limit);
  for (const RuleSpec& rule : rules) {
    out.push_back(rule.kind == RuleKind::Alerting ? 'a' : 'r');
    core::append_string(out, rule.name);
    core::append_string(out, rule.expression);
    core::append_varint(out, core::zigzag(rule.for_ms));
    core::append_varint(out, core::zigzag(rule.keep_firing_for_ms));
    alertstore::append_annotations(out, rule.labels);
    alertstore::append_annotations(out, rule.annotations);
  }
  return out;
}

RuleFile read_rule_file(const RuleText& file, const CheckExpression& check_expression,
                        bool strict) {
  return Reader(file, check_expression, strict).read();
}

}  // namespace rules
