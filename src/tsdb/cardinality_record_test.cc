#include "tsdb/cardinality_record.h"

#include "core/bytes.h"
#include "core/crc32c.h"
#include "core/testing/sim_file_system.h"

#include <doctest/doctest.h>

namespace tsdb {

using core::testing::SimFault;
using core::testing::SimFileSystem;

namespace {

CardinalityRecord record_at(int64_t time_ms, uint64_t series) {
  CardinalityRecord record{.time_ms = time_ms, .series = series, .lists = {}};
  record.lists[CardinalityRecord::Metrics] = {.counts = {{"up", 7}, {"m", 3}}, .floor = 2};
  record.lists[CardinalityRecord::Labels] = {.counts = {{"job", 1}}, .floor = 0};
  record.lists[CardinalityRecord::Pairs] = {.counts = {{"job=a", 10}}, .floor = 0};
  record.lists[CardinalityRecord::Targets] = {.counts = {{storage::target_name("a", "h:1"), 10}},
                                              .floor = 0};
  return record;
}

CardinalityRecords example() {
  return {{"default", {record_at(-5, 1), record_at(1'700'000'000'000, 10)}},
          {"team.a", {record_at(3, 4)}}};
}

}  // namespace

TEST_CASE("records are read as they were written, also those of no tenant") {
  for (const CardinalityRecords& records : {example(), CardinalityRecords{}}) {
    const auto read = decode_cardinality_records(encode_cardinality_records(records));
    REQUIRE_MESSAGE(read.has_value(), read.error().message);
    CHECK(*read == records);
  }
}

TEST_CASE("records that are cut or have a flipped bit are refused") {
  const std::string bytes = encode_cardinality_records(example());
  for (size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(decode_cardinality_records(std::string_view(bytes).substr(0, size)).has_value());
  }
  CHECK_FALSE(decode_cardinality_records(bytes + '\0').has_value());
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const auto read = decode_cardinality_records(flipped);
    REQUIRE_FALSE(read.has_value());
    CHECK(read.error().code == core::ErrorCode::Corruption);
  }
}

TEST_CASE("a later version is named") {
  std::string bytes = encode_cardinality_records(example());
  bytes[7] = 2;
  const auto read = decode_cardinality_records(bytes);
  REQUIRE_FALSE(read.has_value());
  CHECK(read.error().message == "version 2, known is 1");
}

TEST_CASE("counts beyond the bounds are refused though the checksum is right") {
  CardinalityRecords records = example();
  auto& counts = records["default"][0].lists[CardinalityRecord::Pairs].counts;
  SUBCASE("too many counts") {
    counts.resize(kRecordCountsMax + 1, {"a=b", 1});
  }
  SUBCASE("a name too long") {
    counts[0].name = std::string(kRecordNameBytesMax + 1, 'x');
  }
  SUBCASE("too many records") {
    records["default"].resize(kRecordsMax + 1);
  }
  SUBCASE("no tenant's name") {
    records["a/b"] = {record_at(1, 1)};
  }
  CHECK_FALSE(decode_cardinality_records(encode_cardinality_records(records)).has_value());
}

TEST_CASE("of very many tenants those with the most series are stored") {
  CardinalityRecords records;
  for (size_t i = 0; i < kRecordTenantsMax + 5; ++i) {
    records[fmt::format("t{}", i)] = {record_at(1, i)};
  }
  const auto read = decode_cardinality_records(encode_cardinality_records(records));
  REQUIRE(read.has_value());
  CHECK(read->size() == kRecordTenantsMax);
  CHECK_FALSE(read->contains("t4"));
  CHECK(read->contains("t5"));
}

TEST_CASE("long names are shortened, and stay different") {
  CHECK(record_name("up") == "up");
  const std::string a(5'000, 'a');
  CHECK(record_name(a).size() == kRecordNameBytesMax);
  CHECK(record_name(a) != record_name(a + "b"));
}

TEST_CASE("a power loss at any operation leaves the old records or the new ones") {
  const CardinalityRecords before = example();
  CardinalityRecords after = example();
  after["default"].push_back(record_at(9, 9));
  bool was_stored = false;
  for (uint64_t skip = 0; !was_stored; ++skip) {
    REQUIRE(skip < 50);
    SimFileSystem files({.seed = skip + 1});
    REQUIRE(files.create_dirs("data").has_value());
    REQUIRE(store_cardinality_records(files, "data/cardinality", before).has_value());
    files.fail_when(
        {.fault = SimFault::PowerLoss, .operation = {}, .path_contains = "", .skip = skip});
    was_stored = store_cardinality_records(files, "data/cardinality", after).has_value();
    files.clear_fault();
    files.crash();
    const auto read = load_cardinality_records(files, "data/cardinality");
    REQUIRE_MESSAGE(read.has_value(), read.error().message);
    CHECK((*read == after || (!was_stored && *read == before)));
  }
}

TEST_CASE("without a file there are no records") {
  SimFileSystem files;
  const auto read = load_cardinality_records(files, "data/cardinality");
  REQUIRE(read.has_value());
  CHECK(read->empty());
}

}  // namespace tsdb
