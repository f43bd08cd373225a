#include "promtsdb/data_dir.h"

#include "promtsdb/log_reader.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <set>
#include <sys/file.h>
#include <unistd.h>

namespace promtsdb {

using core::ErrorCode;
using core::Result;

namespace {

Result<uint64_t> chunk_bytes_of(core::FileSystem& files, const std::string& dir) {
  uint64_t bytes = 0;
  if (!files.exists(dir + "/chunks")) return bytes;
  for (const std::string& name : TRY(files.list(dir + "/chunks"))) {
    const std::unique_ptr<core::File> file =
        TRY(files.open(dir + "/chunks/" + name, core::OpenMode::Read));
    bytes += TRY(file->size());
  }
  return bytes;
}

void find_block(core::FileSystem& files, const std::string& dir, DataDir& data, Damage& damage) {
  const std::string path = dir + "/meta.json";
  const Result<std::string> json = files.read_file(path);
  if (!json) {
    damage.note(damage.files, fmt::format("{}: {}", path, json.error().message));
    return;
  }
  Result<BlockMeta> meta = parse_block_meta(*json);
  if (!meta) {
    damage.note(damage.files, fmt::format("{}: {}", path, meta.error().message));
    return;
  }
  const Result<uint64_t> bytes = chunk_bytes_of(files, dir);
  if (!bytes) {
    damage.note(damage.files, fmt::format("{}: {}", dir, bytes.error().message));
    return;
  }
  data.blocks.push_back({std::move(*meta), dir, *bytes});
}

// Blocks of the head end at a whole multiple of their length; promtool's end one
// millisecond after their last sample, and say nothing about what the log has.
bool is_from_head(const BlockMeta& meta) {
  constexpr int64_t kSecondMs = 1000;
  return !meta.out_of_order && meta.range.end_ms % kSecondMs == 0;
}

constexpr std::string_view kAdvice =
    "Stop it first, or import a snapshot of it (POST /api/v1/admin/tsdb/snapshot)";

// Which process has the log open, as far as this user may see it; empty: none. Prometheus
// may run without its lock file (--storage.tsdb.no-lockfile, and as Debian builds it).
std::string find_user(const std::string& dir) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path wanted = fs::canonical(dir, error);
  if (error) return {};
  for (fs::directory_iterator process("/proc", error), end; !error && process != end;
       process.increment(error)) {
    const std::string pid = process->path().filename();
    if (segment_number(pid) <= 0 || pid == std::to_string(::getpid())) continue;
    std::error_code ignored;
    for (fs::directory_iterator fd(process->path() / "fd", ignored); !ignored && fd != end;
         fd.increment(ignored)) {
      std::error_code gone;
      const std::string file = fs::read_symlink(fd->path(), gone);
      if (gone || !file.starts_with(wanted.string() + "/")) continue;
      const std::string inside = file.substr(wanted.string().size() + 1);
      if (!inside.starts_with("wal/") && inside != "queries.active") continue;
      return fmt::format("process {} has {} open: a Prometheus is running on {}", pid, file, dir);
    }
  }
  return {};
}

}  // namespace

Result<DataDir> find_data(core::FileSystem& files, const std::string& dir, Damage& damage) {
  DataDir data;
  data.dir = dir;
  if (files.exists(dir + "/meta.json") && files.exists(dir + "/index")) {
    find_block(files, dir, data, damage);
    return data;
  }
  bool is_data = false;
  for (const std::string& name : TRY(files.list(dir))) {
    if (!is_ulid(name)) continue;  // as in Prometheus; also *.tmp-for-creation
    is_data = true;
    find_block(files, dir + "/" + name, data, damage);
  }
  data.has_head = files.exists(dir + "/wal") || files.exists(dir + "/chunks_head") ||
                  files.exists(dir + "/wbl");
  if (!is_data && !data.has_head) {
    return core::fail(ErrorCode::NotFound,
                      "{} is no Prometheus data directory: it has neither blocks (folders with a "
                      "meta.json) nor a wal folder",
                      dir);
  }
  std::set<std::string> replaced;
  for (const FoundBlock& one : data.blocks) {
    replaced.insert(one.meta.parents.begin(), one.meta.parents.end());
  }
  data.replaced_blocks = std::erase_if(
      data.blocks, [&](const FoundBlock& one) { return replaced.contains(one.meta.ulid); });
  std::ranges::sort(data.blocks, [](const FoundBlock& a, const FoundBlock& b) {
    return std::tie(a.meta.range.start_ms, a.meta.ulid) <
           std::tie(b.meta.range.start_ms, b.meta.ulid);
  });
  for (const FoundBlock& one : data.blocks) {
    if (!is_from_head(one.meta)) continue;
    data.head_min_valid_ms = std::max(data.head_min_valid_ms, one.meta.range.end_ms);
  }
  return data;
}

Result<std::shared_ptr<void>> hold_prometheus_lock(const std::string& dir) {
  if (const std::string user = find_user(dir); !user.empty()) {
    return core::fail(ErrorCode::Conflict, "{}. {}", user, kAdvice);
  }
  const std::string path = dir + "/lock";
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT) return std::shared_ptr<void>();
    return core::fail(ErrorCode::Io, "open {}: {}", path, std::strerror(errno));
  }
  std::shared_ptr<void> held(nullptr, [fd](void*) { ::close(fd); });
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return held;
  return core::fail(ErrorCode::Conflict, "{} is locked: a Prometheus is running on {}. {}", path,
                    dir, kAdvice);
}

}  // namespace promtsdb
