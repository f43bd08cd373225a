#include "scrape/series_cache.h"

#include "core/result.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <xxhash.h>

namespace scrape {
namespace {

// Entries beyond the expected one that are looked at before an index is built: a few
// series that are gone must not cost more.
constexpr uint32_t kLookAhead = 4;
// Failing scrapes with ever new series: forgotten when the entries have doubled and some.
constexpr size_t kUnflushedFree = 1000;
constexpr size_t kBlocksMax = 32;
constexpr uint64_t kWasteFree = 4096;

}  // namespace

SeriesKeyHasher::SeriesKeyHasher(core::Rng& rng) {
  for (uint64_t& word : secret_) word = rng.next();
}

SeriesKey SeriesKeyHasher::operator()(std::string_view bytes) const {
  const XXH128_hash_t hash =
      XXH3_128bits_withSecret(bytes.data(), bytes.size(), secret_.data(), sizeof secret_);
  return {hash.low64, hash.high64};
}

void SeriesCache::begin(RoundScratch& scratch) {
  scratch_ = &scratch;
  scratch.new_bytes.clear();
  scratch.order.clear();
  scratch.index.clear();
  scratch.labels.clear();
  first_new_ = static_cast<uint32_t>(entries_.size());
  expected_ = 0;
  tracked_ = 0;
  tracked_again_ = 0;
  is_settled_ = false;
  left_order_ = false;
}

uint32_t SeriesCache::find(SeriesKey key) {
  for (uint32_t ahead = 0; ahead < kLookAhead && expected_ + ahead < first_new_; ++ahead) {
    if (entries_[expected_ + ahead].key != key) continue;
    expected_ += ahead + 1;
    return expected_ - 1;
  }
  left_order_ = true;
  if (scratch_->index.empty()) build_index();
  const size_t mask = scratch_->index.size() - 1;
  for (size_t at = key.low & mask; scratch_->index[at] != 0; at = (at + 1) & mask) {
    const uint32_t entry = scratch_->index[at] - 1;
    if (entries_[entry].key != key) continue;
    if (entry < first_new_) expected_ = entry + 1;
    return entry;
  }
  return kUnknown;
}

void SeriesCache::build_index() {
  scratch_->index.assign(std::bit_ceil(2 * (entries_.size() + 32)), 0);
  for (uint32_t entry = 0; entry < entries_.size(); ++entry) insert_into_index(entry);
}

void SeriesCache::insert_into_index(uint32_t entry) {
  const size_t mask = scratch_->index.size() - 1;
  size_t at = entries_[entry].key.low & mask;
  while (scratch_->index[at] != 0) at = (at + 1) & mask;
  scratch_->index[at] = entry + 1;
}

uint32_t SeriesCache::add(SeriesKey key, std::string_view key_bytes, std::string_view labels) {
  const auto entry = static_cast<uint32_t>(entries_.size());
  entries_.push_back({.key = key,
                      .label_size = static_cast<uint32_t>(labels.size()),
                      .key_size = static_cast<uint32_t>(key_bytes.size())});
  scratch_->new_bytes.append(labels).append(key_bytes);
  if (scratch_->index.empty() || 2 * entries_.size() > scratch_->index.size()) {
    build_index();
  } else {
    insert_into_index(entry);
  }
  return entry;
}

bool SeriesCache::meet(uint32_t entry) {
  Entry& one = entries_[entry];
  if (one.met == round_) return false;
  one.met = round_;
  scratch_->order.push_back(entry);
  return true;
}

void SeriesCache::track(uint32_t entry) {
  Entry& one = entries_[entry];
  if (one.tracked == round_) return;
  if (one.tracked == round_ - 1) ++tracked_again_;
  one.tracked = round_;
  ++tracked_;
}

// Labels and key, with an empty note in front. Returns where the next entry goes.
char* SeriesCache::place(Entry& one, const char* bytes, char* at) {
  new (at) storage::SeriesNote();
  one.labels = at + sizeof(storage::SeriesNote);
  std::memcpy(one.labels, bytes, size_t{one.label_size} + one.key_size);
  return at + one.size();
}

void SeriesCache::settle() {
  if (is_settled_) return;
  is_settled_ = true;
  if (first_new_ == entries_.size()) return;
  size_t size = 0;
  for (size_t i = first_new_; i < entries_.size(); ++i) size += entries_[i].size();
  auto block = std::make_unique_for_overwrite<char[]>(size);
  char* at = block.get();
  const char* from = scratch_->new_bytes.data();
  for (size_t i = first_new_; i < entries_.size(); ++i) {
    at = place(entries_[i], from, at);
    from += entries_[i].label_size + entries_[i].key_size;
  }
  // Batches read bytes of older blocks meanwhile, never the list of blocks.
  arena_->blocks.push_back(std::move(block));
  arena_bytes_ += size;
  live_bytes_ += size;
}

void SeriesCache::collect_tracked_labels() {
  scratch_->labels.clear();
  for (const Entry& one : entries_) {
    if (one.tracked == round_) scratch_->labels.emplace(one.labels, one.label_size);
  }
}

bool SeriesCache::end(bool flush) {
  ENSURE(is_settled_);
  const bool forced = !flush && entries_.size() > 2 * flushed_size_ + kUnflushedFree;
  if (flush || forced) {
    if (left_order_ || scratch_->order.size() != entries_.size()) reorder();
    flushed_size_ = entries_.size();
  }
  orphans_.clear();
  orphans_.shrink_to_fit();
  compact_arena_if_wasteful();
  alive_before_ = tracked_;
  ++round_;
  scratch_ = nullptr;
  return forced;
}

// Also forgets what was not met: it stands nowhere in the order.
void SeriesCache::reorder() {
  std::vector<Entry> ordered;
  ordered.reserve(scratch_->order.size());
  live_bytes_ = 0;
  for (const uint32_t entry : scratch_->order) {
    ordered.push_back(entries_[entry]);
    live_bytes_ += entries_[entry].size();
  }
  entries_ = std::move(ordered);
}

void SeriesCache::compact_arena_if_wasteful() {
  const bool wasteful = arena_bytes_ > 2 * live_bytes_ + kWasteFree;
  if (!wasteful && arena_->blocks.size() <= kBlocksMax) return;
  uint64_t size = 0;
  for (const Entry& one : entries_) size += one.size();
  auto block = std::make_unique_for_overwrite<char[]>(size);
  char* at = block.get();
  for (Entry& one : entries_) {
    // Without its note, which belongs to a batch as long as that is on its way.
    at = place(one, one.labels, at);
  }
  // A batch on its way may still borrow from the old one.
  arena_ = std::make_shared<LabelArena>();
  arena_->blocks.push_back(std::move(block));
  arena_bytes_ = size;
  live_bytes_ = size;
}

void SeriesCache::forget_keys() {
  for (const Entry& one : entries_) {
    if (is_stale(one)) orphans_.push_back(one);
  }
  entries_.clear();
  entries_.shrink_to_fit();
  flushed_size_ = 0;
  alive_before_ = 0;
  live_bytes_ = arena_bytes_;  // orphans borrow: nothing moves before the next round has ended
}

size_t SeriesCache::memory_bytes() const {
  return (entries_.capacity() + orphans_.capacity()) * sizeof(Entry) + arena_bytes_ +
         arena_->blocks.capacity() * sizeof(void*);
}

}  // namespace scrape
