#include "scrape/scrape_reader.h"

#include "core/utf8.h"
#include "scrape/histogram_resolution.h"
#include "scrape/scrape_metrics.h"

#include <algorithm>

namespace scrape {

using core::ErrorCode;
using core::Result;
using ingest::EntryKind;

namespace {

// Samples further ahead of the clock are refused, as in Prometheus.
constexpr int64_t kAheadMaxMs = 10 * 60'000;

constexpr std::array<std::string_view, ReportSeries::NameCount> kReportNames = {
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes"};

// Of labels that relabelling has made: sorted and unique, but any text.
bool is_valid(model::LabelsView labels, model::NameScheme scheme) {
  if (!model::is_canonical(labels)) return false;
  if (scheme == model::NameScheme::Utf8) return true;
  for (const model::Label& label : labels) {
    if (!model::is_legacy_label_name(label.name)) return false;
    if (label.name == model::kMetricName && !model::is_legacy_metric_name(label.value)) {
      return false;
    }
  }
  return true;
}

}  // namespace

ReportSeries::ReportSeries(model::LabelsView target) {
  for (size_t name = 0; name < kReportNames.size(); ++name) {
    model::LabelsBuilder builder(target);
    builder.set(model::kMetricName, kReportNames[name]);
    bytes_.append(builder.build().bytes());
    ends_[name + 1] = static_cast<uint32_t>(bytes_.size());
  }
  bytes_.shrink_to_fit();
}

struct ScrapeReader::Round {
  const PoolSettings& settings;
  model::LabelsView target;
  TargetSeries& series;
  ScrapeCounts& counts;
  ScrapeBatch& out;
  int64_t timestamp_ms = 0;
  int64_t time_max_ms = 0;
  uint64_t appended = 0;
  bool over_sample_limit = false;
  bool over_bucket_limit = false;
  uint64_t duplicates = 0;
  uint64_t out_of_bounds = 0;
};

Result<void> ScrapeReader::read(const PoolSettings& settings, model::LabelsView target,
                                TargetSeries& series, const Body& body, ScrapeCounts& counts,
                                ScrapeBatch& out) {
  if (body.bytes.empty()) {
    read_nothing(series, body.timestamp_ms, out);
    return {};
  }
  Round round{.settings = settings,
              .target = target,
              .series = series,
              .counts = counts,
              .out = out,
              .timestamp_ms = body.timestamp_ms,
              .time_max_ms = body.now_ms + kAheadMaxMs};
  unsettled_.clear();
  series.cache.begin(scratch_);
  series.metadata.begin();
  const BatchMark mark = BatchMark::of(out.batch);
  const Result<void> result = read_lines(round, body);
  series.metadata.end(metadata_, out.batch.metadata);
  series.cache.settle();
  if (!result) {
    mark.roll_back(out.batch);
  } else {
    for (const auto& [index, entry] : unsettled_) {
      out.batch.series[index].labels = series.cache.labels(entry);
      out.batch.series[index].note = series.cache.note(entry);
    }
  }
  append_stale(series.cache, body.timestamp_ms, out);
  out.owners.push_back(series.cache.arena());
  if (series.cache.end(result.has_value())) scrape_metrics().cache_flush_forced.add();
  ScrapeMetrics& metrics = scrape_metrics();
  if (round.duplicates > 0) metrics.duplicate_timestamp.add(static_cast<double>(round.duplicates));
  if (round.out_of_bounds > 0) metrics.out_of_bounds.add(static_cast<double>(round.out_of_bounds));
  return result;
}

void ScrapeReader::read_nothing(TargetSeries& series, int64_t timestamp_ms, ScrapeBatch& out) {
  series.cache.begin(scratch_);
  series.cache.settle();
  append_stale(series.cache, timestamp_ms, out);
  out.owners.push_back(series.cache.arena());
  if (series.cache.end(false)) scrape_metrics().cache_flush_forced.add();
}

Result<void> ScrapeReader::read_lines(Round& round, const Body& body) {
  const config::ScrapeConfig& config = round.settings.config;
  const ingest::ExpositionFormat format =
      TRY(ingest::exposition_format(body.content_type, round.settings.fallback_format));
  const auto parser = ingest::make_exposition_parser(
      format, body.bytes,
      {.native_histograms = config.scrape_native_histograms,
       .always_classic_histograms = config.always_scrape_classic_histograms});
  while (true) {
    parser->expect(round.series.cache.expected_key());
    TRY(parser->next(line_));
    if (line_.kind == EntryKind::End) break;
    if (line_.kind == EntryKind::Sample || line_.kind == EntryKind::Histogram) {
      TRY(take_line(round, *parser, line_));
    } else {
      round.series.metadata.say(line_);
    }
  }
  if (round.over_sample_limit) {
    scrape_metrics().exceeded_sample_limit.add();
    if (round.over_bucket_limit) scrape_metrics().exceeded_bucket_limit.add();
    return core::fail(ErrorCode::LimitExceeded, "sample limit exceeded");
  }
  if (round.over_bucket_limit) {
    scrape_metrics().exceeded_bucket_limit.add();
    return core::fail(ErrorCode::LimitExceeded, "histogram bucket limit exceeded");
  }
  return {};
}

Result<void> ScrapeReader::take_line(Round& round, ingest::ExpositionParser& parser,
                                     ingest::Entry& line) {
  SeriesCache& cache = round.series.cache;
  const config::ScrapeConfig& config = round.settings.config;
  ++round.counts.scraped;
  const bool has_timestamp = config.honor_timestamps && line.timestamp_ms.has_value();
  const int64_t timestamp_ms = has_timestamp ? *line.timestamp_ms : round.timestamp_ms;
  const bool is_tracked = !has_timestamp || config.track_timestamps_staleness;

  const bool is_expected = !line.key.empty() && line.key == cache.expected_key();
  const SeriesKey key = is_expected ? SeriesKey() : hasher_(line.key);
  uint32_t entry = is_expected ? cache.take_expected() : cache.find(key);
  if (entry != SeriesCache::kUnknown) {
    const bool is_first = cache.meet(entry);
    if (cache.is_dropped(entry)) return {};
    ++round.counts.after_relabel;
    if (!is_first && !has_timestamp) {
      ++round.duplicates;
      return {};
    }
    if (append_sample(round, line, timestamp_ms, entry) && is_tracked) cache.track(entry);
    return {};
  }

  const std::string_view labels = TRY(make_labels(round, parser));
  if (labels.empty()) {
    cache.meet(cache.add(key, line.key, {}));
    return {};
  }
  ++round.counts.after_relabel;
  if (!append_sample(round, line, timestamp_ms, entry)) return {};
  // Only now: what was not appended has no end to be marked.
  entry = cache.add(key, line.key, labels);
  cache.meet(entry);
  if (is_tracked) cache.track(entry);
  unsettled_.emplace_back(round.out.batch.series.size() - 1, entry);
  if (!round.over_sample_limit && !round.over_bucket_limit) ++round.counts.added;
  return {};
}

Result<std::string_view> ScrapeReader::make_labels(const Round& round,
                                                   ingest::ExpositionParser& parser) {
  const config::ScrapeConfig& config = round.settings.config;
  exposed_.clear();
  TRY(parser.append_labels(exposed_));
  made_ = make_sample_labels(model::LabelsView(exposed_), round.target, config);
  if (made_.empty()) return std::string_view();
  if (made_.metric_name().empty()) {
    return core::fail(ErrorCode::InvalidArgument, "missing metric name (__name__ label)");
  }
  if (!is_valid(made_, config.name_scheme)) {
    return core::fail(ErrorCode::InvalidArgument, "invalid metric name or label names: {}",
                      made_.to_string());
  }
  if (Result<void> limits = check_label_limits(made_, config); !limits) {
    scrape_metrics().exceeded_label_limits.add();
    return tl::unexpected(std::move(limits).error());
  }
  return std::string_view(made_.bytes());
}

// False: it is not stored, which is counted. The order of the tests is Prometheus's.
bool ScrapeReader::append_sample(Round& round, ingest::Entry& line, int64_t timestamp_ms,
                                 uint32_t entry) {
  const config::ScrapeConfig& config = round.settings.config;
  const bool is_known = entry != SeriesCache::kUnknown;
  const bool is_histogram = line.kind == EntryKind::Histogram;
  if (is_histogram && !fit_buckets(line.histogram, round.settings.schema_max,
                                   config.native_histogram_bucket_limit)) {
    round.over_bucket_limit = true;
    return false;
  }
  const bool is_limited = is_histogram || !is_known || !model::is_stale_nan(line.value);
  if (config.sample_limit > 0 && is_limited && ++round.appended > config.sample_limit) {
    round.over_sample_limit = true;
    return false;
  }
  if (timestamp_ms > round.time_max_ms) {
    ++round.out_of_bounds;
    return false;
  }
  storage::WriteBatch& batch = round.out.batch;
  const std::string_view labels = is_known ? round.series.cache.labels(entry) : std::string_view();
  // Added in this very round, with a timestamp of its own for each line.
  if (is_known && labels.data() == nullptr) unsettled_.emplace_back(batch.series.size(), entry);
  batch.begin_series(labels, is_known ? round.series.cache.note(entry) : nullptr);
  if (is_histogram) {
    batch.add_histogram(timestamp_ms, std::move(line.histogram));
  } else {
    batch.add_sample(timestamp_ms, line.value);
  }
  if (!line.exemplars.empty()) append_exemplars(round, line, timestamp_ms);
  return true;
}

void ScrapeReader::append_exemplars(Round& round, ingest::Entry& line, int64_t timestamp_ms) {
  storage::WriteBatch& batch = round.out.batch;
  std::stable_sort(line.exemplars.begin(), line.exemplars.end(),
                   [](const auto& a, const auto& b) { return a.timestamp_ms < b.timestamp_ms; });
  for (model::Exemplar& one : line.exemplars) {
    if (one.timestamp_ms == 0) {
      // Of a native histogram nobody could tell a repeated exemplar from a new one.
      if (line.kind == EntryKind::Histogram) continue;
      one.timestamp_ms = timestamp_ms;
    }
    batch.exemplars.push_back(std::move(one));
  }
  batch.series.back().exemplars_end = static_cast<uint32_t>(batch.exemplars.size());
}

void ScrapeReader::append_stale(SeriesCache& cache, int64_t timestamp_ms, ScrapeBatch& out) {
  cache.for_each_stale([&](std::string_view labels) {
    out.batch.begin_series(labels);
    out.batch.add_sample(timestamp_ms, model::stale_nan());
  });
}

void ScrapeReader::report(const PoolSettings& settings, const TargetSeries& series,
                          const ScrapeReport& report, int64_t timestamp_ms, ScrapeBatch& out) {
  const auto add = [&](ReportSeries::Name name, double value) {
    out.batch.begin_series(series.report->labels(name));
    out.batch.add_sample(timestamp_ms, value);
  };
  add(ReportSeries::Up, report.is_up ? 1 : 0);
  add(ReportSeries::Duration, report.duration_s);
  add(ReportSeries::SamplesScraped, static_cast<double>(report.counts.scraped));
  add(ReportSeries::SamplesPostRelabeling, static_cast<double>(report.counts.after_relabel));
  add(ReportSeries::SeriesAdded, static_cast<double>(report.counts.added));
  if (settings.config.extra_scrape_metrics) {
    add(ReportSeries::Timeout, static_cast<double>(report.timeout_ms) / 1000);
    add(ReportSeries::SampleLimit, static_cast<double>(settings.config.sample_limit));
    add(ReportSeries::BodySize, report.body_bytes);
  }
  out.owners.push_back(series.report);
}

}  // namespace scrape
