#include "ingest/histogram_decoder.h"

#include "core/rng.h"

#include <doctest/doctest.h>
#include <map>

namespace ingest {
namespace {

std::map<int64_t, double> by_index(const std::vector<model::BucketSpan>& spans,
                                   const std::vector<double>& counts) {
  std::map<int64_t, double> buckets;
  int64_t index = 0;
  size_t at = 0;
  for (const model::BucketSpan& span : spans) {
    index += span.offset;
    for (uint32_t i = 0; i < span.length; ++i) buckets[index++] = counts.at(at++);
  }
  CHECK(at == counts.size());
  return buckets;
}

std::map<int64_t, double> halved(const std::map<int64_t, double>& buckets) {
  std::map<int64_t, double> out;
  for (const auto& [index, count] : buckets) {
    // Rounded up: bucket i reaches from base^(i-1) to base^i.
    out[index > 0 ? (index + 1) / 2 : -(-index / 2)] += count;
  }
  return out;
}

TEST_CASE("halving puts every observation into the bucket that contains its own") {
  core::SeededRng rng(3);
  for (int round = 0; round < 2'000; ++round) {
    CAPTURE(round);
    model::Histogram histogram;
    histogram.schema = 8;
    histogram.integer_counts = true;
    for (auto* side : {&histogram.positive_spans, &histogram.negative_spans}) {
      auto& counts =
          side == &histogram.positive_spans ? histogram.positive_counts : histogram.negative_counts;
      const uint64_t span_count = 1 + rng.below(5);
      for (uint64_t i = 0; i < span_count; ++i) {
        const auto offset = static_cast<int32_t>(rng.below(9)) - (i == 0 ? 4 : 0);
        const auto length = static_cast<uint32_t>(rng.below(6));
        side->push_back({offset, length});
        for (uint32_t k = 0; k < length; ++k) {
          counts.push_back(static_cast<double>(rng.below(100)));
          histogram.count += counts.back();
        }
      }
    }
    std::map<int64_t, double> positive =
        by_index(histogram.positive_spans, histogram.positive_counts);
    std::map<int64_t, double> negative =
        by_index(histogram.negative_spans, histogram.negative_counts);
    const size_t buckets_max = 4 + rng.below(8);
    REQUIRE(reduce_buckets(histogram, buckets_max));
    CHECK(histogram.positive_counts.size() + histogram.negative_counts.size() <= buckets_max);
    for (int32_t schema = 8; schema > histogram.schema; --schema) {
      positive = halved(positive);
      negative = halved(negative);
    }
    CHECK(by_index(histogram.positive_spans, histogram.positive_counts) == positive);
    CHECK(by_index(histogram.negative_spans, histogram.negative_counts) == negative);
    CHECK(contradiction(histogram) == "");
  }
}

TEST_CASE("a histogram that fits stays as it is") {
  model::Histogram histogram;
  histogram.schema = 3;
  histogram.positive_spans = {{0, 2}, {5, 1}};
  histogram.positive_counts = {1, 2, 3};
  const model::Histogram before = histogram;
  CHECK(reduce_buckets(histogram, 3));
  CHECK(histogram == before);
}

}  // namespace
}  // namespace ingest
