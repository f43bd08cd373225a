#include "encoding/record_blocks.h"

#include "core/varint.h"

#include <bit>
#include <doctest/doctest.h>
#include <limits>
#include <string>
#include <string_view>

namespace encoding {
namespace {

model::HistogramSample histogram_sample() {
  model::HistogramSample sample{.timestamp_ms = -5, .histogram = {}};
  model::Histogram& histogram = sample.histogram;
  histogram.schema = model::kCustomBucketsSchema;
  histogram.reset_hint = model::CounterResetHint::Gauge;
  histogram.integer_counts = true;
  histogram.count = 1e300;
  histogram.sum = model::stale_nan();
  histogram.positive_spans = {{-7, 1}, {2, 2}};
  histogram.positive_counts = {1, 2.5, 3};
  histogram.negative_spans = {{0, 1}};
  histogram.negative_counts = {-0.0};
  histogram.custom_bounds = {0.1, 1, 10};
  return sample;
}

TEST_CASE("numbers come back bit for bit, integers in as few bytes as a varint takes") {
  const double values[] = {0,
                           -0.0,
                           1,
                           -1,
                           63,
                           0.1,
                           9007199254740991.0,
                           9007199254740992.0,
                           -9007199254740994.0,
                           1e300,
                           std::numeric_limits<double>::infinity(),
                           std::numeric_limits<double>::denorm_min(),
                           model::stale_nan(),
                           std::bit_cast<double>(0xfff8'0000'0000'0001ULL)};
  for (const double value : values) {
    CAPTURE(value);
    std::string bytes;
    append_number(bytes, value);
    std::string_view rest = bytes;
    double read = 5;
    REQUIRE(take_number(rest, read));
    CHECK(rest.empty());
    CHECK(model::same_bits(read, value));
  }
  std::string bytes;
  append_number(bytes, 63);
  CHECK(bytes.size() == 2);
}

TEST_CASE("a histogram comes back as it was, and cut at any byte it is refused") {
  const model::HistogramSample sample = histogram_sample();
  std::string bytes;
  append_histogram_sample(bytes, sample, 1'700'000'000'000);
  std::string_view rest = bytes;
  model::HistogramSample read;
  REQUIRE(take_histogram_sample(rest, read, 1'700'000'000'000));
  CHECK(rest.empty());
  CHECK(read.timestamp_ms == -5);
  CHECK(model::same_bits(read.histogram.sum, sample.histogram.sum));
  CHECK(model::same_bits(read.histogram.negative_counts[0], -0.0));
  read.histogram.sum = 0;
  model::Histogram expected = sample.histogram;
  expected.sum = 0;
  CHECK(read.histogram == expected);

  for (size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    rest = std::string_view(bytes).substr(0, size);
    CHECK(!take_histogram_sample(rest, read, 0));
  }
}

TEST_CASE("a count that the bytes cannot hold is refused before memory is reserved") {
  std::string bytes;
  model::HistogramSample read;
  append_histogram_sample(bytes, {.timestamp_ms = 0, .histogram = {}}, 0);
  // The first of five empty lists says that it has 2^40 elements.
  bytes.resize(bytes.size() - 5);
  core::append_varint(bytes, 1ULL << 40U);
  bytes.append(100, '\0');
  std::string_view rest = bytes;
  CHECK(!take_histogram_sample(rest, read, 0));
}

TEST_CASE("exemplars and metadata come back as they were") {
  const model::Exemplar exemplar{
      .labels = model::Labels::of({{"trace_id", "abc"}}), .value = -1.5, .timestamp_ms = 0};
  const model::Metadata metadata{
      .metric = "m", .type = model::MetricType::StateSet, .unit = "s", .help = "Two\nlines."};
  std::string bytes;
  append_exemplar(bytes, exemplar, 1000);
  append_metadata(bytes, metadata);
  std::string_view rest = bytes;
  model::Exemplar read_exemplar;
  model::Metadata read_metadata;
  REQUIRE(take_exemplar(rest, read_exemplar, 1000));
  REQUIRE(take_metadata(rest, read_metadata));
  CHECK(rest.empty());
  CHECK(read_exemplar.labels == exemplar.labels);
  CHECK(read_exemplar.value == -1.5);
  CHECK(read_exemplar.timestamp_ms == 0);
  CHECK(read_metadata == metadata);

  bytes.clear();
  append_metadata(bytes, metadata);
  bytes[2] = 8;  // no such type
  rest = bytes;
  CHECK(!take_metadata(rest, read_metadata));
}

}  // namespace
}  // namespace encoding
