// Reads global and the entries of scrape_configs.

#pragma once

#include "config/discovery_tables.h"
#include "config/prometheus_config.h"
#include "config/relabel_reader.h"
#include "config/schema.h"
#include "core/result.h"

#include <array>

namespace config {

inline constexpr std::array kGlobalFields = {
    Field{.key = "scrape_interval", .type = Type::Duration},
    Field{.key = "scrape_timeout", .type = Type::Duration},
    Field{.key = "scrape_protocols", .type = Type::List},
    Field{.key = "evaluation_interval", .type = Type::Duration},
    Field{.key = "rule_query_offset", .type = Type::Duration},
    Field{.key = "query_log_file", .flags = kPath | kNotBuilt},
    Field{.key = "scrape_failure_log_file", .flags = kPath | kNotBuilt},
    Field{.key = "external_labels", .type = Type::Map},
    Field{.key = "body_size_limit", .type = Type::Size},
    Field{.key = "sample_limit", .type = Type::Uint},
    Field{.key = "target_limit", .type = Type::Uint},
    Field{.key = "label_limit", .type = Type::Uint},
    Field{.key = "label_name_length_limit", .type = Type::Uint},
    Field{.key = "label_value_length_limit", .type = Type::Uint},
    Field{.key = "keep_dropped_targets", .type = Type::Uint},
    Field{.key = "metric_name_validation_scheme"},
    Field{.key = "metric_name_escaping_scheme"},
    // Of releases after 3.5.
    Field{.key = "scrape_native_histograms", .type = Type::Bool, .flags = kIfWritten},
    Field{.key = "convert_classic_histograms_to_nhcb", .type = Type::Bool, .flags = kNotBuilt},
    Field{.key = "always_scrape_classic_histograms", .type = Type::Bool},
    Field{.key = "extra_scrape_metrics", .type = Type::Bool},
};
inline constexpr Table kGlobalTable{"global", kGlobalFields};

inline constexpr auto kScrapeFields = join_fields(
    std::array{
        Field{.key = "job_name", .flags = kShown},
        Field{.key = "honor_labels", .type = Type::Bool},
        Field{.key = "honor_timestamps", .type = Type::Bool, .flags = kShown, .preset = "true"},
        Field{.key = "track_timestamps_staleness", .type = Type::Bool, .flags = kShown},
        Field{.key = "params", .type = Type::Map, .element = Type::List},
        Field{.key = "scrape_interval", .type = Type::Duration},
        Field{.key = "scrape_timeout", .type = Type::Duration},
        Field{.key = "scrape_protocols", .type = Type::List},
        Field{.key = "fallback_scrape_protocol"},
        Field{.key = "scrape_native_histograms", .type = Type::Bool, .flags = kIfWritten},
        Field{.key = "always_scrape_classic_histograms", .type = Type::Bool, .flags = kShown},
        Field{.key = "convert_classic_histograms_to_nhcb",
              .type = Type::Bool,
              .flags = kShown | kNotBuilt},
        Field{.key = "extra_scrape_metrics", .type = Type::Bool, .flags = kIfWritten},
        Field{.key = "scrape_failure_log_file", .flags = kPath | kNotBuilt},
        Field{.key = "metrics_path", .preset = "/metrics"},
        Field{.key = "scheme", .preset = "http"},
        Field{.key = "enable_compression", .type = Type::Bool, .flags = kShown, .preset = "true"},
        Field{.key = "body_size_limit", .type = Type::Size},
        Field{.key = "sample_limit", .type = Type::Uint},
        Field{.key = "target_limit", .type = Type::Uint},
        Field{.key = "label_limit", .type = Type::Uint},
        Field{.key = "label_name_length_limit", .type = Type::Uint},
        Field{.key = "label_value_length_limit", .type = Type::Uint},
        Field{.key = "native_histogram_bucket_limit", .type = Type::Uint},
        Field{.key = "native_histogram_min_bucket_factor", .type = Type::Float},
        Field{.key = "keep_dropped_targets", .type = Type::Uint},
        Field{.key = "metric_name_validation_scheme"},
        Field{.key = "metric_name_escaping_scheme"},
    },
    client_fields(),
    std::array{relabel_field("relabel_configs"), relabel_field("metric_relabel_configs")},
    kDiscoveryFields);
inline constexpr Table kScrapeTable{"scrape_configs", kScrapeFields};

// Fills the defaults of `global` in and judges it; `is_written`: there is such a section.
core::Result<GlobalConfig> take_global(Value& global, bool is_written, const Source& source,
                                       const ReadContext& context);

// Fills in what an entry inherits from `global`, as Prometheus's ScrapeConfig.Validate.
core::Result<ScrapeConfig> take_scrape(Value& value, const Value& global, const Source& source);

}  // namespace config
