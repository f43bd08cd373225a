#include "promtsdb/log_reader.h"

#include "core/rng.h"
#include "core/testing/sim_file_system.h"
#include "promtsdb/log_record.h"
#include "promtsdb/testing/build.h"

#include <algorithm>
#include <doctest/doctest.h>

using core::testing::SimFileSystem;
using promtsdb::Damage;
using promtsdb::LogReader;

namespace {

void put(SimFileSystem& files, const std::string& path, const std::string& bytes) {
  const auto file = files.open(path, core::OpenMode::CreateOrTruncate);
  REQUIRE(file);
  REQUIRE((*file)->write_at(0, bytes));
}

std::vector<std::string> read_all(SimFileSystem& files, Damage& damage, bool* torn = nullptr) {
  auto reader = LogReader::open(files, "wal");
  REQUIRE(reader);
  std::vector<std::string> records;
  std::string_view record;
  for (;;) {
    const auto more = reader->next(record, &damage);
    REQUIRE(more);
    if (!*more) break;
    records.emplace_back(record);
  }
  if (torn != nullptr) *torn = reader->had_torn_tail();
  return records;
}

std::vector<std::string> some_records(size_t count, size_t size_max) {
  core::SeededRng rng(3);
  std::vector<std::string> records;
  for (size_t i = 0; i < count; ++i) {
    std::string record(1 + rng.next() % size_max, '\0');
    for (char& c : record) c = static_cast<char>(rng.next() % 5);
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace

TEST_CASE("records come back whole, over pages and segments, in each compression") {
  const std::vector<std::string> records = some_records(60, 70'000);
  for (const uint8_t compression : std::initializer_list<uint8_t>{0, 8, 16}) {
    SimFileSystem files;
    REQUIRE(files.create_dirs("wal"));
    std::vector<std::string> first(records.begin(), records.begin() + 30);
    std::vector<std::string> second(records.begin() + 30, records.end());
    put(files, "wal/00000009", promtsdb::testing::log_segment(first, compression));
    put(files, "wal/00000010", promtsdb::testing::log_segment(second, compression));
    Damage damage;
    CHECK(read_all(files, damage) == records);
    CHECK(damage.total() == 0);
  }
}

TEST_CASE("a log cut at any byte ends before the cut, without damage") {
  const std::vector<std::string> records = some_records(12, 9'000);
  const std::string segment = promtsdb::testing::log_segment(records);
  for (size_t size = 0; size < segment.size(); size += 97) {
    SimFileSystem files;
    REQUIRE(files.create_dirs("wal"));
    put(files, "wal/00000000", segment.substr(0, size));
    Damage damage;
    const std::vector<std::string> got = read_all(files, damage);
    REQUIRE(got.size() <= records.size());
    CHECK(std::equal(got.begin(), got.end(), records.begin()));
    CHECK(damage.total() == 0);
  }
}

TEST_CASE("a flipped byte costs records of its page and is named with file and offset") {
  const std::vector<std::string> records = some_records(400, 2'000);
  const std::string segment = promtsdb::testing::log_segment(records);
  REQUIRE(segment.size() > 5 * promtsdb::PageReader::kPageSize);
  for (size_t at = 11; at < segment.size(); at += 5'003) {
    SimFileSystem files;
    REQUIRE(files.create_dirs("wal"));
    std::string damaged = segment;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
    put(files, "wal/00000000", damaged);
    Damage damage;
    bool torn = false;
    const std::vector<std::string> got = read_all(files, damage, &torn);
    CHECK(got.size() < records.size());
    CHECK(got.size() + 80 > records.size());
    CHECK((damage.records >= 1 || torn));
    for (const std::string& example : damage.examples) {
      CHECK(example.starts_with("wal/00000000: offset "));
    }
    for (const std::string& record : got) {
      CHECK(std::ranges::find(records, record) != records.end());
    }
  }
}

TEST_CASE("sample and series records are decoded") {
  promtsdb::LogRecord record;
  REQUIRE(promtsdb::parse_log_record(
      promtsdb::testing::series_record(7, {{"__name__", "m"}, {"a", "b"}}), record));
  REQUIRE(record.series.size() == 1);
  CHECK(record.series[0].ref == 7);
  CHECK(model::LabelsView(record.series[0].labels).to_string() == "m{a=\"b\"}");
  REQUIRE(promtsdb::parse_log_record(
      promtsdb::testing::samples_record({{7, {1000, 1.5}}, {3, {990, -2}}}), record));
  CHECK(record.series.empty());
  REQUIRE(record.samples.size() == 2);
  CHECK(record.samples[1].ref == 3);
  CHECK(record.samples[1].sample.timestamp_ms == 990);
  CHECK(record.samples[1].sample.value == -2);
}

TEST_CASE("a record cut at any byte is refused or shorter") {
  const std::string whole =
      promtsdb::testing::samples_record({{7, {1000, 1.5}}, {3, {990, -2}}, {4, {991, 0}}});
  promtsdb::LogRecord record;
  for (size_t size = 0; size < whole.size(); ++size) {
    if (promtsdb::parse_log_record(whole.substr(0, size), record)) {
      CHECK(record.samples.size() < 3);
    }
  }
}
