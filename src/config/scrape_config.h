// One entry of scrape_configs, defaults of `global` filled in
// (https://prometheus.io/docs/prometheus/latest/configuration/configuration/#scrape_config).

#pragma once

#include "config/discovery_config.h"
#include "model/relabel.h"
#include "net/client_config.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace config {

struct ScrapeConfig {
  std::string job_name;
  int64_t interval_ms = 60'000;
  int64_t timeout_ms = 10'000;
  std::string metrics_path = "/metrics";
  std::string scheme = "http";
  std::vector<std::pair<std::string, std::vector<std::string>>> params;
  bool honor_labels = false;
  bool honor_timestamps = true;
  bool track_timestamps_staleness = false;
  // In order of preference: "PrometheusProto", "OpenMetricsText1.0.0",
  // "OpenMetricsText0.0.1", "PrometheusText1.0.0", "PrometheusText0.0.4".
  std::vector<std::string> scrape_protocols;
  std::string fallback_scrape_protocol;  // "": none
  bool scrape_native_histograms = false;
  bool always_scrape_classic_histograms = false;
  bool convert_classic_histograms_to_nhcb = false;
  bool extra_scrape_metrics = false;
  bool enable_compression = true;
  // 0: no limit.
  uint64_t body_size_limit = 0;
  uint64_t sample_limit = 0;
  uint64_t target_limit = 0;
  uint64_t label_limit = 0;
  uint64_t label_name_length_limit = 0;
  uint64_t label_value_length_limit = 0;
  uint64_t native_histogram_bucket_limit = 0;
  double native_histogram_min_bucket_factor = 0;
  uint64_t keep_dropped_targets = 0;
  model::NameScheme name_scheme = model::NameScheme::Utf8;
  std::string name_escaping_scheme = "allow-utf-8";
  std::string scrape_failure_log_file;
  net::ClientConfig client;
  std::vector<DiscoveryConfig> discoveries;
  model::RelabelRules relabel_rules;
  model::RelabelRules metric_relabel_rules;
};

}  // namespace config
