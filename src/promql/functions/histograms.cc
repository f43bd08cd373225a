// Functions of histograms, classic (series with an le label) and native.

#include "promql/functions/families.h"
#include "promql/histogram_math.h"
#include "promql/lexer.h"
#include "promql/quantile.h"

#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <fmt/core.h>
#include <limits>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

namespace promql {

using core::Result;

namespace {

constexpr std::string_view kBucketLabel = "le";

// As Go's strconv.ParseFloat takes it.
std::optional<double> parse_bound(std::string_view text) {
  const std::string copy(text);
  if (copy.empty() || copy[0] == ' ' || copy[0] == '\t' || copy[0] == '\n') return std::nullopt;
  char* end = nullptr;
  errno = 0;
  const double value = std::strtod(copy.c_str(), &end);
  if (end != copy.c_str() + copy.size()) return std::nullopt;
  if (errno == ERANGE && std::isinf(value)) return std::nullopt;
  return value;
}

struct BucketSeries {
  double upper_bound;
  const Column* column;
};

// The series that make up one histogram: its buckets, or a native one, or both.
struct HistogramGroup {
  model::Labels labels;
  std::string metric;
  std::vector<BucketSeries> buckets;
  std::vector<const Column*> natives;
};

class HistogramFunction {
 public:
  HistogramFunction(const Expr& vector, const Context& context)
      : vector_(vector), context_(context) {}

  // `classic` and `native` compute one step from buckets or from a native histogram.
  template <typename Classic, typename Native>
  Result<std::vector<Column>> run(const std::vector<Column>& columns, const Classic& classic,
                                  const Native& native) {
    std::vector<HistogramGroup> groups = group(columns);
    std::vector<Column> out;
    std::vector<ClassicBucket> buckets;
    for (HistogramGroup& one : groups) {
      Column column;
      column.reset(context_.steps.count);
      for (size_t i = 0; i < context_.steps.count; ++i) {
        buckets.clear();
        for (const BucketSeries& series : one.buckets) {
          if (series.column->cells[i] == Cell::Float) {
            buckets.push_back({series.upper_bound, series.column->values[i]});
          }
        }
        const model::Histogram* histogram = nullptr;
        for (const Column* series : one.natives) {
          if (series->cells[i] == Cell::Histogram) histogram = series->histograms[i].get();
        }
        if (histogram != nullptr && !buckets.empty()) {
          context_.query.annotations.warn(
              fmt::format(
                  "vector contains a mix of classic and native histograms for metric name {}",
                  quote(one.metric)),
              vector_.position);
          continue;
        }
        if (histogram != nullptr) column.set(i, native(*histogram, i));
        if (!buckets.empty()) column.set(i, classic(buckets, i, one.metric));
      }
      if (!column.any()) continue;
      column.labels = std::move(one.labels);
      drop_name(column, context_);
      out.push_back(std::move(column));
      TRY(context_.query.check());
    }
    return out;
  }

 private:
  std::vector<HistogramGroup> group(const std::vector<Column>& columns) {
    std::unordered_map<std::string, size_t> known;
    std::vector<HistogramGroup> groups;
    for (const Column& column : columns) {
      bool has_floats = false;
      bool has_histograms = false;
      for (const Cell cell : column.cells) {
        has_floats = has_floats || cell == Cell::Float;
        has_histograms = has_histograms || cell == Cell::Histogram;
      }
      if (has_histograms) {
        slot(known, groups, column, column.labels).natives.push_back(&column);
      }
      if (!has_floats) continue;
      const std::string_view text = column.labels.get(kBucketLabel);
      const std::optional<double> bound = parse_bound(text);
      if (!bound) {
        context_.query.annotations.warn(
            fmt::format("bucket label \"le\" is missing or has a malformed value of {} for metric "
                        "name {}",
                        quote(text), quote(column.labels.metric_name())),
            vector_.position);
        continue;
      }
      const model::Labels labels = model::LabelsBuilder(column.labels).remove(kBucketLabel).build();
      slot(known, groups, column, labels).buckets.push_back({*bound, &column});
    }
    return groups;
  }

  // A native histogram and the buckets of a classic one meet when they have the same
  // name and labels, which is after rate() and the like have dropped the name.
  static HistogramGroup& slot(std::unordered_map<std::string, size_t>& known,
                              std::vector<HistogramGroup>& groups, const Column& column,
                              const model::Labels& labels) {
    const auto [found, added] = known.try_emplace(labels.bytes(), groups.size());
    if (added) {
      HistogramGroup group;
      group.labels = labels;
      group.metric = std::string(column.labels.metric_name());
      groups.push_back(std::move(group));
    }
    return groups[found->second];
  }

  const Expr& vector_;
  Context context_;
};

std::unique_ptr<VectorOperator> merged_if_needed(std::unique_ptr<VectorOperator> computed,
                                                 const Expr& vector, const Context& context) {
  if (context.delayed_names() || !names_may_collide(vector)) return computed;
  return merged(std::move(computed), context, MergeRule::PerStep);
}

double part_of(std::string_view name, const model::Histogram& histogram) {
  if (name == "histogram_count") return histogram.count;
  if (name == "histogram_sum") return histogram.sum;
  if (name == "histogram_avg") return histogram.sum / histogram.count;
  const double variance = native_variance(histogram);
  return name == "histogram_stddev" ? std::sqrt(variance) : variance;
}

}  // namespace

BuildResult build_histogram_quantile(const Call& call, const Context& context) {
  std::vector<double> quantiles = TRY(evaluate_scalar(*call.arguments[0], context));
  for (const double q : quantiles) {
    if (!(q >= 0 && q <= 1)) {
      context.query.annotations.warn(annotation::invalid_quantile(q), call.arguments[0]->position);
    }
  }
  auto source = TRY(build_vector(*call.arguments[1], context));
  auto charge = std::make_unique<Charge>(context.query);
  auto computed = lazily(
      context,
      [&call, context, quantiles = std::move(quantiles), source = std::move(source),
       charge = std::move(charge)]() mutable -> Result<std::vector<Column>> {
        const std::vector<Column> columns = TRY(collect(*source, context, *charge));
        const Expr& vector = *call.arguments[1];
        HistogramFunction function(vector, context);
        return function.run(
            columns,
            [&](std::vector<ClassicBucket>& buckets, size_t i, const std::string& metric) {
              const ClassicQuantile result = classic_quantile(quantiles[i], buckets);
              if (result.forced_monotonic) {
                context.query.annotations.info(
                    fmt::format(
                        "input to histogram_quantile needed to be fixed for monotonicity (see "
                        "https://prometheus.io/docs/prometheus/latest/querying/functions/"
                        "#histogram_quantile) for metric name {}",
                        quote(metric)),
                    vector.position);
              }
              return result.value;
            },
            [&](const model::Histogram& histogram, size_t i) {
              return native_quantile(quantiles[i], histogram);
            });
      });
  return merged_if_needed(std::move(computed), *call.arguments[1], context);
}

BuildResult build_histogram_fraction(const Call& call, const Context& context) {
  std::vector<double> lower = TRY(evaluate_scalar(*call.arguments[0], context));
  std::vector<double> upper = TRY(evaluate_scalar(*call.arguments[1], context));
  auto source = TRY(build_vector(*call.arguments[2], context));
  auto charge = std::make_unique<Charge>(context.query);
  auto computed =
      lazily(context,
             [&call, context, lower = std::move(lower), upper = std::move(upper),
              source = std::move(source),
              charge = std::move(charge)]() mutable -> Result<std::vector<Column>> {
               const std::vector<Column> columns = TRY(collect(*source, context, *charge));
               HistogramFunction function(*call.arguments[2], context);
               return function.run(
                   columns,
                   [&](std::vector<ClassicBucket>& buckets, size_t i, const std::string&) {
                     return classic_fraction(lower[i], upper[i], buckets);
                   },
                   [&](const model::Histogram& histogram, size_t i) {
                     return native_fraction(lower[i], upper[i], histogram);
                   });
             });
  return merged_if_needed(std::move(computed), *call.arguments[2], context);
}

BuildResult build_histogram_part(const Call& call, const Context& context) {
  auto source = TRY(build_vector(*call.arguments[0], context));
  const std::string_view name = call.function->name;
  return mapped_without_name(std::move(source), *call.arguments[0], context,
                             [name](Column& column) {
                               for (size_t i = 0; i < column.size(); ++i) {
                                 if (column.cells[i] == Cell::Histogram) {
                                   column.set(i, part_of(name, *column.histograms[i]));
                                 } else {
                                   column.cells[i] = Cell::Absent;
                                 }
                               }
                               column.histograms.clear();
                             });
}

}  // namespace promql
