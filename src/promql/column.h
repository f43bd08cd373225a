// How the engine holds results: one column per series with a cell for every step.
//
//   steps      10:00  10:01  10:02  10:03
//   {pool="a"}  1.5    2.0     -     3.1
//   {pool="b"}   -      -     0.2    0.2

#pragma once

#include "model/histogram.h"
#include "model/labels.h"

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace promql {

using HistogramPtr = std::shared_ptr<const model::Histogram>;

enum class Cell : uint8_t { Absent, Float, Histogram };

// The evaluation times of a query or a subquery.
struct Steps {
  int64_t start_ms = 0;
  int64_t step_ms = 1;
  size_t count = 1;

  int64_t at(size_t i) const { return start_ms + static_cast<int64_t>(i) * step_ms; }
  int64_t last() const { return at(count - 1); }
};

struct Column {
  model::Labels labels;
  // Where nothing but its group counts of a series: of that group, the same for all its
  // series. `labels` has the name of the metric at most then.
  const model::Labels* group = nullptr;
  // The metric name goes when the query ends (delayed name removal).
  bool drop_name = false;
  std::vector<double> values;
  std::vector<Cell> cells;
  std::vector<HistogramPtr> histograms;  // empty when there are none

  size_t size() const { return cells.size(); }
  void reset(size_t steps) {
    values.resize(steps);
    cells.assign(steps, Cell::Absent);
    histograms.clear();
    drop_name = false;
  }
  void set(size_t i, double value) {
    values[i] = value;
    cells[i] = Cell::Float;
  }
  void set(size_t i, HistogramPtr histogram) {
    if (histograms.empty()) histograms.resize(cells.size());
    histograms[i] = std::move(histogram);
    cells[i] = Cell::Histogram;
  }
  void copy_cell(size_t i, const Column& from, size_t from_i) {
    if (from.cells[from_i] == Cell::Histogram) {
      set(i, from.histograms[from_i]);
    } else {
      values[i] = from.values[from_i];
      cells[i] = from.cells[from_i];
    }
  }
  bool any() const {
    for (const Cell cell : cells) {
      if (cell != Cell::Absent) return true;
    }
    return false;
  }
};

// The samples of one series that a range vector's windows look at; without stale
// markers, in rising time.
struct RangeSeries {
  model::Labels labels;
  const model::Labels* group = nullptr;  // as in Column
  bool drop_name = false;
  std::span<const int64_t> timestamps;
  std::span<const double> values;
  bool never_falls = false;  // it is known that none of `values` is less than the one before
  std::span<const int64_t> histogram_times;
  std::span<const HistogramPtr> histograms;
};

// __name__ goes, and with it __type__ and __unit__, which describe it.
model::Labels without_metric_name(const model::Labels& labels);

}  // namespace promql
