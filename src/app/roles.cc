#include "app/roles.h"

#include "core/log.h"
#include "core/metrics.h"
#include "rules/engine_query.h"

#include <algorithm>
#include <array>
#include <climits>
#include <sys/resource.h>
#include <unistd.h>

namespace app {
namespace {

using core::Result;

constexpr int64_t kMaintenancePeriodMs = 5'000;
constexpr int64_t kMaintenancePeriodMaxMs = 60'000;
constexpr int64_t kDiskPeriodMs = 1'000;
// A disk that the alert store cannot be opened on is asked again this often.
constexpr int64_t kAlertingRetryMs = 10'000;
constexpr int64_t kCardinalityFirstMs = 5'000;
constexpr int64_t kCardinalityPeriodMs = 60'000;
constexpr int64_t kMergePeriodMs = 30'000;
constexpr int kMergeNiceness = 10;  // a tenth of the CPU when others want it

void schedule_alerting(Node& node);

std::string in_data_dir(const Node& node, std::string_view name) {
  std::string path = node.flags.data_path;
  if (!path.ends_with('/')) path += '/';
  return path.append(name);
}

// "host name:port" as other machines may know this one.
std::string host_and_port(const Node& node) {
  std::array<char, HOST_NAME_MAX + 1> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return fmt::format("{}:{}", name.data(), node.server->port());
}

std::string external_url(const Node& node) {
  std::string url = node.flags.external_url;
  if (url.empty()) url = "http://" + host_and_port(node);
  while (url.ends_with('/')) url.pop_back();
  return url;
}

// A disk that cannot take a block now can hardly take it in five seconds: each failure
// doubles the wait.
void schedule_maintenance(Node& node, int64_t wait_ms = kMaintenancePeriodMs) {
  node.maintenance_timer = node.timers.after(wait_ms, [&node, wait_ms] {
    const bool posted = node.background.post([&node, wait_ms] {
      const auto done = node.engine->maintain();
      int64_t next_ms = kMaintenancePeriodMs;
      if (!done) {
        next_ms = std::min(2 * wait_ms, kMaintenancePeriodMaxMs);
        core::log_error("tsdb", "maintenance failed, it will be tried again",
                        {{"error", done.error().message}, {"in_ms", next_ms}});
      }
      schedule_maintenance(node, next_ms);
    });
    if (!posted) schedule_maintenance(node, wait_ms);
  });
}

void schedule_disk_check(Node& node) {
  node.disk_timer = node.timers.after(kDiskPeriodMs, [&node] {
    const bool posted = node.background.post([&node] {
      node.storage->poll();
      node.trouble_log.log(trouble_of(node), node.clock.monotonic_ns() / 1'000'000);
      schedule_disk_check(node);
    });
    if (!posted) schedule_disk_check(node);
  });
}

void schedule_cardinality(Node& node, int64_t wait_ms = kCardinalityPeriodMs) {
  node.cardinality_timer = node.timers.after(wait_ms, [&node] {
    const bool posted = node.background.post([&node] {
      node.cardinality->tick(node.storage->may_merge() && !node.engine->has_unread_files());
      schedule_cardinality(node);
    });
    if (!posted) schedule_cardinality(node);
  });
}

// Of the disk of the data directory, which exists.
uint64_t disk_reserve(Node& node) {
  const Result<core::DiskSpace> space = node.files.disk_space(node.flags.data_path);
  return tsdb::disk_reserve_bytes(space ? space->total_bytes : 0, node.flags.min_free_disk);
}

void schedule_merging(Node& node) {
  node.merge_timer = node.timers.after(kMergePeriodMs, [&node] {
    const bool posted = node.merging.post([&node] {
      // Of this thread only: what serves users goes first.
      if (setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kMergeNiceness) != 0) {
        core::log_warn("tsdb", "merging runs at normal priority");
      }
      if (!node.storage->may_merge() || node.engine->has_unread_files()) {
        core::log_debug("tsdb", "no merges: the disk is nearly full or cannot be read");
      } else if (const auto done = node.engine->compact(); !done) {
        core::log_error("tsdb", "merging blocks failed, it will be tried again",
                        {{"error", done.error().message}});
      }
      schedule_merging(node);
    });
    if (!posted) schedule_merging(node);
  });
}

Result<void> start_storage(Node& node) {
  const Flags& flags = node.flags;
  node.log = TRY(tsdb::EmbeddedLog::open({.dir = in_data_dir(node, "log"),
                                          .segment_bytes = flags.log_segment_bytes,
                                          .reserve_bytes = disk_reserve(node)},
                                         node.files, node.clock, node.rng)
                     .context("open the log"));
  tsdb::EngineOptions options;
  options.data_dir = flags.data_path;
  options.retention_ms = flags.retention_ms;
  options.retention_bytes = flags.retention_bytes;
  options.block_range_ms = flags.block_range_ms;
  options.block_range_max_ms = flags.block_range_max_ms;
  options.out_of_order_window_ms = flags.out_of_order_window_ms;
  if (const int64_t configured_ms = node.loaded.config.out_of_order_window_ms; configured_ms >= 0) {
    options.out_of_order_window_ms = configured_ms;
  }
  options.reserve_bytes = disk_reserve(node);
  node.engine =
      TRY(tsdb::Engine::create(options, {node.files, node.clock, node.rng, *node.log, &node.limits},
                               std::move(node.data_lock))
              .context("open the storage"));
  TRY(node.engine->recover().context("recover the storage"));
  node.storage = std::make_unique<tsdb::GuardedStorage>(
      flags.data_path, flags.min_free_disk,
      tsdb::GuardedStorage::Parts{
          .files = node.files, .clock = node.clock, .log = *node.log, .sink = *node.engine});
  node.tsdb_admin = std::make_unique<EngineAdmin>(*node.engine, node.files, flags.data_path);
  node.cardinality =
      std::make_unique<tsdb::Cardinality>(*node.engine, node.files, node.clock, flags.data_path);
  schedule_maintenance(node);
  schedule_disk_check(node);
  schedule_merging(node);
  schedule_cardinality(node, kCardinalityFirstMs);
  return {};
}

void stop_storage(Node& node) {
  node.timers.cancel(node.maintenance_timer);
  node.timers.cancel(node.disk_timer);
  node.timers.cancel(node.merge_timer);
  node.timers.cancel(node.cardinality_timer);
  if (node.engine) node.engine->stop_merging();
}

Result<void> start_querier(Node& node) {
  const Flags& flags = node.flags;
  promql::EngineOptions options;
  options.lookback_ms = flags.lookback_ms;
  options.timeout_ms = flags.query_timeout_ms;
  options.samples_max = flags.query_samples_max;
  options.strict = flags.query_strict;
  const auto on = [&flags](std::string_view feature) {
    return !flags.query_strict || flags.has_feature(feature);
  };
  options.experimental_functions = on("promql-experimental-functions");
  options.duration_expressions = on("promql-duration-expr");
  options.delayed_name_removal = flags.has_feature("promql-delayed-name-removal");
  options.subquery_step_ms = node.loaded.config.global.evaluation_interval_ms;
  node.promql = std::make_unique<promql::Engine>(*node.engine, node.clock, options);
  return {};
}

void stop_querier(Node& /*node*/) {}

void note_alerting_trouble(Node& node, std::string text) {
  core::gauge("petrel_alerting_degraded",
              "1 while rules and notifications do not run: the alert store cannot be opened.")
      .set(text.empty() ? 0 : 1);
  const std::lock_guard lock(node.trouble_mutex);
  node.alerting_trouble = std::move(text);
}

// Fails for a store that no waiting mends: damaged, or of a later version.
Result<void> open_alert_store(Node& node) {
  if (node.alert_store) return {};
  auto store =
      alertstore::SqliteStore::open(in_data_dir(node, "alerts.db")).context("open the alert store");
  if (store) {
    node.alert_store = *std::move(store);
    note_alerting_trouble(node, "");
    return {};
  }
  const core::ErrorCode code = store.error().code;
  if (code == core::ErrorCode::Corruption || code == core::ErrorCode::Unsupported) {
    return tl::unexpected(store.error());
  }
  core::log_error("app", "rules and notifications do not run: the alert store cannot be opened",
                  {{"error", store.error().message}, {"retry_in_ms", kAlertingRetryMs}});
  note_alerting_trouble(node, "neither rules nor notifications run: " + store.error().message);
  schedule_alerting(node);
  return {};
}

// Starts what open_alert_store() had to leave out.
void retry_alerting(Node& node) {
  const std::lock_guard lock(node.reload_mutex);
  if (node.is_stopping) return;
  if (!node.api->is_ready()) return schedule_alerting(node);
  const Result<void> opened = open_alert_store(node);
  if (opened && !node.alert_store) return;
  Result<void> started = opened;
  const std::vector<const Role*> selected = *select_roles(node.flags.roles);
  for (const Role* role : selected) {
    const bool is_left_out =
        (role->name == "notifier" && !node.notifier) || (role->name == "ruler" && !node.rules);
    if (started && is_left_out) started = role->start(node);
  }
  if (!started) {
    core::log_error("app", "rules and notifications cannot be started",
                    {{"error", started.error().message}});
    note_alerting_trouble(node, "neither rules nor notifications run: " + started.error().message);
    return;
  }
  publish_services(node);
  core::log_warn("app", "the alert store is there: rules and notifications run");
}

void schedule_alerting(Node& node) {
  node.timers.cancel(node.alerting_timer);
  node.alerting_timer = node.timers.after(kAlertingRetryMs, [&node] {
    if (!node.background.post([&node] { retry_alerting(node); })) schedule_alerting(node);
  });
}

Result<void> start_notifier(Node& node) {
  TRY(open_alert_store(node));
  if (!node.alert_store) return {};
  node.transport = TRY(net::CurlTransport::start().context("start outgoing HTTP"));
  alerting::NotifierParts parts{
      .store = *node.alert_store,
      .transport = *node.transport,
      .clock = node.clock,
      .rng = node.rng,
      .read_file = [&node](const std::string& path) { return node.files.read_file(path); }};
  node.notifier = std::make_unique<alerting::Notifier>(
      alerting::NotifierOptions{.external_url = external_url(node)}, std::move(parts),
      node.loaded.alerting.config);
  node.notifier->start(node.timers, node.background);
  return {};
}

void stop_notifier(Node& node) {
  node.timers.cancel(node.alerting_timer);
  if (node.notifier) node.notifier->stop();
}

Result<void> start_ruler(Node& node) {
  TRY(open_alert_store(node));
  if (!node.alert_store) return {};
  rules::RuleManagerOptions options;
  options.default_interval_ms = node.loaded.config.global.evaluation_interval_ms;
  options.default_query_offset_ms = node.loaded.config.global.rule_query_offset_ms;
  options.lookback_ms = node.flags.lookback_ms;
  options.external_url = external_url(node);
  options.external_labels = node.loaded.config.global.external_labels;
  options.alert_relabel_rules = node.loaded.config.alert_relabel_rules;
  options.strict = node.flags.query_strict;
  rules::RuleManagerParts parts{.query = rules::engine_query(*node.promql, options.tenant),
                                .check_expression = rules::engine_check(*node.promql),
                                .sink = *node.storage,
                                .store = *node.alert_store,
                                .clock = node.clock,
                                .outbox_written = [&node] {
                                  if (node.notifier) node.notifier->wake();
                                }};
  node.rules = std::make_unique<rules::RuleManager>(std::move(options), std::move(parts));
  TRY(node.rules->load(node.loaded.rule_files).context("load the rules"));
  node.rules->start(node.timers, node.background);
  return {};
}

void stop_ruler(Node& node) {
  node.timers.cancel(node.alerting_timer);
  if (node.rules) node.rules->stop();
}

Result<void> start_host_collector(Node& node) {
  agent::HostCollectorOptions options;
  options.collectors = node.flags.collectors;
  options.instance =
      node.flags.host_instance.empty() ? host_and_port(node) : node.flags.host_instance;
  node.host_collector = TRY(agent::HostCollector::create(std::move(options), *node.storage,
                                                         node.timers, node.background, node.clock));
  node.host_collector->start();
  return {};
}

Result<void> start_scraping(Node& node) {
  node.client_loop = TRY(net::ClientLoop::start({}).context("start the client for scrapes"));
  scrape::ScrapeManagerOptions options;
  options.state_dir = in_data_dir(node, "sd");
  options.external_url = external_url(node);
  options.user_agent = fmt::format("Petrel/{}", petrel_version());
  options.honor_scrape_time = node.flags.honor_scrape_time;
  options.sync_interval_ms = node.flags.discovery_reload_interval_ms;
  node.scrapes = scrape::ScrapeManager::create(std::move(options), {.sink = *node.storage,
                                                                    .scheduler = node.timers,
                                                                    .executor = node.scraping,
                                                                    .discovery = node.discovery,
                                                                    .clock = node.clock,
                                                                    .files = node.files,
                                                                    .rng = node.rng,
                                                                    .loop = *node.client_loop});
  const config::PrometheusConfig& config = node.loaded.config;
  return node.scrapes->apply(config.scrapes, config.global.external_labels);
}

Result<void> start_collector(Node& node) {
  if (node.flags.wants_host_collector()) TRY(start_host_collector(node));
  return start_scraping(node);
}

void stop_collector(Node& node) {
  if (node.scrapes) node.scrapes->stop();
  if (node.host_collector) node.host_collector->stop();
}

}  // namespace

std::span<const Role> role_table() {
  static const std::vector<Role> table = {
      {"storage", "log, head, blocks, retention", {}, start_storage, stop_storage},
      {"querier", "PromQL over the storage", {"storage"}, start_querier, stop_querier},
      {"notifier", "delivers what the alert store owes", {}, start_notifier, stop_notifier},
      {"ruler", "evaluates rules", {"storage", "querier"}, start_ruler, stop_ruler},
      {"collector",
       "scrapes, push endpoints, host metrics",
       {"storage"},
       start_collector,
       stop_collector},
  };
  return table;
}

Result<std::vector<const Role*>> select_roles(std::string_view text) {
  std::vector<std::string_view> wanted;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t comma = rest.find(',');
    wanted.push_back(rest.substr(0, comma));
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  }
  const auto is_wanted = [&wanted](std::string_view name) {
    return std::find(wanted.begin(), wanted.end(), name) != wanted.end();
  };
  std::vector<const Role*> selected;
  std::string names = "all";
  size_t known = is_wanted("all") ? 1 : 0;
  for (const Role& role : role_table()) {
    names.append(", ").append(role.name);
    known += is_wanted(role.name) ? 1 : 0;
    if (is_wanted("all") || is_wanted(role.name)) selected.push_back(&role);
  }
  if (wanted.empty() || known < wanted.size()) {
    return core::fail(core::ErrorCode::InvalidArgument,
                      "--roles={}: expected a comma-separated list of {}", text, names);
  }
  for (const Role* role : selected) {
    for (const std::string_view need : role->needs) {
      if (is_wanted("all") || is_wanted(need)) continue;
      return core::fail(core::ErrorCode::InvalidArgument,
                        "--roles={}: role {} needs role {} in the same process; roles on several "
                        "machines are not built yet",
                        text, role->name, need);
    }
  }
  return selected;
}

}  // namespace app
