#include "app/check_service_discovery.h"

#include "config/prometheus_config.h"
#include "core/file_system.h"
#include "core/json_writer.h"
#include "core/rng.h"
#include "core/thread_pool.h"
#include "core/time.h"
#include "core/timer_thread.h"
#include "discovery/provider.h"
#include "net/http_client.h"
#include "scrape/target.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <optional>
#include <set>

namespace app {
namespace {

using core::Result;

constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr int64_t kTimeoutMs = 30'000;
constexpr const char* kUsageText =
    "usage: petrel check service-discovery [--timeout=30s] FILE JOB\n"
    "\n"
    "Prints what discovery finds for the job, and what relabelling makes of it, as JSON.\n"
    "Ends when every source has answered, or after the timeout.\n"
    "\n"
    "Exit code: 0 fine, 1 bad file or unknown job, 2 wrong usage.\n";

struct Options {
  int64_t timeout_ms = kTimeoutMs;
  std::string file;
  std::string job;
};

Result<Options> parse_options(const std::vector<std::string>& arguments) {
  constexpr std::string_view kTimeout = "--timeout=";
  Options options;
  std::vector<std::string> words;
  for (const std::string& argument : arguments) {
    if (argument.starts_with(kTimeout)) {
      options.timeout_ms =
          TRY(core::parse_duration_ms(argument.substr(kTimeout.size())).context("--timeout"));
    } else if (argument.starts_with("-")) {
      return core::fail(core::ErrorCode::InvalidArgument, "unknown flag {}", argument);
    } else {
      words.push_back(argument);
    }
  }
  if (words.size() != 2) {
    return core::fail(core::ErrorCode::InvalidArgument, "expected a file and a job, got {} words",
                      words.size());
  }
  options.file = words[0];
  options.job = words[1];
  return options;
}

// What the providers of one job have told, until each has told something.
class Findings {
 public:
  explicit Findings(size_t providers) : groups_(providers) {}

  discovery::Provider::Update update_of(size_t provider) {
    return [this, provider](std::vector<config::TargetGroup> changes) {
      const std::lock_guard lock(mutex_);
      auto& groups = groups_[provider];
      if (!groups) groups.emplace();
      for (config::TargetGroup& group : changes) {
        (*groups)[group.source] = std::move(group);
      }
      changed_.notify_all();
    };
  }

  // False: not all of them have told something in time.
  bool wait(int64_t timeout_ms) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [this] {
      return std::all_of(groups_.begin(), groups_.end(),
                         [](const auto& groups) { return groups.has_value(); });
    });
  }

  // After the providers have stopped.
  template <typename Visit>
  void for_each(Visit visit) const {
    for (const auto& groups : groups_) {
      if (!groups) continue;
      for (const auto& [source, group] : *groups) visit(group);
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::optional<std::map<std::string, config::TargetGroup>>> groups_;  // by mutex_
};

void append_labels(std::string& out, std::string_view key, const model::Labels& labels) {
  out += fmt::format("    \"{}\": {{", key);
  bool is_first = true;
  for (const model::Label& label : labels) {
    out += is_first ? "\n      " : ",\n      ";
    is_first = false;
    core::append_json_string(out, label.name);
    out += ": ";
    core::append_json_string(out, label.value);
  }
  out += is_first ? "}" : "\n    }";
}

std::string describe(const scrape::TargetDecision& decision) {
  std::string out = "  {\n";
  append_labels(out, "discoveredLabels", decision.target.discovered);
  out += ",\n";
  const bool is_scraped = decision.outcome == scrape::Outcome::Scraped;
  append_labels(out, "labels", is_scraped ? decision.relabelled : model::Labels());
  if (!decision.error.empty()) {
    out += ",\n    \"error\": ";
    core::append_json_string(out, decision.error);
  }
  return out + "\n  }";
}

// The same target twice in a group is told once.
std::string describe_all(const config::ScrapeConfig& job, const Findings& findings) {
  std::string out;
  findings.for_each([&](const config::TargetGroup& group) {
    std::set<std::string> told;
    for (const model::Labels& own : group.targets) {
      const auto [text, is_new] =
          told.insert(describe(scrape::decide_target(job, group.labels, own)));
      if (is_new) out += (out.empty() ? "\n" : ",\n") + *text;
    }
  });
  return out.empty() ? "[]" : "[" + out + "\n]";
}

Result<config::PrometheusConfig> read_config(const std::string& path) {
  core::PosixFileSystem files;
  const std::string text = TRY(files.read_file(path));
  const config::ReadContext context{files, [](const std::string& name) {
                                      const char* value = std::getenv(name.c_str());
                                      return std::string(value == nullptr ? "" : value);
                                    }};
  return config::parse_prometheus_config(text, path, context);
}

Result<std::string> discover(const config::ScrapeConfig& job, int64_t timeout_ms) {
  core::SystemClock clock;
  core::PosixFileSystem files;
  core::SystemRng rng;
  const std::unique_ptr<net::ClientLoop> loop = TRY(net::ClientLoop::start({}));
  core::TimerThread timers;
  core::ThreadPool pool({.name = "discovery"});
  const discovery::ProviderParts parts{timers, pool, clock, files, rng, *loop, ""};

  Findings findings(job.discoveries.size());
  std::vector<std::unique_ptr<discovery::Provider>> providers;
  for (size_t i = 0; i < job.discoveries.size(); ++i) {
    const std::string name = fmt::format("{}/{}", job.job_name, i);
    providers.push_back(TRY(discovery::make_provider(job.discoveries[i], name, parts)));
  }
  for (size_t i = 0; i < providers.size(); ++i) providers[i]->start(findings.update_of(i));
  const bool all_told = findings.wait(timeout_ms);
  for (const auto& provider : providers) {
    provider->stop();
    const discovery::ProviderStatus status = provider->status();
    if (!status.last_error.empty()) {
      std::fprintf(stderr, "  FAILED: %s: %s\n", status.kind.c_str(), status.last_error.c_str());
    }
    for (const std::string& entry : status.invalid) {
      std::fprintf(stderr, "  FAILED: %s: %s\n", status.kind.c_str(), entry.c_str());
    }
  }
  if (!all_told) {
    std::fprintf(stderr, "  WARNING: not every source of targets has answered within %s\n",
                 core::format_duration(timeout_ms).c_str());
  }
  timers.stop();
  pool.stop();
  return describe_all(job, findings);
}

}  // namespace

int run_check_service_discovery(const std::vector<std::string>& arguments) {
  if (!arguments.empty() && (arguments.back() == "--help" || arguments.back() == "-h")) {
    std::fputs(kUsageText, stdout);
    return 0;
  }
  const Result<Options> options = parse_options(arguments);
  if (!options) {
    std::fprintf(stderr, "%s\n%s", options.error().message.c_str(), kUsageText);
    return kUsage;
  }
  const Result<config::PrometheusConfig> config = read_config(options->file);
  if (!config) {
    std::fprintf(stderr, "  FAILED: %s\n", config.error().message.c_str());
    return kFailed;
  }
  const auto job = std::find_if(
      config->scrapes.begin(), config->scrapes.end(),
      [&options](const config::ScrapeConfig& one) { return one.job_name == options->job; });
  if (job == config->scrapes.end()) {
    std::fprintf(stderr, "Job %s not found. Select one of:\n", options->job.c_str());
    for (const config::ScrapeConfig& one : config->scrapes) {
      std::fprintf(stderr, "\t%s\n", one.job_name.c_str());
    }
    return kFailed;
  }
  const Result<std::string> found = discover(*job, options->timeout_ms);
  if (!found) {
    std::fprintf(stderr, "  FAILED: %s\n", found.error().message.c_str());
    return kFailed;
  }
  std::printf("%s\n", found->c_str());
  return 0;
}

}  // namespace app
