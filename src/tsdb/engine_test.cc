#include "tsdb/block_format.h"
#include "tsdb/testing/world.h"

namespace tsdb {

using namespace testing;  // NOLINT(google-build-using-namespace)

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
  const uint64_t meta_offset =
      decode_block_footer(whole.substr(whole.size() - kBlockFooterSize), whole.size())->meta_offset;
  for (size_t at = 0; at < whole.size(); at += 7) {
    CAPTURE(at);
    auto file = *world.files_.open("data/blocks/" + blocks[1], core::OpenMode::ReadWrite);
    REQUIRE(file->write_at(at, std::string(1, static_cast<char>(whole[at] ^ 0x10))));
    world.open();
    std::vector<std::string> warnings;
    const auto samples = world.read({}, kAllTime, &warnings).at("m");
    // What a block says of itself stands in the manifest too.
    const bool is_needed = at < meta_offset || at >= whole.size() - kBlockFooterSize;
    CHECK(samples.size() == (is_needed ? 360 : 480));
    CHECK(warnings.size() == (is_needed ? 1 : 0));
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
