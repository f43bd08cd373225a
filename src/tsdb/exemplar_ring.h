// The newest exemplars of a tenant, in a ring of fixed size.

#pragma once

#include "model/sample.h"

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

namespace tsdb {

// Guarded by its owner.
class ExemplarRing {
 public:
  explicit ExemplarRing(size_t size_max) : size_max_(size_max) {}

  enum class Verdict { New, Duplicate, OutOfOrder };
  // Against the newest exemplar of the series (canonical label bytes).
  Verdict judge(std::string_view series, const model::Exemplar& exemplar) const;
  void add(std::string_view series, const model::Exemplar& exemplar);

  struct Entry {
    std::shared_ptr<const std::string> labels;  // of the series
    model::Exemplar exemplar;
  };
  // In the order of arrival.
  const std::deque<Entry>& entries() const { return ring_; }

 private:
  struct SeriesState {
    std::shared_ptr<const std::string> labels;
    model::Exemplar newest;
    size_t count = 0;  // in the ring
  };

  const size_t size_max_;
  std::deque<Entry> ring_;
  std::unordered_map<std::string_view, SeriesState> by_series_;  // keys borrow from labels
};

}  // namespace tsdb
