// sort and its kin: the order of an instant query's result. A range query's series are
// ordered by labels whatever these do.

#include "promql/functions/families.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

namespace promql {

using core::Result;

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// The chunk of digits or of anything else at the front.
std::string_view take_chunk(std::string_view& text) {
  const bool digits = is_digit(text.front());
  size_t size = 1;
  while (size < text.size() && is_digit(text[size]) == digits) ++size;
  const std::string_view chunk = text.substr(0, size);
  text.remove_prefix(size);
  return chunk;
}

// Natural order: numbers inside the text compare as numbers.
int natural_compare(std::string_view a, std::string_view b) {
  while (!a.empty() && !b.empty()) {
    const bool numbers = is_digit(a.front()) && is_digit(b.front());
    std::string_view x = take_chunk(a);
    std::string_view y = take_chunk(b);
    if (numbers) {
      x.remove_prefix(std::min(x.find_first_not_of('0'), x.size() - 1));
      y.remove_prefix(std::min(y.find_first_not_of('0'), y.size() - 1));
      if (x.size() != y.size()) return x.size() < y.size() ? -1 : 1;
    }
    if (const int order = x.compare(y); order != 0) return order;
  }
  return a.empty() ? (b.empty() ? 0 : -1) : 1;
}

}  // namespace

BuildResult build_sort(const Call& call, const Context& context) {
  auto source = TRY(build_vector(*call.arguments[0], context));
  const bool descending = call.function->name == "sort_desc";
  auto charge = std::make_unique<Charge>(context.query);
  return lazily(context,
                [context, descending, source = std::move(source),
                 charge = std::move(charge)]() mutable -> Result<std::vector<Column>> {
                  std::vector<Column> columns = TRY(collect(*source, context, *charge));
                  for (Column& column : columns) {
                    for (Cell& cell : column.cells) {
                      if (cell == Cell::Histogram) cell = Cell::Absent;
                    }
                  }
                  std::erase_if(columns, [](const Column& column) { return !column.any(); });
                  if (context.steps.count > 1) return columns;
                  std::stable_sort(columns.begin(), columns.end(),
                                   [descending](const Column& a, const Column& b) {
                                     const double x = a.values.front();
                                     const double y = b.values.front();
                                     if (std::isnan(x) || std::isnan(y))
                                       return !std::isnan(x) && std::isnan(y);
                                     return descending ? x > y : x < y;
                                   });
                  return columns;
                });
}

BuildResult build_sort_by_label(const Call& call, const Context& context) {
  auto source = TRY(build_vector(*call.arguments[0], context));
  const bool descending = call.function->name == "sort_by_label_desc";
  std::vector<std::string> labels;
  for (size_t i = 1; i < call.arguments.size(); ++i) {
    labels.push_back(string_value(*call.arguments[i]));
  }
  auto charge = std::make_unique<Charge>(context.query);
  return lazily(context,
                [context, descending, labels = std::move(labels), source = std::move(source),
                 charge = std::move(charge)]() mutable -> Result<std::vector<Column>> {
                  std::vector<Column> columns = TRY(collect(*source, context, *charge));
                  std::stable_sort(
                      columns.begin(), columns.end(), [&](const Column& a, const Column& b) {
                        int order = 0;
                        for (const std::string& label : labels) {
                          if (order != 0) break;
                          order = natural_compare(a.labels.get(label), b.labels.get(label));
                        }
                        // Equal as far as asked: by all labels.
                        if (order == 0) order = model::compare(a.labels, b.labels);
                        return descending ? order > 0 : order < 0;
                      });
                  return columns;
                });
}

}  // namespace promql
