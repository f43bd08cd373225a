// Whether a series that the head does not know may come in. Known ones are never asked:
// their samples pass whatever the limits have become.

#include "tsdb/head.h"

#include <algorithm>

namespace tsdb {

using model::LabelsView;
using storage::AppendSummary;
using storage::BatchSeries;
using storage::RefusalReason;
using storage::WriteBatch;
using tenant::limit_name;
using tenant::Limits;

namespace {

// Of a series' text in a refusal.
constexpr size_t kShownMax = 300;

std::string shown(LabelsView labels) {
  std::string text = labels.to_string();
  if (text.size() > kShownMax) text = text.substr(0, kShownMax) + "...";
  return text;
}

// What an error names: key, value and tenant.
std::string place_of(size_t Limits::* field, const model::TenantId& tenant) {
  return fmt::format("limits.{}, tenant \"{}\"", limit_name(field), tenant);
}

// "" when every label is within its limit.
std::string excess_of(LabelsView labels, const Limits& limits, const model::TenantId& tenant) {
  // Nearly every set is so small as a whole that no part of it can be too large.
  constexpr size_t kLabelBytesMin = 8;  // three tags, three sizes, a name and a value
  const size_t all_bytes = labels.bytes().size();
  const size_t size_max = std::min(
      {limits.label_name_size_max, limits.metric_name_size_max, limits.label_value_size_max});
  if (all_bytes <= size_max && all_bytes / kLabelBytesMin <= limits.labels_max) return {};

  size_t count = 0;
  const auto too_long = [&](std::string_view what, size_t size, size_t Limits::* field) {
    return fmt::format("{} of {} bytes, allowed are {} ({})", what, size, limits.*field,
                       place_of(field, tenant));
  };
  for (const auto& [name, value] : labels) {
    ++count;
    if (name.size() > limits.label_name_size_max) {
      return too_long("label name", name.size(), &Limits::label_name_size_max);
    }
    if (name == model::kMetricName) {
      if (value.size() <= limits.metric_name_size_max) continue;
      return too_long("metric name", value.size(), &Limits::metric_name_size_max);
    }
    if (value.size() > limits.label_value_size_max) {
      return too_long(fmt::format("value of label {}", name), value.size(),
                      &Limits::label_value_size_max);
    }
  }
  if (count <= limits.labels_max) return {};
  return fmt::format("{} labels, allowed are {} ({})", count, limits.labels_max,
                     place_of(&Limits::labels_max, tenant));
}

// The end of a series that is not there: nothing to mark, and nothing worth an error.
bool has_stale_markers_only(const WriteBatch& batch, const BatchSeries& one) {
  if (one.histograms_end != one.histograms_begin || one.samples_end == one.samples_begin) {
    return false;
  }
  const auto samples = batch.samples_of(one);
  return std::all_of(samples.begin(), samples.end(),
                     [](const model::Sample& sample) { return model::is_stale_nan(sample.value); });
}

}  // namespace

bool Head::refuses_new(LabelsView labels, const WriteBatch& batch, const BatchSeries& one,
                       AppendSummary& summary) {
  const tenant::ResolvedLimits& limits = *limits_;
  const size_t series_max = limits.series_max;
  const size_t live = index_.live_count();
  const bool is_full = series_max != 0 && live >= series_max;
  const bool is_instance_full = instance_series_max_ != 0 && share_.series >= instance_series_max_;
  if ((is_full || is_instance_full) && has_stale_markers_only(batch, one)) {
    ++summary.dropped;
    return true;
  }
  const uint64_t samples = std::max<uint64_t>(
      (one.samples_end - one.samples_begin) + (one.histograms_end - one.histograms_begin), 1);
  const auto refuse = [&](RefusalReason reason, const auto& text) {
    const bool is_told = summary.examples.size() < AppendSummary::kExamplesMax;
    summary.refuse(reason, samples, is_told ? text() : std::string());
    return true;
  };
  if (const std::string excess = excess_of(labels, limits, tenant_); !excess.empty()) {
    return refuse(RefusalReason::LabelLimit, [&] { return shown(labels) + ": " + excess; });
  }
  if (is_full) {
    return refuse(RefusalReason::SeriesLimit, [&] {
      return fmt::format("per-tenant series limit of {} reached ({}), new series refused: {}",
                         series_max, place_of(&Limits::series_max, tenant_), shown(labels));
    });
  }
  if (is_instance_full) {
    return refuse(RefusalReason::SeriesLimit, [&] {
      return fmt::format(
          "limit of {} series of all tenants reached (instance_limits.max_series), new series "
          "refused: {}",
          instance_series_max_, shown(labels));
    });
  }
  const int64_t wait_ms =
      new_series_.take(1, limits.new_series_rate, limits.new_series_burst, monotonic_ns_);
  if (wait_ms == 0) return false;
  summary.retry_after_ms = std::max(summary.retry_after_ms, wait_ms);
  return refuse(RefusalReason::NewSeriesRate, [&] {
    return fmt::format(
        "per-tenant limit of {} new series per second reached ({}), refused for now: {}",
        limits.new_series_rate, place_of(&Limits::new_series_rate, tenant_), shown(labels));
  });
}

}  // namespace tsdb
