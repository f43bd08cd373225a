// The bytes of the embedded log, as docs/formats/log.md describes them.

#include "core/file_system.h"
#include "core/rng.h"
#include "core/testing/fake_clock.h"
#include "core/testing/sim_file_system.h"
#include "storage/testing/hex_example.h"
#include "storage/testing/log_suite.h"
#include "tsdb/embedded_log.h"
#include "tsdb/embedded_log_record.h"
#include "tsdb/embedded_log_run.h"
#include "tsdb/embedded_log_segment.h"

#include <cstdlib>
#include <doctest/doctest.h>
#include <map>
#include <string>
#include <vector>

namespace tsdb {
namespace {

using storage::LogBatch;
using storage::LogPosition;
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

constexpr SegmentHeader kExampleHeader{.first = 41, .salt = 0x1234'5678};

std::string example_record(const std::string& payload, storage::LogPosition position) {
  auto record = begin_record_header(payload);
  finish_record_header(record.data(), position, kExampleHeader.salt);
  return std::string(record.data(), record.size()) + payload;
}

// Known series with these values; two of them make the run of the example.
std::string example_run(const std::vector<double>& values, int64_t time_ms, uint64_t distance,
                        std::vector<storage::LoggedValue>& logged) {
  LogBatch batch;
  batch.tenant = "default";
  batch.accepted_at_ms = time_ms + 123;
  for (size_t i = 0; i < values.size(); ++i) {
    batch.samples.push_back({time_ms, values[i]});
    batch.series.push_back({.id = 5 + i,
                            .labels = {},
                            .samples_end = static_cast<uint32_t>(i + 1),
                            .logged_value = &logged[i]});
  }
  std::string payload(1, static_cast<char>(RecordKind::Run));
  append_run_payload(payload, batch, distance, 1);
  return payload;
}

std::string example_segment() {
  std::string payload(1, static_cast<char>(RecordKind::Batch));
  append_batch_payload(payload, example_batch().view());
  std::vector<storage::LoggedValue> logged(4);
  const std::string first = example_run({1, 0.27, 0.5, 0}, 1'700'000'030'000, 0, logged);
  const std::string second = example_run({1, 0.31, 0.25, 1}, 1'700'000'045'000, 1, logged);
  return encode_segment_header(kExampleHeader) + encode_mark(41, 41, kExampleHeader.salt) +
         example_record(payload, 41) + encode_mark(42, 42, kExampleHeader.salt) +
         example_record(first, 42) + example_record(second, 43);
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
  RunReader runs(41);
  for (const LogPosition position : {42, 43}) {
    const auto next = reader.next();
    REQUIRE((next && *next));
    CHECK((*next)->kind == RecordKind::Run);
    CHECK((*next)->position == position);
    REQUIRE(runs.can_read(**next));
    REQUIRE(runs.decode(**next, batch));
  }
  CHECK(batch.series[2].id == 7);
  CHECK(batch.samples[0].value == 1);
  CHECK(batch.samples[1].value == 0.31);
  CHECK(batch.samples[2].value == 0.25);
  CHECK(batch.samples[3].timestamp_ms == 1'700'000'045'000);
  CHECK(!*reader.next());
  CHECK(reader.proven_end() == 42);
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
    OwnedBatch owned = source.next();
    LogBatch batch = owned.view();
    std::vector<storage::LoggedValue> logged(batch.series.size());
    for (size_t i = 0; i < logged.size(); ++i) batch.series[i].logged_value = &logged[i];
    append_run_payload(corpus[fmt::format("run-{}", seed)], batch, 0, 1);
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
