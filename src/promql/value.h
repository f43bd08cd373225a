// What a query gives back.

#pragma once

#include "model/histogram.h"
#include "model/labels.h"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace promql {

// A float, or a histogram when that is set.
struct Point {
  int64_t timestamp_ms = 0;
  double value = 0;
  std::optional<model::Histogram> histogram;
};

struct Scalar {
  int64_t timestamp_ms = 0;
  double value = 0;
};

struct String {
  int64_t timestamp_ms = 0;
  std::string value;
};

struct VectorSample {
  model::Labels labels;
  Point point;
};
using Vector = std::vector<VectorSample>;

struct Series {
  model::Labels labels;
  std::vector<Point> points;  // rising time
};
using Matrix = std::vector<Series>;  // sorted by labels

using Value = std::variant<Scalar, String, Vector, Matrix>;
// "scalar", "string", "vector", "matrix": resultType of the API.
const char* value_type_name(const Value& value);

struct QueryResult {
  Value value;
  std::vector<std::string> warnings;
  std::vector<std::string> infos;
};

}  // namespace promql
