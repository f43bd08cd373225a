// What a plan is made of. Operators give their series one by one, each with all its
// steps, so that an aggregation over many series holds its groups and one series.
//
//   sum by (pool) ─ rate ─ select x[5m]
//
// The tree of operators is built from the syntax tree, parameters that are scalars
// are evaluated while it is built.

#pragma once

#include "core/clock.h"
#include "core/result.h"
#include "promql/annotations.h"
#include "promql/ast.h"
#include "promql/column.h"
#include "promql/engine.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace promql {

// One query: its limits, what it holds, what it has to say. Confined to one thread.
struct QueryState {
  const storage::SeriesSource& source;
  const EngineOptions& options;
  const core::Clock& clock;
  const QueryOptions& query;
  int64_t lookback_ms;
  int64_t deadline_ns;
  Annotations annotations;
  uint64_t samples_held = 0;

  // Timeout or Cancelled.
  core::Result<void> check() const;
};

// Samples held by one operator; given back when it dies.
class Charge {
 public:
  explicit Charge(QueryState& query) : query_(query) {}
  ~Charge() { query_.samples_held -= held_; }
  Charge(const Charge&) = delete;
  Charge& operator=(const Charge&) = delete;
  // LimitExceeded above EngineOptions.samples_max.
  core::Result<void> set(uint64_t samples);
  core::Result<void> add(uint64_t samples) { return set(held_ + samples); }

 private:
  QueryState& query_;
  uint64_t held_ = 0;
};

struct Context {
  QueryState& query;
  Steps steps;
  int64_t start_ms;  // of the whole query: @ start()
  int64_t end_ms;
  // Set while the selector is built whose series go into one aggregation, with nobody else
  // looking at their labels: by which of them it groups.
  std::optional<storage::SeriesGrouping> fold = std::nullopt;

  bool delayed_names() const { return query.options.delayed_name_removal; }
};

// Where a selector looks, seen from an evaluation time.
struct TimeShift {
  bool fixed = false;  // @
  int64_t fixed_ms = 0;
  int64_t offset_ms = 0;

  int64_t of(int64_t time_ms) const { return (fixed ? fixed_ms : time_ms) - offset_ms; }
};
TimeShift time_shift(const TimeModifier& time, const Context& context);

class VectorOperator {
 public:
  virtual ~VectorOperator() = default;
  // Replaces `column` by the next series; false at the end. May give columns without
  // a present cell. May move `column`'s buffers elsewhere.
  virtual core::Result<bool> next(Column& column) = 0;
};

class RangeOperator {
 public:
  virtual ~RangeOperator() = default;
  // The spans stay valid until the next call.
  virtual core::Result<bool> next(RangeSeries& series) = 0;
};

struct Range {
  std::unique_ptr<RangeOperator> source;
  TimeShift shift;
  int64_t range_ms = 0;
};

// Precondition of each: type_of(expr) fits.
core::Result<std::unique_ptr<VectorOperator>> build_vector(const Expr& expr,
                                                           const Context& context);
core::Result<Range> build_range(const Expr& expr, const Context& context);
core::Result<std::vector<double>> evaluate_scalar(const Expr& expr, const Context& context);
std::string string_value(const Expr& expr);

// What every series of a selector is called; empty when they may have several names.
std::string metric_name(const VectorSelector& selector);
// With `timestamps` a cell is its sample's time in seconds.
core::Result<std::unique_ptr<VectorOperator>> build_selector(const VectorSelector& selector,
                                                             const Context& context,
                                                             bool timestamps);
core::Result<std::unique_ptr<VectorOperator>> build_range_function(const Call& call,
                                                                   const Context& context);
core::Result<std::unique_ptr<VectorOperator>> build_aggregate(const Aggregate& aggregate,
                                                              const Context& context);
core::Result<std::unique_ptr<VectorOperator>> build_binary(const Binary& binary,
                                                           const Context& context);
core::Result<std::unique_ptr<VectorOperator>> build_negation(const Unary& unary,
                                                             const Context& context);
double scalar_binary(BinaryOp op, double left, double right);

// All series that have a present cell.
core::Result<std::vector<Column>> collect(VectorOperator& source, const Context& context,
                                          Charge& charge);

// Gives out columns that were computed at once.
class ColumnsOperator final : public VectorOperator {
 public:
  explicit ColumnsOperator(std::vector<Column> columns) : columns_(std::move(columns)) {}
  core::Result<bool> next(Column& column) override;

 private:
  std::vector<Column> columns_;
  size_t at_ = 0;
};

// An operator whose whole input has to be there first: `compute` runs at the first next().
template <typename Compute>
class LazyOperator final : public VectorOperator {
 public:
  LazyOperator(const Context& context, Compute compute)
      : charge_(context.query), compute_(std::move(compute)) {}
  core::Result<bool> next(Column& column) override {
    if (!columns_) {
      auto computed = compute_();
      if (!computed) return tl::unexpected(std::move(computed).error());
      columns_ = std::make_unique<ColumnsOperator>(std::move(*computed));
    }
    return columns_->next(column);
  }

 private:
  Charge charge_;
  Compute compute_;
  std::unique_ptr<ColumnsOperator> columns_;
};
template <typename Compute>
std::unique_ptr<VectorOperator> lazily(const Context& context, Compute compute) {
  return std::make_unique<LazyOperator<Compute>>(context, std::move(compute));
}

// Applies `change` (void(Column&)) to every column.
template <typename Change>
class ChangeOperator final : public VectorOperator {
 public:
  ChangeOperator(std::unique_ptr<VectorOperator> source, Change change)
      : source_(std::move(source)), change_(std::move(change)) {}
  core::Result<bool> next(Column& column) override {
    const bool more = TRY(source_->next(column));
    if (more) change_(column);
    return more;
  }

 private:
  std::unique_ptr<VectorOperator> source_;
  Change change_;
};
template <typename Change>
std::unique_ptr<VectorOperator> changed(std::unique_ptr<VectorOperator> source, Change change) {
  return std::make_unique<ChangeOperator<Change>>(std::move(source), std::move(change));
}

// The metric name is to go: now, or with delayed names when the query ends.
void drop_name(Column& column, const Context& context);

// Whether two series of `expr` may become equal when their names go.
bool names_may_collide(const Expr& expr);
enum class MergeRule {
  PerStep,  // equal label sets are merged where their steps do not overlap
  Never,    // equal label sets are an error
};
// Puts series with equal labels together; "vector cannot contain metrics with the same
// labelset" where they overlap. Passes through what cannot collide.
std::unique_ptr<VectorOperator> merged(std::unique_ptr<VectorOperator> source,
                                       const Context& context, MergeRule rule);
core::Error same_labelset_error();

}  // namespace promql
