// Aggregations that fold many series into one per group: the series stream through,
// only the groups' columns are held.

#include "promql/grouping.h"
#include "promql/histogram_math.h"
#include "promql/operator.h"
#include "promql/quantile.h"
#include "promql/select_k.h"

#include <cmath>
#include <limits>
#include <memory>
#include <utility>

namespace promql {

using core::ErrorCode;
using core::Result;

namespace {

// The histograms that a group met at one step.
struct HistogramFold {
  std::shared_ptr<model::Histogram> value;
  double count = 0;
  bool incompatible = false;
};

// One group's state: flat columns, whose meaning depends on the aggregation.
//
//            a       b              c
//   sum      sum     compensation   -
//   avg      sum or mean, compensation, count
//   min, max value   -              -
//   count    count   -              -
//   stddev   mean    squares        count
struct Group {
  std::vector<double> a;
  std::vector<double> b;
  std::vector<double> c;
  std::vector<Cell> cells;  // Float: a float was seen
  std::vector<bool> incremental;
  std::vector<HistogramFold> histograms;  // empty until the first one
  bool drop_name = false;
};

void add_sums(Group& group, const Column& column) {
  for (size_t i = 0; i < column.size(); ++i) {
    if (column.cells[i] != Cell::Float) continue;
    const double value = column.values[i];
    const double sum = group.a[i];
    const double total = sum + value;
    const double lost =
        std::fabs(sum) >= std::fabs(value) ? (sum - total) + value : (value - total) + sum;
    group.b[i] = std::isinf(total) ? 0 : group.b[i] + lost;
    group.a[i] = total;
    group.cells[i] = Cell::Float;
  }
}

struct Compensated {
  double sum;
  double compensation;
};
Compensated kahan_add(Compensated to, double value) {
  const double total = to.sum + value;
  if (std::isinf(total)) return {total, 0};
  const double lost =
      std::fabs(to.sum) >= std::fabs(value) ? (to.sum - total) + value : (value - total) + to.sum;
  return {total, to.compensation + lost};
}

// Sums as long as that stays finite, then goes on with an incremental mean.
void add_averages(Group& group, const Column& column) {
  for (size_t i = 0; i < column.size(); ++i) {
    if (column.cells[i] != Cell::Float) continue;
    const double value = column.values[i];
    const double count = (group.c[i] += 1);
    group.cells[i] = Cell::Float;
    Compensated state{group.a[i], group.b[i]};
    if (!group.incremental[i]) {
      const Compensated next = kahan_add(state, value);
      if (count == 1 || !std::isinf(next.sum)) {
        group.a[i] = next.sum;
        group.b[i] = next.compensation;
        continue;
      }
      group.incremental[i] = true;
      state.sum /= count - 1;
      state.compensation /= count - 1;
    }
    // An infinite mean stays; only the opposite infinity or NaN changes it.
    const bool stays =
        std::isinf(state.sum) &&
        (std::isfinite(value) || (std::isinf(value) && (state.sum > 0) == (value > 0)));
    if (!stays) {
      const double share = (count - 1) / count;
      state = kahan_add({share * state.sum, share * state.compensation}, value / count);
    }
    group.a[i] = state.sum;
    group.b[i] = state.compensation;
  }
}

template <typename Better>
void add_extremes(Group& group, const Column& column, const Better& better) {
  for (size_t i = 0; i < column.size(); ++i) {
    if (column.cells[i] != Cell::Float) continue;
    const double value = column.values[i];
    if (group.cells[i] == Cell::Absent || better(value, group.a[i]) || std::isnan(group.a[i])) {
      group.a[i] = value;
    }
    group.cells[i] = Cell::Float;
  }
}

void add_counts(Group& group, const Column& column) {
  for (size_t i = 0; i < column.size(); ++i) {
    if (column.cells[i] == Cell::Absent) continue;
    group.a[i] += 1;
    group.cells[i] = Cell::Float;
  }
}

// Welford's method; a first value that is not finite spoils the group.
void add_spreads(Group& group, const Column& column) {
  for (size_t i = 0; i < column.size(); ++i) {
    if (column.cells[i] != Cell::Float) continue;
    const double value = column.values[i];
    const double count = (group.c[i] += 1);
    if (group.cells[i] == Cell::Absent) {
      group.cells[i] = Cell::Float;
      group.a[i] = value;
      group.b[i] = std::isfinite(value) ? 0 : std::numeric_limits<double>::quiet_NaN();
      continue;
    }
    const double off = value - group.a[i];
    group.a[i] += off / count;
    group.b[i] += off * (value - group.a[i]);
  }
}

class Folder {
 public:
  Folder(const Aggregate& node, const Context& context)
      : node_(node), context_(context), grouping_(node.grouping, node.without) {}

  Result<std::vector<Column>> run(VectorOperator& source, Charge& charge) {
    Column column;
    while (true) {
      const bool more = TRY(source.next(column));
      if (!more) break;
      TRY(context_.query.check());
      if (!column.any()) continue;
      const size_t index = grouping_.group_of(column.labels);
      if (index == groups_.size()) {
        TRY(charge.add(context_.steps.count));
        groups_.push_back(make_group());
        groups_.back().drop_name = column.drop_name && grouping_.keeps_name();
      }
      add_floats(groups_[index], column);
      if (!column.histograms.empty()) add_histograms(groups_[index], column);
    }
    std::vector<Column> out(groups_.size());
    for (size_t g = 0; g < groups_.size(); ++g) {
      finish(groups_[g], out[g]);
      out[g].labels = grouping_.labels_of(g);
      out[g].drop_name = groups_[g].drop_name;
      groups_[g] = Group{};
    }
    return out;
  }

 private:
  Group make_group() const {
    const size_t steps = context_.steps.count;
    const bool average = node_.op == AggregateOp::Avg;
    const bool spread = node_.op == AggregateOp::Stddev || node_.op == AggregateOp::Stdvar;
    Group group;
    group.a.resize(steps);
    group.cells.resize(steps, Cell::Absent);
    if (average || spread || node_.op == AggregateOp::Sum) group.b.resize(steps);
    if (average || spread) group.c.resize(steps);
    if (average) group.incremental.resize(steps);
    return group;
  }

  void add_floats(Group& group, const Column& column) const {
    switch (node_.op) {
      case AggregateOp::Sum:
        return add_sums(group, column);
      case AggregateOp::Avg:
        return add_averages(group, column);
      case AggregateOp::Min:
        return add_extremes(group, column, [](double a, double b) { return a < b; });
      case AggregateOp::Max:
        return add_extremes(group, column, [](double a, double b) { return a > b; });
      case AggregateOp::Stddev:
      case AggregateOp::Stdvar:
        return add_spreads(group, column);
      default:
        return add_counts(group, column);
    }
  }

  void add_histograms(Group& group, const Column& column) {
    if (node_.op == AggregateOp::Count || node_.op == AggregateOp::Group) return;
    const bool folds = node_.op == AggregateOp::Sum || node_.op == AggregateOp::Avg;
    for (size_t i = 0; i < column.size(); ++i) {
      if (column.cells[i] != Cell::Histogram) continue;
      if (!folds) {
        context_.query.annotations.info(
            annotation::histogram_ignored_in_aggregation(aggregate_op_text(node_.op)),
            node_.inner->position);
        return;
      }
      if (group.histograms.empty()) group.histograms.resize(column.size());
      fold(group.histograms[i], *column.histograms[i]);
    }
  }

  void fold(HistogramFold& into, const model::Histogram& histogram) {
    if (into.incompatible) return;
    into.count += 1;
    if (!into.value) {
      into.value = std::make_shared<model::Histogram>(histogram);
      return;
    }
    HistogramProblem problem = HistogramProblem::None;
    if (node_.op == AggregateOp::Sum) {
      problem = add(*into.value, histogram);
    } else {
      model::Histogram share = histogram;
      divide(share, into.count);
      model::Histogram old_share = *into.value;
      divide(old_share, into.count);
      problem = subtract(share, old_share);
      if (problem == HistogramProblem::None) problem = add(*into.value, share);
    }
    if (problem == HistogramProblem::None) return;
    into.incompatible = true;
    context_.query.annotations.warn(problem == HistogramProblem::MixedSchemas
                                        ? annotation::mixed_exponential_custom("")
                                        : annotation::incompatible_bounds(""),
                                    node_.inner->position);
  }

  double result(const Group& group, size_t i) const {
    switch (node_.op) {
      case AggregateOp::Sum:
        return group.a[i] + group.b[i];
      case AggregateOp::Avg:
        return group.incremental[i] ? group.a[i] + group.b[i]
                                    : group.a[i] / group.c[i] + group.b[i] / group.c[i];
      case AggregateOp::Group:
        return 1;
      case AggregateOp::Stddev:
        return std::sqrt(group.b[i] / group.c[i]);
      case AggregateOp::Stdvar:
        return group.b[i] / group.c[i];
      default:
        return group.a[i];
    }
  }

  void finish(Group& group, Column& out) {
    out.reset(context_.steps.count);
    for (size_t i = 0; i < out.size(); ++i) {
      const bool has_float = group.cells[i] == Cell::Float;
      if (group.histograms.empty() || !group.histograms[i].value) {
        if (has_float) out.set(i, result(group, i));
        continue;
      }
      HistogramFold& histogram = group.histograms[i];
      if (has_float) {
        context_.query.annotations.warn(
            "encountered a mix of histograms and floats for aggregation", node_.inner->position);
      } else if (!histogram.incompatible) {
        compact(*histogram.value);
        out.set(i, HistogramPtr(std::move(histogram.value)));
      }
    }
  }

  const Aggregate& node_;
  Context context_;
  Grouping grouping_;
  std::vector<Group> groups_;
};

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
                      return count_values(node, context, columns, *charge);
                    }
                    default:
                      return Folder(node, context).run(*source, *charge);
                  }
                });
}

}  // namespace promql
