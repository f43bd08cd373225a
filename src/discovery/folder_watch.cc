#include "discovery/folder_watch.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <sys/inotify.h>
#include <unistd.h>

namespace discovery {

core::Result<std::unique_ptr<FolderWatch>> FolderWatch::open() {
  const int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) {
    const auto code = errno == EMFILE ? core::ErrorCode::LimitExceeded : core::ErrorCode::Io;
    return core::fail(code, "inotify: {}", std::strerror(errno));
  }
  return std::unique_ptr<FolderWatch>(new FolderWatch(fd));
}

FolderWatch::~FolderWatch() {
  ::close(fd_);
}

core::Result<void> FolderWatch::add(const std::string& folder) {
  // A file is read when its writer is done, not at every write.
  constexpr uint32_t kEvents = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM |
                               IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
  if (inotify_add_watch(fd_, folder.c_str(), kEvents) >= 0) return {};
  const auto code = errno == ENOENT   ? core::ErrorCode::NotFound
                    : errno == ENOSPC ? core::ErrorCode::LimitExceeded
                                      : core::ErrorCode::Io;
  return core::fail(code, "watch {}: {}", folder, std::strerror(errno));
}

bool FolderWatch::take_events() {
  alignas(inotify_event) std::array<char, 16384> buffer;
  bool any = false;
  while (::read(fd_, buffer.data(), buffer.size()) > 0) any = true;
  return any;
}

}  // namespace discovery
