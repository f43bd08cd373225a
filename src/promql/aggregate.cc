// Aggregations that fold many series into one per group: the series stream through,
// only the groups' columns are held.

#include "encoding/kernels.h"
#include "promql/functions/table.h"
#include "promql/grouping.h"
#include "promql/histogram_math.h"
#include "promql/operator.h"
#include "promql/quantile.h"
#include "promql/select_k.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
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

// Of two numbers the greater in magnitude first, so that nothing but rounding is lost.
double lost_in_sum(double a, double b, double total) {
  const bool in_order = std::fabs(a) >= std::fabs(b);
  const double large = in_order ? a : b;
  const double small = in_order ? b : a;
  return (large - total) + small;
}

void add_sums(Group& group, const Column& column) {
  const size_t count = column.size();
  if (std::memchr(column.cells.data(), static_cast<int>(Cell::Absent), count) == nullptr &&
      column.histograms.empty()) {
    encoding::kernels().add_with_lost(column.values.data(), count, group.a.data(), group.b.data());
    std::fill(group.cells.begin(), group.cells.end(), Cell::Float);
    return;
  }
  for (size_t i = 0; i < count; ++i) {
    if (column.cells[i] != Cell::Float) continue;
    const double value = column.values[i];
    const double total = group.a[i] + value;
    group.b[i] = std::isinf(total) ? 0 : group.b[i] + lost_in_sum(group.a[i], value, total);
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

  // The index of the column's group, in the order of first appearance.
  size_t group_of(const Column& column) {
    if (column.group == nullptr) return grouping_.group_of(column.labels);
    if (column.group == last_group_) return last_index_;
    const auto [known, is_new] = index_of_.try_emplace(column.group, 0);
    if (is_new) known->second = grouping_.group_of(*column.group);
    last_group_ = column.group;
    last_index_ = known->second;
    return last_index_;
  }

  Result<std::vector<Column>> run(VectorOperator& source, Charge& charge) {
    // Looking at the clock takes as long as a series of few steps.
    constexpr size_t kSeriesPerCheck = 16;
    Column column;
    for (size_t series = 0;; ++series) {
      const bool more = TRY(source.next(column));
      if (!more) break;
      if (series % kSeriesPerCheck == 0) TRY(context_.query.check());
      if (!column.any()) continue;
      const size_t index = group_of(column);
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
  std::unordered_map<const model::Labels*, size_t> index_of_;
  const model::Labels* last_group_ = nullptr;  // series of one target mostly are of one group
  size_t last_index_ = 0;
  std::vector<Group> groups_;
};

// The name that all series of the aggregation's argument have, when it is a selector or a
// function of one; else empty.
std::string name_of_folded(const Expr& inner, bool& drops_name) {
  drops_name = false;
  if (const auto* selector = try_as<VectorSelector>(inner)) return metric_name(*selector);
  const auto* call = try_as<Call>(inner);
  if (call == nullptr || call->function->range == nullptr || call->arguments.size() != 1) return {};
  drops_name = !call->function->keeps_name;
  const auto* matrix = try_as<MatrixSelector>(unwrap(*call->arguments.front()));
  return matrix == nullptr ? std::string() : metric_name(*matrix->selector);
}

// Set when nothing but the aggregation looks at labels of the series that it folds.
std::optional<storage::SeriesGrouping> grouping_of_source(const Aggregate& node,
                                                          const Context& context) {
  switch (node.op) {
    case AggregateOp::Sum:
    case AggregateOp::Avg:
    case AggregateOp::Min:
    case AggregateOp::Max:
    case AggregateOp::Count:
    case AggregateOp::Group:
    case AggregateOp::Stddev:
    case AggregateOp::Stdvar:
      break;
    default:
      return std::nullopt;
  }
  bool drops_name = false;
  if (name_of_folded(unwrap(*node.inner), drops_name).empty()) return std::nullopt;
  storage::SeriesGrouping grouping{.labels = node.grouping, .without = node.without};
  if (node.without) {
    // What goes with the name goes before the series are put into groups.
    if (drops_name && !context.delayed_names()) {
      grouping.labels.insert(grouping.labels.end(), {"__type__", "__unit__"});
    }
  } else {
    // Groups that keep the name, or what goes with it, take part in dropping it.
    for (const std::string& label : node.grouping) {
      if (label.starts_with("__")) return std::nullopt;
    }
  }
  std::sort(grouping.labels.begin(), grouping.labels.end());
  return grouping;
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
  Context inner = context;
  inner.fold = grouping_of_source(node, context);
  auto source = TRY(build_vector(*node.inner, inner));
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
