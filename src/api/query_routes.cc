// Queries: query, query_range, query_exemplars, and the parser's tools.

#include "api/answer.h"
#include "api/ast_json.h"
#include "api/params.h"
#include "api/route.h"
#include "promql/parser.h"
#include "promql/printer.h"

#include <algorithm>
#include <fmt/format.h>

namespace api {

namespace {

using core::Error;
using core::ErrorCode;
using core::fail;
using core::Result;
using net::Response;

constexpr int64_t kNsPerMs = 1'000'000;
constexpr int64_t kStepsMax = 11'000;  // Prometheus's: an hour a week, a minute a week

promql::ParseOptions parse_options(const Call& call) {
  promql::ParseOptions options;
  options.strict = call.services->engine->options().strict;
  return options;
}

Result<promql::QueryOptions> query_options(const Call& call) {
  promql::QueryOptions options;
  options.tenant = call.tenant;
  options.stop = call.stop;
  if (const std::string_view text = call.param("timeout"); !text.empty()) {
    const Result<int64_t> timeout_ns = parse_duration_ns(text);
    if (!timeout_ns) {
      return tl::unexpected(invalid_parameter("timeout", timeout_ns.error().message));
    }
    // 0 means the engine's own limit, so the shortest one is a millisecond.
    options.timeout_ms = std::max<int64_t>(1, *timeout_ns / kNsPerMs);
  }
  if (const std::string_view text = call.param("lookback_delta"); !text.empty()) {
    const Result<int64_t> lookback_ns = parse_duration_ns(text);
    if (!lookback_ns) {
      return fail(ErrorCode::InvalidArgument, "error parsing lookback delta duration: {}",
                  lookback_ns.error().message);
    }
    options.lookback_ms = std::max<int64_t>(0, *lookback_ns / kNsPerMs);
  }
  return options;
}

bool truncate(promql::Value& value, uint64_t limit) {
  const auto cut = [limit](auto& items) {
    if (limit == 0 || items.size() <= limit) return false;
    items.resize(limit);
    return true;
  };
  if (auto* const vector = std::get_if<promql::Vector>(&value)) return cut(*vector);
  if (auto* const matrix = std::get_if<promql::Matrix>(&value)) return cut(*matrix);
  return false;
}

Response query_response(promql::QueryResult result, uint64_t limit) {
  if (truncate(result.value, limit)) result.warnings.emplace_back(kTruncated);
  Answer answer;
  std::string& body = answer.body();
  body += "{\"resultType\":\"";
  body += promql::value_type_name(result.value);
  body += "\",\"result\":";
  append_value(body, result.value);
  body += '}';
  return std::move(answer).finish(result.warnings, result.infos);
}

enum class Form { Instant, Range };

// The engine calls both a bad query and a query that cannot be computed an invalid
// argument; Prometheus answers 400 to the first and 422 to the second. Parsing again
// tells them apart and costs only those who get an error.
Response query_error(const Call& call, const Error& error, Form form) {
  if (error.code != ErrorCode::InvalidArgument) return error_response(error);
  const Result<promql::ExprPtr> parsed = promql::parse(call.param("query"), parse_options(call));
  bool is_bad_query = !parsed;
  if (parsed && form == Form::Range) {
    const promql::ValueType type = promql::type_of(**parsed);
    is_bad_query = type != promql::ValueType::Scalar && type != promql::ValueType::InstantVector;
  }
  if (is_bad_query) return error_response(invalid_parameter("query", error.message));
  return error_response(422, "execution", error.message);
}

Result<Response> query(const Call& call) {
  const uint64_t limit = TRY(limit_param(call));
  const int64_t time_ms = TRY(time_param(call, "time", call.clock.now_ms()));
  const promql::QueryOptions options = TRY(query_options(call));
  auto result = call.services->engine->instant(call.param("query"), time_ms, options);
  if (!result) return query_error(call, result.error(), Form::Instant);
  return query_response(std::move(*result), limit);
}

Result<int64_t> bound_param(const Call& call, std::string_view name) {
  Result<int64_t> time = parse_time(call.param(name));
  if (!time) return tl::unexpected(invalid_parameter(name, time.error().message));
  return time;
}

Result<int64_t> step_param(const Call& call) {
  const Result<int64_t> step_ns = parse_duration_ns(call.param("step"));
  if (!step_ns) return tl::unexpected(invalid_parameter("step", step_ns.error().message));
  if (*step_ns <= 0) {
    return tl::unexpected(
        invalid_parameter("step",
                          "zero or negative query resolution step widths are not accepted. Try a "
                          "positive integer"));
  }
  return std::max<int64_t>(1, *step_ns / kNsPerMs);
}

Result<Response> query_range(const Call& call) {
  const uint64_t limit = TRY(limit_param(call));
  const int64_t start_ms = TRY(bound_param(call, "start"));
  const int64_t end_ms = TRY(bound_param(call, "end"));
  if (end_ms < start_ms) {
    return tl::unexpected(invalid_parameter("end", "end timestamp must not be before start time"));
  }
  const int64_t step_ms = TRY(step_param(call));
  // Unsigned: the distance of two 64-bit times may need all 64 bits.
  const uint64_t distance = static_cast<uint64_t>(end_ms) - static_cast<uint64_t>(start_ms);
  if (distance / static_cast<uint64_t>(step_ms) > kStepsMax) {
    return fail(ErrorCode::InvalidArgument,
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the "
                "query resolution (?step=XX)");
  }
  const promql::QueryOptions options = TRY(query_options(call));
  auto result =
      call.services->engine->range(call.param("query"), start_ms, end_ms, step_ms, options);
  if (!result) return query_error(call, result.error(), Form::Range);
  return query_response(std::move(*result), limit);
}

void append_exemplars(core::JsonWriter& json, const storage::ExemplarSeries& series) {
  std::string labels;
  append_labels(labels, series.labels);
  json.object().key("seriesLabels").raw(labels).key("exemplars").array();
  for (const model::Exemplar& exemplar : series.exemplars) {
    labels.clear();
    append_labels(labels, exemplar.labels);
    std::string value;
    append_sample_value(value, exemplar.value);
    std::string timestamp;
    core::append_timestamp(timestamp, exemplar.timestamp_ms);
    json.object().key("labels").raw(labels).key("value").value(value);
    json.key("timestamp").raw(timestamp).end();
  }
  json.end().end();
}

Result<Response> query_exemplars(const Call& call) {
  const int64_t start_ms = TRY(time_param(call, "start", kTimeMinMs));
  const int64_t end_ms = TRY(time_param(call, "end", kTimeMaxMs));
  if (end_ms < start_ms) {
    return fail(ErrorCode::InvalidArgument, "end timestamp must not be before start timestamp");
  }
  const promql::ExprPtr parsed = TRY(promql::parse(call.param("query"), parse_options(call)));
  storage::LabelsRequest request;
  request.tenant = call.tenant;
  request.range = inclusive_range(start_ms, end_ms);
  for (const promql::VectorSelector* selector : promql::selectors_of(*parsed)) {
    request.matchers.push_back(selector->matchers);
  }
  std::vector<storage::ExemplarSeries> found;
  if (!request.matchers.empty()) found = TRY(call.services->source->exemplars(request));
  Answer answer;
  core::JsonWriter& json = answer.json().array();
  for (const storage::ExemplarSeries& series : found) append_exemplars(json, series);
  json.end();
  return std::move(answer).finish();
}

Result<Response> format_query(const Call& call) {
  const auto parsed = promql::parse(call.param("query"), parse_options(call));
  if (!parsed) return tl::unexpected(invalid_parameter("query", parsed.error().message));
  Answer answer;
  answer.json().value(promql::pretty_print(**parsed));
  return std::move(answer).finish();
}

Result<Response> parse_query(const Call& call) {
  const auto parsed = promql::parse(call.param("query"), parse_options(call));
  if (!parsed) return tl::unexpected(invalid_parameter("query", parsed.error().message));
  Answer answer;
  append_ast(answer.body(), **parsed);
  return std::move(answer).finish();
}

constexpr Route kRoutes[] = {
    {"/api/v1/query", "GET POST", query},
    {"/api/v1/query_range", "GET POST", query_range},
    {"/api/v1/query_exemplars", "GET POST", query_exemplars},
    {"/api/v1/format_query", "GET POST", format_query},
    {"/api/v1/parse_query", "GET POST", parse_query},
};

}  // namespace

std::span<const Route> query_routes() {
  return kRoutes;
}

}  // namespace api
