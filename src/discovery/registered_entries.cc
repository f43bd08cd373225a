#include "discovery/registered_entries.h"

#include "core/log.h"

#include <algorithm>
#include <unordered_set>

namespace discovery {

using core::Result;

namespace {

constexpr int64_t kBurstMs = 500;       // changes that come together are told together
constexpr int64_t kPostAgainMs = 1000;  // when the executor is full
// The file is a convenience for the next start: a large one is not written every second.
constexpr int64_t kSaveIntervalMs = 1'000;
constexpr int64_t kLargeSaveIntervalMs = 30'000;
constexpr size_t kLargeSaveSize = 1 << 20;
constexpr size_t kInvalidShownMax = 100;

const char* kind_of(RegistrationStore store) {
  return store == RegistrationStore::Etcd ? "etcd" : "zookeeper";
}

}  // namespace

std::shared_ptr<RegisteredEntries> RegisteredEntries::create(Options options,
                                                             const ProviderParts& parts) {
  return std::shared_ptr<RegisteredEntries>(new RegisteredEntries(std::move(options), parts));
}

RegisteredEntries::RegisteredEntries(Options options, const ProviderParts& parts)
    : options_(std::move(options)), kind_(kind_of(options_.store)), parts_(parts) {
  const core::MetricLabels labels = {{"config", options_.name}, {"mechanism", kind_}};
  metrics_.push_back(core::callback_metric(
      core::MetricKind::Gauge, "petrel_sd_stale_seconds",
      "Age of the targets of a store that cannot be reached; 0 while it can.", labels, [this] {
        const int64_t since = stale_since_ms_;
        return since == 0 ? 0.0 : static_cast<double>(parts_.clock.now_ms() - since) / 1000;
      }));
  metrics_.push_back(
      core::callback_metric(core::MetricKind::Gauge, "petrel_sd_invalid_entries",
                            "Registered entries that could not be read.", labels,
                            [this] { return static_cast<double>(invalid_count_.load()); }));
}

RegisteredEntries::~RegisteredEntries() {
  metrics_.clear();  // before what they read
}

void RegisteredEntries::start(Provider::Update update) {
  {
    const std::lock_guard lock(mutex_);
    update_ = std::move(update);
    stale_since_ms_ = parts_.clock.now_ms();
  }
  load();
}

void RegisteredEntries::stop() {
  std::unique_lock lock(mutex_);
  is_stopped_ = true;
  idle_.wait(lock, [this] { return !is_flushing_; });
  update_ = nullptr;
  if (!wants_save_locked(true)) return;
  const SavedEntries saved = take_saved_locked();
  lock.unlock();
  save(saved);
}

void RegisteredEntries::put(const std::string& path, std::string_view value) {
  const std::lock_guard lock(mutex_);
  put_locked(path, value);
}

void RegisteredEntries::erase(const std::string& path) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(path);
  if (found != entries_.end()) erase_locked(found);
}

void RegisteredEntries::replace_all(const std::vector<Entry>& entries) {
  const std::lock_guard lock(mutex_);
  std::unordered_set<std::string_view> present;
  present.reserve(entries.size());
  for (const auto& [path, value] : entries) present.insert(path);
  for (auto it = entries_.begin(); it != entries_.end();) {
    it = present.contains(it->first) ? std::next(it) : erase_locked(it);
  }
  for (const auto& [path, value] : entries) put_locked(path, value);
}

void RegisteredEntries::put_locked(const std::string& path, std::string_view value) {
  const auto found = entries_.find(path);
  if (found == entries_.end() && entries_.size() >= kRegisteredEntriesMax) {
    is_over_limit_ = true;
    return;
  }
  Known& entry = found != entries_.end() ? found->second : entries_[path];
  if (entry.problem.empty() && !entry.good.empty() && entry.good == value) return;
  const Result<RegistrationPath> parts = parse_registration_path(options_.prefix, path);
  Result<Registration> registration = tl::unexpected(core::Error{});
  if (parts) {
    registration = parse_registration(value);
  } else {
    registration = tl::unexpected(parts.error());
  }
  if (!registration) {
    if (entry.problem.empty()) ++invalid_count_;
    entry.problem = registration.error().message;
    schedule_flush_locked(kBurstMs);
    return;
  }
  if (!entry.problem.empty()) --invalid_count_;
  entry.problem.clear();
  if (entry.good != value) is_file_behind_ = true;
  entry.good = value;
  set_group_locked(path, entry, target_group(*registration, *parts, path, options_.store));
  schedule_flush_locked(kBurstMs);
}

RegisteredEntries::EntryMap::iterator RegisteredEntries::erase_locked(EntryMap::iterator entry) {
  if (!entry->second.problem.empty()) --invalid_count_;
  if (!entry->second.good.empty()) is_file_behind_ = true;
  changed_.insert(entry->first);
  schedule_flush_locked(kBurstMs);
  return entries_.erase(entry);
}

void RegisteredEntries::set_group_locked(const std::string& path, Known& entry,
                                         config::TargetGroup group) {
  if (entry.group == group) return;
  entry.group = std::move(group);
  changed_.insert(path);
}

void RegisteredEntries::publish_all_locked() {
  has_published_ = true;
  owes_first_update_ = true;
  for (const auto& [path, entry] : entries_) changed_.insert(path);
  schedule_flush_locked(0);
}

void RegisteredEntries::store_read() {
  const std::lock_guard lock(mutex_);
  const int64_t now_ms = parts_.clock.now_ms();
  if (is_away_) {
    core::log_info("discovery", "the store of targets can be read again",
                   {{"mechanism", kind_}, {"config", options_.name}});
  }
  is_away_ = false;
  has_read_store_ = true;
  stale_since_ms_ = 0;
  last_success_ms_ = now_ms;
  last_error_ = is_over_limit_ ? fmt::format("more than {} entries under {}: the rest is ignored",
                                             kRegisteredEntriesMax, options_.prefix)
                               : "";
  is_over_limit_ = false;
  // Also without a change, so that the next start knows how old its targets are.
  if (now_ms - last_save_ms_ >= options_.refresh_interval_ms) is_file_behind_ = true;
  if (!has_published_) {
    publish_all_locked();
  } else if (is_file_behind_) {
    schedule_flush_locked(kBurstMs);
  }
}

void RegisteredEntries::store_lost(const std::string& error) {
  const std::lock_guard lock(mutex_);
  last_error_ = error;
  if (!is_away_) {
    core::log_warn("discovery", "the store of targets cannot be read: known ones stay",
                   {{"mechanism", kind_},
                    {"config", options_.name},
                    {"known", entries_.size()},
                    {"error", error}});
  }
  is_away_ = true;
  if (stale_since_ms_ == 0) stale_since_ms_ = parts_.clock.now_ms();
  if (!has_published_ && !entries_.empty()) publish_all_locked();
}

std::vector<std::string> RegisteredEntries::paths() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> out;
  out.reserve(entries_.size());
  for (const auto& [path, entry] : entries_) out.push_back(path);
  return out;
}

ProviderStatus RegisteredEntries::status() const {
  const std::lock_guard lock(mutex_);
  ProviderStatus out;
  out.kind = kind_;
  out.last_error = last_error_;
  out.last_success_ms = last_success_ms_;
  if (invalid_count_ == 0) return out;
  for (const auto& [path, entry] : entries_) {
    if (entry.problem.empty()) continue;
    if (out.invalid.size() == kInvalidShownMax) {
      out.invalid.push_back(fmt::format("and {} more", invalid_count_ - kInvalidShownMax));
      break;
    }
    out.invalid.push_back(path + ": " + entry.problem);
  }
  return out;
}

// Nothing is told before the first whole answer, or before the store is known to be away.
void RegisteredEntries::schedule_flush_locked(int64_t delay_ms) {
  if (is_stopped_ || !has_published_ || is_flush_scheduled_) return;
  is_flush_scheduled_ = true;
  parts_.scheduler.after(delay_ms, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->post_flush();
  });
}

// A timer of its own: the file may wait, targets may not.
void RegisteredEntries::schedule_save_locked() {
  if (is_stopped_ || is_save_scheduled_ || parts_.state_dir.empty()) return;
  is_save_scheduled_ = true;
  const int64_t delay_ms = std::max(kBurstMs, next_save_ms_ - parts_.clock.now_ms());
  parts_.scheduler.after(delay_ms, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    const std::lock_guard lock(self->mutex_);
    self->is_save_scheduled_ = false;
    self->schedule_flush_locked(0);
  });
}

void RegisteredEntries::post_flush() {
  const bool is_posted = parts_.executor.post([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->flush();
  });
  if (is_posted) return;
  const std::lock_guard lock(mutex_);
  is_flush_scheduled_ = false;
  schedule_flush_locked(kPostAgainMs);
}

void RegisteredEntries::flush() {
  std::unique_lock lock(mutex_);
  is_flush_scheduled_ = false;
  if (is_stopped_) return;
  if (is_flushing_) {  // a second one, begun while the first still tells
    schedule_flush_locked(kBurstMs);
    return;
  }
  is_flushing_ = true;
  const bool has_news = owes_first_update_ || !changed_.empty();
  owes_first_update_ = false;
  std::vector<config::TargetGroup> groups = take_changes_locked();
  const Provider::Update update = update_;
  const size_t invalid = invalid_count_;
  std::string first_problem;
  if (invalid != invalid_logged_ && invalid > 0) {
    const auto found = std::find_if(entries_.begin(), entries_.end(), [](const auto& entry) {
      return !entry.second.problem.empty();
    });
    if (found != entries_.end()) first_problem = found->first + ": " + found->second.problem;
  }
  const bool has_invalid_news = invalid != invalid_logged_;
  invalid_logged_ = invalid;
  const bool is_saving = wants_save_locked(false);
  SavedEntries saved;
  if (is_saving) saved = take_saved_locked();
  lock.unlock();

  if (has_news && update) update(std::move(groups));
  if (has_invalid_news) log_invalid(first_problem, invalid);
  if (is_saving) save(saved);

  lock.lock();
  is_flushing_ = false;
  if (is_file_behind_) schedule_save_locked();
  lock.unlock();
  idle_.notify_all();
}

std::vector<config::TargetGroup> RegisteredEntries::take_changes_locked() {
  std::vector<config::TargetGroup> out;
  out.reserve(changed_.size());
  for (const std::string& path : changed_) {
    const auto found = entries_.find(path);
    config::TargetGroup group;
    if (found != entries_.end()) group = found->second.group;
    group.source = path;
    out.push_back(std::move(group));
  }
  changed_.clear();
  return out;
}

void RegisteredEntries::log_invalid(const std::string& first, size_t count) {
  if (count == 0) {
    core::log_info("discovery", "all registered entries are readable again",
                   {{"mechanism", kind_}, {"config", options_.name}});
    return;
  }
  core::log_warn(
      "discovery", "registered entries that cannot be read",
      {{"mechanism", kind_}, {"config", options_.name}, {"count", count}, {"first", first}});
}

// Until the store was read, the file is the best there is.
bool RegisteredEntries::wants_save_locked(bool is_last) const {
  return is_file_behind_ && has_read_store_ && !parts_.state_dir.empty() &&
         (is_last || parts_.clock.now_ms() >= next_save_ms_);
}

SavedEntries RegisteredEntries::take_saved_locked() {
  SavedEntries saved{kind_, options_.prefix, last_success_ms_, {}};
  size_t size = 0;
  for (const auto& [path, entry] : entries_) {
    if (entry.good.empty()) continue;
    saved.entries.emplace_back(path, entry.good);
    size += path.size() + entry.good.size();
  }
  is_file_behind_ = false;
  last_save_ms_ = parts_.clock.now_ms();
  next_save_ms_ = last_save_ms_ + (size > kLargeSaveSize ? kLargeSaveIntervalMs : kSaveIntervalMs);
  return saved;
}

void RegisteredEntries::save(const SavedEntries& saved) {
  static core::Counter& failures = core::counter(
      "petrel_sd_state_write_failures_total", "Files of known targets that could not be written.");
  const std::string path = parts_.state_dir + "/" + saved_entries_file(options_.name);
  Result<void> written = parts_.files.create_dirs(parts_.state_dir);
  if (written) written = parts_.files.write_file_atomically(path, format_saved_entries(saved));
  if (written) return;
  failures.add();
  core::log_warn("discovery", "known targets could not be written",
                 {{"path", path}, {"error", written.error().message}});
}

void RegisteredEntries::load() {
  if (parts_.state_dir.empty()) return;
  const std::string path = parts_.state_dir + "/" + saved_entries_file(options_.name);
  if (!parts_.files.exists(path)) return;
  Result<std::string> text = parts_.files.read_file(path);
  Result<SavedEntries> saved = SavedEntries{};
  if (text) {
    saved = parse_saved_entries(*text);
  } else {
    saved = tl::unexpected(text.error());
  }
  if (!saved) {
    core::log_warn("discovery", "known targets could not be read; they come from the store alone",
                   {{"path", path}, {"error", saved.error().message}});
    return;
  }
  if (saved->kind != kind_ || saved->prefix != options_.prefix) return;
  const std::lock_guard lock(mutex_);
  for (const auto& [entry_path, value] : saved->entries) put_locked(entry_path, value);
  is_file_behind_ = false;
  last_save_ms_ = saved->saved_ms;
  stale_since_ms_ = saved->saved_ms;
}

}  // namespace discovery
