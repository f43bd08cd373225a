#include "tsdb/testing/crash_model.h"

#include "core/crc32c.h"
#include "encoding/chunk.h"

#include <algorithm>
#include <bit>
#include <fmt/core.h>
#include <set>

namespace tsdb::testing {

using model::LabelsView;

namespace {

std::string describe(const ModelSeries& series, SampleKind kind, int64_t time_ms) {
  return fmt::format("{} at {}{}", series.labels.to_string(), time_ms,
                     kind == SampleKind::Histogram ? " (histogram)" : "");
}

bool selects(const CrashModel::Query& query, const ModelSeries& series) {
  return series.tenant == query.tenant && model::matches_all(query.matchers, series.labels.view());
}

}  // namespace

uint64_t bits_of(double value) {
  return std::bit_cast<uint64_t>(value);
}

uint64_t bits_of(const model::Histogram& histogram) {
  std::string bytes;
  encoding::append_histogram_chunk(bytes, std::vector<model::HistogramSample>{{0, histogram}});
  return (uint64_t{core::crc32c(bytes)} << 32U) | core::crc32c(bytes, 1);
}

bool ModelSample::has_acknowledged() const {
  return std::any_of(versions.begin(), versions.end(),
                     [](const Version& one) { return one.acknowledged; });
}

bool ModelSample::allows(uint64_t bits, bool any) const {
  for (const Version& one : versions) {
    if (one.bits == bits) return true;
    if (one.acknowledged && !any) return false;
  }
  return false;
}

Reading read_all(storage::SeriesSet& set) {
  Reading reading;
  storage::SeriesBatch batch;
  while (true) {
    const core::Result<bool> more = set.next(batch);
    if (!more) {
      reading.error = more.error().message;
      return reading;
    }
    if (!*more) break;
    for (size_t i = 0; i < batch.size(); ++i) {
      Reading::Series& one = reading.series.emplace_back();
      one.labels = batch.labels[i];
      const auto times = batch.timestamps_of(i);
      const auto values = batch.values_of(i);
      for (size_t j = 0; j < times.size(); ++j) {
        one.samples[0].emplace_back(times[j], bits_of(values[j]));
      }
      for (const model::HistogramSample& sample : batch.histograms_of(i)) {
        one.samples[1].emplace_back(sample.timestamp_ms, bits_of(sample.histogram));
      }
    }
  }
  reading.warnings = set.warnings();
  return reading;
}

uint32_t CrashModel::series_of(const std::string& tenant, const model::Labels& labels) {
  std::string key = tenant;
  key.push_back('\0');
  key += labels.bytes();
  const auto [found, is_new] = by_labels_.try_emplace(key, series_.size());
  if (is_new)
    series_.push_back({.tenant = tenant, .labels = labels, .samples = {}, .exemplars = {}});
  return found->second;
}

ModelSample* CrashModel::find(uint32_t series, SampleKind kind, int64_t time_ms) {
  auto& samples = series_[series].samples[static_cast<size_t>(kind)];
  const auto found = samples.find(time_ms);
  return found == samples.end() ? nullptr : &found->second;
}

void CrashModel::send(uint32_t series, SampleKind kind, int64_t time_ms, uint64_t bits) {
  ModelSample& sample = series_[series].samples[static_cast<size_t>(kind)][time_ms];
  sample.versions.push_back({.bits = bits});
  sample.changed = ++step_;
}

void CrashModel::may_have_stored(const std::string& tenant, int64_t time_ms) {
  const auto newest = newest_ms_.try_emplace(tenant, time_ms).first;
  newest->second = std::max(newest->second, time_ms);
}

void CrashModel::acknowledge(uint32_t series, SampleKind kind, int64_t time_ms, uint64_t bits) {
  ModelSample* const sample = find(series, kind, time_ms);
  if (sample == nullptr) return;
  for (auto one = sample->versions.rbegin(); one != sample->versions.rend(); ++one) {
    if (one->bits != bits || one->acknowledged) continue;
    one->acknowledged = true;
    ++acknowledged_;
    may_have_stored(series_[series].tenant, time_ms);
    return;
  }
}

void CrashModel::refuse(uint32_t series, SampleKind kind, int64_t time_ms, uint64_t bits) {
  ModelSample* const sample = find(series, kind, time_ms);
  if (sample == nullptr) return;
  for (size_t i = sample->versions.size(); i-- > 0;) {
    if (sample->versions[i].bits != bits || sample->versions[i].acknowledged) continue;
    sample->versions.erase(sample->versions.begin() + static_cast<ptrdiff_t>(i));
    break;
  }
  if (sample->versions.empty()) {
    series_[series].samples[static_cast<size_t>(kind)].erase(time_ms);
  }
}

bool CrashModel::was_sent(uint32_t series, SampleKind kind, int64_t time_ms) const {
  const auto& samples = series_[series].samples[static_cast<size_t>(kind)];
  return samples.contains(time_ms) || gone_.contains({series, static_cast<size_t>(kind), time_ms});
}

std::optional<int64_t> CrashModel::newest_ms(const std::string& tenant) const {
  const auto found = newest_ms_.find(tenant);
  if (found == newest_ms_.end()) return std::nullopt;
  return found->second;
}

void CrashModel::send_exemplar(uint32_t series, uint64_t number, const model::Exemplar& exemplar) {
  series_[series].exemplars[number] = {.exemplar = exemplar};
}

void CrashModel::acknowledge_exemplar(uint32_t series, uint64_t number) {
  series_[series].exemplars[number].acknowledged = true;
}

void CrashModel::send_metadata(const std::string& tenant, const model::Metadata& metadata) {
  metadata_[{tenant, metadata.metric}].push_back({metadata, false});
}

void CrashModel::acknowledge_metadata(const std::string& tenant, const model::Metadata& metadata) {
  metadata_[{tenant, metadata.metric}].back().acknowledged = true;
}

void CrashModel::erase(const std::string& tenant, const std::vector<model::Matchers>& selectors,
                       model::TimeRange range, bool certain) {
  UncertainErase uncertain{.tenant = tenant, .samples = {}};
  for (uint32_t i = 0; i < series_.size(); ++i) {
    ModelSeries& series = series_[i];
    if (series.tenant != tenant) continue;
    const bool selected =
        std::any_of(selectors.begin(), selectors.end(), [&](const model::Matchers& matchers) {
          return model::matches_all(matchers, series.labels.view());
        });
    if (!selected) continue;
    for (const SampleKind kind : {SampleKind::Float, SampleKind::Histogram}) {
      auto& samples = series.samples[static_cast<size_t>(kind)];
      const auto begin = samples.lower_bound(range.start_ms);
      const auto end = samples.lower_bound(range.end_ms);
      if (certain) {
        samples.erase(begin, end);
        continue;
      }
      for (auto sample = begin; sample != end; ++sample) {
        const bool was_there = sample->second.has_acknowledged();
        for (Version& one : sample->second.versions) one.acknowledged = false;
        sample->second.changed = ++step_;
        if (was_there) uncertain.samples.push_back({{i, kind, sample->first}, step_});
      }
    }
    for (auto& [number, exemplar] : series.exemplars) exemplar.acknowledged = false;
  }
  if (!certain) uncertain_.push_back(std::move(uncertain));
}

uint64_t CrashModel::carried_weight(const std::string& tenant, int64_t from_ms) const {
  uint64_t weight = 0;
  for (const ModelSeries& series : series_) {
    if (series.tenant != tenant) continue;
    for (size_t kind = 0; kind < 2; ++kind) {
      const auto& samples = series.samples[kind];
      const auto count = std::distance(samples.lower_bound(from_ms), samples.end());
      // The newest one is none.
      if (count > 1) weight += static_cast<uint64_t>(count - 1) * (kind == 0 ? 1 : 16);
    }
  }
  return weight;
}

void CrashModel::may_be_gone(const std::string& tenant, model::TimeRange range) {
  for (ModelSeries& series : series_) {
    if (series.tenant != tenant) continue;
    for (auto& samples : series.samples) {
      const auto end = samples.lower_bound(range.end_ms);
      for (auto sample = samples.lower_bound(range.start_ms); sample != end; ++sample) {
        for (Version& one : sample->second.versions) one.acknowledged = false;
        sample->second.changed = ++step_;
      }
    }
  }
}

void CrashModel::forget_gone(const std::string& tenant, const Reading& reading) {
  std::unordered_map<std::string, const Reading::Series*> read;
  for (const Reading::Series& one : reading.series) read[one.labels.bytes()] = &one;
  for (uint32_t i = 0; i < series_.size(); ++i) {
    ModelSeries& series = series_[i];
    if (series.tenant != tenant) continue;
    const auto found = read.find(series.labels.bytes());
    for (size_t kind = 0; kind < 2; ++kind) {
      std::set<int64_t> times;
      if (found != read.end()) {
        for (const auto& [time_ms, bits] : found->second->samples[kind]) times.insert(time_ms);
      }
      std::erase_if(series.samples[kind], [&](const auto& one) {
        const bool may_be_gone =
            !one.second.has_acknowledged() || is_past_retention(tenant, one.first);
        if (!may_be_gone || times.contains(one.first)) return false;
        gone_.emplace(i, kind, one.first);
        return true;
      });
    }
  }
}

bool CrashModel::is_past_retention(const std::string& tenant, int64_t time_ms) const {
  if (retention_.time_ms == 0) return false;
  const std::optional<int64_t> newest = newest_ms(tenant);
  return newest && time_ms < *newest - retention_.time_ms;
}

std::optional<std::string> CrashModel::compare(const Moment& now, const Moment* then,
                                               const Query& query, const Reading& reading) const {
  const bool is_complete = !reading.error && reading.warnings.empty();
  const auto sample_at = [](const Moment& moment, uint32_t series, size_t kind, int64_t time_ms) {
    const ModelSample* none = nullptr;
    if (series >= moment.size()) return none;
    const auto found = moment[series].samples[kind].find(time_ms);
    return found == moment[series].samples[kind].end() ? none : &found->second;
  };
  std::vector<const Reading::Series*> by_series(now.size());
  for (const Reading::Series& one : reading.series) {
    std::string key = query.tenant;
    key.push_back('\0');
    key += one.labels.bytes();
    const auto found = by_labels_.find(key);
    if (found == by_labels_.end() || found->second >= now.size()) {
      return fmt::format("a series that tenant {} never sent: {}", query.tenant,
                         one.labels.to_string());
    }
    if (by_series[found->second] != nullptr) {
      return fmt::format("a series twice: {}", one.labels.to_string());
    }
    if (!selects(query, now[found->second])) {
      return fmt::format("a series that does not match: {}", one.labels.to_string());
    }
    by_series[found->second] = &one;
  }
  for (uint32_t i = 0; i < now.size(); ++i) {
    const ModelSeries& series = now[i];
    for (const SampleKind kind : {SampleKind::Float, SampleKind::Histogram}) {
      const auto at = static_cast<size_t>(kind);
      std::set<int64_t> read_times;
      if (by_series[i] != nullptr) {
        for (const auto& [time_ms, bits] : by_series[i]->samples[at]) {
          if (!query.range.contains(time_ms)) {
            return "outside of the range: " + describe(series, kind, time_ms);
          }
          if (!read_times.insert(time_ms).second) {
            return "twice: " + describe(series, kind, time_ms);
          }
          const ModelSample* const newer = sample_at(now, i, at, time_ms);
          const ModelSample* const older =
              then == nullptr ? nullptr : sample_at(*then, i, at, time_ms);
          if (newer == nullptr && older == nullptr) {
            if (then != nullptr && gone_.contains({i, at, time_ms})) continue;
            return "never sent, or deleted: " + describe(series, kind, time_ms);
          }
          // Where retention or damage takes the first value a later one may show.
          const bool any = !is_complete || is_past_retention(series.tenant, time_ms);
          const bool allowed = (newer != nullptr && newer->allows(bits, any)) ||
                               (older != nullptr && older->allows(bits, any));
          if (!allowed) {
            return fmt::format("changed: {} is {:016x}", describe(series, kind, time_ms), bits);
          }
        }
      }
      if (!is_complete || !selects(query, series)) continue;
      const auto begin = series.samples[at].lower_bound(query.range.start_ms);
      const auto end = series.samples[at].lower_bound(query.range.end_ms);
      for (auto sample = begin; sample != end; ++sample) {
        if (!sample->second.has_acknowledged() || read_times.contains(sample->first)) continue;
        if (is_past_retention(series.tenant, sample->first)) continue;
        if (then != nullptr) {
          const ModelSample* const older = sample_at(*then, i, at, sample->first);
          if (older == nullptr || !older->has_acknowledged()) continue;
        }
        return "lost: " + describe(series, kind, sample->first);
      }
    }
  }
  return std::nullopt;
}

std::optional<std::string> CrashModel::check(const Query& query, const Reading& reading,
                                             const Moment* opened) const {
  return compare(series_, opened, query, reading);
}

std::optional<std::string> CrashModel::check_copy(const Moment& moment, const Query& query,
                                                  const Reading& reading) const {
  return compare(moment, nullptr, query, reading);
}

std::optional<std::string> CrashModel::check_exemplars(
    const std::string& tenant, const std::vector<storage::ExemplarSeries>& found) const {
  std::map<const ModelSeries*, std::set<uint64_t>> read;
  for (const storage::ExemplarSeries& one : found) {
    std::string key = tenant;
    key.push_back('\0');
    key += one.labels.bytes();
    const auto known = by_labels_.find(key);
    if (known == by_labels_.end()) {
      return "exemplars of a series never sent: " + one.labels.to_string();
    }
    const ModelSeries& series = series_[known->second];
    for (const model::Exemplar& exemplar : one.exemplars) {
      const uint64_t number =
          std::strtoull(std::string(exemplar.labels.get("id")).c_str(), nullptr, 10);
      const auto sent = series.exemplars.find(number);
      if (sent == series.exemplars.end() || !(sent->second.exemplar.labels == exemplar.labels) ||
          !model::same_bits(sent->second.exemplar.value, exemplar.value) ||
          sent->second.exemplar.timestamp_ms != exemplar.timestamp_ms) {
        return fmt::format("exemplar never sent: {} of {}", number, one.labels.to_string());
      }
      if (!read[&series].insert(number).second) {
        return fmt::format("exemplar twice: {} of {}", number, one.labels.to_string());
      }
    }
  }
  for (const ModelSeries& series : series_) {
    if (series.tenant != tenant) continue;
    for (const auto& [number, exemplar] : series.exemplars) {
      if (!exemplar.acknowledged || read[&series].contains(number)) continue;
      return fmt::format("exemplar lost: {} of {}", number, series.labels.to_string());
    }
  }
  return std::nullopt;
}

std::optional<std::string> CrashModel::check_metadata(
    const std::string& tenant, const std::vector<model::Metadata>& found) const {
  for (const model::Metadata& one : found) {
    const auto sent = metadata_.find({tenant, one.metric});
    bool allowed = false;
    if (sent != metadata_.end()) {
      for (auto version = sent->second.rbegin(); version != sent->second.rend(); ++version) {
        if (version->metadata == one) allowed = true;
        if (allowed || version->acknowledged) break;
      }
    }
    if (!allowed) return fmt::format("metadata of {}: {} is not what it was", one.metric, one.help);
  }
  for (const auto& [key, versions] : metadata_) {
    if (key.first != tenant) continue;
    const bool acknowledged = std::any_of(versions.begin(), versions.end(),
                                          [](const auto& one) { return one.acknowledged; });
    const bool is_there = std::any_of(found.begin(), found.end(),
                                      [&](const auto& one) { return one.metric == key.second; });
    if (acknowledged && !is_there) return "metadata lost: " + key.second;
  }
  return std::nullopt;
}

std::vector<const ModelSeries*> CrashModel::expected_series(const Query& query) const {
  std::vector<const ModelSeries*> expected;
  for (const ModelSeries& series : series_) {
    if (!selects(query, series)) continue;
    const auto has_sample = [&](const std::map<int64_t, ModelSample>& samples) {
      return std::any_of(samples.lower_bound(query.range.start_ms),
                         samples.lower_bound(query.range.end_ms), [&](const auto& one) {
                           return one.second.has_acknowledged() &&
                                  !is_past_retention(series.tenant, one.first);
                         });
    };
    if (has_sample(series.samples[0]) || has_sample(series.samples[1])) {
      expected.push_back(&series);
    }
  }
  return expected;
}

std::optional<std::string> CrashModel::settle(const std::string& tenant, const Reading& reading) {
  std::unordered_map<std::string, const Reading::Series*> read;
  for (const Reading::Series& one : reading.series) read[one.labels.bytes()] = &one;
  std::optional<std::string> broken;
  std::erase_if(uncertain_, [&](const UncertainErase& erase) {
    if (erase.tenant != tenant) return false;
    std::optional<Expected> there;
    std::optional<Expected> gone;
    for (const auto& [one, changed] : erase.samples) {
      const ModelSample* const sample = find(one.series, one.kind, one.time_ms);
      if (sample == nullptr || sample->changed != changed) continue;  // something else since
      if (is_past_retention(tenant, one.time_ms)) continue;
      const auto found = read.find(series_[one.series].labels.bytes());
      bool is_there = false;
      if (found != read.end()) {
        const auto& samples = found->second->samples[static_cast<size_t>(one.kind)];
        is_there = std::any_of(samples.begin(), samples.end(),
                               [&](const auto& each) { return each.first == one.time_ms; });
      }
      (is_there ? there : gone) = one;
    }
    if (there && gone && !broken) {
      broken = fmt::format("a deletion that happened in part: {} is there, {} is gone",
                           describe(series_[there->series], there->kind, there->time_ms),
                           describe(series_[gone->series], gone->kind, gone->time_ms));
    }
    return true;
  });
  for (ModelSeries& series : series_) {
    if (series.tenant != tenant) continue;
    const auto found = read.find(series.labels.bytes());
    for (size_t kind = 0; kind < 2; ++kind) {
      std::map<int64_t, ModelSample> settled;
      if (found != read.end()) {
        for (const auto& [time_ms, bits] : found->second->samples[kind]) {
          ModelSample& one = settled[time_ms];
          one = {.versions = {{.bits = bits, .acknowledged = true}}, .changed = ++step_};
          // The others stay behind it, where retention or damage may show them.
          for (const Version& other : series.samples[kind][time_ms].versions) {
            if (other.bits != bits) one.versions.push_back(other);
          }
        }
      }
      series.samples[kind] = std::move(settled);
    }
  }
  return broken;
}

void CrashModel::settle_exemplars(const std::string& tenant,
                                  const std::vector<storage::ExemplarSeries>& found) {
  std::map<std::string, std::set<uint64_t>> read;
  for (const storage::ExemplarSeries& one : found) {
    for (const model::Exemplar& exemplar : one.exemplars) {
      read[one.labels.bytes()].insert(
          std::strtoull(std::string(exemplar.labels.get("id")).c_str(), nullptr, 10));
    }
  }
  for (ModelSeries& series : series_) {
    if (series.tenant != tenant) continue;
    const std::set<uint64_t>& numbers = read[series.labels.bytes()];
    std::erase_if(series.exemplars, [&](const auto& one) { return !numbers.contains(one.first); });
    for (auto& [number, exemplar] : series.exemplars) exemplar.acknowledged = true;
  }
}

void CrashModel::settle_metadata(const std::string& tenant,
                                 const std::vector<model::Metadata>& found) {
  std::erase_if(metadata_, [&](const auto& one) { return one.first.first == tenant; });
  for (const model::Metadata& one : found) metadata_[{tenant, one.metric}] = {{one, true}};
}

}  // namespace tsdb::testing
