// Reads YAML strictly (yaml-cpp inside): every node knows its line and column;
// repeated keys, unknown tags and aliases to parents are errors.

#pragma once

#include "core/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace core {

// A YAML node. Scalars stay text: what they mean is the reader's decision, so that
// "010", yes and 1e3 are not reinterpreted.
struct Yaml {
  enum class Kind { Null, Scalar, Sequence, Mapping };

  Kind kind = Kind::Null;
  bool quoted = false;  // a quoted scalar is never a number, boolean or null
  std::string text;     // of a scalar
  std::vector<Yaml> items;
  std::vector<std::pair<Yaml, Yaml>> members;  // keys are scalars
  int line = 0;                                // from 1
  int column = 0;

  // Defined in yaml.cc: clang cannot instantiate them before pair<Yaml, Yaml> is complete.
  Yaml();
  ~Yaml();
  Yaml(const Yaml& other);
  Yaml(Yaml&& other) noexcept;
  Yaml& operator=(const Yaml& other);
  Yaml& operator=(Yaml&& other) noexcept;

  const Yaml* find(std::string_view key) const;
  std::string_view kind_name() const;
};

// `file` only names the source in errors: "rules.yml:3:7: repeated key \"expr\"".
Result<Yaml> parse_yaml(std::string_view text, std::string_view file);

// An InvalidArgument error at the node's place, in the form of parse_yaml's errors.
Error yaml_error(std::string_view file, const Yaml& node, std::string_view message);

}  // namespace core
