// What a query gives back.

#pragma once

#include "model/histogram.h"
#include "model/labels.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace promql {

// A histogram or none, used like std::optional, in 16 bytes instead of 200: results
// hold millions of points, nearly all of them floats. Shares the engine's histogram.
class PointHistogram {
 public:
  PointHistogram() = default;
  PointHistogram(model::Histogram histogram)  // NOLINT(google-explicit-constructor)
      : histogram_(std::make_shared<const model::Histogram>(std::move(histogram))) {}
  PointHistogram(  // NOLINT(google-explicit-constructor)
      std::shared_ptr<const model::Histogram> histogram)
      : histogram_(std::move(histogram)) {}

  bool has_value() const { return histogram_ != nullptr; }
  explicit operator bool() const { return has_value(); }
  // Precondition: has_value().
  const model::Histogram& operator*() const { return *histogram_; }
  const model::Histogram* operator->() const { return histogram_.get(); }

 private:
  std::shared_ptr<const model::Histogram> histogram_;
};

// A float, or a histogram when that is set.
struct Point {
  int64_t timestamp_ms = 0;
  double value = 0;
  PointHistogram histogram;
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
