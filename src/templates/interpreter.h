// Runs parsed templates.

#pragma once

#include "core/result.h"
#include "templates/template.h"
#include "templates/tree.h"
#include "templates/value.h"

#include <string>
#include <utility>
#include <vector>

namespace templates {

enum class Escaping : uint8_t { None, Html };

struct Program {
  const Tree& tree;
  const Definitions* shared = nullptr;  // beside the tree's own
  Dialect dialect = Dialect::Rules;
  Escaping escaping = Escaping::None;
  size_t output_size_max = 1U << 20;
};

// `variables` are known by name besides $, which is `root`.
core::Result<std::string> run_program(const Program& program, const Value& root,
                                      std::vector<std::pair<std::string, Value>> variables,
                                      const Data& data);

}  // namespace templates
