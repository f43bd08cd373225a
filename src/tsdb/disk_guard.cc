#include "tsdb/disk_guard.h"

#include "core/log.h"
#include "core/metrics.h"
#include "tsdb/embedded_log.h"
#include "tsdb/read_only_gauge.h"

#include <algorithm>
#include <string_view>

namespace tsdb {

using core::ErrorCode;
using core::Result;

namespace {

constexpr uint64_t kReserveShare = 20;  // one twentieth, 5 %
constexpr uint64_t kReserveBytesMax = 256ULL << 20U;
// The log makes segments of 256 KiB at least: refuse before it has to.
constexpr uint64_t kLogBytes = 1ULL << 20U;
// How long there has to be space again: a file that is deleted and written anew, over and
// over, must not switch writes on and off every second.
constexpr int64_t kBetterForMs = 3'000;

std::string_view name_of(DiskMode mode) {
  switch (mode) {
    case DiskMode::Normal:
      return "normal";
    case DiskMode::NoMerges:
      return "no merges";
    case DiskMode::ReadOnly:
      return "read-only";
  }
  return "";
}

std::string mib(uint64_t bytes) {
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20U));
}

}  // namespace

uint64_t disk_reserve_bytes(uint64_t total_bytes, std::optional<uint64_t> configured) {
  return configured.value_or(std::min(total_bytes / kReserveShare, kReserveBytesMax));
}

// Getting better takes half as much again as what made it worse.
DiskMode DiskGuard::wanted(uint64_t available_bytes) const {
  if (reserve_bytes_ == 0) return DiskMode::Normal;
  const bool was_read_only = mode_ == DiskMode::ReadOnly;
  const bool was_short = mode_ != DiskMode::Normal;
  const uint64_t least = reserve_bytes_ + (was_read_only ? reserve_bytes_ / 2 : 0) + kLogBytes;
  const uint64_t enough = 2 * reserve_bytes_ + (was_short ? reserve_bytes_ : 0) + kLogBytes;
  if (available_bytes < least) return DiskMode::ReadOnly;
  return available_bytes < enough ? DiskMode::NoMerges : DiskMode::Normal;
}

DiskMode DiskGuard::step(core::DiskSpace space, int64_t now_ms) {
  reserve_bytes_ = disk_reserve_bytes(space.total_bytes, configured_);
  const DiskMode next = wanted(space.available_bytes);
  if (next >= mode_) {
    mode_ = next;
    better_since_ms_.reset();
    return mode_;
  }
  // A clock that was set back starts the wait anew.
  if (!better_since_ms_ || now_ms < *better_since_ms_) better_since_ms_ = now_ms;
  if (now_ms - *better_since_ms_ >= kBetterForMs) {
    mode_ = next;
    better_since_ms_.reset();
  }
  return mode_;
}

GuardedStorage::GuardedStorage(std::string data_dir, std::optional<uint64_t> configured_reserve,
                               Parts parts)
    : data_dir_(std::move(data_dir)), parts_(parts), guard_(configured_reserve) {
  poll();
}

void GuardedStorage::poll() {
  static core::Gauge& free_bytes =
      core::gauge("petrel_tsdb_disk_free_bytes", "Space left on the disk of the data directory.");
  static core::Gauge& reserved_bytes = core::gauge("petrel_tsdb_disk_reserved_bytes",
                                                   "Free space below which no samples are taken.");
  const bool has_failed = parts_.log.has_failed();
  const bool is_stalled = !has_failed && !parts_.log.writable();
  read_only_gauge("log_failed").set(has_failed ? 1 : 0);
  read_only_gauge("log_stalled").set(is_stalled ? 1 : 0);

  const Result<core::DiskSpace> space = parts_.files.disk_space(data_dir_);
  if (!space) {
    core::log_warn("tsdb", "cannot ask for the space on the disk",
                   {{"error", space.error().message}});
    return;  // as it was
  }
  const std::lock_guard lock(mutex_);
  space_ = *space;
  const DiskMode before = guard_.mode();
  const DiskMode mode = guard_.step(*space, parts_.clock.monotonic_ns() / 1'000'000);
  free_bytes.set(static_cast<double>(space->available_bytes));
  reserved_bytes.set(static_cast<double>(guard_.reserve_bytes()));
  read_only_gauge("disk_full").set(mode == DiskMode::ReadOnly ? 1 : 0);
  refusal_ = fmt::format(
      "the disk is nearly full: {} are free, {} stay reserved "
      "(--storage.tsdb.min-free-disk); reads go on",
      mib(space->available_bytes), mib(guard_.reserve_bytes()));
  mode_ = mode;
  if (mode == before) return;
  const bool is_worse = mode > before;
  core::log(is_worse ? core::LogLevel::Error : core::LogLevel::Warn, "tsdb",
            is_worse ? "the disk gets full" : "the disk has space again",
            {{"from", name_of(before)},
             {"to", name_of(mode)},
             {"free_bytes", space->available_bytes},
             {"reserved_bytes", guard_.reserve_bytes()}});
}

Result<storage::AppendSummary> GuardedStorage::append(const storage::WriteBatch& batch) {
  if (mode_ == DiskMode::ReadOnly) {
    const std::lock_guard lock(mutex_);
    return core::fail(ErrorCode::Unavailable, "the storage takes no samples: {}", refusal_);
  }
  Result<storage::AppendSummary> done = parts_.sink.append(batch);
  if (!done && done.error().code == ErrorCode::Unavailable) poll();
  return done;
}

std::optional<StorageTrouble> GuardedStorage::trouble() const {
  if (const Result<void> writable = parts_.log.writable(); !writable) {
    const bool has_failed = parts_.log.has_failed();
    return StorageTrouble{
        .reason = has_failed ? "log_failed" : "log_stalled",
        .text = fmt::format("read-only{}: {}", has_failed ? " until the next start" : "",
                            writable.error().message),
        .stops_writes = true};
  }
  if (mode_ == DiskMode::Normal) return std::nullopt;
  const std::lock_guard lock(mutex_);
  if (mode_ == DiskMode::ReadOnly) {
    return StorageTrouble{
        .reason = "disk_full", .text = "read-only: " + refusal_, .stops_writes = true};
  }
  return StorageTrouble{
      .reason = "no_merges",
      .text = fmt::format("blocks are not merged: {} of the disk are free, {} are needed for it",
                          mib(space_.available_bytes), mib(2 * guard_.reserve_bytes())),
      .stops_writes = false};
}

}  // namespace tsdb
