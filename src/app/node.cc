#include "app/node.h"

#include "app/roles.h"
#include "app/sizes.h"
#include "app/web_assets.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/time.h"
#include "rules/default_rules.h"

#include <cstdlib>
#include <map>
#include <set>

namespace app {
namespace {

using core::ErrorCode;
using core::Result;

constexpr size_t kWriteThreads = 16;  // share one sync of the log
constexpr size_t kRequestThreads = 4;
constexpr size_t kScrapingThreads = 4;    // one reads while others wait for the disk
constexpr size_t kDiscoveryThreads = 4;   // a dead name server holds one for seconds
constexpr size_t kBackgroundThreads = 4;  // rules, collector, notifier and one long flush

std::function<rules::RulesView()> rules_view(Node& node) {
  if (!node.rules) return {};
  return [&node] { return node.rules->snapshot(); };
}

core::Gauge& unsupported_gauge(const std::string& key) {
  return core::gauge("petrel_config_unsupported_keys",
                     "Places in the configuration where a key stands that has no effect yet.",
                     {{"key", key}});
}

// Keys come as "remote_write (prometheus.yml:7:1)"; the place is for the log, since a label
// with it would make new series of every edit. Zero for keys that a reload removed.
void publish_unsupported(const std::vector<std::string>& keys) {
  static std::set<std::string> published;
  std::map<std::string, int> places;
  for (const std::string& key : published) places[key] = 0;
  for (const std::string& key : keys) {
    ++places[key.substr(0, key.rfind(" ("))];
    core::log_warn("config", "this key has no effect yet", {{"key", key}});
  }
  for (const auto& [key, count] : places) {
    published.insert(key);
    unsupported_gauge(key).set(count);
  }
}

std::vector<std::string> unsupported_keys(const LoadedFiles& loaded) {
  std::vector<std::string> keys = loaded.config.unsupported_keys;
  keys.insert(keys.end(), loaded.alerting.unsupported.begin(), loaded.alerting.unsupported.end());
  return keys;
}

api::ConfigState config_state(Node& node) {
  const std::lock_guard lock(node.reload_mutex);
  api::ConfigState state;
  state.yaml = node.loaded.config.effective_yaml;
  for (const std::string& key : unsupported_keys(node.loaded)) {
    state.warnings.push_back(key + " has no effect yet");
  }
  state.reload_succeeded = node.reload_succeeded;
  state.reloaded_at_ms = node.reloaded_at_ms;
  return state;
}

// Called with reload_mutex, or before anyone else knows the node.
void note_reload(Node& node, bool successful) {
  node.reload_succeeded = successful;
  core::gauge("petrel_config_last_reload_successful",
              "Whether the last reading of the configuration succeeded.")
      .set(successful ? 1 : 0);
  if (!successful) return;
  node.reloaded_at_ms = node.clock.now_ms();
  core::gauge("petrel_config_last_reload_success_timestamp_seconds",
              "When the configuration was last read successfully.")
      .set(static_cast<double>(node.reloaded_at_ms) / 1000);
}

std::string environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? "" : value;
}

Result<void> apply_scrapes(Node& node, const config::PrometheusConfig& config) {
  return node.scrapes->apply(config.scrapes, config.global.external_labels);
}

// Where the configuration says nothing.
tenant::Limits default_limits(const Flags& flags) {
  tenant::Limits limits;
  limits.series_max = flags.series_max;
  return limits;
}

void apply_limits(Node& node, const tenant::LimitsConfig& config) {
  node.limits.apply(config);
  node.push_bytes.set_max(config.instance.inflight_bytes_max);
}

void publish_build_info() {
  core::gauge("petrel_build_info", "1, labelled with the version this program was built as.",
              {{"version", std::string(petrel_version())}, {"compiler", __VERSION__}})
      .set(1);
}

Result<void> start_http(Node& node) {
  api::ApiOptions options;
  options.build.petrel_version = petrel_version();
  options.build.compiler = std::string("g++ ") + __VERSION__;
  options.flags = node.flags.listing;
  options.started_at_ms = node.clock.now_ms();
  options.storage_retention = [&node] {
    return format_retention(node.flags.retention_ms, node.flags.retention_bytes);
  };
  options.cors_origin = node.flags.cors_origin;
  options.push_gate = &node.push_gate;
  options.created_zero_samples = node.flags.has_feature(kCreatedZeroSamples);
  options.enable_lifecycle = node.flags.enable_lifecycle;
  options.enable_admin_api = node.flags.enable_admin_api;
  options.reload = [&node] { return reload(node); };
  options.config_state = [&node] { return config_state(node); };
  options.trouble = [&node] { return trouble_of(node); };
  options.corruption_count = [&node]() -> uint64_t {
    return node.log ? node.log->damage().size() : 0;
  };
  options.replay_progress = [&node]() -> api::ReplayProgress {
    if (!node.engine) return {};
    const tsdb::ReplayProgress progress = node.engine->progress();
    return {.min = 0, .max = progress.end, .current = progress.position};
  };
  node.api = std::make_unique<api::Api>(std::move(options), node.clock, web_assets());

  net::HttpServerOptions server;
  server.listen_address = node.flags.listen_address;
  server.connections_max = node.flags.connections_max;
  server.read_timeout_ms = node.flags.read_timeout_ms;
  // Slow queries must not keep samples waiting.
  server.executor_for = [&node](const net::Request& request) -> core::Executor* {
    if (node.api->is_push(request)) return &node.writes;
    return node.api->is_query(request) ? &node.queries : nullptr;
  };
  server.body_budget = &node.push_bytes;
  server.on_body_refused = [&node](size_t bytes) {
    tenant::count_refused_request("", "inflight_bytes");  // whose it is was not looked at
    return tenant::inflight_message(node.push_bytes, bytes);
  };
  node.server =
      TRY(net::HttpServer::start(server, node.requests, [&node](const net::Request& request) {
        if (auto refused = node.guard.refuse(request)) return std::move(*refused);
        return node.api->handle(request);
      }));
  return {};
}

}  // namespace

Node::Node(Flags given)
    : flags(std::move(given)),
      queries({.name = "queries",
               .threads = flags.query_concurrency,
               .queue_max = 1024,
               .spin_us = 50}),
      writes({.name = "writes", .threads = kWriteThreads, .queue_max = 1024}),
      requests({.name = "requests", .threads = kRequestThreads, .queue_max = 1024}),
      scraping({.name = "scraping", .threads = kScrapingThreads, .queue_max = 1024}),
      discovery({.name = "discovery", .threads = kDiscoveryThreads, .queue_max = 1024}),
      background({.name = "background", .threads = kBackgroundThreads, .queue_max = 4096}),
      merging({.name = "merging", .threads = 1, .queue_max = 4}),
      limits(default_limits(flags)),
      push_bytes(limits.instance().inflight_bytes_max),
      push_gate(limits, clock, push_bytes),
      guard({.allow_anonymous = flags.allow_anonymous,
             .allowed_hosts = flags.allowed_hosts,
             .external_url = flags.external_url}) {}

Node::~Node() = default;

Result<LoadedFiles> load_files(const Flags& flags, core::FileSystem& files) {
  LoadedFiles loaded;
  std::string text;
  if (!flags.config_file.empty()) {
    text = TRY(files.read_file(flags.config_file).context("--config.file"));
  }
  // Without a file the defaults are read, and shown, from an empty one.
  loaded.config =
      TRY(config::parse_prometheus_config(text, flags.config_file, {files, environment}));
  std::vector<std::string> patterns = loaded.config.rule_globs;
  patterns.insert(patterns.end(), flags.rule_globs.begin(), flags.rule_globs.end());
  for (const std::string& path : TRY(config::expand_globs(patterns))) {
    loaded.rule_files.push_back({path, TRY(files.read_file(path).context("rule file"))});
  }
  if (flags.wants_default_rules()) loaded.rule_files.push_back(rules::default_rules());

  if (!flags.alertmanager_config_file.empty()) {
    const std::string& path = flags.alertmanager_config_file;
    text = TRY(files.read_file(path).context("--alertmanager.config.file"));
    loaded.alerting = TRY(alerting::load_config(text, path));
  } else if (!flags.webhook_url.empty()) {
    loaded.alerting.config =
        TRY(alerting::webhook_config(flags.webhook_url).context("--alerting.webhook-url"));
  } else {
    loaded.alerting.config = alerting::no_receivers();
  }
  return loaded;
}

std::vector<api::Trouble> trouble_of(const Node& node) {
  std::vector<api::Trouble> all;
  if (node.engine) {
    if (const Result<void> writable = node.engine->writable(); !writable) {
      all.push_back({.part = "storage",
                     .reason = node.engine->has_unread_files() ? "unread" : "manifest",
                     .text = "read-only: " + writable.error().message,
                     .stops_writes = true});
    }
  }
  if (node.storage) {
    if (std::optional<tsdb::StorageTrouble> one = node.storage->trouble()) {
      all.push_back({.part = "storage",
                     .reason = std::move(one->reason),
                     .text = std::move(one->text),
                     .stops_writes = one->stops_writes});
    }
  }
  const std::lock_guard lock(node.trouble_mutex);
  if (!node.alerting_trouble.empty()) {
    all.push_back({.part = "alerting", .reason = "alert_store", .text = node.alerting_trouble});
  }
  return all;
}

Result<void> reload(Node& node) {
  const std::lock_guard lock(node.reload_mutex);
  if (node.is_stopping) return core::fail(ErrorCode::Unavailable, "the server is stopping");
  const auto apply = [&node]() -> Result<void> {
    LoadedFiles fresh = TRY(load_files(node.flags, node.files));
    if (node.scrapes) TRY(apply_scrapes(node, fresh.config));
    if (node.rules) {
      Result<void> rules =
          node.rules->load(fresh.rule_files, fresh.config.global.evaluation_interval_ms,
                           fresh.config.global.rule_query_offset_ms,
                           fresh.config.global.external_labels, fresh.config.alert_relabel_rules);
      if (!rules) {
        // All or nothing; what could be applied before can be applied again.
        if (node.scrapes) TRY(apply_scrapes(node, node.loaded.config));
        return rules;
      }
    }
    if (node.notifier) node.notifier->reload(fresh.alerting.config);
    apply_limits(node, fresh.config.limits);
    node.loaded = std::move(fresh);
    return {};
  };
  node.watched.begin_reading(files_fingerprint(node.files, watched_paths(node)));
  const Result<void> result = apply();
  node.watched.end_reading(files_fingerprint(node.files, watched_paths(node)), result.has_value());
  note_reload(node, result.has_value());
  if (!result) {
    core::log_error("config", "reload failed, the old configuration stays",
                    {{"error", result.error().message}});
    return result;
  }
  publish_unsupported(unsupported_keys(node.loaded));
  core::log_info("config", "configuration reloaded");
  return {};
}

Result<void> start_node(Node& node) {
  const std::vector<const Role*> roles = TRY(select_roles(node.flags.roles));
  TRY(check_listen_address(node.flags.listen_address, node.flags.allow_anonymous));
  node.loaded = TRY(load_files(node.flags, node.files));
  const uint32_t fingerprint = files_fingerprint(node.files, watched_paths(node));
  node.watched.begin_reading(fingerprint);
  node.watched.end_reading(fingerprint, true);
  node.data_lock = TRY(tsdb::lock_data_dir(node.files, node.flags.data_path));
  publish_build_info();
  apply_limits(node, node.loaded.config.limits);
  TRY(start_http(node));
  note_reload(node, true);
  publish_unsupported(unsupported_keys(node.loaded));

  for (const Role* role : roles) TRY(role->start(node));
  publish_services(node);
  start_config_watch(node);
  return {};
}

void publish_services(Node& node) {
  node.api->set_services(
      {.sink = node.storage.get(),
       .source = node.engine.get(),
       .engine = node.promql.get(),
       .rules = rules_view(node),
       .cardinality = node.cardinality.get(),
       .tsdb_blocks =
           [&node](const model::TenantId& tenant) { return list_blocks(*node.engine, tenant); },
       .tsdb_admin = node.tsdb_admin.get(),
       .scrape = node.scrapes.get()});
}

void stop_node(Node& node) {
  // New requests are refused first, so that nothing is acknowledged while parts stop.
  constexpr int64_t kGraceMs = 5'000;
  {
    const std::lock_guard lock(node.reload_mutex);
    node.is_stopping = true;
  }
  stop_config_watch(node);
  if (node.api) node.api->cancel_queries();
  // Merges that requests run, too: clear_services() waits for those.
  if (node.engine) node.engine->stop_merging();
  if (node.server) node.server->stop(kGraceMs);
  if (node.api) node.api->clear_services();
  const std::span<const Role> roles = role_table();
  for (auto role = roles.rbegin(); role != roles.rend(); ++role) role->stop(node);
  node.queries.stop();
  node.writes.stop();
  node.requests.stop();
  node.scraping.stop();
  node.discovery.stop();
  node.background.stop();
  node.merging.stop();
  node.timers.stop();
}

}  // namespace app
