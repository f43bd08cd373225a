#include "config/limits_reader.h"

#include "model/tenant.h"

#include <bit>

namespace config {
namespace {

using core::Result;
using tenant::LimitKey;
using tenant::Limits;
using tenant::LimitSettings;

constexpr std::string_view kSeriesAlias = "max_global_series_per_user";
// Beyond it sums of a few limits would wrap around.
constexpr uint64_t kLimitMax = uint64_t{1} << 48;
// A push must fit, or nothing is ever taken.
constexpr uint64_t kInflightMin = 16 << 20;

Result<size_t> take_number(const Value& value, uint64_t min, const Source& source) {
  const auto number = std::bit_cast<uint64_t>(value.number);
  if (number >= min && number <= kLimitMax) return number;
  return error_at(source, value,
                  fmt::format("{}: {}, expected {} to {}", value.key, number, min, kLimitMax));
}

Result<size_t> take_number(const Value& value, const LimitKey& key, const Source& source) {
  if (key.zero_is_none && value.number == 0) return size_t{0};
  return take_number(value, key.min, source);
}

Result<LimitSettings> take_settings(Value& mapping, const Source& source) {
  LimitSettings settings;
  if (!mapping.given) return settings;
  for (const LimitKey& key : tenant::limit_keys()) {
    const Value* value = &mapping.at(key.name);
    if (key.field == &Limits::series_max) {
      const Value& alias = mapping.at(kSeriesAlias);
      if (alias.given && value->given) {
        return error_at(
            source, alias,
            fmt::format("{} is the same as {}: give one of them", kSeriesAlias, key.name));
      }
      if (alias.given) value = &alias;
    }
    if (!value->given) continue;
    settings.values.emplace_back(key.field, TRY(take_number(*value, key, source)));
  }
  Value& rules = mapping.at("write_relabel_configs");
  settings.sets_relabel_rules = rules.given;
  settings.relabel_rules =
      TRY(take_relabel_rules(rules, source, "empty or null write relabeling rule"));
  return settings;
}

Result<tenant::InstanceLimits> take_instance(const Value& mapping, const Source& source) {
  tenant::InstanceLimits limits;
  if (!mapping.given) return limits;
  const auto take = [&](std::string_view key, uint64_t min, size_t& target) -> Result<void> {
    const Value& value = mapping.at(key);
    if (value.given) target = TRY(take_number(value, min, source));
    return {};
  };
  TRY(take("max_series", 0, limits.series_max));
  TRY(take("max_ingestion_rate", 0, limits.sample_rate));
  TRY(take("max_inflight_push_requests_bytes", kInflightMin, limits.inflight_bytes_max));
  return limits;
}

}  // namespace

Result<tenant::LimitsConfig> take_limits(Value& top, const Source& source) {
  tenant::LimitsConfig config;
  config.limits = TRY(take_settings(top.at("limits"), source));
  for (Value& one : top.at("overrides").items) {
    if (!model::is_valid_tenant(one.key)) {
      return error_at(source, one,
                      fmt::format("overrides: \"{}\" is no valid tenant id, expected 1 to 150 of "
                                  "A-Z a-z 0-9 ! _ . * ' ( ) -",
                                  one.key));
    }
    config.overrides.emplace(one.key, TRY(take_settings(one, source)));
  }
  config.instance = TRY(take_instance(top.at("instance_limits"), source));
  return config;
}

}  // namespace config
