#include "encoding/kernels.h"

#include "core/rng.h"
#include "encoding/chunk.h"
#include "encoding/packed_numbers.h"

#include <bit>
#include <cmath>
#include <doctest/doctest.h>
#include <limits>
#include <utility>

namespace encoding {
namespace {

// Puts the usual kernels back.
class UsualKernels {
 public:
  UsualKernels() : usual_(kernels()) {}
  ~UsualKernels() { force_kernels(usual_); }

 private:
  const Kernels& usual_;
};

// A column like those of metrics, by the roll of dice.
std::vector<double> random_column(core::SeededRng& rng, size_t count) {
  std::vector<double> values(count);
  const uint64_t kind = rng.below(9);
  const uint64_t range = uint64_t{1} << rng.below(40);
  constexpr std::array<double, 6> kPowers = {1, 10, 100, 1000, 1e6, 1e9};
  const double power = kPowers[rng.below(kPowers.size())];
  double total = static_cast<double>(rng.below(1 << 20U));
  for (size_t i = 0; i < count; ++i) {
    const auto number = static_cast<double>(rng.below(range));
    switch (kind) {
      case 0:
        values[i] = number / power;
        break;
      case 1:
        values[i] = number * (1 / power);
        break;
      case 2:
        values[i] = (total += number) / power;
        break;
      case 3:
        values[i] = (total += rng.below(9) == 0 ? number : 0) / power;
        break;
      case 4:
        values[i] = std::sqrt(number + 0.1);
        break;
      case 5:
        values[i] = std::bit_cast<double>(rng.next());
        break;
      case 6:
        values[i] = number / power + 0.1;
        break;
      case 7:
        values[i] = static_cast<double>(static_cast<float>(std::log(number + 1.5)));
        break;
      default:
        values[i] = rng.below(5) == 0 ? number * 1e6 : static_cast<double>(rng.below(9));
    }
    if (rng.below(60) == 0) values[i] = model::stale_nan();
    if (rng.below(200) == 0) values[i] = -0.0;
    if (rng.below(300) == 0) values[i] = std::numeric_limits<double>::infinity();
    if (rng.below(300) == 0) values[i] = std::bit_cast<double>(0xfff8000000000000U | rng.below(99));
    if (rng.below(300) == 0) values[i] = std::numeric_limits<double>::denorm_min();
  }
  return values;
}

}  // namespace

TEST_CASE("all kernels write the same bytes and read the same values") {
  const UsualKernels usual;
  constexpr uint64_t kSeed = 20'261'121;
  CAPTURE(kSeed);
  core::SeededRng rng(kSeed);
  for (int round = 0; round < 600; ++round) {
    CAPTURE(round);
    const size_t count = 1 + rng.below(rng.below(4) == 0 ? kChunkSamplesMax : 130);
    const std::vector<double> values = random_column(rng, count);
    std::vector<int64_t> times(count);
    auto time = static_cast<int64_t>(rng.below(uint64_t{1} << 41U));
    for (int64_t& one : times) {
      time += 1000 + static_cast<int64_t>(rng.below(4)) + (rng.below(50) == 0 ? 5000 : 0);
      one = time;
    }
    std::string first;
    for (const Kernels* one : available_kernels()) {
      CAPTURE(one->name);
      force_kernels(*one);
      std::string chunk;
      append_float_chunk(chunk, times, values);
      if (first.empty()) first = chunk;
      REQUIRE(chunk == first);
      std::vector<int64_t> times_back;
      std::vector<double> back;
      REQUIRE(decode_float_chunk(chunk, times_back, back));
      REQUIRE((times_back == times));
      for (size_t i = 0; i < count; ++i) {
        CAPTURE(i);
        REQUIRE(std::bit_cast<uint64_t>(back[i]) == std::bit_cast<uint64_t>(values[i]));
      }
    }
  }
}

TEST_CASE("all kernels make the same of bytes that were bent") {
  const UsualKernels usual;
  core::SeededRng rng(5);
  for (int round = 0; round < 2000; ++round) {
    const size_t count = 1 + rng.below(200);
    std::string chunk;
    append_value_chunk(chunk, random_column(rng, count));
    for (int bend = 0; bend < 3; ++bend) {
      const size_t at = 1 + rng.below(std::min<size_t>(chunk.size() - 1, bend == 0 ? 12 : 400));
      chunk[at] = static_cast<char>(static_cast<uint8_t>(chunk[at]) ^ (1U << rng.below(8)));
    }
    bool first = true;
    bool decodes = false;
    std::vector<double> expected;
    for (const Kernels* one : available_kernels()) {
      CAPTURE(one->name);
      force_kernels(*one);
      std::vector<double> back;
      const bool good = decode_value_chunk(chunk, count, back).has_value();
      if (first) {
        decodes = good;
        expected = back;
        first = false;
      }
      REQUIRE(good == decodes);
      REQUIRE(back.size() == expected.size());
      for (size_t i = 0; i < back.size(); ++i) {
        REQUIRE(std::bit_cast<uint64_t>(back[i]) == std::bit_cast<uint64_t>(expected[i]));
      }
    }
  }
}

TEST_CASE("every width, alone and in classes, comes back from every kernel") {
  const UsualKernels usual;
  core::SeededRng rng(11);
  for (const Kernels* one : available_kernels()) {
    CAPTURE(one->name);
    force_kernels(*one);
    for (unsigned width = 1; width <= 64; ++width) {
      for (const size_t count : {1U, 2U, 7U, 8U, 9U, 63U, 64U, 65U, 255U, 1024U}) {
        for (const bool mixed : {false, true}) {
          std::vector<int64_t> numbers(count);
          for (size_t i = 0; i < count; ++i) {
            const unsigned here = mixed ? static_cast<unsigned>(1 + rng.below(width)) : width;
            numbers[i] = static_cast<int64_t>(rng.next() >> (64 - here));
            if (mixed && rng.below(3) == 0) numbers[i] = -numbers[i];
          }
          std::string out;
          append_packed_numbers(out, numbers);
          out += "rest";
          std::vector<uint64_t> back((count + 7) / 8 * 8);
          std::string_view bytes = out;
          REQUIRE(take_packed_numbers(bytes, count, back.data()));
          REQUIRE(bytes == "rest");
          for (size_t i = 0; i < count; ++i) {
            REQUIRE(static_cast<int64_t>(back[i]) == numbers[i]);
          }
        }
      }
    }
  }
}

TEST_CASE("every kernel finds the one number that does not rise") {
  for (const Kernels* const one : available_kernels()) {
    CAPTURE(one->name);
    for (size_t count = 0; count < 150; ++count) {
      std::vector<int64_t> times(count);
      std::vector<double> values(count);
      for (size_t i = 0; i < count; ++i) {
        times[i] = INT64_MIN + static_cast<int64_t>(i);
        values[i] = static_cast<double>(i / 2) - 20;
      }
      CHECK(one->is_rising(times.data(), count));
      CHECK(one->never_falls(values.data(), count));
      for (size_t i = 1; i < count; ++i) {
        const int64_t time = std::exchange(times[i], times[i - 1]);
        CHECK(!one->is_rising(times.data(), count));
        times[i] = time;
        for (const double odd : {-1e9, std::numeric_limits<double>::quiet_NaN()}) {
          const double value = std::exchange(values[i], odd);
          CHECK(!one->never_falls(values.data(), count));
          values[i] = value;
        }
      }
    }
  }
}

namespace {

// Also what is no number, and what adds up to more than there is.
double odd_double(core::SeededRng& rng) {
  switch (rng.below(12)) {
    case 0:
      return std::numeric_limits<double>::infinity();
    case 1:
      return -std::numeric_limits<double>::infinity();
    case 2:
      return std::numeric_limits<double>::quiet_NaN();
    case 3:
      return std::numeric_limits<double>::max();
    case 4:
      return -0.0;
    default:
      return std::ldexp(static_cast<double>(static_cast<int64_t>(rng.next())),
                        static_cast<int>(rng.below(40)) - 60);
  }
}

bool same(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b) ||
         (std::isnan(a) && std::isnan(b));
}

}  // namespace

TEST_CASE("every kernel restores a column from its numbers in every form") {
  core::SeededRng rng(21);
  for (int round = 0; round < 2000; ++round) {
    const size_t count = 1 + rng.below(70);
    std::vector<uint64_t> numbers((count + kGroup - 1) / kGroup * kGroup);
    for (uint64_t& one : numbers) one = rng.next() >> rng.below(64);
    Restoring how{.sums = static_cast<unsigned>(rng.below(3)), .first = rng.next()};
    if (how.sums == 0) how.step = rng.below(2) * rng.next();
    if (rng.below(2) == 0) how.unit = rng.next() >> rng.below(64);
    how.from = rng.below(count);
    uint64_t sum = 0;
    uint64_t sum_of_sums = 0;
    std::vector<int64_t> expected(count);
    for (size_t i = 0; i < count; ++i) {
      sum += numbers[i];
      sum_of_sums += sum;
      const std::array<uint64_t, 3> folded = {numbers[i] + how.step * (i + 1), sum, sum_of_sums};
      expected[i] = static_cast<int64_t>(how.first + how.unit * folded[how.sums]);
    }
    const DecimalScale scale{.power = 100, .inverse = 0.01, .multiply = round % 2 == 0};
    for (const Kernels* const one : available_kernels()) {
      CAPTURE(one->name);
      std::vector<int64_t> integers(count + 1, -7);
      std::vector<double> values(count + 1, -7);
      one->restore(numbers.data(), count, how, integers.data());
      one->restore_doubles(numbers.data(), count, how, scale, values.data());
      for (size_t i = how.from; i < count; ++i) {
        REQUIRE(integers[i] == expected[i]);
        const auto integer = static_cast<double>(expected[i]);
        REQUIRE(values[i] == (scale.multiply ? integer * 0.01 : integer / 100));
      }
      REQUIRE(integers[count] == -7);
      REQUIRE(values[count] == -7);
    }
  }
}

TEST_CASE("every kernel adds with what rounding loses, and finds increases of windows") {
  core::SeededRng rng(22);
  for (int round = 0; round < 500; ++round) {
    const size_t count = rng.below(40);
    std::vector<double> added(count + 1);
    std::vector<double> sums(count + 1);
    std::vector<double> lost(count + 1);
    std::vector<uint32_t> first(count);
    std::vector<uint32_t> last(count);
    for (size_t i = 0; i <= count; ++i) {
      added[i] = odd_double(rng);
      sums[i] = odd_double(rng);
      lost[i] = odd_double(rng);
    }
    for (size_t i = 0; i < count; ++i) {
      first[i] = static_cast<uint32_t>(rng.below(count));
      last[i] = static_cast<uint32_t>(rng.below(count));
    }
    const WindowColumns windows{.count = count,
                                .first = first.data(),
                                .last = last.data(),
                                .factor = sums.data(),
                                .sampled_s = lost.data(),
                                .to_start_s = added.data()};
    for (const Kernels* const one : available_kernels()) {
      CAPTURE(one->name);
      std::vector<double> increases(count + 1, -7);
      const bool reaches = one->window_increases(added.data(), windows, increases.data());
      bool expected = false;
      for (size_t i = 0; i < count; ++i) {
        const double increase = added[last[i]] - added[first[i]];
        REQUIRE(same(increases[i], increase * sums[i]));
        expected = expected || may_reach_zero(added[first[i]], increase, lost[i], added[i]);
      }
      REQUIRE(reaches == expected);
      REQUIRE(increases[count] == -7);
      std::vector<double> sums_here = sums;
      std::vector<double> lost_here = lost;
      one->add_with_lost(added.data(), count, sums_here.data(), lost_here.data());
      for (size_t i = 0; i < count; ++i) {
        const double total = sums[i] + added[i];
        const bool in_order = std::fabs(sums[i]) >= std::fabs(added[i]);
        const double rest = in_order ? (sums[i] - total) + added[i] : (added[i] - total) + sums[i];
        REQUIRE(same(sums_here[i], total));
        REQUIRE(same(lost_here[i], std::isinf(total) ? 0 : lost[i] + rest));
      }
      REQUIRE(same(sums_here[count], sums[count]));
      std::vector<int64_t> line(count + 1, -7);
      one->linear(UINT64_MAX - 5, 3, count, line.data());
      for (size_t i = 0; i < count; ++i) REQUIRE(line[i] == static_cast<int64_t>(i) * 3 - 6);
      REQUIRE(line[count] == -7);
    }
  }
}

TEST_CASE("quotients by powers of ten are rounded correctly by every kernel") {
  const UsualKernels usual;
  core::SeededRng rng(12);
  constexpr std::array<double, 15> kPowers = {1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7, 1e8,
                                              1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
  for (const double power : kPowers) {
    const DecimalScale scale{.power = power, .inverse = 1 / power, .multiply = false};
    std::vector<uint64_t> integers(4096);
    for (uint64_t& one : integers) {
      one = static_cast<uint64_t>(static_cast<int64_t>(rng.next()) >> (11 + rng.below(50)));
    }
    std::vector<double> values(integers.size());
    for (const Kernels* one : available_kernels()) {
      CAPTURE(one->name);
      one->restore_doubles(integers.data(), integers.size(), {}, scale, values.data());
      for (size_t i = 0; i < values.size(); ++i) {
        CAPTURE(integers[i]);
        REQUIRE(values[i] == static_cast<double>(static_cast<int64_t>(integers[i])) / power);
      }
    }
  }
}

}  // namespace encoding
