// The bytes of the embedded log, as docs/formats/log.md describes them.

#include "core/file_system.h"
#include "core/rng.h"
#include "core/testing/fake_clock.h"
#include "core/testing/sim_file_system.h"
#include "storage/testing/hex_example.h"
#include "storage/testing/log_suite.h"
#include "tsdb/embedded_log.h"
#include "tsdb/embedded_log_record.h"
#include "tsdb/embedded_log_segment.h"

#include <cstdlib>
#include <doctest/doctest.h>
#include <map>
#include <string>
#include <vector>

namespace tsdb {
namespace {

using storage::LogBatch;
using storage::testing::BatchSource;
using storage::testing::OwnedBatch;

const std::string kExamplePath = TESTDATA_DIR "/embedded_log_example.bin";
const std::string kDocumentPath = TESTDATA_DIR "/../../../docs/formats/log.md";

OwnedBatch example_batch() {
  const auto labels = [](const char* name) {
    return model::Labels::of({{"__name__", name}, {"job", "node"}}).bytes();
  };
  OwnedBatch batch;
  batch.tenant = "default";
  batch.accepted_at_ms = 1'700'000'015'123;
  const auto add = [&](uint64_t id, std::string label_bytes, bool is_new, double value) {
    batch.series.push_back({.id = id,
                            .labels = std::move(label_bytes),
                            .is_new = is_new,
                            .samples = {{1'700'000'015'000, value}},
                            .histograms = {},
                            .exemplars = {}});
  };
  add(5, labels("up"), true, 1);
  add(6, labels("load"), false, 0.27);
  add(7, labels("ratio"), false, 0.5);
  add(8, labels("restarts"), false, 0);
  return batch;
}

std::string example_segment() {
  const SegmentHeader header{.first = 41, .salt = 0x1234'5678};
  std::string payload(1, static_cast<char>(RecordKind::Batch));
  append_batch_payload(payload, example_batch().view());
  auto record = begin_record_header(payload);
  finish_record_header(record.data(), 41, header.salt);
  return encode_segment_header(header) + encode_mark(41, 41, header.salt) +
         std::string(record.data(), record.size()) + payload;
}

TEST_CASE("the document's example is what the log writes, byte by byte") {
  core::PosixFileSystem files;
  const auto stored = files.read_file(kExamplePath);
  REQUIRE(stored);
  CHECK(*stored == example_segment());
  CHECK(storage::testing::bytes_of_example(kDocumentPath) == *stored);
}

TEST_CASE("the document's example reads back as the document says") {
  const std::string bytes = storage::testing::bytes_of_example(kDocumentPath);
  const auto header = decode_segment_header(bytes);
  REQUIRE(header);
  CHECK(header->first == 41);
  SegmentReader reader(bytes, *header, std::nullopt);
  const auto record = reader.next();
  REQUIRE(record);
  REQUIRE(*record);
  CHECK((*record)->position == 41);
  LogBatch batch;
  REQUIRE(decode_batch_payload((*record)->payload, batch));
  REQUIRE(batch.series.size() == 4);
  CHECK(batch.tenant == "default");
  CHECK(model::LabelsView(batch.series[0].labels).to_string() == "up{job=\"node\"}");
  CHECK(batch.series[1].labels.empty());
  CHECK(batch.series[3].id == 8);
  CHECK(batch.samples[1].value == 0.27);
  CHECK(batch.samples[3].timestamp_ms == 1'700'000'015'000);
  CHECK(!*reader.next());
  CHECK(reader.proven_end() == 41);
}

TEST_CASE("a batch cut at any byte of its payload is malformed") {
  BatchSource source(9);
  for (int i = 0; i < 20; ++i) {
    const OwnedBatch owned = source.next();
    std::string payload;
    append_batch_payload(payload, owned.view());
    LogBatch batch;
    REQUIRE(decode_batch_payload(payload, batch));
    for (size_t size = 0; size < payload.size(); ++size) {
      CAPTURE(size);
      const auto decoded = decode_batch_payload(payload.substr(0, size), batch);
      REQUIRE(!decoded);
      CHECK(decoded.error().code == core::ErrorCode::Corruption);
    }
    CHECK(!decode_batch_payload(payload + "x", batch));
  }
}

TEST_CASE("a scrape of a host costs less than five bytes per sample") {
  // As node_exporter: many zeros and small integers, byte counts, seconds with two
  // decimals, and few values that need all their bits.
  core::SeededRng rng(1);
  OwnedBatch batch;
  batch.tenant = "default";
  for (uint64_t i = 0; i < 1000; ++i) {
    const uint64_t kind = rng.below(100);
    const double value = kind < 35   ? 0
                         : kind < 60 ? static_cast<double>(rng.below(1000))
                         : kind < 80 ? static_cast<double>(rng.below(1ULL << 36))
                         : kind < 95 ? static_cast<double>(rng.below(100'000'000)) / 100
                                     : rng.unit();
    batch.series.push_back({.id = i,
                            .labels = {},
                            .is_new = false,
                            .samples = {{1'700'000'000'000, value}},
                            .histograms = {},
                            .exemplars = {}});
  }
  std::string payload;
  append_batch_payload(payload, batch.view());
  const double bytes_per_sample = static_cast<double>(payload.size()) / 1000;
  CAPTURE(bytes_per_sample);
  CHECK(bytes_per_sample < 5);
}

// Every file of the corpus, as this code writes it.
std::map<std::string, std::string> make_corpus() {
  std::map<std::string, std::string> corpus;
  for (uint64_t seed = 0; seed < 8; ++seed) {
    core::testing::SimFileSystem files;
    core::testing::FakeClock clock;
    core::SeededRng rng(seed);
    BatchSource source(seed);
    {
      auto log = EmbeddedLog::open({.dir = "log", .segment_bytes = 4096}, files, clock, rng);
      REQUIRE(log);
      for (uint64_t i = 0; i <= seed; ++i) {
        const auto position = (*log)->append(source.next().view());
        if (i % 3 == 0) REQUIRE((*log)->wait_durable(*position));
      }
    }
    std::string segment = *files.read_file("log/" + files.list("log")->back());
    segment.resize(segment.find_last_not_of('\0') + 1);
    corpus[fmt::format("segment-{}", seed)] = segment;
    append_batch_payload(corpus[fmt::format("payload-{}", seed)], source.next().view());
  }
  return corpus;
}

// Segments that were written once have to stay readable. After a deliberate change of the
// format (and of its version) PETREL_WRITE_TESTDATA=1 writes example and corpus anew.
TEST_CASE("the stored segments are what the log still writes") {
  core::PosixFileSystem host;
  const std::string dir = TESTDATA_DIR "/fuzz/embedded_log_fuzz/";
  const bool write = std::getenv("PETREL_WRITE_TESTDATA") != nullptr;
  if (write) {
    REQUIRE(host.create_dirs(dir));
    REQUIRE(host.write_file_atomically(kExamplePath, example_segment()));
  }
  for (const auto& [name, bytes] : make_corpus()) {
    CAPTURE(name);
    if (write) REQUIRE(host.write_file_atomically(dir + name, bytes));
    const auto stored = host.read_file(dir + name);
    REQUIRE(stored);
    CHECK(*stored == bytes);
  }
}

}  // namespace
}  // namespace tsdb
