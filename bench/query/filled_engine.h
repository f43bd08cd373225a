// An engine with made counters, one sample per 10 s. What was filled once is kept for the
// next run.

#pragma once

#include "core/clock.h"
#include "core/rng.h"
#include "tsdb/embedded_log.h"
#include "tsdb/engine.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

inline constexpr int64_t kScrapeMs = 10'000;

class SetClock final : public core::Clock {
 public:
  int64_t now_ms() const override { return now; }
  int64_t monotonic_ns() const override { return system_.monotonic_ns(); }
  int64_t now = 1'700'000'000'000;

 private:
  core::SystemClock system_;
};

// Series come in tens, which are scraped together.
struct FilledEngineOptions {
  std::string dir;
  size_t series = 0;
  int64_t minutes = 0;
  std::function<model::Labels(size_t)> labels;
};

class FilledEngine {
 public:
  static core::Result<std::unique_ptr<FilledEngine>> open(const FilledEngineOptions& options);

  tsdb::Engine& engine() { return *engine_; }
  const core::Clock& clock() const { return clock_; }
  // Of the newest samples, without the offset of their target.
  int64_t end_ms() const { return clock_.now - kScrapeMs; }

 private:
  core::Result<void> fill(const FilledEngineOptions& options);

  core::PosixFileSystem files_;
  core::SystemRng rng_;
  SetClock clock_;
  std::unique_ptr<tsdb::EmbeddedLog> log_;
  std::unique_ptr<tsdb::Engine> engine_;
};

// Runs `work` so many times; the median and 95th percentile in milliseconds.
struct Timing {
  double wall_ms = 0;
  double cpu_ms = 0;
  double wall_p95_ms = 0;
};
core::Result<Timing> time_of(int runs, const std::function<core::Result<void>()>& work);
