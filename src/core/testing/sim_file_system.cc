#include "core/testing/sim_file_system.h"

#include <algorithm>
#include <utility>

namespace core::testing {
namespace {

constexpr uint64_t kSectorBytes = 512;  // written whole or not at all

std::string parent_of(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// What a crash does to the unsynced changes of one file or folder.
enum class Survival { None, Prefix, Any, All };

}  // namespace

struct SimFileSystem::Inode {
  // One change since the last sync: a write, or with `is_resize` a new size.
  struct Change {
    uint64_t offset = 0;
    std::string bytes;
    bool is_resize = false;
  };

  std::string cached;
  std::string durable;
  std::vector<Change> unsynced;

  static void apply(std::string& content, const Change& change) {
    if (change.is_resize) {
      content.resize(change.offset, '\0');
      return;
    }
    const uint64_t end = change.offset + change.bytes.size();
    if (content.size() < end) content.resize(end, '\0');
    content.replace(change.offset, change.bytes.size(), change.bytes);
  }

  void change(Change change) {
    apply(cached, change);
    unsynced.push_back(std::move(change));
  }

  void sync() {
    for (const Change& change : unsynced) apply(durable, change);
    unsynced.clear();
  }
};

struct SimFileSystem::State {
  // A change of names: `erased` disappears, then `name` (unless empty) means `inode`. Both
  // at once, as rename promises.
  struct NameChange {
    std::string erased;
    std::string name;
    std::shared_ptr<Inode> inode;
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>>;

  explicit State(SimOptions sim_options) : options(sim_options), rng(sim_options.seed) {}

  mutable std::mutex mutex;
  SimOptions options;
  SeededRng rng;
  Names cached;  // by full path
  Names durable;
  std::map<std::string, std::vector<NameChange>> unsynced;  // by folder
  std::set<std::string> folders{".", "/"};
  std::set<std::string> locked;
  uint64_t life = 0;  // handles of earlier lives are dead
  uint64_t fault_points = 0;
  uint64_t syncs = 0;
  std::optional<std::pair<uint64_t, SimFault>> fault;
  bool power_lost = false;

  static void apply(Names& names, const NameChange& change) {
    if (!change.erased.empty()) names.erase(change.erased);
    if (!change.name.empty()) names[change.name] = change.inode;
  }

  void change_name(NameChange change) {
    const std::string& some_name = change.name.empty() ? change.erased : change.name;
    apply(cached, change);
    unsynced[parent_of(some_name)].push_back(std::move(change));
  }

  uint64_t used() const {
    uint64_t bytes = 0;
    for (const auto& [name, inode] : cached) bytes += inode->cached.size();
    return bytes;
  }

  Result<void> alive(const std::string& path) const {
    if (power_lost) return fail(ErrorCode::Io, "{}: no power (simulated)", path);
    return {};
  }

  // At the start of every operation that changes something. The fault to inject here, if
  // it is one that lets the operation happen in part.
  Result<bool> fault_point(std::string_view operation, const std::string& path) {
    TRY(alive(path));
    const uint64_t point = fault_points++;
    if (!fault || fault->first != point) return false;
    switch (fault->second) {
      case SimFault::NoSpace:
        return fail(ErrorCode::LimitExceeded, "{} {}: No space left on device (simulated)",
                    operation, path);
      case SimFault::PowerLoss:
        power_lost = true;
        return true;
      case SimFault::Io:
        return true;
    }
    return false;
  }

  // For operations that happen whole or not at all.
  Result<void> plain_fault_point(std::string_view operation, const std::string& path) {
    const bool faulty = TRY(fault_point(operation, path));
    if (faulty) return io_error(operation, path);
    return {};
  }

  static tl::unexpected<Error> io_error(std::string_view operation, const std::string& path) {
    return fail(ErrorCode::Io, "{} {}: Input/output error (simulated)", operation, path);
  }

  void begin_life() {
    locked.clear();
    power_lost = false;
    fault.reset();
    ++life;
  }

  void crash_file(Inode& inode) {
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
        if (rng.below(2) == 0) Inode::apply(inode.durable, change);
      } else {
        tear(inode, change);
      }
    }
    inode.unsynced.clear();
    inode.cached = inode.durable;
  }

  // Any subset of the sectors that the write touched.
  void tear(Inode& inode, const Inode::Change& change) {
    const uint64_t end = change.offset + change.bytes.size();
    for (uint64_t begin = change.offset; begin < end;) {
      const uint64_t sector_end = std::min(end, (begin / kSectorBytes + 1) * kSectorBytes);
      if (rng.below(2) == 0) {
        Inode::apply(inode.durable,
                     {.offset = begin,
                      .bytes = change.bytes.substr(begin - change.offset, sector_end - begin)});
      }
      begin = sector_end;
    }
  }

  void crash_names(std::vector<NameChange>& changes) {
    const auto survival = static_cast<Survival>(rng.below(4));
    size_t count = changes.size();
    if (survival == Survival::None) count = 0;
    if (survival == Survival::Prefix) count = rng.below(count + 1);
    for (size_t i = 0; i < count; ++i) {
      if (survival == Survival::Any && rng.below(2) == 0) continue;
      apply(durable, changes[i]);
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
        life_(state_->life) {}

  Result<void> write_at(uint64_t offset, std::string_view bytes) override {
    const std::lock_guard lock(state_->mutex);
    TRY(usable_for_writing("write"));
    const bool faulty = TRY(state_->fault_point("write", path_));
    if (faulty) {
      bytes = bytes.substr(0, state_->rng.below(bytes.size() + 1));
    }
    const uint64_t end = offset + bytes.size();
    const uint64_t growth = end > inode_->cached.size() ? end - inode_->cached.size() : 0;
    if (!faulty && growth > 0) TRY(has_space("write", growth));
    inode_->change({.offset = offset, .bytes = std::string(bytes)});
    if (faulty) return State::io_error("write", path_);
    return {};
  }

  Result<std::string> read_at(uint64_t offset, size_t size) const override {
    const std::lock_guard lock(state_->mutex);
    TRY(usable());
    if (offset >= inode_->cached.size()) return std::string();
    return inode_->cached.substr(offset, size);
  }

  Result<void> sync() override {
    const std::lock_guard lock(state_->mutex);
    TRY(usable_for_writing("fdatasync"));
    const bool faulty = TRY(state_->fault_point("fdatasync", path_));
    if (faulty) {
      // The kernel marks the pages clean after an error: they are never written.
      if (!state_->power_lost) inode_->unsynced.clear();
      return State::io_error("fdatasync", path_);
    }
    ++state_->syncs;
    if (!state_->options.ignore_sync) inode_->sync();
    return {};
  }

  Result<void> truncate(uint64_t size) override { return resize("truncate", size); }

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
    return resize("allocate", size);
  }

 private:
  Result<void> usable() const {
    TRY(state_->alive(path_));
    if (life_ != state_->life) {
      return fail(ErrorCode::Io, "{}: opened before the crash (simulated)", path_);
    }
    return {};
  }

  Result<void> usable_for_writing(std::string_view operation) const {
    TRY(usable());
    if (!writable_) return fail(ErrorCode::Io, "{} {}: opened for reading", operation, path_);
    return {};
  }

  Result<void> has_space(std::string_view operation, uint64_t growth) const {
    if (state_->used() + growth <= state_->options.capacity_bytes) return {};
    return fail(ErrorCode::LimitExceeded, "{} {}: No space left on device (simulated)", operation,
                path_);
  }

  Result<void> resize(std::string_view operation, uint64_t size) {
    const std::lock_guard lock(state_->mutex);
    TRY(usable_for_writing(operation));
    TRY(state_->plain_fault_point(operation, path_));
    if (size == inode_->cached.size()) return {};
    if (size > inode_->cached.size()) TRY(has_space(operation, size - inode_->cached.size()));
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
  const std::lock_guard lock(state_->mutex);
  TRY(state_->alive(path));
  const auto found = state_->cached.find(path);
  std::shared_ptr<Inode> inode = found == state_->cached.end() ? nullptr : found->second;
  const bool creates = mode == OpenMode::CreateNew || mode == OpenMode::CreateOrTruncate;
  if (mode == OpenMode::CreateNew && inode != nullptr) {
    return fail(ErrorCode::Conflict, "create {}: File exists", path);
  }
  if (!creates && inode == nullptr) {
    return fail(ErrorCode::NotFound, "open {}: No such file or directory", path);
  }
  if (creates) {
    if (!state_->folders.contains(parent_of(path))) {
      return fail(ErrorCode::NotFound, "create {}: No such file or directory", path);
    }
    TRY(state_->plain_fault_point("create", path));
    if (inode == nullptr) {
      inode = std::make_shared<Inode>();
      state_->change_name({.erased = {}, .name = path, .inode = inode});
    } else {
      inode->change({.offset = 0, .bytes = {}, .is_resize = true});
    }
  }
  return std::make_unique<SimFile>(state_, std::move(inode), path, mode != OpenMode::Read);
}

Result<std::vector<std::string>> SimFileSystem::list(const std::string& dir) {
  const std::lock_guard lock(state_->mutex);
  TRY(state_->alive(dir));
  if (!state_->folders.contains(dir)) {
    return fail(ErrorCode::NotFound, "list {}: No such file or directory", dir);
  }
  std::set<std::string> names;
  const std::string prefix = dir + "/";
  const auto add = [&](const std::string& path) {
    if (path.size() > prefix.size() && path.starts_with(prefix)) {
      const std::string name = path.substr(prefix.size());
      if (name.find('/') == std::string::npos) names.insert(name);
    }
  };
  for (const auto& [path, inode] : state_->cached) add(path);
  for (const std::string& folder : state_->folders) add(folder);
  return std::vector<std::string>(names.begin(), names.end());
}

Result<void> SimFileSystem::create_dirs(const std::string& dir) {
  const std::lock_guard lock(state_->mutex);
  TRY(state_->alive(dir));
  if (state_->folders.contains(dir)) return {};
  TRY(state_->plain_fault_point("create folder", dir));
  for (size_t end = dir.find('/', 1);; end = dir.find('/', end + 1)) {
    const std::string prefix = dir.substr(0, end);
    if (state_->cached.contains(prefix)) {
      return fail(ErrorCode::Conflict, "create folder {}: a file of that name exists", prefix);
    }
    state_->folders.insert(prefix);
    if (end == std::string::npos) return {};
  }
}

// Renaming a folder, or across folders, is not simulated: nothing durable needs it.
Result<void> SimFileSystem::rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(state_->mutex);
  TRY(state_->alive(from));
  const auto found = state_->cached.find(from);
  if (found == state_->cached.end()) {
    return fail(ErrorCode::NotFound, "rename {} to {}: No such file or directory", from, to);
  }
  ENSURE(parent_of(from) == parent_of(to));
  TRY(state_->plain_fault_point("rename", to));
  state_->change_name({.erased = from, .name = to, .inode = found->second});
  return {};
}

Result<void> SimFileSystem::link(const std::string& from, const std::string& to) {
  const std::lock_guard lock(state_->mutex);
  TRY(state_->alive(from));
  const auto found = state_->cached.find(from);
  if (found == state_->cached.end() || !state_->folders.contains(parent_of(to))) {
    return fail(ErrorCode::NotFound, "link {} to {}: No such file or directory", from, to);
  }
  if (state_->cached.contains(to)) {
    return fail(ErrorCode::Conflict, "link {} to {}: File exists", from, to);
  }
  TRY(state_->plain_fault_point("link", to));
  state_->change_name({.erased = {}, .name = to, .inode = found->second});
  return {};
}

Result<void> SimFileSystem::remove(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  TRY(state_->alive(path));
  if (!state_->cached.contains(path)) {
    return fail(ErrorCode::NotFound, "remove {}: No such file or directory", path);
  }
  TRY(state_->plain_fault_point("remove", path));
  state_->change_name({.erased = path, .name = {}, .inode = nullptr});
  return {};
}

Result<void> SimFileSystem::remove_all(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  TRY(state_->alive(path));
  TRY(state_->plain_fault_point("remove", path));
  std::vector<std::string> gone;
  for (const auto& [name, inode] : state_->cached) {
    if (name == path || name.starts_with(path + "/")) gone.push_back(name);
  }
  for (const std::string& name : gone) {
    state_->change_name({.erased = name, .name = {}, .inode = nullptr});
  }
  std::erase_if(state_->folders, [&](const std::string& folder) {
    return folder == path || folder.starts_with(path + "/");
  });
  return {};
}

Result<void> SimFileSystem::sync_dir(const std::string& dir) {
  const std::lock_guard lock(state_->mutex);
  TRY(state_->alive(dir));
  if (!state_->folders.contains(dir)) {
    return fail(ErrorCode::NotFound, "open folder {}: No such file or directory", dir);
  }
  TRY(state_->plain_fault_point("fsync folder", dir));
  if (state_->options.ignore_sync_dir) return {};
  for (const State::NameChange& change : state_->unsynced[dir]) {
    State::apply(state_->durable, change);
  }
  state_->unsynced.erase(dir);
  return {};
}

bool SimFileSystem::exists(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  return state_->cached.contains(path) || state_->folders.contains(path);
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
  const uint64_t used = state_->used();
  return DiskSpace{.total_bytes = total, .available_bytes = total > used ? total - used : 0};
}

void SimFileSystem::crash() {
  const std::lock_guard lock(state_->mutex);
  for (auto& [dir, changes] : state_->unsynced) state_->crash_names(changes);
  state_->unsynced.clear();
  state_->cached = state_->durable;
  for (auto& [path, inode] : state_->cached) state_->crash_file(*inode);
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

void SimFileSystem::clear_fault() {
  const std::lock_guard lock(state_->mutex);
  state_->fault.reset();
}

uint64_t SimFileSystem::fault_points() const {
  const std::lock_guard lock(state_->mutex);
  return state_->fault_points;
}

void SimFileSystem::set_capacity(uint64_t bytes) {
  const std::lock_guard lock(state_->mutex);
  state_->options.capacity_bytes = bytes;
}

uint64_t SimFileSystem::sync_count() const {
  const std::lock_guard lock(state_->mutex);
  return state_->syncs;
}

}  // namespace core::testing
