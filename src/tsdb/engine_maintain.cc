// The background step: from the head to blocks, and blocks to nothing.
//
// The order makes every crash harmless. Blocks and snapshot are written and synced
// under names that no manifest knows; the new manifest makes them count, all at once;
// only then are samples hidden from the head and the log cut. What a crash leaves
// behind without a manifest entry is removed at the next start.

#include "core/log.h"
#include "core/mutation.h"
#include "tsdb/block.h"
#include "tsdb/block_writer.h"
#include "tsdb/engine_impl.h"
#include "tsdb/series_snapshot.h"

#include <algorithm>
#include <numeric>

namespace tsdb {

using core::ErrorCode;
using core::Result;
using model::TimeRange;
using storage::LogPosition;

namespace {

constexpr size_t kSliceSize = 256;  // series captured per hold of the head's data lock
// Ranges flushed per tenant and step: a step stays short, the next one goes on.
constexpr int kRangesPerStep = 16;

core::DurationHistogram& flush_duration() {
  static core::DurationHistogram& histogram = core::duration_histogram(
      "petrel_tsdb_flush_duration_seconds", "Time to write one block from the head.");
  return histogram;
}

core::Counter& flush_failures() {
  static core::Counter& counter = core::counter("petrel_tsdb_maintenance_failures_total",
                                                "Background steps that failed; each is retried.");
  return counter;
}

// The series of a head in the order of their labels, with the label pairs as ranks in
// that order: comparing ranks is comparing labels.
struct SortedSeries {
  std::vector<SeriesRef> refs;
  std::vector<std::string> pair_bytes;  // sorted
  std::vector<uint32_t> ranks;          // of all series, flat
  std::vector<uint64_t> begins;         // of refs[i] in ranks; one more at the end

  std::span<const uint32_t> ranks_of(size_t i) const {
    return std::span(ranks).subspan(begins[i], begins[i + 1] - begins[i]);
  }
};

SortedSeries sort_series(const Head& head, const std::vector<SeriesRef>& refs) {
  std::vector<uint32_t> pairs;
  std::vector<uint64_t> begins;
  const std::vector<std::string> texts = head.copy_labels(refs, pairs, begins);

  // Rank the pairs by name and value.
  std::vector<uint32_t> order;
  for (uint32_t pair = 0; pair < texts.size(); ++pair) {
    if (!texts[pair].empty()) order.push_back(pair);
  }
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return *model::LabelsView(texts[a]).begin() < *model::LabelsView(texts[b]).begin();
  });
  SortedSeries sorted;
  std::vector<uint32_t> rank(texts.size());
  for (const uint32_t pair : order) {
    rank[pair] = static_cast<uint32_t>(sorted.pair_bytes.size());
    sorted.pair_bytes.push_back(texts[pair]);
  }
  for (uint32_t& pair : pairs) pair = rank[pair];

  std::vector<uint32_t> by_labels(refs.size());
  std::iota(by_labels.begin(), by_labels.end(), 0);
  const auto ranks_of = [&](uint32_t i) {
    return std::span(pairs).subspan(begins[i], begins[i + 1] - begins[i]);
  };
  std::sort(by_labels.begin(), by_labels.end(), [&](uint32_t a, uint32_t b) {
    const auto left = ranks_of(a);
    const auto right = ranks_of(b);
    return std::lexicographical_compare(left.begin(), left.end(), right.begin(), right.end());
  });
  sorted.begins.push_back(0);
  for (const uint32_t i : by_labels) {
    const auto ranks = ranks_of(i);
    sorted.refs.push_back(refs[i]);
    sorted.ranks.insert(sorted.ranks.end(), ranks.begin(), ranks.end());
    sorted.begins.push_back(sorted.ranks.size());
  }
  return sorted;
}

void note_times(BlockMeta& meta, int64_t first_ms, int64_t last_ms) {
  meta.min_time_ms = std::min(meta.min_time_ms, first_ms);
  meta.max_time_ms = std::max(meta.max_time_ms, last_ms);
}

Result<void> write_series(const Head& head, const HeadFlush& flush, const SortedSeries& sorted,
                          BlockWriter& writer, BlockMeta& meta) {
  const TimeRange slot{meta.start_ms, meta.end_ms};
  const TimeRange range{std::max(slot.start_ms, flush.from_ms), std::min(slot.end_ms, flush.to_ms)};
  HeadCapture capture;
  storage::SeriesBatch samples;
  for (size_t begin = 0; begin < sorted.refs.size(); begin += kSliceSize) {
    const size_t count = std::min(kSliceSize, sorted.refs.size() - begin);
    head.capture_flush(std::span(sorted.refs).subspan(begin, count), flush, slot, capture);
    for (size_t i = 0; i < count; ++i) {
      samples.clear();
      append_samples(capture, i, range, samples);
      sort_samples(samples.timestamps_ms, samples.values, 0);
      sort_histograms(samples.histograms, 0);
      if (samples.timestamps_ms.empty() && samples.histograms.empty()) continue;
      if (!samples.timestamps_ms.empty()) {
        note_times(meta, samples.timestamps_ms.front(), samples.timestamps_ms.back());
      }
      if (!samples.histograms.empty()) {
        note_times(meta, samples.histograms.front().timestamp_ms,
                   samples.histograms.back().timestamp_ms);
      }
      TRY(writer.add_series(sorted.ranks_of(begin + i), samples));
    }
  }
  return {};
}

}  // namespace

Result<MaintainReport> Engine::Impl::maintain(bool everything) {
  MaintainReport report;
  flushes.clear();
  flushed.clear();
  Result<void> done;
  const auto run = [&](const auto& part) {
    if (Result<void> result = part(); !result && done) done = std::move(result);
  };
  if (positions_unsettled) run([&] { return settle_positions(); });
  run([&]() -> Result<void> {
    TRY(store_first_manifest());
    for (Tenant* tenant : all_tenants()) {
      TRY(flush_tenant(*tenant, everything).context("flush tenant {}", tenant->head.tenant()));
    }
    return flushes.empty() ? Result<void>() : publish_flushed(report);
  });
  drop_unpublished();
  run([&]() -> Result<void> {
    TRY(store_first_manifest());
    for (Tenant* tenant : all_tenants()) {
      TRY(evict_stale(*tenant, report).context("evict series of {}", tenant->head.tenant()));
    }
    return {};
  });
  drop_unpublished();
  // Also when the flush failed: a full disk is why it does.
  run([&]() -> Result<void> {
    report.blocks_deleted = TRY(delete_expired());
    return {};
  });
  run([&] { return drop_tombstones(); });
  retry_drops();
  const int64_t now_ms = clock.now_ms();
  for (Tenant* tenant : all_tenants()) {
    tenant->head.forget_hidden(now_ms, report.series_dropped);
    tenant->head.finish_eviction(now_ms, report.series_evicted);
  }
  static core::Counter& evicted =
      core::counter("petrel_tsdb_series_evicted_total",
                    "Series that stopped and left memory before their two hours were over.");
  evicted.add(static_cast<double>(report.series_evicted));
  report.series_dropped += report.series_evicted;
  if (!done) {
    flush_failures().add();
    return tl::unexpected(done.error());
  }
  return report;
}

// What was written but not published: the samples stay in the head and are flushed again.
void Engine::Impl::drop_unpublished() {
  for (const Flushed& one : flushed) drop_file(blocks_dir() + "/" + one.meta.file_name());
  flushed.clear();
}

// Up to where a tenant is to be flushed now; nothing when it is not time for a flush. A range
// is complete when the newest sample is half a range past its end: later samples for it are
// few, and patches. Never further than the clock: a sender whose time is wrong would make
// late data of the present.
std::optional<int64_t> Engine::Impl::flush_until(Tenant& tenant, bool everything) {
  Head& head = tenant.head;
  const int64_t range = options.block_range_ms;
  const int64_t now_ms = trusted_clock.now_ms();
  const int64_t now_ns = clock.monotonic_ns();
  const int64_t future_ms = now_ms + 1;
  int64_t until = head.closed_before_ms();  // of a flush that failed
  std::optional<int64_t> after;
  for (int i = 0; i < kRangesPerStep || everything; ++i) {
    const std::optional<TimeRange> oldest = head.next_range(after);
    if (!oldest || oldest->end_ms > future_ms) break;
    // A tenant that stopped would keep its last hours in memory, and the log with them.
    // Asked after the range was seen: if an append has just begun it, that is noted.
    const int64_t idle_ms = (now_ns - head.last_append_ns()) / 1'000'000;
    if (idle_ms <= 2 * range && head.newest_ms(now_ms) < oldest->end_ms + range / 2) break;
    until = std::max(until, oldest->end_ms);
    after = oldest->start_ms;
  }
  const int64_t newest = head.newest_ms(now_ms);
  const bool has_samples = newest != kNoTime && head.next_range(std::nullopt).has_value();
  // Not to the end of the range: what is still to come of it would be late.
  if (everything && has_samples) until = std::max(until, std::min(newest + 1, future_ms));

  const Head::LateUse use = head.late_use();
  if (use.patches == 0) {
    tenant.patches_since_ns.reset();
  } else if (!tenant.patches_since_ns) {
    tenant.patches_since_ns = now_ns;
  }
  // Patches wait for the next range, but not for ever, and not until there is no more room.
  const bool patches_due =
      use.patches != 0 && (everything || use.patches > options.late_samples_max / 4 ||
                           now_ns - *tenant.patches_since_ns > range * 1'000'000);
  // Late samples of open ranges leave only with what they belong to. A quarter of an hour at
  // least each time, so that the blocks do not become many.
  const int64_t early = newest == kNoTime ? kNoTime : std::min(newest - range / 2, future_ms);
  if (has_samples && use.late > options.late_samples_max / 2 &&
      early >= head.read_from_ms() + range / 8) {
    until = std::max(until, early);
  }
  if (until <= head.read_from_ms() && !patches_due) return std::nullopt;
  return until;
}

Result<void> Engine::Impl::flush_tenant(Tenant& tenant, bool everything) {
  const std::optional<int64_t> until = flush_until(tenant, everything);
  if (!until) return {};
  const HeadFlush flush = tenant.head.begin_flush(*until, log);
  flushes.push_back({.tenant = &tenant, .head = flush});
  for (const TimeRange slot : tenant.head.flush_slots(flush)) {
    TRY(flush_slot(tenant, flush, slot, tenant.head.flush_series(flush, slot)));
  }
  return {};
}

Result<void> Engine::Impl::flush_slot(Tenant& tenant, const HeadFlush& flush, TimeRange slot,
                                      const std::vector<SeriesRef>& refs) {
  const int64_t started_ns = clock.monotonic_ns();
  SortedSeries sorted = sort_series(tenant.head, refs);
  if (sorted.refs.empty()) return {};
  Flushed done;
  done.tenant = &tenant;
  done.meta.tenant = tenant.head.tenant();
  done.meta.start_ms = slot.start_ms;
  done.meta.end_ms = slot.end_ms;
  done.meta.number = manifest.next_number++;
  done.meta.order = done.meta.number;
  done.meta.min_time_ms = slot.end_ms;
  done.meta.max_time_ms = slot.start_ms;
  const std::string path = blocks_dir() + "/" + done.meta.file_name();
  std::unique_ptr<BlockWriter> writer =
      TRY(BlockWriter::create(files, path, std::move(sorted.pair_bytes)));
  // From here on the file exists: maintain() removes it if something fails.
  flushed.push_back(done);
  TRY(write_series(tenant.head, flush, sorted, *writer, done.meta).context("{}", path));
  if (writer->series_count() == 0) {
    writer.reset();
    flushed.pop_back();
    drop_file(path);
    return {};
  }
  writer->describe(done.meta);
  done.meta.size_bytes = TRY(writer->finish().context("{}", path));
  done.meta.series = writer->series_count();
  done.meta.samples = writer->sample_count();
  done.block = Block::open(files, path, done.meta, *block_cache);
  if (std::string damage = done.block->damage(); !damage.empty()) {
    return core::fail(ErrorCode::Io, "reading back what was written: {}", damage);
  }
  flushed.back() = done;

  const double seconds = static_cast<double>(clock.monotonic_ns() - started_ns) / 1e9;
  flush_duration().observe(seconds);
  core::log_info("tsdb", "wrote a block",
                 {{"tenant", done.meta.tenant},
                  {"file", done.meta.file_name()},
                  {"start_ms", done.meta.start_ms},
                  {"end_ms", done.meta.end_ms},
                  {"series", done.meta.series},
                  {"samples", done.meta.samples},
                  {"bytes", done.meta.size_bytes},
                  {"seconds", seconds}});
  return {};
}

Result<void> Engine::Impl::store_manifest(Manifest next, bool* may_be_stored) {
  TRY(next.store(files, options.data_dir, may_be_stored));
  manifest = std::move(next);
  if (std::exchange(positions_unsettled, false)) resume_writes();
  for (std::string& path : std::exchange(unsure_files, {})) drop_file(std::move(path));
  return {};
}

void Engine::Impl::drop_file(std::string path) {
  dropped_files.push_back(std::move(path));
  retry_drops();
}

void Engine::Impl::retry_drops() {
  std::erase_if(dropped_files, [&](const std::string& path) {
    const Result<void> removed = files.remove(path);
    return removed.has_value() || removed.error().code == ErrorCode::NotFound;
  });
}

Result<uint64_t> Engine::Impl::write_snapshot() {
  const uint64_t number = manifest.next_number++;
  const std::string path = snapshot_path(number);
  std::unique_ptr<SeriesSnapshotWriter> writer = TRY(SeriesSnapshotWriter::create(files, path));
  Result<void> written;
  const auto note = [&](Result<void> result) {
    if (written && !result) written = std::move(result);
  };
  for (Tenant* tenant : all_tenants()) {
    const std::string& id = tenant->head.tenant();
    tenant->head.for_each_series([&](uint64_t series, const std::string& labels) {
      if (written) note(writer->add_series(id, series, labels));
    });
    for (const model::Metadata& one : tenant->head.metadata("")) {
      if (written) note(writer->add_metadata(id, one));
    }
    for (const auto& [labels, one] : tenant->head.exemplars()) {
      if (written) note(writer->add_exemplar(id, *labels, one));
    }
  }
  if (written) note(writer->finish());
  if (!written) {
    drop_file(path);
    return tl::unexpected(std::move(written).context("{}", path).error());
  }
  return number;
}

// Of blocks that a stored manifest names.
void Engine::Impl::show_flushed(MaintainReport& report) {
  static core::Counter& bytes =
      core::counter("petrel_tsdb_flushed_bytes_total", "Bytes of blocks written from the head.");
  for (const Flushed& one : std::exchange(flushed, {})) {
    Blocks blocks = *one.tenant->blocks();
    blocks.push_back(one.block);
    one.tenant->set_blocks(std::move(blocks));
    bytes.add(static_cast<double>(one.meta.size_bytes));
    ++report.blocks_written;
  }
}

// Nobody knows which manifest a restart will find: both must find their files.
void Engine::Impl::keep_unsure() {
  for (const Flushed& one : std::exchange(flushed, {})) {
    unsure_files.push_back(blocks_dir() + "/" + one.meta.file_name());
  }
}

Result<void> Engine::Impl::publish_flushed(MaintainReport& report) {
  // Records before this position are applied, so the snapshot has what they introduce,
  // also those that carry no samples.
  LogPosition needed = log.high();
  for (Tenant* tenant : all_tenants()) needed = std::min(needed, tenant->head.applied_to(log));
  const uint64_t snapshot = TRY(write_snapshot());
  if (PETREL_MUTATED("flush-snapshot-position-late")) needed = log.high();
  // Names have to be durable before the manifest that uses them is.
  Result<void> named;
  if (!PETREL_MUTATED("flush-no-blocks-dir-sync")) named = files.sync_dir(blocks_dir());
  if (named && !PETREL_MUTATED("flush-no-data-dir-sync")) {
    named = files.sync_dir(options.data_dir);
  }
  if (!named) {
    drop_file(snapshot_path(snapshot));
    return named;
  }

  // The one before stays for a start that finds this one damaged.
  const std::string superfluous = manifest.snapshot_number == 0 ? "" : older_snapshot();
  Manifest next = manifest;
  next.next_series_id = share.next_series_id;
  next.snapshot_number = snapshot;
  const bool forgets_position = PETREL_MUTATED("flush-forgets-position");
  for (const Flush& one : flushes) {
    if (forgets_position) continue;
    next.closed[one.tenant->head.tenant()] = {.before_ms = one.head.to_ms,
                                              .log_before = one.head.log_before};
    if (PETREL_MUTATED("flush-position-late")) {
      next.closed[one.tenant->head.tenant()].log_before = log.high();
    }
  }
  for (const Flushed& one : flushed) next.blocks.push_back(one.meta);
  const LogPosition log_low = log.low();
  std::erase_if(next.evicted, [&](const auto& one) { return one.second <= log_low; });
  if (PETREL_MUTATED("flush-cuts-log-before-publish")) (void)log.truncate_before(needed);
  if (PETREL_MUTATED("flush-hides-before-publish")) {
    for (const Flush& one : flushes) one.tenant->head.end_flush(one.head);
  }
  bool may_be_stored = false;
  if (Result<void> stored = store_manifest(std::move(next), &may_be_stored); !stored) {
    if (!may_be_stored || PETREL_MUTATED("flush-removes-doubtful-files")) {
      drop_file(snapshot_path(snapshot));
      return stored;
    }
    // The heads hold everything until a manifest is stored for sure, so that either is right.
    unsure_files.push_back(snapshot_path(snapshot));
    keep_unsure();
    return stored;
  }

  show_flushed(report);
  for (const Flush& one : flushes) {
    one.tenant->head.end_flush(one.head);
    one.tenant->patches_since_ns.reset();
  }
  if (!superfluous.empty()) drop_file(superfluous);

  carry_future(needed);
  for (Tenant* tenant : all_tenants()) needed = std::min(needed, tenant->head.needed_from(log));
  // Failing here costs disk, not data: the next flush tries again.
  if (const Result<void> cut = log.truncate_before(needed); !cut) {
    core::log_warn("tsdb", "cannot truncate the log", {{"err", cut.error().message}});
  }
  return {};
}

// Keeps ranges of the future from holding the log. `needed` is what the snapshot needs.
void Engine::Impl::carry_future(LogPosition needed) {
  const int64_t now_ms = trusted_clock.now_ms();
  const int64_t ahead_ms = now_ms + options.ahead_max_ms;
  for (Tenant* tenant : all_tenants()) {
    needed = std::min(needed, tenant->head.needed_from(log, ahead_ms));
  }
  for (Tenant* tenant : all_tenants()) {
    Head& head = tenant->head;
    const LogPosition held = head.needed_from(log);
    // Writing again pays when it frees more than what stays.
    if (held >= needed || needed - held <= log.high() - needed) continue;
    const std::optional<TimeRange> future = head.next_range(ahead_ms);
    if (!future) continue;
    // Failing costs disk, not data: the next flush tries again.
    if (const Result<void> done = head.log_again(log, future->start_ms, now_ms); !done) {
      core::log_warn("tsdb", "cannot append samples of the future to the log again",
                     {{"tenant", head.tenant()}, {"err", done.error().message}});
    }
  }
}

}  // namespace tsdb
