#include "app/config_watch.h"

#include "app/node.h"
#include "core/crc32c.h"
#include "core/log.h"

namespace app {

uint32_t files_fingerprint(core::FileSystem& files, const std::vector<std::string>& paths) {
  uint32_t fingerprint = 0;
  for (const std::string& path : paths) {
    const core::Result<std::string> text = files.read_file(path);
    fingerprint = core::crc32c(path, fingerprint);
    fingerprint =
        core::crc32c(text ? std::string_view("\1") : std::string_view("\0", 1), fingerprint);
    if (text) fingerprint = core::crc32c(*text, fingerprint);
  }
  return fingerprint;
}

void WatchedFiles::end_reading(uint32_t fingerprint, bool succeeded) {
  known_ = before_;
  // Differs as well when the patterns changed: then everything is read once more.
  if (succeeded && fingerprint != before_) known_.reset();
}

std::vector<std::string> watched_paths(const Node& node) {
  std::vector<std::string> paths;
  for (const std::string& file : {node.flags.config_file, node.flags.alertmanager_config_file}) {
    if (!file.empty()) paths.push_back(file);
  }
  std::vector<std::string> patterns = node.loaded.config.rule_globs;
  const std::vector<std::string>& scrapes = node.loaded.config.scrape_file_globs;
  patterns.insert(patterns.end(), scrapes.begin(), scrapes.end());
  patterns.insert(patterns.end(), node.flags.rule_globs.begin(), node.flags.rule_globs.end());
  for (const std::string& pattern : patterns) {
    // A file that is gone still counts by its name.
    auto found = config::expand_globs({pattern});
    if (!found) found = std::vector<std::string>{pattern};
    paths.insert(paths.end(), found->begin(), found->end());
  }
  return paths;
}

namespace {

void look(Node& node) {
  {
    const std::lock_guard lock(node.reload_mutex);
    if (!node.watched.differ_from(files_fingerprint(node.files, watched_paths(node)))) return;
  }
  core::log_info("config", "a file of the configuration has changed");
  // Its outcome is in the log and in petrel_config_last_reload_successful.
  (void)reload(node);
}

void schedule(Node& node) {
  node.watch_timer = node.timers.after(node.flags.auto_reload_interval_ms, [&node] {
    const bool posted = node.background.post([&node] {
      look(node);
      schedule(node);
    });
    if (!posted) schedule(node);
  });
}

}  // namespace

void start_config_watch(Node& node) {
  if (node.flags.auto_reload_interval_ms > 0) schedule(node);
}

void stop_config_watch(Node& node) {
  node.timers.cancel(node.watch_timer);
}

}  // namespace app
