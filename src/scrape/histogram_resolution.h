// Coarser buckets for native histograms: two of a schema are one of the schema below.

#pragma once

#include "model/histogram.h"

#include <cstdint>

namespace scrape {

inline constexpr int32_t kSchemaMin = -4;
inline constexpr int32_t kSchemaMax = 8;

inline bool is_exponential(const model::Histogram& histogram) {
  return histogram.schema >= kSchemaMin && histogram.schema <= kSchemaMax;
}

// Precondition: exponential, and `schema` is not finer than the histogram's; spans and
// counts agree in number.
void reduce_resolution(model::Histogram& histogram, int32_t schema);

// Reduces the schema to `schema_max` and then until the histogram has no more than `limit`
// buckets (0: any number). False when it cannot be made to fit.
bool fit_buckets(model::Histogram& histogram, int32_t schema_max, uint64_t limit);

}  // namespace scrape
