// The labels of the head's series, each label pair stored once, and for each pair the
// series that have it.
//
// A series is then an array of pair ids: 4 bytes per label instead of the text.

#pragma once

#include "model/labels.h"
#include "tsdb/identity_table.h"
#include "tsdb/postings.h"

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tsdb {

using PairId = uint32_t;

// Guarded by its owner. References are given in rising order and never used again.
class LabelIndex final : public PostingsSource {
 public:
  // Adds a series and appends its pair ids, in label order, to `pairs`.
  // Preconditions: canonical labels, `ref` above all earlier ones.
  void add(SeriesRef ref, model::LabelsView labels, std::vector<PairId>& pairs);
  // Forgets series (sorted) and the pairs that nobody has any more. `pairs_of` gives
  // the pairs of a series.
  void remove(const std::vector<SeriesRef>& refs,
              const std::function<std::span<const PairId>(SeriesRef)>& pairs_of);

  // One label in the encoding of model/labels.h; a label set is their concatenation.
  std::string_view pair_bytes(PairId pair) const { return pairs_[pair].bytes; }
  model::Label label(PairId pair) const;
  // Grows when ids of pairs become free, to be used again.
  uint64_t removals() const { return removals_; }
  size_t live_count() const { return all_.size(); }
  size_t pair_count() const { return by_bytes_.size(); }
  size_t pair_slots() const { return pairs_.size(); }
  const std::vector<SeriesRef>& refs_of(PairId pair) const { return pairs_[pair].refs; }

  // Looks up what value_of() needs.
  using PairsOf = std::function<std::span<const PairId>(SeriesRef)>;
  void set_pairs_of(PairsOf pairs_of) { pairs_of_ = std::move(pairs_of); }

  struct Name {
    std::string text;
    // Its values: in their order up to `sorted`, the newer ones as they came.
    mutable std::vector<PairId> pairs;
    mutable size_t sorted = 0;
  };
  const std::deque<Name>& names() const { return names_; }

  // For walks over all pairs: the slots [0, pair_slots()) stay where they are, a free one has
  // no name, and one that is used again has another pair.
  static constexpr uint32_t kNoName = UINT32_MAX;
  uint32_t name_of(PairId pair) const { return pairs_[pair].name; }  // an index into names()
  size_t value_size(PairId pair) const {
    return pairs_[pair].bytes.size() - pairs_[pair].value_begin;
  }
  uint32_t find_name_index(std::string_view name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? kNoName : found->second;
  }

  std::vector<uint32_t> all() const override { return all_; }
  const std::vector<SeriesRef>& all_refs() const { return all_; }
  Postings postings(std::string_view name, std::string_view value) const override;
  void for_each_value(std::string_view name, const ValueVisitor& visit) const override;
  // The same in the order of the values, which is kept for the next call.
  void for_each_value_in_order(std::string_view name, const ValueVisitor& visit) const;
  size_t value_count(std::string_view name) const override;
  std::string_view value_of(uint32_t ref, std::string_view name) const override;

 private:
  struct Pair {
    std::string bytes;
    uint32_t name = 0;         // index into names_
    uint32_t value_begin = 0;  // in bytes
    std::vector<SeriesRef> refs;
  };

  PairId intern(const model::Label& label);
  const Name* find_name(std::string_view name) const;
  void sort_values(const Name& name) const;
  std::string_view value(const Pair& pair) const {
    return std::string_view(pair.bytes).substr(pair.value_begin);
  }

  std::deque<Pair> pairs_;  // by id; freed ones are used again
  std::vector<PairId> free_pairs_;
  std::unordered_map<std::string_view, PairId> by_bytes_;  // keys borrow from pairs_
  std::deque<Name> names_;
  std::unordered_map<std::string_view, uint32_t> by_name_;  // keys borrow from names_
  std::vector<SeriesRef> all_;
  PairsOf pairs_of_;
  uint64_t removals_ = 0;
  std::vector<PairId> last_pairs_;  // of the series that was added last
  std::string scratch_;
};

}  // namespace tsdb
