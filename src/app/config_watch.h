// Reloads when a file of the configuration has changed: its content, not its time
// (--config.auto-reload-interval).

#pragma once

#include "core/file_system.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace app {

struct Node;

// Changes when the content of a file does, or when one comes or goes.
uint32_t files_fingerprint(core::FileSystem& files, const std::vector<std::string>& paths);

// What stood in the files when they were last read.
class WatchedFiles {
 public:
  // Around reading: a change in between shows as a change afterwards. When reading failed
  // only the next change counts.
  void begin_reading(uint32_t fingerprint) { before_ = fingerprint; }
  void end_reading(uint32_t fingerprint, bool succeeded);
  bool differ_from(uint32_t fingerprint) const { return known_ != fingerprint; }

 private:
  uint32_t before_ = 0;
  std::optional<uint32_t> known_;
};

// Every file that the configuration was read from, and those its patterns match now.
std::vector<std::string> watched_paths(const Node& node);

// Does nothing when the interval is 0.
void start_config_watch(Node& node);
void stop_config_watch(Node& node);

}  // namespace app
