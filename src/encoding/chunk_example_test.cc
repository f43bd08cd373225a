// The examples of docs/formats/chunk.md, in their order.

#include "core/file_system.h"
#include "encoding/chunk.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <limits>

namespace encoding {
namespace {

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// What stands before the bars of a block of code.
std::string bytes_of(std::string_view block) {
  std::string bytes;
  bool in_comment = false;
  for (size_t i = 0; i + 1 < block.size(); ++i) {
    if (block[i] == '\n') in_comment = false;
    if (block[i] == '|') in_comment = true;
    if (in_comment || digit(block[i]) < 0 || digit(block[i + 1]) < 0) continue;
    bytes.push_back(static_cast<char>(digit(block[i]) * 16 + digit(block[i + 1])));
    ++i;
  }
  return bytes;
}

// The examples, taken one after the other.
class Examples {
 public:
  Examples() {
    core::PosixFileSystem files;
    const auto document = files.read_file(TESTDATA_DIR "/../../../docs/formats/chunk.md");
    REQUIRE(document);
    text_ = *document;
    rest_ = text_;
    rest_.remove_prefix(rest_.find("## Example"));
  }

  bool at_end() const { return rest_.find("```") == std::string_view::npos; }

  std::string next() {
    const size_t begin = rest_.find("```");
    REQUIRE(begin != std::string_view::npos);
    rest_.remove_prefix(begin + 3);
    const size_t end = rest_.find("```");
    REQUIRE(end != std::string_view::npos);
    const std::string bytes = bytes_of(rest_.substr(0, end));
    rest_.remove_prefix(end + 3);
    return bytes;
  }

 private:
  std::string text_;
  std::string_view rest_;
};

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += fmt::format("{:02x} ", static_cast<uint8_t>(byte));
  return text;
}

enum class Kind : uint8_t { Current, Old };

void check_times(const std::string& example, const std::vector<int64_t>& expected, Kind kind) {
  CAPTURE(hex(example));
  std::vector<int64_t> back(expected.size());
  std::string_view bytes = example;
  CHECK(take_timestamp_column(bytes, back));
  CHECK(bytes.empty());
  CHECK(back == expected);
  if (kind == Kind::Old) return;
  std::string written;
  append_timestamp_column(written, expected);
  CHECK(hex(written) == hex(example));
}

void check_values(const std::string& example, const std::vector<double>& expected) {
  std::string written;
  append_value_chunk(written, expected);
  CHECK(hex(written) == hex(example));
  std::vector<double> back;
  CHECK(decode_value_chunk(example, expected.size(), back));
  REQUIRE(back.size() == expected.size());
  for (size_t i = 0; i < back.size(); ++i) CHECK(model::same_bits(back[i], expected[i]));
}

}  // namespace

TEST_CASE("the examples of the chunk format decode, and are what the writers write") {
  Examples examples;
  std::string written;
  append_float_chunk(written, std::vector<int64_t>{0, 15'000}, std::vector<double>{1, 1});
  CHECK(hex(examples.next()) == hex(written));
  check_values(examples.next(), {1, 1});

  check_times(examples.next(), {100, 103, 101, 107, 100, 102, 105, 101, 106}, Kind::Current);
  check_times(examples.next(), {0, 8192, 12288, 28672, 32768, 40960, 45056, 57344}, Kind::Current);
  check_times(examples.next(), {0, 1, 3, 7, 12, 18, 26, 35, 45}, Kind::Current);
  check_times(examples.next(),
              {0, 15'003, 30'000, 45'002, 60'003, 75'000, 90'001, 105'003, 120'000, 135'003,
               150'001, 165'000, 180'003, 195'000, 210'002, 225'000, 240'001},
              Kind::Current);
  check_times(examples.next(), {1, 6, 5, 2}, Kind::Old);

  std::vector<double> values;
  for (int i = 0; i < 18; ++i) values.push_back(i % 3 == 0 ? 1000 + i % 2 : i % 3);
  check_values(examples.next(), values);
  values.assign(120, 5);
  values[11] = 1'000'006;
  values[30] = 1'000'005;
  check_values(examples.next(), values);
  check_values(examples.next(), {0.5, 0.7, 0.6, model::stale_nan(), 0.5, 0.9, 0.8, 0.5});
  values.clear();
  for (const int one : {3, 4, 6, 5, 3, 7, 9, 3}) values.push_back(one * 0.1);
  check_values(examples.next(), values);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  check_values(examples.next(), {kInfinity, -kInfinity});
  check_values(examples.next(),
               std::vector<double>(120, std::bit_cast<double>(0x7ff8000000000001U)));

  std::vector<model::HistogramSample> histograms(1);
  histograms[0].timestamp_ms = 1000;
  model::Histogram& histogram = histograms[0].histogram;
  histogram.schema = 2;
  histogram.count = 10;
  histogram.sum = 1.5;
  histogram.positive_spans = {{.offset = 1, .length = 2}};
  histogram.positive_counts = {4, 6};
  histogram.integer_counts = true;
  written.clear();
  append_histogram_chunk(written, histograms);
  CHECK(hex(examples.next()) == hex(written));
  written.clear();
  append_histogram_value_chunk(written, histograms);
  CHECK(hex(examples.next()) == hex(written));

  check_times(examples.next(), {100, 103, 101, 107}, Kind::Old);
  check_times(examples.next(), {100, 103, 106, 108}, Kind::Old);
  check_times(examples.next(), {100, 103, 106, 108}, Kind::Old);
  std::vector<int64_t> times;
  std::vector<double> back;
  CHECK(decode_float_chunk(examples.next(), times, back));
  CHECK(times == std::vector<int64_t>{0, 1});
  CHECK(back == std::vector<double>{0.5, 0.25});
  CHECK(examples.at_end());
}

}  // namespace encoding
