// What this server is and how it is doing: /api/v1/status/*.

#include "api/answer.h"
#include "api/route.h"
#include "core/time.h"

#include <cstdio>
#include <thread>
#include <unistd.h>

namespace api {

namespace {

using core::ErrorCode;
using core::fail;
using core::JsonWriter;
using core::Result;
using net::Response;

Result<Response> build_info(const Call& call) {
  const BuildInfo& build = call.options.build;
  Answer answer;
  JsonWriter& json = answer.json().object();
  json.key("version").value(build.version).key("petrel_version").value(build.petrel_version);
  json.key("revision").value(build.revision).key("branch").value(build.branch);
  json.key("buildUser").value(build.build_user).key("buildDate").value(build.build_date);
  json.key("goVersion").value(build.compiler).end();
  return std::move(answer).finish();
}

std::string working_directory() {
  char path[4096];
  return getcwd(path, sizeof(path)) != nullptr ? path : "";
}

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "";
}

// What the goroutine count stands for here.
int64_t thread_count() {
  FILE* const file = std::fopen("/proc/self/status", "re");
  if (file == nullptr) return 0;
  char line[256];
  long threads = 0;
  while (std::fgets(line, sizeof(line), file) != nullptr) {
    if (std::sscanf(line, "Threads: %ld", &threads) == 1) break;
  }
  std::fclose(file);
  return threads;
}

ConfigState config_state(const Call& call) {
  if (call.options.config_state) return call.options.config_state();
  return {.yaml = {}, .warnings = {}, .reloaded_at_ms = call.options.started_at_ms};
}

Result<Response> runtime_info(const Call& call) {
  const ConfigState config = config_state(call);
  Answer answer;
  JsonWriter& json = answer.json().object();
  json.key("startTime").value(core::format_rfc3339(call.options.started_at_ms));
  json.key("CWD").value(working_directory());
  json.key("hostname").value(host_name());
  json.key("serverTime").value(core::format_rfc3339(call.clock.now_ms()));
  json.key("reloadConfigSuccess").value(config.reload_succeeded);
  json.key("lastConfigTime").value(core::format_rfc3339(config.reloaded_at_ms));
  json.key("corruptionCount")
      .value(call.is_ready && call.options.corruption_count ? call.options.corruption_count() : 0);
  json.key("goroutineCount").value(thread_count());
  json.key("GOMAXPROCS").value(static_cast<int64_t>(std::thread::hardware_concurrency()));
  json.key("GOMEMLIMIT").value(INT64_MAX);
  json.key("GOGC").value("").key("GODEBUG").value("");
  json.key("storageRetention")
      .value(call.options.storage_retention ? call.options.storage_retention() : "");
  // Beyond Prometheus's.
  json.key("degraded").array();
  if (call.is_ready && call.options.trouble) {
    for (const Trouble& one : call.options.trouble()) {
      json.object().key("part").value(one.part).key("reason").value(one.reason);
      json.key("text").value(one.text).key("stopsWrites").value(one.stops_writes).end();
    }
  }
  json.end().end();
  return std::move(answer).finish();
}

Result<Response> flags(const Call& call) {
  Answer answer;
  JsonWriter& json = answer.json().object();
  for (const auto& [name, value] : call.options.flags) json.key(name).value(value);
  json.end();
  return std::move(answer).finish();
}

Result<Response> config(const Call& call) {
  const ConfigState state = config_state(call);
  Answer answer;
  answer.json().object().key("yaml").value(state.yaml).end();
  return std::move(answer).finish(state.warnings);
}

Result<Response> tsdb_blocks(const Call& call) {
  if (!call.services->tsdb_blocks) {
    return fail(ErrorCode::Unsupported, "this node's storage does not offer its blocks");
  }
  Answer answer;
  JsonWriter& json = answer.json().object();
  json.key("blocks").array();
  for (const TsdbBlock& block : call.services->tsdb_blocks(call.tenant)) {
    // Prometheus's names; the sizes are Petrel's.
    json.object().key("ulid").value(block.name);
    json.key("minTime").value(block.time_min_ms).key("maxTime").value(block.time_max_ms);
    json.key("stats").object().key("numSamples").value(block.samples);
    json.key("numSeries").value(block.series).key("numBytes").value(block.bytes).end();
    json.key("compaction").object().key("level").value(block.level);
    json.key("sources").array().value(block.name).end().end();
    json.key("version").value(1).end();
  }
  json.end().end();
  return std::move(answer).finish();
}

Result<Response> wal_replay(const Call& call) {
  const ReplayProgress progress =
      call.options.replay_progress ? call.options.replay_progress() : ReplayProgress{};
  Answer answer;
  JsonWriter& json = answer.json().object();
  json.key("min").value(progress.min).key("max").value(progress.max);
  json.key("current").value(progress.current).end();
  return std::move(answer).finish();
}

constexpr Route kRoutes[] = {
    {"/api/v1/status/buildinfo", "GET", build_info, Needs::Nothing},
    {"/api/v1/status/runtimeinfo", "GET", runtime_info, Needs::Nothing},
    {"/api/v1/status/flags", "GET", flags, Needs::Nothing},
    {"/api/v1/status/config", "GET", config, Needs::Nothing},
    {"/api/v1/status/walreplay", "GET", wal_replay, Needs::Nothing},
    {"/api/v1/status/tsdb/blocks", "GET", tsdb_blocks},
};

}  // namespace

std::span<const Route> status_routes() {
  return kRoutes;
}

}  // namespace api
