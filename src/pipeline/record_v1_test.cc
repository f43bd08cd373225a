#include "pipeline/record_v1.h"

#include "core/bytes.h"
#include "core/crc32c.h"
#include "core/file_system.h"
#include "core/varint.h"
#include "storage/testing/hex_example.h"
#include "storage/testing/log_suite.h"

#include <cstdlib>
#include <doctest/doctest.h>
#include <string>
#include <vector>

namespace pipeline {
namespace {

using core::ErrorCode;
using storage::LogBatch;
using storage::testing::BatchSource;
using storage::testing::OwnedBatch;

OwnedBatch owned(const LogBatch& batch) {
  OwnedBatch copy;
  copy.tenant = batch.tenant;
  copy.accepted_at_ms = batch.accepted_at_ms;
  copy.metadata = batch.metadata;
  storage::LogSeries before;
  for (const storage::LogSeries& one : batch.series) {
    OwnedBatch::Series series;
    series.labels = one.labels;
    series.samples.assign(batch.samples.begin() + before.samples_end,
                          batch.samples.begin() + one.samples_end);
    series.histograms.assign(batch.histograms.begin() + before.histograms_end,
                             batch.histograms.begin() + one.histograms_end);
    series.exemplars.assign(batch.exemplars.begin() + before.exemplars_end,
                            batch.exemplars.begin() + one.exemplars_end);
    copy.series.push_back(std::move(series));
    before = one;
  }
  return copy;
}

void fix_checksum(std::string& record) {
  record.resize(record.size() - 4);
  core::append_le(record, core::crc32c(record));
}

// One tenant, one series of two samples.
std::string small_record(Compression compression = Compression::None) {
  OwnedBatch batch;
  batch.tenant = "default";
  const model::Labels labels = model::Labels::of({{"__name__", "up"}, {"job", "up"}});
  batch.series.push_back({.id = 1,
                          .labels = labels.bytes(),
                          .is_new = true,
                          .samples = {{1'700'000'000'000, 1}, {1'700'000'015'000, 0.5}},
                          .histograms = {},
                          .exemplars = {}});
  const LogBatch view = batch.view();
  std::string record;
  append_record_v1(record, {.collector_id = 7, .seq = 42, .accepted_at_ms = 1'700'000'015'123},
                   std::span(&view, 1), compression);
  return record;
}

TEST_CASE("records of several tenants come back as they were, compressed or not") {
  for (const Compression compression : {Compression::None, Compression::Zstd}) {
    for (uint64_t seed = 0; seed < 100; ++seed) {
      CAPTURE(seed);
      BatchSource source(seed);
      std::vector<OwnedBatch> batches;
      std::vector<LogBatch> views;
      for (uint64_t i = 0; i < seed % 4; ++i) batches.push_back(source.next());
      for (OwnedBatch& batch : batches) batch.accepted_at_ms = 123;
      for (const OwnedBatch& batch : batches) views.push_back(batch.view());
      std::string bytes = "in front:";
      append_record_v1(bytes, {.collector_id = seed, .seq = ~seed, .accepted_at_ms = 123}, views,
                       compression);

      DecodedRecord record;
      REQUIRE(decode_record_v1(std::string_view(bytes).substr(9), record));
      CHECK(record.header.collector_id == seed);
      CHECK(record.header.seq == ~seed);
      REQUIRE(record.sections.size() == batches.size());
      for (size_t i = 0; i < batches.size(); ++i) {
        CAPTURE(i);
        CHECK(same_content(owned(record.sections[i]), batches[i]));
        for (const storage::LogSeries& one : record.sections[i].series) {
          CHECK(one.is_new);
          CHECK(one.id == series_hash(one.labels));
        }
      }
    }
  }
}

TEST_CASE("a label text is written once however many series use it") {
  OwnedBatch batch;
  batch.tenant = "default";
  const std::string text(1000, 'x');
  for (int i = 0; i < 100; ++i) {
    const model::Labels labels =
        model::Labels::of({{"__name__", "m"}, {"host", text}, {"i", std::to_string(i)}});
    batch.series.push_back({.id = 1,
                            .labels = labels.bytes(),
                            .is_new = true,
                            .samples = {{0, 1}},
                            .histograms = {},
                            .exemplars = {}});
  }
  const LogBatch view = batch.view();
  std::string bytes;
  append_record_v1(bytes, {}, std::span(&view, 1));
  CHECK(bytes.size() < 1000 + 100 * 25);
}

TEST_CASE("a record that was cut or changed anywhere is refused") {
  for (const Compression compression : {Compression::None, Compression::Zstd}) {
    const std::string bytes = small_record(compression);
    DecodedRecord record;
    REQUIRE(decode_record_v1(bytes, record));
    for (size_t size = 0; size < bytes.size(); ++size) {
      CAPTURE(size);
      CHECK(!decode_record_v1(bytes.substr(0, size), record));
    }
    for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
      CAPTURE(bit);
      std::string flipped = bytes;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      CHECK(!decode_record_v1(flipped, record));
    }
  }
}

TEST_CASE("bytes behind a record, a bad hash, a bad reference and bad labels are refused") {
  const std::string good = small_record();
  DecodedRecord record;
  std::string bytes = good;
  bytes.insert(bytes.size() - 4, "x");
  fix_checksum(bytes);
  const auto behind = decode_record_v1(bytes, record);
  REQUIRE(!behind);
  CHECK(behind.error().code == ErrorCode::Corruption);
  CHECK(behind.error().message.find("malformed at byte") != std::string::npos);

  // Any change to the body either breaks it or changes a sample or a text, never more.
  int refused = 0;
  for (size_t at = 26; at < good.size() - 4; ++at) {
    bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x55);
    fix_checksum(bytes);
    if (!decode_record_v1(bytes, record)) ++refused;
  }
  CHECK(refused > 20);
}

TEST_CASE("later versions and unknown flags are unsupported, not corrupt") {
  DecodedRecord record;
  std::string bytes = small_record();
  bytes[0] = 2;
  fix_checksum(bytes);
  CHECK(decode_record_v1(bytes, record).error().code == ErrorCode::Unsupported);
  bytes = small_record();
  bytes[1] = 2;
  fix_checksum(bytes);
  CHECK(decode_record_v1(bytes, record).error().code == ErrorCode::Unsupported);
}

TEST_CASE("a long text repeated by many labels does not fill the memory") {
  std::string body;
  std::string bytes = small_record().substr(0, 26);
  const std::string text(1 << 20, 'x');
  core::append_varint(body, 1);
  core::append_string(body, "default");
  core::append_varint(body, 1);
  core::append_string(body, text);
  core::append_le(body, int64_t{0});
  core::append_varint(body, 1);
  core::append_le(body, uint64_t{0});
  core::append_varint(body, 100'000);
  body.append(200'000, '\0');
  bytes += body;
  bytes.append(4, '\0');
  fix_checksum(bytes);
  DecodedRecord record;
  CHECK(!decode_record_v1(bytes, record));
  CHECK(record.labels.size() < 2 * kRecordBodyBytesMax);
}

const std::string kExamplePath = TESTDATA_DIR "/record_v1_example.bin";
const std::string kDocumentPath = TESTDATA_DIR "/../../../docs/formats/record.md";

TEST_CASE("the document's example is what is written, and reads back") {
  core::PosixFileSystem files;
  const auto stored = files.read_file(kExamplePath);
  REQUIRE(stored);
  CHECK(*stored == small_record());
  CHECK(storage::testing::bytes_of_example(kDocumentPath) == *stored);
  DecodedRecord record;
  REQUIRE(decode_record_v1(*stored, record));
  CHECK(record.header.seq == 42);
  REQUIRE(record.sections.size() == 1);
  const LogBatch& batch = record.sections[0];
  CHECK(batch.tenant == "default");
  REQUIRE(batch.series.size() == 1);
  CHECK(model::LabelsView(batch.series[0].labels).to_string() == "up{job=\"up\"}");
  REQUIRE(batch.samples.size() == 2);
  CHECK(batch.samples[1].timestamp_ms == 1'700'000'015'000);
  CHECK(batch.samples[1].value == 0.5);
}

// Records that were written once have to stay readable. After a deliberate change of the
// format (and of its version) PETREL_WRITE_TESTDATA=1 writes example and corpus anew.
TEST_CASE("the stored records read back as what was encoded") {
  core::PosixFileSystem host;
  const std::string dir = TESTDATA_DIR "/fuzz/record_v1_fuzz/";
  const bool write = std::getenv("PETREL_WRITE_TESTDATA") != nullptr;
  if (write) {
    REQUIRE(host.create_dirs(dir));
    REQUIRE(host.write_file_atomically(kExamplePath, small_record()));
  }
  for (uint64_t seed = 0; seed < 8; ++seed) {
    CAPTURE(seed);
    BatchSource source(seed);
    std::vector<OwnedBatch> batches = {source.next(), source.next()};
    const std::vector<LogBatch> views = {batches[0].view(), batches[1].view()};
    const std::string path = fmt::format("{}record-{}", dir, seed);
    if (write) {
      std::string bytes;
      append_record_v1(bytes, {.collector_id = seed, .seq = seed, .accepted_at_ms = 1}, views,
                       seed % 4 == 3 ? Compression::Zstd : Compression::None);
      REQUIRE(host.write_file_atomically(path, bytes));
    }
    // Not the bytes: another zstd may compress differently.
    const auto stored = host.read_file(path);
    REQUIRE(stored);
    DecodedRecord record;
    REQUIRE(decode_record_v1(*stored, record));
    REQUIRE(record.sections.size() == 2);
    for (size_t i = 0; i < 2; ++i) {
      batches[i].accepted_at_ms = 1;
      CHECK(same_content(owned(record.sections[i]), batches[i]));
    }
  }
}

}  // namespace
}  // namespace pipeline
