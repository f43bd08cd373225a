// A file system in memory that can lose power, fill up and fail, deterministically.
//
// Every file keeps two contents: what a read sees (the page cache) and what is on the
// platter (bytes before the last sync). Every folder does the same with its names, which
// sync_dir() makes durable. crash() throws the cache away. As the seed decides, of the
// unsynced writes of a file all survive, or the first ones, or any sectors of any of them,
// or none; space that was allocated and not synced may show bytes of removed files; names
// survive in any selection, and independently of the bytes they name: a rename may be
// durable before the data is. Handles from before the crash are dead.

#pragma once

#include "core/file_system.h"
#include "core/rng.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace core::testing {

enum class SimFault : uint8_t {
  NoSpace,    // ENOSPC; the operation has no effect
  Io,         // EIO; a write may have happened in part, a failed sync keeps nothing:
              // as on Linux, a later sync of the same file does not cover those bytes
  PowerLoss,  // this operation and all after it fail until crash() is called
};
inline constexpr size_t kSimFaultCount = 3;
std::string_view sim_fault_name(SimFault fault);

// What can go wrong. All but Read change something and are counted as fault points.
enum class SimOperation : uint8_t {
  Create,
  Write,
  Sync,
  Resize,  // truncate and allocate
  Rename,
  Link,
  Remove,
  CreateDir,
  SyncDir,
  Read,  // of a file's bytes, or of a folder's names
};
inline constexpr size_t kSimOperationCount = 10;
std::string_view sim_operation_name(SimOperation operation);

// Goes off at the first operation that fits after `skip` others that did.
struct SimFaultRule {
  SimFault fault = SimFault::Io;
  std::optional<SimOperation> operation;  // without one: all that change something
  std::string path_contains;
  bool is_whole_path = false;  // `path_contains` is all of the path
  uint64_t skip = 0;
  bool lasts = false;  // goes off again and again, until clear_fault()
  uint64_t times = 1;  // in a row; without `lasts`
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
  void fail_when(SimFaultRule rule);
  void clear_fault();  // also those of fail_at()
  // No fault goes off and no space is missing while it is on. Power stays lost.
  void suspend_faults(bool suspended);
  bool has_power() const;
  uint64_t fault_points() const;
  // Called at every fault that goes off, also when the capacity is used up.
  using FaultObserver = std::function<void(SimOperation, const std::string& path, SimFault)>;
  void on_fault(FaultObserver observer);
  // Called with every operation that changes something; for counting and for traces.
  using OperationObserver = std::function<void(SimOperation, const std::string& path)>;
  void on_operation(OperationObserver observer);

  // Called once, before an operation of that kind on a file whose path contains the text, after
  // `skip` others that did; it may use the file system. For what goes on in between.
  void interrupt(SimOperation operation, std::string path_contains, uint64_t skip,
                 std::function<void()> action);
  void clear_interrupt();

  void set_capacity(uint64_t bytes);
  // Everything that changes something fails and has no effect, until it is switched off or the
  // machine starts again.
  void set_read_only(bool read_only);
  uint64_t used_bytes() const;
  uint64_t sync_count() const;  // of files, successful
  size_t open_files() const;    // handles of this life
  // All files, by path, sorted.
  std::vector<std::string> all_files() const;
  // Changes bytes behind everybody's back, on the platter and in the cache.
  void damage(const std::string& path, const std::function<void(std::string&)>& change);

 private:
  struct Inode;
  struct State;
  class SimFile;
  class SimLock;

  std::shared_ptr<State> state_;
};

}  // namespace core::testing
