#include "tsdb/cardinality.h"

#include "core/log.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

namespace tsdb {

using core::Result;
using storage::CardinalityReport;
using storage::CountChange;
using storage::HeadCardinality;
using storage::NamedCount;

namespace {

constexpr int64_t kDayMs = 24LL * 3'600'000;
// A younger record says nothing: series are still coming in after an installation.
constexpr int64_t kComparableMs = 3'600'000;
// What grew is looked for among so many of the largest, or more where more are asked for.
constexpr size_t kReportCounts = 1'000;
// A walk's result is used again for so many times as long as it took.
constexpr int64_t kReuseFactor = 20;
constexpr int64_t kReuseFromNs = 50'000'000;  // shorter walks are simply repeated
constexpr int64_t kReuseMaxNs = 30'000'000'000;
// A share of 10 % is known to a third of a percent.
constexpr size_t kFallbackSample = 8'192;
constexpr size_t kFallbackSampleMin = 64;  // of a tenant among many

core::DurationHistogram& walk_seconds() {
  static core::DurationHistogram& histogram = core::duration_histogram(
      "petrel_tsdb_cardinality_walk_seconds",
      "Time of a walk over all label pairs in memory, with the pauses between its slices.");
  return histogram;
}

core::Counter& record_failures() {
  static core::Counter& counter =
      core::counter("petrel_tsdb_cardinality_record_failures_total",
                    "Times that the counts for the comparison with yesterday were not stored.");
  return counter;
}

std::vector<NamedCount> first_of(const std::vector<NamedCount>& counts, size_t top) {
  return {counts.begin(), counts.begin() + static_cast<ptrdiff_t>(std::min(top, counts.size()))};
}

CountList list_of(const std::vector<NamedCount>& counts) {
  CountList list;
  for (const NamedCount& one : first_of(counts, kRecordCountsMax)) {
    list.counts.push_back({record_name(one.name), one.count});
  }
  if (counts.size() > kRecordCountsMax) list.floor = counts[kRecordCountsMax].count;
  return list;
}

// The lines of what is there now, and of what is gone if `counts` are all.
std::vector<CountChange> compare(const std::vector<NamedCount>& counts, const CountList& before,
                                 bool are_all) {
  std::unordered_map<std::string_view, uint64_t> old;
  for (const NamedCount& one : before.counts) old.emplace(one.name, one.count);
  std::vector<CountChange> lines;
  for (const NamedCount& one : counts) {
    CountChange& line = lines.emplace_back();
    line.name = one.name;
    line.count = one.count;
    const std::string key = record_name(one.name);
    if (const auto found = old.find(key); found != old.end()) {
      line.before = found->second;
      old.erase(found);
    } else if (before.floor == 0) {
      line.before = 0;
    }
    line.change = static_cast<int64_t>(one.count - line.before.value_or(before.floor));
    if (!line.before) line.change = std::max<int64_t>(line.change, 0);
  }
  if (!are_all) return lines;
  for (const auto& [name, count] : old) {
    lines.push_back({.name = std::string(name),
                     .count = 0,
                     .before = count,
                     .change = -static_cast<int64_t>(count)});
  }
  return lines;
}

// The `top` largest and the `top` that changed most, the largest first.
std::vector<CountChange> shortened(std::vector<CountChange> lines, size_t top) {
  const auto is_larger = [](const CountChange& a, const CountChange& b) {
    return a.count != b.count ? a.count > b.count : a.name < b.name;
  };
  std::sort(lines.begin(), lines.end(), is_larger);
  if (lines.size() <= top) return lines;
  const auto rest = lines.begin() + static_cast<ptrdiff_t>(top);
  std::stable_sort(rest, lines.end(), [](const CountChange& a, const CountChange& b) {
    return std::abs(a.change) > std::abs(b.change);
  });
  // Of the rest those only that changed at all.
  auto end = rest;
  while (end != lines.end() && end - rest < static_cast<ptrdiff_t>(top) && end->change != 0) ++end;
  lines.erase(end, lines.end());
  std::sort(lines.begin(), lines.end(), is_larger);
  return lines;
}

std::vector<CountChange> unchanged(const std::vector<NamedCount>& counts, size_t top) {
  std::vector<CountChange> lines;
  for (const NamedCount& one : first_of(counts, top)) {
    lines.push_back({.name = one.name, .count = one.count, .before = std::nullopt, .change = 0});
  }
  return lines;
}

}  // namespace

struct Cardinality::Counted {
  HeadCounts counts;
  bool with_targets = false;
  int64_t taken_ns = 0;  // monotonic
  int64_t cost_ns = 0;
};

Cardinality::Cardinality(const Engine& engine, core::FileSystem& files, const core::Clock& clock,
                         const std::string& data_dir)
    : engine_(engine),
      files_(files),
      clock_(clock),
      path_(data_dir + (data_dir.ends_with('/') ? "" : "/") + std::string(kFileName)) {
  Result<CardinalityRecords> records = load_cardinality_records(files_, path_);
  if (records) {
    records_ = std::move(*records);
  } else {
    core::log_warn("tsdb", "the counts of yesterday are lost, the comparison begins anew",
                   {{"error", records.error().message}});
  }
  record_failures();
  const auto gauge = [&](std::string_view name, std::string_view help, auto of) {
    callbacks_.push_back(core::callback_metric(core::MetricKind::Gauge, name, help, {}, [this, of] {
      double sum = 0;
      for (const model::TenantId& tenant : engine_.tenants()) {
        const auto totals = engine_.head_totals(tenant);
        if (totals) sum += static_cast<double>(of(*totals));
      }
      return sum;
    }));
  };
  gauge("petrel_tsdb_head_label_pairs", "Different label pairs in memory, of each tenant.",
        [](const storage::HeadTotals& totals) { return totals.label_pairs; });
  gauge("petrel_tsdb_head_label_names", "Different label names in memory, of each tenant.",
        [](const storage::HeadTotals& totals) { return totals.label_names; });
}

Result<std::shared_ptr<const Cardinality::Counted>> Cardinality::counted(
    const model::TenantId& tenant, bool with_targets) const {
  const std::lock_guard lock(walk_mutex_);
  const int64_t now_ns = clock_.monotonic_ns();
  if (const auto found = counted_.find(tenant); found != counted_.end()) {
    const Counted& known = *found->second;
    const int64_t age_ns = now_ns - known.taken_ns;
    const bool is_fresh = known.cost_ns >= kReuseFromNs &&
                          age_ns < std::min(known.cost_ns * kReuseFactor, kReuseMaxNs);
    if (is_fresh && (known.with_targets || !with_targets)) return found->second;
    counted_.erase(found);
  }
  auto fresh = std::make_shared<Counted>();
  fresh->with_targets = with_targets;
  fresh->counts = TRY(engine_.count_head(tenant, {.top = kTopMax, .with_targets = with_targets}));
  fresh->taken_ns = clock_.monotonic_ns();
  fresh->cost_ns = fresh->taken_ns - now_ns;
  walk_seconds().observe(static_cast<double>(fresh->cost_ns) / 1e9);
  // Kept only where it saves something: a result of many long names is megabytes.
  if (fresh->cost_ns >= kReuseFromNs) {
    counted_.clear();
    counted_.emplace(tenant, fresh);
  }
  return std::shared_ptr<const Counted>(std::move(fresh));
}

Result<HeadCardinality> Cardinality::head(const model::TenantId& tenant, size_t top) const {
  const auto known = TRY(counted(tenant, false));
  const HeadCounts& counts = known->counts;
  return HeadCardinality{.totals = counts.totals,
                         .series_by_metric = first_of(counts.metrics, top),
                         .values_by_label = first_of(counts.labels, top),
                         .bytes_by_label = first_of(counts.label_bytes, top),
                         .series_by_pair = first_of(counts.pairs, top)};
}

const CardinalityRecord* Cardinality::record_to_compare(const model::TenantId& tenant) const {
  const auto found = records_.find(tenant);
  if (found == records_.end() || found->second.empty()) return nullptr;
  const std::vector<CardinalityRecord>& all = found->second;
  const int64_t now_ms = clock_.now_ms();
  if (all.front().time_ms > now_ms - kComparableMs) return nullptr;
  const int64_t wanted_ms = now_ms - kDayMs;
  const CardinalityRecord* best = &all.front();
  for (const CardinalityRecord& one : all) {
    if (one.time_ms <= wanted_ms) best = &one;
  }
  return best;
}

Result<CardinalityReport> Cardinality::report(const model::TenantId& tenant, size_t top) const {
  const auto known = TRY(counted(tenant, true));
  const HeadCounts& counts = known->counts;
  CardinalityReport report;
  report.time_ms = clock_.now_ms();
  report.totals = counts.totals;
  const size_t size = std::max(top, kReportCounts);
  const std::array<std::vector<NamedCount>, CardinalityRecord::kKinds> lists = {
      first_of(counts.metrics, size), first_of(counts.labels, size), first_of(counts.pairs, size),
      first_of(counts.targets, size)};
  const std::array<std::vector<CountChange>*, CardinalityRecord::kKinds> outputs = {
      &report.metrics, &report.labels, &report.pairs, &report.targets};
  {
    const std::lock_guard lock(records_mutex_);
    const CardinalityRecord* const before = record_to_compare(tenant);
    if (before != nullptr) {
      report.since_ms = before->time_ms;
      report.series_before = before->series;
    }
    for (size_t kind = 0; kind < CardinalityRecord::kKinds; ++kind) {
      *outputs[kind] =
          before == nullptr
              ? unchanged(lists[kind], top)
              : shortened(compare(lists[kind], before->lists[kind], lists[kind].size() < size),
                          top);
    }
  }
  report.churn = TRY(engine_.churn(tenant, top));
  report.fallback = TRY(engine_.sample_fallback(tenant, kFallbackSample));
  if (report.fallback.metrics.size() > top) report.fallback.metrics.resize(top);
  return report;
}

Result<storage::HeadTotals> Cardinality::totals(const model::TenantId& tenant) const {
  return engine_.head_totals(tenant);
}

SeriesScope Cardinality::head_scope(const storage::CardinalityScope& scope) const {
  SeriesScope result;
  result.matchers = scope.matchers;
  if (scope.active_only) result.active_from_ms = clock_.now_ms() - kActiveMs;
  return result;
}

Result<std::vector<NamedCount>> Cardinality::label_names(
    const storage::CardinalityScope& scope) const {
  auto counts = TRY(engine_.count_values(scope.tenant, head_scope(scope)));
  std::sort(counts.begin(), counts.end(), [](const NamedCount& a, const NamedCount& b) {
    return a.count != b.count ? a.count > b.count : a.name < b.name;
  });
  return counts;
}

Result<std::vector<storage::LabelCardinality>> Cardinality::label_values(
    const storage::CardinalityScope& scope, const std::vector<std::string>& names,
    size_t top) const {
  return engine_.count_by_value(scope.tenant, head_scope(scope), names, top);
}

Result<std::vector<std::string>> Cardinality::label_sets(const storage::CardinalityScope& scope,
                                                         size_t bytes_max) const {
  return engine_.head_label_sets(scope.tenant, head_scope(scope), bytes_max);
}

Result<void> Cardinality::take_record(const model::TenantId& tenant) {
  if (TRY(engine_.head_totals(tenant)).series == 0) return {};
  const auto known = TRY(counted(tenant, true));
  const HeadCounts& counts = known->counts;
  CardinalityRecord record;
  record.time_ms = clock_.now_ms();
  record.series = counts.totals.series;
  record.lists = {list_of(counts.metrics), list_of(counts.labels), list_of(counts.pairs),
                  list_of(counts.targets)};
  const std::lock_guard lock(records_mutex_);
  std::vector<CardinalityRecord>& all = records_[tenant];
  // A clock that was set back makes records of the future worthless.
  std::erase_if(all, [&](const CardinalityRecord& one) { return one.time_ms > record.time_ms; });
  all.push_back(std::move(record));
  if (all.size() > kRecordsMax) all.erase(all.begin());
  is_unstored_ = true;
  return {};
}

void Cardinality::forget_old_tenants() {
  const int64_t before_ms = clock_.now_ms() - 3 * kDayMs;
  const std::lock_guard lock(records_mutex_);
  std::erase_if(records_, [&](const auto& one) {
    return one.second.empty() || one.second.back().time_ms < before_ms;
  });
}

void Cardinality::forget_old_walks() {
  const std::lock_guard lock(walk_mutex_);
  std::erase_if(counted_, [&](const auto& one) {
    return clock_.monotonic_ns() - one.second->taken_ns >= kReuseMaxNs;
  });
}

void Cardinality::tick(bool may_write) {
  const int64_t slot = clock_.now_ms() / kRecordEveryMs;
  storage::FallbackShare all;
  const std::vector<model::TenantId> tenants = engine_.tenants();
  const size_t sample_size = std::max(kFallbackSampleMin, kFallbackSample / (tenants.size() + 1));
  for (const model::TenantId& tenant : tenants) {
    if (const auto share = engine_.sample_fallback(tenant, sample_size)) {
      all.sampled += share->sampled;
      all.raw += share->raw;
    }
    bool is_due = true;
    {
      const std::lock_guard lock(records_mutex_);
      const auto found = records_.find(tenant);
      if (found != records_.end() && !found->second.empty()) {
        is_due = found->second.back().time_ms / kRecordEveryMs != slot;
      }
    }
    if (!is_due) continue;
    if (const Result<void> taken = take_record(tenant); !taken) {
      core::log_warn("tsdb", "series could not be counted",
                     {{"tenant", tenant}, {"error", taken.error().message}});
    }
  }
  static core::Gauge& ratio = core::gauge(
      "petrel_tsdb_fallback_series_ratio",
      "Share of the series that store their values as raw bits, of a sample of those in memory.");
  if (all.sampled > 0) {
    ratio.set(static_cast<double>(all.raw) / static_cast<double>(all.sampled));
  }
  forget_old_tenants();
  forget_old_walks();
  if (!is_unstored_ || !may_write) return;
  CardinalityRecords copy;
  {
    const std::lock_guard lock(records_mutex_);
    copy = records_;
  }
  const Result<void> stored = store_cardinality_records(files_, path_, copy);
  is_unstored_ = !stored.has_value();
  if (stored) return;
  record_failures().add();
  core::log_warn("tsdb",
                 "counts for the comparison with yesterday are not stored, it will be "
                 "tried again",
                 {{"error", stored.error().message}});
}

}  // namespace tsdb
