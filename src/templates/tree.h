// The parsed form of a template.

#pragma once

#include "core/result.h"
#include "templates/template.h"
#include "templates/value.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace templates {

struct Place {
  uint32_t line = 1;
  uint32_t column = 1;  // in bytes, from 1
};

struct Pipeline;

// One word of a command: `.`, `.a.b`, `$x.a`, a function's name, a constant or a
// pipeline in brackets; then a chain of fields.
struct Operand {
  enum class Kind { Dot, Variable, Function, Constant, Pipeline };
  Kind kind = Kind::Dot;
  Place place;
  std::string name;  // of a variable ("$x") or function
  Value constant;
  std::shared_ptr<const Pipeline> pipeline;
  std::vector<std::string> fields;
};

struct Command {
  Place place;
  std::vector<Operand> operands;  // the first may be a function, called with the rest
};

struct Pipeline {
  Place place;
  std::vector<std::string> variables;  // those before := or =
  bool declares = false;               // := rather than =
  std::vector<Command> commands;
};

struct Node {
  enum class Kind { Text, Action, If, With, Range, Template, Break, Continue };
  Kind kind = Kind::Text;
  Place place;
  std::string text;  // of Text; the name of Template
  Pipeline pipeline;
  bool has_pipeline = true;  // a Template may come without
  std::vector<Node> body;
  std::vector<Node> otherwise;  // behind else
};

// By {{ define }} and {{ block }}; shared between the sets that hold them.
using Definitions = std::map<std::string, std::shared_ptr<const std::vector<Node>>>;

struct Tree {
  std::vector<Node> root;
  Definitions defined;
};

core::Result<Tree> parse_tree(std::string_view text, const ParseOptions& options);

}  // namespace templates
