#include "promql/functions/families.h"

#include <cmath>
#include <limits>
#include <utility>

namespace promql {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Go's math.Max and math.Min: NaN wins, and -0 is below 0.
double go_max(double a, double b) {
  if (std::isinf(a) && a > 0) return a;
  if (std::isinf(b) && b > 0) return b;
  if (std::isnan(a) || std::isnan(b)) return kNan;
  if (a == 0 && b == 0) return std::signbit(a) ? b : a;
  return a > b ? a : b;
}
double go_min(double a, double b) {
  if (std::isinf(a) && a < 0) return a;
  if (std::isinf(b) && b < 0) return b;
  if (std::isnan(a) || std::isnan(b)) return kNan;
  if (a == 0 && b == 0) return std::signbit(a) ? a : b;
  return a < b ? a : b;
}

}  // namespace

double sign(double value) {
  return value < 0 ? -1 : value > 0 ? 1 : value;
}
double degrees(double value) {
  return value * 180 / std::acos(-1.0);
}
double radians(double value) {
  return value * std::acos(-1.0) / 180;
}

BuildResult build_clamp(const Call& call, const Context& context) {
  auto source = TRY(build_vector(*call.arguments[0], context));
  std::vector<double> low = TRY(evaluate_scalar(*call.arguments[1], context));
  std::vector<double> high = TRY(evaluate_scalar(*call.arguments[2], context));
  return mapped_without_name(std::move(source), *call.arguments[0], context,
                             [low = std::move(low), high = std::move(high)](Column& column) {
                               for (size_t i = 0; i < column.size(); ++i) {
                                 if (column.cells[i] != Cell::Float || low[i] > high[i]) {
                                   column.cells[i] = Cell::Absent;
                                 } else {
                                   column.values[i] =
                                       go_max(low[i], go_min(high[i], column.values[i]));
                                 }
                               }
                               column.histograms.clear();
                             });
}

BuildResult build_clamp_min(const Call& call, const Context& context) {
  auto source = TRY(build_vector(*call.arguments[0], context));
  std::vector<double> low = TRY(evaluate_scalar(*call.arguments[1], context));
  return mapped_floats(
      std::move(source), *call.arguments[0], context,
      [low = std::move(low)](double value, size_t i) { return go_max(low[i], value); });
}

BuildResult build_clamp_max(const Call& call, const Context& context) {
  auto source = TRY(build_vector(*call.arguments[0], context));
  std::vector<double> high = TRY(evaluate_scalar(*call.arguments[1], context));
  return mapped_floats(
      std::move(source), *call.arguments[0], context,
      [high = std::move(high)](double value, size_t i) { return go_min(high[i], value); });
}

BuildResult build_round(const Call& call, const Context& context) {
  auto source = TRY(build_vector(*call.arguments[0], context));
  std::vector<double> nearest(context.steps.count, 1);
  if (call.arguments.size() > 1) nearest = TRY(evaluate_scalar(*call.arguments[1], context));
  return mapped_floats(std::move(source), *call.arguments[0], context,
                       [nearest = std::move(nearest)](double value, size_t i) {
                         // As Prometheus divides, for the same float errors.
                         const double inverse = 1.0 / nearest[i];
                         return std::floor(value * inverse + 0.5) / inverse;
                       });
}

}  // namespace promql
