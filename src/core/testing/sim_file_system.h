// A file system in memory that can lose power, fill up and fail, deterministically.
//
// Every file keeps two contents: what a read sees (the page cache) and what is on the
// platter (bytes before the last sync). Every folder keeps the name changes since its
// last sync_dir(). crash() throws the cache away: unsynced writes survive whole, in
// part (512-byte sectors, any subset) or not at all, and so do unsynced names, as the
// seed decides. Handles from before the crash are dead.

#pragma once

#include "core/file_system.h"
#include "core/rng.h"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace core::testing {

enum class SimFault {
  NoSpace,    // ENOSPC; the operation has no effect
  Io,         // EIO; a write may have happened in part, a failed sync keeps nothing:
              // as on Linux, a later sync of the same file does not cover those bytes
  PowerLoss,  // this operation and all after it fail until crash() is called
};

struct SimOptions {
  uint64_t seed = 1;
  uint64_t capacity_bytes = UINT64_MAX;
  // Broken disks on purpose: a suite that proves durability has to fail on them.
  bool ignore_sync = false;
  bool ignore_sync_dir = false;
};

// Thread-safe.
class SimFileSystem final : public FileSystem {
 public:
  explicit SimFileSystem(SimOptions options = {});
  ~SimFileSystem() override;

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Result<std::vector<std::string>> list(const std::string& dir) override;
  // As with the host's: folders are durable once this returns.
  Result<void> create_dirs(const std::string& dir) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> link(const std::string& from, const std::string& to) override;
  Result<void> remove(const std::string& path) override;
  Result<void> remove_all(const std::string& path) override;
  Result<void> sync_dir(const std::string& dir) override;
  bool exists(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override;
  Result<DiskSpace> disk_space(const std::string& path) override;

  // The machine loses power and starts again. Locks are gone too.
  void crash();
  // Only the process ends (SIGKILL): what it wrote stays in the cache, still unsynced.
  void kill();

  // Operations that change something are fault points, counted from 0 in the order they
  // happen. Sets what goes wrong at one of them; replaces an earlier setting.
  void fail_at(uint64_t fault_point, SimFault fault);
  void clear_fault();
  uint64_t fault_points() const;
  void set_capacity(uint64_t bytes);
  uint64_t sync_count() const;  // of files, successful

 private:
  struct Inode;
  struct State;
  class SimFile;
  class SimLock;

  std::shared_ptr<State> state_;
};

}  // namespace core::testing
