#include "tsdb/block_pack.h"

#include "core/bytes.h"
#include "core/varint.h"
#include "model/labels.h"
#include "tsdb/block_format.h"
#include "tsdb/block_index.h"

#include <algorithm>
#include <array>
#include <span>

namespace tsdb {

using core::ErrorCode;
using core::Result;

namespace {

template <typename T>
void append_array(std::string& out, const std::vector<T>& values) {
  out.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

// Zeroes in place of `count` values; `out` keeps its buffer.
std::span<uint32_t> append_zeroes(std::string& out, size_t count) {
  const size_t begin = out.size();
  out.resize(begin + count * sizeof(uint32_t));
  return {reinterpret_cast<uint32_t*>(out.data() + begin), count};
}

size_t common_prefix(std::string_view a, std::string_view b) {
  const auto [end, other] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  (void)other;
  return static_cast<size_t>(end - a.begin());
}

std::span<const uint32_t> pairs_of(const IndexParts& parts, size_t series) {
  const uint32_t begin = series == 0 ? 0 : parts.series_pairs_ends[series - 1];
  return std::span(parts.series_pairs).subspan(begin, parts.series_pairs_ends[series] - begin);
}

// By name: the name, how many values it has, and each as what it shares with the one before
// and the rest.
void append_pairs(std::string& out, const IndexParts& parts) {
  core::append_varint(out, parts.pair_bytes.size());
  for (size_t begin = 0; begin < parts.pair_bytes.size();) {
    const std::string_view name = model::LabelsView(parts.pair_bytes[begin]).begin()->name;
    size_t end = begin + 1;
    while (end < parts.pair_bytes.size() &&
           model::LabelsView(parts.pair_bytes[end]).begin()->name == name) {
      ++end;
    }
    core::append_string(out, name);
    core::append_varint(out, end - begin);
    std::string_view before;
    for (size_t pair = begin; pair < end; ++pair) {
      const std::string_view value = model::LabelsView(parts.pair_bytes[pair]).begin()->value;
      const size_t shared = common_prefix(before, value);
      core::append_varint(out, shared);
      core::append_string(out, value.substr(shared));
      before = value;
    }
    begin = end;
  }
}

void append_series(std::string& out, const IndexParts& parts, uint64_t regions_begin) {
  const size_t count = parts.region_ends.size();
  core::append_varint(out, count);
  std::span<const uint32_t> before;
  // Counts apart from numbers: the counts repeat, which zstd likes.
  std::string numbers;
  for (size_t series = 0; series < count; ++series) {
    const std::span<const uint32_t> pairs = pairs_of(parts, series);
    size_t shared = 0;
    while (shared < before.size() && shared < pairs.size() && before[shared] == pairs[shared]) {
      ++shared;
    }
    core::append_varint(out, shared);
    core::append_varint(out, pairs.size() - shared);
    for (size_t i = shared; i < pairs.size(); ++i) {
      // From where the series before is at the same place: neighbours differ by little.
      const int64_t expected = i < before.size() ? before[i] : i == 0 ? 0 : pairs[i - 1];
      core::append_zigzag(numbers, int64_t{pairs[i]} - expected);
    }
    before = pairs;
  }
  core::append_string(out, numbers);
  uint64_t end = regions_begin;
  for (const uint64_t region_end : parts.region_ends) {
    core::append_varint(out, region_end - end);
    end = region_end;
  }
}

bool take_pairs(std::string_view& rest, IndexParts& parts) {
  uint64_t count = 0;
  if (!core::take_varint(rest, count) || count > rest.size()) return false;
  uint64_t text_size = 0;  // shared beginnings could make much of little
  while (parts.pair_bytes.size() < count) {
    std::string_view name;
    uint64_t values = 0;
    if (!core::take_string(rest, name) || !core::take_varint(rest, values) || values == 0 ||
        values > count - parts.pair_bytes.size()) {
      return false;
    }
    std::string value;
    for (; values > 0; --values) {
      uint64_t shared = 0;
      std::string_view more;
      if (!core::take_varint(rest, shared) || shared > value.size() ||
          !core::take_string(rest, more)) {
        return false;
      }
      value.resize(shared);
      value += more;
      text_size += name.size() + value.size();
      if (text_size > kBlockIndexSizeMax) return false;
      model::append_label(parts.pair_bytes.emplace_back(), name, value);
    }
  }
  return true;
}

bool take_series_pairs(std::string_view& rest, IndexParts& parts) {
  uint64_t count = 0;
  if (!core::take_varint(rest, count) || count > rest.size() || count > UINT32_MAX) return false;
  std::vector<std::pair<uint32_t, uint32_t>> sizes(count);  // shared, own
  for (auto& [shared_size, own_size] : sizes) {
    uint64_t shared = 0;
    uint64_t own = 0;
    if (!core::take_varint(rest, shared) || !core::take_varint(rest, own)) return false;
    if (shared > UINT32_MAX || own > UINT32_MAX) return false;
    shared_size = static_cast<uint32_t>(shared);
    own_size = static_cast<uint32_t>(own);
  }
  std::string_view numbers;
  if (!core::take_string(rest, numbers)) return false;
  // Exactly as large as it gets: there may be hundreds of megabytes of it.
  uint64_t total = 0;
  uint64_t total_own = 0;  // each takes a byte of `numbers` at least
  size_t before_size = 0;
  for (const auto& [shared, own] : sizes) {
    total_own += own;
    if (shared > before_size || total_own > numbers.size()) return false;
    before_size = size_t{shared} + own;
    total += before_size;
    if (total > UINT32_MAX) return false;
  }
  std::vector<uint32_t>& all = parts.series_pairs;
  all.reserve(total);
  parts.series_pairs_ends.reserve(count);
  size_t before = 0;
  before_size = 0;
  for (const auto& [shared, own] : sizes) {
    const size_t begin = all.size();
    for (uint32_t i = 0; i < shared; ++i) all.push_back(all[before + i]);
    for (size_t i = shared; i < size_t{shared} + own; ++i) {
      int64_t delta = 0;
      if (!core::take_zigzag(numbers, delta)) return false;
      const int64_t expected = i < before_size ? all[before + i] : i == 0 ? 0 : all.back();
      if (delta > UINT32_MAX || delta < -int64_t{UINT32_MAX}) return false;
      const int64_t pair = expected + delta;
      if (pair < 0 || pair >= static_cast<int64_t>(parts.pair_bytes.size())) return false;
      if (i > 0 && static_cast<uint32_t>(pair) <= all.back()) return false;
      all.push_back(static_cast<uint32_t>(pair));
    }
    parts.series_pairs_ends.push_back(static_cast<uint32_t>(all.size()));
    before = begin;
    before_size = size_t{shared} + own;
  }
  return numbers.empty();
}

bool take_regions(std::string_view& rest, IndexParts& parts, uint64_t regions_begin) {
  uint64_t end = regions_begin;
  parts.region_ends.reserve(parts.series_pairs_ends.size());
  for (size_t i = 0; i < parts.series_pairs_ends.size(); ++i) {
    uint64_t size = 0;
    if (!core::take_varint(rest, size) || end + size < end) return false;
    end += size;
    parts.region_ends.push_back(end);
  }
  return true;
}

}  // namespace

std::string pack_index(const IndexParts& parts, uint64_t regions_begin) {
  std::string raw;
  append_pairs(raw, parts);
  append_series(raw, parts, regions_begin);
  std::string out;
  core::append_le<uint64_t>(out, raw.size());
  return out + compress(raw);
}

namespace {

Result<IndexParts> unpack_parts(std::string_view stored, uint64_t regions_begin) {
  if (stored.size() < sizeof(uint64_t)) {
    return core::fail(ErrorCode::Corruption, "block index of {} bytes is too short", stored.size());
  }
  const auto raw_size = core::load_le<uint64_t>(stored);
  if (raw_size > kBlockIndexSizeMax) {
    return core::fail(ErrorCode::Corruption, "block index of {} bytes unpacked is too large",
                      raw_size);
  }
  const std::string raw =
      TRY(decompress(stored.substr(sizeof(uint64_t)), raw_size).context("block index"));
  std::string_view rest = raw;
  IndexParts parts;
  if (!take_pairs(rest, parts) || !take_series_pairs(rest, parts) ||
      !take_regions(rest, parts, regions_begin) || !rest.empty()) {
    return core::fail(ErrorCode::Corruption, "block index is malformed at byte {} of {} unpacked",
                      raw.size() - rest.size(), raw.size());
  }
  return parts;
}

}  // namespace

Result<std::string> unpack_index(std::string_view stored, uint64_t regions_begin) {
  return index_arrays(TRY(unpack_parts(stored, regions_begin)));
}

std::string index_arrays(const IndexParts& parts) {
  std::vector<uint32_t> counts(parts.pair_bytes.size());
  for (const uint32_t pair : parts.series_pairs) ++counts[pair];
  std::vector<uint32_t> name_ends;
  std::vector<uint32_t> pair_ends;
  std::vector<uint32_t> postings_ends;
  std::string text;
  std::string_view name;
  uint32_t postings_end = 0;
  for (size_t pair = 0; pair < parts.pair_bytes.size(); ++pair) {
    const std::string_view pair_name = model::LabelsView(parts.pair_bytes[pair]).begin()->name;
    if (pair > 0 && pair_name != name) name_ends.push_back(static_cast<uint32_t>(pair));
    name = pair_name;
    text += parts.pair_bytes[pair];
    pair_ends.push_back(static_cast<uint32_t>(text.size()));
    postings_end += counts[pair];
    postings_ends.push_back(postings_end);
  }
  if (!parts.pair_bytes.empty())
    name_ends.push_back(static_cast<uint32_t>(parts.pair_bytes.size()));

  const std::array<uint64_t, 6> counts_of_arrays{
      parts.region_ends.size(), parts.series_pairs.size(), name_ends.size(),
      parts.pair_bytes.size(),  parts.series_pairs.size(), text.size()};
  std::string out;
  out.reserve(sizeof(counts_of_arrays) + parts.region_ends.size() * sizeof(uint64_t) +
              (parts.series_pairs_ends.size() + 2 * parts.series_pairs.size() + name_ends.size() +
               pair_ends.size() + postings_ends.size()) *
                  sizeof(uint32_t) +
              text.size());
  for (const uint64_t count : counts_of_arrays) core::append_le<uint64_t>(out, count);
  append_array(out, parts.region_ends);
  append_array(out, parts.series_pairs_ends);
  append_array(out, parts.series_pairs);
  append_array(out, name_ends);
  append_array(out, pair_ends);
  append_array(out, postings_ends);
  // Sorted by counting: each pair's list is filled from its beginning.
  const std::span<uint32_t> postings = append_zeroes(out, parts.series_pairs.size());
  std::vector<uint32_t> next(parts.pair_bytes.size());
  for (size_t pair = 1; pair < next.size(); ++pair) next[pair] = postings_ends[pair - 1];
  uint32_t ordinal = 0;
  for (uint32_t i = 0; i < parts.series_pairs.size(); ++i) {
    while (i >= parts.series_pairs_ends[ordinal]) ++ordinal;
    postings[next[parts.series_pairs[i]]++] = ordinal;
  }
  out += text;
  return out;
}

}  // namespace tsdb
