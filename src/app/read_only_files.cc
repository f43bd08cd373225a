#include "app/read_only_files.h"

namespace app {

using core::Result;

namespace {

tl::unexpected<core::Error> refused(std::string_view what, const std::string& path) {
  return core::fail(core::ErrorCode::PermissionDenied, "{} {}: opened for reading only", what,
                    path);
}

}  // namespace

Result<std::unique_ptr<core::File>> ReadOnlyFiles::open(const std::string& path,
                                                        core::OpenMode mode) {
  if (mode != core::OpenMode::Read) return refused("open", path);
  return files_.open(path, mode);
}

Result<std::vector<std::string>> ReadOnlyFiles::list(const std::string& dir) {
  if (!files_.exists(dir)) return std::vector<std::string>{};
  return files_.list(dir);
}

Result<void> ReadOnlyFiles::create_dirs(const std::string& /*dir*/) {
  return {};  // list() shows a missing one as empty
}

Result<void> ReadOnlyFiles::rename(const std::string& from, const std::string& /*to*/) {
  return refused("rename", from);
}

Result<void> ReadOnlyFiles::link(const std::string& /*from*/, const std::string& to) {
  return refused("link", to);
}

Result<void> ReadOnlyFiles::remove(const std::string& path) {
  return refused("remove", path);
}

Result<void> ReadOnlyFiles::remove_all(const std::string& path) {
  return refused("remove", path);
}

Result<void> ReadOnlyFiles::sync_dir(const std::string& /*dir*/) {
  return {};
}

bool ReadOnlyFiles::exists(const std::string& path) {
  return files_.exists(path);
}

Result<std::unique_ptr<core::FileLock>> ReadOnlyFiles::lock(const std::string& path) {
  return files_.lock(path);
}

Result<core::DiskSpace> ReadOnlyFiles::disk_space(const std::string& path) {
  return files_.disk_space(path);
}

}  // namespace app
