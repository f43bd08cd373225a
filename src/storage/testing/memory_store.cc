#include "storage/testing/memory_store.h"

#include <algorithm>
#include <set>

namespace storage::testing {
namespace {

class MemorySet final : public SeriesSet {
 public:
  explicit MemorySet(SeriesBatch all) : all_(std::move(all)) {}

  core::Result<bool> next(SeriesBatch& batch) override {
    batch.clear();
    if (done_) return false;
    done_ = true;
    batch = std::move(all_);
    return batch.size() > 0;
  }

 private:
  SeriesBatch all_;
  bool done_ = false;
};

}  // namespace

core::Result<AppendSummary> MemoryStore::append(const WriteBatch& batch) {
  const std::lock_guard lock(mutex_);
  if (append_error_) return tl::unexpected(*append_error_);
  AppendSummary summary;
  for (const BatchSeries& one : batch.series) {
    const core::Result<model::Labels> labels = model::canonical(model::LabelsView(one.labels));
    const std::span<const model::Sample> samples = batch.samples_of(one);
    const std::span<const model::HistogramSample> histograms = batch.histograms_of(one);
    if (!labels) {
      summary.refuse(RefusalReason::InvalidLabels, samples.size() + histograms.size(),
                     labels.error().message);
      continue;
    }
    Content& content = series_[{batch.tenant, *labels}];
    for (const model::Sample& sample : samples) {
      const auto [at, is_new] = content.samples.try_emplace(sample.timestamp_ms, sample.value);
      if (is_new) {
        ++summary.stored;
      } else if (model::same_bits(at->second, sample.value)) {
        ++summary.duplicates;
      } else {
        summary.refuse(RefusalReason::Conflict, 1, labels->to_string());
      }
    }
    for (const model::HistogramSample& sample : histograms) {
      const bool is_new =
          content.histograms.try_emplace(sample.timestamp_ms, sample.histogram).second;
      ++(is_new ? summary.stored : summary.duplicates);
      ++summary.histograms;
    }
    for (const model::Exemplar& exemplar : batch.exemplars_of(one)) {
      content.exemplars.push_back(exemplar);
      ++summary.exemplars;
    }
  }
  for (const model::Metadata& one : batch.metadata) metadata_[{batch.tenant, one.metric}] = one;
  return summary;
}

template <typename Visit>
void MemoryStore::for_each(const LabelsRequest& request, Visit visit) const {
  for (const auto& [key, content] : series_) {
    if (key.first != request.tenant) continue;
    const model::Labels& labels = key.second;
    const bool matches =
        request.matchers.empty() ||
        std::any_of(request.matchers.begin(), request.matchers.end(),
                    [&labels](const model::Matchers& all) { return matches_all(all, labels); });
    if (!matches) continue;
    const auto has_sample = [&request](const auto& samples) {
      const auto first = samples.lower_bound(request.range.start_ms);
      return first != samples.end() && first->first < request.range.end_ms;
    };
    if (has_sample(content.samples) || has_sample(content.histograms)) visit(labels, content);
  }
}

core::Result<std::unique_ptr<SeriesSet>> MemoryStore::select(const SelectRequest& request) const {
  const std::lock_guard lock(mutex_);
  if (read_error_) return tl::unexpected(*read_error_);
  SeriesBatch batch;
  for_each({.tenant = request.tenant, .matchers = {request.matchers}, .range = request.range},
           [&](const model::Labels& labels, const Content& content) {
             if (request.limit != 0 && batch.size() == request.limit) return;
             batch.labels.push_back(labels);
             for (const auto& [time_ms, value] : content.samples) {
               if (!request.range.contains(time_ms)) continue;
               batch.timestamps_ms.push_back(time_ms);
               batch.values.push_back(value);
             }
             for (const auto& [time_ms, histogram] : content.histograms) {
               if (request.range.contains(time_ms))
                 batch.histograms.push_back({time_ms, histogram});
             }
             batch.sample_ends.push_back(static_cast<uint32_t>(batch.values.size()));
             batch.histogram_ends.push_back(static_cast<uint32_t>(batch.histograms.size()));
           });
  return std::make_unique<MemorySet>(std::move(batch));
}

namespace {

template <typename Item>
Listed<Item> with_warnings(std::vector<Item> items, const std::vector<std::string>& warnings) {
  Listed<Item> listed = std::move(items);
  listed.warnings = warnings;
  return listed;
}

}  // namespace

core::Result<Listed<std::string>> MemoryStore::label_names(const LabelsRequest& request) const {
  const std::lock_guard lock(mutex_);
  if (read_error_) return tl::unexpected(*read_error_);
  std::set<std::string> names;
  for_each(request, [&names](const model::Labels& labels, const Content&) {
    for (const model::Label& label : labels) names.emplace(label.name);
  });
  return with_warnings(std::vector<std::string>(names.begin(), names.end()), warnings_);
}

core::Result<Listed<std::string>> MemoryStore::label_values(const std::string& name,
                                                            const LabelsRequest& request) const {
  const std::lock_guard lock(mutex_);
  if (read_error_) return tl::unexpected(*read_error_);
  std::set<std::string> values;
  for_each(request, [&](const model::Labels& labels, const Content&) {
    const std::string_view value = labels.get(name);
    if (!value.empty()) values.emplace(value);
  });
  return with_warnings(std::vector<std::string>(values.begin(), values.end()), warnings_);
}

core::Result<Listed<model::Labels>> MemoryStore::series(const LabelsRequest& request) const {
  const std::lock_guard lock(mutex_);
  if (read_error_) return tl::unexpected(*read_error_);
  std::vector<model::Labels> found;
  for_each(request,
           [&found](const model::Labels& labels, const Content&) { found.push_back(labels); });
  return with_warnings(std::move(found), warnings_);
}

core::Result<std::vector<model::Metadata>> MemoryStore::metadata(const model::TenantId& tenant,
                                                                 const std::string& metric) const {
  const std::lock_guard lock(mutex_);
  if (read_error_) return tl::unexpected(*read_error_);
  std::vector<model::Metadata> found;
  for (const auto& [key, one] : metadata_) {
    if (key.first == tenant && (metric.empty() || key.second == metric)) found.push_back(one);
  }
  return found;
}

core::Result<std::vector<ExemplarSeries>> MemoryStore::exemplars(
    const LabelsRequest& request) const {
  const std::lock_guard lock(mutex_);
  if (read_error_) return tl::unexpected(*read_error_);
  std::vector<ExemplarSeries> found;
  for_each(request, [&](const model::Labels& labels, const Content& content) {
    ExemplarSeries one{labels, {}};
    for (const model::Exemplar& exemplar : content.exemplars) {
      if (request.range.contains(exemplar.timestamp_ms)) one.exemplars.push_back(exemplar);
    }
    if (!one.exemplars.empty()) found.push_back(std::move(one));
  });
  return found;
}

void MemoryStore::fail_appends(std::optional<core::Error> error) {
  const std::lock_guard lock(mutex_);
  append_error_ = std::move(error);
}

void MemoryStore::fail_reads(std::optional<core::Error> error) {
  const std::lock_guard lock(mutex_);
  read_error_ = std::move(error);
}

void MemoryStore::warn(std::vector<std::string> warnings) {
  const std::lock_guard lock(mutex_);
  warnings_ = std::move(warnings);
}

void MemoryStore::clear() {
  const std::lock_guard lock(mutex_);
  series_.clear();
  metadata_.clear();
}

}  // namespace storage::testing
