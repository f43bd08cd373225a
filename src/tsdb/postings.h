// From matchers to series: what the head's index and a block's index have in common.
//
// A posting list is the sorted references of the series with one label pair. Matchers
// that need the label intersect the lists of the values they accept; matchers that
// accept its absence subtract the lists of the values they refuse.

#pragma once

#include "model/matcher.h"

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

namespace tsdb {

using Postings = std::span<const uint32_t>;

class PostingsSource {
 public:
  virtual ~PostingsSource() = default;
  // Every series, sorted.
  virtual std::vector<uint32_t> all() const = 0;
  virtual Postings postings(std::string_view name, std::string_view value) const = 0;
  // Every value of the label, in any order; postings may be empty.
  using ValueVisitor = std::function<void(std::string_view value, Postings)>;
  virtual void for_each_value(std::string_view name, const ValueVisitor& visit) const = 0;
  virtual size_t value_count(std::string_view name) const = 0;
  // The label's value of one series, "" when it has none.
  virtual std::string_view value_of(uint32_t ref, std::string_view name) const = 0;
};

// Whether two sorted lists have an element in common.
bool intersects(Postings a, Postings b);

// The series that match all matchers, sorted.
std::vector<uint32_t> find_series(const PostingsSource& source, const model::Matchers& matchers);

}  // namespace tsdb
