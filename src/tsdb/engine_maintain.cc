// The background step: from the head to blocks, and blocks to nothing.
//
// The order makes every crash harmless. Blocks and snapshot are written and synced
// under names that no manifest knows; the new manifest makes them count, all at once;
// only then are samples hidden from the head and the log cut. What a crash leaves
// behind without a manifest entry is removed at the next start.

#include "core/log.h"
#include "tsdb/block.h"
#include "tsdb/block_writer.h"
#include "tsdb/engine_impl.h"
#include "tsdb/series_snapshot.h"

#include <algorithm>
#include <charconv>
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

SortedSeries sort_series(const Head& head, TimeRange range) {
  const std::vector<SeriesRef> refs = head.find({}, range);
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

Result<void> write_series(const Head& head, const SortedSeries& sorted, TimeRange range,
                          BlockWriter& writer, int64_t& max_time_ms) {
  HeadCapture capture;
  storage::SeriesBatch samples;
  for (size_t begin = 0; begin < sorted.refs.size(); begin += kSliceSize) {
    const size_t count = std::min(kSliceSize, sorted.refs.size() - begin);
    head.capture(std::span(sorted.refs).subspan(begin, count), range, capture);
    for (size_t i = 0; i < count; ++i) {
      samples.clear();
      append_samples(capture, i, range, samples);
      sort_samples(samples.timestamps_ms, samples.values, 0);
      sort_histograms(samples.histograms, 0);
      if (samples.timestamps_ms.empty() && samples.histograms.empty()) continue;
      if (!samples.timestamps_ms.empty()) {
        max_time_ms = std::max(max_time_ms, samples.timestamps_ms.back());
      }
      if (!samples.histograms.empty()) {
        max_time_ms = std::max(max_time_ms, samples.histograms.back().timestamp_ms);
      }
      TRY(writer.add_series(sorted.ranks_of(begin + i), samples));
    }
  }
  return {};
}

}  // namespace

std::string Engine::Impl::snapshot_path(uint64_t number) const {
  return fmt::format("{}/{}{:010}", options.data_dir, kSnapshotPrefix, number);
}

Result<void> Engine::Impl::remove_leftovers() {
  const auto is_unfinished = [this](const std::string& name) {
    return std::any_of(unfinished_blocks.begin(), unfinished_blocks.end(),
                       [&](uint64_t number) { return block_file_name(number) == name; });
  };
  const std::vector<std::string> block_files = TRY(files.list(blocks_dir()));
  for (const std::string& name : block_files) {
    const bool known = std::any_of(manifest.blocks.begin(), manifest.blocks.end(),
                                   [&](const BlockMeta& meta) { return meta.file_name() == name; });
    if (known || !name.ends_with(".block") || is_unfinished(name)) continue;
    core::log_info("tsdb", "removing an unfinished block", {{"file", name}});
    TRY(files.remove(blocks_dir() + "/" + name));
  }
  const std::vector<std::string> others = TRY(files.list(options.data_dir));
  // The snapshot before the one that counts stays: most of what damage takes of one is in
  // the other.
  const std::string older = older_snapshot();
  for (const std::string& name : others) {
    const std::string path = options.data_dir + "/" + name;
    if (!name.starts_with(kSnapshotPrefix) || name.ends_with(".damaged")) continue;
    if (path == snapshot_path(manifest.snapshot_number) || path == older) continue;
    TRY(files.remove(path));
  }
  return {};
}

Result<void> Engine::Impl::open_blocks() {
  std::map<std::string, Blocks> by_tenant;
  for (const BlockMeta& meta : manifest.blocks) {
    by_tenant[meta.tenant].push_back(
        Block::open(files, blocks_dir() + "/" + meta.file_name(), meta, *block_cache));
  }
  for (auto& [id, blocks] : by_tenant) {
    Tenant& tenant = tenant_for(id);
    for (const auto& block : blocks) tenant.head.set_newest_at_least(block->meta().max_time_ms);
    tenant.set_blocks(std::move(blocks));
  }
  std::map<std::string, Tombstones> tombstones;
  for (const Tombstone& one : manifest.tombstones) tombstones[one.tenant].push_back(one);
  for (auto& [id, list] : tombstones) tenant_for(id).set_tombstones(std::move(list));
  for (const auto& [id, closed] : manifest.closed) {
    Tenant& tenant = tenant_for(id);
    tenant.head.close_before(closed.before_ms);
    tenant.head.hide_before(closed.before_ms);
  }
  return {};
}

Result<MaintainReport> Engine::Impl::maintain(bool everything) {
  const std::lock_guard step(maintain_mutex);
  MaintainReport report;
  flushed.clear();
  const auto run = [&]() -> Result<void> {
    TRY(store_first_manifest());
    for (Tenant* tenant : all_tenants()) {
      TRY(flush_tenant(*tenant, everything).context("flush tenant {}", tenant->head.tenant()));
    }
    if (!flushed.empty()) TRY(publish_flushed(report));
    report.blocks_deleted = TRY(delete_expired());
    return {};
  };
  const Result<void> done = run();
  for (Tenant* tenant : all_tenants()) tenant->head.forget_hidden(report.series_dropped);
  if (!done) {
    flush_failures().add();
    // What was written but not published: the range stays closed and is flushed again.
    for (const Flushed& one : flushed) {
      (void)files.remove(blocks_dir() + "/" + one.meta.file_name());
    }
    flushed.clear();
    return tl::unexpected(done.error());
  }
  return report;
}

// Flushes the ranges of a tenant that are complete: no sample for them would be
// accepted any more.
Result<void> Engine::Impl::flush_tenant(Tenant& tenant, bool everything) {
  const int64_t range = options.block_range_ms;
  const int64_t open_for = std::max(range / 2, options.out_of_order_window_ms);
  const int64_t now_ms = trusted_clock.now_ms();
  std::optional<int64_t> after;
  for (int i = 0; i < kRangesPerStep || everything; ++i) {
    const std::optional<TimeRange> oldest = tenant.head.next_range(after);
    if (!oldest) return {};
    // A tenant that stopped would keep its last hours in memory, and the log with them.
    // Asked after the range was seen: if an append has just begun it, that is noted.
    const int64_t idle_ms = (clock.monotonic_ns() - tenant.head.last_append_ns()) / 1'000'000;
    // Never a range that the clock has not passed: the present would be closed with it.
    const bool stopped = idle_ms > 2 * range && oldest->end_ms <= now_ms;
    const int64_t newest = tenant.head.newest_ms(now_ms);
    if (!everything && !stopped && newest < oldest->end_ms + open_for) return {};
    TRY(flush_range(tenant, *oldest));
    after = oldest->start_ms;
  }
  return {};
}

Result<void> Engine::Impl::flush_range(Tenant& tenant, TimeRange range) {
  const int64_t started_ns = clock.monotonic_ns();
  tenant.head.close_before(range.end_ms);
  Flushed done;
  done.tenant = &tenant;
  done.meta.tenant = tenant.head.tenant();
  done.meta.start_ms = range.start_ms;
  done.meta.end_ms = range.end_ms;

  SortedSeries sorted = sort_series(tenant.head, range);
  done.meta.number = manifest.next_number++;
  done.meta.order = done.meta.number;
  done.meta.min_time_ms = range.start_ms;
  done.meta.max_time_ms = range.start_ms;
  const std::string path = blocks_dir() + "/" + done.meta.file_name();
  std::unique_ptr<BlockWriter> writer =
      TRY(BlockWriter::create(files, path, std::move(sorted.pair_bytes)));
  // From here on the file exists: maintain() removes it if something fails.
  flushed.push_back(done);
  TRY(write_series(tenant.head, sorted, range, *writer, done.meta.max_time_ms).context("{}", path));
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
    (void)files.remove(path);
    return tl::unexpected(std::move(written).context("{}", path).error());
  }
  return number;
}

Result<void> Engine::Impl::publish_flushed(MaintainReport& report) {
  // Records before this position are applied, so the snapshot has what they introduce,
  // also those that carry no samples.
  LogPosition needed = log.high();
  for (Tenant* tenant : all_tenants()) needed = std::min(needed, tenant->head.applied_to(log));
  const uint64_t snapshot = TRY(write_snapshot());
  // Names have to be durable before the manifest that uses them is.
  TRY(files.sync_dir(blocks_dir()));
  TRY(files.sync_dir(options.data_dir));

  Manifest next = manifest;
  next.next_series_id = next_series_id;
  next.snapshot_number = snapshot;
  for (const Flushed& one : flushed) {
    Closed& closed = next.closed
                         .try_emplace(one.meta.tenant, Closed{.before_ms = one.meta.end_ms,
                                                              .log_before = Closed::kWholeLog})
                         .first->second;
    closed.before_ms = std::max(closed.before_ms, one.meta.end_ms);
    next.blocks.push_back(one.meta);
  }
  // If this fails nobody knows which manifest a restart will find: both must find their
  // files.
  const std::vector<Flushed> stored = std::exchange(flushed, {});
  TRY(next.store(files, options.data_dir));
  manifest = std::move(next);

  static core::Counter& bytes =
      core::counter("petrel_tsdb_flushed_bytes_total", "Bytes of blocks written from the head.");
  for (const Flushed& one : stored) {
    Blocks blocks = *one.tenant->blocks();
    blocks.push_back(one.block);
    one.tenant->set_blocks(std::move(blocks));
    bytes.add(static_cast<double>(one.meta.size_bytes));
    ++report.blocks_written;
    one.tenant->head.hide_before(one.meta.end_ms);
  }

  if (const Result<void> cleaned = remove_leftovers(); !cleaned) {
    core::log_warn("tsdb", "cannot remove old files", {{"err", cleaned.error().message}});
  }
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

Result<uint32_t> Engine::Impl::delete_expired() {
  if (options.retention_ms == 0) return 0U;
  Manifest next = manifest;
  std::vector<BlockMeta> gone;
  for (Tenant* tenant : all_tenants()) {
    // Counted from the newest sample in a block, not in the head: one sample that came
    // while the wall clock ran years ahead must not delete everything else.
    int64_t newest = kNoTime;
    for (const BlockMeta& meta : manifest.blocks) {
      if (meta.tenant == tenant->head.tenant()) newest = std::max(newest, meta.max_time_ms);
    }
    if (newest == kNoTime) continue;
    std::erase_if(next.blocks, [&](const BlockMeta& meta) {
      if (meta.tenant != tenant->head.tenant()) return false;
      if (meta.end_ms > newest - options.retention_ms) return false;
      gone.push_back(meta);
      return true;
    });
  }
  if (gone.empty()) return 0U;
  TRY(next.store(files, options.data_dir));
  manifest = std::move(next);
  for (const BlockMeta& meta : gone) {
    Tenant& tenant = tenant_for(meta.tenant);
    Blocks blocks = *tenant.blocks();
    std::erase_if(blocks, [&](const auto& block) { return block->meta().number == meta.number; });
    tenant.set_blocks(std::move(blocks));
    block_cache->erase(meta.number);
    // Readers keep the open file. One that cannot be removed goes at the next start.
    (void)files.remove(blocks_dir() + "/" + meta.file_name());
    core::log_info("tsdb", "deleted a block past retention",
                   {{"tenant", meta.tenant}, {"file", meta.file_name()}, {"end_ms", meta.end_ms}});
  }
  return static_cast<uint32_t>(gone.size());
}

}  // namespace tsdb
