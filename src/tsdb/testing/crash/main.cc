// Runs many seeds of the crash simulator, or one with every step told.
//
//   crash_simulation [--seeds N] [--first N] [--jobs N] [--mutation NAME]
//                    [--check-gaps] [--keep-going]
//   crash_simulation --list-mutations
//   PETREL_CRASH_SEED=n crash_simulation
//
// Exit status 0: no promise was broken; 1: one was; 2: bad arguments; 3: --check-gaps and a
// fault that matters was never met.

#include "core/log.h"
#include "core/mutation.h"
#include "tsdb/testing/crash_simulator.h"
#include "tsdb/testing/mutations.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fmt/core.h>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

using tsdb::testing::CrashCoverage;
using tsdb::testing::CrashOutcome;

struct Arguments {
  uint64_t seeds = 1000;
  uint64_t first = 0;
  uint64_t jobs = 1;
  std::string mutation;
  bool checks_gaps = false;
  bool keeps_going = false;  // behind the first broken seed, telling each
};

thread_local uint64_t running_seed = 0;

// A failed ENSURE ends the process: at least say where.
void tell_seed(int signal_number) {
  char text[64];
  const int size = std::snprintf(text, sizeof(text), "ended by signal %d in seed %llu\n",
                                 signal_number, static_cast<unsigned long long>(running_seed));
  if (size > 0) {
    [[maybe_unused]] const ssize_t written = ::write(2, text, static_cast<size_t>(size));
  }
  std::signal(signal_number, SIG_DFL);
  std::raise(signal_number);
}

int replay_one(uint64_t seed) {
  core::set_log_level(core::LogLevel::Debug);
  CrashCoverage coverage;
  running_seed = seed;
  const CrashOutcome outcome =
      tsdb::testing::run_crash_seed({.seed = seed, .trace = true}, coverage);
  for (const std::string& line : outcome.trace) fmt::print("{}\n", line);
  fmt::print("seed {}: {}\n", seed, outcome.broken.value_or("no promise broken"));
  return outcome.broken ? 1 : 0;
}

struct Failure {
  uint64_t seed = 0;
  std::string what;
};

class Runner {
 public:
  explicit Runner(const Arguments& arguments)
      : arguments_(arguments), next_(arguments.first), end_(arguments.first + arguments.seeds) {}

  int run() {
    const auto started = std::chrono::steady_clock::now();
    std::vector<std::jthread> workers;
    for (uint64_t i = 0; i < arguments_.jobs; ++i) workers.emplace_back([this] { work(); });
    auto told = started;
    while (running_ > 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      const auto now = std::chrono::steady_clock::now();
      if (now - told < std::chrono::seconds(5)) continue;
      told = now;
      tell_progress(std::chrono::duration<double>(now - started).count());
    }
    workers.clear();
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    fmt::print("{}", coverage_.to_string());
    fmt::print("{} seeds in {:.1f} s, {:.0f} per second\n", done_.load(), seconds,
               static_cast<double>(done_) / seconds);
    if (failure_) {
      fmt::print("FAILED: seed {}: {}\n", failure_->seed, failure_->what);
      if (arguments_.mutation.empty()) {
        fmt::print("PETREL_CRASH_SEED={} shows it step by step\n", failure_->seed);
      }
      return 1;
    }
    fmt::print("{} faults met\n", coverage_.faults());
    if (!arguments_.checks_gaps) return 0;
    const std::vector<std::string> gaps = coverage_.gaps();
    for (const std::string& gap : gaps) fmt::print("never met: {}\n", gap);
    return gaps.empty() ? 0 : 3;
  }

 private:
  void work() {
    CrashCoverage coverage;
    while (!stop_) {
      const uint64_t seed = next_++;
      if (seed >= end_) break;
      running_seed = seed;
      const CrashOutcome outcome = tsdb::testing::run_crash_seed({.seed = seed}, coverage);
      ++done_;
      if (!outcome.broken) continue;
      const std::lock_guard lock(mutex_);
      if (!failure_ || failure_->seed > seed) failure_ = {seed, *outcome.broken};
      if (!arguments_.keeps_going) {
        stop_ = true;
      } else {
        fmt::print("broken: seed {}: {}\n", seed, *outcome.broken);
        std::fflush(stdout);
      }
    }
    const std::lock_guard lock(mutex_);
    coverage_.add(coverage);
    --running_;
  }

  void tell_progress(double seconds) const {
    const double rate = static_cast<double>(done_) / seconds;
    const double left = rate > 0 ? static_cast<double>(arguments_.seeds - done_) / rate : 0;
    fmt::print(stderr, "{} of {} seeds, {:.0f} per second, {:.0f} s left\n", done_.load(),
               arguments_.seeds, rate, left);
  }

  const Arguments arguments_;
  std::atomic<uint64_t> next_;
  const uint64_t end_;
  std::atomic<uint64_t> done_ = 0;
  std::atomic<uint64_t> running_ = arguments_.jobs;
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;
  CrashCoverage coverage_;          // protected by mutex_
  std::optional<Failure> failure_;  // protected by mutex_
};

std::optional<uint64_t> number(std::string_view text) {
  char* end = nullptr;
  const std::string copy(text);
  const uint64_t value = std::strtoull(copy.c_str(), &end, 10);
  if (copy.empty() || *end != '\0') return std::nullopt;
  return value;
}

std::optional<Arguments> parse(const std::vector<std::string_view>& words) {
  Arguments arguments;
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--check-gaps") {
      arguments.checks_gaps = true;
      continue;
    }
    if (words[i] == "--keep-going") {
      arguments.keeps_going = true;
      continue;
    }
    if (i + 1 == words.size()) return std::nullopt;
    const std::string_view name = words[i];
    const std::string_view value = words[++i];
    if (name == "--mutation") {
      arguments.mutation = value;
      continue;
    }
    const std::optional<uint64_t> parsed = number(value);
    if (!parsed) return std::nullopt;
    if (name == "--seeds") {
      arguments.seeds = *parsed;
    } else if (name == "--first") {
      arguments.first = *parsed;
    } else if (name == "--jobs") {
      arguments.jobs = std::max<uint64_t>(*parsed, 1);
    } else {
      return std::nullopt;
    }
  }
  return arguments;
}

}  // namespace

int main(int count, char** words) {
  const std::vector<std::string_view> given(words + 1, words + count);
  if (given.size() == 1 && given[0] == "--list-mutations") {
    for (const tsdb::testing::Mutation& one : tsdb::testing::kMutations) {
      fmt::print("{}\t{}\t{}\n", one.name, one.file, one.why);
    }
    return 0;
  }
  const std::optional<Arguments> arguments = parse(given);
  if (!arguments) {
    fmt::print(stderr, "crash_simulation: cannot read the arguments; see its source\n");
    return 2;
  }
  if (!arguments->mutation.empty()) {
#ifdef PETREL_MUTATIONS
    core::active_mutation() = arguments->mutation;
#else
    fmt::print(stderr, "crash_simulation: built without PETREL_MUTATIONS\n");
    return 2;
#endif
  }
  std::signal(SIGABRT, tell_seed);
  std::signal(SIGSEGV, tell_seed);
  if (const char* const seed = std::getenv("PETREL_CRASH_SEED")) {
    const std::optional<uint64_t> parsed = number(seed);
    return parsed ? replay_one(*parsed) : 2;
  }
  core::set_log_level(static_cast<core::LogLevel>(99));
  return Runner(*arguments).run();
}
