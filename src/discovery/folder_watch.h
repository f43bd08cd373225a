// Tells that something happened in one of some folders (inotify). Folders are watched
// rather than files: editors and configuration management replace a file by renaming.

#pragma once

#include "core/result.h"

#include <memory>
#include <string>
#include <vector>

namespace discovery {

// Confined to one thread at a time.
class FolderWatch {
 public:
  // Errors: LimitExceeded (fs.inotify.max_user_instances), Io.
  static core::Result<std::unique_ptr<FolderWatch>> open();
  ~FolderWatch();
  FolderWatch(const FolderWatch&) = delete;
  FolderWatch& operator=(const FolderWatch&) = delete;

  // Again and again for the same folder, too: one that was replaced is then watched in
  // its new place.
  core::Result<void> add(const std::string& folder);
  // Whether anything happened since the last call. Never blocks.
  bool take_events();

 private:
  explicit FolderWatch(int fd) : fd_(fd) {}

  int fd_;
};

}  // namespace discovery
