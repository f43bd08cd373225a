// Relabelling: rules that rewrite or drop a label set
// (prometheus/model/relabel/relabel.go;
// https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config).

#pragma once

#include "core/result.h"
#include "model/labels.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace model {

enum class RelabelAction : uint8_t {
  Replace,
  Keep,
  Drop,
  KeepEqual,
  DropEqual,
  HashMod,
  LabelMap,
  LabelDrop,
  LabelKeep,
  Lowercase,
  Uppercase,
};
// "replace", "keep", ... ; names are read without regard to case.
std::string_view relabel_action_name(RelabelAction action);
core::Result<RelabelAction> parse_relabel_action(std::string_view name);

// As written; defaults are Prometheus's.
struct RelabelConfig {
  std::vector<std::string> source_labels = {};
  std::string separator = ";";
  std::string regex = "(.*)";
  uint64_t modulus = 0;
  std::string target_label = {};
  std::string replacement = "$1";
  RelabelAction action = RelabelAction::Replace;
  bool has_regex = false;  // written, which labeldrop and the like require or refuse
  bool has_separator = false;
  bool has_replacement = false;

  bool operator==(const RelabelConfig&) const = default;
};

enum class NameScheme : uint8_t { Utf8, Legacy };  // metric_name_validation_scheme

// One rule, checked and compiled. Immutable, cheap to copy, thread-safe.
class RelabelRule {
 public:
  // InvalidArgument with Prometheus's text: "relabel configuration for replace action
  // requires 'target_label' value".
  static core::Result<RelabelRule> create(RelabelConfig config, NameScheme scheme);
  const RelabelConfig& config() const;
  NameScheme scheme() const;
  // False: the label set is dropped.
  bool apply(LabelsBuilder& labels) const;
  // As configured.
  bool operator==(const RelabelRule& other) const;

 private:
  struct Compiled;
  explicit RelabelRule(std::shared_ptr<const Compiled> compiled);

  std::shared_ptr<const Compiled> compiled_;
};

using RelabelRules = std::vector<RelabelRule>;

// Applies the rules in order; false as soon as one drops.
bool relabel(std::span<const RelabelRule> rules, LabelsBuilder& labels);

}  // namespace model
