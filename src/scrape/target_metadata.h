// Type, help and unit of the metrics of one target. Thousands of targets expose the same
// ones, so the texts are shared between them.

#pragma once

#include "ingest/exposition.h"
#include "model/sample.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace scrape {

using SharedMetadata = std::shared_ptr<const model::Metadata>;

// One text for all targets that say the same. Thread-safe.
class MetadataTable {
 public:
  struct Interned {
    SharedMetadata metadata;
    bool is_first = false;  // storage has not been told yet
  };
  Interned intern(model::Metadata metadata);
  // Forgets what no target uses any more.
  void purge();
  // A batch was lost: all is told again.
  void forget_told() { ++generation_; }
  uint64_t generation() const { return generation_; }

 private:
  struct Entry {
    SharedMetadata metadata;
    uint64_t told_in = 0;  // generation
  };

  std::mutex mutex_;
  std::unordered_multimap<size_t, Entry> entries_;  // guarded by mutex_; by hash
  std::atomic<uint64_t> generation_ = 1;
};

// Thread-safe: the API looks while a scrape is read.
class TargetMetadata {
 public:
  void begin();
  // Type, Help or Unit of a metric family.
  void say(const ingest::Entry& line);
  // Takes over what was said; what storage has not been told yet is appended to `fresh`.
  void end(MetadataTable& table, std::vector<model::Metadata>& fresh);

  std::vector<SharedMetadata> list() const;

 private:
  struct Entry {
    SharedMetadata metadata;  // null while it is a draft only
    uint32_t round = 0;       // in which it was said last
    uint32_t draft = 0;       // index + 1 into drafts_; 0: none
  };

  uint32_t find(std::string_view metric);
  std::string_view metric_of(const Entry& one) const;

  mutable std::mutex mutex_;
  // All below guarded by mutex_.
  std::vector<Entry> entries_;  // in the order in which the target says them
  std::vector<std::unique_ptr<model::Metadata>> drafts_;
  std::unordered_map<std::string_view, uint32_t> index_;  // of a round that leaves the order
  uint32_t expected_ = 0;
  uint32_t round_ = 0;
  uint64_t generation_ = 1;
};

}  // namespace scrape
