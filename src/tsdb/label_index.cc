#include "tsdb/label_index.h"

#include "core/result.h"

#include <algorithm>

namespace tsdb {

namespace {

// Doubling would leave a quarter of the memory of long lists unused.
void append(std::vector<SeriesRef>& refs, SeriesRef ref) {
  constexpr size_t kDoublesBelow = 64;
  if (refs.size() == refs.capacity() && refs.size() >= kDoublesBelow) {
    refs.reserve(refs.size() + refs.size() / 8);
  }
  refs.push_back(ref);
}

// Both sorted.
void remove_from(std::vector<SeriesRef>& refs, const std::vector<SeriesRef>& gone) {
  constexpr size_t kSearchesBelow = 16;  // times as long: sweeping over both costs less
  if (refs.size() * kSearchesBelow < gone.size()) {
    std::erase_if(refs,
                  [&](SeriesRef ref) { return std::binary_search(gone.begin(), gone.end(), ref); });
    return;
  }
  auto at = std::lower_bound(refs.begin(), refs.end(), gone.front());
  auto kept = at;
  auto next = gone.begin();
  for (; at != refs.end() && next != gone.end(); ++at) {
    while (next != gone.end() && *next < *at) ++next;
    if (next == gone.end() || *next != *at) *kept++ = *at;
  }
  refs.erase(std::copy(at, refs.end(), kept), refs.end());
}

}  // namespace

PairId LabelIndex::intern(const model::Label& label) {
  scratch_.clear();
  model::append_label(scratch_, label.name, label.value);
  if (const auto found = by_bytes_.find(scratch_); found != by_bytes_.end()) return found->second;

  auto name = by_name_.find(label.name);
  if (name == by_name_.end()) {
    names_.push_back({.text = std::string(label.name), .pairs = {}});
    name = by_name_.emplace(names_.back().text, static_cast<uint32_t>(names_.size() - 1)).first;
  }
  PairId id = 0;
  if (free_pairs_.empty()) {
    id = static_cast<PairId>(pairs_.size());
    pairs_.emplace_back();
  } else {
    id = free_pairs_.back();
    free_pairs_.pop_back();
  }
  Pair& pair = pairs_[id];
  pair.bytes = scratch_;
  pair.name = name->second;
  pair.value_begin = static_cast<uint32_t>(scratch_.size() - label.value.size());
  by_bytes_.emplace(pair.bytes, id);
  names_[pair.name].pairs.push_back(id);
  return id;
}

void LabelIndex::add(SeriesRef ref, model::LabelsView labels, std::vector<PairId>& pairs) {
  ENSURE(all_.empty() || all_.back() < ref);
  append(all_, ref);
  // Series come in the order of their sources: most labels are those of the series before.
  const size_t begin = pairs.size();
  std::string_view rest = labels.bytes();
  for (size_t i = 0; !rest.empty(); ++i) {
    PairId id = 0;
    if (i < last_pairs_.size() && rest.starts_with(pairs_[last_pairs_[i]].bytes)) {
      id = last_pairs_[i];
      rest.remove_prefix(pairs_[id].bytes.size());
    } else {
      const model::LabelsView left(rest);
      const auto label = left.begin();
      if (label == left.end()) break;
      id = intern(*label);
      // Canonical: nothing of a label is behind its value.
      rest.remove_prefix(static_cast<size_t>(label->value.end() - rest.begin()));
    }
    append(pairs_[id].refs, ref);
    pairs.push_back(id);
  }
  last_pairs_.assign(pairs.begin() + static_cast<ptrdiff_t>(begin), pairs.end());
}

void LabelIndex::remove(const std::vector<SeriesRef>& refs, const PairsOf& pairs_of) {
  if (refs.empty()) return;
  last_pairs_.clear();
  std::vector<PairId> touched;
  for (const SeriesRef ref : refs) {
    for (const PairId pair : pairs_of(ref)) touched.push_back(pair);
  }
  std::sort(touched.begin(), touched.end());
  touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
  ++removals_;
  std::vector<uint32_t> touched_names;
  for (const PairId id : touched) {
    Pair& pair = pairs_[id];
    remove_from(pair.refs, refs);
    if (!pair.refs.empty()) continue;
    by_bytes_.erase(pair.bytes);
    touched_names.push_back(pair.name);
    pair = Pair{};
    pair.name = kNoName;
    free_pairs_.push_back(id);
  }
  std::sort(touched_names.begin(), touched_names.end());
  touched_names.erase(std::unique(touched_names.begin(), touched_names.end()), touched_names.end());
  // A name without values stays: there are few names.
  for (const uint32_t name : touched_names) {
    std::vector<PairId>& values = names_[name].pairs;
    const auto is_freed = [&](PairId id) { return pairs_[id].name != name; };
    const auto sorted_end = values.begin() + static_cast<ptrdiff_t>(names_[name].sorted);
    names_[name].sorted -= static_cast<size_t>(std::count_if(values.begin(), sorted_end, is_freed));
    std::erase_if(values, is_freed);
  }
  remove_from(all_, refs);
}

model::Label LabelIndex::label(PairId pair) const {
  return {names_[pairs_[pair].name].text, value(pairs_[pair])};
}

const LabelIndex::Name* LabelIndex::find_name(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &names_[found->second];
}

Postings LabelIndex::postings(std::string_view name, std::string_view value) const {
  std::string key;
  model::append_label(key, name, value);
  const auto found = by_bytes_.find(key);
  if (found == by_bytes_.end()) return {};
  return pairs_[found->second].refs;
}

void LabelIndex::for_each_value(std::string_view name, const ValueVisitor& visit) const {
  const Name* found = find_name(name);
  if (found == nullptr) return;
  for (const PairId id : found->pairs) visit(value(pairs_[id]), pairs_[id].refs);
}

void LabelIndex::sort_values(const Name& name) const {
  const auto comes_before = [this](PairId a, PairId b) {
    return value(pairs_[a]) < value(pairs_[b]);
  };
  const auto sorted_end = name.pairs.begin() + static_cast<ptrdiff_t>(name.sorted);
  std::sort(sorted_end, name.pairs.end(), comes_before);
  std::inplace_merge(name.pairs.begin(), sorted_end, name.pairs.end(), comes_before);
  name.sorted = name.pairs.size();
}

void LabelIndex::for_each_value_in_order(std::string_view name, const ValueVisitor& visit) const {
  const Name* found = find_name(name);
  if (found == nullptr) return;
  if (found->sorted != found->pairs.size()) sort_values(*found);
  for (const PairId id : found->pairs) visit(value(pairs_[id]), pairs_[id].refs);
}

size_t LabelIndex::value_count(std::string_view name) const {
  const Name* found = find_name(name);
  return found == nullptr ? 0 : found->pairs.size();
}

std::string_view LabelIndex::value_of(uint32_t ref, std::string_view name) const {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return {};
  for (const PairId id : pairs_of_(ref)) {
    if (pairs_[id].name == found->second) return value(pairs_[id]);
  }
  return {};
}

}  // namespace tsdb
