// What engine*.cc share.

#pragma once

#include "core/metrics.h"
#include "tsdb/engine.h"
#include "tsdb/head.h"
#include "tsdb/identity.h"
#include "tsdb/manifest.h"
#include "tsdb/read_again.h"
#include "tsdb/trusted_clock.h"

#include <atomic>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <vector>

namespace tsdb {

struct SeriesSnapshotVisitor;
inline constexpr std::string_view kSnapshotPrefix = "series_snapshot-";

class Block;
class BlockCache;
// Oldest first; of the same time range the lower order first, whose samples count.
using Blocks = std::vector<std::shared_ptr<Block>>;
using Tombstones = std::vector<Tombstone>;

// What readers find of a tenant beside the head. Never changed in place.
struct Stored {
  std::shared_ptr<const Blocks> blocks;
  std::shared_ptr<const Tombstones> tombstones;  // of this tenant; hold for blocks_before only
};

// One tenant: what is new in the head, what is old in blocks.
struct Tenant {
  Tenant(const model::TenantId& id, const EngineOptions& options, const IdentityHasher& hasher,
         HeadShare& share)
      : head(id, options, hasher, share),
        stored_{.blocks = std::make_shared<const Blocks>(),
                .tombstones = std::make_shared<const Tombstones>()} {}

  Head head;
  // Since when there are patches that no flush took; the maintaining thread's.
  std::optional<int64_t> patches_since_ns;
  // When it was last asked for series that stopped; the maintaining thread's.
  std::optional<int64_t> evicted_at_ns;

  // One moment: a merge and the tombstones that it made superfluous change together.
  Stored stored() const {
    const std::lock_guard lock(stored_mutex_);
    return stored_;
  }
  std::shared_ptr<const Blocks> blocks() const { return stored().blocks; }
  std::shared_ptr<const Tombstones> tombstones() const { return stored().tombstones; }
  // Sorts the blocks. One thread at a time: that with the maintain mutex.
  void set_blocks(Blocks blocks);
  void set_tombstones(Tombstones tombstones);
  void set_stored(Blocks blocks, Tombstones tombstones);

 private:
  mutable std::mutex stored_mutex_;
  Stored stored_;
};

// A moment of a tenant. The head is asked first: a range moves from head to block by
// adding the block before hiding the samples, so that at worst both have it.
struct ReadView {
  explicit ReadView(const Tenant& from)
      : tenant(&from), pin(from.head.pin_view()), head_from_ms(from.head.read_from_ms()) {
    Stored stored = from.stored();
    blocks = std::move(stored.blocks);
    tombstones = std::move(stored.tombstones);
  }

  HeadRange head_range(model::TimeRange range) const {
    return {.samples = {std::max(range.start_ms, head_from_ms), range.end_ms}, .patches = range};
  }

  const Tenant* tenant;
  ReaderEpochs::Pin pin;
  int64_t head_from_ms;
  std::shared_ptr<const Blocks> blocks;
  std::shared_ptr<const Tombstones> tombstones;
};

struct Engine::Impl {
  Impl(EngineOptions given_options, EngineDeps given_deps,
       std::unique_ptr<core::FileLock> given_lock);
  ~Impl();

  Tenant& tenant_for(const model::TenantId& id);
  // Null when the tenant has no data.
  Tenant* find_tenant(const model::TenantId& id) const;
  std::vector<Tenant*> all_tenants() const;
  const Head& head_of(const model::TenantId& tenant) const;  // an empty one when unknown
  core::Result<void> check_ready() const;
  // Of what is known to be missing.
  std::vector<std::string> warnings_of(const storage::LabelsRequest& request) const;
  std::string blocks_dir() const { return options.data_dir + "/blocks"; }
  std::string snapshots_dir() const { return options.data_dir + "/snapshots"; }
  std::string snapshot_path(uint64_t number) const;

  // engine_recovery.cc
  core::Result<void> load_manifest_file();
  core::Result<void> store_first_manifest();
  core::Result<bool> read_snapshot(const std::string& path, const SeriesSnapshotVisitor& visitor);
  core::Result<void> load_snapshot();
  std::string older_snapshot() const;
  bool has_lost_records() const { return is_snapshot_damaged || !log.damage().empty(); }
  uint64_t unused_series_id(uint64_t next) const;
  uint64_t waiting_bytes_max() const;
  struct Dropped;
  static void note_dropped(Dropped& dropped, const storage::LogBatch& batch, uint64_t samples);
  void note_dropped_samples(const Dropped& lost, std::string_view key);
  int64_t lost_from_ms() const;
  void note_incomplete();
  std::string older_snapshot(const std::vector<std::string>& names) const;
  // engine_unread.cc: what this start could not read, though a later one may.
  void hold_for(const UnreadFile& file);
  void begin_unread();
  void note_unread_log();
  core::Result<void> check_not_held() const;

  // engine_open.cc
  core::Result<void> clean_up();
  core::Result<void> settle_positions();
  core::Result<void> open_blocks();
  core::Result<void> remove_leftovers();

  // engine_maintain.cc; all with maintain_mutex
  core::Result<MaintainReport> maintain(bool everything);
  std::optional<int64_t> flush_until(Tenant& tenant, bool everything);
  core::Result<void> flush_tenant(Tenant& tenant, bool everything);
  core::Result<void> flush_slot(Tenant& tenant, const HeadFlush& flush, model::TimeRange slot,
                                const std::vector<SeriesRef>& refs);
  void drop_unpublished();
  void show_flushed(MaintainReport& report);
  void keep_unsure();
  core::Result<uint64_t> write_snapshot();
  core::Result<void> publish_flushed(MaintainReport& report);
  void carry_future(storage::LogPosition needed);
  // Stores it and makes it the manifest. After a failure the old one counts in this life, and
  // when `may_be_stored` the next one may find either.
  core::Result<void> store_manifest(Manifest next, bool* may_be_stored = nullptr);
  // Removes a file that no manifest names any more; tried again until it works.
  void drop_file(std::string path);
  void retry_drops();

  // engine_evict.cc; with maintain_mutex
  core::Result<void> evict_stale(Tenant& tenant, MaintainReport& report);

  // engine_retention.cc
  core::Result<uint32_t> delete_expired();
  struct Expired {
    BlockMeta meta;
    bool by_size = false;
  };
  std::vector<Expired> expired_blocks() const;

  // engine_delete.cc
  core::Result<void> delete_series(Tenant& tenant, const DeleteRequest& request);
  core::Result<void> drop_tombstones();
  void refresh_tombstones();
  // append() answers Unavailable; reads go on.
  enum class Stop { UntilSettled, UntilRestart };
  void stop_writes(std::string why, Stop until);
  void resume_writes();  // unless it is until the restart
  core::Result<void> check_writable() const;

  // engine_compact.cc
  struct Merge {
    Tenant* tenant = nullptr;
    std::vector<BlockMeta> inputs;  // lowest order first
    BlockMeta output;
    Blocks blocks;  // of the inputs
    std::vector<Tombstone> tombstones;
  };
  using BlockNumbers = std::set<uint64_t>;
  // Of merges that do not take these blocks, for which the disk has no room.
  std::optional<Merge> next_merge(const BlockNumbers& without_room);
  std::optional<Merge> next_rewrite(const BlockNumbers& done);
  std::optional<Merge> begin_merge(Tenant& tenant, std::vector<BlockMeta> inputs, BlockMeta output);
  // The bytes that the disk lacks for it, if it does.
  std::optional<uint64_t> lacks_space_for(const Merge& merge);
  void note_skipped(const BlockNumbers& without_room, uint64_t lacking_bytes);
  core::Result<void> run_merge(const Merge& merge, CompactReport& report);
  core::Result<bool> publish_merge(const Merge& merge, const std::shared_ptr<Block>& block);
  void abandon(const Merge& merge);

  // engine_snapshot.cc; under maintain_mutex
  core::Result<std::string> snapshot(bool skip_head);
  core::Result<void> build_snapshot(const std::string& dir, bool skip_head);
  core::Result<void> write_rest(const std::string& dir);
  core::Result<std::string> snapshot_name() const;
  void remove_failed_snapshot(const std::string& dir);
  core::Result<void> remove_unfinished_snapshots();

  const EngineOptions options;
  core::FileSystem& files;
  core::Clock& clock;
  storage::Log& log;
  const tenant::LimitsTable default_limits;
  const tenant::LimitsTable& limits;
  std::unique_ptr<core::FileLock> lock;
  const IdentityHasher hasher;
  std::unique_ptr<BlockCache> block_cache;
  HeadShare share;
  const Tenant empty_tenant;  // what reads of an unknown tenant see

  std::atomic<bool> ready = false;
  mutable std::mutex progress_mutex;
  ReplayProgress progress;  // protected by progress_mutex

  mutable std::shared_mutex tenants_mutex;
  std::map<model::TenantId, std::unique_ptr<Tenant>, std::less<>> tenants;  // only ever grows

  // Set in recover(), before `ready`; null when nothing is known to be missing.
  std::shared_ptr<const IncompleteList> incomplete;
  // As `incomplete`, of what is not lost: it is told in this life and not stored.
  IncompleteList unread_ranges;
  std::vector<UnreadFile> unread_files;  // set before `ready`
  std::atomic<bool> is_held = false;     // set before `ready`, too: nothing is written
  bool is_manifest_recovered = false;
  bool is_manifest_stored = false;  // protected by maintain_mutex after create()
  // Samples of the log whose series nothing introduces; of the replay.
  struct Dropped {
    uint64_t samples = 0;
    std::set<std::string> tenants;
    std::set<uint64_t> ids;  // some of them
    int64_t first_ms = std::numeric_limits<int64_t>::max();
    int64_t last_ms = std::numeric_limits<int64_t>::min();
  };
  Dropped dropped;
  Dropped perhaps_dropped;  // or deleted
  bool is_snapshot_damaged = false;

  std::mutex maintain_mutex;   // one step at a time
  Manifest manifest;           // protected by maintain_mutex after recover()
  TrustedClock trusted_clock;  // protected by maintain_mutex
  struct Flushed {
    Tenant* tenant = nullptr;
    BlockMeta meta;
    std::shared_ptr<Block> block;
  };
  struct Flush {
    Tenant* tenant = nullptr;
    HeadFlush head;
  };
  // Of this step, not yet in the manifest. Blocks without a flush do not occur.
  std::vector<Flush> flushes;
  std::vector<Flushed> flushed;
  // Protected by maintain_mutex as well: files to remove, and those that go when it is known
  // that the manifest does not name them.
  std::vector<std::string> dropped_files;
  std::vector<std::string> unsure_files;
  bool positions_unsettled = false;  // settle_positions() is to be tried again

  std::atomic<bool> writes_stopped = false;
  mutable std::mutex stopped_mutex;
  std::string stopped_why;  // protected by stopped_mutex, as the next
  Stop stopped_until = Stop::UntilSettled;

  std::mutex merge_mutex;  // one merge at a time; taken before maintain_mutex
  std::atomic<bool> stop_merging = false;
  bool told_skipped = false;  // of the last round; protected by merge_mutex

  std::vector<core::MetricCallback> callbacks;  // read the members above: destroyed first
};

class BlockIndex;
// The series of a block that match and have a sample that is not deleted (engine_select.cc).
core::Result<std::vector<uint32_t>> visible_series(
    Block& block, const std::shared_ptr<const BlockIndex>& index,
    const std::shared_ptr<const Tombstones>& tombstones, const model::Matchers& matchers);

// Merges the head and the blocks of a view (engine_select.cc).
core::Result<std::unique_ptr<storage::SeriesSet>> select_series(
    const IdentityHasher& hasher, ReadView view, const storage::SelectRequest& request);

}  // namespace tsdb
