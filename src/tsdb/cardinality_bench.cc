// What counting costs, and how long it keeps others from the head.
//
//   cardinality_bench DIR [SERIES]
//
// A fleet of targets with 100 series each, a tenth of the series with a label value of their
// own. Prints CPU and wall time of a walk, and how long a second thread waited for the head's
// lock meanwhile.

#include "core/clock.h"
#include "core/log.h"
#include "core/rng.h"
#include "tsdb/embedded_log.h"
#include "tsdb/engine.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fmt/core.h>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int64_t kNow = 1'700'000'000'000;

class BenchClock final : public core::Clock {
 public:
  int64_t now_ms() const override { return kNow; }
  int64_t monotonic_ns() const override { return system_.monotonic_ns(); }

 private:
  core::SystemClock system_;
};

double thread_cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

model::Labels labels_of(size_t i) {
  return model::Labels::of({{"__name__", fmt::format("node_metric_{}_total", i % 100)},
                            {"id", i % 10 == 0 ? fmt::format("request-{}", i) : "none"},
                            {"instance", fmt::format("host-{:06}.example.com:9100", i / 100)},
                            {"job", fmt::format("job-{}", i / 100 % 20)},
                            {"service", fmt::format("service-{}", i / 1'000)}});
}

bool fill(tsdb::Engine& engine, size_t series) {
  storage::WriteBatch batch;
  for (size_t i = 0; i < series; ++i) {
    batch.add(labels_of(i), kNow, static_cast<double>(i));
    if (batch.series.size() < 5'000 && i + 1 < series) continue;
    const auto summary = engine.append(batch);
    if (!summary || summary->refused_total() != 0) return false;
    batch = {};
  }
  return true;
}

// How long each look at the head took while `walk` ran, in ns, sorted.
template <typename Walk>
std::vector<int64_t> waits_during(const tsdb::Engine& engine, const core::Clock& clock,
                                  const Walk& walk) {
  std::vector<int64_t> waits;
  std::atomic<bool> is_done = false;
  std::thread other([&] {
    while (!is_done) {
      const int64_t before = clock.monotonic_ns();
      if (!engine.head_totals("default")) return;
      waits.push_back(clock.monotonic_ns() - before);
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  });
  walk();
  is_done = true;
  other.join();
  std::sort(waits.begin(), waits.end());
  return waits;
}

void measure(const tsdb::Engine& engine, const core::Clock& clock, bool with_targets) {
  double cpu = 0;
  int64_t wall_ns = 0;
  uint64_t slices = 0;
  const std::vector<int64_t> waits = waits_during(engine, clock, [&] {
    const double cpu_before = thread_cpu_seconds();
    const int64_t before = clock.monotonic_ns();
    const auto counts = engine.count_head("default", {.top = 10'000, .with_targets = with_targets});
    wall_ns = clock.monotonic_ns() - before;
    cpu = thread_cpu_seconds() - cpu_before;
    slices = counts ? counts->slices : 0;
  });
  if (waits.empty()) return;
  const auto ms = [](int64_t ns) { return static_cast<double>(ns) / 1e6; };
  fmt::print(
      "{:15} CPU {:7.1f} ms, wall {:7.1f} ms, {} slices of {:.2f} ms; a look at the head "
      "meanwhile p50 {:.3f} ms, p99 {:.3f} ms, max {:.3f} ms\n",
      with_targets ? "with targets:" : "status:", cpu * 1e3, ms(wall_ns), slices,
      cpu * 1e3 / static_cast<double>(slices), ms(waits[waits.size() / 2]),
      ms(waits[waits.size() * 99 / 100]), ms(waits.back()));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s DIR [SERIES]\n", argv[0]);
    return 2;
  }
  const std::string dir = argv[1];
  const size_t series = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1'000'000;
  core::set_log_level(core::LogLevel::Warn);
  core::PosixFileSystem files;
  core::SystemRng rng;
  const BenchClock clock;
  BenchClock engine_clock;
  auto lock = tsdb::lock_data_dir(files, dir);
  auto log = lock ? tsdb::EmbeddedLog::open({.dir = dir + "/log"}, files, engine_clock, rng)
                  : tl::unexpected(lock.error());
  if (!log) {
    std::fprintf(stderr, "%s\n", log.error().message.c_str());
    return 1;
  }
  tsdb::EngineOptions options;
  options.data_dir = dir;
  auto engine = tsdb::Engine::open(options, {files, engine_clock, rng, **log}, std::move(*lock));
  if (!engine || !fill(**engine, series)) {
    std::fprintf(stderr, "the engine does not take the series\n");
    return 1;
  }
  fmt::print("{} series, {} label pairs\n", series, (*engine)->head_totals("default")->label_pairs);
  for (const bool with_targets : {false, true}) measure(**engine, clock, with_targets);
  const double before = thread_cpu_seconds();
  const auto share = (*engine)->sample_fallback("default", 8'192);
  fmt::print("fallback share of {} sampled: CPU {:.1f} ms\n", share ? share->sampled : 0,
             (thread_cpu_seconds() - before) * 1e3);
  return 0;
}
