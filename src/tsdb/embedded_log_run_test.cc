// Runs: what a record says of its values depends on the records before it in the segment.

#include "tsdb/embedded_log_run.h"

#include "core/crc32c.h"
#include "core/testing/fake_clock.h"
#include "core/testing/sim_file_system.h"
#include "model/sample.h"
#include "tsdb/embedded_log.h"
#include "tsdb/embedded_log_record.h"

#include <cmath>
#include <doctest/doctest.h>
#include <limits>
#include <map>
#include <string>
#include <vector>

namespace tsdb {
namespace {

using core::testing::FakeClock;
using core::testing::SimFault;
using core::testing::SimFileSystem;
using storage::LogBatch;
using storage::LogPosition;

// Series and what they have in each record, as a head would write them.
class Writer {
 public:
  explicit Writer(uint64_t seed, uint64_t first_id = 100) : rng_(seed), first_id_(first_id) {}

  // A scrape of `count` series, or a few odd ones among them.
  LogBatch next(size_t count, bool is_odd = false) {
    time_ms_ += 10'000;
    LogBatch batch;
    batch.tenant = "default";
    batch.accepted_at_ms = time_ms_ + 123;
    for (uint64_t id = first_id_; id < first_id_ + count; ++id) {
      if (is_odd && rng_.below(4) == 0) continue;
      const uint64_t samples = is_odd ? rng_.below(4) : 1;
      for (uint64_t i = 0; i < samples; ++i) {
        batch.samples.push_back({time_ms_ + static_cast<int64_t>(i), value_of(id)});
      }
      const bool is_new = !known_[id];
      known_[id] = true;
      labels_ = model::Labels::of({{"__name__", "up"}}).bytes();
      batch.series.push_back({.id = id,
                              .labels = is_new ? std::string_view(labels_) : std::string_view(),
                              .is_new = is_new,
                              .samples_end = static_cast<uint32_t>(batch.samples.size()),
                              .logged_value = &logged_[id]});
    }
    return batch;
  }

  // A new life: nothing is known of what the log has.
  void forget() { logged_.clear(); }

  double value_of(uint64_t id) {
    double& value = values_[id];
    switch (id % 8) {
      case 0:
        return value;
      case 1:
        return value += static_cast<double>(rng_.below(50));
      case 2:
        return value =
                   std::round((value + static_cast<double>(rng_.below(5000)) / 100) * 100) / 100;
      case 3:
        return value = static_cast<double>(rng_.below(100)) / 8;
      case 4:
        return value += static_cast<double>(rng_.below(64)) * 4096;
      case 5:
        return value = static_cast<double>(rng_.below(3)) - 1;
      case 6:
        return value = std::round(static_cast<double>(rng_.below(1000))) / 10;
      default:
        return value = id % 64 == 7 ? odd_value() : value + 1;
    }
  }

 private:
  double odd_value() {
    constexpr double kOdd[] = {-0.0,   0.0,     1e300,   -1e-300, 0x1p53,     -0x1p53,
                               0x1p46, 1.0 / 3, -1.0005, 4e-4,    1e15 + 0.5, 123456.789};
    const uint64_t which = rng_.below(std::size(kOdd) + 4);
    if (which < std::size(kOdd)) return kOdd[which];
    if (which == std::size(kOdd)) return std::numeric_limits<double>::infinity();
    if (which == std::size(kOdd) + 1) return -std::numeric_limits<double>::infinity();
    if (which == std::size(kOdd) + 2) return model::stale_nan();
    return std::numeric_limits<double>::quiet_NaN();
  }

  core::SeededRng rng_;
  const uint64_t first_id_;
  int64_t time_ms_ = 1'700'000'000'000;
  std::map<uint64_t, double> values_;
  std::map<uint64_t, storage::LoggedValue> logged_;
  std::map<uint64_t, bool> known_;
  std::string labels_;
};

SegmentReader::Record record_of(std::string_view payload, LogPosition position = 0) {
  SegmentReader::Record record;
  record.position = position;
  record.kind = RecordKind::Run;
  record.payload = payload;
  return record;
}

// What is compared: ids, times and the bits of values.
std::string text_of(const LogBatch& batch) {
  std::string text = fmt::format("{} {}", batch.tenant, batch.accepted_at_ms);
  uint32_t sample = 0;
  for (const storage::LogSeries& one : batch.series) {
    text += fmt::format("\n{}{}{}", one.is_new ? "new " : "", one.id, one.labels);
    for (; sample < one.samples_end; ++sample) {
      text += fmt::format(" {}={:x}", batch.samples[sample].timestamp_ms,
                          std::bit_cast<uint64_t>(batch.samples[sample].value));
    }
  }
  return text;
}

struct Bench {
  std::unique_ptr<EmbeddedLog> open() {
    auto log = EmbeddedLog::open(options, files, clock, rng);
    if (!log) FAIL(log.error().message);
    return std::move(*log);
  }
  void append(EmbeddedLog& log, const LogBatch& batch) {
    const auto position = log.append(batch);
    REQUIRE(position);
    REQUIRE(log.wait_durable(*position));
    written[*position] = text_of(batch);
  }
  std::map<LogPosition, std::string> replay(EmbeddedLog& log, LogPosition from = 0) {
    std::map<LogPosition, std::string> found;
    REQUIRE(
        log.replay(from, [&](LogPosition position, const LogBatch& batch) -> core::Result<void> {
          found[position] = text_of(batch);
          return {};
        }));
    return found;
  }

  FakeClock clock;
  SimFileSystem files{{}};
  core::SeededRng rng{1};
  EmbeddedLogOptions options{.dir = "log", .segment_bytes = 8 << 10};
  std::map<LogPosition, std::string> written;
};

TEST_CASE("every value comes back from a run as it was, whatever came before it") {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    CAPTURE(seed);
    Writer writer(seed);
    RunReader reader(0);
    for (uint64_t i = 0; i < 20; ++i) {
      const LogBatch batch = writer.next(200, seed % 2 == 1);
      std::string payload;
      append_run_payload(payload, batch, i % 7, 1 + static_cast<uint32_t>(i / 7));
      const SegmentReader::Record record = record_of(payload, i);
      LogBatch back;
      REQUIRE(reader.can_read(record));
      REQUIRE(reader.decode(record, back));
      REQUIRE(text_of(back) == text_of(batch));
    }
  }
}

TEST_CASE("a record of a run cut at any byte is malformed") {
  for (const bool is_odd : {false, true}) {
    Writer writer(3);
    std::string payload;
    append_run_payload(payload, writer.next(40, is_odd), 0, 1);
    for (size_t size = 0; size <= payload.size(); ++size) {
      CAPTURE(size);
      RunReader reader(0);
      LogBatch batch;
      const std::string cut = payload.substr(0, size);
      const auto decoded = reader.decode(record_of(cut), batch);
      CHECK(decoded.has_value() == (size == payload.size()));
    }
    payload += 'x';
    RunReader reader(0);
    LogBatch batch;
    CHECK(!reader.decode(record_of(payload), batch));
  }
}

TEST_CASE("scrapes of a host cost less than two and a half bytes per sample") {
  Writer writer(4);
  size_t bytes = 0;
  for (uint64_t i = 0; i < 30; ++i) {
    LogBatch batch = writer.next(1000);
    for (storage::LogSeries& one : batch.series) one.is_new = false;
    std::string payload;
    append_run_payload(payload, batch, i, 1);
    bytes += payload.size();
  }
  CAPTURE(bytes);
  CHECK(bytes < 30'000 * 5 / 2);
}

TEST_CASE("every segment reads alone, and so does what a kill left") {
  Bench bench;
  Writer writer(5);
  for (int life = 0; life < 4; ++life) {
    CAPTURE(life);
    auto log = bench.open();
    for (int i = 0; i < 40; ++i) bench.append(*log, writer.next(300, i % 5 == 4));
    CHECK(bench.replay(*log) == bench.written);
    CHECK(log->segment_count() > 3);
    // Half of it goes; the rest must need nothing of it.
    REQUIRE(log->truncate_before(log->high() - 20));
    const LogPosition low = log->low();
    CHECK(low > 0);
    std::erase_if(bench.written, [&](const auto& one) { return one.first < low; });
    CHECK(bench.replay(*log) == bench.written);
    CHECK(bench.replay(*log, low + 3).size() == bench.written.size() - 3);
    bench.files.fail_at(bench.files.fault_points(), SimFault::PowerLoss);  // nothing is closed
    log.reset();
    bench.files.kill();
    // The writer of the next life knows nothing of this one's values.
    writer.forget();
  }
}

TEST_CASE("what a lost record takes with it ends with its segment, and is told as one") {
  Bench bench;
  Writer writer(8);
  {
    auto log = bench.open();
    for (int i = 0; i < 60; ++i) bench.append(*log, writer.next(300));
  }
  const auto names = *bench.files.list("log");
  REQUIRE(names.size() > 4);
  const LogPosition first = std::stoull(names[1]);
  const LogPosition end = std::stoull(names[2]);
  REQUIRE(end - first > 4);
  bench.files.damage("log/" + names[1], [](std::string& bytes) {
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  });
  auto log = bench.open();
  const auto found = bench.replay(*log);
  REQUIRE(log->damage().size() == 2);
  const storage::LogDamage damage = log->damage()[0];
  const storage::LogDamage cut_off = log->damage()[1];
  CHECK(damage.first > first);
  CHECK(cut_off.first == damage.end);
  CHECK(cut_off.end == end);
  CHECK(cut_off.lost() == end - damage.end);
  for (const auto& [position, text] : bench.written) {
    CAPTURE(position);
    const bool is_lost = position >= damage.first && position < cut_off.end;
    CHECK(found.contains(position) == !is_lost);
    if (!is_lost) CHECK(found.at(position) == text);
  }
}

TEST_CASE("a lost record costs nothing of series that it did not have") {
  Bench bench;
  bench.options.segment_bytes = 1 << 20;
  Writer writers[] = {Writer(21, 100), Writer(22, 500), Writer(23, 900)};
  {
    auto log = bench.open();
    for (int i = 0; i < 90; ++i) bench.append(*log, writers[i % 3].next(20));
  }
  const std::string name = "log/" + bench.files.list("log")->front();
  bench.files.damage(name, [](std::string& bytes) {
    const size_t used = bytes.find_last_not_of('\0');
    bytes[used / 2] = static_cast<char>(bytes[used / 2] ^ 1);
  });
  auto log = bench.open();
  const auto found = bench.replay(*log);
  REQUIRE(log->damage().size() == 2);
  const LogPosition lost = log->damage()[0].first;
  uint64_t count = 0;
  for (const auto& [position, text] : bench.written) {
    CAPTURE(position);
    const bool is_there = found.contains(position);
    count += is_there ? 0 : 1;
    if (position % 3 != lost % 3 || position < lost) CHECK(is_there);
    if (is_there) CHECK(found.at(position) == text);
  }
  CHECK(count > 1);
  CHECK(log->damage()[0].lost() + log->damage()[1].lost() == count);
}

TEST_CASE("a run ends after five minutes, and so does what a lost record takes with it") {
  Bench bench;
  bench.options.segment_bytes = 1 << 20;
  Writer writer(11);
  {
    auto log = bench.open();
    for (int i = 0; i < 100; ++i) bench.append(*log, writer.next(20));  // ten seconds each
  }
  const std::string name = "log/" + bench.files.list("log")->front();
  bench.files.damage(name, [](std::string& bytes) {
    const size_t used = bytes.find_last_not_of('\0');
    bytes[used / 2] = static_cast<char>(bytes[used / 2] ^ 1);
  });
  auto log = bench.open();
  const auto found = bench.replay(*log);
  CHECK(found.size() < 100);
  CHECK(found.size() >= 70);
  for (const auto& [position, text] : found) CHECK(bench.written.at(position) == text);
}

TEST_CASE("batches whose values nobody keeps stand between runs") {
  Bench bench;
  Writer writer(9);
  {
    auto log = bench.open();
    for (int i = 0; i < 60; ++i) {
      LogBatch batch = writer.next(100);
      if (i % 3 == 2) {
        for (storage::LogSeries& one : batch.series) one.logged_value = nullptr;
      }
      bench.append(*log, batch);
    }
  }
  auto log = bench.open();
  CHECK(bench.replay(*log) == bench.written);
  CHECK(log->damage().empty());
}

TEST_CASE("a segment of the first version reads as it did") {
  std::string header = encode_segment_header({.first = 7, .salt = 1});
  CHECK(header[7] == 2);
  const std::string body = std::string("PTRLLOG\x01", 8) + header.substr(8, 12);
  std::string old = body;
  const uint32_t crc = core::crc32c(body);
  for (int i = 0; i < 4; ++i) old.push_back(static_cast<char>(crc >> (8 * i)));
  const auto decoded = decode_segment_header(old);
  REQUIRE(decoded);
  CHECK(decoded->first == 7);
}

}  // namespace
}  // namespace tsdb
