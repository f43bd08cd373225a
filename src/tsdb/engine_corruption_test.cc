// A data directory in which bytes were flipped, files cut, lost or swapped: the engine
// starts, gives what is whole with the right values, and says what is not.
//
// PETREL_DAMAGE_FULL=1 takes every byte with several patterns; without it a part of them,
// another one each time PETREL_DAMAGE_SEED changes.

#include "core/testing/fake_clock.h"
#include "core/testing/quiet_log.h"
#include "core/testing/sim_file_system.h"
#include "encoding/chunk.h"
#include "tsdb/embedded_log.h"
#include "tsdb/engine.h"
#include "tsdb/testing/model_targets.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <doctest/doctest.h>
#include <map>
#include <set>

namespace tsdb {
namespace {

using core::testing::SimFileSystem;

constexpr int64_t kMinute = 60'000;
constexpr int64_t kHour = 60 * kMinute;
constexpr int64_t kBegin = 1'700'006'400'000;
constexpr model::TimeRange kAllTime{-(int64_t{1} << 60), int64_t{1} << 60};
const std::vector<std::string> kTenants = {"default", "other"};

using Image = std::map<std::string, std::string>;  // by path

using core::testing::QuietLog;

std::unique_ptr<SimFileSystem> load(const Image& image) {
  auto files = std::make_unique<SimFileSystem>();
  for (const char* folder : {"data", "data/wal", "data/blocks"}) {
    REQUIRE(files->create_dirs(folder).has_value());
  }
  for (const auto& [path, bytes] : image) {
    auto file = files->open(path, core::OpenMode::CreateNew);
    REQUIRE(file.has_value());
    REQUIRE((*file)->write_at(0, bytes).has_value());
    REQUIRE((*file)->sync().has_value());
  }
  for (const char* folder : {"data", "data/wal", "data/blocks"}) {
    REQUIRE(files->sync_dir(folder).has_value());
  }
  return files;
}

Image save(SimFileSystem& files) {
  Image image;
  for (const std::string folder : {"data", "data/wal", "data/blocks"}) {
    const auto names = files.list(folder);
    REQUIRE(names.has_value());
    for (const std::string& name : *names) {
      const std::string path = folder + "/" + name;
      if (files.exists(path) && name != "lock") {
        if (auto content = files.read_file(path)) image[path] = *content;
      }
    }
  }
  return image;
}

// An engine with its log, opened once.
struct Opened {
  std::unique_ptr<EmbeddedLog> log;
  std::unique_ptr<Engine> engine;
  std::string error;  // when it did not open

  Opened(SimFileSystem& files, core::Clock& clock, core::Rng& rng, uint64_t segment_bytes) {
    auto opened_log =
        EmbeddedLog::open({.dir = "data/wal", .segment_bytes = segment_bytes}, files, clock, rng);
    if (!opened_log) {
      error = "log: " + opened_log.error().message;
      return;
    }
    log = std::move(*opened_log);
    EngineOptions options;
    options.data_dir = "data";
    options.retention_ms = 0;
    auto opened = Engine::open(options, {files, clock, rng, *log});
    if (!opened) {
      error = "engine: " + opened.error().message;
      return;
    }
    engine = std::move(*opened);
  }
};

using Key = std::tuple<std::string, std::string, int64_t>;  // tenant, label bytes, time
struct Readable {
  std::string error;  // it did not start
  std::map<Key, std::string> samples;
  std::vector<std::string> warnings;
  std::string broken;  // a promise of the interface
};

std::string bytes_of(const model::Histogram& histogram) {
  std::string bytes;
  encoding::append_histogram_chunk(bytes, std::vector<model::HistogramSample>{{0, histogram}});
  return bytes;
}

void read_tenant(const Engine& engine, const std::string& tenant, Readable& found) {
  storage::SelectRequest request;
  request.tenant = tenant;
  request.range = kAllTime;
  auto set = engine.select(request);
  if (!set) {
    found.warnings.push_back(set.error().message);
    return;
  }
  storage::SeriesBatch batch;
  while (true) {
    const auto more = (*set)->next(batch);
    if (!more) {
      found.warnings.push_back(more.error().message);
      break;
    }
    if (!*more) break;
    for (size_t i = 0; i < batch.size(); ++i) {
      const std::string& labels = batch.labels[i].bytes();
      const auto add = [&](int64_t time_ms, std::string value) {
        if (!found.samples.emplace(Key{tenant, labels, time_ms}, std::move(value)).second) {
          found.broken = "a sample comes twice";
        }
      };
      for (size_t j = 0; j < batch.timestamps_of(i).size(); ++j) {
        const double value = batch.values_of(i)[j];
        add(batch.timestamps_of(i)[j], std::string(reinterpret_cast<const char*>(&value), 8));
      }
      for (const model::HistogramSample& one : batch.histograms_of(i)) {
        add(one.timestamp_ms, bytes_of(one.histogram));
      }
    }
  }
  const auto warnings = (*set)->warnings();
  found.warnings.insert(found.warnings.end(), warnings.begin(), warnings.end());
  // Whatever they find, they must not fall over.
  storage::LabelsRequest all;
  all.tenant = tenant;
  all.range = kAllTime;
  (void)engine.series(all);
  (void)engine.label_names(all);
  (void)engine.label_values("job", all);
  (void)engine.exemplars(all);
  (void)engine.metadata(tenant, "");
}

Readable read(SimFileSystem& files) {
  core::testing::FakeClock clock(kBegin + 8 * kHour);
  core::SeededRng rng(7);
  Readable found;
  const Opened opened(files, clock, rng, 4096);
  if (opened.engine == nullptr) {
    found.error = opened.error;
    return found;
  }
  for (const std::string& tenant : kTenants) read_tenant(*opened.engine, tenant, found);
  return found;
}

// Two tenants with blocks of several ranges, late samples, a deletion if there are any,
// and a log of several segments that holds what is not in blocks.
Image make_image(uint32_t targets, int64_t step_ms, uint64_t segment_bytes) {
  SimFileSystem files;
  core::testing::FakeClock clock(kBegin);
  core::SeededRng rng(3);
  auto opened = std::make_unique<Opened>(files, clock, rng, segment_bytes);
  REQUIRE(opened->error == "");
  std::vector<testing::ModelTarget> sources;
  for (uint32_t i = 0; i < targets; ++i) sources.emplace_back(i, "job", 11);
  const auto append = [&](size_t source, const testing::ModelSample& one) {
    storage::WriteBatch batch;
    batch.tenant = kTenants[source % 2];
    batch.begin_series(one.labels.bytes());
    if (one.histogram) {
      batch.add_histogram(one.time_ms, *one.histogram);
    } else {
      batch.add_sample(one.time_ms, one.value);
    }
    if (one.exemplar) batch.add_exemplar(*one.exemplar);
    batch.metadata.push_back(testing::model_metadata()[rng.below(3)]);
    REQUIRE(opened->engine->append(batch).has_value());
  };
  for (int64_t at = kBegin; at < kBegin + 7 * kHour; at += step_ms) {
    clock.advance_ms(step_ms);
    for (size_t i = 0; i < sources.size(); ++i) {
      std::vector<testing::ModelSample> samples = sources[i].scrape(at);
      // Some of them: a small image has all kinds, but not twenty series of each.
      for (size_t j = 0; j < samples.size(); ++j) {
        if (targets > 4 || j % 5 == 0 || samples[j].histogram) append(i, samples[j]);
      }
    }
    REQUIRE(opened->engine->maintain().has_value());
    if (at - kBegin == 4 * kHour) {
      DeleteRequest request;
      request.tenant = kTenants[0];
      request.selectors = {{model::Matcher::equal("__name__", "noise")}};
      request.range = {kBegin, kBegin + 3 * kHour};
      REQUIRE(opened->engine->delete_series(request).has_value());
      opened.reset();  // another segment
      opened = std::make_unique<Opened>(files, clock, rng, segment_bytes);
      REQUIRE(opened->error == "");
    }
  }
  opened->engine.reset();
  opened->log.reset();
  return save(files);
}

struct Tally {
  uint64_t tried = 0;
  uint64_t harmless = 0;  // all is readable
  uint64_t told = 0;      // something is missing and a warning names the file
  uint64_t refused = 0;   // the start failed and names the file
  std::map<std::string, uint64_t> refused_kinds;
};

std::string name_of(const std::string& path) {
  return path.substr(path.find_last_of('/') + 1);
}

std::string kind_of(const std::string& path) {
  if (path.find("/wal/") != std::string::npos) return "log segment";
  if (path.find("/blocks/") != std::string::npos) return "block";
  if (path.find("snapshot") != std::string::npos) return "series snapshot";
  return name_of(path);
}

bool is_old_block(const std::string& bytes) {
  constexpr size_t kVersionAt = 7;
  return bytes.size() > kVersionAt && bytes[kVersionAt] == 1;
}

class Damage {
 public:
  explicit Damage(Image image) : image_(std::move(image)) {
    const auto files = load(image_);
    whole_ = read(*files);
    REQUIRE(whole_.error == "");
    REQUIRE(whole_.warnings.empty());
  }

  const Image& image() const { return image_; }
  const Readable& whole() const { return whole_; }
  const Tally& tally() const { return tally_; }

  // `files`: what the damage is in; one of them has to be named.
  void expect_sound(const Image& damaged, const std::vector<std::string>& files,
                    const std::string& what) {
    CAPTURE(what);
    ++tally_.tried;
    const auto disk = load(damaged);
    const Readable found = read(*disk);
    const auto names = [&](const std::string& text) {
      return std::any_of(files.begin(), files.end(), [&](const std::string& path) {
        // Of a segment that is not there the positions are named, which are its name.
        const bool is_gone = !damaged.contains(path) && kind_of(path) == "log segment";
        return text.find(is_gone ? "of the log" : name_of(path)) != std::string::npos;
      });
    };
    if (!found.error.empty()) {
      CAPTURE(found.error);
      // Damage is no reason not to start; a version of the future is.
      CHECK(found.error.find("version") != std::string::npos);
      CHECK(names(found.error));
      ++tally_.refused;
      ++tally_.refused_kinds[kind_of(files.front())];
      return;
    }
    if (!found.broken.empty()) FAIL_CHECK(found.broken);
    for (const auto& [key, value] : found.samples) {
      const auto expected = whole_.samples.find(key);
      if (expected != whole_.samples.end() && expected->second == value) continue;
      FAIL_CHECK((expected == whole_.samples.end() ? "should not be there: " : "wrong value: ")
                 << model::LabelsView(std::get<1>(key)).to_string() << " at " << std::get<2>(key));
      return;
    }
    const size_t missing = whole_.samples.size() - found.samples.size();
    if (missing == 0) {
      ++tally_.harmless;
    } else {
      ++tally_.told;
      CAPTURE(missing);
      CAPTURE(found.warnings.size());
      CAPTURE(found.warnings.empty() ? "" : found.warnings.front());
      CHECK(std::any_of(found.warnings.begin(), found.warnings.end(), names));
    }
    // The second start finds what the first one left.
    if (tally_.tried % 16 != 0) return;
    const Readable again = read(*disk);
    CHECK(again.error == "");
    CHECK(again.samples == found.samples);
  }

 private:
  const Image image_;
  Readable whole_;
  Tally tally_;
};

bool takes_all() {
  return std::getenv("PETREL_DAMAGE_FULL") != nullptr;
}

uint64_t seed() {
  const char* const text = std::getenv("PETREL_DAMAGE_SEED");
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

void print(const char* what, const Tally& tally) {
  std::string refused;
  for (const auto& [kind, count] : tally.refused_kinds) {
    refused += fmt::format(" {} {}", count, kind);
  }
  fmt::print("{}: {} tried, {} harmless, {} told, {} starts refused{}\n", what, tally.tried,
             tally.harmless, tally.told, tally.refused, refused);
  std::fflush(stdout);
}

}  // namespace

TEST_CASE("a flipped byte anywhere is told or harmless, and all else is right") {
  const QuietLog quiet;
  Damage damage(make_image(2, 20 * kMinute, 2048));
  core::SeededRng rng(seed());
  for (const auto& [path, bytes] : damage.image()) {
    const size_t stride = takes_all() ? 1 : 1 + bytes.size() / 40;
    for (size_t at = rng.below(stride); at < bytes.size(); at += 1 + rng.below(2 * stride - 1)) {
      std::vector<uint8_t> patterns = {static_cast<uint8_t>(1 + rng.below(255))};
      if (takes_all()) patterns.insert(patterns.end(), {0x01, 0x80, 0xff});
      for (const uint8_t pattern : patterns) {
        Image damaged = damage.image();
        damaged[path][at] = static_cast<char>(static_cast<uint8_t>(bytes[at]) ^ pattern);
        damage.expect_sound(
            damaged, {path},
            fmt::format("{} byte {} of {} ^ {:#x}", path, at, bytes.size(), pattern));
      }
    }
  }
  print("flipped bytes", damage.tally());
  CHECK(damage.tally().tried > 200);
}

TEST_CASE("a file that is cut anywhere is told or harmless, and all else is right") {
  const QuietLog quiet;
  Damage damage(make_image(2, 20 * kMinute, 2048));
  core::SeededRng rng(seed());
  for (const auto& [path, bytes] : damage.image()) {
    const size_t stride = takes_all() ? 1 : 1 + bytes.size() / 25;
    for (size_t size = rng.below(stride); size < bytes.size(); size += stride) {
      Image damaged = damage.image();
      damaged[path].resize(size);
      damage.expect_sound(damaged, {path},
                          fmt::format("{} cut at {} of {}", path, size, bytes.size()));
    }
    Image longer = damage.image();
    longer[path] += std::string(1 + rng.below(600), static_cast<char>(rng.below(256)));
    damage.expect_sound(longer, {path}, path + " with something behind it");
  }
  print("cut files", damage.tally());
}

TEST_CASE("files that are missing, empty or swapped are told or harmless") {
  const QuietLog quiet;
  Damage damage(make_image(2, 20 * kMinute, 2048));
  for (const auto& [path, bytes] : damage.image()) {
    Image damaged = damage.image();
    damaged[path].clear();
    damage.expect_sound(damaged, {path}, path + " is empty");
    damaged[path].assign(bytes.size(), '\0');
    damage.expect_sound(damaged, {path}, path + " is all zeros");
    damaged.erase(path);
    damage.expect_sound(damaged, {path}, path + " is missing");
    for (const auto& [other, other_bytes] : damage.image()) {
      if (!(path < other) || bytes == other_bytes) continue;
      // A block of version 1 does not say which one it is.
      if (kind_of(path) == "block" && kind_of(other) == "block" && is_old_block(bytes)) continue;
      damaged = damage.image();
      std::swap(damaged[path], damaged[other]);
      damage.expect_sound(damaged, {path, other}, path + " and " + other + " are swapped");
    }
  }
  print("missing, empty and swapped files", damage.tally());
}

TEST_CASE("a log that is missing as a whole is told, also at later starts") {
  const QuietLog quiet;
  Image image = make_image(2, 20 * kMinute, 2048);
  const Readable whole = read(*load(image));
  std::erase_if(image, [](const auto& one) { return kind_of(one.first) == "log segment"; });
  const auto disk = load(image);
  const Readable found = read(*disk);
  CHECK(found.error == "");
  CHECK(found.samples.size() < whole.samples.size());
  REQUIRE(found.warnings.size() == kTenants.size());
  CHECK(found.warnings.front().find("of the log were damaged") != std::string::npos);
  for (int life = 0; life < 2; ++life) CHECK(read(*disk).warnings == found.warnings);
}

TEST_CASE("random damage to larger files is told or harmless, and all else is right") {
  const QuietLog quiet;
  Damage damage(make_image(6, 2 * kMinute, 64 << 10U));
  core::SeededRng rng(seed());
  std::vector<std::string> paths;
  for (const auto& [path, bytes] : damage.image()) paths.push_back(path);
  for (int i = 0; i < (takes_all() ? 3000 : 20); ++i) {
    const std::string& path = paths[rng.below(paths.size())];
    Image damaged = damage.image();
    std::string& bytes = damaged[path];
    if (bytes.empty()) continue;
    const size_t at = rng.below(bytes.size());
    const size_t size = std::min<size_t>(bytes.size() - at, rng.below(3) == 0 ? 4096 : 1);
    for (size_t j = 0; j < size; ++j) bytes[at + j] = static_cast<char>(rng.next());
    damage.expect_sound(damaged, {path}, fmt::format("{} bytes at {} of {}", size, at, path));
  }
  print("random damage", damage.tally());
}

}  // namespace tsdb
