// The functions that build operators of their own, by family.

#pragma once

#include "promql/functions/table.h"
#include "promql/operator.h"

namespace promql {

using BuildResult = core::Result<std::unique_ptr<VectorOperator>>;

// math.cc
BuildResult build_clamp(const Call& call, const Context& context);
BuildResult build_clamp_min(const Call& call, const Context& context);
BuildResult build_clamp_max(const Call& call, const Context& context);
BuildResult build_round(const Call& call, const Context& context);
double sign(double value);
double degrees(double value);
double radians(double value);

// presence.cc
BuildResult build_absent(const Call& call, const Context& context);
BuildResult build_absent_over_time(const Call& call, const Context& context);
BuildResult build_vector_of_scalar(const Call& call, const Context& context);

// labels.cc
BuildResult build_label_replace(const Call& call, const Context& context);
BuildResult build_label_join(const Call& call, const Context& context);

// info.cc
BuildResult build_info(const Call& call, const Context& context);

// sort.cc
BuildResult build_sort(const Call& call, const Context& context);
BuildResult build_sort_by_label(const Call& call, const Context& context);

// dates.cc
BuildResult build_date(const Call& call, const Context& context);
BuildResult build_timestamp(const Call& call, const Context& context);

// histograms.cc
BuildResult build_histogram_quantile(const Call& call, const Context& context);
BuildResult build_histogram_fraction(const Call& call, const Context& context);
BuildResult build_histogram_part(const Call& call, const Context& context);

// For functions of one instant vector: maps it, drops the name, and puts together what
// is equal then. `vector` is the argument that the series come from.
template <typename Change>
std::unique_ptr<VectorOperator> mapped_without_name(std::unique_ptr<VectorOperator> source,
                                                    const Expr& vector, const Context& context,
                                                    Change change) {
  auto mapped = changed(std::move(source), [context, change = std::move(change)](Column& column) {
    change(column);
    drop_name(column, context);
  });
  if (context.delayed_names() || !names_may_collide(vector)) return mapped;
  return merged(std::move(mapped), context, MergeRule::PerStep);
}

// The same for functions of floats alone; `function` is called with value and step.
template <typename Function>
std::unique_ptr<VectorOperator> mapped_floats(std::unique_ptr<VectorOperator> source,
                                              const Expr& vector, const Context& context,
                                              Function function) {
  return mapped_without_name(std::move(source), vector, context,
                             [function = std::move(function)](Column& column) {
                               for (size_t i = 0; i < column.size(); ++i) {
                                 if (column.cells[i] == Cell::Float) {
                                   column.values[i] = function(column.values[i], i);
                                 } else {
                                   column.cells[i] = Cell::Absent;
                                 }
                               }
                               column.histograms.clear();
                             });
}

}  // namespace promql
