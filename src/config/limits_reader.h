// Reads what tenants may write: limits, overrides and instance_limits.

#pragma once

#include "config/relabel_reader.h"
#include "config/schema.h"
#include "core/result.h"
#include "tenant/limits_table.h"

#include <array>

namespace config {

// A key that is not written says nothing: presets would hide what the flags say.
constexpr Field limit_field(std::string_view key, Type type = Type::Uint) {
  return {.key = key, .type = type, .flags = kIfWritten};
}

inline constexpr std::array kTenantLimitsFields = {
    limit_field("max_series"),
    // As Mimir calls it.
    limit_field("max_global_series_per_user"),
    limit_field("max_new_series_rate"),
    limit_field("new_series_burst_size"),
    limit_field("ingestion_rate"),
    limit_field("ingestion_burst_size"),
    limit_field("request_rate"),
    limit_field("request_burst_size"),
    limit_field("max_label_names_per_series"),
    limit_field("max_metric_name_length"),
    limit_field("max_label_name_length"),
    limit_field("max_label_value_length"),
    limit_field("max_native_histogram_buckets"),
    limit_field("max_samples_per_request"),
    limit_field("max_request_body_size", Type::Size),
    limit_field("max_decompressed_body_size", Type::Size),
    Field{.key = "write_relabel_configs",
          .type = Type::List,
          .flags = kIfWritten,
          .element = Type::Mapping,
          .table = &kRelabelTable},
};
inline constexpr Table kTenantLimitsTable{"limits", kTenantLimitsFields};

inline constexpr std::array kInstanceLimitsFields = {
    limit_field("max_series"),
    limit_field("max_ingestion_rate"),
    limit_field("max_inflight_push_requests_bytes", Type::Size),
};
inline constexpr Table kInstanceLimitsTable{"instance_limits", kInstanceLimitsFields};

inline constexpr Field kLimitsField{
    .key = "limits", .type = Type::Mapping, .flags = kOptional, .table = &kTenantLimitsTable};
inline constexpr Field kOverridesField{
    .key = "overrides", .type = Type::Map, .element = Type::Mapping, .table = &kTenantLimitsTable};
inline constexpr Field kInstanceLimitsField{.key = "instance_limits",
                                            .type = Type::Mapping,
                                            .flags = kOptional,
                                            .table = &kInstanceLimitsTable};

// `top` has the three fields as members.
core::Result<tenant::LimitsConfig> take_limits(Value& top, const Source& source);

}  // namespace config
