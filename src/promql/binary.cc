// Binary operators. Which series meet which is settled once per label set; the steps
// are then worked on column by column.

#include "promql/histogram_math.h"
#include "promql/lexer.h"
#include "promql/operator.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <unordered_map>
#include <utility>

namespace promql {

using core::ErrorCode;
using core::Result;

namespace {

constexpr size_t kNone = std::numeric_limits<size_t>::max();

struct Operand {
  Cell cell;
  double value;
  const HistogramPtr* histogram;
};

Operand operand(const Column& column, size_t i) {
  return {column.cells[i], column.values[i],
          column.cells[i] == Cell::Histogram ? &column.histograms[i] : nullptr};
}

struct Outcome {
  bool valid = false;  // false: the operands do not go together
  bool keep = true;    // of a comparison
  double value = 0;
  HistogramPtr histogram;
};

std::string_view type_word(Cell cell) {
  return cell == Cell::Histogram ? "histogram" : "float";
}

class Calculator {
 public:
  Calculator(const Binary& node, const Context& context) : node_(node), context_(context) {}

  Outcome operator()(const Operand& left, const Operand& right) const {
    if (left.cell == Cell::Float && right.cell == Cell::Float) return floats(left, right);
    Outcome out;
    if (left.cell == Cell::Histogram && right.cell == Cell::Histogram) {
      if (histograms(**left.histogram, **right.histogram, out)) return out;
    } else if (scaled(left, right, out)) {
      return out;
    }
    return out;
  }

 private:
  Outcome floats(const Operand& left, const Operand& right) const {
    Outcome out{true, true, left.value, nullptr};
    if (is_comparison(node_.op)) {
      out.keep = scalar_binary(node_.op, left.value, right.value) != 0;
    } else {
      out.value = scalar_binary(node_.op, left.value, right.value);
    }
    return out;
  }

  bool scaled(const Operand& left, const Operand& right, Outcome& out) const {
    const bool left_is_histogram = left.cell == Cell::Histogram;
    const bool possible =
        node_.op == BinaryOp::Mul || (node_.op == BinaryOp::Div && left_is_histogram);
    if (!possible) {
      complain(left.cell, right.cell);
      return false;
    }
    auto result = std::make_shared<model::Histogram>(left_is_histogram ? **left.histogram
                                                                       : **right.histogram);
    const double factor = left_is_histogram ? right.value : left.value;
    if (node_.op == BinaryOp::Mul) {
      multiply(*result, factor);
    } else {
      divide(*result, factor);
    }
    out.valid = true;
    out.histogram = std::move(result);
    return true;
  }

  bool histograms(const model::Histogram& left, const model::Histogram& right, Outcome& out) const {
    switch (node_.op) {
      case BinaryOp::Add:
      case BinaryOp::Sub: {
        auto result = std::make_shared<model::Histogram>(left);
        const HistogramProblem problem =
            node_.op == BinaryOp::Add ? add(*result, right) : subtract(*result, right);
        if (problem != HistogramProblem::None) {
          context_.query.annotations.warn(problem == HistogramProblem::MixedSchemas
                                              ? annotation::mixed_exponential_custom("")
                                              : annotation::incompatible_bounds(""),
                                          node_.position);
          return false;
        }
        if (node_.op == BinaryOp::Sub) result->reset_hint = model::CounterResetHint::Gauge;
        out.valid = true;
        out.histogram = std::move(result);
        return true;
      }
      case BinaryOp::Eq:
      case BinaryOp::Ne:
        out.valid = true;
        out.keep = equal(left, right) == (node_.op == BinaryOp::Eq);
        out.histogram = std::make_shared<model::Histogram>(left);
        return true;
      default:
        complain(Cell::Histogram, Cell::Histogram);
        return false;
    }
  }

  void complain(Cell left, Cell right) const {
    context_.query.annotations.info(
        annotation::incompatible_types(type_word(left), binary_op_text(node_.op), type_word(right)),
        node_.position);
  }

  const Binary& node_;
  Context context_;
};

bool changes_name(const Binary& node) {
  return !is_comparison(node.op) || node.return_bool;
}

void write(const Outcome& outcome, bool return_bool, Column& column, size_t i) {
  if (return_bool) {
    column.set(i, outcome.keep ? 1 : 0);
  } else if (outcome.histogram) {
    column.set(i, outcome.histogram);
  } else {
    column.set(i, outcome.value);
  }
}

Result<std::unique_ptr<VectorOperator>> with_scalar(const Binary& node, const Context& context) {
  const bool scalar_left = type_of(*node.lhs) == ValueType::Scalar;
  const Expr& vector_side = scalar_left ? *node.rhs : *node.lhs;
  std::vector<double> scalars = TRY(evaluate_scalar(scalar_left ? *node.lhs : *node.rhs, context));
  auto source = TRY(build_vector(vector_side, context));
  const bool drop = changes_name(node);
  auto mapped = changed(std::move(source), [&node, context, scalar_left, drop,
                                            scalars = std::move(scalars)](Column& column) {
    const Calculator calculate(node, context);
    for (size_t i = 0; i < column.size(); ++i) {
      if (column.cells[i] == Cell::Absent) continue;
      if (column.cells[i] == Cell::Float) {
        const double x = column.values[i];
        const double result = scalar_left ? scalar_binary(node.op, scalars[i], x)
                                          : scalar_binary(node.op, x, scalars[i]);
        if (!is_comparison(node.op) || node.return_bool) {
          column.values[i] = result;
        } else if (result == 0) {
          column.cells[i] = Cell::Absent;
        }
        continue;
      }
      const Operand vector = operand(column, i);
      const Operand scalar{Cell::Float, scalars[i], nullptr};
      const Outcome outcome = scalar_left ? calculate(scalar, vector) : calculate(vector, scalar);
      if (!outcome.valid || (!outcome.keep && !node.return_bool)) {
        column.cells[i] = Cell::Absent;
      } else {
        write(outcome, node.return_bool, column, i);
      }
    }
    if (drop) drop_name(column, context);
  });
  if (!drop || context.delayed_names() || !names_may_collide(vector_side)) return mapped;
  return merged(std::move(mapped), context, MergeRule::PerStep);
}

// The labels that have to agree, as canonical bytes.
class SignatureMaker {
 public:
  explicit SignatureMaker(const VectorMatching& matching) : matching_(matching) {}

  std::string operator()(const model::Labels& labels) const {
    std::string bytes;
    for (const model::Label& label : labels) {
      if (takes_part(label.name)) model::append_label(bytes, label.name, label.value);
    }
    return bytes;
  }

 private:
  bool takes_part(std::string_view name) const {
    const bool listed =
        std::find(matching_.labels.begin(), matching_.labels.end(), name) != matching_.labels.end();
    if (matching_.on) return listed;
    return !listed && name != model::kMetricName;
  }

  const VectorMatching& matching_;
};

// The series of both sides that share a signature.
struct MatchGroup {
  std::string labels;
  std::vector<size_t> left;
  std::vector<size_t> right;
};

std::vector<MatchGroup> match(const VectorMatching& matching, const std::vector<Column>& left,
                              const std::vector<Column>& right) {
  const SignatureMaker signature(matching);
  std::unordered_map<std::string, size_t> known;
  std::vector<MatchGroup> groups;
  const auto group_of = [&](const Column& column) -> MatchGroup& {
    const auto [found, added] = known.try_emplace(signature(column.labels), groups.size());
    if (added) groups.push_back({found->first, {}, {}});
    return groups[found->second];
  };
  for (size_t i = 0; i < left.size(); ++i) group_of(left[i]).left.push_back(i);
  for (size_t i = 0; i < right.size(); ++i) group_of(right[i]).right.push_back(i);
  return groups;
}

std::vector<bool> any_at(const std::vector<Column>& columns, size_t steps) {
  std::vector<bool> any(steps, false);
  for (const Column& column : columns) {
    for (size_t i = 0; i < steps; ++i) {
      if (column.cells[i] != Cell::Absent) any[i] = true;
    }
  }
  return any;
}

// Joins a "many" side with a "one" side; one-to-one is the case where many is one.
class Joiner {
 public:
  Joiner(const Binary& node, const Context& context, const std::vector<Column>& many,
         const std::vector<Column>& one, bool swapped)
      : node_(node),
        context_(context),
        calculate_(node, context),
        many_(many),
        one_(one),
        swapped_(swapped),
        steps_(context.steps.count),
        many_any_(any_at(many, context.steps.count)) {}

  Result<std::vector<Column>> run(const std::vector<MatchGroup>& groups) {
    for (const MatchGroup& group : groups) {
      const auto& many = swapped_ ? group.right : group.left;
      const auto& one = swapped_ ? group.left : group.right;
      if (one.empty()) continue;
      TRY(choose_one(group, one));
      if (!many.empty()) TRY(join(many));
      TRY(context_.query.check());
    }
    std::erase_if(out_, [](const Column& column) { return !column.any(); });
    return std::move(out_);
  }

 private:
  // Which series of the one side stands at each step.
  Result<void> choose_one(const MatchGroup& group, const std::vector<size_t>& one) {
    one_at_.assign(steps_, kNone);
    for (const size_t index : one) {
      for (size_t i = 0; i < steps_; ++i) {
        if (one_[index].cells[i] == Cell::Absent || !many_any_[i]) continue;
        if (one_at_[i] != kNone) {
          return core::fail(
              ErrorCode::InvalidArgument,
              "found duplicate series for the match group {} on the {} hand-side of the operation: "
              "[{}, {}];many-to-many matching not allowed: matching labels must be unique on one "
              "side",
              model::LabelsView(group.labels).to_string(), swapped_ ? "left" : "right",
              one_[index].labels.to_string(), one_[one_at_[i]].labels.to_string());
        }
        one_at_[i] = index;
      }
    }
    return {};
  }

  Result<void> join(const std::vector<size_t>& many) {
    ++group_;
    matched_.assign(steps_, false);
    for (const size_t index : many) {
      const Column& left = many_[index];
      size_t out = kNone;
      size_t out_for = kNone;  // the one-side series that `out` was made for
      for (size_t i = 0; i < steps_; ++i) {
        if (left.cells[i] == Cell::Absent || one_at_[i] == kNone) continue;
        const Column& right = one_[one_at_[i]];
        const Outcome outcome = swapped_ ? calculate_(operand(right, i), operand(left, i))
                                         : calculate_(operand(left, i), operand(right, i));
        if (!outcome.valid || (!outcome.keep && !node_.return_bool)) continue;
        if (node_.matching.card == Cardinality::OneToOne) {
          if (matched_[i]) {
            return core::fail(ErrorCode::InvalidArgument,
                              "multiple matches for labels: many-to-one matching must be explicit "
                              "(group_left/group_right)");
          }
          matched_[i] = true;
        }
        if (out == kNone || (out_for != one_at_[i] && !node_.matching.include.empty())) {
          out = column_for(left, right);
          out_for = one_at_[i];
        }
        if (out_[out].cells[i] != Cell::Absent) {
          if (owners_[out] != group_ || node_.matching.card == Cardinality::OneToOne) {
            return tl::unexpected(same_labelset_error());
          }
          return core::fail(ErrorCode::InvalidArgument,
                            "multiple matches for labels: grouping labels must ensure unique "
                            "matches");
        }
        write(outcome, node_.return_bool, out_[out], i);
      }
    }
    return {};
  }

  size_t column_for(const Column& many, const Column& one) {
    model::Labels labels = result_labels(many.labels, one.labels);
    const auto [found, added] = known_.try_emplace(labels.bytes(), out_.size());
    if (added) {
      Column column;
      column.labels = std::move(labels);
      column.reset(steps_);
      column.drop_name = context_.delayed_names() && (node_.return_bool || many.drop_name);
      out_.push_back(std::move(column));
      owners_.push_back(group_);
    } else {
      owners_[found->second] = group_;
    }
    return found->second;
  }

  model::Labels result_labels(const model::Labels& many, const model::Labels& one) const {
    const VectorMatching& matching = node_.matching;
    const bool drop = !is_comparison(node_.op) || (node_.return_bool && !context_.delayed_names());
    model::LabelsBuilder builder(drop ? without_metric_name(many) : many);
    if (matching.card == Cardinality::OneToOne) {
      for (const model::Label& label : many) {
        const bool listed = std::find(matching.labels.begin(), matching.labels.end(), label.name) !=
                            matching.labels.end();
        if (listed != matching.on) builder.remove(label.name);
      }
    }
    for (const std::string& name : matching.include) builder.set(name, one.get(name));
    return builder.build();
  }

  const Binary& node_;
  Context context_;
  Calculator calculate_;
  const std::vector<Column>& many_;
  const std::vector<Column>& one_;
  bool swapped_;
  size_t steps_;
  std::vector<bool> many_any_;
  std::vector<size_t> one_at_;
  std::vector<bool> matched_;
  size_t group_ = 0;
  std::vector<Column> out_;
  std::vector<size_t> owners_;
  std::unordered_map<std::string, size_t> known_;
};

// and, or, unless.
std::vector<Column> combine_sets(BinaryOp op, const std::vector<MatchGroup>& groups,
                                 std::vector<Column>& left, std::vector<Column>& right,
                                 size_t steps) {
  const auto present = [steps](const std::vector<Column>& columns,
                               const std::vector<size_t>& which) {
    std::vector<bool> at(steps, false);
    for (const size_t index : which) {
      for (size_t i = 0; i < steps; ++i) {
        if (columns[index].cells[i] != Cell::Absent) at[i] = true;
      }
    }
    return at;
  };
  for (const MatchGroup& group : groups) {
    if (op == BinaryOp::Or) {
      const std::vector<bool> in_left = present(left, group.left);
      for (const size_t index : group.right) {
        for (size_t i = 0; i < steps; ++i) {
          if (in_left[i]) right[index].cells[i] = Cell::Absent;
        }
      }
      continue;
    }
    const std::vector<bool> in_right = present(right, group.right);
    for (const size_t index : group.left) {
      for (size_t i = 0; i < steps; ++i) {
        if (in_right[i] != (op == BinaryOp::And)) left[index].cells[i] = Cell::Absent;
      }
    }
  }
  std::vector<Column> out = std::move(left);
  if (op == BinaryOp::Or) {
    for (Column& column : right) out.push_back(std::move(column));
  }
  std::erase_if(out, [](const Column& column) { return !column.any(); });
  return out;
}

}  // namespace

double scalar_binary(BinaryOp op, double left, double right) {
  switch (op) {
    case BinaryOp::Add:
      return left + right;
    case BinaryOp::Sub:
      return left - right;
    case BinaryOp::Mul:
      return left * right;
    case BinaryOp::Div:
      return left / right;
    case BinaryOp::Mod:
      return std::fmod(left, right);
    case BinaryOp::Pow:
      return std::pow(left, right);
    case BinaryOp::Atan2:
      return std::atan2(left, right);
    case BinaryOp::Eq:
      return left == right ? 1 : 0;
    case BinaryOp::Ne:
      return left != right ? 1 : 0;
    case BinaryOp::Lt:
      return left < right ? 1 : 0;
    case BinaryOp::Le:
      return left <= right ? 1 : 0;
    case BinaryOp::Gt:
      return left > right ? 1 : 0;
    case BinaryOp::Ge:
      return left >= right ? 1 : 0;
    case BinaryOp::And:
    case BinaryOp::Or:
    case BinaryOp::Unless:
      break;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

Result<std::unique_ptr<VectorOperator>> build_negation(const Unary& unary, const Context& context) {
  auto source = TRY(build_vector(*unary.inner, context));
  auto mapped = changed(std::move(source), [context](Column& column) {
    for (size_t i = 0; i < column.size(); ++i) {
      column.values[i] = -column.values[i];
      if (column.cells[i] != Cell::Histogram) continue;
      auto negated = std::make_shared<model::Histogram>(*column.histograms[i]);
      multiply(*negated, -1);
      column.histograms[i] = std::move(negated);
    }
    drop_name(column, context);
  });
  if (context.delayed_names() || !names_may_collide(*unary.inner)) return mapped;
  return merged(std::move(mapped), context, MergeRule::PerStep);
}

Result<std::unique_ptr<VectorOperator>> build_binary(const Binary& node, const Context& context) {
  if (type_of(*node.lhs) != ValueType::InstantVector ||
      type_of(*node.rhs) != ValueType::InstantVector) {
    return with_scalar(node, context);
  }
  auto left_source = TRY(build_vector(*node.lhs, context));
  auto right_source = TRY(build_vector(*node.rhs, context));
  auto charge = std::make_unique<Charge>(context.query);
  auto joined = lazily(
      context,
      [&node, context, left_source = std::move(left_source), right_source = std::move(right_source),
       charge = std::move(charge)]() mutable -> Result<std::vector<Column>> {
        std::vector<Column> left = TRY(collect(*left_source, context, *charge));
        std::vector<Column> right = TRY(collect(*right_source, context, *charge));
        const std::vector<MatchGroup> groups = match(node.matching, left, right);
        if (is_set_operator(node.op)) {
          return combine_sets(node.op, groups, left, right, context.steps.count);
        }
        const bool swapped = node.matching.card == Cardinality::OneToMany;
        return Joiner(node, context, swapped ? right : left, swapped ? left : right, swapped)
            .run(groups);
      });
  if (node.op == BinaryOp::Or) return merged(std::move(joined), context, MergeRule::PerStep);
  return joined;
}

}  // namespace promql
