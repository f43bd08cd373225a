#include "promql/value.h"

namespace promql {

const char* value_type_name(const Value& value) {
  static constexpr const char* kNames[] = {"scalar", "string", "vector", "matrix"};
  return kNames[value.index()];
}

}  // namespace promql
