// What is known of the series of one target: for the bytes that a line names its series
// with, the label bytes that are stored; and which series the last scrape had, so that
// those that are gone get stale markers (prometheus/scrape/scrape.go, scrapeCache).
//
// Entries stand in the order of the last scrape. Targets keep theirs, so that a known
// series is one comparison of bytes with the entry that is expected next. For a scrape
// that leaves the order an index is built, by a 128-bit keyed hash of the key: nobody can
// craft keys that collide.

#pragma once

#include "core/rng.h"
#include "storage/write_batch.h"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace scrape {

struct SeriesKey {
  uint64_t low = 0;
  uint64_t high = 0;

  bool operator==(const SeriesKey&) const = default;
};

// Immutable after construction, thread-safe.
class SeriesKeyHasher {
 public:
  explicit SeriesKeyHasher(core::Rng& rng);
  SeriesKey operator()(std::string_view bytes) const;

 private:
  std::array<uint64_t, 24> secret_;
};

// Owns label bytes, each with its sink's note in front and its key behind; batches that borrow them
// keep it alive.
struct LabelArena {
  std::vector<std::unique_ptr<char[]>> blocks;
};

// What a round needs for a moment, reused by the worker for one target after the other.
struct RoundScratch {
  std::string new_bytes;        // labels and key of each new entry
  std::vector<uint32_t> order;  // entries in the order in which they were met
  std::vector<uint32_t> index;  // open addressing, entry + 1; empty: not built
  std::unordered_set<std::string_view> labels;
};

// Confined to whoever handles the target's scrape. A round is begin(), take_expected() or
// find() and add() for each line, settle(), for_each_stale(), end().
class SeriesCache {
 public:
  static constexpr uint32_t kUnknown = UINT32_MAX;

  void begin(RoundScratch& scratch);
  // The key of the entry that stood next in the last round, or nothing.
  std::string_view expected_key() const {
    return expected_ < first_new_ ? entries_[expected_].key_bytes() : std::string_view();
  }
  // The entry of expected_key(), which there is.
  uint32_t take_expected() { return expected_++; }
  // The entry of that key, or kUnknown.
  uint32_t find(SeriesKey key);
  // A key that find() did not know. Empty `labels`: its lines are dropped.
  uint32_t add(SeriesKey key, std::string_view key_bytes, std::string_view labels);
  bool is_dropped(uint32_t entry) const { return entries_[entry].label_size == 0; }
  // Marks the entry as met; false when it was already in this round.
  bool meet(uint32_t entry);
  // It has a sample in this round, and gets a stale marker once it has none.
  void track(uint32_t entry);

  // Gives the labels of entries added in this round their lasting place. labels() of such
  // an entry is valid only afterwards.
  void settle();
  std::string_view labels(uint32_t entry) const {
    return {entries_[entry].labels, entries_[entry].label_size};
  }
  // The sink's, for batches with these labels; null as long as they are not settled.
  storage::SeriesNote* note(uint32_t entry) const {
    char* const labels = entries_[entry].labels;
    if (labels == nullptr) return nullptr;
    return reinterpret_cast<storage::SeriesNote*>(labels - sizeof(storage::SeriesNote));
  }
  // What labels() and note() point into.
  std::shared_ptr<const LabelArena> arena() const { return arena_; }

  // Labels of series that were tracked in the round before and not in this one.
  template <typename Visit>
  void for_each_stale(Visit visit);
  // `flush`: forget entries that were not met. Returns true when entries had to be
  // forgotten although `flush` did not say so, because failing scrapes brought ever new ones.
  bool end(bool flush);

  // Between rounds: the labels of series that are alive.
  template <typename Visit>
  void for_each_live(Visit visit) const {
    for (const Entry& one : entries_) {
      if (one.tracked == round_ - 1) visit(std::string_view(one.labels, one.label_size));
    }
    for (const Entry& one : orphans_) visit(std::string_view(one.labels, one.label_size));
  }
  // Between rounds: labels are made in another way from now on, so all are looked up anew.
  // Series that the next round does not have again get stale markers there.
  void forget_keys();

  size_t size() const { return entries_.size(); }
  size_t memory_bytes() const;

 private:
  struct Entry {
    SeriesKey key;
    char* labels = nullptr;   // null until settled; the note is before it, the key behind
    uint32_t label_size = 0;  // 0: dropped
    uint32_t key_size = 0;
    uint32_t met = 0;      // round in which it was met last
    uint32_t tracked = 0;  // round in which it had a sample last

    // In the arena, where notes are aligned.
    size_t size() const {
      constexpr size_t kAlign = alignof(storage::SeriesNote);
      const size_t size = sizeof(storage::SeriesNote) + label_size + key_size;
      return (size + kAlign - 1) / kAlign * kAlign;
    }
    std::string_view key_bytes() const { return {labels + label_size, key_size}; }
  };

  static char* place(Entry& one, const char* bytes, char* at);
  void build_index();
  void insert_into_index(uint32_t entry);
  void reorder();
  void compact_arena_if_wasteful();
  bool is_stale(const Entry& one) const { return one.tracked == round_ - 1 && one.label_size > 0; }
  void collect_tracked_labels();

  std::vector<Entry> entries_;
  std::vector<Entry> orphans_;  // live when keys were forgotten; until the next round ends
  std::shared_ptr<LabelArena> arena_ = std::make_shared<LabelArena>();
  uint64_t arena_bytes_ = 0;
  uint64_t live_bytes_ = 0;
  size_t flushed_size_ = 0;  // entries after the last flush
  uint32_t round_ = 2;
  uint32_t alive_before_ = 0;  // tracked in the round before

  // Of the round that runs.
  RoundScratch* scratch_ = nullptr;
  uint32_t first_new_ = 0;
  uint32_t expected_ = 0;
  uint32_t tracked_ = 0;
  uint32_t tracked_again_ = 0;  // of those tracked in the round before
  bool is_settled_ = false;
  bool left_order_ = false;
};

template <typename Visit>
void SeriesCache::for_each_stale(Visit visit) {
  const bool has_gone = tracked_again_ != alive_before_;
  if (!has_gone && orphans_.empty()) return;
  // A series may be there under another spelling of its labels.
  const bool is_elsewhere_possible = first_new_ < entries_.size() || !orphans_.empty();
  if (is_elsewhere_possible) collect_tracked_labels();
  const auto judge = [&](const Entry& one) {
    const std::string_view labels(one.labels, one.label_size);
    if (is_elsewhere_possible && scratch_->labels.contains(labels)) return;
    visit(labels);
  };
  if (has_gone) {
    for (const Entry& one : entries_) {
      if (is_stale(one)) judge(one);
    }
  }
  for (const Entry& one : orphans_) judge(one);
  scratch_->labels.clear();
}

}  // namespace scrape
