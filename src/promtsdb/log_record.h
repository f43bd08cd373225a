// The records of a Prometheus log, decoded (prometheus/tsdb/docs/format/wal.md).

#pragma once

#include "core/result.h"
#include "model/sample.h"
#include "promtsdb/tombstones.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace promtsdb {

enum class RecordType : uint8_t {
  Series = 1,
  Samples = 2,
  Deletions = 3,
  Exemplars = 4,
  MmapMarkers = 5,
  Metadata = 6,
  Histograms = 7,
  FloatHistograms = 8,
  CustomHistograms = 9,
  CustomFloatHistograms = 10,
  SamplesV2 = 11,
  HistogramsV2 = 12,
  FloatHistogramsV2 = 13,
};

// Series are known by a reference that a series record introduces.
struct LogSeries {
  uint64_t ref = 0;
  std::string labels;  // label bytes (model/labels.h), sorted
};
struct LogSample {
  uint64_t ref = 0;
  model::Sample sample;
};
struct LogHistogram {
  uint64_t ref = 0;
  model::HistogramSample sample;
};
struct LogTombstone {
  uint64_t ref = 0;
  Interval interval;
};
struct LogExemplar {
  uint64_t ref = 0;
  model::Exemplar exemplar;
};
struct LogMetadata {
  uint64_t ref = 0;
  model::MetricType type = model::MetricType::Unknown;
  std::string unit;
  std::string help;
};

// What one record holds; reused from record to record.
struct LogRecord {
  RecordType type = RecordType::Series;
  std::vector<LogSeries> series;
  std::vector<LogSample> samples;
  std::vector<LogHistogram> histograms;
  std::vector<LogTombstone> tombstones;
  std::vector<LogExemplar> exemplars;
  std::vector<LogMetadata> metadata;
  uint64_t unknown_histograms = 0;  // of schemas that are not known: left out

  void clear();
};

// Record types that are not known give an empty record, as in Prometheus.
core::Result<void> parse_log_record(std::string_view bytes, LogRecord& record);

}  // namespace promtsdb
