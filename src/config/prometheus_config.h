// The Prometheus configuration file, whole: every key of Prometheus 3 is known. What is
// built is in the structs; the rest is checked for its type and reported by name.

#pragma once

#include "config/scrape_config.h"
#include "core/file_system.h"
#include "core/result.h"
#include "model/labels.h"
#include "model/relabel.h"
#include "tenant/limits_table.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace config {

struct GlobalConfig {
  int64_t scrape_interval_ms = 60'000;
  int64_t scrape_timeout_ms = 10'000;
  int64_t evaluation_interval_ms = 60'000;
  int64_t rule_query_offset_ms = 0;
  model::Labels external_labels;  // environment variables expanded
  std::string query_log_file;
};

// One entry of alerting.alertmanagers: foreign Alertmanagers that alerts are posted to.
struct AlertmanagerConfig {
  net::ClientConfig client;
  std::string scheme = "http";
  std::string path_prefix;
  int64_t timeout_ms = 10'000;
  std::string api_version = "v2";
  std::vector<DiscoveryConfig> discoveries;
  model::RelabelRules relabel_rules;
  model::RelabelRules alert_relabel_rules;
};

struct PrometheusConfig {
  GlobalConfig global;
  std::vector<ScrapeConfig> scrapes;
  std::vector<std::string> rule_globs;         // as they stand after joining the folder
  std::vector<std::string> scrape_file_globs;  // scrape_config_files; `scrapes` holds theirs too
  std::vector<AlertmanagerConfig> alertmanagers;
  model::RelabelRules alert_relabel_rules;
  int64_t out_of_order_window_ms = -1;  // storage.tsdb; -1: not given
  tenant::LimitsConfig limits;          // limits, overrides, instance_limits
  // Known to Prometheus but without effect here yet: "remote_write (prometheus.yml:7:1)".
  std::vector<std::string> unsupported_keys;
  // What /api/v1/status/config shows: the file in Prometheus's form, defaults filled in,
  // every secret hidden.
  std::string effective_yaml;
};

// What reading needs from outside.
struct ReadContext {
  core::FileSystem& files;  // scrape_config_files
  // The value of an environment variable, "" when unset: ${NAME} in external_labels.
  std::function<std::string(const std::string&)> environment;
};

// `path` names the file in errors and is what relative paths start from.
// InvalidArgument: file:line:column, the key and what was expected.
core::Result<PrometheusConfig> parse_prometheus_config(std::string_view text,
                                                       const std::string& path,
                                                       const ReadContext& context);

// Files that match the patterns, sorted, each once. A pattern may match nothing, as in
// Prometheus; a name without wildcards that is not there is NotFound: a slip of the pen
// must not leave a server without its rules.
core::Result<std::vector<std::string>> expand_globs(const std::vector<std::string>& patterns);

}  // namespace config
