// Counting what is in the head: from the dictionary of label pairs and the postings, without
// copying label sets.
//
//   slots of label pairs  ─>  per pair the size of its posting list  ─>  the largest of each kind
//
// A walk holds the data lock for a slice at a time, a millisecond at most, and lets others in
// between: appends do not notice a walk over ten million pairs. What comes and goes meanwhile
// may be counted or not.

#include "encoding/chunk.h"
#include "tsdb/head.h"
#include "tsdb/top_counts.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <unordered_map>

namespace tsdb {

using storage::LabelCardinality;
using storage::NamedCount;

namespace {

// Work per hold of the lock. A pair is 64 bytes in a row with others; a posting is 4, and a run
// of postings costs the look-up of a series. Names are made for what is among the largest.
constexpr size_t kSlicePairs = 8'192;
constexpr size_t kSlicePostings = 32'768;
constexpr size_t kRunCost = 64;   // in postings
constexpr size_t kNameCost = 64;  // in postings
constexpr size_t kSliceSeries = 1'024;
// Long enough that whoever waits for the lock wakes up and gets it.
constexpr auto kPause = std::chrono::microseconds(60);
// Jobs whose series without an instance are counted. A label of more values is no job.
constexpr size_t kJobsMax = 10'000;

void let_others_in() {
  std::this_thread::sleep_for(kPause);
}

// The first place from `at` on whose reference is not below `ref`; near ones are found at once.
const SeriesRef* gallop(const SeriesRef* at, const SeriesRef* end, SeriesRef ref) {
  size_t step = 1;
  while (static_cast<size_t>(end - at) > step && at[step] < ref) {
    at += step;
    step *= 2;
  }
  const size_t left = std::min(step + 1, static_cast<size_t>(end - at));
  return std::lower_bound(at, at + left, ref);
}

int64_t newest_ms_of(const Series& series) {
  if (series.extra == nullptr) return series.last_time_ms;
  return std::max(series.last_time_ms, series.extra->last_histogram_ms);
}

}  // namespace

// One walk over all pairs. Its steps are under the data lock.
class Head::CountWalk {
 public:
  CountWalk(const Head& head, const CountOptions& options)
      : head_(head),
        index_(head.index_),
        with_targets_(options.with_targets),
        metrics_(options.top),
        labels_(options.top),
        label_bytes_(options.top),
        pairs_(options.top),
        targets_(options.top) {}

  // False when all is seen.
  bool step() {
    metric_name_ = index_.find_name_index(model::kMetricName);
    job_name_ = index_.find_name_index("job");
    instance_name_ = index_.find_name_index("instance");
    names_.resize(index_.names().size());
    budget_ = kSlicePostings;
    forget_instance_that_went();
    for (size_t left = kSlicePairs; left > 0 && budget_ > 0; --left, ++next_) {
      if (next_ >= index_.pair_slots()) return false;
      const uint32_t name = index_.name_of(next_);
      if (name == LabelIndex::kNoName) continue;
      if (with_targets_ && name == instance_name_ && !count_instance()) return true;
      count_pair(name);
    }
    return true;
  }

  void finish(HeadCounts& counts) {
    for (size_t name = 0; name < names_.size(); ++name) {
      const std::string& text = index_.names()[name].text;
      if (labels_.admits(names_[name].values)) labels_.add(text, names_[name].values);
      if (label_bytes_.admits(names_[name].bytes)) label_bytes_.add(text, names_[name].bytes);
    }
    if (with_targets_) count_rest();
    counts.metrics = metrics_.take();
    counts.labels = labels_.take();
    counts.label_bytes = label_bytes_.take();
    counts.pairs = pairs_.take();
    counts.targets = targets_.take();
  }

 private:
  struct Name {
    uint64_t values = 0;
    uint64_t bytes = 0;
  };
  struct Job {
    std::string name;
    uint64_t series = 0;
    uint64_t with_instance = 0;
  };

  void count_pair(uint32_t name) {
    const uint64_t series = index_.refs_of(next_).size();
    ++names_[name].values;
    names_[name].bytes += index_.value_size(next_);
    if (name == instance_name_) with_instance_ += series;
    if (with_targets_ && name == job_name_) {
      if (Job* const job = job_of(next_)) job->series = series;
    }
    const bool is_metric = name == metric_name_ && metrics_.admits(series);
    if (!is_metric && !pairs_.admits(series)) return;
    const model::Label label = index_.label(next_);
    if (is_metric) metrics_.add(std::string(label.value), series);
    std::string text;
    text.append(label.name).append(1, '=').append(label.value);
    pairs_.add(std::move(text), series);
    budget_ -= std::min(budget_, kNameCost);
  }

  Job* job_of(PairId pair) {
    if (const auto known = jobs_.find(pair); known != jobs_.end()) return &known->second;
    if (jobs_.size() >= kJobsMax) return nullptr;
    return &jobs_.emplace(pair, Job{.name = std::string(index_.label(pair).value)}).first->second;
  }

  PairId pair_of(SeriesRef ref, uint32_t name) const {
    for (const PairId pair : head_.series_.at(ref).pair_ids()) {
      if (index_.name_of(pair) == name) return pair;
    }
    return kNoPair;
  }

  // Between two steps the instance may have gone, and its slot may have another pair.
  void forget_instance_that_went() {
    if (next_ref_ == 0) return;
    const bool is_there = next_ < index_.pair_slots() && index_.name_of(next_) == instance_name_ &&
                          instance_name_ != LabelIndex::kNoName;
    if (is_there && index_.refs_of(next_).front() < next_ref_) return;
    instance_jobs_.clear();
    next_ref_ = 0;
  }

  // Counts the postings of an instance by their jobs; false when the budget ends before they
  // do. Series of one target follow each other, in both lists.
  bool count_instance() {
    const std::vector<SeriesRef>& refs = index_.refs_of(next_);
    const SeriesRef* const end = refs.data() + refs.size();
    const SeriesRef* at = std::lower_bound(refs.data(), end, next_ref_);
    while (at != end && budget_ > 0) {
      const SeriesRef* const run = at;
      const PairId job = pair_of(*at, job_name_);
      at = job == kNoPair ? at + 1 : end_of_run(at, end, index_.refs_of(job));
      add_to_instance(job, static_cast<uint64_t>(at - run));
      budget_ -= std::min(budget_, kRunCost + static_cast<size_t>(at - run));
    }
    if (at != end) {
      next_ref_ = *at;
      return false;
    }
    for (const auto& [job, count] : instance_jobs_) add_target(job, count);
    instance_jobs_.clear();
    next_ref_ = 0;
    return true;
  }

  const SeriesRef* end_of_run(const SeriesRef* at, const SeriesRef* end,
                              const std::vector<SeriesRef>& in_job) const {
    const SeriesRef* const job_end = in_job.data() + in_job.size();
    const SeriesRef* place = std::lower_bound(in_job.data(), job_end, *at);
    const SeriesRef* const stop = at + std::min(budget_, static_cast<size_t>(end - at));
    for (; at != stop; ++at) {
      place = gallop(place, job_end, *at);
      if (place == job_end || *place != *at) break;
    }
    return at;
  }

  void add_to_instance(PairId job, uint64_t count) {
    for (auto& [known, sum] : instance_jobs_) {
      if (known != job) continue;
      sum += count;
      return;
    }
    instance_jobs_.emplace_back(job, count);
  }

  void add_target(PairId job, uint64_t count) {
    if (job != kNoPair) {
      if (Job* const known = job_of(job)) known->with_instance += count;
    }
    if (!targets_.admits(count)) return;
    const std::string_view name = job == kNoPair ? std::string_view() : index_.label(job).value;
    targets_.add(storage::target_name(name, index_.label(next_).value), count);
  }

  // Series without an instance, by job, and those with neither.
  void count_rest() {
    uint64_t counted = with_instance_;
    for (const auto& [pair, job] : jobs_) {
      const uint64_t rest = job.series - std::min(job.series, job.with_instance);
      counted += rest;
      if (targets_.admits(rest)) targets_.add(storage::target_name(job.name, ""), rest);
    }
    const uint64_t all = index_.live_count();
    targets_.add(storage::target_name("", ""), all - std::min(all, counted));
  }

  static constexpr PairId kNoPair = UINT32_MAX;

  const Head& head_;
  const LabelIndex& index_;
  const bool with_targets_;
  uint32_t metric_name_ = 0;
  uint32_t job_name_ = 0;
  uint32_t instance_name_ = 0;
  size_t budget_ = 0;  // postings, of this step
  PairId next_ = 0;
  SeriesRef next_ref_ = 0;                                  // of the instance that is counted
  std::vector<std::pair<PairId, uint64_t>> instance_jobs_;  // of the same
  uint64_t with_instance_ = 0;
  std::vector<Name> names_;
  std::unordered_map<PairId, Job> jobs_;
  TopCounts metrics_;
  TopCounts labels_;
  TopCounts label_bytes_;
  TopCounts pairs_;
  TopCounts targets_;
};

storage::HeadTotals Head::totals() const {
  storage::HeadTotals totals;
  const std::lock_guard data(data_mutex_);
  totals.series = index_.live_count();
  totals.label_pairs = index_.pair_count();
  for (const LabelIndex::Name& name : index_.names()) {
    totals.label_names += name.pairs.empty() ? 0 : 1;
  }
  totals.chunks = chunk_count_;
  if (!range_positions_.empty()) {
    totals.time_min_ms = std::max(range_positions_.begin()->first, read_from_ms_.load());
    totals.time_max_ms = newest_ms_;
  }
  return totals;
}

HeadCounts Head::count(const CountOptions& options) const {
  HeadCounts counts;
  counts.totals = totals();
  CountWalk walk(*this, options);
  for (bool goes_on = true; goes_on; ++counts.slices) {
    if (counts.slices > 0) let_others_in();
    const std::lock_guard data(data_mutex_);
    goes_on = walk.step();
    if (!goes_on) walk.finish(counts);
  }
  return counts;
}

// Visits the series under the data lock, slice by slice.
template <typename Visit>
void Head::visit_series(const SeriesScope& scope, const Visit& visit) const {
  std::vector<SeriesRef> refs;
  {
    const std::lock_guard data(data_mutex_);
    refs = tsdb::find_series(index_, scope.matchers.value_or(model::Matchers{}));
  }
  for (size_t at = 0; at < refs.size(); at += kSliceSeries) {
    if (at > 0) let_others_in();
    const std::lock_guard data(data_mutex_);
    for (size_t i = at; i < std::min(at + kSliceSeries, refs.size()); ++i) {
      const Series* const series = series_.find(refs[i]);
      if (series == nullptr || newest_ms_of(*series) < scope.active_from_ms) continue;
      if (!visit(*series)) return;
    }
  }
}

std::vector<NamedCount> Head::count_values(const SeriesScope& scope) const {
  std::vector<uint64_t> values;  // by name
  if (!scope.is_all()) {
    std::vector<bool> seen;
    visit_series(scope, [&](const Series& series) {
      seen.resize(index_.pair_slots());
      values.resize(index_.names().size());
      for (const PairId pair : series.pair_ids()) {
        if (!seen[pair]) ++values[index_.name_of(pair)];
        seen[pair] = true;
      }
      return true;
    });
  }
  const std::lock_guard data(data_mutex_);
  std::vector<NamedCount> counts;
  for (size_t name = 0; name < index_.names().size(); ++name) {
    const LabelIndex::Name& one = index_.names()[name];
    const uint64_t count = scope.is_all()         ? one.pairs.size()
                           : name < values.size() ? values[name]
                                                  : 0;
    if (count > 0) counts.push_back({one.text, count});
  }
  return counts;
}

namespace {

struct ValueCounts {
  explicit ValueCounts(size_t top) : largest(top) {}

  LabelCardinality sums;
  TopCounts largest;

  void add(std::string_view value, uint64_t series) {
    ++sums.values;
    sums.series += series;
    if (largest.admits(series)) largest.add(std::string(value), series);
  }
};

}  // namespace

// Every pair once, from the postings.
void Head::visit_pairs(const std::function<void(PairId)>& visit) const {
  bool is_done = false;
  for (PairId next = 0; !is_done;) {
    if (next > 0) let_others_in();
    const std::lock_guard data(data_mutex_);
    const size_t slots = index_.pair_slots();
    for (size_t left = kSlicePairs; left > 0 && next < slots; --left, ++next) {
      if (index_.name_of(next) != LabelIndex::kNoName) visit(next);
    }
    is_done = next >= slots;
  }
}

std::vector<LabelCardinality> Head::count_by_value(const SeriesScope& scope,
                                                   const std::vector<std::string>& names,
                                                   size_t top) const {
  std::vector<ValueCounts> counts(names.size(), ValueCounts(top));
  std::vector<size_t> wanted;  // by name's index: its place in `names`, counted from 1
  const auto place_of = [&](PairId pair) -> size_t {
    const uint32_t name = index_.name_of(pair);
    if (name == LabelIndex::kNoName) return 0;
    while (wanted.size() <= name) {
      const auto found = std::find(names.begin(), names.end(), index_.names()[wanted.size()].text);
      wanted.push_back(found == names.end() ? 0 : static_cast<size_t>(found - names.begin()) + 1);
    }
    return wanted[name];
  };
  const auto add = [&](PairId pair, uint64_t series) {
    if (const size_t place = place_of(pair)) {
      counts[place - 1].add(index_.label(pair).value, series);
    }
  };
  if (scope.is_all()) {
    visit_pairs([&](PairId pair) { add(pair, index_.refs_of(pair).size()); });
  } else {
    std::unordered_map<PairId, uint64_t> by_pair;
    visit_series(scope, [&](const Series& series) {
      for (const PairId pair : series.pair_ids()) {
        if (place_of(pair) != 0) ++by_pair[pair];
      }
      return true;
    });
    const std::lock_guard data(data_mutex_);
    for (const auto& [pair, series] : by_pair) add(pair, series);
  }
  std::vector<LabelCardinality> result;
  for (size_t i = 0; i < names.size(); ++i) {
    LabelCardinality& one = result.emplace_back(std::move(counts[i].sums));
    one.name = names[i];
    one.series_by_value = counts[i].largest.take();
  }
  return result;
}

bool Head::collect_label_sets(const SeriesScope& scope, size_t bytes_max,
                              std::vector<std::string>& sets) const {
  size_t bytes = 0;
  visit_series(scope, [&](const Series& series) {
    sets.push_back(labels_of(series));
    bytes += sizeof(std::string) + sets.back().size();
    return bytes <= bytes_max;
  });
  return bytes <= bytes_max;
}

// Series at even distances; their newest chunks are looked into without the lock.
storage::FallbackShare Head::sample_fallback(size_t sample_size) const {
  struct Sampled {
    const Chunk* chunk;
    PairId metric;
  };
  storage::FallbackShare share;
  // Sealed chunks that are replaced stay for the one pin, those that a flush hides for the other.
  const ReaderEpochs::Pin view_pin = pin_view();
  const ReaderEpochs::Pin chunk_pin(chunk_epochs_);
  const int64_t from_ms = read_from_ms_;
  std::unordered_map<PairId, storage::FallbackShare::Metric> metrics;
  std::vector<Sampled> slice;
  for (size_t i = 0; i < sample_size;) {
    slice.clear();
    {
      const std::lock_guard data(data_mutex_);
      const std::vector<SeriesRef>& all = index_.all_refs();
      const size_t size = std::min(sample_size, all.size());
      const uint32_t metric_name = index_.find_name_index(model::kMetricName);
      for (const size_t end = std::min(i + kSliceSeries / 2, size); i < end; ++i) {
        const Series& series = series_.at(all[i * all.size() / size]);
        if (series.chunks == nullptr || series.chunks->max_time_ms < from_ms) continue;
        Sampled one{.chunk = series.chunks, .metric = UINT32_MAX};
        for (const PairId pair : series.pair_ids()) {
          if (index_.name_of(pair) == metric_name) one.metric = pair;
        }
        slice.push_back(one);
        if (one.metric == UINT32_MAX) continue;
        auto& metric = metrics[one.metric];
        if (metric.name.empty()) metric.name = index_.label(one.metric).value;
      }
      if (i >= size) i = sample_size;
    }
    for (const Sampled& one : slice) {
      const uint64_t raw = encoding::stores_raw_floats(one.chunk->bytes()) ? 1 : 0;
      ++share.sampled;
      share.raw += raw;
      auto& metric = metrics[one.metric];
      ++metric.sampled;
      metric.raw += raw;
    }
    if (i < sample_size) let_others_in();
  }
  for (auto& [pair, metric] : metrics) {
    if (metric.raw > 0) share.metrics.push_back(std::move(metric));
  }
  std::sort(share.metrics.begin(), share.metrics.end(), [](const auto& a, const auto& b) {
    return a.raw != b.raw ? a.raw > b.raw : a.name < b.name;
  });
  return share;
}

}  // namespace tsdb
