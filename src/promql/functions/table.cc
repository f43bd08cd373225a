#include "promql/functions/table.h"

#include "promql/functions/families.h"
#include "promql/functions/over_time.h"
#include "promql/functions/rate.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <vector>

namespace promql {

namespace {

constexpr ValueType kScalar = ValueType::Scalar;
constexpr ValueType kVector = ValueType::InstantVector;
constexpr ValueType kMatrix = ValueType::RangeVector;
constexpr ValueType kString = ValueType::String;

Signature signature(std::string_view name, std::initializer_list<ValueType> arguments,
                    int variadic) {
  Signature one;
  one.name = name;
  std::copy(arguments.begin(), arguments.end(), one.argument_types.begin());
  one.argument_count = static_cast<uint8_t>(arguments.size());
  one.variadic = variadic;
  return one;
}

Signature math(std::string_view name, MathFunction function) {
  Signature one = signature(name, {kVector}, 0);
  one.math = function;
  return one;
}

Signature range(std::string_view name, RangeFunction function,
                std::initializer_list<ValueType> arguments = {kMatrix}) {
  Signature one = signature(name, arguments, 0);
  one.range = function;
  return one;
}

Signature built(std::string_view name, std::initializer_list<ValueType> arguments,
                BuildFunction function, int variadic = 0) {
  Signature one = signature(name, arguments, variadic);
  one.build = function;
  return one;
}

Signature scalar(std::string_view name, std::initializer_list<ValueType> arguments) {
  Signature one = signature(name, arguments, 0);
  one.returns = kScalar;
  return one;
}

Signature experimental(Signature one) {
  one.experimental = true;
  return one;
}

Signature keeping_name(Signature one) {
  one.keeps_name = true;
  return one;
}

// The lambdas pick the double overload.
#define MATH(function) [](double x) { return std::function(x); }

const std::vector<Signature>& table() {
  static const std::vector<Signature> functions = [] {
    std::vector<Signature> list = {
        math("abs", MATH(fabs)),
        math("acos", MATH(acos)),
        math("acosh", MATH(acosh)),
        math("asin", MATH(asin)),
        math("asinh", MATH(asinh)),
        math("atan", MATH(atan)),
        math("atanh", MATH(atanh)),
        math("ceil", MATH(ceil)),
        math("cos", MATH(cos)),
        math("cosh", MATH(cosh)),
        math("deg", degrees),
        math("exp", MATH(exp)),
        math("floor", MATH(floor)),
        math("ln", MATH(log)),
        math("log10", MATH(log10)),
        math("log2", MATH(log2)),
        math("rad", radians),
        math("sgn", sign),
        math("sin", MATH(sin)),
        math("sinh", MATH(sinh)),
        math("sqrt", MATH(sqrt)),
        math("tan", MATH(tan)),
        math("tanh", MATH(tanh)),

        built("clamp", {kVector, kScalar, kScalar}, build_clamp),
        built("clamp_max", {kVector, kScalar}, build_clamp_max),
        built("clamp_min", {kVector, kScalar}, build_clamp_min),
        built("round", {kVector, kScalar}, build_round, 1),

        range("avg_over_time", avg_over_time),
        range("changes", changes),
        range("count_over_time", count_over_time),
        range("delta", delta),
        range("deriv", deriv),
        experimental(range("double_exponential_smoothing", double_exponential_smoothing,
                           {kMatrix, kScalar, kScalar})),
        experimental(keeping_name(range("first_over_time", first_over_time))),
        range("idelta", idelta),
        range("increase", increase),
        range("irate", irate),
        keeping_name(range("last_over_time", last_over_time)),
        experimental(range("mad_over_time", mad_over_time)),
        range("max_over_time", max_over_time),
        range("min_over_time", min_over_time),
        range("predict_linear", predict_linear, {kMatrix, kScalar}),
        range("present_over_time", present_over_time),
        range("quantile_over_time", quantile_over_time, {kScalar, kMatrix}),
        range("rate", rate),
        range("resets", resets),
        range("stddev_over_time", stddev_over_time),
        range("stdvar_over_time", stdvar_over_time),
        range("sum_over_time", sum_over_time),
        experimental(range("ts_of_first_over_time", ts_of_first_over_time)),
        experimental(range("ts_of_last_over_time", ts_of_last_over_time)),
        experimental(range("ts_of_max_over_time", ts_of_max_over_time)),
        experimental(range("ts_of_min_over_time", ts_of_min_over_time)),

        built("absent", {kVector}, build_absent),
        built("absent_over_time", {kMatrix}, build_absent_over_time),
        built("vector", {kScalar}, build_vector_of_scalar),
        scalar("pi", {}),
        scalar("scalar", {kVector}),
        scalar("time", {}),

        built("day_of_month", {kVector}, build_date, 1),
        built("day_of_week", {kVector}, build_date, 1),
        built("day_of_year", {kVector}, build_date, 1),
        built("days_in_month", {kVector}, build_date, 1),
        built("hour", {kVector}, build_date, 1),
        built("minute", {kVector}, build_date, 1),
        built("month", {kVector}, build_date, 1),
        built("year", {kVector}, build_date, 1),
        built("timestamp", {kVector}, build_timestamp),

        built("label_join", {kVector, kString, kString, kString}, build_label_join, -1),
        built("label_replace", {kVector, kString, kString, kString, kString}, build_label_replace),
        built("sort", {kVector}, build_sort),
        built("sort_desc", {kVector}, build_sort),
        experimental(built("sort_by_label", {kVector, kString}, build_sort_by_label, -1)),
        experimental(built("sort_by_label_desc", {kVector, kString}, build_sort_by_label, -1)),

        built("histogram_avg", {kVector}, build_histogram_part),
        built("histogram_count", {kVector}, build_histogram_part),
        built("histogram_fraction", {kScalar, kScalar, kVector}, build_histogram_fraction),
        built("histogram_quantile", {kScalar, kVector}, build_histogram_quantile),
        built("histogram_stddev", {kVector}, build_histogram_part),
        built("histogram_stdvar", {kVector}, build_histogram_part),
        built("histogram_sum", {kVector}, build_histogram_part),

        experimental(built("info", {kVector, kVector}, build_info, 1)),
    };
    std::sort(list.begin(), list.end(),
              [](const Signature& a, const Signature& b) { return a.name < b.name; });
    return list;
  }();
  return functions;
}

#undef MATH

}  // namespace

const Signature* find_function(std::string_view name) {
  const std::vector<Signature>& list = table();
  const auto found = std::lower_bound(
      list.begin(), list.end(), name,
      [](const Signature& one, std::string_view wanted) { return one.name < wanted; });
  return found != list.end() && found->name == name ? &*found : nullptr;
}

}  // namespace promql
