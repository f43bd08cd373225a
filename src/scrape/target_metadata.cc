#include "scrape/target_metadata.h"

#include <algorithm>

namespace scrape {
namespace {

// Scrapes for which a metric's text is kept after it was said last, as in Prometheus.
constexpr uint32_t kRoundsKept = 10;

size_t hash_of(const model::Metadata& one) {
  const std::hash<std::string_view> hash;
  size_t mixed = hash(one.metric);
  for (const size_t part : {hash(one.help), hash(one.unit), static_cast<size_t>(one.type)}) {
    mixed = mixed * 0x9e3779b97f4a7c15ULL + part;
  }
  return mixed;
}

bool is_said_already(const model::Metadata& known, const ingest::Entry& line) {
  switch (line.kind) {
    case ingest::EntryKind::Type:
      return known.type == line.type;
    case ingest::EntryKind::Help:
      return known.help == line.text;
    default:
      return known.unit == line.text;
  }
}

void take_over(model::Metadata& known, const ingest::Entry& line) {
  switch (line.kind) {
    case ingest::EntryKind::Type:
      known.type = line.type;
      break;
    case ingest::EntryKind::Help:
      known.help = line.text;
      break;
    default:
      known.unit = line.text;
  }
}

}  // namespace

MetadataTable::Interned MetadataTable::intern(model::Metadata metadata) {
  const size_t hash = hash_of(metadata);
  const std::lock_guard lock(mutex_);
  const uint64_t generation = generation_;
  auto [at, last] = entries_.equal_range(hash);
  for (; at != last; ++at) {
    if (*at->second.metadata != metadata) continue;
    const bool is_first = std::exchange(at->second.told_in, generation) != generation;
    return {at->second.metadata, is_first};
  }
  auto shared = std::make_shared<const model::Metadata>(std::move(metadata));
  entries_.emplace(hash, Entry{shared, generation});
  return {std::move(shared), true};
}

void MetadataTable::purge() {
  const std::lock_guard lock(mutex_);
  std::erase_if(entries_, [](const auto& one) { return one.second.metadata.use_count() == 1; });
}

void TargetMetadata::begin() {
  const std::lock_guard lock(mutex_);
  expected_ = 0;
  ++round_;
}

std::string_view TargetMetadata::metric_of(const Entry& one) const {
  return one.metadata ? one.metadata->metric : drafts_[one.draft - 1]->metric;
}

uint32_t TargetMetadata::find(std::string_view metric) {
  // The lines of one family follow each other: the one before, or the next one.
  if (expected_ > 0 && metric_of(entries_[expected_ - 1]) == metric) return expected_ - 1;
  if (expected_ < entries_.size() && metric_of(entries_[expected_]) == metric) return expected_++;
  if (index_.empty()) {
    for (uint32_t i = 0; i < entries_.size(); ++i) index_.emplace(metric_of(entries_[i]), i);
  }
  if (const auto found = index_.find(metric); found != index_.end()) {
    expected_ = found->second + 1;
    return found->second;
  }
  drafts_.push_back(std::make_unique<model::Metadata>(
      model::Metadata{.metric = std::string(metric), .unit = "", .help = ""}));
  const auto entry = static_cast<uint32_t>(entries_.size());
  entries_.push_back(
      {.metadata = nullptr, .round = round_, .draft = static_cast<uint32_t>(drafts_.size())});
  index_.emplace(drafts_.back()->metric, entry);
  expected_ = entry + 1;
  return entry;
}

void TargetMetadata::say(const ingest::Entry& line) {
  if (line.metric.empty()) return;
  const std::lock_guard lock(mutex_);
  Entry& one = entries_[find(line.metric)];
  one.round = round_;
  if (one.draft == 0) {
    if (is_said_already(*one.metadata, line)) return;
    drafts_.push_back(std::make_unique<model::Metadata>(*one.metadata));
    one.draft = static_cast<uint32_t>(drafts_.size());
  }
  take_over(*drafts_[one.draft - 1], line);
}

void TargetMetadata::end(MetadataTable& table, std::vector<model::Metadata>& fresh) {
  const std::lock_guard lock(mutex_);
  index_.clear();
  const bool tell_all = generation_ != table.generation();
  bool is_old_there = false;
  for (Entry& one : entries_) {
    is_old_there |= round_ - one.round > kRoundsKept;
    if (one.draft == 0 && !tell_all) continue;
    MetadataTable::Interned interned =
        table.intern(one.draft == 0 ? *one.metadata : std::move(*drafts_[one.draft - 1]));
    if (interned.is_first) fresh.push_back(*interned.metadata);
    one.metadata = std::move(interned.metadata);
    one.draft = 0;
  }
  generation_ = table.generation();
  drafts_.clear();
  if (is_old_there) {
    std::erase_if(entries_, [&](const Entry& one) { return round_ - one.round > kRoundsKept; });
  }
}

std::vector<SharedMetadata> TargetMetadata::list() const {
  std::vector<SharedMetadata> list;
  const std::lock_guard lock(mutex_);
  list.reserve(entries_.size());
  for (const Entry& one : entries_) {
    if (one.metadata) list.push_back(one.metadata);
  }
  return list;
}

}  // namespace scrape
