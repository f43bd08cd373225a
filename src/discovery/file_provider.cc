#include "discovery/file_provider.h"

#include "core/log.h"
#include "discovery/folder_watch.h"
#include "discovery/refresh_loop.h"
#include "discovery/target_groups.h"

#include <algorithm>
#include <fnmatch.h>
#include <mutex>
#include <unordered_map>

namespace discovery {
namespace {

// Between a change of a folder and reading it; several changes are read at once. Also
// keeps a busy folder from being read all the time.
constexpr int64_t kWatchIntervalMs = 500;
// How often a folder that is not there is looked for.
constexpr int kMissingFolderPolls = 10;
constexpr uint64_t kFileSizeMax = 32ULL << 20;

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

bool is_json(const std::string& path) {
  return path.ends_with(".json") || path.ends_with(".JSON");
}

core::Result<std::string> read_bounded(core::FileSystem& files, const std::string& path) {
  const std::unique_ptr<core::File> file = TRY(files.open(path, core::OpenMode::Read));
  const uint64_t size = TRY(file->size());
  if (size > kFileSizeMax) {
    return core::fail(core::ErrorCode::TooLarge, "{}: {} bytes, at most {} are read", path, size,
                      kFileSizeMax);
  }
  return file->read_at(0, size);
}

class FileProvider final : public Provider {
 public:
  FileProvider(const config::FileDiscovery& config, const std::string& name,
               const ProviderParts& parts)
      : config_(config),
        parts_(parts),
        name_(name),
        loop_(RefreshLoop::create({"file", name, config.refresh_interval_ms}, parts)),
        watch_(std::make_shared<Watch>()) {}
  ~FileProvider() override { stop(); }

  void start(Update update) override;
  void stop() override;
  ProviderStatus status() const override { return loop_->status(); }

 private:
  // Shared with the timer, which may fire while the provider goes.
  struct Watch {
    std::mutex mutex;
    // Guarded by mutex.
    std::unique_ptr<FolderWatch> folders;
    core::TimerId timer = 0;
    bool has_missing = false;
    bool is_stopped = false;
    int polls = 0;
  };
  struct Content {
    std::string text;  // the last that was good
    std::vector<config::TargetGroup> groups;
  };

  static void schedule_poll(const std::shared_ptr<Watch>& watch,
                            const std::weak_ptr<RefreshLoop>& loop, core::Scheduler& scheduler);
  void watch_folders();
  std::vector<std::string> matching_files() const;
  Refreshed read_all();
  core::Result<void> read_file(const std::string& path, Content& content) const;

  const config::FileDiscovery config_;
  const ProviderParts parts_;
  const std::string name_;
  const std::shared_ptr<RefreshLoop> loop_;
  const std::shared_ptr<Watch> watch_;
  std::unordered_map<std::string, Content> contents_;  // by path; one look at a time
};

void FileProvider::start(Update update) {
  auto folders = FolderWatch::open();
  if (folders) {
    const std::lock_guard lock(watch_->mutex);
    watch_->folders = std::move(*folders);
  } else {
    core::log_warn("discovery", "files are read at the refresh interval only",
                   {{"config", name_}, {"error", folders.error().message}});
  }
  loop_->start(std::move(update), [this](const RefreshLoop::Done& done) {
    // Watched before they are read, so that no change falls between.
    watch_folders();
    done(read_all());
  });
  schedule_poll(watch_, loop_, parts_.scheduler);
}

void FileProvider::stop() {
  {
    const std::lock_guard lock(watch_->mutex);
    watch_->is_stopped = true;
    parts_.scheduler.cancel(watch_->timer);
  }
  loop_->stop();
}

void FileProvider::schedule_poll(const std::shared_ptr<Watch>& watch,
                                 const std::weak_ptr<RefreshLoop>& loop,
                                 core::Scheduler& scheduler) {
  const std::lock_guard lock(watch->mutex);
  if (watch->is_stopped || watch->folders == nullptr) return;
  watch->timer = scheduler.after(kWatchIntervalMs, [watch, loop, &scheduler] {
    bool has_changed = false;
    {
      const std::lock_guard inner(watch->mutex);
      if (watch->is_stopped) return;
      has_changed = watch->folders->take_events();
      // Looking for a folder that was missing is looking at everything again.
      has_changed |= watch->has_missing && ++watch->polls % kMissingFolderPolls == 0;
    }
    if (const auto target = loop.lock(); target && has_changed) target->trigger();
    schedule_poll(watch, loop, scheduler);
  });
}

void FileProvider::watch_folders() {
  const std::lock_guard lock(watch_->mutex);
  if (watch_->folders == nullptr) return;
  watch_->has_missing = false;
  for (const std::string& pattern : config_.files) {
    const auto added = watch_->folders->add(folder_of(pattern));
    if (!added) watch_->has_missing = true;
  }
}

std::vector<std::string> FileProvider::matching_files() const {
  std::vector<std::string> paths;
  for (const std::string& pattern : config_.files) {
    const std::string folder = folder_of(pattern);
    const std::string last = pattern.substr(pattern.rfind('/') + 1);
    if (last.find_first_of("*?[\\") == std::string::npos) {
      if (parts_.files.exists(pattern)) paths.push_back(pattern);
      continue;
    }
    const auto names = parts_.files.list(folder);
    if (!names) continue;
    for (const std::string& file : *names) {
      if (fnmatch(last.c_str(), file.c_str(), FNM_PATHNAME) != 0) continue;
      paths.push_back(pattern.substr(0, pattern.size() - last.size()) + file);
    }
  }
  std::sort(paths.begin(), paths.end());
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
  return paths;
}

Refreshed FileProvider::read_all() {
  static core::Counter& read_errors = core::counter(
      "petrel_sd_file_read_errors_total", "Files with target groups that could not be read.");
  Refreshed refreshed;
  std::unordered_map<std::string, Content> contents;
  for (const std::string& path : matching_files()) {
    const auto before = contents_.find(path);
    Content content = before == contents_.end() ? Content() : std::move(before->second);
    if (const auto read = read_file(path, content); !read) {
      read_errors.add();
      // Each error is logged once for as long as it is the same.
      const std::vector<std::string> known = loop_->status().invalid;
      if (std::find(known.begin(), known.end(), read.error().message) == known.end()) {
        core::log_error("discovery", "a file of targets cannot be read; its known targets stay",
                        {{"config", name_}, {"error", read.error().message}});
      }
      refreshed.invalid.push_back(read.error().message);
      for (size_t i = 0; i < content.groups.size(); ++i) {
        refreshed.kept.insert(fmt::format("{}:{}", path, i));
      }
    } else {
      refreshed.groups.insert(refreshed.groups.end(), content.groups.begin(), content.groups.end());
    }
    contents.emplace(path, std::move(content));
  }
  contents_ = std::move(contents);
  return refreshed;
}

// On an error `content` keeps what is known.
core::Result<void> FileProvider::read_file(const std::string& path, Content& content) const {
  std::string text = TRY(read_bounded(parts_.files, path));
  if (!text.empty() && text == content.text) return {};
  auto groups = TRY(is_json(path) ? parse_target_groups_json(text, path)
                                  : parse_target_groups_yaml(text, path));
  add_label(groups, "__meta_filepath", path);
  content.text = std::move(text);
  content.groups = std::move(groups);
  return {};
}

}  // namespace

core::Result<std::unique_ptr<Provider>> make_file_provider(const config::FileDiscovery& config,
                                                           const std::string& name,
                                                           const ProviderParts& parts) {
  return std::make_unique<FileProvider>(config, name, parts);
}

}  // namespace discovery
