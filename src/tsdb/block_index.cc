#include "tsdb/block_index.h"

#include "core/bytes.h"
#include "tsdb/block_pack.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace tsdb {

using core::ErrorCode;
using core::Result;

namespace {

// The counts that stand before the arrays, in the arrays' order.
enum Count : size_t { kSeries, kSeriesPairs, kNames, kPairs, kPostings, kText, kCounts };
constexpr size_t kCountsSize = kCounts * sizeof(uint64_t);

template <typename T>
bool take_array(std::string_view& bytes, uint64_t count, std::span<const T>& out) {
  if (count > bytes.size() / sizeof(T)) return false;
  out = {reinterpret_cast<const T*>(bytes.data()), count};
  bytes.remove_prefix(count * sizeof(T));
  return true;
}

// Ends of consecutive ranges that cover [begin, total).
template <typename T>
bool are_ends(std::span<const T> ends, uint64_t begin, uint64_t total) {
  uint64_t before = begin;
  for (const T end : ends) {
    if (end < before) return false;
    before = end;
  }
  return before == total;
}

template <typename T>
uint64_t begin_of(std::span<const T> ends, size_t i) {
  return i == 0 ? 0 : ends[i - 1];
}

}  // namespace

BlockIndexBuilder::BlockIndexBuilder(std::vector<std::string> pair_bytes)
    : pair_bytes_(std::move(pair_bytes)), posting_counts_(pair_bytes_.size()) {}

void BlockIndexBuilder::add_series(std::span<const uint32_t> pairs, uint64_t region_end) {
  for (const uint32_t pair : pairs) {
    ++posting_counts_[pair];
    series_pairs_.push_back(pair);
  }
  series_pairs_ends_.push_back(static_cast<uint32_t>(series_pairs_.size()));
  region_ends_.push_back(region_end);
}

void BlockIndexBuilder::drop_unused_pairs() {
  std::vector<uint32_t> new_number(pair_bytes_.size());
  uint32_t kept = 0;
  for (size_t pair = 0; pair < pair_bytes_.size(); ++pair) {
    new_number[pair] = kept;
    if (posting_counts_[pair] == 0) continue;
    if (kept != pair) pair_bytes_[kept] = std::move(pair_bytes_[pair]);
    posting_counts_[kept++] = posting_counts_[pair];
  }
  if (kept == pair_bytes_.size()) return;
  pair_bytes_.resize(kept);
  posting_counts_.resize(kept);
  for (uint32_t& pair : series_pairs_) pair = new_number[pair];
}

std::string BlockIndexBuilder::encode(uint64_t regions_begin) {
  drop_unused_pairs();
  return pack_index({.pair_bytes = std::move(pair_bytes_),
                     .series_pairs = std::move(series_pairs_),
                     .series_pairs_ends = std::move(series_pairs_ends_),
                     .region_ends = std::move(region_ends_)},
                    regions_begin);
}

Result<std::shared_ptr<const BlockIndex>> BlockIndex::decode(std::string raw,
                                                             uint64_t regions_begin,
                                                             uint64_t regions_end,
                                                             TimeColumns times) {
  std::shared_ptr<BlockIndex> index(new BlockIndex);
  index->times_ = std::move(times);
  index->raw_ = std::move(raw);
  if (!index->map(regions_begin, regions_end)) {
    return core::fail(ErrorCode::Corruption, "index of {} bytes is malformed", index->raw_.size());
  }
  return std::shared_ptr<const BlockIndex>(std::move(index));
}

bool BlockIndex::map(uint64_t regions_begin, uint64_t regions_end) {
  regions_begin_ = regions_begin;
  regions_end_ = regions_end;
  std::string_view rest = raw_;
  if (rest.size() < kCountsSize) return false;
  std::array<uint64_t, kCounts> counts{};
  for (uint64_t& count : counts) {
    count = core::load_le<uint64_t>(rest);
    rest.remove_prefix(sizeof(count));
  }
  // std::string's buffer is aligned for both types, and the 8-byte array comes first.
  if (!take_array(rest, counts[kSeries], region_ends_) ||
      !take_array(rest, counts[kSeries], series_pairs_ends_) ||
      !take_array(rest, counts[kSeriesPairs], series_pairs_) ||
      !take_array(rest, counts[kNames], name_ends_) ||
      !take_array(rest, counts[kPairs], pair_ends_) ||
      !take_array(rest, counts[kPairs], postings_ends_) ||
      !take_array(rest, counts[kPostings], postings_) || rest.size() != counts[kText]) {
    return false;
  }
  text_ = rest;
  if (!are_ends(region_ends_, regions_begin, regions_end) && !region_ends_.empty()) return false;
  if (!are_ends(series_pairs_ends_, 0, series_pairs_.size())) return false;
  if (!are_ends(name_ends_, 0, pair_ends_.size())) return false;
  if (!are_ends(pair_ends_, 0, text_.size())) return false;
  if (!are_ends(postings_ends_, 0, postings_.size())) return false;
  for (uint32_t i = 0; i < name_count(); ++i) {
    if (name_begin(i) == name_ends_[i]) return false;  // a name without a value
  }
  for (uint32_t pair = 0; pair < pair_count(); ++pair) {
    const model::LabelsView view(pair_bytes(pair));
    auto label = view.begin();
    if (label == view.end() || !(++label == view.end())) return false;
    const Postings refs = list(pair);
    for (size_t i = 1; i < refs.size(); ++i) {
      if (refs[i - 1] >= refs[i]) return false;
    }
  }
  const auto below = [](std::span<const uint32_t> values, uint64_t limit) {
    return std::all_of(values.begin(), values.end(), [&](uint32_t v) { return v < limit; });
  };
  return below(series_pairs_, pair_count()) && below(postings_, series_count());
}

BlockIndex::Region BlockIndex::region_of(uint32_t ordinal) const {
  const uint64_t begin = ordinal == 0 ? regions_begin_ : region_ends_[ordinal - 1];
  return {begin, region_ends_[ordinal] - begin};
}

std::span<const uint32_t> BlockIndex::pairs_of(uint32_t ordinal) const {
  const uint64_t begin = begin_of(series_pairs_ends_, ordinal);
  return series_pairs_.subspan(begin, series_pairs_ends_[ordinal] - begin);
}

std::string_view BlockIndex::pair_bytes(uint32_t pair) const {
  const uint64_t begin = begin_of(pair_ends_, pair);
  return text_.substr(begin, pair_ends_[pair] - begin);
}

void BlockIndex::append_labels(uint32_t ordinal, std::string& out) const {
  for (const uint32_t pair : pairs_of(ordinal)) out.append(pair_bytes(pair));
}

Postings BlockIndex::list(uint32_t pair) const {
  const uint64_t begin = begin_of(postings_ends_, pair);
  return postings_.subspan(begin, postings_ends_[pair] - begin);
}

std::vector<uint32_t> BlockIndex::all() const {
  std::vector<uint32_t> result(series_count());
  std::iota(result.begin(), result.end(), 0);
  return result;
}

uint32_t BlockIndex::find_name(std::string_view wanted) const {
  uint32_t low = 0;
  uint32_t high = name_count();
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (name(middle) < wanted) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < name_count() && name(low) == wanted ? low : name_count();
}

Postings BlockIndex::postings(std::string_view wanted, std::string_view value) const {
  const uint32_t found = find_name(wanted);
  if (found == name_count()) return {};
  uint32_t low = name_begin(found);
  uint32_t high = name_ends_[found];
  const uint32_t end = high;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (label(middle).value < value) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < end && label(low).value == value ? list(low) : Postings{};
}

void BlockIndex::for_each_value(std::string_view wanted, const ValueVisitor& visit) const {
  const uint32_t found = find_name(wanted);
  if (found == name_count()) return;
  for (uint32_t pair = name_begin(found); pair < name_ends_[found]; ++pair) {
    visit(label(pair).value, list(pair));
  }
}

size_t BlockIndex::value_count(std::string_view wanted) const {
  const uint32_t found = find_name(wanted);
  return found == name_count() ? 0 : name_ends_[found] - name_begin(found);
}

std::string_view BlockIndex::value_of(uint32_t ref, std::string_view wanted) const {
  for (const uint32_t pair : pairs_of(ref)) {
    const model::Label one = label(pair);
    if (one.name == wanted) return one.value;
  }
  return {};
}

}  // namespace tsdb
