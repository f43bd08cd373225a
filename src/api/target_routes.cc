// What is scraped, and Alertmanager peers. Alerts are delivered by this server itself, so
// of those there are none: clients ask all the same, and an empty list is the true answer.

#include "api/answer.h"
#include "api/params.h"
#include "api/route.h"
#include "core/json.h"
#include "core/text.h"
#include "core/time.h"
#include "promql/parser.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace api {

namespace {

using core::ErrorCode;
using core::Result;
using net::Response;

void put_labels(core::JsonWriter& json, model::LabelsView labels) {
  std::string text;
  append_labels(text, labels);
  json.raw(text);
}

// Go's zero time stands for never.
std::string time_text(int64_t time_ms) {
  return time_ms == 0 ? "0001-01-01T00:00:00Z" : core::format_rfc3339(time_ms);
}

void put_target(core::JsonWriter& json, const scrape::TargetView& target) {
  json.object().key("discoveredLabels");
  put_labels(json, target.discovered);
  json.key("labels");
  put_labels(json, target.labels);
  json.key("scrapePool").value(target.pool);
  json.key("scrapeUrl").value(target.url);
  json.key("globalUrl").value(target.global_url);
  json.key("lastError").value(target.last_error);
  json.key("lastScrape").value(time_text(target.last_scrape_ms));
  json.key("lastScrapeDuration").value(target.last_duration_s);
  json.key("health").value(target.health);
  json.key("scrapeInterval").value(core::format_duration(target.interval_ms));
  json.key("scrapeTimeout").value(core::format_duration(target.timeout_ms));
  // Petrel's own.
  json.key("samplesScraped").value(target.samples_scraped);
  json.key("samplesPostRelabeling").value(target.samples_after_relabel);
  json.key("bodyBytes").value(target.bytes);
  json.key("slowLane").value(target.slow_lane).end();
}

void put_dropped(core::JsonWriter& json, const scrape::DroppedView& target) {
  json.object().key("discoveredLabels");
  put_labels(json, target.discovered);
  json.key("scrapePool").value(target.pool);
  json.key(target.is_invalid ? "error" : "droppedBy").value(target.reason).end();
}

// Targets that relabelling drops, or those that cannot be scraped, which Prometheus only
// logs.
void put_all_dropped(core::JsonWriter& json, const std::vector<scrape::DroppedView>& targets,
                     bool is_invalid) {
  json.array();
  for (const scrape::DroppedView& one : targets) {
    if (one.is_invalid == is_invalid) put_dropped(json, one);
  }
  json.end();
}

Result<Response> targets(const Call& call) {
  const scrape::ScrapeStatus* status = call.services->scrape;
  const std::string state = core::lower(call.param("state"));
  const std::string_view pool = call.param("scrapePool");
  const bool is_any = state.empty() || state == "any";
  const bool shows_active = is_any || state == "active";
  const bool shows_dropped = is_any || state == "dropped";

  Answer answer;
  core::JsonWriter& json = answer.json().object();
  json.key("activeTargets").array();
  if (status != nullptr && shows_active) {
    for (const scrape::TargetView& one : status->active(pool)) put_target(json, one);
  }
  json.end();
  std::vector<scrape::DroppedView> dropped;
  if (status != nullptr && shows_dropped) dropped = status->dropped(pool);
  json.key("droppedTargets");
  put_all_dropped(json, dropped, false);
  json.key("droppedTargetCounts");
  if (shows_dropped) {
    json.object();
    if (status != nullptr) {
      for (const auto& one : status->pool_views(""))
        json.key(one.name).value(uint64_t{one.dropped});
    }
    json.end();
    json.key("invalidTargets");
    put_all_dropped(json, dropped, true);
  } else {
    json.null();
  }
  json.end();
  return std::move(answer).finish();
}

Result<Response> scrape_pools(const Call& call) {
  Answer answer;
  core::JsonWriter& json = answer.json().object();
  std::vector<scrape::PoolView> pools;
  if (call.services->scrape != nullptr) pools = call.services->scrape->pool_views("");
  json.key("scrapePools").array();
  for (const scrape::PoolView& pool : pools) json.value(pool.name);
  json.end();
  // Petrel's own: what a person wants to know first.
  json.key("pools").array();
  for (const scrape::PoolView& pool : pools) {
    json.object().key("name").value(pool.name);
    json.key("active").value(uint64_t{pool.active});
    json.key("up").value(uint64_t{pool.up});
    json.key("dropped").value(uint64_t{pool.dropped});
    json.key("error").value(pool.error);
    json.key("discoveries").array();
    for (const scrape::DiscoveryView& one : pool.discoveries) {
      json.object().key("kind").value(one.kind);
      json.key("lastError").value(one.last_error);
      json.key("lastSuccess").value(time_text(one.last_success_ms));
      json.key("invalid").array();
      for (const std::string& entry : one.invalid) json.value(entry);
      json.end().end();
    }
    json.end().end();
  }
  json.end().end();
  return std::move(answer).finish();
}

// Negative and absent: no limit.
Result<std::optional<uint64_t>> metadata_limit(const Call& call) {
  const std::string_view text = call.param("limit");
  if (text.empty()) return std::nullopt;
  int64_t limit = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
  if (error != std::errc() || end != text.data() + text.size()) {
    return core::fail(ErrorCode::InvalidArgument, "limit must be a number");
  }
  if (limit < 0) return std::nullopt;
  return static_cast<uint64_t>(limit);
}

Result<Response> targets_metadata(const Call& call) {
  const std::optional<uint64_t> limit = TRY(metadata_limit(call));
  model::Matchers matchers;
  if (const std::string_view text = call.param("match_target"); !text.empty()) {
    Result<model::Matchers> parsed = promql::parse_selector(text);
    if (!parsed) return tl::unexpected(invalid_parameter("match_target", parsed.error().message));
    matchers = std::move(*parsed);
  }
  const std::string metric(call.param("metric"));
  const auto is_wanted = [&matchers](model::LabelsView labels) {
    return std::all_of(matchers.begin(), matchers.end(), [&](const model::Matcher& one) {
      return one.matches(labels.get(one.name()));
    });
  };
  Answer answer;
  core::JsonWriter& json = answer.json().array();
  if (call.services->scrape != nullptr && limit != 0U) {
    for (const scrape::MetadataView& one :
         call.services->scrape->metadata(metric, is_wanted, limit.value_or(0))) {
      json.object().key("target");
      put_labels(json, one.target);
      if (metric.empty()) json.key("metric").value(one.metadata.metric);
      json.key("type").value(model::metric_type_name(one.metadata.type));
      json.key("help").value(one.metadata.help);
      json.key("unit").value(one.metadata.unit).end();
    }
  }
  json.end();
  return std::move(answer).finish();
}

void put_rule(core::JsonWriter& json, const model::RelabelConfig& rule) {
  json.object();
  if (!rule.source_labels.empty()) {
    json.key("sourceLabels").array();
    for (const std::string& name : rule.source_labels) json.value(name);
    json.end();
  }
  if (!rule.separator.empty()) json.key("separator").value(rule.separator);
  json.key("regex").value(rule.regex);
  if (rule.modulus != 0) json.key("modulus").value(rule.modulus);
  if (!rule.target_label.empty()) json.key("targetLabel").value(rule.target_label);
  if (!rule.replacement.empty()) json.key("replacement").value(rule.replacement);
  json.key("action").value(model::relabel_action_name(rule.action)).end();
}

Result<model::Labels> labels_param(const Call& call) {
  const Result<core::Json> parsed = core::parse_json(call.param("labels"));
  if (!parsed) {
    return core::fail(ErrorCode::InvalidArgument, "error parsing labels: {}",
                      parsed.error().message);
  }
  const core::Json::Object* object = parsed->as_object();
  if (object == nullptr) {
    return core::fail(ErrorCode::InvalidArgument,
                      "error parsing labels: expected an object, found {}", parsed->type_name());
  }
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& [name, value] : *object) {
    if (value.as_string() == nullptr) {
      return core::fail(ErrorCode::InvalidArgument,
                        "error parsing labels: \"{}\": expected a string, found {}", name,
                        value.type_name());
    }
    pairs.emplace_back(name, *value.as_string());
  }
  return model::Labels::of(std::move(pairs));
}

// What each relabel rule of a pool does to a label set, as Prometheus 3.8 answers.
Result<Response> relabel_steps(const Call& call) {
  const std::string_view pool = call.param("scrapePool");
  if (pool.empty())
    return core::fail(ErrorCode::InvalidArgument, "no scrapePool parameter provided");
  const model::Labels labels = TRY(labels_param(call));
  if (call.services->scrape == nullptr) {
    return core::fail(ErrorCode::InvalidArgument, "scrape pool \"{}\" not found", pool);
  }
  auto steps = call.services->scrape->relabel_steps(pool, labels);
  if (!steps) return core::fail(ErrorCode::InvalidArgument, "{}", steps.error().message);
  Answer answer;
  core::JsonWriter& json = answer.json().object().key("steps").array();
  for (const scrape::RelabelStepView& step : *steps) {
    json.object().key("rule");
    put_rule(json, step.rule);
    json.key("output");
    put_labels(json, step.output);
    json.key("keep").value(step.keep).end();
  }
  json.end().end();
  return std::move(answer).finish();
}

Result<Response> alertmanagers(const Call&) {
  Answer answer;
  core::JsonWriter& json = answer.json().object();
  json.key("activeAlertmanagers").array().end();
  json.key("droppedAlertmanagers").array().end().end();
  return std::move(answer).finish();
}

Result<Response> notifications(const Call&) {
  Answer answer;
  answer.json().array().end();
  return std::move(answer).finish();
}

constexpr Route kRoutes[] = {
    {"/api/v1/targets", "GET", targets},
    {"/api/v1/targets/metadata", "GET", targets_metadata},
    {"/api/v1/targets/relabel_steps", "GET", relabel_steps},
    {"/api/v1/scrape_pools", "GET", scrape_pools},
    {"/api/v1/alertmanagers", "GET", alertmanagers, Needs::Nothing},
    {"/api/v1/notifications", "GET", notifications, Needs::Nothing},
};

}  // namespace

std::span<const Route> target_routes() {
  return kRoutes;
}

}  // namespace api
