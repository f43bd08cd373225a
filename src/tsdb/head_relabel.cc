// Pushed series of a tenant that has write_relabel_configs. The rules run once per spelling
// of a label set: what they made of it is remembered by the identity of the raw bytes, so
// that a known series costs a look-up, as it does without rules.

#include "model/relabel.h"
#include "tsdb/head.h"

#include <algorithm>

namespace tsdb {

using core::Result;
using storage::AppendSummary;
using storage::BatchSeries;
using storage::RefusalReason;
using storage::SeriesNote;
using storage::WriteBatch;

namespace {

// Verdicts kept beyond a few per series: what is dropped never dies of its own accord.
constexpr size_t kVerdictsMin = 1'000'000;
constexpr size_t kVerdictsPerSeries = 3;

uint64_t sample_count(const BatchSeries& one) {
  return (one.samples_end - one.samples_begin) + (one.histograms_end - one.histograms_begin);
}

}  // namespace

void Head::resolve_relabelled(const WriteBatch& batch, std::span<const Identity> identities,
                              AppendSummary& summary) {
  const bool is_full = verdicts_.size() > kVerdictsMin + kVerdictsPerSeries * index_.live_count();
  if (verdicts_version_ != limits_->rules_version || is_full) {
    verdicts_ = {};
    verdicts_version_ = limits_->rules_version;
  }
  refs_.resize(identities.size());
  for (size_t i = 0; i < identities.size(); ++i) {
    const BatchSeries& one = batch.series[i];
    refs_[i] = kNoSeries;
    if (const auto known = verdicts_.find(identities[i]); known != verdicts_.end()) {
      const SeriesNote& note = known->second;
      if (note.id() == 0) {
        summary.dropped += sample_count(one);
        continue;
      }
      // Ids are never used again: one that is not there any more is a series that has gone.
      const Series* const series = series_.find_any(note.ref);
      if (series != nullptr && series->id == note.id()) {
        refs_[i] = note.ref;
        continue;
      }
    }
    refs_[i] = relabel_new(batch, one, identities[i], summary);
  }
}

SeriesRef Head::relabel_new(const WriteBatch& batch, const BatchSeries& one,
                            const Identity& raw_identity, AppendSummary& summary) {
  const Result<model::Labels> labels = model::canonical(model::LabelsView(one.labels));
  if (!labels) {
    summary.refuse(RefusalReason::InvalidLabels, std::max<uint64_t>(sample_count(one), 1),
                   labels.error().message);
    return kNoSeries;
  }
  model::LabelsBuilder builder(*labels);
  const bool is_kept = model::relabel(limits_->relabel_rules, builder);
  const model::Labels relabelled = is_kept ? builder.build() : model::Labels();
  if (relabelled.empty()) {
    verdicts_[raw_identity] = {};
    summary.dropped += sample_count(one);
    return kNoSeries;
  }
  BatchSeries renamed = one;
  renamed.labels = relabelled.bytes();
  renamed.note = nullptr;
  const SeriesRef ref = take_in(batch, renamed, hasher_(renamed.labels), summary);
  if (ref != kNoSeries) verdicts_[raw_identity] = note_of(ref);
  return ref;
}

}  // namespace tsdb
