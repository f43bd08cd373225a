// A file system through which nothing can be written: for tools that look into a directory
// with code that would clean it up.

#pragma once

#include "core/file_system.h"

namespace app {

// Thread-safe. Borrows the file system. What would change something is PermissionDenied;
// folders that are there already count as made and synced.
class ReadOnlyFiles final : public core::FileSystem {
 public:
  explicit ReadOnlyFiles(core::FileSystem& files) : files_(files) {}

  core::Result<std::unique_ptr<core::File>> open(const std::string& path,
                                                 core::OpenMode mode) override;
  core::Result<std::vector<std::string>> list(const std::string& dir) override;
  core::Result<void> create_dirs(const std::string& dir) override;
  core::Result<void> rename(const std::string& from, const std::string& to) override;
  core::Result<void> link(const std::string& from, const std::string& to) override;
  core::Result<void> remove(const std::string& path) override;
  core::Result<void> remove_all(const std::string& path) override;
  core::Result<void> sync_dir(const std::string& dir) override;
  bool exists(const std::string& path) override;
  core::Result<std::unique_ptr<core::FileLock>> lock(const std::string& path) override;
  core::Result<core::DiskSpace> disk_space(const std::string& path) override;

 private:
  core::FileSystem& files_;
};

}  // namespace app
