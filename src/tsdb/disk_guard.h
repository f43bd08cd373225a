// Keeps a part of the disk free, so that a full disk stops writes and nothing else.
//
//   normal ── space gets short ─> no merges ── the reserve is reached ─> read-only
//     └────────────── space comes back: each step has a margin ──────────────┘
//
// Who needs the reserve: flushes, which empty the log, and the manifest. In read-only mode
// appends are refused as Unavailable before the log meets the full disk; flushes and
// retention go on. Why 5 % and 256 MiB: docs/decisions/0008-disk-reserve.md.

#pragma once

#include "core/clock.h"
#include "core/file_system.h"
#include "core/result.h"
#include "storage/sample_sink.h"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

namespace tsdb {

class EmbeddedLog;

enum class DiskMode { Normal, NoMerges, ReadOnly };

// What is kept free of a disk; `configured` is --storage.tsdb.min-free-disk.
uint64_t disk_reserve_bytes(uint64_t total_bytes, std::optional<uint64_t> configured);

// A pure state machine. Confined to one thread.
class DiskGuard {
 public:
  explicit DiskGuard(std::optional<uint64_t> configured_reserve)
      : configured_(configured_reserve) {}

  // Worse at once; better only when there has been enough space for some seconds.
  DiskMode step(core::DiskSpace space, int64_t now_ms);
  DiskMode mode() const { return mode_; }
  uint64_t reserve_bytes() const { return reserve_bytes_; }

 private:
  DiskMode wanted(uint64_t available_bytes) const;

  const std::optional<uint64_t> configured_;
  uint64_t reserve_bytes_ = 0;
  DiskMode mode_ = DiskMode::Normal;
  std::optional<int64_t> better_since_ms_;
};

// What a human should know about the storage.
struct StorageTrouble {
  std::string reason;  // that of petrel_tsdb_read_only, or "no_merges"
  std::string text;
  bool stops_writes = false;
};

// Where all samples go through on their way to the engine: refuses them while the disk is
// nearly full, and knows what else is wrong with the disk. Thread-safe.
class GuardedStorage final : public storage::SampleSink {
 public:
  struct Parts {
    core::FileSystem& files;
    const core::Clock& clock;
    EmbeddedLog& log;
    storage::SampleSink& sink;
  };

  // `data_dir` exists.
  GuardedStorage(std::string data_dir, std::optional<uint64_t> configured_reserve, Parts parts);

  core::Result<storage::AppendSummary> append(const storage::WriteBatch& batch) override;

  // Looks at the disk. Call it every second; append() does after a failure.
  void poll();
  DiskMode mode() const { return mode_; }
  bool may_merge() const { return mode_ == DiskMode::Normal; }
  // Nothing when all is well.
  std::optional<StorageTrouble> trouble() const;

 private:
  const std::string data_dir_;
  const Parts parts_;

  mutable std::mutex mutex_;
  // Protected by mutex_.
  DiskGuard guard_;
  core::DiskSpace space_;
  std::string refusal_;  // of mode ReadOnly

  std::atomic<DiskMode> mode_ = DiskMode::Normal;
};

}  // namespace tsdb
