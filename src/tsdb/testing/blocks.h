// Blocks with known samples on a simulated disk.

#pragma once

#include "core/testing/sim_file_system.h"
#include "tsdb/block.h"
#include "tsdb/block_writer.h"

#include <doctest/doctest.h>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace tsdb::testing {

// A float or a histogram.
struct Point {
  double value = 0;
  std::optional<model::Histogram> histogram;

  bool operator==(const Point& other) const {
    return model::same_bits(value, other.value) && histogram == other.histogram;
  }
};
using Points = std::map<int64_t, Point>;
struct LabelOrder {
  bool operator()(const std::string& a, const std::string& b) const {
    return model::compare(model::LabelsView(a), model::LabelsView(b)) < 0;
  }
};
using SeriesPoints = std::map<std::string, Points, LabelOrder>;  // by label bytes

inline model::Histogram small_histogram(double count) {
  model::Histogram one;
  one.schema = 3;
  one.count = count;
  one.sum = count / 2;
  one.positive_spans = {{1, 2}};
  one.positive_counts = {count, 0};
  return one;
}

inline storage::SeriesBatch to_batch(const Points& points) {
  storage::SeriesBatch batch;
  for (const auto& [time_ms, point] : points) {
    if (point.histogram) {
      batch.histograms.push_back({time_ms, *point.histogram});
    } else {
      batch.timestamps_ms.push_back(time_ms);
      batch.values.push_back(point.value);
    }
  }
  return batch;
}

inline Points to_points(const storage::SeriesBatch& batch) {
  Points points;
  for (size_t i = 0; i < batch.timestamps_ms.size(); ++i) {
    CHECK(points.emplace(batch.timestamps_ms[i], Point{batch.values[i], {}}).second);
  }
  for (const model::HistogramSample& one : batch.histograms) {
    CHECK(points.emplace(one.timestamp_ms, Point{0, one.histogram}).second);
  }
  return points;
}

// Fills in what the writer knows. `meta` says number, tenant, order and range.
inline core::Result<void> write_block(core::FileSystem& files, const std::string& path,
                                      const SeriesPoints& series, BlockMeta& meta) {
  std::set<std::string, LabelOrder> distinct;
  for (const auto& [labels, points] : series) {
    for (const model::Label& label : model::LabelsView(labels)) {
      std::string pair;
      model::append_label(pair, label.name, label.value);
      distinct.insert(pair);
    }
  }
  const std::vector<std::string> pairs(distinct.begin(), distinct.end());
  auto writer = TRY(BlockWriter::create(files, path, pairs));
  meta.min_time_ms = std::numeric_limits<int64_t>::max();
  meta.max_time_ms = std::numeric_limits<int64_t>::min();
  for (const auto& [labels, points] : series) {
    if (points.empty()) continue;
    std::vector<uint32_t> numbers;
    for (const model::Label& label : model::LabelsView(labels)) {
      std::string pair;
      model::append_label(pair, label.name, label.value);
      numbers.push_back(
          static_cast<uint32_t>(std::distance(distinct.begin(), distinct.find(pair))));
    }
    meta.min_time_ms = std::min(meta.min_time_ms, points.begin()->first);
    meta.max_time_ms = std::max(meta.max_time_ms, points.rbegin()->first);
    TRY(writer->add_series(numbers, to_batch(points)));
  }
  writer->describe(meta);
  meta.size_bytes = TRY(writer->finish());
  meta.series = writer->series_count();
  meta.samples = writer->sample_count();
  return {};
}

inline core::Result<SeriesPoints> read_block(Block& block) {
  SeriesPoints result;
  const std::shared_ptr<const BlockIndex> index = TRY(block.index());
  for (uint32_t ordinal = 0; ordinal < index->series_count(); ++ordinal) {
    std::string labels;
    index->append_labels(ordinal, labels);
    const BlockIndex::Region region = index->region_of(ordinal);
    storage::SeriesBatch batch;
    const std::string bytes = TRY(block.read(region.offset, region.size));
    TRY(block.append_region(*index, bytes, {-(int64_t{1} << 60), int64_t{1} << 60}, batch));
    CHECK(result.emplace(labels, to_points(batch)).second);
  }
  return result;
}

}  // namespace tsdb::testing
