// How fast the engine takes and gives samples, on the host's disk.
//
//   engine_bench DIR [SERIES [ROUNDS [rules]]]
//
// One thread appends batches of 5000 series with 12 labels, then everything is read
// back. Prints samples per CPU second and memory per series. With "rules" the batches are
// pushed by a tenant whose write_relabel_configs rewrite each series.

#include "core/clock.h"
#include "core/log.h"
#include "core/rng.h"
#include "tsdb/embedded_log.h"
#include "tsdb/engine.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fmt/core.h>
#include <malloc.h>
#include <string>
#include <vector>

namespace {

class BenchClock final : public core::Clock {
 public:
  int64_t now_ms() const override { return now; }
  int64_t monotonic_ns() const override { return system.monotonic_ns(); }
  int64_t now = 1'700'000'000'000;
  core::SystemClock system;
};

size_t heap_bytes() {
  return mallinfo2().uordblks;
}

std::vector<std::string> make_labels(size_t count) {
  std::vector<std::string> all;
  for (size_t i = 0; i < count; ++i) {
    std::vector<std::pair<std::string, std::string>> pairs = {
        {"__name__", fmt::format("node_metric_{}_total", i % 100)},
        {"instance", fmt::format("host-{:05}.dc1.example.com:9100", i / 100)},
        {"job", "node"},
        {"pool", fmt::format("pool-{}", i / 10'000)},
        {"region", fmt::format("eu-west-{}", i / 50'000 % 3)},
        {"env", "production"},
        {"team", fmt::format("team-{}", i / 10'000 % 37)},
        {"service", fmt::format("service-{}", i / 1'000)},
        {"cluster", "k8s-main"},
        {"az", fmt::format("az{}", i / 100 % 3)},
        {"rack", fmt::format("rack-{}", i / 100 % 40)},
        {"version", "1.27.3"}};
    all.push_back(model::Labels::of(std::move(pairs)).bytes());
  }
  return all;
}

double value_of(core::SeededRng& rng, size_t series, double before) {
  switch (series % 5) {
    case 0:
      return 1;  // constant
    case 1:
      return before + static_cast<double>(rng.below(100));  // counter
    case 2:
      return std::round(before * 100 + static_cast<double>(rng.below(1000))) / 100;  // seconds
    case 3:
      return 40 + static_cast<double>(rng.below(300)) / 10;  // gauge
    default:
      return static_cast<double>(rng.below(1 << 20U)) * 4096;  // memory
  }
}

// A rule that drops nothing, and one that rewrites every series.
tenant::LimitsConfig with_rules() {
  tenant::LimitsConfig config;
  config.limits.sets_relabel_rules = true;
  const auto add = [&](model::RelabelConfig rule) {
    config.limits.relabel_rules.push_back(
        *model::RelabelRule::create(std::move(rule), model::NameScheme::Utf8));
  };
  add({.source_labels = {"__name__"}, .regex = "debug_.*", .action = model::RelabelAction::Drop});
  add({.regex = "version", .action = model::RelabelAction::LabelDrop, .has_regex = true});
  return config;
}

// CPU time of the process: on a shared machine the only figure that repeats.
struct Stopwatch {
  static double now() {
    timespec time{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
  }
  double started = now();
  double seconds() const { return now() - started; }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s DIR [SERIES [ROUNDS]]\n", argv[0]);
    return 2;
  }
  const std::string dir = argv[1];
  const size_t series = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 100'000;
  const size_t rounds = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 60;
  const bool has_rules = argc > 4;
  constexpr size_t kBatch = 5000;
  core::set_log_level(core::LogLevel::Warn);
  core::PosixFileSystem files;
  core::SystemRng rng;
  core::SeededRng values_rng(1);
  BenchClock clock;
  auto lock = tsdb::lock_data_dir(files, dir);
  auto log = lock ? tsdb::EmbeddedLog::open({.dir = dir + "/wal"}, files, clock, rng)
                  : tl::unexpected(lock.error());
  if (!log) {
    std::fprintf(stderr, "%s\n", log.error().message.c_str());
    return 1;
  }
  tsdb::EngineOptions options;
  options.data_dir = dir;
  tenant::LimitsTable limits;
  if (has_rules) limits.apply(with_rules());
  auto opened = tsdb::Engine::open(options, {files, clock, rng, **log, &limits}, std::move(*lock));
  if (!opened) {
    std::fprintf(stderr, "%s\n", opened.error().message.c_str());
    return 1;
  }
  tsdb::Engine& engine = **opened;

  const std::vector<std::string> labels = make_labels(series);
  std::vector<double> values(series);
  std::vector<storage::WriteBatch> batches((series + kBatch - 1) / kBatch);
  for (size_t i = 0; i < series; ++i) {
    batches[i / kBatch].is_pushed = has_rules;
    batches[i / kBatch].begin_series(labels[i]);
    batches[i / kBatch].add_sample(0, 0);
  }
  const size_t heap_before = heap_bytes();
  double first_seconds = 0;
  double append_seconds = 0;
  for (size_t round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < series; ++i) {
      values[i] = value_of(values_rng, i, values[i]);
      batches[i / kBatch].samples[i % kBatch] = {clock.now, values[i]};
    }
    const Stopwatch watch;
    for (const storage::WriteBatch& batch : batches) {
      auto summary = engine.append(batch);
      if (!summary || summary->refused_total() != 0) {
        std::fprintf(stderr, "append: %s\n", summary ? "refused" : summary.error().message.c_str());
        return 1;
      }
    }
    (round == 0 ? first_seconds : append_seconds) += watch.seconds();
    if (round == 4 || round + 1 == rounds) {
      fmt::print("after {:3} samples: {:5.0f} bytes/series\n", round + 1,
                 static_cast<double>(heap_bytes() - heap_before) / static_cast<double>(series));
    }
    clock.now += 10'000;
  }
  const auto per_second = [&](double count, double seconds) { return count / seconds / 1e6; };
  fmt::print("new series      {:8.3f} M/CPU-s\n",
             per_second(static_cast<double>(series), first_seconds));
  fmt::print("known series    {:8.3f} M samples/CPU-s\n",
             per_second(static_cast<double>(series * (rounds - 1)), append_seconds));

  for (const bool one_metric : {false, true}) {
    storage::SelectRequest request;
    request.range = {0, clock.now + 1};
    if (one_metric) request.matchers = {model::Matcher::equal("__name__", "node_metric_1_total")};
    const Stopwatch watch;
    auto set = engine.select(request);
    storage::SeriesBatch batch;
    size_t found = 0;
    size_t samples = 0;
    while (*(*set)->next(batch)) {
      found += batch.size();
      samples += batch.values.size();
    }
    fmt::print("read {:8} series, {:10} samples: {:8.3f} ms, {:8.1f} M samples/CPU-s\n", found,
               samples, watch.seconds() * 1e3,
               per_second(static_cast<double>(samples), watch.seconds()));
  }
  const Stopwatch watch;
  if (auto report = engine.flush_all(); !report) return 1;
  fmt::print("flush           {:8.3f} s, {:.2f} bytes/sample in blocks\n", watch.seconds(),
             static_cast<double>(engine.stats("default").block_bytes) /
                 static_cast<double>(series * rounds));
  {
    storage::SelectRequest request;
    request.range = {0, clock.now + 1};
    const Stopwatch read;
    auto set = engine.select(request);
    storage::SeriesBatch batch;
    size_t samples = 0;
    while (*(*set)->next(batch)) samples += batch.values.size();
    fmt::print("read blocks     {:10} samples: {:8.1f} M samples/CPU-s\n", samples,
               per_second(static_cast<double>(samples), read.seconds()));
  }
  return 0;
}
