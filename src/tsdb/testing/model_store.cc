#include "tsdb/testing/model_store.h"

#include <algorithm>

namespace tsdb::testing {
namespace {

using core::Result;
using model::HistogramSample;
using model::Labels;
using model::Sample;
using model::TimeRange;
using storage::LabelsRequest;

constexpr size_t kBatchSeries = 64;

bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), model::same_bits);
}

template <typename One>
std::pair<size_t, size_t> find_range(const std::vector<One>& samples, TimeRange range) {
  const auto before = [](const One& one, int64_t time) { return one.timestamp_ms < time; };
  const auto begin = std::lower_bound(samples.begin(), samples.end(), range.start_ms, before);
  const auto end = std::lower_bound(begin, samples.end(), range.end_ms, before);
  return {begin - samples.begin(), end - samples.begin()};
}

// Whether there is one already; else it is put in its place.
template <typename One, typename SameValue>
ModelStore::Verdict insert(std::vector<One>& samples, One one, SameValue same_value) {
  if (samples.empty() || samples.back().timestamp_ms < one.timestamp_ms) {
    samples.push_back(std::move(one));
    return ModelStore::Verdict::New;
  }
  const auto at =
      samples.begin() +
      static_cast<ptrdiff_t>(find_range(samples, {one.timestamp_ms, one.timestamp_ms + 1}).first);
  if (at != samples.end() && at->timestamp_ms == one.timestamp_ms) {
    return same_value(*at, one) ? ModelStore::Verdict::Same : ModelStore::Verdict::Conflict;
  }
  samples.insert(at, std::move(one));
  return ModelStore::Verdict::New;
}

template <typename One>
uint64_t erase(std::vector<One>& samples, TimeRange range) {
  const auto [begin, end] = find_range(samples, range);
  samples.erase(samples.begin() + static_cast<ptrdiff_t>(begin),
                samples.begin() + static_cast<ptrdiff_t>(end));
  return end - begin;
}

bool matches_any(const std::vector<model::Matchers>& selectors, const Labels& labels) {
  return selectors.empty() ||
         std::any_of(selectors.begin(), selectors.end(), [&](const model::Matchers& matchers) {
           return model::matches_all(matchers, labels);
         });
}

template <typename All>
void limit(All& all, uint64_t count) {
  if (count != 0 && all.size() > count) all.resize(count);
}

}  // namespace

bool same_bits(const model::Histogram& a, const model::Histogram& b) {
  return a.schema == b.schema && a.reset_hint == b.reset_hint &&
         a.integer_counts == b.integer_counts &&
         model::same_bits(a.zero_threshold, b.zero_threshold) &&
         model::same_bits(a.zero_count, b.zero_count) && model::same_bits(a.count, b.count) &&
         model::same_bits(a.sum, b.sum) && a.positive_spans == b.positive_spans &&
         a.negative_spans == b.negative_spans && same_bits(a.positive_counts, b.positive_counts) &&
         same_bits(a.negative_counts, b.negative_counts) &&
         same_bits(a.custom_bounds, b.custom_bounds);
}

namespace {

// Borrows the store: nothing may be added while it is read.
class ModelSet final : public storage::SeriesSet {
 public:
  struct One {
    const Labels* labels;
    std::span<const Sample> samples;
    std::span<const HistogramSample> histograms;
  };

  explicit ModelSet(std::vector<One> all) : all_(std::move(all)) {}

  Result<bool> next(storage::SeriesBatch& batch) override {
    batch.clear();
    for (; at_ < all_.size() && batch.size() < kBatchSeries; ++at_) {
      const One& one = all_[at_];
      batch.labels.push_back(*one.labels);
      for (const Sample& sample : one.samples) {
        batch.timestamps_ms.push_back(sample.timestamp_ms);
        batch.values.push_back(sample.value);
      }
      batch.histograms.insert(batch.histograms.end(), one.histograms.begin(), one.histograms.end());
      batch.sample_ends.push_back(static_cast<uint32_t>(batch.values.size()));
      batch.histogram_ends.push_back(static_cast<uint32_t>(batch.histograms.size()));
    }
    return batch.size() > 0;
  }

 private:
  std::vector<One> all_;
  size_t at_ = 0;
};

}  // namespace

ModelStore::Verdict ModelStore::add(const model::TenantId& tenant, const Labels& labels,
                                    int64_t time_ms, double value) {
  const Verdict verdict =
      insert(tenants_[tenant][labels].samples, Sample{time_ms, value},
             [](const Sample& a, const Sample& b) { return model::same_bits(a.value, b.value); });
  if (verdict == Verdict::New) ++samples_;
  int64_t& newest = newest_.try_emplace(tenant, time_ms).first->second;
  newest = std::max(newest, time_ms);
  return verdict;
}

ModelStore::Verdict ModelStore::add(const model::TenantId& tenant, const Labels& labels,
                                    int64_t time_ms, const model::Histogram& histogram) {
  const Verdict verdict =
      insert(tenants_[tenant][labels].histograms, HistogramSample{time_ms, histogram},
             [](const HistogramSample& a, const HistogramSample& b) {
               return testing::same_bits(a.histogram, b.histogram);
             });
  if (verdict == Verdict::New) ++histograms_;
  int64_t& newest = newest_.try_emplace(tenant, time_ms).first->second;
  newest = std::max(newest, time_ms);
  return verdict;
}

void ModelStore::add(const model::TenantId& tenant, const Labels& labels,
                     const model::Exemplar& exemplar) {
  auto& ring = exemplars_[tenant];
  const auto newest = std::find_if(ring.rbegin(), ring.rend(),
                                   [&](const auto& one) { return one.first == labels; });
  if (newest != ring.rend() && newest->second.timestamp_ms >= exemplar.timestamp_ms) return;
  if (ring.size() >= exemplars_max_) ring.pop_front();
  ring.emplace_back(labels, exemplar);
}

void ModelStore::add(const model::TenantId& tenant, const model::Metadata& metadata) {
  metadata_[{tenant, metadata.metric}] = metadata;
}

uint64_t ModelStore::remove(const DeleteRequest& request) {
  uint64_t removed = 0;
  for (auto& [labels, content] : tenants_[request.tenant]) {
    if (!matches_any(request.selectors, labels)) continue;
    const uint64_t samples = erase(content.samples, request.range);
    const uint64_t histograms = erase(content.histograms, request.range);
    samples_ -= samples;
    histograms_ -= histograms;
    removed += samples + histograms;
  }
  return removed;
}

const ModelStore::AllSeries& ModelStore::series_of(const model::TenantId& tenant) const {
  static const AllSeries kNone;
  const auto found = tenants_.find(tenant);
  return found == tenants_.end() ? kNone : found->second;
}

int64_t ModelStore::newest_ms(const model::TenantId& tenant) const {
  const auto found = newest_.find(tenant);
  return found == newest_.end() ? INT64_MIN : found->second;
}

Result<std::unique_ptr<storage::SeriesSet>> ModelStore::select(
    const storage::SelectRequest& request) const {
  std::vector<ModelSet::One> found;
  for (const auto& [labels, content] : series_of(request.tenant)) {
    const auto [begin, end] = find_range(content.samples, request.range);
    const auto [first, last] = find_range(content.histograms, request.range);
    if (begin == end && first == last) continue;
    if (!model::matches_all(request.matchers, labels)) continue;
    if (request.limit != 0 && found.size() >= request.limit) break;
    found.push_back({&labels, std::span(content.samples).subspan(begin, end - begin),
                     std::span(content.histograms).subspan(first, last - first)});
  }
  return std::make_unique<ModelSet>(std::move(found));
}

Result<storage::Listed<Labels>> ModelStore::series(const LabelsRequest& request) const {
  std::vector<Labels> found;
  for (const auto& [labels, content] : series_of(request.tenant)) {
    const auto [begin, end] = find_range(content.samples, request.range);
    const auto [first, last] = find_range(content.histograms, request.range);
    if ((begin != end || first != last) && matches_any(request.matchers, labels)) {
      found.push_back(labels);
    }
  }
  limit(found, request.limit);
  return found;
}

std::vector<Labels> ModelStore::ever(const LabelsRequest& request) const {
  std::vector<Labels> found;
  for (const auto& [labels, content] : series_of(request.tenant)) {
    if (matches_any(request.matchers, labels)) found.push_back(labels);
  }
  return found;
}

Result<storage::Listed<std::string>> ModelStore::label_names(const LabelsRequest& request) const {
  std::set<std::string> names;
  for (const Labels& labels : TRY(series(request))) {
    for (const model::Label& label : labels) names.emplace(label.name);
  }
  std::vector<std::string> result(names.begin(), names.end());
  limit(result, request.limit);
  return result;
}

Result<storage::Listed<std::string>> ModelStore::label_values(const std::string& name,
                                                              const LabelsRequest& request) const {
  std::set<std::string> values;
  for (const Labels& labels : TRY(series(request))) {
    if (const std::string_view value = labels.get(name); !value.empty()) values.emplace(value);
  }
  std::vector<std::string> result(values.begin(), values.end());
  limit(result, request.limit);
  return result;
}

Result<std::vector<model::Metadata>> ModelStore::metadata(const model::TenantId& tenant,
                                                          const std::string& metric) const {
  std::vector<model::Metadata> found;
  for (const auto& [key, one] : metadata_) {
    if (key.first == tenant && (metric.empty() || key.second == metric)) found.push_back(one);
  }
  return found;
}

Result<std::vector<storage::ExemplarSeries>> ModelStore::exemplars(
    const LabelsRequest& request) const {
  std::map<Labels, std::vector<model::Exemplar>> found;
  if (const auto ring = exemplars_.find(request.tenant); ring != exemplars_.end()) {
    for (const auto& [labels, exemplar] : ring->second) {
      if (!request.range.contains(exemplar.timestamp_ms)) continue;
      if (matches_any(request.matchers, labels)) found[labels].push_back(exemplar);
    }
  }
  std::vector<storage::ExemplarSeries> result;
  for (auto& [labels, exemplars] : found) result.push_back({labels, std::move(exemplars)});
  limit(result, request.limit);
  return result;
}

}  // namespace tsdb::testing
