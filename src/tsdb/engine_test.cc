#include "tsdb/engine.h"

#include "core/testing/fake_clock.h"
#include "core/testing/sim_file_system.h"
#include "tsdb/embedded_log.h"
#include "tsdb/testing/memory_log.h"

#include <algorithm>
#include <doctest/doctest.h>
#include <map>

namespace tsdb {
namespace {

using model::Labels;
using model::Matcher;
using model::MatchType;
using model::TimeRange;
using storage::RefusalReason;
using storage::WriteBatch;

constexpr int64_t kHour = 3'600'000;
constexpr int64_t kMinute = 60'000;
constexpr int64_t kStart = 1'700'000'000'000 / (2 * kHour) * (2 * kHour);  // of a block range
constexpr TimeRange kAllTime{-(int64_t{1} << 60), int64_t{1} << 60};

enum class LogKind { Embedded, SelfContained };

// An engine on a simulated disk, opened again and again.
class World {
 public:
  explicit World(LogKind kind, uint64_t seed = 1)
      : kind_(kind), rng_(seed), files_({.seed = seed}) {
    options_.data_dir = "data";
    clock_.jump_to_ms(kStart);
  }

  Engine& engine() {
    if (engine_ == nullptr) open();
    return *engine_;
  }
  void open() {
    engine_.reset();
    if (kind_ == LogKind::Embedded) {
      log_.reset();
      auto log =
          EmbeddedLog::open({.dir = "data/wal", .segment_bytes = 64 << 10U}, files_, clock_, rng_);
      REQUIRE_MESSAGE(log.has_value(), log.error().message);
      log_ = std::move(*log);
    } else if (log_ == nullptr) {
      log_ = std::make_unique<testing::MemoryLog>();
    }
    auto engine = Engine::open(options_, {files_, clock_, rng_, *log_});
    REQUIRE_MESSAGE(engine.has_value(), engine.error().message);
    engine_ = std::move(*engine);
  }
  void crash() {
    engine_.reset();
    log_.reset();
    files_.crash();
  }

  storage::AppendSummary append(const WriteBatch& batch) {
    auto summary = engine().append(batch);
    REQUIRE_MESSAGE(summary.has_value(), summary.error().message);
    return *summary;
  }
  storage::AppendSummary append(const std::string& series, int64_t time, double value) {
    WriteBatch batch;
    batch.add(labels(series), time, value);
    return append(batch);
  }
  // "m{a=1,b=2}" without quotes.
  static Labels labels(const std::string& text) {
    std::vector<std::pair<std::string, std::string>> pairs;
    const size_t brace = std::min(text.find('{'), text.size());
    pairs.emplace_back("__name__", text.substr(0, brace));
    std::string rest = brace == text.size() ? "" : text.substr(brace + 1, text.size() - brace - 2);
    while (!rest.empty()) {
      const size_t end = std::min(rest.find(','), rest.size());
      const size_t equals = rest.find('=');
      pairs.emplace_back(rest.substr(0, equals), rest.substr(equals + 1, end - equals - 1));
      rest = rest.substr(std::min(end + 1, rest.size()));
    }
    return Labels::of(std::move(pairs));
  }

  using Samples = std::vector<std::pair<int64_t, double>>;
  // Everything that matches, by series; checks what a SeriesSet promises.
  std::map<std::string, Samples> read(model::Matchers matchers = {}, TimeRange range = kAllTime,
                                      std::vector<std::string>* warnings = nullptr) {
    storage::SelectRequest request;
    request.matchers = std::move(matchers);
    request.range = range;
    request.sorted = true;
    auto set = engine().select(request);
    REQUIRE(set.has_value());
    std::map<std::string, Samples> result;
    storage::SeriesBatch batch;
    Labels before;
    while (true) {
      auto more = (*set)->next(batch);
      REQUIRE(more.has_value());
      if (!*more) break;
      REQUIRE(batch.sample_ends.size() == batch.size());
      REQUIRE(batch.histogram_ends.size() == batch.size());
      for (size_t i = 0; i < batch.size(); ++i) {
        if (!before.empty()) CHECK(before < batch.labels[i]);
        before = batch.labels[i];
        Samples& samples = result[batch.labels[i].to_string()];
        for (size_t j = 0; j < batch.timestamps_of(i).size(); ++j) {
          const int64_t time = batch.timestamps_of(i)[j];
          CHECK(range.contains(time));
          if (!samples.empty()) CHECK(samples.back().first < time);
          samples.emplace_back(time, batch.values_of(i)[j]);
        }
      }
    }
    if (warnings != nullptr) *warnings = (*set)->warnings();
    return result;
  }
  MaintainReport maintain() {
    auto report = engine().maintain();
    REQUIRE_MESSAGE(report.has_value(), report.error().message);
    return *report;
  }

  LogKind kind_;
  core::SeededRng rng_;
  core::testing::FakeClock clock_;
  core::testing::SimFileSystem files_;
  EngineOptions options_;
  std::unique_ptr<storage::Log> log_;
  std::unique_ptr<Engine> engine_;
};

#define FOR_BOTH_LOGS               \
  LogKind kind = LogKind::Embedded; \
  SUBCASE("embedded log") {         \
    kind = LogKind::Embedded;       \
  }                                 \
  SUBCASE("self-contained log") {   \
    kind = LogKind::SelfContained;  \
  }

}  // namespace

TEST_CASE("what was appended is read at once and after a restart") {
  FOR_BOTH_LOGS
  World world(kind);
  for (int i = 0; i < 300; ++i) {
    WriteBatch batch;
    batch.add(World::labels("m{host=a}"), kStart + i * 1000, i);
    batch.add(World::labels("m{host=b}"), kStart + i * 1000, -0.5 * i);
    CHECK(world.append(batch).stored == 2);
    world.clock_.advance_ms(1000);
  }
  for (int life = 0; life < 3; ++life) {
    const auto all = world.read();
    REQUIRE(all.size() == 2);
    const auto& samples = all.at("m{host=\"b\"}");
    REQUIRE(samples.size() == 300);
    for (int i = 0; i < 300; ++i)
      CHECK(samples[static_cast<size_t>(i)] == std::pair(kStart + i * 1000, -0.5 * i));
    CHECK(world.read({Matcher::equal("host", "a")}).size() == 1);
    CHECK(world.read({}, {kStart + 100'000, kStart + 103'000}).at("m{host=\"a\"}").size() == 3);
    world.open();
    // A restart must not forget who is known: the series goes on.
    CHECK(world.append("m{host=a}", kStart + 400'000 + life, 7).stored == 1);
    CHECK(world.engine().stats("default").series == 2);
  }
}

TEST_CASE("duplicates are silent, conflicts are refused, also after sealing and restart") {
  FOR_BOTH_LOGS
  World world(kind);
  for (int i = 0; i < 200; ++i) world.append("m", kStart + i * 1000, i);
  for (int life = 0; life < 2; ++life) {
    for (const int i : {0, 5, 60, 127, 128, 150, 198, 199}) {
      CAPTURE(i);
      auto summary = world.append("m", kStart + i * 1000, i);
      CHECK(summary.stored == 0);
      CHECK(summary.duplicates == 1);
      summary = world.append("m", kStart + i * 1000, i + 0.5);
      CHECK(summary.refused[static_cast<size_t>(RefusalReason::Conflict)] == 1);
      CHECK(summary.examples.size() == 1);
    }
    CHECK(world.read().at("m").size() == 200);
    world.open();
  }
  // Within one batch, in any form.
  WriteBatch batch;
  batch.add(World::labels("n"), kStart, 1);
  batch.add(World::labels("n"), kStart, 1);
  batch.add(World::labels("n"), kStart, 2);
  batch.begin_series(batch.keep(World::labels("o").bytes()));
  for (const int64_t time : {5000, 3000, 4000, 3000})
    batch.add_sample(kStart + time, static_cast<double>(time));
  const auto summary = world.append(batch);
  CHECK(summary.stored == 4);
  CHECK(summary.duplicates == 2);
  CHECK(summary.refused_total() == 1);
  CHECK(world.read().at("o").size() == 3);
}

TEST_CASE("late samples within the window are merged, older ones and far future ones refused") {
  FOR_BOTH_LOGS
  World world(kind);
  world.clock_.jump_to_ms(kStart + 150 * kMinute);
  for (int i = 0; i < 150; ++i) world.append("m", kStart + i * kMinute, i);
  const int64_t newest = kStart + 149 * kMinute;
  for (const int64_t minutes : {1, 30, 59}) {
    CHECK(world.append("m", newest - minutes * kMinute + 1, -1).stored == 1);
    CHECK(world.append("m", newest - minutes * kMinute + 1, -1).duplicates == 1);
  }
  auto summary = world.append("m", newest - 60 * kMinute - 1, 1);
  CHECK(summary.refused[static_cast<size_t>(RefusalReason::TooOld)] == 1);
  summary = world.append("m", world.clock_.now_ms() + 10 * kMinute + 1, 1);
  CHECK(summary.refused[static_cast<size_t>(RefusalReason::TooFarAhead)] == 1);
  CHECK(summary.examples.at(0).find("m at ") != std::string::npos);
  CHECK(world.read().at("m").size() == 153);
  world.open();
  CHECK(world.read().at("m").size() == 153);
}

TEST_CASE("a series of which nothing is stored is not created") {
  World world(LogKind::Embedded);
  world.clock_.jump_to_ms(kStart + 150 * kMinute);
  world.append("known", kStart + 150 * kMinute, 1);
  const uint64_t pairs = world.engine().stats("default").label_pairs;
  const auto count = [](const storage::AppendSummary& summary, RefusalReason reason) {
    return summary.refused[static_cast<size_t>(reason)];
  };
  WriteBatch batch;
  for (int s = 0; s < 1000; ++s) {
    batch.begin_series(batch.keep(World::labels(fmt::format("m{{s={}}}", s)).bytes()));
    batch.add_sample(kStart, 1);
    batch.add_sample(kStart + 161 * kMinute, 1);
    batch.add_histogram(kStart + 1, {});
    model::Histogram broken;
    broken.schema = 99;
    batch.add_histogram(kStart + 150 * kMinute, broken);
    batch.add_exemplar({Labels::of({{"trace_id", "abc"}}), 0.7, kStart + 150 * kMinute});
  }
  batch.begin_series(batch.keep(World::labels("empty").bytes()));
  auto summary = world.append(batch);
  CHECK(summary.stored == 0);
  CHECK(count(summary, RefusalReason::TooOld) == 2000);
  CHECK(count(summary, RefusalReason::TooFarAhead) == 1000);
  CHECK(count(summary, RefusalReason::InvalidSample) == 1000);
  CHECK(summary.examples.at(0).find("m{s=\"0\"} at ") == 0);
  CHECK(world.engine().stats("default").series == 1);
  CHECK(world.engine().stats("default").label_pairs == pairs);

  // One good sample among refused ones is enough, and a known series is not confused.
  batch.clear();
  batch.begin_series(batch.keep(World::labels("good").bytes()));
  batch.add_sample(kStart, 1);
  batch.add_sample(kStart + 150 * kMinute, 1);
  batch.begin_series(batch.keep(World::labels("known").bytes()));
  batch.add_sample(kStart, 1);
  batch.begin_series(batch.keep(World::labels("only_exemplars").bytes()));
  batch.add_exemplar({Labels::of({{"trace_id", "abc"}}), 0.7, kStart + 150 * kMinute});
  summary = world.append(batch);
  CHECK(summary.stored == 1);
  CHECK(count(summary, RefusalReason::TooOld) == 2);
  CHECK(world.engine().stats("default").series == 3);
  storage::LabelsRequest request;
  request.range = kAllTime;
  CHECK(world.engine().exemplars(request)->size() == 1);
}

TEST_CASE("an empty server takes data from the beginning of time") {
  World world(LogKind::Embedded);
  CHECK(world.append("m", 0, 1).stored == 1);
  CHECK(world.append("m", 5 * kMinute, 2).stored == 1);
  CHECK(world.append("n", 0, 3).stored == 1);
  world.maintain();
  CHECK(world.read().at("m").size() == 2);
  CHECK(world.append("m", 6 * kMinute, 2).stored == 1);
}

TEST_CASE("a first sample from the depths of time does not make the present too old") {
  World world(LogKind::Embedded);
  for (const int64_t time : {std::numeric_limits<int64_t>::min() + 1, -(int64_t{1} << 60) - 1}) {
    const auto summary = world.append("m", time, 1);
    CHECK(summary.refused[static_cast<size_t>(RefusalReason::TooOld)] == 1);
  }
  CHECK(world.append("m", -(int64_t{1} << 60), 1).stored == 1);
  CHECK(world.append("m", kStart, 2).stored == 1);
  world.maintain();
  CHECK(world.append("m", kStart + 1, 3).stored == 1);
}

TEST_CASE("samples from before 1970 survive a restart between the flushes of their ranges") {
  World world(LogKind::Embedded);
  world.options_.retention_ms = 0;
  WriteBatch batch;
  batch.begin_series(batch.keep(World::labels("m").bytes()));
  // More ranges than one step flushes.
  for (int i = 40; i > 0; --i) batch.add_sample(-i * 2 * kHour, i);
  CHECK(world.append(batch).stored == 40);
  CHECK(world.append("m", kStart, 1).stored == 1);
  CHECK(world.maintain().blocks_written < 40);
  CHECK(world.read().at("m").size() == 41);
  world.open();
  CHECK(world.read().at("m").size() == 41);
}

TEST_CASE("a wall clock that once ran ahead does not make everything too old") {
  World world(LogKind::Embedded);
  world.append("m", kStart, 1);
  world.clock_.jump_to_ms(kStart + 1000 * kHour);
  world.append("m", kStart + 1000 * kHour, 2);
  world.clock_.jump_to_ms(kStart + kMinute);
  CHECK(world.append("n", kStart + kMinute, 3).stored == 1);
  CHECK(world.append("m", kStart + kMinute, 3).stored == 1);  // late, for its series
}

TEST_CASE("labels in another order are the same series") {
  FOR_BOTH_LOGS
  World world(kind);
  world.append("m{a=1,b=2}", kStart, 1);
  std::string mixed;
  model::append_label(mixed, "b", "2");
  model::append_label(mixed, "__name__", "m");
  model::append_label(mixed, "empty", "");
  model::append_label(mixed, "a", "1");
  for (int i = 1; i < 3; ++i) {
    WriteBatch batch;
    batch.begin_series(mixed);
    batch.add_sample(kStart + i, i);
    CHECK(world.append(batch).stored == 1);
  }
  WriteBatch fresh;  // first met in another order
  std::string other;
  model::append_label(other, "z", "1");
  model::append_label(other, "__name__", "n");
  fresh.begin_series(other);
  fresh.add_sample(kStart, 5);
  CHECK(world.append(fresh).stored == 1);
  world.open();
  const auto all = world.read();
  CHECK(all.size() == 2);
  CHECK(all.at("m{a=\"1\", b=\"2\"}").size() == 3);
  CHECK(all.at("n{z=\"1\"}").size() == 1);

  WriteBatch bad;
  std::string twice;
  model::append_label(twice, "__name__", "m");
  model::append_label(twice, "a", "1");
  model::append_label(twice, "a", "2");
  bad.begin_series(twice);
  bad.add_sample(kStart, 5);
  bad.add(World::labels("good"), kStart, 1);
  const auto summary = world.append(bad);
  CHECK(summary.refused[static_cast<size_t>(RefusalReason::InvalidLabels)] == 1);
  CHECK(summary.stored == 1);
}

TEST_CASE("matchers select what their definition says") {
  World world(LogKind::Embedded);
  for (int i = 0; i < 30; ++i) {
    world.append(fmt::format("m{{host=h{},zone={}}}", i, i % 3), kStart, i);
  }
  world.append("m{zone=3}", kStart, 1);
  world.append("other{host=h1}", kStart, 1);
  const std::vector<std::tuple<MatchType, std::string, std::string>> cases = {
      {MatchType::Equal, "host", "h7"},      {MatchType::Equal, "host", ""},
      {MatchType::NotEqual, "host", "h7"},   {MatchType::NotEqual, "host", ""},
      {MatchType::Regex, "host", "h1|h2|x"}, {MatchType::Regex, "host", "h1.*"},
      {MatchType::Regex, "host", ".*"},      {MatchType::Regex, "host", ".+"},
      {MatchType::Regex, "host", "|h3"},     {MatchType::NotRegex, "host", "h1.*"},
      {MatchType::NotRegex, "host", ".+"},   {MatchType::NotRegex, "host", ".*"},
      {MatchType::Equal, "zone", "1"},       {MatchType::Equal, "nosuch", ""},
      {MatchType::Equal, "nosuch", "x"},     {MatchType::NotRegex, "nosuch", "x.*"},
      {MatchType::Equal, "__name__", "m"},   {MatchType::Regex, "zone", "0|2"}};
  const auto everything = world.read();
  REQUIRE(everything.size() == 32);
  std::map<std::string, Labels> by_name;
  for (int i = 0; i < 30; ++i) {
    const Labels labels = World::labels(fmt::format("m{{host=h{},zone={}}}", i, i % 3));
    by_name[labels.to_string()] = labels;
  }
  for (const char* text : {"m{zone=3}", "other{host=h1}"}) {
    by_name[World::labels(text).to_string()] = World::labels(text);
  }
  for (const auto& [type, name, value] : cases) {
    for (const auto& [type2, name2, value2] : cases) {
      CAPTURE(name);
      CAPTURE(value);
      CAPTURE(name2);
      CAPTURE(value2);
      const model::Matchers matchers = {*Matcher::create(type, name, value),
                                        *Matcher::create(type2, name2, value2)};
      std::vector<std::string> wanted;
      for (const auto& [text, labels] : by_name) {
        if (model::matches_all(matchers, labels.view())) wanted.push_back(text);
      }
      std::vector<std::string> found;
      for (const auto& [text, samples] : world.read(matchers)) found.push_back(text);
      std::sort(wanted.begin(), wanted.end());
      std::sort(found.begin(), found.end());
      CHECK(found == wanted);
    }
  }
}

TEST_CASE("ranges that are complete become blocks, the log is cut, reads see no seam") {
  FOR_BOTH_LOGS
  World world(kind);
  const auto value = [](int i) { return i * 0.25; };
  int written = 0;
  const auto write_until = [&](int64_t end_ms) {
    for (; kStart + written * kMinute < end_ms; ++written) {
      WriteBatch batch;
      batch.add(World::labels("m{host=a}"), kStart + written * kMinute, value(written));
      if (written < 30) batch.add(World::labels("short"), kStart + written * kMinute, 1);
      world.append(batch);
      world.clock_.advance_ms(kMinute);
    }
  };
  write_until(kStart + 3 * kHour);
  CHECK(world.maintain().blocks_written == 0);
  write_until(kStart + 3 * kHour + 2 * kMinute);
  const auto before = world.read();
  const auto report = world.maintain();
  CHECK(report.blocks_written == 1);
  CHECK(report.series_dropped == 1);
  CHECK(world.engine().stats("default").series == 1);
  CHECK(world.engine().stats("default").blocks == 1);
  CHECK(world.read() == before);
  CHECK(world.maintain().blocks_written == 0);
  // The closed range takes nothing any more.
  CHECK(world.append("m{host=a}", kStart + 2 * kHour - 1, 9).refused_total() == 1);

  for (int life = 0; life < 3; ++life) {
    write_until(kStart + (7 + 4 * life) * kHour);
    const auto expected = world.read();
    CHECK(expected.at("m{host=\"a\"}").size() == static_cast<size_t>(written));
    CHECK(expected.at("short").size() == 30);
    world.maintain();
    CHECK(world.read() == expected);
    world.open();
    CHECK(world.read() == expected);
    const TimeRange seam{kStart + 2 * kHour - 3 * kMinute, kStart + 2 * kHour + 2 * kMinute};
    CHECK(world.read({}, seam).at("m{host=\"a\"}").size() == 5);
  }
  CHECK(world.log_->low() > 0);
}

TEST_CASE("a reader that began before a flush reads on undisturbed") {
  World world(LogKind::Embedded);
  for (int i = 0; i < 200; ++i) {
    WriteBatch batch;
    for (int s = 0; s < 300; ++s) {
      batch.add(World::labels(fmt::format("m{{s={}}}", s)), kStart + i * kMinute, i);
    }
    world.append(batch);
    world.clock_.advance_ms(kMinute);
  }
  storage::SelectRequest request;
  request.range = kAllTime;
  auto set = world.engine().select(request);
  REQUIRE(set.has_value());
  storage::SeriesBatch batch;
  size_t series = 0;
  size_t samples = 0;
  const auto step = [&] {
    const bool more = *(*set)->next(batch);
    series += batch.size();
    samples += batch.values.size();
    return more;
  };
  REQUIRE(step());
  const auto report = world.maintain();
  CHECK(report.blocks_written == 1);
  while (step()) {
  }
  CHECK(series == 300);
  CHECK(samples == 300 * 200);
  set->reset();
  world.maintain();  // frees what the reader held
  CHECK(world.read().size() == 300);
}

TEST_CASE("blocks past retention are deleted, counted from the newest sample in a block") {
  World world(LogKind::Embedded);
  world.options_.retention_ms = 10 * kHour;
  for (int hour = 0; hour < 30; ++hour) {
    world.append("m", kStart + hour * kHour, hour);
    world.clock_.advance_ms(kHour);
    world.maintain();
  }
  CHECK(world.read().at("m").front().first == kStart + 16 * kHour);
  CHECK(world.files_.list("data/blocks")->size() == world.engine().stats("default").blocks);
  world.clock_.advance_ms(1000 * kHour);  // the rest is sealed
  world.maintain();
  const auto samples = world.read().at("m");
  CHECK(samples.front().first == kStart + 18 * kHour);
  world.clock_.advance_ms(1000 * kHour);  // nothing new: nothing goes
  world.maintain();
  CHECK(world.read().at("m") == samples);
}

TEST_CASE("a wall clock that runs ahead for a minute does not delete what is there") {
  World world(LogKind::SelfContained);
  world.options_.retention_ms = 100 * kHour;
  for (int minute = 0; minute < 8 * 60; ++minute) {
    world.append("m", kStart + minute * kMinute, minute);
    world.clock_.advance_ms(kMinute);
    if (minute % 60 == 0) world.maintain();
  }
  auto samples = world.read().at("m");
  REQUIRE(samples.size() == 8 * 60);
  const int64_t present = world.clock_.now_ms();
  world.clock_.jump_to_ms(present + 1000 * kHour);
  world.append("m", present + 1000 * kHour, 1);
  world.maintain();
  world.clock_.jump_to_ms(present + kMinute);
  world.maintain();
  samples.emplace_back(present + 1000 * kHour, 1);
  CHECK(world.read().at("m") == samples);
  world.open();
  CHECK(world.read().at("m") == samples);
}

TEST_CASE("a wall clock that runs ahead for some minutes does not close the present") {
  for (const int64_t jump : {3 * kHour, 24 * kHour, 1000 * kHour}) {
    CAPTURE(jump);
    World world(LogKind::SelfContained);
    for (int minute = 0; minute < 30; ++minute) {
      world.append("m", world.clock_.now_ms(), minute);
      world.clock_.advance_ms(kMinute);
      world.maintain();
    }
    world.clock_.jump_to_ms(world.clock_.now_ms() + jump);
    for (int minute = 0; minute < 10; ++minute) {
      world.append("m", world.clock_.now_ms(), minute);
      CHECK(world.maintain().blocks_written == 0);
      world.clock_.advance_ms(kMinute);
    }
    world.clock_.jump_to_ms(world.clock_.now_ms() - jump);
    for (int minute = 0; minute < 30; ++minute) {
      CHECK(world.append("m", world.clock_.now_ms(), minute).stored == 1);
      world.clock_.advance_ms(kMinute);
      CHECK(world.maintain().blocks_written == 0);
    }
  }
}

TEST_CASE("samples of the future do not hold the log, and survive restarts and their time") {
  FOR_BOTH_LOGS
  World world(kind);
  const auto hour = [&] {
    WriteBatch batch;
    // More than a segment of the embedded log every two hours.
    for (int s = 0; s < 400; ++s) {
      batch.add(World::labels(fmt::format("m{{s={}}}", s)), world.clock_.now_ms(), 0.1 * s);
    }
    batch.add(World::labels("n"), world.clock_.now_ms(), 1);
    world.append(batch);
    world.clock_.advance_ms(kHour);
    world.maintain();
  };
  for (int i = 0; i < 8; ++i) hour();
  const int64_t present = world.clock_.now_ms();
  world.clock_.jump_to_ms(present + 60 * kHour);
  WriteBatch future;
  for (int s = 0; s < 300; ++s) {  // of more than one slice; some series are met here first
    future.begin_series(future.keep(World::labels(fmt::format("m{{s={}}}", s + 300)).bytes()));
    for (int i = 0; i < 50; ++i) future.add_sample(present + 60 * kHour + i * 1000, i);
    model::Histogram histogram;
    histogram.count = s;
    future.add_histogram(present + 60 * kHour + 60'000, histogram);
  }
  CHECK(world.append(future).stored == 300 * 51);
  const storage::LogPosition glitch = world.log_->high() - 1;
  world.clock_.jump_to_ms(present);
  const auto read_histograms = [&] {
    storage::SelectRequest request;
    request.range = kAllTime;
    auto set = *world.engine().select(request);
    storage::SeriesBatch batch;
    size_t count = 0;
    while (*set->next(batch)) count += batch.histograms.size();
    return count;
  };
  for (int i = 0; i < 40; ++i) {
    hour();
    if (i % 13 != 12) continue;
    const auto before = world.read();
    CHECK(before.at("m{s=\"599\"}").size() == 50);
    world.open();
    CHECK(world.read() == before);
    CHECK(read_histograms() == 300);
    CHECK(world.engine().progress().dropped_samples == 0);
  }
  CHECK(world.log_->low() > glitch + 20);
  CHECK(world.log_->high() - world.log_->low() < 20);
  // Its time comes: the range becomes a block like any other.
  for (int i = 0; i < 30; ++i) hour();
  CHECK(world.read().at("m{s=\"599\"}").size() == 50);
  CHECK(world.read().at("m{s=\"350\"}").size() == 78 + 50 - 1);
  CHECK(read_histograms() == 300);
  CHECK(world.log_->high() - world.log_->low() < 20);
}

TEST_CASE("a log that fails while samples of the future are written again loses nothing") {
  World world(LogKind::SelfContained);
  world.append("m", kStart, 1);
  world.clock_.jump_to_ms(kStart + 1000 * kHour);
  world.append("m", kStart + 1000 * kHour, 2);
  world.clock_.jump_to_ms(kStart + kMinute);
  auto& log = static_cast<testing::MemoryLog&>(*world.log_);
  for (int hour = 0; hour < 16; ++hour) {
    world.append("m", world.clock_.now_ms(), hour);
    world.clock_.advance_ms(kHour);
    if (hour < 12) log.fail_waits(hour < 6), log.fail_appends(hour >= 6);
    world.maintain();
    log.fail_waits(false);
    log.fail_appends(false);
    const auto before = world.read();
    CHECK(before.at("m").back() == std::pair(kStart + 1000 * kHour, 2.0));
    CHECK((world.log_->low() <= 1) == (hour < 12));
    world.open();
    CHECK(world.read() == before);
  }
}

TEST_CASE("a wall clock that jumped ahead and stays there is believed after an hour") {
  World world(LogKind::SelfContained);
  world.append("m", kStart, 1);
  world.clock_.jump_to_ms(kStart + 24 * kHour);
  for (int minute = 0; minute <= 60; ++minute) {
    world.append("m", world.clock_.now_ms(), minute);
    CHECK(world.maintain().blocks_written == (minute < 60 ? 0 : 1));
    world.clock_.advance_ms(kMinute);
  }
}

TEST_CASE("a tenant that stopped while the wall clock ran ahead is taken when it returns") {
  World world(LogKind::SelfContained);
  world.append("m", kStart, 1);
  world.clock_.jump_to_ms(kStart + 1000 * kHour);
  world.append("m", kStart + 1000 * kHour, 2);
  world.clock_.jump_to_ms(kStart);
  for (int hour = 0; hour < 8; ++hour) {
    world.clock_.advance_ms(kHour);
    world.maintain();
  }
  CHECK(world.engine().stats("default").blocks == 1);
  CHECK(world.append("m", world.clock_.now_ms(), 3).stored == 1);
  CHECK(world.read().at("m").size() == 3);
}

TEST_CASE("data of the past is flushed as it comes, whatever the clock says") {
  for (const int64_t first : {int64_t{0}, kStart - 26 * kHour}) {
    World world(LogKind::SelfContained);
    world.options_.retention_ms = 0;
    for (int hour = 0; hour <= 26; ++hour) world.append("m", first + hour * kHour, hour);
    CHECK(world.maintain().blocks_written == 12);
    CHECK(world.read().at("m").size() == 27);
  }
}

TEST_CASE("a tenant that stops sending leaves memory and the log") {
  World world(LogKind::SelfContained);
  WriteBatch batch;
  batch.tenant = "gone";
  batch.add(World::labels("m"), kStart, 1);
  world.append(batch);
  for (int i = 0; i < 30; ++i) {
    world.append("m", kStart + i * 10 * kMinute, i);
    world.clock_.advance_ms(10 * kMinute);
    world.maintain();
  }
  CHECK(world.engine().stats("gone").series == 0);
  CHECK(world.engine().stats("gone").blocks == 1);
  CHECK(world.engine().stats("default").series == 1);
  CHECK(world.log_->low() > 1);
}

TEST_CASE("a flush that falls into the append of a returning tenant closes nothing") {
  // Runs the background step wherever the engine looks at the clock.
  class BusyClock final : public core::Clock {
   public:
    int64_t now_ms() const override { return time_ms; }
    int64_t monotonic_ns() const override {
      if (Engine* const busy = std::exchange(engine, nullptr)) {
        CHECK(busy->maintain().has_value());
        engine = busy;
      }
      return time_ms * 1'000'000;
    }
    int64_t time_ms = kStart + kHour;
    mutable Engine* engine = nullptr;
  };
  BusyClock clock;
  core::SeededRng rng(1);
  core::testing::SimFileSystem files({.seed = 1});
  testing::MemoryLog log;
  EngineOptions options;
  options.data_dir = "data";
  auto engine = *Engine::open(options, {files, clock, rng, log});
  clock.engine = engine.get();
  WriteBatch batch;
  for (const int64_t pause_ms : {int64_t{0}, 270 * kMinute}) {
    clock.time_ms += pause_ms;
    for (const int64_t age_ms : {kMinute, int64_t{0}}) {
      batch.clear();
      batch.add(World::labels("m"), clock.time_ms - age_ms, 1);
      const auto summary = engine->append(batch);
      REQUIRE(summary.has_value());
      CHECK(summary->stored == 1);
    }
  }
  CHECK(engine->stats("default").blocks == 1);
}

TEST_CASE("tenants do not see each other") {
  FOR_BOTH_LOGS
  World world(kind);
  WriteBatch batch;
  batch.tenant = "blue";
  batch.add(World::labels("m"), kStart, 1);
  batch.metadata.push_back({"m", model::MetricType::Counter, "s", "help"});
  world.append(batch);
  world.open();
  CHECK(world.read().empty());
  storage::LabelsRequest request;
  request.range = kAllTime;
  CHECK(world.engine().label_names(request)->empty());
  CHECK(world.engine().metadata("default", "")->empty());
  request.tenant = "blue";
  CHECK(world.engine().label_names(request)->size() == 1);
  CHECK(world.engine().metadata("blue", "m")->size() == 1);
  CHECK(world.engine().tenants() == std::vector<std::string>{"blue"});
}

TEST_CASE("labels, metadata, exemplars and histograms survive flush and restart") {
  FOR_BOTH_LOGS
  World world(kind);
  WriteBatch batch;
  batch.begin_series(batch.keep(World::labels("h{le=x}").bytes()));
  for (int i = 0; i < 100; ++i) {
    model::Histogram histogram;
    histogram.schema = 2;
    histogram.count = 3 + i;
    histogram.sum = 0.5 * i;
    histogram.positive_spans = {{0, 2}};
    histogram.positive_counts = {1.0 * i, 3};
    batch.add_histogram(kStart + i * kMinute, histogram);
  }
  batch.add_exemplar({Labels::of({{"trace_id", "abc"}}), 0.7, kStart + 5});
  batch.metadata.push_back({"h", model::MetricType::Histogram, "seconds", "Latency."});
  world.clock_.advance_ms(4 * kHour);
  CHECK(world.append(batch).stored == 100);
  CHECK(world.append(batch).duplicates + world.append(batch).refused_total() > 0);
  world.append("m{host=a}", kStart + 4 * kHour, 1);
  for (int life = 0; life < 3; ++life) {
    CAPTURE(life);
    storage::LabelsRequest request;
    request.range = kAllTime;
    CHECK(*world.engine().label_names(request) ==
          std::vector<std::string>{"__name__", "host", "le"});
    CHECK(*world.engine().label_values("__name__", request) == std::vector<std::string>{"h", "m"});
    CHECK(world.engine().series(request)->size() == 2);
    request.matchers = {{Matcher::equal("host", "a")}};
    CHECK(*world.engine().label_values("__name__", request) == std::vector<std::string>{"m"});
    request.matchers = {{Matcher::equal("__name__", "h")}};
    const auto exemplars = *world.engine().exemplars(request);
    REQUIRE(exemplars.size() == 1);
    CHECK(exemplars[0].exemplars.at(0).labels.get("trace_id") == "abc");
    CHECK(world.engine().metadata("default", "h")->at(0).help == "Latency.");

    storage::SelectRequest select;
    select.range = kAllTime;
    select.matchers = {Matcher::equal("__name__", "h")};
    auto set = *world.engine().select(select);
    storage::SeriesBatch result;
    REQUIRE(*set->next(result));
    REQUIRE(result.histograms.size() == 100);
    for (size_t i = 0; i < 100; ++i)
      CHECK(result.histograms[i].histogram == batch.histograms[i].histogram);
    set.reset();
    if (life == 0) CHECK(world.maintain().blocks_written == 1);
    if (life == 1) world.open();
  }
}

TEST_CASE("late histograms are merged, repeated ones are silent, others conflict") {
  FOR_BOTH_LOGS
  World world(kind);
  world.clock_.advance_ms(kHour);
  const auto send = [&](int64_t seconds, double count) {
    WriteBatch batch;
    batch.begin_series(batch.keep(World::labels("h").bytes()));
    model::Histogram histogram;
    histogram.count = count;
    batch.add_histogram(kStart + seconds * 1000, histogram);
    return world.append(batch);
  };
  for (int i = 0; i < 100; ++i) CHECK(send(i * 20, i).stored == 1);
  for (const int64_t late : {10, 970, 1970}) CHECK(send(late, 0.5).stored == 1);
  for (int life = 0; life < 2; ++life) {
    for (const int64_t again : {0, 500, 1980}) {
      CHECK(send(again, static_cast<double>(again / 20)).duplicates == 1);
      CHECK(send(again, -7).refused[static_cast<size_t>(RefusalReason::Conflict)] == 1);
    }
    CHECK(send(970, 0.5).duplicates == 1);
    storage::SelectRequest request;
    request.range = {kStart + 10'000, kStart + 1'970'001};
    auto set = *world.engine().select(request);
    storage::SeriesBatch result;
    REQUIRE(*set->next(result));
    REQUIRE(result.histograms.size() == 98 + 3);
    CHECK(result.histograms.front().histogram.count == 0.5);
    CHECK(result.histograms.back().histogram.count == 0.5);
    CHECK(result.histograms[1].histogram.count == 1);
    set.reset();
    world.open();
  }
}

TEST_CASE("an hour that arrives backwards is stored once, floats and histograms") {
  FOR_BOTH_LOGS
  World world(kind);
  world.clock_.advance_ms(kHour);
  constexpr int kSeconds = 3000;
  WriteBatch batch;
  batch.begin_series(batch.keep(World::labels("m").bytes()));
  for (int i = kSeconds; i > 0; --i) batch.add_sample(kStart + i * 1000, i);
  batch.begin_series(batch.keep(World::labels("h").bytes()));
  model::Histogram histogram;
  for (int i = kSeconds; i > 0; --i) {
    histogram.count = i;
    batch.add_histogram(kStart + i * 1000, histogram);
  }
  batch.add_histogram(kStart + 1000, histogram);  // the last one again
  histogram.count = 0.5;
  batch.add_histogram(kStart + 2000, histogram);
  batch.add_histogram(kStart + 50 * kMinute + 1, histogram);  // newest: all others are late
  for (int step = 0; step < 3; ++step) {
    WriteBatch part;  // first what makes the rest late
    part.begin_series(part.keep(World::labels("h").bytes()));
    part.add_histogram(kStart + 50 * kMinute + 1, histogram);
    part.begin_series(part.keep(World::labels("m").bytes()));
    part.add_sample(kStart + 50 * kMinute + 1, 7);
    CHECK(world.append(part).stored == (step == 0 ? 2 : 0));
    const storage::AppendSummary summary = world.append(batch);
    CHECK(summary.stored == (step == 0 ? 2 * kSeconds : 0));
    CHECK(summary.duplicates == (step == 0 ? 2 : 2 * kSeconds + 2));
    CHECK(summary.refused[static_cast<size_t>(RefusalReason::Conflict)] == 1);
    CHECK(world.read().at("m").size() == kSeconds + 1);
    storage::SelectRequest request;
    request.range = kAllTime;
    request.sorted = true;
    auto set = *world.engine().select(request);
    storage::SeriesBatch result;
    REQUIRE(*set->next(result));
    REQUIRE(result.histograms.size() == kSeconds + 1);
    for (size_t i = 0; i < kSeconds; ++i) {
      REQUIRE(result.histograms[i].histogram.count == static_cast<double>(i + 1));
    }
    set.reset();
    world.open();
  }
}

TEST_CASE("histograms with more spans or bounds than any sender needs are refused") {
  World world(LogKind::Embedded);
  const auto send = [&](const model::Histogram& histogram) {
    WriteBatch batch;
    batch.begin_series(batch.keep(World::labels("h").bytes()));
    batch.add_histogram(kStart, histogram);
    return world.append(batch).refused[static_cast<size_t>(RefusalReason::InvalidSample)];
  };
  model::Histogram spans;
  spans.positive_spans.assign(10'001, {.offset = 0, .length = 0});
  CHECK(send(spans) == 1);
  model::Histogram bounds;
  bounds.schema = model::kCustomBucketsSchema;
  bounds.custom_bounds.assign(10'001, 1);
  CHECK(send(bounds) == 1);
  bounds.custom_bounds.resize(10'000);
  CHECK(send(bounds) == 0);
}

TEST_CASE("a log that fails refuses appends, also repeated ones, and reads go on") {
  World world(LogKind::SelfContained);
  world.append("m", kStart, 1);
  auto& log = static_cast<testing::MemoryLog&>(*world.log_);
  WriteBatch batch;
  batch.add(World::labels("m"), kStart + 1000, 2);
  log.fail_waits(true);
  auto answer = world.engine().append(batch);
  REQUIRE_FALSE(answer.has_value());
  CHECK(answer.error().code == core::ErrorCode::Unavailable);
  // The sample is visible now, and a duplicate; it still must not be acknowledged.
  CHECK_FALSE(world.engine().append(batch).has_value());
  log.fail_appends(true);
  batch.add(World::labels("n"), kStart, 2);
  answer = world.engine().append(batch);
  REQUIRE_FALSE(answer.has_value());
  CHECK(answer.error().code == core::ErrorCode::Unavailable);
  CHECK(world.read().size() == 1);
  log.fail_appends(false);
  log.fail_waits(false);
  CHECK(world.append(batch).stored == 1);
  world.open();
  CHECK(world.read().size() == 2);
}

TEST_CASE("a damaged block is quarantined: the rest is served, with a warning") {
  World world(LogKind::Embedded);
  for (int i = 0; i < 8 * 60; ++i) {
    world.append("m", kStart + i * kMinute, i);
    world.clock_.advance_ms(kMinute);
  }
  world.maintain();
  const auto blocks = *world.files_.list("data/blocks");
  REQUIRE(blocks.size() == 3);
  const auto whole = *world.files_.read_file("data/blocks/" + blocks[1]);
  for (size_t at = 0; at < whole.size(); at += 7) {
    CAPTURE(at);
    auto file = *world.files_.open("data/blocks/" + blocks[1], core::OpenMode::ReadWrite);
    REQUIRE(file->write_at(at, std::string(1, static_cast<char>(whole[at] ^ 0x10))));
    world.open();
    std::vector<std::string> warnings;
    const auto samples = world.read({}, kAllTime, &warnings).at("m");
    CHECK(samples.size() == 360);
    CHECK(warnings.size() == 1);
    REQUIRE(file->write_at(at, std::string(1, whole[at])));
  }
  world.open();
  CHECK(world.read().at("m").size() == 480);
}

TEST_CASE("a second engine on the same directory is refused") {
  World world(LogKind::Embedded);
  world.engine();
  testing::MemoryLog log;
  auto second = Engine::open(world.options_, {world.files_, world.clock_, world.rng_, log});
  REQUIRE_FALSE(second.has_value());
  CHECK(second.error().message.find("data") != std::string::npos);
}

}  // namespace tsdb
