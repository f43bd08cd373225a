// Aggregations that fold many series into one per group: the series stream through,
// only the groups' columns are held.

#include "promql/functions/kahan.h"
#include "promql/grouping.h"
#include "promql/histogram_math.h"
#include "promql/operator.h"
#include "promql/quantile.h"
#include "promql/select_k.h"

#include <cmath>
#include <limits>
#include <map>
#include <utility>

namespace promql {

using core::ErrorCode;
using core::Result;

namespace {

// What a group knows of one step.
struct Sums {
  KahanMean mean;  // also carries the sum
  double low_or_high = 0;
  double squares = 0;
  double welford_mean = 0;
  double count = 0;
  std::shared_ptr<model::Histogram> histogram;
  bool has_float = false;
  bool incompatible = false;
};

class Folder {
 public:
  Folder(const Aggregate& node, const Context& context) : node_(node), context_(context) {}

  void fold(Sums& sums, const Column& column, size_t i) {
    const bool is_histogram = column.cells[i] == Cell::Histogram;
    const double value = column.values[i];
    switch (node_.op) {
      case AggregateOp::Sum:
        if (is_histogram) return add_histogram(sums, *column.histograms[i]);
        sums.has_float = true;
        sums.mean.sum.add(value);
        return;
      case AggregateOp::Avg:
        if (is_histogram) return average_histogram(sums, *column.histograms[i]);
        sums.has_float = true;
        sums.mean.add(value);
        return;
      case AggregateOp::Min:
      case AggregateOp::Max:
        if (is_histogram) return ignore();
        if (!sums.has_float || std::isnan(sums.low_or_high) ||
            (node_.op == AggregateOp::Min ? value < sums.low_or_high : value > sums.low_or_high)) {
          sums.low_or_high = value;
        }
        sums.has_float = true;
        return;
      case AggregateOp::Stddev:
      case AggregateOp::Stdvar:
        if (is_histogram) return ignore();
        return spread(sums, value);
      default:  // Count, Group
        sums.count += 1;
        sums.has_float = true;
        return;
    }
  }

  void finish(Sums& sums, Column& out, size_t i) {
    if (sums.has_float && sums.histogram) {
      context_.query.annotations.warn("encountered a mix of histograms and floats for aggregation",
                                      node_.inner->position);
      return;
    }
    if (sums.incompatible) return;
    if (sums.histogram) {
      compact(*sums.histogram);
      out.set(i, HistogramPtr(std::move(sums.histogram)));
      return;
    }
    if (!sums.has_float) return;
    switch (node_.op) {
      case AggregateOp::Sum:
        return out.set(i, sums.mean.sum.sum + sums.mean.sum.compensation);
      case AggregateOp::Avg:
        return out.set(i, sums.mean.mean());
      case AggregateOp::Min:
      case AggregateOp::Max:
        return out.set(i, sums.low_or_high);
      case AggregateOp::Count:
        return out.set(i, sums.count);
      case AggregateOp::Group:
        return out.set(i, 1);
      case AggregateOp::Stdvar:
        return out.set(i, sums.squares / sums.count);
      default:
        return out.set(i, std::sqrt(sums.squares / sums.count));
    }
  }

 private:
  void ignore() {
    context_.query.annotations.info(
        annotation::histogram_ignored_in_aggregation(aggregate_op_text(node_.op)),
        node_.inner->position);
  }

  // Welford's method; a first value that is not finite spoils the group.
  static void spread(Sums& sums, double value) {
    sums.count += 1;
    if (!sums.has_float) {
      sums.has_float = true;
      sums.welford_mean = value;
      sums.squares = std::isfinite(value) ? 0 : std::numeric_limits<double>::quiet_NaN();
      return;
    }
    const double off = value - sums.welford_mean;
    sums.welford_mean += off / sums.count;
    sums.squares += off * (value - sums.welford_mean);
  }

  void problem(Sums& sums, HistogramProblem problem) {
    if (problem == HistogramProblem::None) return;
    sums.incompatible = true;
    context_.query.annotations.warn(problem == HistogramProblem::MixedSchemas
                                        ? annotation::mixed_exponential_custom("")
                                        : annotation::incompatible_bounds(""),
                                    node_.inner->position);
  }

  void add_histogram(Sums& sums, const model::Histogram& histogram) {
    if (sums.incompatible) return;
    if (!sums.histogram) {
      sums.histogram = std::make_shared<model::Histogram>(histogram);
      return;
    }
    problem(sums, add(*sums.histogram, histogram));
  }

  void average_histogram(Sums& sums, const model::Histogram& histogram) {
    if (sums.incompatible) return;
    sums.count += 1;
    if (!sums.histogram) {
      sums.histogram = std::make_shared<model::Histogram>(histogram);
      return;
    }
    model::Histogram share = histogram;
    divide(share, sums.count);
    model::Histogram old_share = *sums.histogram;
    divide(old_share, sums.count);
    HistogramProblem met = subtract(share, old_share);
    if (met == HistogramProblem::None) met = add(*sums.histogram, share);
    problem(sums, met);
  }

  const Aggregate& node_;
  Context context_;
};

Result<std::vector<Column>> fold_general(const Aggregate& node, const Context& context,
                                         VectorOperator& source, Charge& charge) {
  Grouping grouping(node.grouping, node.without);
  Folder folder(node, context);
  std::vector<std::vector<Sums>> groups;
  std::vector<bool> drop;
  Column column;
  while (true) {
    const bool more = TRY(source.next(column));
    if (!more) break;
    if (!column.any()) continue;
    TRY(context.query.check());
    const size_t group = grouping.group_of(column.labels);
    if (group == groups.size()) {
      TRY(charge.add(context.steps.count));
      groups.emplace_back(context.steps.count);
      drop.push_back(column.drop_name && grouping.keeps_name());
    }
    for (size_t i = 0; i < column.size(); ++i) {
      if (column.cells[i] != Cell::Absent) folder.fold(groups[group][i], column, i);
    }
  }
  std::vector<Column> out(groups.size());
  for (size_t g = 0; g < groups.size(); ++g) {
    out[g].reset(context.steps.count);
    out[g].labels = grouping.labels_of(g);
    out[g].drop_name = drop[g];
    for (size_t i = 0; i < context.steps.count; ++i) folder.finish(groups[g][i], out[g], i);
  }
  return out;
}

// sum, the most frequent of all, on flat columns; false when a histogram turns up in
// `column`, which then has not been added.
struct FlatSums {
  std::vector<double> sums;
  std::vector<double> compensations;
  std::vector<Cell> cells;
};

void add_flat(FlatSums& group, const Column& column) {
  for (size_t i = 0; i < column.size(); ++i) {
    if (column.cells[i] == Cell::Absent) continue;
    const double value = column.values[i];
    const double sum = group.sums[i];
    const double total = sum + value;
    const double lost =
        std::fabs(sum) >= std::fabs(value) ? (sum - total) + value : (value - total) + sum;
    group.compensations[i] = std::isinf(total) ? 0 : group.compensations[i] + lost;
    group.sums[i] = total;
    group.cells[i] = Cell::Float;
  }
}

// Groups of floats stay flat; the rare group that meets a histogram goes on in Sums.
Result<std::vector<Column>> fold_sum(const Aggregate& node, const Context& context,
                                     VectorOperator& source, Charge& charge) {
  Grouping grouping(node.grouping, node.without);
  Folder folder(node, context);
  const size_t steps = context.steps.count;
  std::vector<FlatSums> groups;
  std::vector<bool> drop;
  std::map<size_t, std::vector<Sums>> mixed;
  Column column;
  while (true) {
    const bool more = TRY(source.next(column));
    if (!more) break;
    TRY(context.query.check());
    if (!column.any()) continue;
    const size_t group = grouping.group_of(column.labels);
    if (group == groups.size()) {
      TRY(charge.add(steps));
      groups.push_back({std::vector<double>(steps), std::vector<double>(steps),
                        std::vector<Cell>(steps, Cell::Absent)});
      drop.push_back(column.drop_name && grouping.keeps_name());
    }
    if (column.histograms.empty()) {
      add_flat(groups[group], column);
      continue;
    }
    auto [sums, added] = mixed.try_emplace(group);
    if (added) sums->second.resize(steps);
    for (size_t i = 0; i < steps; ++i) {
      if (column.cells[i] != Cell::Absent) folder.fold(sums->second[i], column, i);
    }
  }
  std::vector<Column> out(groups.size());
  for (size_t g = 0; g < groups.size(); ++g) {
    Column& result = out[g];
    result.reset(steps);
    result.labels = grouping.labels_of(g);
    result.drop_name = drop[g];
    const auto with_histograms = mixed.find(g);
    for (size_t i = 0; i < steps; ++i) {
      Sums sums;
      if (with_histograms != mixed.end()) sums = std::move(with_histograms->second[i]);
      if (groups[g].cells[i] == Cell::Float) {
        // Both parts are sums already; adding them keeps their compensations.
        sums.has_float = true;
        sums.mean.sum.add(groups[g].sums[i]);
        sums.mean.sum.compensation += groups[g].compensations[i];
      }
      folder.finish(sums, result, i);
    }
  }
  return out;
}

Result<std::vector<Column>> fold_quantile(const Aggregate& node, const Context& context,
                                          VectorOperator& source, Charge& charge,
                                          const std::vector<double>& quantiles) {
  for (const double q : quantiles) {
    if (!(q >= 0 && q <= 1)) {
      context.query.annotations.warn(annotation::invalid_quantile(q), node.parameter->position);
    }
  }
  Grouping grouping(node.grouping, node.without);
  std::vector<std::vector<std::vector<double>>> groups;
  std::vector<bool> drop;
  Column column;
  while (true) {
    const bool more = TRY(source.next(column));
    if (!more) break;
    TRY(context.query.check());
    if (!column.any()) continue;
    TRY(charge.add(context.steps.count));
    const size_t group = grouping.group_of(column.labels);
    if (group == groups.size()) {
      groups.emplace_back(context.steps.count);
      drop.push_back(column.drop_name && grouping.keeps_name());
    }
    for (size_t i = 0; i < column.size(); ++i) {
      if (column.cells[i] == Cell::Float) {
        groups[group][i].push_back(column.values[i]);
      } else if (column.cells[i] == Cell::Histogram) {
        context.query.annotations.info(annotation::histogram_ignored_in_aggregation("quantile"),
                                       node.inner->position);
      }
    }
  }
  std::vector<Column> out(groups.size());
  for (size_t g = 0; g < groups.size(); ++g) {
    out[g].reset(context.steps.count);
    out[g].labels = grouping.labels_of(g);
    out[g].drop_name = drop[g];
    for (size_t i = 0; i < context.steps.count; ++i) {
      if (!groups[g][i].empty()) out[g].set(i, quantile(quantiles[i], groups[g][i]));
    }
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<VectorOperator>> build_aggregate(const Aggregate& node,
                                                        const Context& context) {
  std::vector<double> parameters;
  if (node.parameter && node.op != AggregateOp::CountValues) {
    parameters = TRY(evaluate_scalar(*node.parameter, context));
  }
  auto source = TRY(build_vector(*node.inner, context));
  auto charge = std::make_unique<Charge>(context.query);
  return lazily(context,
                [&node, context, source = std::move(source), charge = std::move(charge),
                 parameters = std::move(parameters)]() mutable -> Result<std::vector<Column>> {
                  switch (node.op) {
                    case AggregateOp::Sum:
                      return fold_sum(node, context, *source, *charge);
                    case AggregateOp::Quantile:
                      return fold_quantile(node, context, *source, *charge, parameters);
                    case AggregateOp::Topk:
                    case AggregateOp::Bottomk:
                    case AggregateOp::Limitk:
                    case AggregateOp::LimitRatio: {
                      std::vector<Column> columns = TRY(collect(*source, context, *charge));
                      return select_k(node, context, std::move(columns), parameters);
                    }
                    case AggregateOp::CountValues: {
                      std::vector<Column> columns = TRY(collect(*source, context, *charge));
                      return count_values(node, context, columns);
                    }
                    default:
                      return fold_general(node, context, *source, *charge);
                  }
                });
}

}  // namespace promql
