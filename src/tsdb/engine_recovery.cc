// What a start makes of damage: it never ends for it, and it never keeps quiet about it.

#include "core/log.h"
#include "core/metrics.h"
#include "core/mutation.h"
#include "tsdb/block.h"
#include "tsdb/engine_impl.h"
#include "tsdb/give_up.h"
#include "tsdb/manifest_recovery.h"
#include "tsdb/series_snapshot.h"

#include <algorithm>
#include <unordered_set>

namespace tsdb {

using core::Result;

namespace {

constexpr std::string_view kDamagedSuffix = ".damaged";
constexpr model::TimeRange kAllTime{std::numeric_limits<int64_t>::min(),
                                    std::numeric_limits<int64_t>::max()};

core::Counter& snapshot_corruptions() {
  static core::Counter& metric =
      core::counter("petrel_tsdb_snapshot_corruptions_total",
                    "Damaged places found in series snapshots: labels of series may be lost.");
  return metric;
}

core::Gauge& incomplete_ranges() {
  static core::Gauge& metric =
      core::gauge("petrel_tsdb_incomplete_ranges",
                  "Time ranges in which acknowledged samples were lost to a damaged disk.");
  return metric;
}

// A second name, which outlives the next snapshot.
void keep_aside(core::FileSystem& files, const std::string& path) {
  const std::string aside = path + std::string(kDamagedSuffix);
  const Result<void> linked = files.link(path, aside);
  if (linked || linked.error().code == core::ErrorCode::Conflict) return;
  core::log_warn("tsdb", "cannot keep a damaged file aside", {{"error", linked.error().message}});
}

}  // namespace

Result<void> Engine::Impl::load_manifest_file() {
  RecoveredManifest recovered = TRY(load_manifest(files, options.data_dir, options.block_range_ms));
  // What is only unread is told below, and known again at a start that can read it.
  if (!recovered.is_original && recovered.unread.empty()) {
    add_incomplete(recovered.manifest.incomplete,
                   forgotten_deletions(recovered, clock.now_ms(), options.ahead_max_ms));
  }
  manifest = std::move(recovered.manifest);
  is_manifest_recovered = !recovered.is_original;
  is_manifest_stored = recovered.is_original && !recovered.is_new;
  for (const UnreadFile& one : recovered.unread) {
    hold_for(one);
    add_incomplete(unread_ranges,
                   {.tenant = "",
                    .key = one.file,
                    .range = kAllTime,
                    .text = fmt::format("{} cannot be read: deleted samples may be shown, and "
                                        "others be missing",
                                        one.file)});
  }
  if (is_held) return {};
  // A disk that takes no writes: found again at the next start.
  if (const Result<void> stored = store_first_manifest(); !stored) {
    core::log_error("tsdb", "the manifest is not stored yet", {{"error", stored.error().message}});
  }
  return {};
}

// Before the first block: blocks without a manifest mean that it was lost.
Result<void> Engine::Impl::store_first_manifest() {
  if (is_manifest_stored || PETREL_MUTATED("start-no-first-manifest")) return {};
  TRY(manifest.store(files, options.data_dir));
  is_manifest_stored = true;
  return {};
}

// Reads one snapshot as far as it can be read; whether it is whole.
Result<bool> Engine::Impl::read_snapshot(const std::string& path,
                                         const SeriesSnapshotVisitor& visitor) {
  snapshot_corruptions().add(0);
  std::vector<SnapshotDamage> damage;
  const Result<std::unique_ptr<core::File>> file =
      read_again([&] { return files.open(path, core::OpenMode::Read); });
  if (file) {
    damage = TRY(read_series_snapshot(**file, visitor).context("{}", path));
  } else {
    damage.push_back({0, file.error().message, is_unread(file.error())});
  }
  bool is_damaged = false;
  for (const SnapshotDamage& one : damage) {
    if (one.is_unread) {
      hold_for({.file = path, .what = fmt::format("from byte {}: {}", one.offset, one.what)});
      continue;
    }
    is_damaged = true;
    core::log_error("tsdb", "the series snapshot is damaged: its other parts are used",
                    {{"file", path}, {"offset", one.offset}, {"error", one.what}});
    snapshot_corruptions().add();
  }
  // With the manifest unread it may be one that never counted, and nothing gets a name.
  if (is_damaged && !is_held) keep_aside(files, path);
  return damage.empty();
}

// Ids are never used again, so what an older snapshot says of an id is still true: of a
// damaged one, most of what it lost is in the one before.
Result<void> Engine::Impl::load_snapshot() {
  if (manifest.snapshot_number == 0) return {};
  uint64_t next_id = share.next_series_id;
  const auto head_of = [&](std::string_view tenant) -> Head& {
    return tenant_for(std::string(tenant)).head;
  };
  SeriesSnapshotVisitor visitor;
  visitor.series = [&](std::string_view tenant, uint64_t id, std::string_view labels) {
    head_of(tenant).restore_series(id, labels);
    next_id = std::max(next_id, id + 1);
  };
  visitor.metadata = [&](std::string_view tenant, const model::Metadata& metadata) {
    head_of(tenant).restore_metadata(metadata);
  };
  visitor.exemplar = [&](std::string_view tenant, std::string_view labels,
                         const model::Exemplar& exemplar) {
    head_of(tenant).restore_exemplar(labels, exemplar);
  };
  const std::string path = snapshot_path(manifest.snapshot_number);
  const size_t unread_before = unread_files.size();
  if (!TRY(read_snapshot(path, visitor))) {
    is_snapshot_damaged = true;
    // Unread, it counts again at the next start: what is written until then may refer to its
    // series, but not to those of the one before.
    const bool is_unread_now = unread_files.size() != unread_before;
    const std::string older = is_unread_now ? "" : older_snapshot();
    if (!older.empty()) {
      SeriesSnapshotVisitor known;
      std::unordered_set<uint64_t> ids;
      known.series = [&](std::string_view, uint64_t id, std::string_view) { ids.insert(id); };
      known.metadata = [](std::string_view, const model::Metadata&) {};
      known.exemplar = [](std::string_view, std::string_view, const model::Exemplar&) {};
      if (const auto file = files.open(path, core::OpenMode::Read)) {
        (void)read_series_snapshot(**file, known);
      }
      SeriesSnapshotVisitor rest = known;
      rest.series = [&](std::string_view tenant, uint64_t id, std::string_view labels) {
        if (!ids.contains(id)) visitor.series(tenant, id, labels);
      };
      core::log_warn("tsdb", "labels of series come from the snapshot before", {{"file", older}});
      TRY(read_snapshot(older, rest));
    }
  }
  share.next_series_id = next_id;
  return {};
}

// The newest one before the one that counts; empty when there is none.
std::string Engine::Impl::older_snapshot() const {
  const Result<std::vector<std::string>> names =
      read_again([&] { return files.list(options.data_dir); });
  return names ? older_snapshot(*names) : "";
}

std::string Engine::Impl::older_snapshot(const std::vector<std::string>& names) const {
  const std::string current = snapshot_path(manifest.snapshot_number);
  std::string older;
  for (const std::string& name : names) {
    const std::string path = options.data_dir + "/" + name;
    const bool is_snapshot = name.starts_with(kSnapshotPrefix) && !name.ends_with(kDamagedSuffix) &&
                             !name.ends_with(kUnreadableSuffix);
    if (is_snapshot && path < current) older = std::max(older, path);
  }
  return older;
}

// What could not be read now may be readable at the next start: the ids of series that it
// introduces must not mean others by then. `next` is above all that were seen. Whatever was
// skipped so, no record before position p has ids from manifest.next_series_id + p * kIdsMax on.
uint64_t Engine::Impl::unused_series_id(uint64_t next) const {
  constexpr uint64_t kIdsMax = 1U << 15U;  // more than one record introduces
  if (!has_lost_records() && !is_manifest_recovered) return next;
  return std::max(next, manifest.next_series_id + log.high() * kIdsMax);
}

// Several samples of each series, and a small part of what the series take themselves.
uint64_t Engine::Impl::waiting_bytes_max() const {
  constexpr uint64_t kBytesMin = 16U << 20U;
  constexpr uint64_t kBytesPerSeries = 128;
  return std::min(options.replay_window_bytes,
                  std::max(kBytesMin, kBytesPerSeries * share.series.load()));
}

void Engine::Impl::note_dropped(Dropped& dropped, const storage::LogBatch& batch,
                                uint64_t samples) {
  if (samples == 0) return;
  dropped.samples += samples;
  for (const storage::LogSeries& one : batch.series) {
    constexpr size_t kIdsShown = 20;
    if (one.labels.empty() && dropped.ids.size() < kIdsShown) dropped.ids.insert(one.id);
  }
  for (const model::Sample& one : batch.samples) {
    dropped.first_ms = std::min(dropped.first_ms, one.timestamp_ms);
    dropped.last_ms = std::max(dropped.last_ms, one.timestamp_ms);
  }
  for (const model::HistogramSample& one : batch.histograms) {
    dropped.first_ms = std::min(dropped.first_ms, one.timestamp_ms);
    dropped.last_ms = std::max(dropped.last_ms, one.timestamp_ms);
  }
  dropped.tenants.insert(std::string(batch.tenant));
}

void Engine::Impl::note_dropped_samples(const Dropped& lost, std::string_view key) {
  IncompleteList& list = is_held ? unread_ranges : manifest.incomplete;
  for (const std::string& tenant : lost.tenants) {
    add_incomplete(
        list, {.tenant = tenant,
               .key = fmt::format("{}-{}-{}", key, tenant, lost.first_ms),
               .range = {lost.first_ms, lost.last_ms + 1},
               .text = fmt::format("{} samples are missing: the labels of their series "
                                   "{} part of the log or its snapshot",
                                   lost.samples,
                                   is_held ? "are in an unreadable" : "were lost with a damaged")});
  }
  if (lost.samples == 0) return;
  std::string ids;
  for (const uint64_t id : lost.ids) ids += fmt::format("{}{}", ids.empty() ? "" : ",", id);
  core::log_error("tsdb", "the labels of series are missing",
                  {{"samples", lost.samples},
                   {"first_ms", lost.first_ms},
                   {"last_ms", lost.last_ms},
                   {"series_ids", ids}});
}

// Lost records can have brought samples from this time on: late ones count from the newest sample
// of their tenant, however long ago that came, and what was closed before them is in blocks. Of a
// tenant without blocks nothing is known.
int64_t Engine::Impl::lost_from_ms() const {
  const int64_t late_ms = std::max(options.out_of_order_window_ms, options.block_range_ms / 2);
  const std::map<std::string, int64_t> newest = manifest.newest_times_ms();
  int64_t from_ms = std::numeric_limits<int64_t>::max();
  for (const Tenant* tenant : all_tenants()) {
    const auto found = newest.find(tenant->head.tenant());
    const auto closed = manifest.closed.find(tenant->head.tenant());
    if (found == newest.end() || closed == manifest.closed.end()) return kAllTime.start_ms;
    from_ms = std::min({from_ms, closed->second.before_ms, found->second - late_ms});
  }
  return from_ms;
}

// After the replay. The manifest keeps it from the next flush on, before the log that
// shows it is cut.
void Engine::Impl::note_incomplete() {
  if (options.retention_ms > 0) {
    forget_incomplete(manifest.incomplete, manifest.newest_times_ms(), options.retention_ms);
  }
  const std::vector<storage::LogDamage> damaged = log.damage();
  const int64_t from_ms = damaged.empty() ? 0 : lost_from_ms();
  for (storage::LogDamage damage : damaged) {
    if (damage.lost() == 0 && damage.end_is_known) continue;
    if (damage.lost() == 0) damage.end = damage.first + 1;  // at least that may be missing
    Incomplete one =
        incomplete_of(damage, options.out_of_order_window_ms, options.ahead_max_ms, clock.now_ms());
    // Only for this life, and told at any time: the neighbours of unread records tell when they
    // were sent, if the clock was right.
    one.range.start_ms = std::min(one.range.start_ms, from_ms);
    if (damage.is_unread) one.range = kAllTime;
    add_incomplete(damage.is_unread ? unread_ranges : manifest.incomplete, std::move(one));
  }
  note_dropped_samples(dropped, "labels");
  // Without damage the labels of these have gone with what was deleted.
  if (has_lost_records()) {
    note_dropped_samples(perhaps_dropped, "deleted-labels");
  }
  IncompleteList all = manifest.incomplete;
  all.insert(all.end(), unread_ranges.begin(), unread_ranges.end());
  incomplete_ranges().set(static_cast<double>(all.size()));
  if (!all.empty()) incomplete = std::make_shared<const IncompleteList>(std::move(all));
}

}  // namespace tsdb
