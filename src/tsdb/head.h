// The head: the newest samples of one tenant, in memory.
//
// Two locks. The write lock orders appends: judge, log and apply happen under it, so the
// head sees samples in log order. The data lock guards what readers look at; it is held
// to apply a batch and to copy pointers for a read, never while waiting for the disk
// and never while decoding. Order: write lock before data lock.

#pragma once

#include "core/result.h"
#include "model/time_range.h"
#include "storage/log.h"
#include "storage/sample_sink.h"
#include "storage/series_source.h"
#include "tenant/limits_table.h"
#include "tenant/rate.h"
#include "tsdb/churn.h"
#include "tsdb/engine.h"
#include "tsdb/exemplar_ring.h"
#include "tsdb/head_counts.h"
#include "tsdb/head_series.h"
#include "tsdb/identity.h"
#include "tsdb/identity_table.h"
#include "tsdb/label_index.h"
#include "tsdb/manifest.h"
#include "tsdb/reader_epochs.h"
#include "tsdb/replay_window.h"
#include "tsdb/series_by_id.h"
#include "tsdb/series_groups.h"

#include <atomic>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace tsdb {

// Which samples of the head a reader wants. Patches, the late samples for what blocks hold
// already, it takes whatever its view is: the block that has them may be newer.
struct HeadRange {
  model::TimeRange samples;
  model::TimeRange patches;
};

// What one flush takes of a head.
struct HeadFlush {
  int64_t from_ms = kNoTime;  // samples in [from_ms, to_ms), and patches from before it
  int64_t to_ms = kNoTime;
  storage::LogPosition log_before = 0;  // of records before this position
  uint32_t number = 0;                  // takes the patches of this flush and earlier ones
  uint64_t patches = 0;                 // their weight
  bool to_the_end = false;              // there is no sample at to_ms or later
};

// What a read needs of some series, copied under the data lock. Chunks are borrowed
// until the reader's pin is dropped.
struct HeadCapture {
  struct Ends {
    uint32_t labels = 0, chunks = 0, open = 0, late = 0, patches = 0;
    uint32_t histogram_chunks = 0, histograms = 0, histogram_patches = 0;
  };
  std::vector<Ends> ends;            // per series
  std::vector<uint32_t> groups;      // per series, where they were asked for
  std::string label_bytes;           // of none where there are groups
  std::vector<const Chunk*> chunks;  // of one series: oldest first
  std::vector<int64_t> open_times_ms;
  std::vector<double> open_values;
  std::vector<model::Sample> late;
  std::vector<const Chunk*> histogram_chunks;
  std::vector<model::HistogramSample> histograms;  // open and late
  // Only those in their range, which append_samples() does not look at.
  std::vector<model::Sample> patches;
  std::vector<model::HistogramSample> histogram_patches;
  ReaderEpochs::Pin pin;

  void clear();
  size_t size() const { return ends.size(); }
  Ends begin_of(size_t i) const { return i == 0 ? Ends{} : ends[i - 1]; }
  std::string_view labels_of(size_t i) const;
};

// Appends the samples of series `i` in the range, and its patches, to the batch's columns, in
// any order and with repeats where chunks and late samples overlap (see sort_samples()).
void append_samples(const HeadCapture& capture, size_t i, model::TimeRange range,
                    storage::SeriesBatch& batch);
// Puts the samples from `begin` on in rising time; of equal times the first one stays.
void sort_samples(std::vector<int64_t>& times_ms, std::vector<double>& values, size_t begin);
void sort_histograms(std::vector<model::HistogramSample>& histograms, size_t begin);
// Drops the samples from `begin` on that are outside of the range. They must be sorted.
void clip_samples(std::vector<int64_t>& times_ms, std::vector<double>& values, size_t begin,
                  model::TimeRange range);

// Ids of the series table end here; self-contained logs put hashes in their place.
inline constexpr uint64_t kOwnIdEnd = uint64_t{1} << 62U;
inline constexpr SeriesRef kNoSeries = UINT32_MAX;
// How many series ahead the ways to a sample are fetched into the cache.
inline constexpr size_t kPrefetchAhead = 12;

// What the heads of one engine share.
struct HeadShare {
  std::atomic<uint64_t> next_series_id = 1;
  std::atomic<size_t> series = 0;  // of all heads
};

// When a batch came, and within which limits.
struct AppendContext {
  int64_t now_ms = 0;
  int64_t monotonic_ns = 0;
  const tenant::ResolvedLimits& limits;
  size_t instance_series_max = 0;  // of all tenants; 0: no limit
};

// Thread-safe.
class Head {
 public:
  Head(model::TenantId tenant, const EngineOptions& options, const IdentityHasher& hasher,
       HeadShare& share);
  ~Head();

  const model::TenantId& tenant() const { return tenant_; }

  // --- Writing (head_append.cc)

  // Judges, logs and applies. The position is what to wait for before acknowledging,
  // also when all samples were duplicates: what they repeat may not be durable yet.
  core::Result<std::optional<storage::LogPosition>> append(const storage::WriteBatch& batch,
                                                           const AppendContext& context,
                                                           storage::Log& log,
                                                           storage::AppendSummary& summary);
  // Takes what was judged in an earlier life. Ids that were met before have no labels. Floats
  // wait until apply_waiting() or finish_replay() (head_window.cc).
  struct Replayed {
    uint64_t id_max = 0;  // of the series table; 0: none
    // The samples of unknown ids, without those that blocks hold. Where deletions cover them or
    // series were evicted since, the series may have gone with that, or its labels were lost.
    uint64_t lost = 0;
    uint64_t perhaps_gone = 0;  // deleted, or evicted for a block
  };
  Replayed replay(storage::LogPosition position, const storage::LogBatch& batch);
  size_t waiting_bytes() const { return window_.size_bytes(); }
  void apply_waiting();
  // A series, metadata or exemplar of the snapshot; before replay().
  void restore_series(uint64_t id, std::string_view labels);
  void restore_metadata(const model::Metadata& metadata);
  void restore_exemplar(std::string_view labels, const model::Exemplar& exemplar);
  // Before replay(): what blocks hold already, and what was deleted.
  void restore_closed(int64_t before_ms, storage::LogPosition log_before);
  void restore_deleted(std::vector<Tombstone> tombstones) { deleted_ = std::move(tombstones); }
  // Unknown ids of records before that position may be those of series that were evicted.
  void restore_evicted(storage::LogPosition log_before) { evicted_log_before_ = log_before; }
  void finish_replay();  // applies what waits and forgets what only replay() needed

  // --- Reading (head_read.cc)

  // The series that match and may have samples in the range, sorted. A reader gives the
  // range of its view (ReadView::head_range), also when what lies in it was hidden
  // meanwhile: the block that has it now is not in that view.
  std::vector<SeriesRef> find(const model::Matchers& matchers, model::TimeRange range) const;
  // References stay valid, and samples from read_from_ms() of the same moment on stay
  // in the head, while the pin is held. Take it before find().
  ReaderEpochs::Pin pin_view() const { return ReaderEpochs::Pin(view_epochs_); }
  int64_t read_from_ms() const { return read_from_ms_; }
  struct CaptureHow {
    SeriesGroups* groups = nullptr;  // takes the place of labels
    // Of floats only the newest one in the range is needed; more may come.
    bool newest_only = false;
  };
  void capture(std::span<const SeriesRef> refs, HeadRange range, CaptureHow how,
               HeadCapture& out) const;
  void capture(std::span<const SeriesRef> refs, HeadRange range, HeadCapture& out) const {
    capture(refs, range, CaptureHow{}, out);
  }
  std::vector<std::string> label_sets(std::span<const SeriesRef> refs) const;
  uint64_t chunk_count() const;
  // For the flush: of refs[i] the pairs [begins[i], begins[i+1]); gives the bytes of the
  // pairs that are used, by pair id.
  std::vector<std::string> copy_labels(std::span<const SeriesRef> refs, std::vector<PairId>& pairs,
                                       std::vector<uint64_t>& begins) const;
  std::vector<Identity> identities(std::span<const SeriesRef> refs) const;
  void for_each_label(std::span<const SeriesRef> refs,
                      const std::function<void(const LabelIndex&, PairId)>& visit) const;

  // The label's values among series that match, in any order, if the head may have samples
  // in the range. Which series have samples just there is not looked at.
  void append_label_values(std::string_view name, const model::Matchers& matchers, HeadRange range,
                           std::vector<std::string>& values) const;

  // Every label pair of the head, if the head may have samples in the range.
  void for_each_pair(HeadRange range,
                     const std::function<void(const LabelIndex&, PairId)>& visit) const;

  std::vector<model::Metadata> metadata(const std::string& metric) const;
  std::deque<ExemplarRing::Entry> exemplars() const;
  size_t series_count() const;

  // --- Counting (head_cardinality.cc): in slices, beside the writers

  storage::HeadTotals totals() const;
  HeadCounts count(const CountOptions& options) const;
  // Label names and how many values they have, in any order.
  std::vector<storage::NamedCount> count_values(const SeriesScope& scope) const;
  std::vector<storage::LabelCardinality> count_by_value(const SeriesScope& scope,
                                                        const std::vector<std::string>& names,
                                                        size_t top) const;
  // False when they take more than `bytes_max`.
  bool collect_label_sets(const SeriesScope& scope, size_t bytes_max,
                          std::vector<std::string>& sets) const;
  storage::FallbackShare sample_fallback(size_t sample_size) const;
  // Series that came and went while this process ran.
  const Churn& churn() const { return churn_; }

  // --- Making room (head_flush.cc); one caller at a time

  // The newest sample that counts for age: a wall clock that once ran ahead must not
  // make everything else too old.
  int64_t newest_ms(int64_t now_ms) const;
  void set_newest_at_least(int64_t time_ms);
  // No sample was ever later; kNoTime when there was none.
  int64_t latest_ms() const { return newest_ms_; }
  // The oldest block range that holds samples and starts later than `after_start_ms`.
  std::optional<model::TimeRange> next_range(std::optional<int64_t> after_start_ms) const;
  // Begins a flush (head_late.cc): from this moment on samples before `to_ms` become patches.
  // Never goes back: when a flush failed the next one takes its samples too.
  HeadFlush begin_flush(int64_t to_ms, const storage::Log& log);
  // The block ranges in which the flush may find something.
  std::vector<model::TimeRange> flush_slots(const HeadFlush& flush) const;
  // Of such a range: the series that may have samples, and what the flush takes of them.
  std::vector<SeriesRef> flush_series(const HeadFlush& flush, model::TimeRange slot) const;
  void capture_flush(std::span<const SeriesRef> refs, const HeadFlush& flush, model::TimeRange slot,
                     HeadCapture& out) const;
  // Blocks have it: readers find there from now on what the flush took.
  void end_flush(const HeadFlush& flush);
  int64_t closed_before_ms() const { return closed_before_ms_; }
  // Late samples in memory, a histogram counts as several.
  struct LateUse {
    uint64_t late = 0;     // of times that no block holds
    uint64_t patches = 0;  // not flushed
  };
  LateUse late_use() const;
  // All series, for the flush and the snapshot: ids stay valid until forget_before().
  std::vector<SeriesRef> all_series() const;
  void for_each_series(
      const std::function<void(uint64_t id, const std::string& labels)>& visit) const;
  // Frees what is hidden, once no reader from before end_flush() is left; false when
  // there still is one.
  bool forget_hidden(int64_t now_ms, uint64_t& series_dropped);
  // Series that stopped leave early (head_evict.cc): those of floats in order, whose last sample
  // is before `before_ms` and not in a block yet. What the flush takes of them is a block's from
  // begin_eviction() on; once no older reader is left finish_eviction() frees those that are
  // still as they were. False while it waits.
  struct Stale {
    SeriesRef ref = 0;
    int64_t last_time_ms = 0;
  };
  std::vector<Stale> stale_series(int64_t before_ms) const;
  HeadFlush eviction_of(int64_t before_ms) const;
  void begin_eviction(std::vector<Stale> stale);
  bool finish_eviction(int64_t now_ms, uint64_t& series_evicted);
  // The first log record whose samples are only here, of ranges that start at
  // `starts_until_ms` or before; the log's end when there is none.
  storage::LogPosition needed_from(
      const storage::Log& log, int64_t starts_until_ms = std::numeric_limits<int64_t>::max()) const;
  // Appends the samples of all ranges from `from_ms`, the start of one, to the log again;
  // when that is durable the ranges need the log from there on only (head_carry.cc).
  core::Result<void> log_again(storage::Log& log, int64_t from_ms, int64_t now_ms);
  // Whether blocks do not have everything; and appends what they do not have to another log,
  // each series as a new one, not yet durable. Not while a flush runs.
  bool has_unflushed() const;
  core::Result<void> log_unflushed(storage::Log& log, int64_t now_ms) const;
  // When the last append came, monotonic; a tenant that stopped is flushed as a whole.
  void note_append(int64_t monotonic_ns) { last_append_ns_ = monotonic_ns; }
  int64_t last_append_ns() const { return last_append_ns_; }
  // Deletes (head_delete.cc) what matches any of the selectors. `publish` makes the deletion
  // durable, with the position of the first log record that it does not concern; no append
  // comes between. When it fails nothing is changed.
  core::Result<void> delete_samples(
      const storage::Log& log, std::span<const model::Matchers> selectors, model::TimeRange range,
      const std::function<core::Result<void>(storage::LogPosition)>& publish);
  // A position before which all records of this head are applied.
  storage::LogPosition applied_to(const storage::Log& log) const;

 private:
  struct RetiredChunk {
    uint64_t epoch = 0;
    Chunk* chunk = nullptr;
  };

  class CountWalk;
  template <typename Visit>
  void visit_series(const SeriesScope& scope, const Visit& visit) const;
  void visit_pairs(const std::function<void(PairId)>& visit) const;

  // Precondition: the data lock is held.
  bool may_overlap(model::TimeRange range) const;
  void visit_pairs_of(std::span<const SeriesRef> refs,
                      const std::function<void(const LabelIndex&, PairId)>& visit) const;
  core::Result<std::optional<SeriesRef>> intern(const storage::WriteBatch& batch,
                                                const storage::BatchSeries& one,
                                                const Identity& identity,
                                                storage::AppendSummary& summary);
  bool keeps_nothing(const storage::WriteBatch& batch, const storage::BatchSeries& one,
                     std::string_view labels, storage::AppendSummary& summary) const;
  std::optional<storage::RefusalReason> refused_time(int64_t time_ms) const;
  // Says why then (head_limits.cc).
  bool refuses_new(model::LabelsView labels, const storage::WriteBatch& batch,
                   const storage::BatchSeries& one, storage::AppendSummary& summary);
  // From labels to series (head_resolve.cc).
  static bool has_note(const storage::BatchSeries& one) {
    return one.note != nullptr && one.note->id() != 0;
  }
  SeriesRef create_series(std::string_view canonical, const Identity& identity, uint64_t id);
  void rebuild_table();
  std::optional<SeriesRef> ref_of(const Identity& identity) const;
  void resolve(const storage::WriteBatch& batch, std::span<Identity> identities,
               storage::AppendSummary& summary);
  SeriesRef take_in(const storage::WriteBatch& batch, const storage::BatchSeries& one,
                    const Identity& identity, storage::AppendSummary& summary);
  // As resolve(), where the tenant's rules come first (head_relabel.cc).
  void resolve_relabelled(const storage::WriteBatch& batch, std::span<const Identity> identities,
                          storage::AppendSummary& summary);
  SeriesRef relabel_new(const storage::WriteBatch& batch, const storage::BatchSeries& one,
                        const Identity& raw_identity, storage::AppendSummary& summary);
  storage::SeriesNote note_of(SeriesRef ref) const;
  void note_series(const storage::BatchSeries& one, const Identity& identity, SeriesRef ref);
  core::Result<void> judge_series(const storage::WriteBatch& batch, size_t i,
                                  const Identity& identity, storage::Log& log,
                                  storage::AppendSummary& summary);
  void judge_created(const Series& series, const storage::WriteBatch& batch,
                     const storage::BatchSeries& one);
  void judge_floats(Series& series, std::span<const model::Sample> samples,
                    storage::AppendSummary& summary);
  void judge_histograms(Series& series, std::span<const model::HistogramSample> samples,
                        storage::AppendSummary& summary);
  void judge_exemplars(const storage::WriteBatch& batch, const storage::BatchSeries& one,
                       std::string_view labels, storage::AppendSummary& summary);
  void judge_metadata(const storage::WriteBatch& batch);
  // Of samples that are not simply the newest of their series (head_late.cc).
  bool takes_late(const Series& series, const model::Sample& sample,
                  storage::AppendSummary& summary);
  bool takes_late(const Series& series, const model::HistogramSample& sample,
                  storage::AppendSummary& summary);
  bool takes_late_time(const Series& series, int64_t time_ms, int64_t newest_ms, uint64_t weight,
                       storage::AppendSummary& summary);
  core::Result<void> commit_piece(storage::Log& log);
  std::string why_refused(storage::RefusalReason reason) const;
  void refuse(storage::AppendSummary& summary, storage::RefusalReason reason, const Series& series,
              int64_t time_ms) const;
  void refuse(storage::AppendSummary& summary, storage::RefusalReason reason,
              std::string_view labels, int64_t time_ms) const;
  const model::Histogram* find_histogram(const SeriesExtra& extra, int64_t time_ms) const;
  struct FloatWork;
  static std::optional<double> find_float(const Series& series, int64_t time_ms, FloatWork& work);

  // Under both locks.
  void apply(storage::LogPosition position, const storage::LogBatch& batch,
             std::span<const SeriesRef> refs);
  void apply_float(Series& series, SeriesRef ref, const model::Sample& sample);
  // What one thread needs to apply floats, and what is to be counted then.
  struct FloatWork {
    std::vector<int64_t> times_ms;
    std::vector<double> values;
    std::string bytes;
    uint64_t sealed = 0;
    uint64_t late = 0;
    std::vector<Chunk*> joined;  // what they held is sealed again with what followed
  };
  // Touches the series and the work alone.
  static void apply_float(Series& series, SeriesRef ref, const model::Sample& sample,
                          FloatWork& work);
  static size_t open_size_max(const Series& series, SeriesRef ref);
  // Takes along of what is known to follow in order, all but the last; gives how many.
  static size_t seal(Series& series, FloatWork& work, std::span<const int64_t> next_times_ms = {},
                     std::span<const double> next_values = {});
  void settle(FloatWork& work);
  void apply_histogram(Series& series, const model::HistogramSample& sample);
  void apply_patch(storage::LogPosition position, SeriesRef ref, const model::Sample& sample);
  void apply_patch(storage::LogPosition position, SeriesRef ref,
                   const model::HistogramSample& sample);
  SeriesExtra& begin_patch(storage::LogPosition position, SeriesRef ref, int64_t time_ms);
  bool is_noted(int64_t time_ms) const {
    return time_ms <= newest_ms_.load(std::memory_order_relaxed) && time_ms >= noted_start_ms_ &&
           time_ms < noted_end_ms_;
  }
  void note_position(int64_t time_ms, storage::LogPosition position);
  void seal_histograms(SeriesExtra& extra, size_t keep);
  void retire(Chunk* chunk);
  void free_retired();
  void forget_samples(Series& series, int64_t before_ms);
  void remove_series(std::vector<SeriesRef>& refs);
  void capture(std::span<const SeriesRef> refs, HeadRange range, CaptureHow how, uint32_t flush_min,
               uint32_t flush_max, HeadCapture& out) const;
  void prefetch(std::span<const SeriesRef> refs, model::TimeRange range, CaptureHow how) const;
  std::vector<SeriesRef> patched_series(model::TimeRange range) const;
  void restore(uint64_t id, std::string_view labels, const Identity& identity);
  void restore_new(const storage::LogBatch& batch);
  bool replays(SeriesRef ref, int64_t time_ms, storage::LogPosition position);
  void count_unknown(int64_t time_ms, storage::LogPosition position, Replayed& replayed) const;
  void take_float(SeriesRef ref, const model::Sample& sample, storage::LogPosition position);
  void replay_rest(storage::LogPosition position, const storage::LogBatch& batch);
  void apply_group(size_t group, ReplayWindow::Columns& columns, FloatWork& work);
  static void apply_run(Series& series, SeriesRef ref, std::span<const int64_t> times_ms,
                        std::span<const double> values, FloatWork& work);

  template <typename ShortenChunk>
  void shorten_chunks(Chunk*& newest, model::TimeRange range, const ShortenChunk& shorten);
  void delete_floats(Series& series, SeriesRef ref, model::TimeRange range);
  void delete_histograms(Series& series, model::TimeRange range);
  void delete_patches(SeriesExtra& extra, model::TimeRange range);

  std::string labels_of(const Series& series) const;
  std::vector<uint64_t> series_ids(std::span<const SeriesRef> refs) const;
  // What to write of which series (head_carry.cc).
  struct Copying {
    std::vector<SeriesRef> refs;
    HeadRange range;
    uint32_t flush_min = 0;  // patches of this flush and later ones
    bool is_new = false;     // the log does not know the series
    int64_t now_ms = 0;
  };
  core::Result<std::optional<storage::LogPosition>> copy_to(storage::Log& log,
                                                            const Copying& copying) const;

  const model::TenantId tenant_;
  const EngineOptions& options_;
  const IdentityHasher& hasher_;
  HeadShare& share_;

  mutable std::mutex write_mutex_;
  mutable std::mutex data_mutex_;

  // Written under both locks, read under either.
  LabelIndex index_;
  SeriesSlots series_;
  ExemplarRing exemplars_;
  std::map<std::string, model::Metadata> metadata_;
  std::map<int64_t, storage::LogPosition> range_positions_;  // start of range -> first record
  uint64_t chunk_count_ = 0;
  std::atomic<int64_t> newest_ms_ = kNoTime;
  int64_t noted_start_ms_ = 0;  // the range that note_position() saw last
  int64_t noted_end_ms_ = 0;
  std::vector<RetiredChunk> retired_;
  // Late samples. Patches of flushes up to the published one are in blocks and stay for
  // readers that began before.
  std::vector<SeriesRef> patched_;                            // series with patches
  std::map<uint32_t, storage::LogPosition> patch_positions_;  // flush -> its first record
  uint32_t next_flush_ = 1;
  uint32_t published_flush_ = 0;
  uint64_t late_weight_ = 0;
  uint64_t patch_weight_ = 0;      // of all patches
  uint64_t unflushed_weight_ = 0;  // of those that no block has

  // Protected by write_mutex_.
  IdentityTable table_;
  std::unordered_map<Identity, SeriesRef, IdentityHash> aliases_;  // of other spellings
  std::optional<storage::LogPosition> last_position_;
  uint32_t batch_number_ = 0;
  int64_t now_ms_ = 0;  // of the append that runs, as the next
  int64_t monotonic_ns_ = 0;
  const tenant::ResolvedLimits* limits_ = nullptr;
  size_t instance_series_max_ = 0;
  tenant::RateBucket new_series_;
  // Of pushed label bytes, by their identity: the series that the tenant's rules make of
  // them; an empty note: they drop it.
  std::unordered_map<Identity, storage::SeriesNote, IdentityHash> verdicts_;
  uint64_t verdicts_version_ = 0;      // of the rules
  int64_t horizon_ms_ = kNoTime;       // older is refused
  int64_t late_horizon_ms_ = kNoTime;  // older is refused when out of order
  storage::LogBatch piece_;            // judged, not yet logged
  uint64_t piece_late_ = 0;            // the weight of its late samples
  std::vector<SeriesRef> piece_refs_;
  std::deque<std::string> piece_labels_;
  std::vector<SeriesRef> refs_;           // of the batch's series
  std::vector<Identity> new_identities_;  // of those that a record introduces; during replay
  std::vector<PairId> pair_scratch_;
  std::vector<model::Sample> sorted_;
  SeriesById by_id_;                                              // during replay
  ReplayWindow window_;                                           // during replay
  storage::LogPosition closed_log_before_ = 0;                    // during replay
  storage::LogPosition evicted_log_before_ = 0;                   // during replay
  std::vector<Tombstone> deleted_;                                // during replay
  std::vector<std::optional<std::vector<uint32_t>>> deleted_of_;  // series -> of deleted_
  FloatWork work_;
  mutable std::vector<model::HistogramSample> find_histograms_;

  Churn churn_;  // has a lock of its own
  std::atomic<int64_t> closed_before_ms_ = kNoTime;
  std::atomic<int64_t> read_from_ms_ = kNoTime;
  std::atomic<int64_t> last_append_ns_ = 0;
  std::optional<uint64_t> hidden_epoch_;  // the maintaining thread's, as the next two
  std::optional<uint64_t> eviction_epoch_;
  std::vector<Stale> evicting_;
  mutable ReaderEpochs chunk_epochs_;  // held while decoding
  mutable ReaderEpochs view_epochs_;   // held for the life of a series set
};

}  // namespace tsdb
