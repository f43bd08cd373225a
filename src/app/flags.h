// The command line of `petrel` when it serves: Prometheus's names and meanings where
// Prometheus has the flag.

#pragma once

#include "agent/collector.h"
#include "core/log.h"
#include "core/result.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace app {

// A feature of Prometheus, see ApiOptions::created_zero_samples.
inline constexpr std::string_view kCreatedZeroSamples = "created-timestamp-zero-ingestion";

struct Flags {
  std::string config_file;
  int64_t auto_reload_interval_ms = 0;  // 0: files are not watched
  std::vector<std::string> rule_globs;  // --rules.file, besides those of the configuration
  std::string listen_address = "127.0.0.1:9090";
  std::string external_url;
  int64_t read_timeout_ms = 300'000;
  uint32_t connections_max = 512;
  bool enable_lifecycle = true;
  bool enable_admin_api = false;
  std::string cors_origin = ".*";
  bool allow_anonymous = false;
  std::vector<std::string> allowed_hosts;

  std::string data_path = "data/";
  int64_t retention_ms = 7 * 86'400'000LL;  // 0: for ever
  uint64_t retention_bytes = 0;             // 0: no limit
  int64_t block_range_ms = 2 * 3'600'000;
  int64_t block_range_max_ms = 24 * 3'600'000;
  uint64_t log_segment_bytes = 64 << 20U;
  int64_t out_of_order_window_ms = 3'600'000;
  uint64_t series_max = 0;                // per tenant, in the head; 0: no limit
  std::optional<uint64_t> min_free_disk;  // unset: a part of the disk

  int64_t lookback_ms = 300'000;
  int64_t query_timeout_ms = 120'000;
  uint32_t query_concurrency = 20;
  uint64_t query_samples_max = 50'000'000;
  bool query_strict = false;
  std::vector<std::string> features;  // --enable-feature

  std::string alertmanager_config_file;
  std::string webhook_url;

  bool honor_scrape_time = false;
  int64_t discovery_reload_interval_ms = 1'000;

  std::string roles = "all";
  // Unset: on exactly when there is no configuration file.
  std::optional<bool> collector_host;
  // Unset: as the host collector, whose metrics they watch.
  std::optional<bool> rules_default;
  std::string host_instance;           // empty: <hostname>:<port>
  agent::CollectorOptions collectors;  // --collector.<name>, as node_exporter

  core::LogLevel log_level = core::LogLevel::Info;
  core::LogFormat log_format = core::LogFormat::Logfmt;

  bool has_feature(std::string_view name) const {
    return std::find(features.begin(), features.end(), name) != features.end();
  }
  bool wants_host_collector() const { return collector_host.value_or(config_file.empty()); }
  bool wants_default_rules() const { return rules_default.value_or(wants_host_collector()); }

  // Every flag with its value in text, sorted, for /api/v1/status/flags.
  std::vector<std::pair<std::string, std::string>> listing;
  // Flags that were given but do nothing in this version.
  std::vector<std::string> warnings;
};

// What the command line asks for.
struct FlagsOutcome {
  Flags flags;
  // Set for --help and --version: print it and exit with 0.
  std::optional<std::string> print_and_exit;
};

// `arguments` without the program's name. InvalidArgument names the flag, its value and
// what was expected.
core::Result<FlagsOutcome> parse_flags(const std::vector<std::string>& arguments);

// Of the program, such as "0.1.0".
std::string_view petrel_version();

}  // namespace app
