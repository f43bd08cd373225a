#include "encoding/chunk.h"

#include "core/rng.h"

#include <bit>
#include <cmath>
#include <doctest/doctest.h>
#include <limits>
#include <numeric>

namespace encoding {
namespace {

using model::HistogramSample;

std::vector<int64_t> regular_times(size_t count) {
  std::vector<int64_t> times(count);
  for (size_t i = 0; i < count; ++i)
    times[i] = 1'700'000'000'000 + static_cast<int64_t>(i) * 10'000;
  return times;
}

// Encodes, decodes, compares as bits; gives the size of the chunk.
size_t round_trip(const std::vector<int64_t>& times, const std::vector<double>& values,
                  Effort effort) {
  std::string chunk;
  append_float_chunk(chunk, times, values, effort);
  std::vector<int64_t> times_back = {-7};
  std::vector<double> values_back = {-7};
  REQUIRE(decode_float_chunk(chunk, times_back, values_back));
  REQUIRE(times_back.size() == times.size() + 1);
  REQUIRE(values_back.size() == values.size() + 1);
  for (size_t i = 0; i < times.size(); ++i) {
    CAPTURE(i);
    REQUIRE(times_back[i + 1] == times[i]);
    REQUIRE(std::bit_cast<uint64_t>(values_back[i + 1]) == std::bit_cast<uint64_t>(values[i]));
  }
  return chunk.size();
}

size_t round_trip(const std::vector<int64_t>& times, const std::vector<double>& values) {
  round_trip(times, values, Effort::Quick);
  return round_trip(times, values, Effort::Best);
}

// One of every class of double, and the corners of the decimal form.
std::vector<double> special_values() {
  using Limits = std::numeric_limits<double>;
  std::vector<double> values = {0.0,
                                -0.0,
                                1.0,
                                -1.0,
                                0.1,
                                -0.1,
                                1.0 / 3,
                                Limits::quiet_NaN(),
                                model::stale_nan(),
                                std::bit_cast<double>(0x7ff8000000000001ULL),
                                std::bit_cast<double>(0xfff0000000000002ULL),
                                std::bit_cast<double>(0xffffffffffffffffULL),
                                Limits::infinity(),
                                -Limits::infinity(),
                                Limits::max(),
                                Limits::lowest(),
                                Limits::min(),
                                Limits::denorm_min(),
                                -Limits::denorm_min(),
                                0x1p51,
                                0x1p51 - 1,
                                -0x1p51,
                                0x1p52,
                                0x1p53,
                                0x1p53 + 2,
                                0x1p63,
                                -0x1p63,
                                1e12 + 0.1,
                                123456.789,
                                1e-12,
                                1e-13,
                                4.35};
  return values;
}

}  // namespace

TEST_CASE("every class of double alone and beside every other comes back bit for bit") {
  const std::vector<double> specials = special_values();
  for (const double a : specials) {
    round_trip({42}, {a});
    for (const double b : specials) {
      round_trip({-5, 42}, {a, b});
      round_trip(regular_times(4), {a, b, b, a});
      // One among many plain ones: the list of exceptions.
      std::vector<double> mostly_plain(100, 17.5);
      mostly_plain[0] = a;
      mostly_plain[57] = b;
      mostly_plain[99] = a;
      round_trip(regular_times(100), mostly_plain);
    }
  }
  round_trip(regular_times(specials.size()), specials);
}

TEST_CASE("any timestamps come back, also with differences beyond 63 bits") {
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  round_trip({kMin, kMax}, {1, 2});
  round_trip({kMin, 0, kMax}, {1, 2, 3});
  round_trip({kMin, kMin + 1, -1, 0, 1, kMax - 1, kMax}, {1, 2, 3, 4, 5, 6, 7});
  round_trip({0}, {0});
  // Even ones: the differences overflow and share zero bits.
  round_trip({kMin, kMin + 8, -8, 0, kMax - 7, kMax - 15, kMin}, {1, 2, 3, 4, 5, 6, 7});
  round_trip({0, kMin, kMax - 3, kMin + 4, 4}, {1, 2, 3, 4, 5});
}

TEST_CASE("of a chunk those samples are decoded that lie in the range") {
  core::SeededRng rng(7);
  for (int round = 0; round < 400; ++round) {
    const size_t count = 1 + rng.below(300);
    std::vector<int64_t> times = regular_times(count);
    std::vector<double> values(count);
    double total = 0;
    for (size_t i = 0; i < count; ++i) {
      if (round % 3 == 0) times[i] += static_cast<int64_t>(rng.below(2'000));
      total += static_cast<double>(rng.below(50));
      values[i] = round % 4 == 0 ? 7 : total / 8;
      if (round % 5 == 0 && rng.below(9) == 0) values[i] = std::bit_cast<double>(rng.next());
    }
    std::string chunk;
    append_float_chunk(chunk, times, values);
    const int64_t start = times[rng.below(count)] + static_cast<int64_t>(rng.below(3)) - 1;
    const int64_t end = times[rng.below(count)] + static_cast<int64_t>(rng.below(3)) - 1;
    std::vector<int64_t> times_back = {-7};
    std::vector<double> values_back = {-7};
    REQUIRE(decode_float_chunk(chunk, start, end, times_back, values_back));
    size_t found = 1;
    for (size_t i = 0; i < count; ++i) {
      if (times[i] < start || times[i] >= end) continue;
      REQUIRE(found < times_back.size());
      REQUIRE(times_back[found] == times[i]);
      REQUIRE(std::bit_cast<uint64_t>(values_back[found]) == std::bit_cast<uint64_t>(values[i]));
      ++found;
    }
    REQUIRE(times_back.size() == found);
    REQUIRE(values_back.size() == found);
    chunk.clear();
    append_value_chunk(chunk, values);
    const size_t from = rng.below(count);
    std::vector<double> columns(count);
    REQUIRE(decode_value_chunk(chunk, columns, from));
    for (size_t i = from; i < count; ++i) {
      REQUIRE(std::bit_cast<uint64_t>(columns[i]) == std::bit_cast<uint64_t>(values[i]));
    }
  }
}

TEST_CASE("random bits of every count and width come back") {
  constexpr uint64_t kSeed = 20'261'120;
  CAPTURE(kSeed);
  core::SeededRng rng(kSeed);
  for (size_t count = 1; count <= kChunkSamplesMax; count += count < 200 ? 1 : 103) {
    const unsigned time_bits = static_cast<unsigned>(rng.below(45));
    const unsigned value_bits = static_cast<unsigned>(rng.below(65));
    std::vector<int64_t> times(count);
    std::vector<double> values(count);
    int64_t time = static_cast<int64_t>(rng.next() >> 22U);
    for (size_t i = 0; i < count; ++i) {
      time += 1 + static_cast<int64_t>(rng.next() >> (64 - time_bits - 1));
      times[i] = time;
      values[i] = std::bit_cast<double>(value_bits == 0 ? 0 : rng.next() >> (64 - value_bits));
    }
    round_trip(times, values);
    for (double& value : values) value = static_cast<double>(rng.below(1 << 20U)) / 100;
    round_trip(times, values);
  }
}

TEST_CASE("what fleets send takes few bytes") {
  const auto times = regular_times(120);
  std::vector<double> values(120, 3.5);
  CHECK(round_trip(times, values) < 24);  // constant

  std::iota(values.begin(), values.end(), 1e6);
  CHECK(round_trip(times, values) < 28);  // a steady counter

  core::SeededRng rng(1);
  for (double& value : values) value = 50 + static_cast<double>(rng.below(100)) / 10;
  CHECK(round_trip(times, values) < 140);  // gauge in steps of 0.1: about a byte

  double total = 0;
  for (double& value : values) {
    total += static_cast<double>(rng.below(64)) * 4096;
    value = total;
  }
  CHECK(round_trip(times, values) < 130);  // pages: the common shift is taken out

  values.assign(120, 1);
  values.back() = model::stale_nan();
  CHECK(round_trip(times, values) < 34);
}

TEST_CASE("a chunk that is cut or bent is refused or decodes to as many samples as it says") {
  core::SeededRng rng(7);
  std::vector<double> values(90);
  for (double& value : values) value = static_cast<double>(rng.below(1000)) / 10;
  values[40] = model::stale_nan();
  auto times = regular_times(90);
  times[30] += 3;
  std::string chunk;
  append_float_chunk(chunk, times, values);
  std::vector<int64_t> times_back;
  std::vector<double> values_back;
  for (size_t size = 0; size < chunk.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(
        decode_float_chunk(std::string_view(chunk).substr(0, size), times_back, values_back));
    CHECK(times_back.empty());
  }
  CHECK_FALSE(decode_float_chunk(chunk + "x", times_back, values_back));
  for (size_t bit = 0; bit < chunk.size() * 8; ++bit) {
    std::string bent = chunk;
    bent[bit / 8] = static_cast<char>(static_cast<uint8_t>(bent[bit / 8]) ^ (1U << (bit % 8)));
    times_back.clear();
    values_back.clear();
    if (decode_float_chunk(bent, times_back, values_back)) {
      CHECK(times_back.size() == values_back.size());
    }
  }
}

TEST_CASE("histograms of every kind come back in order") {
  std::vector<HistogramSample> samples;
  for (int i = 0; i < 10; ++i) {
    HistogramSample sample;
    sample.timestamp_ms = 1000 * i - 3000;
    model::Histogram& one = sample.histogram;
    one.schema = i < 5 ? 3 : model::kCustomBucketsSchema;
    one.integer_counts = i % 2 == 0;
    one.reset_hint = static_cast<model::CounterResetHint>(i % 4);
    one.zero_threshold = 1e-128;
    one.zero_count = i;
    one.count = 100 + i;
    one.sum = i == 7 ? model::stale_nan() : 12.5 * i;
    one.positive_spans = {{-3, 2}, {5, 1}};
    one.positive_counts = {1.0 + i, 2, 0x1p51};
    one.negative_spans = {{0, 1}};
    one.negative_counts = {i == 3 ? 0.25 : 4.0};
    if (i == 4) one.count = -0.0;
    if (i >= 5) one.custom_bounds = {0.5, 1, std::numeric_limits<double>::infinity()};
    samples.push_back(sample);
  }
  std::string chunk;
  append_histogram_chunk(chunk, samples);
  std::vector<HistogramSample> back;
  REQUIRE(decode_histogram_chunk(chunk, back));
  REQUIRE(back.size() == samples.size());
  for (size_t i = 0; i < samples.size(); ++i) {
    CAPTURE(i);
    CHECK(back[i].timestamp_ms == samples[i].timestamp_ms);
    CHECK(model::same_bits(back[i].histogram.sum, samples[i].histogram.sum));
    CHECK(model::same_bits(back[i].histogram.count, samples[i].histogram.count));
    back[i].histogram.sum = samples[i].histogram.sum = 0;
    CHECK(back[i].histogram == samples[i].histogram);
  }
  for (size_t size = 0; size < chunk.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(decode_histogram_chunk(std::string_view(chunk).substr(0, size), back));
    CHECK(back.size() == samples.size());
  }

  chunk.clear();
  append_histogram_value_chunk(chunk, samples);
  std::vector<int64_t> times;
  for (const HistogramSample& one : samples) times.push_back(one.timestamp_ms);
  std::vector<HistogramSample> joined(1);
  REQUIRE(decode_histogram_value_chunk(chunk, times, joined));
  REQUIRE(joined.size() == samples.size() + 1);
  for (size_t i = 0; i < samples.size(); ++i) {
    CAPTURE(i);
    HistogramSample& one = joined[i + 1];
    CHECK(one.timestamp_ms == samples[i].timestamp_ms);
    one.histogram.sum = back[i].histogram.sum;
    one.histogram.count = back[i].histogram.count;
    CHECK(one.histogram == back[i].histogram);
  }
  times.pop_back();
  CHECK_FALSE(decode_histogram_value_chunk(chunk, times, joined));
  CHECK(joined.size() == samples.size() + 1);
}

TEST_CASE("values and timestamps come back on their own") {
  const std::vector<double> values = special_values();
  std::string chunk;
  append_value_chunk(chunk, values);
  std::vector<double> back = {-7};
  REQUIRE(decode_value_chunk(chunk, values.size(), back));
  REQUIRE(back.size() == values.size() + 1);
  for (size_t i = 0; i < values.size(); ++i) CHECK(model::same_bits(back[i + 1], values[i]));
  CHECK_FALSE(decode_value_chunk(chunk, values.size() / 2, back));
  CHECK_FALSE(decode_value_chunk(chunk, values.size() * 2, back));
  CHECK_FALSE(decode_value_chunk(chunk, 0, back));
  CHECK_FALSE(decode_value_chunk(chunk, kChunkSamplesMax + 1, back));
  for (size_t size = 0; size < chunk.size(); ++size) {
    CHECK_FALSE(decode_value_chunk(std::string_view(chunk).substr(0, size), values.size(), back));
  }
  CHECK(back.size() == values.size() + 1);
  for (const double value : values) {
    for (const size_t count : {size_t{1}, size_t{2}, kChunkSamplesMax}) {
      chunk.clear();
      append_value_chunk(chunk, std::vector<double>(count, value));
      CHECK(chunk.size() <= 10);  // one value, whatever the count
      back.assign(1, -7);
      REQUIRE(decode_value_chunk(chunk, count, back));
      REQUIRE(back.size() == count + 1);
      CHECK(model::same_bits(back[1], value));
      CHECK(model::same_bits(back[count], value));
      CHECK_FALSE(decode_value_chunk(chunk + "x", count, back));
    }
  }
  back.assign(1, -7);
  std::vector<int64_t> times_back;
  CHECK_FALSE(decode_float_chunk(chunk, times_back, back));

  auto times = regular_times(50);
  times[20] += 3;
  std::string column;
  append_timestamp_column(column, times);
  column += "rest";
  times_back.resize(times.size());
  std::string_view bytes = column;
  REQUIRE(take_timestamp_column(bytes, times_back));
  CHECK(bytes == "rest");
  CHECK(times_back == times);
}

TEST_CASE("a histogram with more spans and bounds than any sender needs comes back too") {
  std::vector<HistogramSample> samples(2);
  for (HistogramSample& sample : samples) {
    sample.histogram.schema = model::kCustomBucketsSchema;
    sample.histogram.positive_spans.assign(70'000, {.offset = 0, .length = 0});
    for (int i = 0; i < 70'000; ++i) sample.histogram.custom_bounds.push_back(i);
  }
  std::string chunk;
  append_histogram_chunk(chunk, samples);
  std::vector<HistogramSample> back;
  REQUIRE(decode_histogram_chunk(chunk, back));
  REQUIRE(back.size() == samples.size());
  for (const HistogramSample& one : back) CHECK((one.histogram == samples[0].histogram));
}

TEST_CASE("chunks of values that are no decimals are told from those that are") {
  std::vector<int64_t> times;
  std::vector<double> decimal;
  std::vector<double> raw;
  for (int i = 0; i < 100; ++i) {
    times.push_back(1'700'000'000'000 + i * 1'000 + i % 7);
    decimal.push_back(i * 0.25);
    raw.push_back(std::sqrt(i + 0.1) * 1e-7);
  }
  std::string chunk;
  append_float_chunk(chunk, times, decimal);
  CHECK_FALSE(stores_raw_floats(chunk));
  chunk.clear();
  append_float_chunk(chunk, times, raw);
  CHECK(stores_raw_floats(chunk));
  for (size_t size = 0; size < 3; ++size) CHECK_FALSE(stores_raw_floats(chunk.substr(0, size)));
  chunk.clear();
  append_value_chunk(chunk, raw);
  CHECK_FALSE(stores_raw_floats(chunk));  // its times stand elsewhere
}

}  // namespace encoding
