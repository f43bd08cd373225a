// Request parameters, read the way Prometheus reads them (web/api/v1/api.go), with its
// error texts.

#pragma once

#include "api/route.h"
#include "core/result.h"
#include "model/matcher.h"
#include "model/time_range.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace api {

// Prometheus's MinTime and MaxTime: what "no bound" means.
inline constexpr int64_t kTimeMinMs = (INT64_MIN / 1000 + 62'135'596'801) * 1000;
inline constexpr int64_t kTimeMaxMs = (INT64_MAX / 1000 - 62'135'596'801) * 1000 + 999;

// Go's strconv.ParseFloat, without hexadecimal forms.
std::optional<double> parse_float(std::string_view text);

// Float seconds or RFC 3339: `cannot parse "x" to a valid timestamp`.
core::Result<int64_t> parse_time(std::string_view text);
// Float seconds or "5m", in nanoseconds: `cannot parse "x" to a valid duration`.
core::Result<int64_t> parse_duration_ns(std::string_view text);

// `invalid parameter "name": why`.
core::Error invalid_parameter(std::string_view name, std::string_view why);

// Each names its parameter in the error. An absent time is `absent_ms`, an absent limit 0.
core::Result<int64_t> time_param(const Call& call, std::string_view name, int64_t absent_ms);
core::Result<uint64_t> limit_param(const Call& call);
// Half-open range of start and end, both inclusive in the request.
core::Result<model::TimeRange> range_params(const Call& call);
// match[]: every selector with at least one matcher that does not match "".
core::Result<std::vector<model::Matchers>> match_params(const Call& call, std::string_view name);
// Both bounds included, as requests mean it.
model::TimeRange inclusive_range(int64_t start_ms, int64_t end_ms);

}  // namespace api
