#include "core/testing/sim_file_system.h"

#include <algorithm>
#include <set>
#include <utility>

namespace core::testing {
namespace {

constexpr uint64_t kSectorBytes = 512;  // what a disk writes at once
// Bytes of removed files that may show up again in space that was not written.
constexpr size_t kRecycledBytesMax = 16 << 10;

// What a crash does to the unsynced changes of one file or folder.
enum class Survival { None, Prefix, Any, All };

std::string_view next_part(std::string_view& path) {
  while (path.starts_with('/')) path.remove_prefix(1);
  const std::string_view part = path.substr(0, path.find('/'));
  path.remove_prefix(part.size());
  return part == "." ? next_part(path) : part;
}

std::string_view last_part(std::string_view path) {
  const size_t slash = path.find_last_of('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string_view parent_of(std::string_view path) {
  const size_t slash = path.find_last_of('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

}  // namespace

std::string_view sim_fault_name(SimFault fault) {
  static constexpr std::string_view kNames[] = {"no space", "i/o error", "power loss"};
  return kNames[static_cast<size_t>(fault)];
}

std::string_view sim_operation_name(SimOperation operation) {
  static constexpr std::string_view kNames[] = {
      "create", "write",  "fdatasync",     "resize",       "rename",
      "link",   "remove", "create folder", "fsync folder", "read"};
  return kNames[static_cast<size_t>(operation)];
}

struct SimFileSystem::Inode {
  // One change of a file since its last sync: a write, or with `is_resize` a new size.
  struct Change {
    uint64_t offset = 0;
    std::string bytes;
    bool is_resize = false;
  };
  // A change of a folder: `erased` disappears, then `name` (unless empty) means `inode`.
  // Both at once, as rename promises.
  struct NameChange {
    std::string erased;
    std::string name;
    std::shared_ptr<Inode> inode;
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>, std::less<>>;

  explicit Inode(bool folder) : is_folder(folder) {}

  const bool is_folder;
  std::string cached;
  std::string durable;
  std::vector<Change> unsynced;
  Names names;
  Names durable_names;
  std::vector<NameChange> unsynced_names;

  static void apply(std::string& content, const Change& change) {
    if (change.is_resize) {
      content.resize(change.offset, '\0');
      return;
    }
    const uint64_t end = change.offset + change.bytes.size();
    if (content.size() < end) content.resize(end, '\0');
    content.replace(change.offset, change.bytes.size(), change.bytes);
  }
  static void apply(Names& names, const NameChange& change) {
    if (!change.erased.empty()) names.erase(change.erased);
    if (!change.name.empty()) names[change.name] = change.inode;
  }

  void change(Change change) {
    apply(cached, change);
    unsynced.push_back(std::move(change));
  }
  void sync() {
    for (const Change& change : unsynced) apply(durable, change);
    unsynced.clear();
  }
  void change_name(NameChange change) {
    apply(names, change);
    unsynced_names.push_back(std::move(change));
  }
  void sync_names() {
    for (const NameChange& change : unsynced_names) apply(durable_names, change);
    unsynced_names.clear();
  }
  // A folder that is durable at once, whatever became of its name before.
  void add_folder(std::string_view name) {
    for (NameChange& change : unsynced_names) {
      if (change.erased == name) change.erased.clear();
      if (change.name == name) change.name.clear();
    }
    auto folder = std::make_shared<Inode>(true);
    names.insert_or_assign(std::string(name), folder);
    durable_names.insert_or_assign(std::string(name), std::move(folder));
  }
};

struct SimFileSystem::State {
  explicit State(SimOptions sim_options) : options(sim_options), rng(sim_options.seed) {}

  mutable std::mutex mutex;
  SimOptions options;
  SeededRng rng;
  std::shared_ptr<Inode> root = std::make_shared<Inode>(true);
  std::set<std::string> locked;
  std::string recycled;
  uint64_t life = 0;  // handles of earlier lives are dead
  size_t open_files = 0;
  uint64_t fault_points = 0;
  uint64_t syncs = 0;
  std::optional<std::pair<uint64_t, SimFault>> fault;
  std::vector<SimFaultRule> rules;
  FaultObserver fault_observer;
  OperationObserver operation_observer;
  struct Interrupt {
    SimOperation operation{};
    std::string path_contains;
    uint64_t skip = 0;
    std::function<void()> action;
  };
  std::optional<Interrupt> interrupt;
  bool suspended = false;
  bool power_lost = false;
  bool read_only = false;

  // Before the lock is taken.
  void run_interrupt(SimOperation operation, const std::string& path) {
    std::function<void()> action;
    {
      const std::lock_guard lock(mutex);
      if (!interrupt || interrupt->operation != operation || power_lost) return;
      if (path.find(interrupt->path_contains) == std::string::npos) return;
      if (interrupt->skip-- > 0) return;
      action = std::move(interrupt->action);
      interrupt.reset();
    }
    action();
  }

  std::shared_ptr<Inode> find(std::string_view path) const {
    std::shared_ptr<Inode> at = root;
    while (true) {
      const std::string_view part = next_part(path);
      if (part.empty()) return at;
      const auto found = at->names.find(part);
      if (found == at->names.end()) return nullptr;
      at = found->second;
    }
  }
  std::shared_ptr<Inode> find_folder(std::string_view path) const {
    std::shared_ptr<Inode> found = find(path);
    return found != nullptr && found->is_folder ? found : nullptr;
  }

  uint64_t used() const {
    std::set<const Inode*> seen;
    uint64_t bytes = 0;
    const std::function<void(const Inode&)> add = [&](const Inode& folder) {
      for (const auto& [name, inode] : folder.names) {
        if (inode->is_folder) {
          add(*inode);
        } else if (seen.insert(inode.get()).second) {
          bytes += inode->cached.size();
        }
      }
    };
    add(*root);
    return bytes;
  }

  Result<void> alive(std::string_view path) const {
    if (power_lost) return fail(ErrorCode::Io, "{}: no power (simulated)", path);
    return {};
  }

  std::optional<SimFault> due_fault(SimOperation operation, const std::string& path) {
    const bool is_point = operation != SimOperation::Read;
    const uint64_t point = is_point ? fault_points++ : UINT64_MAX;
    if (is_point && operation_observer) operation_observer(operation, path);
    if (suspended) return std::nullopt;
    if (is_point && fault && fault->first == point) return fault->second;
    for (auto rule = rules.begin(); rule != rules.end(); ++rule) {
      if (rule->operation ? *rule->operation != operation : !is_point) continue;
      if (path.find(rule->path_contains) == std::string::npos) continue;
      if (rule->is_whole_path && path != rule->path_contains) continue;
      if (rule->skip > 0) {
        --rule->skip;
        continue;
      }
      const SimFault due = rule->fault;
      if (!rule->lasts && --rule->times == 0) rules.erase(rule);
      return due;
    }
    return std::nullopt;
  }

  // At the start of every operation that can fail. The fault to inject here, if it is one
  // that lets the operation happen in part.
  Result<bool> fault_point(SimOperation operation, const std::string& path) {
    TRY(alive(path));
    const std::optional<SimFault> due = due_fault(operation, path);
    if (read_only && !suspended && operation != SimOperation::Read) {
      if (fault_observer) fault_observer(operation, path, SimFault::Io);
      return fail(ErrorCode::Io, "{} {}: Read-only file system (simulated)",
                  sim_operation_name(operation), path);
    }
    if (!due) return false;
    if (fault_observer) fault_observer(operation, path, *due);
    if (*due == SimFault::NoSpace) return no_space(operation, path);
    if (*due == SimFault::PowerLoss) power_lost = true;
    return true;
  }

  // For operations that happen whole or not at all.
  Result<void> plain_fault_point(SimOperation operation, const std::string& path) {
    const bool faulty = TRY(fault_point(operation, path));
    if (faulty) return io_error(operation, path);
    return {};
  }

  Result<void> has_space(SimOperation operation, const std::string& path, uint64_t growth) const {
    if (suspended || options.capacity_bytes == UINT64_MAX) return {};
    if (used() + growth <= options.capacity_bytes) return {};
    if (fault_observer) fault_observer(operation, path, SimFault::NoSpace);
    return no_space(operation, path);
  }

  static tl::unexpected<Error> io_error(SimOperation operation, const std::string& path) {
    return fail(ErrorCode::Io, "{} {}: Input/output error (simulated)",
                sim_operation_name(operation), path);
  }
  static tl::unexpected<Error> no_space(SimOperation operation, const std::string& path) {
    return fail(ErrorCode::LimitExceeded, "{} {}: No space left on device (simulated)",
                sim_operation_name(operation), path);
  }

  void recycle(const Inode& inode) {
    if (inode.is_folder) return;
    recycled += inode.cached.substr(0, kRecycledBytesMax / 4);
    if (recycled.size() > kRecycledBytesMax) {
      recycled.erase(0, recycled.size() - kRecycledBytesMax);
    }
  }

  void begin_life() {
    locked.clear();
    power_lost = false;
    read_only = false;
    suspended = false;
    interrupt.reset();
    fault.reset();
    rules.clear();
    open_files = 0;
    ++life;
  }

  // What space shows that was reserved and never written, or written and lost.
  void grow(std::string& content, uint64_t size, bool may_be_stale) {
    if (content.size() >= size) return;
    const size_t begin = content.size();
    content.resize(size, '\0');
    if (!may_be_stale || recycled.empty() || rng.below(2) == 0) return;
    for (size_t at = begin; at < size; at += kSectorBytes) {
      const size_t count = std::min<size_t>({kSectorBytes, size - at, recycled.size()});
      content.replace(at, count, recycled, rng.below(recycled.size() - count + 1), count);
    }
  }

  void crash_file(Inode& inode) {
    if (inode.unsynced.empty() && inode.cached == inode.durable) return;
    const auto survival = static_cast<Survival>(rng.below(4));
    size_t count = inode.unsynced.size();
    if (survival == Survival::None) count = 0;
    if (survival == Survival::Prefix) count = rng.below(count + 1);
    for (size_t i = 0; i < count; ++i) {
      const Inode::Change& change = inode.unsynced[i];
      const bool may_tear =
          survival == Survival::Any || (survival == Survival::Prefix && i + 1 == count);
      if (!may_tear) {
        Inode::apply(inode.durable, change);
      } else if (change.is_resize) {
        if (rng.below(2) == 0) continue;
        grow(inode.durable, change.offset, true);
        inode.durable.resize(change.offset);
      } else {
        tear(inode, change);
      }
    }
    // The new size may be durable before the bytes are.
    if (survival == Survival::Any && rng.below(4) == 0) {
      grow(inode.durable, inode.cached.size(), true);
    }
    inode.unsynced.clear();
    inode.cached = inode.durable;
  }

  // Any subset of the sectors that the write touched, and the first bytes of some.
  void tear(Inode& inode, const Inode::Change& change) {
    const uint64_t end = change.offset + change.bytes.size();
    for (uint64_t begin = change.offset; begin < end;) {
      const uint64_t sector_end = std::min(end, (begin / kSectorBytes + 1) * kSectorBytes);
      const uint64_t fate = rng.below(8);
      uint64_t size = sector_end - begin;
      if (fate == 4) size = rng.below(size);
      if (fate <= 4 && size > 0) {
        grow(inode.durable, begin, true);
        Inode::apply(inode.durable,
                     {.offset = begin, .bytes = change.bytes.substr(begin - change.offset, size)});
      }
      begin = sector_end;
    }
  }

  void crash_folder(Inode& folder) {
    if (!folder.unsynced_names.empty()) {
      const auto survival = static_cast<Survival>(rng.below(4));
      size_t count = folder.unsynced_names.size();
      if (survival == Survival::None) count = 0;
      if (survival == Survival::Prefix) count = rng.below(count + 1);
      for (size_t i = 0; i < count; ++i) {
        if (survival == Survival::Any && rng.below(2) == 0) continue;
        Inode::apply(folder.durable_names, folder.unsynced_names[i]);
      }
      folder.unsynced_names.clear();
    }
    folder.names = folder.durable_names;
    for (auto& [name, inode] : folder.names) {
      inode->is_folder ? crash_folder(*inode) : crash_file(*inode);
    }
  }
};

class SimFileSystem::SimFile final : public File {
 public:
  SimFile(std::shared_ptr<State> state, std::shared_ptr<Inode> inode, std::string path,
          bool writable)
      : state_(std::move(state)),
        inode_(std::move(inode)),
        path_(std::move(path)),
        writable_(writable),
        life_(state_->life) {
    ++state_->open_files;
  }
  ~SimFile() override {
    const std::lock_guard lock(state_->mutex);
    if (life_ == state_->life) --state_->open_files;
  }

  Result<void> write_at(uint64_t offset, std::string_view bytes) override {
    state_->run_interrupt(SimOperation::Write, path_);
    const std::lock_guard lock(state_->mutex);
    TRY(usable_for_writing(SimOperation::Write));
    const bool faulty = TRY(state_->fault_point(SimOperation::Write, path_));
    if (faulty) {
      bytes = bytes.substr(0, state_->rng.below(bytes.size() + 1));
    }
    const uint64_t end = offset + bytes.size();
    const uint64_t growth = end > inode_->cached.size() ? end - inode_->cached.size() : 0;
    if (!faulty && growth > 0) TRY(state_->has_space(SimOperation::Write, path_, growth));
    inode_->change({.offset = offset, .bytes = std::string(bytes)});
    if (faulty) return State::io_error(SimOperation::Write, path_);
    return {};
  }

  Result<std::string> read_at(uint64_t offset, size_t size) const override {
    const std::lock_guard lock(state_->mutex);
    TRY(usable());
    TRY(state_->plain_fault_point(SimOperation::Read, path_));
    if (offset >= inode_->cached.size()) return std::string();
    return inode_->cached.substr(offset, size);
  }

  Result<void> sync() override {
    state_->run_interrupt(SimOperation::Sync, path_);
    const std::lock_guard lock(state_->mutex);
    TRY(usable_for_writing(SimOperation::Sync));
    const bool faulty = TRY(state_->fault_point(SimOperation::Sync, path_));
    if (faulty) {
      // The kernel marks the pages clean after an error: they are never written.
      if (!state_->power_lost) inode_->unsynced.clear();
      return State::io_error(SimOperation::Sync, path_);
    }
    ++state_->syncs;
    if (!state_->options.ignore_sync) inode_->sync();
    return {};
  }

  Result<void> truncate(uint64_t size) override { return resize(size); }

  Result<uint64_t> size() const override {
    const std::lock_guard lock(state_->mutex);
    TRY(usable());
    return inode_->cached.size();
  }

  Result<void> allocate(uint64_t size) override {
    {
      const std::lock_guard lock(state_->mutex);
      if (size <= inode_->cached.size()) size = inode_->cached.size();
    }
    return resize(size);
  }

  void advise(FileUse) const override {}

 private:
  Result<void> usable() const {
    TRY(state_->alive(path_));
    if (life_ != state_->life) {
      return fail(ErrorCode::Io, "{}: opened before the crash (simulated)", path_);
    }
    return {};
  }

  Result<void> usable_for_writing(SimOperation operation) const {
    TRY(usable());
    if (writable_) return {};
    return fail(ErrorCode::Io, "{} {}: opened for reading", sim_operation_name(operation), path_);
  }

  Result<void> resize(uint64_t size) {
    const std::lock_guard lock(state_->mutex);
    TRY(usable_for_writing(SimOperation::Resize));
    TRY(state_->plain_fault_point(SimOperation::Resize, path_));
    if (size == inode_->cached.size()) return {};
    if (size > inode_->cached.size()) {
      TRY(state_->has_space(SimOperation::Resize, path_, size - inode_->cached.size()));
    }
    inode_->change({.offset = size, .bytes = {}, .is_resize = true});
    return {};
  }

  const std::shared_ptr<State> state_;
  const std::shared_ptr<Inode> inode_;
  const std::string path_;
  const bool writable_;
  const uint64_t life_;
};

class SimFileSystem::SimLock final : public FileLock {
 public:
  SimLock(std::shared_ptr<State> state, std::string path)
      : state_(std::move(state)), path_(std::move(path)), life_(state_->life) {}
  ~SimLock() override {
    const std::lock_guard lock(state_->mutex);
    if (life_ == state_->life) state_->locked.erase(path_);
  }

 private:
  const std::shared_ptr<State> state_;
  const std::string path_;
  const uint64_t life_;
};

SimFileSystem::SimFileSystem(SimOptions options) : state_(std::make_shared<State>(options)) {}
SimFileSystem::~SimFileSystem() = default;

Result<std::unique_ptr<File>> SimFileSystem::open(const std::string& path, OpenMode mode) {
  if (mode == OpenMode::CreateNew || mode == OpenMode::CreateOrTruncate) {
    state_->run_interrupt(SimOperation::Create, path);
  }
  const std::lock_guard lock(state_->mutex);
  TRY(state_->alive(path));
  std::shared_ptr<Inode> inode = state_->find(path);
  if (inode != nullptr && inode->is_folder) {
    return fail(ErrorCode::Io, "open {}: Is a directory", path);
  }
  const bool creates = mode == OpenMode::CreateNew || mode == OpenMode::CreateOrTruncate;
  if (mode == OpenMode::CreateNew && inode != nullptr) {
    return fail(ErrorCode::Conflict, "create {}: File exists", path);
  }
  if (!creates && inode == nullptr) {
    return fail(ErrorCode::NotFound, "open {}: No such file or directory", path);
  }
  if (creates) {
    const std::shared_ptr<Inode> folder = state_->find_folder(parent_of(path));
    if (folder == nullptr) {
      return fail(ErrorCode::NotFound, "create {}: No such file or directory", path);
    }
    TRY(state_->plain_fault_point(SimOperation::Create, path));
    if (inode == nullptr) {
      inode = std::make_shared<Inode>(false);
      folder->change_name({.erased = {}, .name = std::string(last_part(path)), .inode = inode});
    } else {
      inode->change({.offset = 0, .bytes = {}, .is_resize = true});
    }
  }
  return std::make_unique<SimFile>(state_, std::move(inode), path, mode != OpenMode::Read);
}

Result<std::vector<std::string>> SimFileSystem::list(const std::string& dir) {
  const std::lock_guard lock(state_->mutex);
  TRY(state_->alive(dir));
  const std::shared_ptr<Inode> folder = state_->find_folder(dir);
  if (folder == nullptr) {
    return fail(ErrorCode::NotFound, "list {}: No such file or directory", dir);
  }
  TRY(state_->plain_fault_point(SimOperation::Read, dir));
  std::vector<std::string> names;
  for (const auto& [name, inode] : folder->names) names.push_back(name);
  return names;
}

Result<void> SimFileSystem::create_dirs(const std::string& dir) {
  const std::lock_guard lock(state_->mutex);
  TRY(state_->alive(dir));
  if (state_->find_folder(dir) != nullptr) return {};
  TRY(state_->plain_fault_point(SimOperation::CreateDir, dir));
  std::string_view rest = dir;
  std::shared_ptr<Inode> at = state_->root;
  for (std::string_view part = next_part(rest); !part.empty(); part = next_part(rest)) {
    if (!at->names.contains(part)) at->add_folder(part);
    at = at->names.find(part)->second;
    if (!at->is_folder) {
      return fail(ErrorCode::Conflict, "create folder {}: a file of that name exists",
                  dir.substr(0, dir.size() - rest.size()));
    }
  }
  return {};
}

// Renaming across folders is not simulated: nothing durable needs it.
Result<void> SimFileSystem::rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(state_->mutex);
  TRY(state_->alive(from));
  const std::shared_ptr<Inode> inode = state_->find(from);
  if (inode == nullptr) {
    return fail(ErrorCode::NotFound, "rename {} to {}: No such file or directory", from, to);
  }
  const std::shared_ptr<Inode> folder = state_->find_folder(parent_of(from));
  ENSURE(folder == state_->find_folder(parent_of(to)));
  const std::shared_ptr<Inode> replaced = state_->find(to);
  if (replaced != nullptr && replaced->is_folder && !replaced->names.empty()) {
    return fail(ErrorCode::Conflict, "rename {} to {}: Directory not empty", from, to);
  }
  TRY(state_->plain_fault_point(SimOperation::Rename, to));
  if (replaced != nullptr) state_->recycle(*replaced);
  folder->change_name(
      {.erased = std::string(last_part(from)), .name = std::string(last_part(to)), .inode = inode});
  return {};
}

Result<void> SimFileSystem::link(const std::string& from, const std::string& to) {
  const std::lock_guard lock(state_->mutex);
  TRY(state_->alive(from));
  const std::shared_ptr<Inode> inode = state_->find(from);
  const std::shared_ptr<Inode> folder = state_->find_folder(parent_of(to));
  if (inode == nullptr || inode->is_folder || folder == nullptr) {
    return fail(ErrorCode::NotFound, "link {} to {}: No such file or directory", from, to);
  }
  if (state_->find(to) != nullptr) {
    return fail(ErrorCode::Conflict, "link {} to {}: File exists", from, to);
  }
  TRY(state_->plain_fault_point(SimOperation::Link, to));
  folder->change_name({.erased = {}, .name = std::string(last_part(to)), .inode = inode});
  return {};
}

Result<void> SimFileSystem::remove(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  TRY(state_->alive(path));
  const std::shared_ptr<Inode> inode = state_->find(path);
  if (inode == nullptr || inode->is_folder) {
    return fail(ErrorCode::NotFound, "remove {}: No such file", path);
  }
  TRY(state_->plain_fault_point(SimOperation::Remove, path));
  state_->recycle(*inode);
  state_->find_folder(parent_of(path))
      ->change_name({.erased = std::string(last_part(path)), .name = {}, .inode = nullptr});
  return {};
}

Result<void> SimFileSystem::remove_all(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  TRY(state_->alive(path));
  const std::shared_ptr<Inode> inode = state_->find(path);
  if (inode == nullptr) return {};
  TRY(state_->plain_fault_point(SimOperation::Remove, path));
  const std::function<void(Inode&)> empty = [&](Inode& folder) {
    while (!folder.names.empty()) {
      const auto& [name, child] = *folder.names.begin();
      if (child->is_folder) empty(*child);
      state_->recycle(*child);
      folder.change_name({.erased = std::string(name), .name = {}, .inode = nullptr});
    }
  };
  if (inode->is_folder) empty(*inode);
  state_->recycle(*inode);
  state_->find_folder(parent_of(path))
      ->change_name({.erased = std::string(last_part(path)), .name = {}, .inode = nullptr});
  return {};
}

Result<void> SimFileSystem::sync_dir(const std::string& dir) {
  const std::lock_guard lock(state_->mutex);
  TRY(state_->alive(dir));
  const std::shared_ptr<Inode> folder = state_->find_folder(dir);
  if (folder == nullptr) {
    return fail(ErrorCode::NotFound, "open folder {}: No such file or directory", dir);
  }
  TRY(state_->plain_fault_point(SimOperation::SyncDir, dir));
  if (!state_->options.ignore_sync_dir) folder->sync_names();
  return {};
}

bool SimFileSystem::exists(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  return state_->find(path) != nullptr;
}

Result<std::unique_ptr<FileLock>> SimFileSystem::lock(const std::string& path) {
  const std::lock_guard guard(state_->mutex);
  TRY(state_->alive(path));
  if (!state_->locked.insert(path).second) {
    return fail(ErrorCode::Conflict, "{} is in use by process 1 (simulated)", path);
  }
  return std::make_unique<SimLock>(state_, path);
}

Result<DiskSpace> SimFileSystem::disk_space(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  TRY(state_->alive(path));
  const uint64_t total = state_->options.capacity_bytes;
  if (state_->suspended || total == UINT64_MAX) {
    // Callers add what they have to what is left: no overflow.
    constexpr uint64_t kEndless = uint64_t{1} << 62U;
    return DiskSpace{.total_bytes = kEndless, .available_bytes = kEndless};
  }
  const uint64_t used = state_->used();
  return DiskSpace{.total_bytes = total, .available_bytes = total > used ? total - used : 0};
}

void SimFileSystem::crash() {
  const std::lock_guard lock(state_->mutex);
  state_->crash_folder(*state_->root);
  state_->begin_life();
}

void SimFileSystem::kill() {
  const std::lock_guard lock(state_->mutex);
  state_->begin_life();
}

void SimFileSystem::fail_at(uint64_t fault_point, SimFault fault) {
  const std::lock_guard lock(state_->mutex);
  state_->fault = {fault_point, fault};
}

void SimFileSystem::fail_when(SimFaultRule rule) {
  const std::lock_guard lock(state_->mutex);
  state_->rules.push_back(std::move(rule));
}

void SimFileSystem::clear_fault() {
  const std::lock_guard lock(state_->mutex);
  state_->fault.reset();
  state_->rules.clear();
}

void SimFileSystem::suspend_faults(bool suspended) {
  const std::lock_guard lock(state_->mutex);
  state_->suspended = suspended;
}

bool SimFileSystem::has_power() const {
  const std::lock_guard lock(state_->mutex);
  return !state_->power_lost;
}

uint64_t SimFileSystem::fault_points() const {
  const std::lock_guard lock(state_->mutex);
  return state_->fault_points;
}

void SimFileSystem::on_fault(FaultObserver observer) {
  const std::lock_guard lock(state_->mutex);
  state_->fault_observer = std::move(observer);
}

void SimFileSystem::on_operation(OperationObserver observer) {
  const std::lock_guard lock(state_->mutex);
  state_->operation_observer = std::move(observer);
}

void SimFileSystem::interrupt(SimOperation operation, std::string path_contains, uint64_t skip,
                              std::function<void()> action) {
  const std::lock_guard lock(state_->mutex);
  state_->interrupt = State::Interrupt{.operation = operation,
                                       .path_contains = std::move(path_contains),
                                       .skip = skip,
                                       .action = std::move(action)};
}

void SimFileSystem::clear_interrupt() {
  const std::lock_guard lock(state_->mutex);
  state_->interrupt.reset();
}

void SimFileSystem::set_read_only(bool read_only) {
  const std::lock_guard lock(state_->mutex);
  state_->read_only = read_only;
}

void SimFileSystem::set_capacity(uint64_t bytes) {
  const std::lock_guard lock(state_->mutex);
  state_->options.capacity_bytes = bytes;
}

uint64_t SimFileSystem::used_bytes() const {
  const std::lock_guard lock(state_->mutex);
  return state_->used();
}

uint64_t SimFileSystem::sync_count() const {
  const std::lock_guard lock(state_->mutex);
  return state_->syncs;
}

size_t SimFileSystem::open_files() const {
  const std::lock_guard lock(state_->mutex);
  return state_->open_files;
}

std::vector<std::string> SimFileSystem::all_files() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<std::string> paths;
  const std::function<void(const Inode&, const std::string&)> add = [&](const Inode& folder,
                                                                        const std::string& prefix) {
    for (const auto& [name, inode] : folder.names) {
      if (inode->is_folder) {
        add(*inode, prefix + name + "/");
      } else {
        paths.push_back(prefix + name);
      }
    }
  };
  add(*state_->root, "");
  std::sort(paths.begin(), paths.end());
  return paths;
}

void SimFileSystem::damage(const std::string& path,
                           const std::function<void(std::string&)>& change) {
  const std::lock_guard lock(state_->mutex);
  const std::shared_ptr<Inode> inode = state_->find(path);
  ENSURE(inode != nullptr && !inode->is_folder);
  change(inode->durable);
  change(inode->cached);
}

}  // namespace core::testing
