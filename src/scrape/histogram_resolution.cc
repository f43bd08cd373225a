#include "scrape/histogram_resolution.h"

#include <cstddef>
#include <vector>

namespace scrape {
namespace {

void reduce_side(std::vector<model::BucketSpan>& spans, std::vector<double>& counts,
                 int32_t shift) {
  std::vector<model::BucketSpan> new_spans;
  std::vector<double> new_counts;
  int64_t index = 0;      // of the bucket at hand
  int64_t new_index = 0;  // of the newest bucket written
  size_t at = 0;
  for (const model::BucketSpan& span : spans) {
    index += span.offset;
    for (uint32_t i = 0; i < span.length && at < counts.size(); ++i, ++index, ++at) {
      // Bucket i reaches up to base^i, so 2i-1 and 2i of one schema are i of the next.
      const int64_t target = ((index - 1) >> shift) + 1;
      if (!new_counts.empty() && target == new_index) {
        new_counts.back() += counts[at];
        continue;
      }
      const bool adjacent = !new_counts.empty() && target == new_index + 1;
      if (adjacent) {
        ++new_spans.back().length;
      } else {
        const int64_t from = new_counts.empty() ? 0 : new_index + 1;
        new_spans.push_back({static_cast<int32_t>(target - from), 1});
      }
      new_counts.push_back(counts[at]);
      new_index = target;
    }
  }
  spans = std::move(new_spans);
  counts = std::move(new_counts);
}

}  // namespace

void reduce_resolution(model::Histogram& histogram, int32_t schema) {
  const int32_t shift = histogram.schema - schema;
  if (shift <= 0) return;
  reduce_side(histogram.positive_spans, histogram.positive_counts, shift);
  reduce_side(histogram.negative_spans, histogram.negative_counts, shift);
  histogram.schema = schema;
}

bool fit_buckets(model::Histogram& histogram, int32_t schema_max, uint64_t limit) {
  const bool exponential = is_exponential(histogram);
  if (exponential && histogram.schema > schema_max) reduce_resolution(histogram, schema_max);
  if (limit == 0) return true;
  while (histogram.positive_counts.size() + histogram.negative_counts.size() > limit) {
    if (!exponential || histogram.schema <= kSchemaMin) return false;
    reduce_resolution(histogram, histogram.schema - 1);
  }
  return true;
}

}  // namespace scrape
