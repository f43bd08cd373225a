// What a target exposes, entry by entry: Prometheus text 0.0.4 and 1.0.0, OpenMetrics
// 1.0, and the protobuf form with native histograms
// (https://prometheus.io/docs/instrumenting/exposition_formats/,
// https://prometheus.io/docs/specs/om/open_metrics_spec/, io.prometheus.client.MetricFamily).
//
// A pull parser over borrowed bytes, so that a known series costs no decoding: `key` are
// bytes that name the series within this target, and labels are only asked for when the
// reader has not seen the key.

#pragma once

#include "core/result.h"
#include "model/sample.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ingest {

enum class EntryKind : uint8_t { End, Sample, Histogram, Type, Help, Unit };

struct Entry {
  EntryKind kind = EntryKind::End;

  // Sample and Histogram. Equal keys of one format mean equal labels. Valid until the
  // next call of next().
  std::string_view key;
  double value = 0;
  model::Histogram histogram;  // kind Histogram only
  std::optional<int64_t> timestamp_ms;
  // When the counter, histogram or summary began: created_timestamp of protobuf, _created of
  // OpenMetrics with ExpositionOptions::start_timestamps.
  std::optional<int64_t> start_timestamp_ms;
  std::vector<model::Exemplar> exemplars;

  // Type, Help and Unit: of which metric family, and what.
  std::string_view metric;
  model::MetricType type = model::MetricType::Unknown;
  std::string_view text;  // help or unit, unescaped
};

struct ExpositionOptions {
  // Protobuf: read native histograms (scrape_native_histograms). Off: the classic ones.
  bool native_histograms = false;
  // Protobuf: the classic buckets of a histogram that has native ones as well
  // (always_scrape_classic_histograms).
  bool always_classic_histograms = false;
  // OpenMetrics: look ahead for the _created line of each metric, which costs about as much
  // as the parsing. The line stays a sample of its own, as for Prometheus by default.
  bool start_timestamps = false;
  // OpenMetrics: everything its specification demands, also what Prometheus does not look
  // at. For judging what a target exposes, not for scraping it.
  bool strict = false;
};

enum class ExpositionFormat : uint8_t {
  Text004,
  Text100,
  OpenMetrics001,
  OpenMetrics100,
  Protobuf
};

// Confined to one thread; borrows the body.
class ExpositionParser {
 public:
  virtual ~ExpositionParser() = default;
  // Replaces `entry`; kind End at the end. InvalidArgument for malformed input: text forms
  // name line and column and quote what was found ("line 3, column 14: expected ...").
  virtual core::Result<void> next(Entry& entry) = 0;
  // Appends the labels of the newest Sample or Histogram, metric name included, in canonical
  // form (model/labels.h). InvalidArgument for repeated label names.
  virtual core::Result<void> append_labels(std::string& label_bytes) const = 0;
  // Only for speed: the key that probably comes next, as an entry of the same format had it
  // (targets keep their order). A line that starts with it is not looked at in detail.
  // Borrowed until the next call of next().
  virtual void expect(std::string_view key) = 0;
};

std::unique_ptr<ExpositionParser> make_exposition_parser(ExpositionFormat format,
                                                         std::string_view body,
                                                         const ExpositionOptions& options);

// The format of a Content-Type as Prometheus 3 judges it (textparse.New): a missing or
// unknown type takes `fallback`, and is an error when there is none.
core::Result<ExpositionFormat> exposition_format(std::string_view content_type,
                                                 std::optional<ExpositionFormat> fallback);

}  // namespace ingest
