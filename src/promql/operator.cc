#include "promql/operator.h"

#include "promql/functions/table.h"

#include <string>
#include <unordered_map>

namespace promql {

using core::ErrorCode;
using core::Result;

Result<void> QueryState::check() const {
  if (query.stop.stop_requested()) {
    return core::fail(ErrorCode::Cancelled, "query was canceled in expression evaluation");
  }
  if (clock.monotonic_ns() >= deadline_ns) {
    return core::fail(ErrorCode::Timeout, "query timed out in expression evaluation");
  }
  return {};
}

Result<void> Charge::set(uint64_t samples) {
  query_.samples_held = query_.samples_held - held_ + samples;
  held_ = samples;
  if (query_.samples_held > query_.options.samples_max) {
    return core::fail(
        ErrorCode::LimitExceeded,
        "query processing would load too many samples into memory in query execution");
  }
  return {};
}

TimeShift time_shift(const TimeModifier& time, const Context& context) {
  TimeShift shift;
  shift.offset_ms = time.offset_ms;
  shift.fixed = time.at != TimeModifier::At::None;
  shift.fixed_ms = time.at == TimeModifier::At::Start ? context.start_ms
                   : time.at == TimeModifier::At::End ? context.end_ms
                                                      : time.at_ms;
  return shift;
}

model::Labels without_metric_name(const model::Labels& labels) {
  std::string kept;
  kept.reserve(labels.bytes().size());
  for (const model::Label& label : labels) {
    if (label.name == model::kMetricName || label.name == "__type__" || label.name == "__unit__") {
      continue;
    }
    model::append_label(kept, label.name, label.value);
  }
  return model::Labels::from_canonical(kept);
}

void drop_name(Column& column, const Context& context) {
  if (context.delayed_names()) {
    column.drop_name = true;
  } else {
    column.labels = without_metric_name(column.labels);
  }
}

Result<std::vector<Column>> collect(VectorOperator& source, const Context& context,
                                    Charge& charge) {
  std::vector<Column> columns;
  while (true) {
    Column column;
    const bool more = TRY(source.next(column));
    if (!more) return columns;
    TRY(context.query.check());
    if (!column.any()) continue;
    TRY(charge.add(column.size()));
    columns.push_back(std::move(column));
  }
}

Result<bool> ColumnsOperator::next(Column& column) {
  if (at_ == columns_.size()) return false;
  column = std::move(columns_[at_++]);
  return true;
}

core::Error same_labelset_error() {
  return {ErrorCode::InvalidArgument, "vector cannot contain metrics with the same labelset"};
}

namespace {

bool selects_one_name(const VectorSelector& selector) {
  for (const model::Matcher& matcher : selector.matchers) {
    if (matcher.name() == model::kMetricName && matcher.type() == model::MatchType::Equal &&
        !matcher.value().empty()) {
      return true;
    }
  }
  return false;
}

Result<std::vector<Column>> merge(std::vector<Column> columns, MergeRule rule) {
  std::unordered_map<std::string_view, size_t> known;
  std::vector<Column> out;
  out.reserve(columns.size());  // keeps the label bytes that `known` borrows in place
  for (Column& column : columns) {
    const auto found = known.find(column.labels.bytes());
    if (found == known.end()) {
      out.push_back(std::move(column));
      known.emplace(out.back().labels.bytes(), out.size() - 1);
      continue;
    }
    if (rule == MergeRule::Never) return tl::unexpected(same_labelset_error());
    Column& into = out[found->second];
    for (size_t i = 0; i < column.size(); ++i) {
      if (column.cells[i] == Cell::Absent) continue;
      if (into.cells[i] != Cell::Absent) return tl::unexpected(same_labelset_error());
      into.copy_cell(i, column, i);
    }
  }
  return out;
}

}  // namespace

bool names_may_collide(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::VectorSelector:
      return !selects_one_name(as<VectorSelector>(expr));
    case ExprKind::MatrixSelector:
      return !selects_one_name(*as<MatrixSelector>(expr).selector);
    case ExprKind::Subquery:
      return names_may_collide(*as<Subquery>(expr).inner);
    case ExprKind::Paren:
      return names_may_collide(*as<Paren>(expr).inner);
    case ExprKind::Unary:
      return names_may_collide(*as<Unary>(expr).inner);
    case ExprKind::Aggregate: {
      const auto& aggregate = as<Aggregate>(expr);
      if (aggregate.op == AggregateOp::Topk || aggregate.op == AggregateOp::Bottomk ||
          aggregate.op == AggregateOp::Limitk || aggregate.op == AggregateOp::LimitRatio) {
        return names_may_collide(*aggregate.inner);
      }
      if (aggregate.op == AggregateOp::CountValues) return true;
      if (aggregate.without) return true;  // __type__ and __unit__ may be left
      for (const std::string& label : aggregate.grouping) {
        if (label.starts_with("__")) return true;
      }
      return false;
    }
    case ExprKind::Call: {
      const auto& call = as<Call>(expr);
      if (call.arguments.empty()) return false;
      if (call.function->range == nullptr && call.function->math == nullptr) return true;
      return names_may_collide(*call.arguments.back());
    }
    default:
      return true;
  }
}

std::unique_ptr<VectorOperator> merged(std::unique_ptr<VectorOperator> source,
                                       const Context& context, MergeRule rule) {
  auto charge = std::make_unique<Charge>(context.query);
  return lazily(context,
                [source = std::move(source), charge = std::move(charge), context,
                 rule]() mutable -> Result<std::vector<Column>> {
                  std::vector<Column> columns = TRY(collect(*source, context, *charge));
                  return merge(std::move(columns), rule);
                });
}

}  // namespace promql
