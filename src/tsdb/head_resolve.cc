// From the labels of a batch to the series of the head, known ones and new ones.

#include "core/metrics.h"
#include "tsdb/head.h"

#include <algorithm>

namespace tsdb {

using core::ErrorCode;
using core::Result;
using storage::AppendSummary;
using storage::BatchSeries;
using storage::RefusalReason;
using storage::WriteBatch;

namespace {

// A set of labels of that size is an attack or a bug, and the log must hold it.
constexpr size_t kLabelBytesMax = 65'536;
// Other spellings of the label sets of known series, remembered up to this many.
constexpr size_t kAliasesMin = 4'096;

core::Counter& created_counter() {
  static core::Counter& counter =
      core::counter("petrel_tsdb_series_created_total",
                    "Series that came into memory with a sample, all tenants together.");
  return counter;
}

}  // namespace

SeriesRef Head::create_series(std::string_view canonical, const Identity& identity, uint64_t id) {
  const std::lock_guard data(data_mutex_);
  pair_scratch_.clear();
  index_.add(static_cast<SeriesRef>(series_.next()), model::LabelsView(canonical), pair_scratch_);
  const SeriesRef ref = series_.add(pair_scratch_);
  Series& series = series_.at(ref);
  series.id = id;
  series.identity = identity;
  if (table_.is_full()) {
    rebuild_table();
  } else {
    table_.insert(identity, ref);
  }
  ++share_.series;
  return ref;
}

// In the order of the series: each line of them is read once.
void Head::rebuild_table() {
  table_ = IdentityTable(index_.live_count());
  const std::vector<SeriesRef>& refs = index_.all_refs();
  for (size_t i = 0; i < refs.size(); ++i) {
    if (i + kPrefetchAhead < refs.size()) {
      table_.prefetch(series_.at(refs[i + kPrefetchAhead]).identity);
    }
    table_.insert(series_.at(refs[i]).identity, refs[i]);
  }
}

std::optional<SeriesRef> Head::ref_of(const Identity& identity) const {
  if (const auto found = table_.find(
          identity, [&](SeriesRef ref) { return series_.at(ref).identity == identity; })) {
    return found;
  }
  const auto alias = aliases_.find(identity);
  return alias == aliases_.end() ? std::nullopt : std::optional(alias->second);
}

// Bytes that are not in the table: a new series, or another spelling of a known one.
// Nothing when all of it was refused.
Result<std::optional<SeriesRef>> Head::intern(const WriteBatch& batch, const BatchSeries& one,
                                              const Identity& identity, AppendSummary& summary) {
  const std::string_view raw = one.labels;
  if (const auto found = ref_of(identity)) return found;  // earlier in this batch
  if (raw.size() > kLabelBytesMax) {
    return core::fail(ErrorCode::InvalidArgument, "labels take {} bytes, allowed are {}",
                      raw.size(), kLabelBytesMax);
  }
  const model::Labels labels = TRY(model::canonical(model::LabelsView(raw)));
  const bool is_alias = labels.bytes() != raw;
  const Identity canonical_identity = is_alias ? hasher_(labels.bytes()) : identity;
  std::optional<SeriesRef> ref = ref_of(canonical_identity);
  if (!ref) {
    if (keeps_nothing(batch, one, labels.bytes(), summary)) return std::nullopt;
    if (refuses_new(labels, batch, one, summary)) return std::nullopt;
    if (series_.next() >= kNoSeries - 1) {
      return core::fail(ErrorCode::LimitExceeded,
                        "{}: series references are used up, restart to number them anew",
                        labels.to_string());
    }
    ref = create_series(labels.bytes(), canonical_identity, share_.next_series_id++);
    churn_.note_created(labels, now_ms_);
    created_counter().add();
  }
  if (is_alias && aliases_.size() < kAliasesMin + 2 * index_.live_count()) {
    aliases_.emplace(identity, *ref);
  }
  return ref;
}

// For the next append, unless the bytes are another spelling of the series' labels.
void Head::note_series(const BatchSeries& one, const Identity& identity, SeriesRef ref) {
  if (one.note == nullptr) return;
  const Series& series = series_.at(ref);
  if (!(series.identity == identity)) return;
  *one.note = note_of(ref);
}

storage::SeriesNote Head::note_of(SeriesRef ref) const {
  const uint64_t id = series_.at(ref).id;
  return {
      .ref = ref, .id_low = static_cast<uint32_t>(id), .id_high = static_cast<uint32_t>(id >> 32U)};
}

// intern(), with every reason not to take the series noted as a refusal.
SeriesRef Head::take_in(const WriteBatch& batch, const BatchSeries& one, const Identity& identity,
                        AppendSummary& summary) {
  Result<std::optional<SeriesRef>> ref = intern(batch, one, identity, summary);
  if (ref) return ref->value_or(kNoSeries);
  const auto reason = ref.error().code == ErrorCode::LimitExceeded ? RefusalReason::LimitExceeded
                                                                   : RefusalReason::InvalidLabels;
  const uint64_t samples =
      (one.samples_end - one.samples_begin) + (one.histograms_end - one.histograms_begin);
  summary.refuse(reason, std::max<uint64_t>(samples, 1), std::move(ref.error().message));
  return kNoSeries;
}

// Identities of series that have a note are filled in here.
void Head::resolve(const WriteBatch& batch, std::span<Identity> identities,
                   AppendSummary& summary) {
  if (batch.is_pushed && !limits_->relabel_rules.empty()) {
    resolve_relabelled(batch, identities, summary);
    return;
  }
  const size_t count = identities.size();
  refs_.resize(count);
  // First the slot of the table, then the series that it names.
  const auto prefetch_slot = [&](size_t i) {
    if (i < count && !has_note(batch.series[i])) table_.prefetch(identities[i]);
  };
  const auto prefetch_series = [&](size_t i) {
    if (i >= count) return;
    if (has_note(batch.series[i])) {
      series_.prefetch_any(batch.series[i].note->ref);
    } else if (const auto candidate = table_.candidate(identities[i])) {
      series_.prefetch(*candidate);
    }
  };
  for (size_t i = 0; i < 2 * kPrefetchAhead; ++i) prefetch_slot(i);
  for (size_t i = 0; i < kPrefetchAhead; ++i) prefetch_series(i);
  for (size_t i = 0; i < count; ++i) {
    prefetch_slot(i + 2 * kPrefetchAhead);
    prefetch_series(i + kPrefetchAhead);
    const BatchSeries& one = batch.series[i];
    if (has_note(one)) {
      // Ids are never used again, so an equal one is the series that was noted.
      const Series* const noted = series_.find_any(one.note->ref);
      if (noted != nullptr && noted->id == one.note->id()) {
        refs_[i] = one.note->ref;
        identities[i] = noted->identity;
        continue;
      }
      identities[i] = hasher_(one.labels);
    }
    refs_[i] = ref_of(identities[i]).value_or(kNoSeries);
    if (refs_[i] != kNoSeries) note_series(one, identities[i], refs_[i]);
  }
  for (size_t i = 0; i < count; ++i) {
    if (refs_[i] != kNoSeries) continue;
    const BatchSeries& one = batch.series[i];
    refs_[i] = take_in(batch, one, identities[i], summary);
    if (refs_[i] != kNoSeries) note_series(one, identities[i], refs_[i]);
  }
}

}  // namespace tsdb
