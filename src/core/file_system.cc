#include "core/file_system.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace core {
namespace {

ErrorCode code_of(int error_number) {
  switch (error_number) {
    case ENOENT:
      return ErrorCode::NotFound;
    case EEXIST:
      return ErrorCode::Conflict;
    // EFBIG is the process's own file size limit (ulimit -f).
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return ErrorCode::LimitExceeded;
    case EACCES:
    case EPERM:
    case EROFS:
      return ErrorCode::PermissionDenied;
    default:
      return ErrorCode::Io;
  }
}

// "write data/log/0001.log: No space left on device"
tl::unexpected<Error> fail_errno(std::string_view operation, const std::string& path,
                                 int error_number) {
  // strerror is thread-safe in glibc since 2.32.
  return fail(code_of(error_number), "{} {}: {}", operation, path, std::strerror(error_number));
}

template <typename Call>
auto retry_interrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

class PosixFile final : public File {
 public:
  PosixFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

  Result<void> write_at(uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = retry_interrupted([&] {
        return ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      });
      if (written < 0) return fail_errno("write", path_, errno);
      bytes.remove_prefix(static_cast<size_t>(written));
      offset += static_cast<uint64_t>(written);
    }
    return {};
  }

  Result<std::string> read_at(uint64_t offset, size_t size) const override {
    // Callers may ask for "all of it" with a size far above the file's.
    const uint64_t file_size = TRY(this->size());
    if (offset >= file_size) return std::string();
    const auto wanted = static_cast<size_t>(std::min<uint64_t>(size, file_size - offset));
    std::string bytes;
    int error_number = 0;
    // Not zeroed first. What libstdc++ 12 gives as the size here may be the capacity.
    bytes.resize_and_overwrite(wanted, [&](char* data, size_t) {
      size_t filled = 0;
      while (filled < wanted) {
        const ssize_t got = retry_interrupted([&] {
          return ::pread(fd_.get(), data + filled, wanted - filled,
                         static_cast<off_t>(offset + filled));
        });
        if (got < 0) error_number = errno;
        if (got <= 0) break;  // shortened meanwhile, or an error
        filled += static_cast<size_t>(got);
      }
      return filled;
    });
    if (error_number != 0) return fail_errno("read", path_, error_number);
    return bytes;
  }

  Result<void> sync() override {
    if (retry_interrupted([&] { return ::fdatasync(fd_.get()); }) != 0) {
      return fail_errno("fdatasync", path_, errno);
    }
    return {};
  }

  Result<void> truncate(uint64_t size) override {
    if (retry_interrupted([&] { return ::ftruncate(fd_.get(), static_cast<off_t>(size)); }) != 0) {
      return fail_errno("truncate", path_, errno);
    }
    return {};
  }

  Result<uint64_t> size() const override {
    struct stat status{};
    if (::fstat(fd_.get(), &status) != 0) return fail_errno("stat", path_, errno);
    return static_cast<uint64_t>(status.st_size);
  }

  Result<void> allocate(uint64_t size) override {
    if (size == 0) return {};
    int error_number = 0;
    do {
      error_number = ::posix_fallocate(fd_.get(), 0, static_cast<off_t>(size));
    } while (error_number == EINTR);
    if (error_number != 0) return fail_errno("allocate", path_, error_number);
    return {};
  }

  void advise(FileUse use) const override {
    if (use == FileUse::NoMore) {
      ::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_DONTNEED);
      return;
    }
    // One call reads no more ahead than the disk takes at once.
    constexpr uint64_t kStep = 1 << 20;
    const Result<uint64_t> end = size();
    for (uint64_t at = 0; end && at < *end; at += kStep) {
      ::posix_fadvise(fd_.get(), static_cast<off_t>(at), kStep, POSIX_FADV_WILLNEED);
    }
  }

 private:
  Descriptor fd_;
  const std::string path_;
};

class PosixLock final : public FileLock {
 public:
  explicit PosixLock(int fd) : fd_(fd) {}

 private:
  Descriptor fd_;  // closing it releases the lock
};

std::string parent_of(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// "1234 (petrel)", from the lock file's text, or "another process".
std::string lock_holder(int fd) {
  char text[32] = {};
  if (::pread(fd, text, sizeof(text) - 1, 0) <= 0) return "another process";
  const long pid = std::strtol(text, nullptr, 10);
  if (pid <= 0) return "another process";
  std::string name;
  const Descriptor comm(::open(fmt::format("/proc/{}/comm", pid).c_str(), O_RDONLY | O_CLOEXEC));
  if (comm.get() >= 0 && ::read(comm.get(), text, sizeof(text) - 1) > 0) {
    name.assign(text, std::strcspn(text, "\n"));
  }
  return name.empty() ? fmt::format("process {}", pid) : fmt::format("process {} ({})", pid, name);
}

Result<bool> is_folder(const std::string& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return fail_errno("stat", path, errno);
  return S_ISDIR(status.st_mode);
}

}  // namespace

Result<std::unique_ptr<File>> PosixFileSystem::open(const std::string& path, OpenMode mode) {
  int flags = O_CLOEXEC;
  switch (mode) {
    case OpenMode::Read:
      flags |= O_RDONLY | O_NONBLOCK;  // opening a pipe would wait for its writer
      break;
    case OpenMode::ReadWrite:
      flags |= O_RDWR;
      break;
    case OpenMode::CreateNew:
      flags |= O_RDWR | O_CREAT | O_EXCL;
      break;
    case OpenMode::CreateOrTruncate:
      flags |= O_RDWR | O_CREAT | O_TRUNC;
      break;
  }
  // Metrics can be confidential: others get no access, the group may read backups.
  const int fd = retry_interrupted([&] { return ::open(path.c_str(), flags, 0640); });
  if (fd < 0) return fail_errno(mode == OpenMode::CreateNew ? "create" : "open", path, errno);
  auto file = std::make_unique<PosixFile>(fd, path);
  struct stat status{};
  if (mode == OpenMode::Read && ::fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode)) {
    return fail(ErrorCode::InvalidArgument, "open {}: a pipe, expected a file", path);
  }
  return file;
}

Result<std::vector<std::string>> PosixFileSystem::list(const std::string& dir) {
  DIR* stream = ::opendir(dir.c_str());
  if (stream == nullptr) return fail_errno("list", dir, errno);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  const int error_number = errno;
  ::closedir(stream);
  if (error_number != 0) return fail_errno("list", dir, error_number);
  std::sort(names.begin(), names.end());
  return names;
}

Result<void> PosixFileSystem::create_dirs(const std::string& dir) {
  for (size_t end = dir.find('/', 1);; end = dir.find('/', end + 1)) {
    const std::string prefix = dir.substr(0, end);
    if (::mkdir(prefix.c_str(), 0750) == 0) {
      TRY(sync_dir(parent_of(prefix)));
    } else if (errno != EEXIST) {
      return fail_errno("create folder", prefix, errno);
    }
    if (end == std::string::npos) break;
  }
  struct stat status{};
  if (::stat(dir.c_str(), &status) != 0) return fail_errno("create folder", dir, errno);
  if (!S_ISDIR(status.st_mode)) {
    return fail(ErrorCode::Conflict, "create folder {}: a file of that name exists", dir);
  }
  return {};
}

Result<void> PosixFileSystem::rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) {
    const int error_number = errno;
    return fail_errno("rename " + from + " to", to, error_number);
  }
  return {};
}

Result<void> PosixFileSystem::link(const std::string& from, const std::string& to) {
  if (::link(from.c_str(), to.c_str()) != 0) {
    const int error_number = errno;
    return fail_errno("link " + from + " to", to, error_number);
  }
  return {};
}

Result<void> PosixFileSystem::remove(const std::string& path) {
  if (::unlink(path.c_str()) != 0) return fail_errno("remove", path, errno);
  return {};
}

Result<void> PosixFileSystem::remove_all(const std::string& path) {
  const Result<bool> folder = is_folder(path);
  if (!folder && folder.error().code == ErrorCode::NotFound) return {};
  if (!folder) return tl::unexpected(folder.error());
  if (!*folder) return remove(path);
  const std::vector<std::string> names = TRY(list(path));
  for (const std::string& name : names) TRY(remove_all(path + "/" + name));
  if (::rmdir(path.c_str()) != 0) return fail_errno("remove", path, errno);
  return {};
}

Result<void> PosixFileSystem::sync_dir(const std::string& dir) {
  const Descriptor fd(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) return fail_errno("open folder", dir, errno);
  if (retry_interrupted([&] { return ::fsync(fd.get()); }) != 0) {
    return fail_errno("fsync folder", dir, errno);
  }
  return {};
}

bool PosixFileSystem::exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

// flock belongs to the open file, so a second lock() in this process is refused too, and
// the kernel releases it however the process ends.
Result<std::unique_ptr<FileLock>> PosixFileSystem::lock(const std::string& path) {
  int opened = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  const int error_number = errno;
  // On a disk that takes no writes the file, or its folder, is locked as it is.
  if (opened < 0 && (error_number == EROFS || error_number == ENOSPC || error_number == EDQUOT)) {
    opened = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (opened < 0 && errno == ENOENT) {
      opened = ::open(parent_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
  }
  if (opened < 0) return fail_errno("open", path, error_number);
  Descriptor fd(opened);
  if (retry_interrupted([&] { return ::flock(fd.get(), LOCK_EX | LOCK_NB); }) != 0) {
    if (errno != EWOULDBLOCK) return fail_errno("lock", path, errno);
    return fail(ErrorCode::Conflict, "{} is in use by {}", path, lock_holder(fd.get()));
  }
  // Only for the message above; without space for it the lock still holds.
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(fd.get(), 0) == 0) {
    [[maybe_unused]] const ssize_t written = ::pwrite(fd.get(), pid.data(), pid.size(), 0);
  }
  return std::make_unique<PosixLock>(fd.release());
}

Result<DiskSpace> PosixFileSystem::disk_space(const std::string& path) {
  struct statvfs status{};
  if (::statvfs(path.c_str(), &status) != 0) return fail_errno("statvfs", path, errno);
  return DiskSpace{.total_bytes = status.f_blocks * status.f_frsize,
                   .available_bytes = status.f_bavail * status.f_frsize};
}

Result<std::string> FileSystem::read_file(const std::string& path) {
  const std::unique_ptr<File> file = TRY(open(path, OpenMode::Read));
  const uint64_t size = TRY(file->size());
  // Files of /proc say 0 and have content; they are not for this function.
  return file->read_at(0, size);
}

Result<void> FileSystem::write_file_atomically(const std::string& path, std::string_view bytes,
                                               bool* may_be_replaced) {
  if (may_be_replaced != nullptr) *may_be_replaced = false;
  const std::string temporary = path + ".tmp";
  {
    const std::unique_ptr<File> file = TRY(open(temporary, OpenMode::CreateOrTruncate));
    TRY(file->write_at(0, bytes));
    TRY(file->sync());
  }
  if (may_be_replaced != nullptr) *may_be_replaced = true;
  TRY(rename(temporary, path));
  return sync_dir(parent_of(path));
}

}  // namespace core
