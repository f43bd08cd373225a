// Chunks as they were written before there were packed numbers: they are on disks and stay
// readable.

#include "encoding/chunk.h"

#include <cmath>
#include <doctest/doctest.h>

namespace encoding {
namespace {

std::string from_hex(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

struct Decoded {
  std::vector<int64_t> times;
  std::vector<double> values;
};

Decoded decode(std::string_view hex) {
  Decoded decoded;
  REQUIRE(decode_float_chunk(from_hex(hex), decoded.times, decoded.values));
  REQUIRE(decoded.times.size() == decoded.values.size());
  return decoded;
}

int64_t slot(size_t i) {
  return 1'700'000'000'000 + static_cast<int64_t>(i) * 10'000;
}

constexpr std::string_view kPlain =
    "01460380a0abfef96200039a9c012d8a16458ba245d1a26851b4285a142d8a16458ba245d1a2039a9c016851"
    "00010002000007021e0d55f185fd56552e3000e85d9d22da08aa0d160ec781b7a6e42d3002d52b1273214015"
    "24b6f8b8743f9feee551c4222b20842b1679a90406180d10ff2a";
constexpr std::string_view kDelta =
    "01460180a0abfef962a09c010000000380897a0007021e0d55f185fd56552e3000e85d9d22da08aa0d160ec7"
    "81b7a6e42d3002d52b127321401524b6f8b8743f9feee551c4222b20842b1679a90406180d10ff2a";
constexpr std::string_view kDelta2 =
    "01460180a0abfef962a09c0100000004000c0902000a2c8870a1c388142f6aec0872a4c9942c5fcaac8973a7"
    "cfa0448f2a6d0a75aad5ac5cbf8a2d8b76addbb874efeaed0b78b0e1c48c1f4bae8c79b3e7d0a44fab6e0d7b"
    "b6eddcbc058006c0308901";
constexpr std::string_view kRaw =
    "01140180a0abfef962a09c0101039aeff9e7cca7d0f67f0033baa7e9d7e3c53800e75b64c5a4cc4b54d16fc3"
    "deb2b2861f985c5205e8b5fe87f2ddca84a70d12838c97cf838258690ef029b9c32ea6ab23681b04eaa53b03"
    "cbc89cedb689e705dbf8a24f262cf276135f4f4b415b9e26d8bd89a4c399188549a80ccb24e133a0be4a1609"
    "2a0143b7074af50590e6b34dea160000000000000000";
constexpr std::string_view kExceptions =
    "01140180a0abfef962a09c0100020203020000000000f07f13000000000000008003000006005906c8599665"
    "599665599665590600";
constexpr std::string_view kHistograms =
    "0203060004fca9f1d24d62503f0102020002000000000000000000001400080c07d00f000000000000f83f02"
    "00020007d00f000000000000084002000200";

}  // namespace

TEST_CASE("old chunks: values as they are, times with jitter") {
  const Decoded got = decode(kPlain);
  REQUIRE(got.values.size() == 70);
  for (size_t i = 0; i < 70; ++i) {
    CHECK(got.times[i] == slot(i) + static_cast<int64_t>(i * 7 % 5));
    CHECK(got.values[i] == static_cast<double>(i * i * 31 % 97) / 10);
  }
}

TEST_CASE("old chunks: differences") {
  const Decoded got = decode(kDelta);
  REQUIRE(got.values.size() == 70);
  double total = 1e6;
  for (size_t i = 0; i < 70; ++i) {
    total += static_cast<double>(i * i * 31 % 97);
    CHECK(got.times[i] == slot(i));
    CHECK(got.values[i] == total);
  }
}

TEST_CASE("old chunks: differences of differences, shifted") {
  const Decoded got = decode(kDelta2);
  REQUIRE(got.values.size() == 70);
  for (size_t i = 0; i < 70; ++i) CHECK(got.values[i] == static_cast<double>(i * i * i * 4096));
}

TEST_CASE("old chunks: raw bits") {
  const Decoded got = decode(kRaw);
  REQUIRE(got.values.size() == 20);
  for (size_t i = 0; i < 20; ++i) CHECK(got.values[i] == std::sqrt(static_cast<double>(i) + 2));
}

TEST_CASE("old chunks: exceptions") {
  const Decoded got = decode(kExceptions);
  REQUIRE(got.values.size() == 20);
  for (size_t i = 0; i < 20; ++i) {
    const double expected = i == 3    ? model::stale_nan()
                            : i == 19 ? -0.0
                                      : static_cast<double>(i) / 4;
    CHECK(model::same_bits(got.values[i], expected));
  }
}

TEST_CASE("old chunks: histograms") {
  std::vector<model::HistogramSample> got;
  REQUIRE(decode_histogram_chunk(from_hex(kHistograms), got));
  REQUIRE(got.size() == 3);
  for (int i = 0; i < 3; ++i) {
    const model::HistogramSample& one = got[static_cast<size_t>(i)];
    model::Histogram expected;
    expected.schema = 2;
    expected.count = 10 + i;
    expected.sum = 1.5 * i;
    expected.zero_threshold = 0.001;
    expected.positive_spans = {{.offset = 1, .length = 2}};
    expected.positive_counts = {4.0 + i, 6};
    expected.integer_counts = true;
    CHECK(one.timestamp_ms == 1000 * i);
    CHECK((one.histogram == expected));
  }
}

}  // namespace encoding
