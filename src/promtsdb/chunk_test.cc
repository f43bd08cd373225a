#include "promtsdb/chunk.h"

#include "core/rng.h"
#include "promtsdb/testing/build.h"

#include <cmath>
#include <doctest/doctest.h>

using promtsdb::append_chunk;
using promtsdb::testing::BitWriter;
using promtsdb::testing::Samples;

namespace {

constexpr model::TimeRange kAll{INT64_MIN, INT64_MAX};

uint64_t bits_of(double value) {
  return std::bit_cast<uint64_t>(value);
}

void check_round_trip(const Samples& samples) {
  const std::string data = promtsdb::testing::xor_chunk(samples);
  storage::SeriesBatch batch;
  REQUIRE(append_chunk(promtsdb::kChunkXor, data, kAll, batch));
  REQUIRE(batch.timestamps_ms.size() == samples.size());
  for (size_t i = 0; i < samples.size(); ++i) {
    CHECK(batch.timestamps_ms[i] == samples[i].first);
    CHECK(bits_of(batch.values[i]) == bits_of(samples[i].second));
  }
}

// Two samples with buckets 1, 3 and then 2, 5; hint as in the flags.
std::string histogram_chunk(uint8_t flags, int64_t schema) {
  BitWriter bits;
  bits.write(2, 16);
  bits.write(flags, 8);
  bits.write(243 - 127, 8);  // zero threshold 2^-128
  bits.varbit_int(schema);
  bits.varbit_uint(1);
  bits.varbit_uint(2);  // length
  bits.varbit_int(-5);  // offset
  bits.varbit_uint(0);
  if (schema == model::kCustomBucketsSchema) {
    bits.varbit_uint(2);
    bits.varbit_uint(501);  // 0.5
    bits.varbit_uint(0);
    bits.write(bits_of(1.0 / 3), 64);
  }
  bits.varbit_int(1'000'000);
  bits.varbit_uint(4);
  bits.varbit_uint(0);
  bits.write(bits_of(7.5), 64);
  bits.varbit_int(1);
  bits.varbit_int(2);
  bits.varbit_int(15'000);
  bits.varbit_int(3);
  bits.varbit_int(0);
  bits.write(0, 1);  // the same sum
  bits.varbit_int(1);
  bits.varbit_int(1);
  return bits.bytes();
}

}  // namespace

TEST_CASE("float chunks are read bit for bit") {
  check_round_trip({{0, 0}});
  check_round_trip({{-5, -0.0}, {10, std::nan("")}, {11, model::stale_nan()}, {12, INFINITY}});
  check_round_trip({{1, 1}, {16'000, 1}, {31'000, 2}, {46'001, 3}, {9'000'000'000'000, 4}});
  core::SeededRng rng(7);
  for (int round = 0; round < 200; ++round) {
    Samples samples;
    int64_t time = static_cast<int64_t>(rng.next() % 2'000'000'000'000);
    for (uint64_t i = 0; i < 1 + rng.next() % 120; ++i) {
      time += static_cast<int64_t>(rng.next() % (uint64_t{1} << (rng.next() % 40)));
      const uint64_t kind = rng.next() % 3;
      samples.emplace_back(time, kind == 0   ? std::bit_cast<double>(rng.next())
                                 : kind == 1 ? static_cast<double>(rng.next() % 1000) / 10
                                             : 42.0);
    }
    check_round_trip(samples);
  }
}

TEST_CASE("only samples in the range are taken") {
  const std::string data = promtsdb::testing::xor_chunk({{10, 1}, {20, 2}, {30, 3}});
  storage::SeriesBatch batch;
  REQUIRE(append_chunk(promtsdb::kChunkXor, data, {20, 30}, batch));
  CHECK(batch.timestamps_ms == std::vector<int64_t>{20});
}

TEST_CASE("a chunk cut at any byte is an error or shorter, never more") {
  Samples samples;
  for (int i = 0; i < 50; ++i) samples.emplace_back(i * 1000 + i % 7, i * 1.7);
  const std::string data = promtsdb::testing::xor_chunk(samples);
  for (size_t size = 0; size < data.size(); ++size) {
    storage::SeriesBatch batch;
    const auto read = append_chunk(promtsdb::kChunkXor, data.substr(0, size), kAll, batch);
    CHECK((!read || size < 2));
    CHECK(batch.timestamps_ms.size() < samples.size());
  }
}

TEST_CASE("integer histograms are read with their layout and hints") {
  storage::SeriesBatch batch;
  REQUIRE(append_chunk(promtsdb::kChunkHistogram, histogram_chunk(0x80, 3), kAll, batch));
  REQUIRE(batch.histograms.size() == 2);
  const model::Histogram& first = batch.histograms[0].histogram;
  CHECK(batch.histograms[0].timestamp_ms == 1'000'000);
  CHECK(first.schema == 3);
  CHECK(first.integer_counts);
  CHECK(first.reset_hint == model::CounterResetHint::Reset);
  CHECK(first.zero_threshold == std::ldexp(1.0, -128));
  CHECK(first.count == 4);
  CHECK(first.sum == 7.5);
  CHECK(first.positive_spans == std::vector<model::BucketSpan>{{-5, 2}});
  CHECK(first.positive_counts == std::vector<double>{1, 3});
  const model::Histogram& second = batch.histograms[1].histogram;
  CHECK(batch.histograms[1].timestamp_ms == 1'015'000);
  CHECK(second.count == 7);
  CHECK(second.positive_counts == std::vector<double>{2, 5});
  CHECK(second.reset_hint == model::CounterResetHint::Unknown);
}

TEST_CASE("gauge histograms and custom buckets") {
  storage::SeriesBatch batch;
  REQUIRE(append_chunk(promtsdb::kChunkHistogram,
                       histogram_chunk(0xC0, model::kCustomBucketsSchema), kAll, batch));
  REQUIRE(batch.histograms.size() == 2);
  CHECK(batch.histograms[1].histogram.reset_hint == model::CounterResetHint::Gauge);
  CHECK(batch.histograms[0].histogram.custom_bounds == std::vector<double>{0.5, 1.0 / 3});
}

TEST_CASE("what is not known is refused with its number") {
  storage::SeriesBatch batch;
  const auto encoding = append_chunk(9, "abc", kAll, batch);
  REQUIRE(!encoding);
  CHECK(encoding.error().message.find("chunk encoding 9") != std::string::npos);
  const auto schema = append_chunk(promtsdb::kChunkHistogram, histogram_chunk(0, 11), kAll, batch);
  REQUIRE(!schema);
  CHECK(schema.error().message == "histogram schema 11");
}

TEST_CASE("variable-size integers at their edges") {
  for (const int64_t edge : {3LL, 4LL, 32LL, 256LL, 2048LL, 131072LL, 16777216LL, 1LL << 55}) {
    for (const int64_t value : {edge - 1, edge, edge + 1, -edge, 1 - edge, -edge - 1}) {
      BitWriter bits;
      bits.write(1, 16);
      bits.write(0, 8);
      bits.write(0, 8);
      bits.varbit_int(0);
      bits.varbit_uint(0);
      bits.varbit_uint(0);
      bits.varbit_int(value);
      bits.varbit_uint(static_cast<uint64_t>(edge));
      bits.varbit_uint(0);
      bits.write(0, 64);
      storage::SeriesBatch batch;
      REQUIRE(append_chunk(promtsdb::kChunkHistogram, bits.bytes(), kAll, batch));
      CHECK(batch.histograms.at(0).timestamp_ms == value);
      CHECK(batch.histograms.at(0).histogram.count == static_cast<double>(edge));
    }
  }
}
