#include "tenant/limits.h"

#include "core/result.h"

#include <algorithm>

namespace tenant {
namespace {

// Names of Grafana Mimir where it has the limit (max_series: max_global_series_per_user).
constexpr LimitKey kKeys[] = {
    {.name = "max_series", .field = &Limits::series_max, .zero_is_none = true},
    {.name = "max_new_series_rate", .field = &Limits::new_series_rate, .zero_is_none = true},
    {.name = "new_series_burst_size", .field = &Limits::new_series_burst, .zero_is_none = true},
    {.name = "ingestion_rate", .field = &Limits::sample_rate, .zero_is_none = true},
    {.name = "ingestion_burst_size", .field = &Limits::sample_burst, .zero_is_none = true},
    {.name = "request_rate", .field = &Limits::request_rate, .zero_is_none = true},
    {.name = "request_burst_size", .field = &Limits::request_burst, .zero_is_none = true},
    {.name = "max_label_names_per_series", .field = &Limits::labels_max},
    {.name = "max_metric_name_length", .field = &Limits::metric_name_size_max},
    {.name = "max_label_name_length", .field = &Limits::label_name_size_max},
    {.name = "max_label_value_length", .field = &Limits::label_value_size_max},
    // Halving needs room for the buckets around zero.
    {.name = "max_native_histogram_buckets", .field = &Limits::histogram_buckets_max, .min = 4},
    {.name = "max_samples_per_request", .field = &Limits::samples_max},
    {.name = "max_request_body_size", .field = &Limits::body_size_max, .min = 1024},
    {.name = "max_decompressed_body_size", .field = &Limits::decoded_size_max, .min = 1024},
};

}  // namespace

std::span<const LimitKey> limit_keys() {
  return kKeys;
}

std::string_view limit_name(size_t Limits::* field) {
  const auto* const found = std::ranges::find(kKeys, field, &LimitKey::field);
  ENSURE(found != std::end(kKeys));
  return found->name;
}

Limits LimitSettings::applied_to(Limits limits) const {
  for (const auto& [field, value] : values) limits.*field = value;
  if (sets_relabel_rules) limits.relabel_rules = relabel_rules;
  return limits;
}

}  // namespace tenant
