#include "agent/push/disk_buffer.h"

#include "core/rng.h"
#include "core/testing/fake_clock.h"
#include "core/testing/sim_file_system.h"

#include <algorithm>
#include <doctest/doctest.h>
#include <set>

namespace agent {
namespace {

using core::testing::FakeClock;
using core::testing::SimFault;
using core::testing::SimFileSystem;

BufferRecord record_of(uint32_t number, size_t size = 100) {
  return {.first_ms = 1'700'000'000'000 + number,
          .last_ms = 1'700'000'000'000 + number,
          .samples = number,
          .payload = std::string(size, static_cast<char>('a' + number % 26))};
}

DiskBufferOptions options_of(uint64_t size_max = 1 << 20) {
  return {.path = "/agent/buffer",
          .segment_size_max = 1024,
          .size_max = size_max,
          .age_max_ms = 0,
          .disk_share_max = 0.8};
}

std::unique_ptr<DiskBuffer> open_buffer(SimFileSystem& files, FakeClock& clock,
                                        const DiskBufferOptions& options) {
  auto buffer = DiskBuffer::open(options, files, clock);
  REQUIRE_MESSAGE(buffer, buffer.error().message);
  return std::move(*buffer);
}

std::vector<uint32_t> take_all(DiskBuffer& buffer) {
  std::vector<uint32_t> numbers;
  while (true) {
    auto record = buffer.front();
    REQUIRE(record);
    if (!*record) return numbers;
    numbers.push_back((*record)->samples);
    buffer.pop();
  }
}

uint64_t sum(const std::array<uint64_t, kDropReasonCount>& counts) {
  uint64_t all = 0;
  for (const uint64_t count : counts) all += count;
  return all;
}

TEST_CASE("records come out in the order they went in, also after a restart") {
  SimFileSystem files;
  FakeClock clock;
  {
    auto buffer = open_buffer(files, clock, options_of());
    for (uint32_t i = 1; i <= 30; ++i) REQUIRE(buffer->append(record_of(i)));
    CHECK(buffer->stats().segments > 3);
    CHECK(buffer->stats().samples == 465);
    const auto record = buffer->front();
    REQUIRE(record);
    CHECK(**record == record_of(1));
    buffer->pop();
    REQUIRE(buffer->save_cursor());
  }
  files.kill();
  auto buffer = open_buffer(files, clock, options_of());
  REQUIRE(buffer->append(record_of(31)));
  const std::vector<uint32_t> numbers = take_all(*buffer);
  REQUIRE(numbers.size() == 30);
  CHECK(numbers.front() == 2);
  CHECK(numbers.back() == 31);
  CHECK(std::is_sorted(numbers.begin(), numbers.end()));
  CHECK(buffer->stats().segments == 1);  // read ones are gone, the newest is written to
}

TEST_CASE("what was popped behind the saved cursor is given again, and nothing else") {
  SimFileSystem files;
  FakeClock clock;
  {
    auto buffer = open_buffer(files, clock, options_of());
    for (uint32_t i = 1; i <= 9; ++i) REQUIRE(buffer->append(record_of(i, 10)));
    for (int i = 0; i < 3; ++i) {
      REQUIRE(buffer->front());
      buffer->pop();
    }
    REQUIRE(buffer->save_cursor());
    REQUIRE(buffer->front());
    buffer->pop();
  }
  files.crash();
  auto buffer = open_buffer(files, clock, options_of());
  CHECK(take_all(*buffer) == std::vector<uint32_t>{4, 5, 6, 7, 8, 9});
}

TEST_CASE("a buffer that was read to its end stays empty after a restart and takes new records") {
  SimFileSystem files;
  FakeClock clock;
  for (uint32_t life = 1; life <= 5; ++life) {
    auto buffer = open_buffer(files, clock, options_of());
    CHECK(take_all(*buffer).empty());
    REQUIRE(buffer->append(record_of(life)));
    CHECK(take_all(*buffer) == std::vector<uint32_t>{life});
    REQUIRE(buffer->save_cursor());
    buffer.reset();
    files.crash();
  }
  CHECK(files.list("/agent/buffer")->size() <= 3);  // cursor and at most two segments
}

TEST_CASE("a segment cut at any byte, or with any byte flipped, loses nothing before that place") {
  SimFileSystem files;
  FakeClock clock;
  const std::string path = "/agent/buffer/00000000000000000001.seg";
  std::vector<size_t> ends;
  std::string whole;
  {
    auto buffer = open_buffer(files, clock, options_of());
    for (uint32_t i = 1; i <= 3; ++i) {
      REQUIRE(buffer->append(record_of(i, 5 * i)));
      ends.push_back(files.read_file(path)->size());
    }
    whole = *files.read_file(path);
  }
  for (size_t at = 0; at < whole.size(); ++at) {
    const size_t intact = static_cast<size_t>(
        std::count_if(ends.begin(), ends.end(), [at](size_t end) { return end <= at; }));
    for (const bool is_flipped : {false, true}) {
      CAPTURE(at);
      CAPTURE(is_flipped);
      std::string bytes = is_flipped ? whole : whole.substr(0, at);
      if (is_flipped) bytes[at] = static_cast<char>(bytes[at] ^ 0x40);
      REQUIRE(files.write_file_atomically(path, bytes));
      auto buffer = open_buffer(files, clock, options_of());
      CHECK(buffer->stats().records == intact);
      const bool is_clean_cut =
          !is_flipped &&
          (at == 0 || at == 8 || std::find(ends.begin(), ends.end(), at) != ends.end());
      CHECK(buffer->stats().damaged_segments == (is_clean_cut ? 0 : 1));
    }
  }
}

TEST_CASE("the bound holds: the oldest segment goes and what was in it is counted") {
  SimFileSystem files;
  FakeClock clock;
  auto buffer = open_buffer(files, clock, options_of(8192));
  uint64_t given = 0;
  for (uint32_t i = 1; i <= 500; ++i) {
    REQUIRE(buffer->append(record_of(i)));
    given += i;
    CHECK(buffer->stats().bytes <= 8192);
  }
  const DiskBufferStats stats = buffer->stats();
  CHECK(stats.dropped_samples[static_cast<size_t>(DropReason::Size)] > 0);
  CHECK(stats.samples + sum(stats.dropped_samples) == given);
  const std::vector<uint32_t> numbers = take_all(*buffer);
  CHECK(numbers.back() == 500);
  CHECK(numbers.size() == numbers.back() - numbers.front() + 1);
  CHECK(numbers.size() > 40);
}

TEST_CASE("a record above the bound is refused and counted") {
  SimFileSystem files;
  FakeClock clock;
  auto buffer = open_buffer(files, clock, options_of(8192));
  const auto result = buffer->append(record_of(7, 9000));
  REQUIRE(!result);
  CHECK(result.error().code == core::ErrorCode::TooLarge);
  CHECK(buffer->stats().dropped_samples[static_cast<size_t>(DropReason::Size)] == 7);
}

TEST_CASE("records past their age are dropped and counted") {
  SimFileSystem files;
  FakeClock clock(1'700'000'000'000);
  DiskBufferOptions options = options_of();
  options.age_max_ms = 10;
  auto buffer = open_buffer(files, clock, options);
  for (uint32_t i = 1; i <= 20; ++i) REQUIRE(buffer->append(record_of(i)));
  clock.advance_ms(15);
  CHECK(take_all(*buffer).front() == 5);
  CHECK(buffer->stats().dropped_records[static_cast<size_t>(DropReason::Age)] == 4);
}

TEST_CASE("on a full file system the oldest goes, for the newest") {
  SimFileSystem files;
  FakeClock clock;
  auto buffer = open_buffer(files, clock, options_of());
  files.set_capacity(8000);
  uint64_t given = 0;
  for (uint32_t i = 1; i <= 200; ++i) {
    REQUIRE(buffer->append(record_of(i)));
    given += i;
  }
  const DiskBufferStats stats = buffer->stats();
  CHECK(stats.bytes <= 6400);
  CHECK(stats.dropped_samples[static_cast<size_t>(DropReason::Disk)] > 0);
  CHECK(stats.samples + sum(stats.dropped_samples) == given);
}

TEST_CASE("when others fill the disk a small backlog is not dropped as a whole") {
  SimFileSystem files;
  FakeClock clock;
  auto buffer = open_buffer(files, clock, {.path = "/agent/buffer"});
  for (uint32_t i = 0; i < 40; ++i) REQUIRE(buffer->append(record_of(i, 12'000)));
  files.set_capacity(500'000);  // nothing is left
  REQUIRE(buffer->append(record_of(40, 12'000)));
  const DiskBufferStats stats = buffer->stats();
  CHECK(stats.dropped_records[static_cast<size_t>(DropReason::Disk)] > 0);
  CHECK(stats.records >= 25);
  CHECK(take_all(*buffer).back() == 40);
}

// Appends, reads and restarts at random, with one fault in each life, a power loss or a
// kill at its end. What append() acknowledged must come out unless it was popped or
// counted as dropped; nothing that was not appended may. The number of records lost.
size_t simulate(const core::testing::SimOptions& disk) {
  const uint64_t seed = disk.seed;
  CAPTURE(seed);
  core::SeededRng rng(seed);
  SimFileSystem files(disk);
  FakeClock clock;
  const DiskBufferOptions options = options_of(6000);
  std::set<uint32_t> owed;   // acknowledged, and neither popped nor dropped
  std::set<uint32_t> tried;  // also those whose append failed
  uint32_t number = 0;
  for (int life = 0; life < 6; ++life) {
    files.clear_fault();
    auto buffer = open_buffer(files, clock, options);
    if (rng.below(2) == 0) {
      constexpr SimFault kFaults[] = {SimFault::NoSpace, SimFault::Io, SimFault::PowerLoss};
      files.fail_at(files.fault_points() + rng.below(60), kFaults[rng.below(3)]);
    }
    uint64_t dropped = 0;
    const auto note_drops = [&] {
      // The oldest go first.
      const uint64_t all = sum(buffer->stats().dropped_records);
      for (; dropped < all && !owed.empty(); ++dropped) owed.erase(owed.begin());
      dropped = all;
    };
    const uint64_t steps = 10 + rng.below(60);
    for (uint64_t step = 0; step < steps; ++step) {
      switch (rng.below(4)) {
        case 0: {
          const auto record = buffer->front();
          note_drops();
          if (!record || !*record) break;
          CHECK(tried.contains((*record)->samples));
          // In order: nothing older is owed.
          if (!owed.empty() && !disk.ignore_sync) CHECK((*record)->samples <= *owed.begin());
          owed.erase((*record)->samples);
          buffer->pop();
          break;
        }
        case 1:
          (void)buffer->save_cursor();
          break;
        default: {
          ++number;
          tried.insert(number);
          const bool is_kept = buffer->append(record_of(number, rng.below(300))).has_value();
          note_drops();
          if (is_kept) owed.insert(number);
          CHECK(buffer->stats().bytes <= options.size_max);
        }
      }
    }
    buffer.reset();
    rng.below(2) == 0 ? files.crash() : files.kill();
  }
  files.clear_fault();
  auto buffer = open_buffer(files, clock, options);
  const std::vector<uint32_t> numbers = take_all(*buffer);
  CHECK(std::is_sorted(numbers.begin(), numbers.end()));
  const std::set<uint32_t> found(numbers.begin(), numbers.end());
  for (const uint32_t one : found) CHECK(tried.contains(one));
  return static_cast<size_t>(std::count_if(
      owed.begin(), owed.end(), [&found](uint32_t one) { return !found.contains(one); }));
}

TEST_CASE("whatever fails, nothing that was acknowledged is lost") {
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    CAPTURE(seed);
    CHECK(simulate({.seed = seed}) == 0);
  }
}

TEST_CASE("the same simulation finds the loss on a disk that lies about its syncs") {
  size_t lost = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) lost += simulate({.seed = seed, .ignore_sync = true});
  CHECK(lost > 0);
}

TEST_CASE("the worked example of docs/formats/agent_buffer.md") {
  const BufferRecord record{
      .first_ms = 1'700'000'000'000, .last_ms = 1'700'000'005'000, .samples = 2, .payload = "abc"};
  std::string hex;
  for (const char c : encode_buffer_record(record)) {
    hex += fmt::format("{:02x}", static_cast<uint8_t>(c));
  }
  CHECK(hex == "030000001411450c0068e5cf8b010000887be5cf8b0100000200000001616263");
  std::string bytes = encode_buffer_record(record);
  std::string_view view = bytes;
  const auto read = take_buffer_record(view);
  REQUIRE(read);
  CHECK(*read == record);
  CHECK(view.empty());
}

}  // namespace
}  // namespace agent
