// What a pool's configuration means for each of its scrapes, worked out once.

#pragma once

#include "config/scrape_config.h"
#include "core/result.h"
#include "ingest/exposition.h"
#include "net/http.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace scrape {

// Immutable once published.
struct PoolSettings {
  config::ScrapeConfig config;
  std::string accept;
  std::string accept_encoding;
  std::optional<ingest::ExpositionFormat> fallback_format;
  int32_t schema_max = 8;  // of native histograms, from native_histogram_min_bucket_factor
  uint64_t body_size_max = 0;
};

// InvalidArgument: an unknown scrape protocol.
core::Result<std::shared_ptr<const PoolSettings>> make_settings(config::ScrapeConfig config);

// "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,...,*/*;q=0.2"
std::string accept_header(const config::ScrapeConfig& config);

// The same series with the same labels come out of a body under both: known series stay.
bool makes_same_series(const config::ScrapeConfig& a, const config::ScrapeConfig& b);
// Nothing that concerns discovery and relabelling of targets differs.
bool finds_same_targets(const config::ScrapeConfig& a, const config::ScrapeConfig& b);
// Nothing differs.
bool is_same(const config::ScrapeConfig& a, const config::ScrapeConfig& b);

}  // namespace scrape
