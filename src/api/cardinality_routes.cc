// Which series take the room: /api/v1/status/tsdb as in Prometheus, /api/v1/cardinality/* as in
// Mimir, and Petrel's own report with what changed since yesterday.

#include "api/answer.h"
#include "api/params.h"
#include "api/route.h"
#include "core/time.h"
#include "promql/parser.h"

#include <charconv>
#include <limits>

namespace api {

namespace {

using core::ErrorCode;
using core::fail;
using core::JsonWriter;
using core::Result;
using net::Response;
using storage::CardinalityScope;

// An answer of that size is for a program, and is a part of a second of work.
constexpr size_t kLabelSetsBytesMax = 64U << 20U;
constexpr size_t kLabelNamesMax = 100;

Result<const storage::CardinalitySource*> source_of(const Call& call) {
  if (call.services->cardinality != nullptr) return call.services->cardinality;
  return fail(ErrorCode::Unsupported, "this node's storage does not offer its statistics");
}

// Go's strconv.Atoi.
Result<int64_t> whole_number(std::string_view text) {
  std::string_view digits = text;
  if (digits.starts_with('+')) digits.remove_prefix(1);
  int64_t number = 0;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (digits.starts_with('+') || stop != digits.data() + digits.size() || error != std::errc()) {
    return fail(ErrorCode::InvalidArgument, "strconv.Atoi: parsing \"{}\": invalid syntax", text);
  }
  return number;
}

// Prometheus's, with its texts.
Result<size_t> top_param(const Call& call) {
  constexpr int64_t kDefault = 10;
  constexpr int64_t kMax = 10'000;
  const std::string_view text = call.param("limit");
  if (text.empty()) return static_cast<size_t>(kDefault);
  const Result<int64_t> number = whole_number(text);
  if (!number || *number < 1) {
    return fail(ErrorCode::InvalidArgument, "limit must be a positive number");
  }
  if (*number > kMax) return fail(ErrorCode::InvalidArgument, "limit must not exceed {}", kMax);
  return static_cast<size_t>(*number);
}

void write_counts(JsonWriter& json, std::string_view key,
                  const std::vector<storage::NamedCount>& counts) {
  json.key(key).array();
  for (const storage::NamedCount& one : counts) {
    json.object().key("name").value(one.name).key("value").value(one.count).end();
  }
  json.end();
}

Result<Response> tsdb(const Call& call) {
  const size_t top = TRY(top_param(call));
  const storage::CardinalitySource& source = *TRY(source_of(call));
  const storage::HeadCardinality status = TRY(source.head(call.tenant, top));
  const storage::HeadTotals& totals = status.totals;
  const bool is_empty = totals.time_min_ms == 0 && totals.time_max_ms == 0;
  Answer answer;
  JsonWriter& json = answer.json().object();
  json.key("headStats").object();
  json.key("numSeries").value(totals.series).key("numLabelPairs").value(totals.label_pairs);
  json.key("chunkCount").value(totals.chunks);
  // What Prometheus's head has before the first sample.
  json.key("minTime").value(is_empty ? std::numeric_limits<int64_t>::max() : totals.time_min_ms);
  json.key("maxTime").value(is_empty ? std::numeric_limits<int64_t>::min() : totals.time_max_ms);
  json.end();
  write_counts(json, "seriesCountByMetricName", status.series_by_metric);
  write_counts(json, "labelValueCountByLabelName", status.values_by_label);
  write_counts(json, "memoryInBytesByLabelName", status.bytes_by_label);
  write_counts(json, "seriesCountByLabelValuePair", status.series_by_pair);
  json.end();
  return std::move(answer).finish();
}

// ---- Mimir's, with its texts; its answers have no envelope

Response json_response(std::string body) {
  Response response;
  response.headers.emplace_back("Content-Type", "application/json");
  response.body = std::move(body);
  return response;
}

Result<size_t> mimir_limit(const Call& call) {
  constexpr size_t kDefault = 20;
  constexpr int64_t kMax = 500;
  const std::vector<std::string_view> given = call.all("limit");
  if (given.empty()) return kDefault;
  if (given.size() > 1) {
    return fail(ErrorCode::InvalidArgument, "multiple 'limit' params are not allowed");
  }
  const int64_t limit = TRY(whole_number(given.front()));
  if (limit < 0) {
    return fail(ErrorCode::InvalidArgument, "'limit' param cannot be less than '0'");
  }
  if (limit > kMax) {
    return fail(ErrorCode::InvalidArgument, "'limit' param cannot be greater than '{}'", kMax);
  }
  return static_cast<size_t>(limit);
}

Result<CardinalityScope> scope_params(const Call& call) {
  CardinalityScope scope;
  scope.tenant = call.tenant;
  const std::vector<std::string_view> selectors = call.all("selector");
  if (selectors.size() > 1) {
    return fail(ErrorCode::InvalidArgument, "multiple 'selector' params are not allowed");
  }
  if (!selectors.empty()) {
    scope.matchers =
        TRY(promql::parse_selector(selectors.front()).context("failed to parse selector"));
  }
  const std::vector<std::string_view> methods = call.all("count_method");
  if (methods.empty() || methods.front() == "inmemory") return scope;
  if (methods.front() != "active") {
    return fail(ErrorCode::InvalidArgument,
                "invalid 'count_method' param '{}'. valid options are: [active,inmemory]",
                methods.front());
  }
  scope.active_only = true;
  return scope;
}

Result<Response> label_names(const Call& call) {
  const CardinalityScope scope = TRY(scope_params(call));
  const size_t limit = TRY(mimir_limit(call));
  const storage::CardinalitySource& source = *TRY(source_of(call));
  const std::vector<storage::NamedCount> names = TRY(source.label_names(scope));
  uint64_t values = 0;
  for (const storage::NamedCount& one : names) values += one.count;
  std::string body;
  JsonWriter json(body);
  json.object().key("label_values_count_total").value(values);
  json.key("label_names_count").value(static_cast<uint64_t>(names.size()));
  json.key("cardinality").array();
  for (size_t i = 0; i < std::min(limit, names.size()); ++i) {
    json.object().key("label_name").value(names[i].name);
    json.key("label_values_count").value(names[i].count).end();
  }
  json.end().end();
  return json_response(std::move(body));
}

Result<std::vector<std::string>> label_names_param(const Call& call) {
  std::vector<std::string> names;
  for (const std::string_view name : call.all("label_names[]")) {
    if (name.empty()) {
      return fail(ErrorCode::InvalidArgument, "invalid 'label_names' param '{}'", name);
    }
    names.emplace_back(name);
  }
  if (names.empty()) {
    return fail(ErrorCode::InvalidArgument, "'label_names[]' param is required");
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  if (names.size() > kLabelNamesMax) {
    return fail(ErrorCode::InvalidArgument, "{} 'label_names[]' params are given, allowed are {}",
                names.size(), kLabelNamesMax);
  }
  return names;
}

Result<Response> label_values(const Call& call) {
  const std::vector<std::string> names = TRY(label_names_param(call));
  const CardinalityScope scope = TRY(scope_params(call));
  const size_t limit = TRY(mimir_limit(call));
  const storage::CardinalitySource& source = *TRY(source_of(call));
  const storage::HeadTotals totals = TRY(source.totals(call.tenant));
  std::vector<storage::LabelCardinality> labels = TRY(source.label_values(scope, names, limit));
  std::stable_sort(labels.begin(), labels.end(),
                   [](const auto& a, const auto& b) { return a.series > b.series; });
  std::string body;
  JsonWriter json(body);
  json.object().key("series_count_total").value(totals.series).key("labels").array();
  for (const storage::LabelCardinality& label : labels) {
    json.object().key("label_name").value(label.name);
    json.key("label_values_count").value(label.values).key("series_count").value(label.series);
    json.key("cardinality").array();
    for (const storage::NamedCount& one : label.series_by_value) {
      json.object().key("label_value").value(one.name).key("series_count").value(one.count).end();
    }
    json.end().end();
  }
  json.end().end();
  return json_response(std::move(body));
}

Result<Response> active_series(const Call& call) {
  if (call.all("selector").empty()) {
    return fail(ErrorCode::InvalidArgument, "missing 'selector' parameter");
  }
  CardinalityScope scope = TRY(scope_params(call));
  scope.active_only = true;
  const storage::CardinalitySource& source = *TRY(source_of(call));
  const std::vector<std::string> sets = TRY(source.label_sets(scope, kLabelSetsBytesMax));
  std::string body = "{\"data\":[";
  for (const std::string& labels : sets) {
    if (&labels != sets.data()) body += ',';
    append_labels(body, model::LabelsView(labels));
  }
  body += "]}";
  return json_response(std::move(body));
}

// ---- Petrel's

void write_name(JsonWriter& json, std::string_view name, bool is_target) {
  json.object();
  if (!is_target) {
    json.key("name").value(name);
    return;
  }
  const auto [job, instance] = storage::split_target_name(name);
  json.key("job").value(job).key("instance").value(instance);
}

void write_optional(JsonWriter& json, const std::optional<uint64_t>& number) {
  if (number) {
    json.value(*number);
  } else {
    json.null();
  }
}

void write_changes(JsonWriter& json, std::string_view key,
                   const std::vector<storage::CountChange>& lines, bool has_before) {
  json.key(key).array();
  for (const storage::CountChange& one : lines) {
    write_name(json, one.name, key == "targets");
    json.key("count").value(one.count).key("before");
    write_optional(json, one.before);
    json.key("change");
    if (has_before) {
      json.value(one.change);
    } else {
      json.null();
    }
    json.key("atLeast").value(has_before && !one.before).end();
  }
  json.end();
}

void write_churn(JsonWriter& json, std::string_view key,
                 const std::vector<storage::ChurnCount>& lines) {
  json.key(key).array();
  for (const storage::ChurnCount& one : lines) {
    write_name(json, one.name, key == "targets");
    json.key("created").value(one.created).key("gone").value(one.gone);
    json.key("missed").value(one.missed).end();
  }
  json.end();
}

void write_fallback(JsonWriter& json, const storage::FallbackShare& share) {
  json.key("fallback").object();
  json.key("sampled").value(share.sampled).key("raw").value(share.raw).key("metrics").array();
  for (const auto& one : share.metrics) {
    json.object().key("name").value(one.name);
    json.key("sampled").value(one.sampled).key("raw").value(one.raw).end();
  }
  json.end().end();
}

Result<Response> report(const Call& call) {
  const size_t top = TRY(top_param(call));
  const storage::CardinalitySource& source = *TRY(source_of(call));
  const storage::CardinalityReport all = TRY(source.report(call.tenant, top));
  const bool has_before = all.since_ms.has_value();
  Answer answer;
  JsonWriter& json = answer.json().object();
  json.key("time").value(core::format_rfc3339(all.time_ms)).key("since");
  if (has_before) {
    json.value(core::format_rfc3339(*all.since_ms));
  } else {
    json.null();
  }
  json.key("series").value(all.totals.series).key("seriesBefore");
  write_optional(json, all.series_before);
  json.key("labelPairs").value(all.totals.label_pairs);
  json.key("labelNames").value(all.totals.label_names);
  json.key("chunks").value(all.totals.chunks);
  write_changes(json, "metrics", all.metrics, has_before);
  write_changes(json, "labels", all.labels, has_before);
  write_changes(json, "pairs", all.pairs, has_before);
  write_changes(json, "targets", all.targets, has_before);
  json.key("churn").object();
  json.key("since").value(core::format_rfc3339(all.churn.since_ms));
  json.key("created").value(all.churn.created).key("gone").value(all.churn.gone);
  json.key("estimated").value(all.churn.is_estimated);
  write_churn(json, "metrics", all.churn.metrics);
  write_churn(json, "targets", all.churn.targets);
  json.end();
  write_fallback(json, all.fallback);
  json.end();
  return std::move(answer).finish();
}

constexpr Route kRoutes[] = {
    {"/api/v1/status/tsdb", "GET", tsdb},
    {"/api/v1/cardinality/label_names", "GET POST", label_names},
    {"/api/v1/cardinality/label_values", "GET POST", label_values},
    {"/api/v1/cardinality/active_series", "GET POST", active_series},
    {"/api/v1/cardinality/report", "GET", report},
};

}  // namespace

std::span<const Route> cardinality_routes() {
  return kRoutes;
}

}  // namespace api
