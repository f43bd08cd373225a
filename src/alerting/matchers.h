// Label matchers as Alertmanager writes them: `team="a"`, `{a=b, "c d"=~"x.*"}`.
//
// Two grammars, both Alertmanager's: the UTF-8 one and the classic one, in which a value
// may stand without quotes whatever it holds. What both read alike is not in doubt; where
// they differ or only one of them reads the text, its fallback rules decide
// (prometheus.io/docs/alerting/latest/configuration/#label-matchers).

#pragma once

#include "core/result.h"
#include "model/matcher.h"

#include <string>
#include <string_view>

namespace alerting {

// InvalidArgument says what was expected where.
core::Result<model::Matchers> parse_matchers(std::string_view text);

// Sorted by name, value and operator: the order of routing keys.
void sort_matchers(model::Matchers& matchers);
// `{a="b",c=~"d"}`
std::string matchers_text(const model::Matchers& matchers);

}  // namespace alerting
