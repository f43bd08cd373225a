// Reads relabel_config entries.

#pragma once

#include "config/schema.h"
#include "core/result.h"
#include "model/relabel.h"

#include <array>

namespace config {

inline constexpr std::array kRelabelFields = {
    Field{.key = "source_labels", .type = Type::List, .flags = kFlow},
    Field{.key = "separator", .preset = ";"},
    Field{.key = "regex", .type = Type::Regex, .flags = kIfWritten, .preset = "(.*)"},
    Field{.key = "modulus", .type = Type::Uint},
    Field{.key = "target_label"},
    Field{.key = "replacement", .preset = "$1"},
    Field{.key = "action", .preset = "replace"},
};
inline constexpr Table kRelabelTable{"relabel_configs", kRelabelFields};

// A field of such entries: relabel_configs, metric_relabel_configs, ...
constexpr Field relabel_field(std::string_view key) {
  return {.key = key, .type = Type::List, .element = Type::Mapping, .table = &kRelabelTable};
}

// `null_message` is what Prometheus says of an empty entry of this list.
core::Result<model::RelabelRules> take_relabel_rules(Value& list, const Source& source,
                                                     std::string_view null_message);

}  // namespace config
