#include "scrape/pool_settings.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <tuple>

namespace scrape {
namespace {

using core::ErrorCode;
using core::Result;
using ingest::ExpositionFormat;

struct Protocol {
  std::string_view name;
  std::string_view media_type;
  bool has_escaping;
  ExpositionFormat format;
};

constexpr std::array<Protocol, 5> kProtocols = {{
    {"PrometheusProto",
     "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
     "encoding=delimited",
     false, ExpositionFormat::Protobuf},
    {"PrometheusText0.0.4", "text/plain;version=0.0.4", false, ExpositionFormat::Text004},
    {"PrometheusText1.0.0", "text/plain;version=1.0.0", true, ExpositionFormat::Text100},
    {"OpenMetricsText0.0.1", "application/openmetrics-text;version=0.0.1", false,
     ExpositionFormat::OpenMetrics001},
    {"OpenMetricsText1.0.0", "application/openmetrics-text;version=1.0.0", true,
     ExpositionFormat::OpenMetrics100},
}};

const Protocol* find_protocol(std::string_view name) {
  const auto found = std::find_if(kProtocols.begin(), kProtocols.end(),
                                  [&](const Protocol& one) { return one.name == name; });
  return found == kProtocols.end() ? nullptr : &*found;
}

// The finest schema whose buckets are at least `factor` apart (pickSchema).
int32_t schema_of_factor(double factor) {
  constexpr int32_t kSchemaMin = -4;
  constexpr int32_t kSchemaMax = 8;
  if (factor <= 1) return kSchemaMax;
  const double schema = std::floor(-std::log2(std::log2(factor)));
  return static_cast<int32_t>(std::clamp<double>(schema, kSchemaMin, kSchemaMax));
}

bool same_rules(const model::RelabelRules& a, const model::RelabelRules& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& x, const auto& y) { return x.config() == y.config(); });
}

}  // namespace

std::string accept_header(const config::ScrapeConfig& config) {
  std::string header;
  size_t weight = kProtocols.size() + 1;
  for (const std::string& name : config.scrape_protocols) {
    const Protocol* protocol = find_protocol(name);
    if (protocol == nullptr) continue;
    header.append(protocol->media_type);
    if (protocol->has_escaping) header.append(";escaping=").append(config.name_escaping_scheme);
    header.append(fmt::format(";q=0.{},", weight--));
  }
  return header.append(fmt::format("*/*;q=0.{}", weight));
}

Result<std::shared_ptr<const PoolSettings>> make_settings(config::ScrapeConfig config) {
  PoolSettings settings;
  for (const std::string& name : config.scrape_protocols) {
    if (find_protocol(name) != nullptr) continue;
    return core::fail(ErrorCode::InvalidArgument, "scrape_protocols: unknown protocol \"{}\"",
                      name);
  }
  if (!config.fallback_scrape_protocol.empty()) {
    const Protocol* protocol = find_protocol(config.fallback_scrape_protocol);
    if (protocol == nullptr) {
      return core::fail(ErrorCode::InvalidArgument,
                        "fallback_scrape_protocol: unknown protocol \"{}\"",
                        config.fallback_scrape_protocol);
    }
    settings.fallback_format = protocol->format;
  }
  settings.accept = accept_header(config);
  settings.accept_encoding = config.enable_compression ? "gzip" : "identity";
  settings.schema_max = schema_of_factor(config.native_histogram_min_bucket_factor);
  // A body of exactly the limit is too large, as in Prometheus.
  settings.body_size_max =
      config.body_size_limit <= 1 ? config.body_size_limit : config.body_size_limit - 1;
  settings.config = std::move(config);
  return std::make_shared<const PoolSettings>(std::move(settings));
}

bool makes_same_series(const config::ScrapeConfig& a, const config::ScrapeConfig& b) {
  const auto parts = [](const config::ScrapeConfig& one) {
    return std::tie(one.honor_labels, one.scrape_protocols, one.fallback_scrape_protocol,
                    one.scrape_native_histograms, one.always_scrape_classic_histograms,
                    one.convert_classic_histograms_to_nhcb, one.label_limit,
                    one.label_name_length_limit, one.label_value_length_limit, one.name_scheme,
                    one.name_escaping_scheme, one.honor_timestamps, one.track_timestamps_staleness);
  };
  return parts(a) == parts(b) && same_rules(a.metric_relabel_rules, b.metric_relabel_rules);
}

bool finds_same_targets(const config::ScrapeConfig& a, const config::ScrapeConfig& b) {
  const auto parts = [](const config::ScrapeConfig& one) {
    return std::tie(one.job_name, one.interval_ms, one.timeout_ms, one.metrics_path, one.scheme,
                    one.params, one.keep_dropped_targets, one.target_limit, one.name_scheme,
                    one.discoveries);
  };
  return parts(a) == parts(b) && same_rules(a.relabel_rules, b.relabel_rules);
}

bool is_same(const config::ScrapeConfig& a, const config::ScrapeConfig& b) {
  const auto parts = [](const config::ScrapeConfig& one) {
    return std::tie(one.extra_scrape_metrics, one.enable_compression, one.body_size_limit,
                    one.sample_limit, one.native_histogram_bucket_limit,
                    one.native_histogram_min_bucket_factor, one.scrape_failure_log_file,
                    one.client);
  };
  return parts(a) == parts(b) && makes_same_series(a, b) && finds_same_targets(a, b);
}

}  // namespace scrape
