// statfs(2) for file systems that may hang: a server that is gone keeps the call in the
// kernel for ever, and nothing can interrupt it.

#pragma once

#include "agent/collectors/mount_usage.h"

#include <memory>
#include <string>
#include <vector>

namespace agent {

// Confined to one thread, and starts one of its own on first use: the collector's must
// not be the one that hangs. A thread that hangs at destruction is left behind; it
// touches nothing but its own state.
class RemoteStatfs {
 public:
  // `call` is statfs, or a test's.
  using Call = MountUsage (*)(const std::string& mount_point);
  explicit RemoteStatfs(Call call) : call_(call) {}
  ~RemoteStatfs();
  RemoteStatfs(const RemoteStatfs&) = delete;
  RemoteStatfs& operator=(const RemoteStatfs&) = delete;

  // The usage of each mount point, waiting at most `patience_ms` for all of them
  // together. One without an answer is failed; it is not asked again before the call
  // that hangs has come back.
  std::vector<MountUsage> ask(const std::vector<std::string>& mount_points, int64_t patience_ms);

 private:
  struct State;
  const Call call_;
  std::shared_ptr<State> state_;
};

}  // namespace agent
