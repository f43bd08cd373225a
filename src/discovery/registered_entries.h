// What etcd's and ZooKeeper's providers share: the entries that are known, which of them
// are good, and when others hear of it.
//
//   store's client > put, erase, replace_all > table > (500 ms) > Update
//                                                └────> last-known-good file
//
// An entry that turns unreadable keeps its last good value. While the store is away all
// entries stay; after a restart they come from the file.

#pragma once

#include "core/metrics.h"
#include "discovery/provider.h"
#include "discovery/registration.h"
#include "discovery/saved_entries.h"

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace discovery {

// More entries than this are an error of the read, not memory.
inline constexpr size_t kRegisteredEntriesMax = 200'000;

// Thread-safe. Held by shared_ptr: its timers outlive nobody else.
class RegisteredEntries : public std::enable_shared_from_this<RegisteredEntries> {
 public:
  struct Options {
    RegistrationStore store = RegistrationStore::Etcd;
    std::string name;  // "<job>/<index>"
    std::string prefix;
    int64_t refresh_interval_ms = 0;
  };
  using Entry = std::pair<std::string, std::string>;  // path, value

  static std::shared_ptr<RegisteredEntries> create(Options options, const ProviderParts& parts);
  ~RegisteredEntries();

  // Reads the last-known-good file; what it holds is published only by store_lost().
  void start(Provider::Update update);
  // No update comes after it has returned. Writes the file when it is behind.
  void stop();

  void put(const std::string& path, std::string_view value);
  void erase(const std::string& path);
  // Every entry there is: what is not listed is gone.
  void replace_all(const std::vector<Entry>& entries);
  // All that was told before is the store's present content. The first time publishes at
  // once, also nothing.
  void store_read();
  void store_lost(const std::string& error);

  // With the entries of the file.
  std::vector<std::string> paths() const;
  ProviderStatus status() const;

 private:
  struct Known {
    std::string good;  // the last readable value; "": there was none
    config::TargetGroup group;
    std::string problem;  // of the value that the store has now; "": it is `good`
  };

  RegisteredEntries(Options options, const ProviderParts& parts);
  void put_locked(const std::string& path, std::string_view value);
  using EntryMap = std::map<std::string, Known>;
  EntryMap::iterator erase_locked(EntryMap::iterator entry);
  void set_group_locked(const std::string& path, Known& entry, config::TargetGroup group);
  void publish_all_locked();
  void schedule_flush_locked(int64_t delay_ms);
  void schedule_save_locked();
  void post_flush();
  void flush();
  std::vector<config::TargetGroup> take_changes_locked();
  bool wants_save_locked(bool is_last) const;
  void save(const SavedEntries& saved);
  SavedEntries take_saved_locked();
  void load();
  void log_invalid(const std::string& first, size_t count);

  const Options options_;
  const std::string kind_;
  const ProviderParts parts_;

  mutable std::mutex mutex_;
  std::condition_variable idle_;
  // All below guarded by mutex_, but for the atomics.
  Provider::Update update_;
  std::map<std::string, Known> entries_;
  std::set<std::string> changed_;   // paths to tell of
  bool has_published_ = false;      // an update was given or is due
  bool owes_first_update_ = false;  // even when nothing changed
  bool is_flush_scheduled_ = false;
  bool is_save_scheduled_ = false;
  bool is_flushing_ = false;
  bool is_stopped_ = false;
  bool is_file_behind_ = false;
  bool is_away_ = false;
  bool is_over_limit_ = false;
  bool has_read_store_ = false;
  int64_t last_save_ms_ = 0;
  int64_t next_save_ms_ = 0;
  size_t invalid_logged_ = 0;
  std::string last_error_;
  // Read by metrics while the registry is locked.
  std::atomic<int64_t> last_success_ms_ = 0;
  std::atomic<int64_t> stale_since_ms_ = 0;  // 0: not stale
  std::atomic<size_t> invalid_count_ = 0;
  std::vector<core::MetricCallback> metrics_;
};

}  // namespace discovery
