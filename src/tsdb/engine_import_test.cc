// Blocks from outside: whole or not at all, and what is there stays.

#include "tsdb/import_series.h"
#include "tsdb/testing/world.h"

namespace tsdb {

using namespace testing;  // NOLINT(google-build-using-namespace)
using core::testing::SimFault;

namespace {

// Series m{i="0"}, m{i="1"}, ... with these samples.
class FewSeries final : public ImportSeries {
 public:
  explicit FewSeries(std::vector<World::Samples> series) : series_(std::move(series)) {}

  std::vector<std::string> take_pair_bytes() override {
    std::vector<std::string> pairs(series_.size() + 1);
    model::append_label(pairs[0], "__name__", "m");
    for (size_t i = 0; i < series_.size(); ++i) {
      model::append_label(pairs[i + 1], "i", std::to_string(i));
    }
    return pairs;
  }
  core::Result<bool> next(std::vector<uint32_t>& pairs, storage::SeriesBatch& samples) override {
    samples.clear();
    if (at_ == series_.size()) return false;
    for (const auto& [time, value] : series_[at_]) {
      samples.timestamps_ms.push_back(time);
      samples.values.push_back(value);
    }
    pairs = {0, static_cast<uint32_t>(++at_)};
    return true;
  }

 private:
  std::vector<World::Samples> series_;
  size_t at_ = 0;
};

constexpr TimeRange kRange{kStart, kStart + 2 * kHour};
constexpr const char* kFirst = "m{i=\"0\"}";
constexpr const char* kSecond = "m{i=\"1\"}";

core::Result<ImportedBlock> import_into(World& world, std::vector<World::Samples> series) {
  FewSeries few(std::move(series));
  return world.engine().import_block(std::string(model::kDefaultTenant), kRange, few);
}

}  // namespace

TEST_CASE("an imported block is read, also after a restart and a power loss") {
  World world(LogKind::Embedded);
  const World::Samples first = {{kStart, 1}, {kStart + 1, 2}};
  const auto block = import_into(world, {first, {{kStart + 5, 3}}});
  REQUIRE(block);
  CHECK(block->series == 2);
  CHECK(block->samples == 3);
  for (int round = 0; round < 2; ++round) {
    CHECK(world.read() ==
          std::map<std::string, World::Samples>{{kFirst, first}, {kSecond, {{kStart + 5, 3}}}});
    world.crash();
  }
}

TEST_CASE("what is in the head or in blocks stays, and is counted") {
  for (const bool is_flushed : {false, true}) {
    World world(LogKind::Embedded);
    world.append("m{i=0}", kStart + 1, 7);
    world.append("m{i=0}", kStart + 2, 8);
    world.append("z", kStart + 2, 8);
    if (is_flushed) REQUIRE(world.engine().flush_all());
    const auto block =
        import_into(world, {{{kStart, 1}, {kStart + 1, 7}, {kStart + 2, 9}}, {{kStart + 2, 5}}});
    REQUIRE(block);
    CHECK(block->same == 1);
    CHECK(block->conflicting == 1);
    CHECK(block->samples == 2);
    const auto found = world.read();
    CHECK(found.at(kFirst) == World::Samples{{kStart, 1}, {kStart + 1, 7}, {kStart + 2, 8}});
    CHECK(found.at(kSecond) == World::Samples{{kStart + 2, 5}});
    // Once more: nothing is new.
    const auto again = import_into(world, {{{kStart, 1}, {kStart + 1, 7}}, {{kStart + 2, 5}}});
    REQUIRE(again);
    CHECK(again->number == 0);
    CHECK(again->same == 3);
  }
}

TEST_CASE("an import that fails anywhere leaves all or nothing, and can be done again") {
  const World::Samples first = {{kStart, 1}, {kStart + 1, 2}};
  const std::map<std::string, World::Samples> whole = {{kFirst, first}};
  for (const SimFault fault : {SimFault::PowerLoss, SimFault::Io, SimFault::NoSpace}) {
    for (uint64_t point = 0;; ++point) {
      World world(LogKind::Embedded, point + 1);
      world.open();
      world.files_.fail_at(world.files_.fault_points() + point, fault);
      const bool done = import_into(world, {first}).has_value();
      world.files_.clear_fault();
      world.crash();
      const auto found = world.read();
      CHECK((found == whole || (found.empty() && !done)));
      const auto again = import_into(world, {first});
      REQUIRE(again);
      CHECK(world.read() == whole);
      world.crash();
      CHECK(world.read() == whole);
      if (done && fault == SimFault::PowerLoss) break;
      if (point > 40) break;
    }
  }
}

}  // namespace tsdb
