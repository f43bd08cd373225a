#include "promql/select_k.h"

#include "core/utf8.h"
#include "promql/grouping.h"
#include "promql/histogram_math.h"
#include "promql/lexer.h"
#include "promql/printer.h"

#include <algorithm>
#include <cmath>
#include <fmt/core.h>
#include <utility>
#include <xxhash.h>

namespace promql {

using core::ErrorCode;
using core::Result;

namespace {

// A heap that behaves step by step as Go's container/heap, so that of equal values the
// same series stay as in Prometheus. The worst is at the front; NaN is worse than all.
class WorstFirst {
 public:
  WorstFirst(bool top, size_t capacity) : top_(top), capacity_(capacity) {}

  struct Entry {
    double value;
    size_t index;
  };

  void offer(Entry entry) {
    if (entries_.size() < capacity_) {
      entries_.push_back(entry);
      rise(entries_.size() - 1);
    } else if (better(entry.value, entries_.front().value)) {
      entries_.front() = entry;
      sink(0);
    }
  }
  const std::vector<Entry>& entries() const { return entries_; }
  // Best first.
  void sort() {
    std::stable_sort(entries_.begin(), entries_.end(),
                     [&](const Entry& a, const Entry& b) { return worse(b, a) && !worse(a, b); });
  }

 private:
  bool better(double a, double b) const {
    return (top_ ? a > b : a < b) || (std::isnan(b) && !std::isnan(a));
  }
  bool worse(const Entry& a, const Entry& b) const {
    if (std::isnan(a.value)) return true;
    return top_ ? a.value < b.value : a.value > b.value;
  }
  void rise(size_t at) {
    while (at > 0) {
      const size_t parent = (at - 1) / 2;
      if (!worse(entries_[at], entries_[parent])) return;
      std::swap(entries_[at], entries_[parent]);
      at = parent;
    }
  }
  void sink(size_t at) {
    while (true) {
      size_t child = 2 * at + 1;
      if (child >= entries_.size()) return;
      if (child + 1 < entries_.size() && worse(entries_[child + 1], entries_[child])) ++child;
      if (!worse(entries_[child], entries_[at])) return;
      std::swap(entries_[child], entries_[at]);
      at = child;
    }
  }

  bool top_;
  size_t capacity_;
  std::vector<Entry> entries_;
};

Result<void> check_k(const std::vector<double>& parameters) {
  for (const double k : parameters) {
    if (std::isnan(k)) return core::fail(ErrorCode::InvalidArgument, "Parameter value is NaN");
    if (k >= 0x1p63) {
      return core::fail(ErrorCode::InvalidArgument, "Scalar value {} overflows int64",
                        format_number(k));
    }
    if (k < -0x1p63) {
      return core::fail(ErrorCode::InvalidArgument, "Scalar value {} underflows int64",
                        format_number(k));
    }
  }
  return {};
}

Result<void> check_ratio(const Aggregate& node, const Context& context,
                         const std::vector<double>& ratios) {
  for (const double ratio : ratios) {
    if (std::isnan(ratio)) return core::fail(ErrorCode::InvalidArgument, "Ratio value is NaN");
    if (ratio > 1 || ratio < -1) {
      context.query.annotations.warn(
          fmt::format("ratio value should be between -1 and 1, got {}, capping to {}",
                      format_number(ratio), ratio > 1 ? "1" : "-1"),
          node.parameter->position);
    }
  }
  return {};
}

std::vector<std::vector<size_t>> members(const Aggregate& node,
                                         const std::vector<Column>& columns) {
  Grouping grouping(node.grouping, node.without);
  std::vector<std::vector<size_t>> groups;
  for (size_t i = 0; i < columns.size(); ++i) {
    const size_t group = grouping.group_of(columns[i].labels);
    if (group == groups.size()) groups.emplace_back();
    groups[group].push_back(i);
  }
  return groups;
}

bool in_ratio(double ratio, double offset) {
  return ratio >= 0 ? offset < ratio : offset >= 1 + ratio;
}

// Marks in `kept` which of a group's series stay at one step; best first in `order`.
void pick(const Aggregate& node, const Context& context, const std::vector<Column>& columns,
          const std::vector<size_t>& group, size_t step, double parameter,
          std::vector<size_t>& order) {
  order.clear();
  if (node.op == AggregateOp::LimitRatio) {
    const double ratio = std::clamp(parameter, -1.0, 1.0);
    for (const size_t index : group) {
      if (columns[index].cells[step] == Cell::Absent) continue;
      if (in_ratio(ratio, ratio_offset(columns[index].labels))) order.push_back(index);
    }
    return;
  }
  if (!(parameter >= 1)) return;
  const auto k = static_cast<size_t>(std::min(parameter, static_cast<double>(group.size())));
  if (node.op == AggregateOp::Limitk) {
    for (const size_t index : group) {
      if (order.size() == k) return;
      if (columns[index].cells[step] != Cell::Absent) order.push_back(index);
    }
    return;
  }
  WorstFirst heap(node.op == AggregateOp::Topk, k);
  for (const size_t index : group) {
    if (columns[index].cells[step] == Cell::Float) {
      heap.offer({columns[index].values[step], index});
    } else if (columns[index].cells[step] == Cell::Histogram) {
      context.query.annotations.info(
          annotation::histogram_ignored_in_aggregation(aggregate_op_text(node.op)),
          node.inner->position);
    }
  }
  heap.sort();
  for (const WorstFirst::Entry& entry : heap.entries()) order.push_back(entry.index);
}

}  // namespace

double ratio_offset(const model::Labels& labels) {
  // The bytes and the hash of Prometheus's labels.Labels.Hash(), so that both take the
  // same series: sizes in one byte, or 0xff and three bytes, little end first.
  std::string bytes;
  const auto append = [&bytes](std::string_view text) {
    const size_t size = text.size();
    if (size < 255) {
      bytes += static_cast<char>(size);
    } else {
      bytes += '\xff';
      for (unsigned shift = 0; shift < 24; shift += 8) {
        bytes += static_cast<char>((size >> shift) & 0xff);
      }
    }
    bytes.append(text);
  };
  for (const model::Label& label : labels) {
    append(label.name);
    append(label.value);
  }
  return static_cast<double>(XXH64(bytes.data(), bytes.size(), 0)) / 0x1p64;
}

Result<std::vector<Column>> select_k(const Aggregate& node, const Context& context,
                                     std::vector<Column> columns,
                                     const std::vector<double>& parameters) {
  if (node.op == AggregateOp::LimitRatio) {
    TRY(check_ratio(node, context, parameters));
  } else {
    TRY(check_k(parameters));
  }
  std::vector<Column> out;
  std::vector<bool> keep(columns.size());
  std::vector<size_t> order;
  std::vector<size_t> all_orders;  // of an instant query: its result is ordered
  for (const std::vector<size_t>& group : members(node, columns)) {
    for (size_t i = 0; i < context.steps.count; ++i) {
      pick(node, context, columns, group, i, parameters[i], order);
      for (const size_t index : order) keep[index] = true;
      for (const size_t index : group) {
        if (!keep[index]) columns[index].cells[i] = Cell::Absent;
        keep[index] = false;
      }
      all_orders.insert(all_orders.end(), order.begin(), order.end());
    }
    TRY(context.query.check());
  }
  if (context.steps.count == 1) {
    for (const size_t index : all_orders) out.push_back(std::move(columns[index]));
    return out;
  }
  std::erase_if(columns, [](const Column& column) { return !column.any(); });
  return columns;
}

Result<std::vector<Column>> count_values(const Aggregate& node, const Context& context,
                                         const std::vector<Column>& columns, Charge& charge) {
  const std::string label = string_value(*node.parameter);
  if (label.empty() || !core::is_utf8(label)) {
    return core::fail(ErrorCode::InvalidArgument, "invalid label name {}", quote(label));
  }
  // The value's label counts as one of the series's: `by` takes it, `without` may name it.
  std::vector<std::string> labels = node.grouping;
  if (!node.without) labels.push_back(label);
  Grouping grouping(std::move(labels), node.without);
  std::vector<Column> out;
  for (const Column& column : columns) {
    for (size_t i = 0; i < column.size(); ++i) {
      if (column.cells[i] == Cell::Absent) continue;
      const std::string value = column.cells[i] == Cell::Float ? format_plain(column.values[i])
                                                               : to_string(*column.histograms[i]);
      const size_t group =
          grouping.group_of(model::LabelsBuilder(column.labels).set(label, value).build());
      if (group == out.size()) {
        TRY(charge.add(context.steps.count));
        out.emplace_back();
        out.back().reset(context.steps.count);
        out.back().labels = grouping.labels_of(group);
        out.back().drop_name = column.drop_name && grouping.keeps_name();
      }
      Column& counts = out[group];
      counts.set(i, counts.cells[i] == Cell::Absent ? 1 : counts.values[i] + 1);
    }
    TRY(context.query.check());
  }
  return out;
}

}  // namespace promql
