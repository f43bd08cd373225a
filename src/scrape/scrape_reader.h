// One scrape's body to samples: parsed, labelled, limited, with stale markers for what is
// gone (prometheus/scrape/scrape.go: append, checkAddError, updateStaleMarkers, report).
//
// Some of its rules look odd and are kept, because rules and dashboards rest on them: a
// failed scrape stores none of its own samples, but series that it named before it failed
// get no stale marker in that round.

#pragma once

#include "core/result.h"
#include "model/labels.h"
#include "scrape/pool_settings.h"
#include "scrape/scrape_batch.h"
#include "scrape/series_cache.h"
#include "scrape/target_metadata.h"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace scrape {

// The label bytes of the series that a scrape reports on itself.
class ReportSeries {
 public:
  enum Name : uint8_t {
    Up,
    Duration,
    SamplesScraped,
    SamplesPostRelabeling,
    SeriesAdded,
    Timeout,  // from here on with extra_scrape_metrics only
    SampleLimit,
    BodySize,
    NameCount,
  };

  explicit ReportSeries(model::LabelsView target);
  std::string_view labels(Name name) const {
    return std::string_view(bytes_).substr(ends_[name], ends_[name + 1] - ends_[name]);
  }
  static Name end_of(bool extra) { return extra ? NameCount : Timeout; }

 private:
  std::string bytes_;
  std::array<uint32_t, NameCount + 1> ends_{};
};

// What stays of a target from one scrape to the next.
struct TargetSeries {
  explicit TargetSeries(model::LabelsView target)
      : report(std::make_shared<const ReportSeries>(target)) {}

  SeriesCache cache;
  TargetMetadata metadata;
  std::shared_ptr<const ReportSeries> report;
};

struct ScrapeCounts {
  uint64_t scraped = 0;
  uint64_t after_relabel = 0;
  uint64_t added = 0;
};

struct ScrapeReport {
  bool is_up = false;
  double duration_s = 0;
  ScrapeCounts counts;
  int64_t timeout_ms = 0;
  double body_bytes = 0;  // -1: over body_size_limit
};

// One per worker; confined to its thread.
class ScrapeReader {
 public:
  // Both outlive the reader.
  ScrapeReader(const SeriesKeyHasher& hasher, MetadataTable& metadata)
      : hasher_(hasher), metadata_(metadata) {}

  struct Body {
    std::string_view bytes;
    std::string_view content_type;
    int64_t timestamp_ms = 0;  // of samples without one
    int64_t now_ms = 0;
  };
  // Appends the samples of a body and the stale markers. After an error only stale markers
  // have been appended; `counts` is what Prometheus reports then.
  core::Result<void> read(const PoolSettings& settings, model::LabelsView target,
                          TargetSeries& series, const Body& body, ScrapeCounts& counts,
                          ScrapeBatch& out);
  // A scrape without a body: stale markers for everything.
  void read_nothing(TargetSeries& series, int64_t timestamp_ms, ScrapeBatch& out);

  static void report(const PoolSettings& settings, const TargetSeries& series,
                     const ScrapeReport& report, int64_t timestamp_ms, ScrapeBatch& out);
  // The target is gone: stale markers for its series and its reports. Series of which
  // `lives_on` says so belong to another target by now.
  template <typename LivesOn>
  static void end_of_target(const PoolSettings& settings, const TargetSeries& series,
                            int64_t timestamp_ms, LivesOn lives_on, ScrapeBatch& out) {
    const auto mark = [&](std::string_view labels) {
      if (lives_on(labels)) return;
      out.batch.begin_series(labels);
      out.batch.add_sample(timestamp_ms, model::stale_nan());
    };
    series.cache.for_each_live(mark);
    const auto end = ReportSeries::end_of(settings.config.extra_scrape_metrics);
    for (uint8_t name = 0; name < end; ++name) {
      mark(series.report->labels(static_cast<ReportSeries::Name>(name)));
    }
    out.owners.push_back(series.cache.arena());
    out.owners.push_back(series.report);
  }

 private:
  struct Round;

  core::Result<void> read_lines(Round& round, const Body& body);
  core::Result<void> take_line(Round& round, ingest::ExpositionParser& parser, ingest::Entry& line);
  core::Result<std::string_view> make_labels(const Round& round, ingest::ExpositionParser& parser);
  bool append_sample(Round& round, ingest::Entry& line, int64_t timestamp_ms, uint32_t entry);
  void append_exemplars(Round& round, ingest::Entry& line, int64_t timestamp_ms);
  static void append_stale(SeriesCache& cache, int64_t timestamp_ms, ScrapeBatch& out);

  const SeriesKeyHasher& hasher_;
  MetadataTable& metadata_;
  RoundScratch scratch_;
  ingest::Entry line_;
  std::string exposed_;  // labels as the target exposes them
  model::Labels made_;
  // Series of the batch whose labels have no lasting place yet, and their cache entry.
  std::vector<std::pair<uint32_t, uint32_t>> unsettled_;
};

// The labels that are stored: the target's added, conflicts resolved, metric relabelling
// applied. Empty: dropped.
model::Labels make_sample_labels(model::LabelsView exposed, model::LabelsView target,
                                 const config::ScrapeConfig& config);
// InvalidArgument with Prometheus's text when a label limit is exceeded.
core::Result<void> check_label_limits(model::LabelsView labels, const config::ScrapeConfig& config);

}  // namespace scrape
