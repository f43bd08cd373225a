#include "tsdb/exemplar_ring.h"

namespace tsdb {

ExemplarRing::Verdict ExemplarRing::judge(std::string_view series,
                                          const model::Exemplar& exemplar) const {
  const auto found = by_series_.find(series);
  if (found == by_series_.end()) return Verdict::New;
  const model::Exemplar& newest = found->second.newest;
  if (exemplar.timestamp_ms > newest.timestamp_ms) return Verdict::New;
  const bool same = exemplar.timestamp_ms == newest.timestamp_ms &&
                    model::same_bits(exemplar.value, newest.value) &&
                    exemplar.labels == newest.labels;
  return same ? Verdict::Duplicate : Verdict::OutOfOrder;
}

void ExemplarRing::add(std::string_view series, const model::Exemplar& exemplar) {
  if (size_max_ == 0) return;
  if (ring_.size() >= size_max_) {
    const auto oldest = by_series_.find(*ring_.front().labels);
    if (--oldest->second.count == 0) by_series_.erase(oldest);
    ring_.pop_front();
  }
  auto found = by_series_.find(series);
  if (found == by_series_.end()) {
    auto labels = std::make_shared<const std::string>(series);
    const std::string_view key = *labels;
    found = by_series_.emplace(key, SeriesState{std::move(labels), {}, 0}).first;
  }
  ++found->second.count;
  found->second.newest = exemplar;
  ring_.push_back({found->second.labels, exemplar});
}

}  // namespace tsdb
