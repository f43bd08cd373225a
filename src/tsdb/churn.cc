#include "tsdb/churn.h"

#include <algorithm>

namespace tsdb {

using storage::ChurnCount;

namespace {
// A label's value may be long, and the lists are to stay small.
constexpr size_t kNameBytesMax = 512;
}  // namespace

size_t ChurnList::index_of(std::string_view name) {
  if (const auto found = by_name_.find(name); found != by_name_.end()) return found->second;
  if (entries_.size() < kEntriesMax) {
    entries_.push_back({.name = std::string(name)});
    totals_.push_back(0);
    by_name_.emplace(name, entries_.size() - 1);
    return entries_.size() - 1;
  }
  const auto smallest =
      static_cast<size_t>(std::min_element(totals_.begin(), totals_.end()) - totals_.begin());
  auto node = by_name_.extract(entries_[smallest].name);
  node.key() = name;
  by_name_.insert(std::move(node));
  entries_[smallest] = {.name = std::string(name), .missed = totals_[smallest]};
  return smallest;
}

void ChurnList::add(std::string_view name, Event event) {
  const size_t at = index_of(name);
  entries_[at].created += event.created;
  entries_[at].gone += event.gone;
  totals_[at] += event.created + event.gone;
}

void Churn::note_created(model::LabelsView labels, int64_t now_ms) {
  note(labels, {.created = 1}, now_ms);
}

void Churn::note_gone(model::LabelsView labels, int64_t now_ms) {
  note(labels, {.gone = 1}, now_ms);
}

// Not every 16th: series come in the order of their targets, which may have a rhythm.
bool Churn::is_sampled() {
  random_ = random_ * 6'364'136'223'846'793'005 + 1'442'695'040'888'963'407;
  return (random_ >> 33) % kSampleRate == 0;
}

void Churn::note(model::LabelsView labels, ChurnList::Event event, int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  // A clock that goes back stays in its window.
  if (windows_.empty() || now_ms >= windows_.back().start_ms + kWindowMs) {
    if (windows_.size() == kWindows) windows_.erase(windows_.begin());
    windows_.push_back({});
    windows_.back().start_ms = now_ms - now_ms % kWindowMs;
  }
  Window& window = windows_.back();
  window.created += event.created;
  window.gone += event.gone;
  if (window.created + window.gone > kExactMax) {
    if (!is_sampled()) return;
    event = {.created = event.created * kSampleRate, .gone = event.gone * kSampleRate};
  }
  std::string_view metric;
  std::string_view job;
  std::string_view instance;
  for (const model::Label& label : labels) {
    const std::string_view value = label.value.substr(0, kNameBytesMax);
    if (label.name == model::kMetricName) metric = value;
    if (label.name == "job") job = value;
    if (label.name == "instance") instance = value;
  }
  window.metrics.add(metric, event);
  thread_local std::string target;
  target.clear();
  storage::append_target_name(target, job, instance);
  window.targets.add(target, event);
}

namespace {

void merge(std::unordered_map<std::string, ChurnCount>& merged, const ChurnList& list) {
  for (const ChurnCount& one : list.entries()) {
    ChurnCount& sum = merged[one.name];
    sum.created += one.created;
    sum.gone += one.gone;
    sum.missed += one.missed;
  }
}

std::vector<ChurnCount> largest(std::unordered_map<std::string, ChurnCount> merged, size_t top) {
  std::vector<ChurnCount> all;
  all.reserve(merged.size());
  for (auto& [name, sum] : merged) {
    sum.name = name;
    all.push_back(std::move(sum));
  }
  std::sort(all.begin(), all.end(), [](const ChurnCount& a, const ChurnCount& b) {
    const uint64_t a_total = a.created + a.gone;
    const uint64_t b_total = b.created + b.gone;
    return a_total != b_total ? a_total > b_total : a.name < b.name;
  });
  if (all.size() > top) all.resize(top);
  return all;
}

}  // namespace

storage::ChurnReport Churn::report(int64_t now_ms, size_t top) const {
  storage::ChurnReport report;
  std::unordered_map<std::string, ChurnCount> metrics;
  std::unordered_map<std::string, ChurnCount> targets;
  report.since_ms = now_ms - now_ms % kWindowMs - static_cast<int64_t>(kWindows - 1) * kWindowMs;
  const std::lock_guard lock(mutex_);
  for (const Window& window : windows_) {
    if (window.start_ms < report.since_ms) continue;
    report.created += window.created;
    report.gone += window.gone;
    report.is_estimated |= window.created + window.gone > kExactMax;
    merge(metrics, window.metrics);
    merge(targets, window.targets);
  }
  report.metrics = largest(std::move(metrics), top);
  report.targets = largest(std::move(targets), top);
  return report;
}

}  // namespace tsdb
