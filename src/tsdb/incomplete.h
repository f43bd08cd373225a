// What is known to be missing: acknowledged samples that damage on the disk took. Kept in
// the manifest until retention takes the time too, and shown with every query that reaches
// it: a graph with a hole must say why it has one.

#pragma once

#include "model/time_range.h"
#include "storage/log.h"
#include "storage/series_source.h"

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tsdb {

struct Incomplete {
  std::string tenant;      // empty: any may be affected
  std::string key;         // the same damage found again has the same
  model::TimeRange range;  // of the samples that may be missing
  std::string text;        // the warning
};

// Beyond the times that samples can have; far from overflow.
inline constexpr int64_t kFarMs = std::numeric_limits<int64_t>::max() / 4;

using IncompleteList = std::vector<Incomplete>;

// Keeps the list bounded: when it is full the last entry grows.
void add_incomplete(IncompleteList& list, Incomplete one);
// Drops what retention has taken, which counts for every tenant from its newest sample: what
// may concern any tenant stays until all are past it. One without blocks forgets nothing.
void forget_incomplete(IncompleteList& list, const std::map<std::string, int64_t>& newest_ms,
                       int64_t retention_ms);

// Lost log records; `late_ms` is how much older than its acceptance a sample may be,
// `ahead_ms` how much newer. `now_ms` bounds what no whole record bounds.
Incomplete incomplete_of(const storage::LogDamage& damage, int64_t late_ms, int64_t ahead_ms,
                         int64_t now_ms);

std::vector<std::string> warnings_for(const IncompleteList& list, std::string_view tenant,
                                      model::TimeRange range);
// Adds it to a read's warnings unless it is there, or they are many.
void add_warning(std::vector<std::string>& warnings, std::string text);
// `set` with more warnings; itself when there are none.
std::unique_ptr<storage::SeriesSet> with_warnings(std::unique_ptr<storage::SeriesSet> set,
                                                  std::vector<std::string> warnings);

}  // namespace tsdb
