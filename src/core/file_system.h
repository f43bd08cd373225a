// The FileSystem seam: all durable state but SQLite's goes through it, so that the
// simulator can drop unsynced bytes, tear writes and fill the disk.
//
// What survives a crash: bytes before the last successful sync() of their File, and
// names (created, renamed, removed) before the last sync_dir() of their folder.

#pragma once

#include "core/result.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace core {

// What a caller is about to do with a file's bytes.
enum class FileUse {
  Soon,    // reads them: the disk may begin now
  NoMore,  // has read them: what the disk has too need not stay in memory
};

// Thread-safe for concurrent reads; writes are the caller's to order.
class File {
 public:
  virtual ~File() = default;
  // All of `bytes` at `offset`, extending the file as needed.
  virtual Result<void> write_at(uint64_t offset, std::string_view bytes) = 0;
  // Up to `size` bytes; fewer only at the end of the file.
  virtual Result<std::string> read_at(uint64_t offset, size_t size) const = 0;
  // fdatasync: data and the size that is needed to read it back.
  virtual Result<void> sync() = 0;
  virtual Result<void> truncate(uint64_t size) = 0;
  virtual Result<uint64_t> size() const = 0;
  // Reserves zero-filled space (posix_fallocate); ENOSPC shows here, not later.
  virtual Result<void> allocate(uint64_t size) = 0;
  // A hint: nothing depends on it.
  virtual void advise(FileUse use) const = 0;
};

enum class OpenMode { Read, ReadWrite, CreateNew, CreateOrTruncate };

// Held until destroyed.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

struct DiskSpace {
  uint64_t total_bytes = 0;
  uint64_t available_bytes = 0;
};

// Thread-safe. Errors: NotFound, Conflict (CreateNew on an existing name, lock
// held), LimitExceeded (no space), PermissionDenied, Io; the message names the path.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  // Names in a folder, sorted, without "." and "..".
  virtual Result<std::vector<std::string>> list(const std::string& dir) = 0;
  virtual Result<void> create_dirs(const std::string& dir) = 0;
  virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
  // A second name for a file's content (a hard link). Conflict when `to` exists.
  virtual Result<void> link(const std::string& from, const std::string& to) = 0;
  virtual Result<void> remove(const std::string& path) = 0;
  virtual Result<void> remove_all(const std::string& path) = 0;
  virtual Result<void> sync_dir(const std::string& dir) = 0;
  virtual bool exists(const std::string& path) = 0;
  // An advisory lock that a second process cannot take; The error names the process that holds it.
  virtual Result<std::unique_ptr<FileLock>> lock(const std::string& path) = 0;
  virtual Result<DiskSpace> disk_space(const std::string& path) = 0;

  // Whole-file conveniences on the operations above.
  Result<std::string> read_file(const std::string& path);
  // Writes `path`.tmp, syncs it, renames it over `path` and syncs the folder. When it fails,
  // `may_be_replaced` tells whether a later look at the path may find the new content.
  Result<void> write_file_atomically(const std::string& path, std::string_view bytes,
                                     bool* may_be_replaced = nullptr);
};

// The host's files. Reads are pread; see file_system.cc for the flags.
class PosixFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Result<std::vector<std::string>> list(const std::string& dir) override;
  Result<void> create_dirs(const std::string& dir) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> link(const std::string& from, const std::string& to) override;
  Result<void> remove(const std::string& path) override;
  Result<void> remove_all(const std::string& path) override;
  Result<void> sync_dir(const std::string& dir) override;
  bool exists(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override;
  Result<DiskSpace> disk_space(const std::string& path) override;
};

}  // namespace core
