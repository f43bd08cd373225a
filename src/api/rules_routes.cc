// Rules and alerts as the rule manager last saw them.

#include "api/answer.h"
#include "api/params.h"
#include "api/route.h"
#include "core/time.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace api {

namespace {

using core::ErrorCode;
using core::fail;
using core::JsonWriter;
using core::Result;
using net::Response;
using rules::AlertView;
using rules::GroupView;
using rules::RuleView;

constexpr std::string_view kNever = "0001-01-01T00:00:00Z";  // Go's zero time

std::string time_text(int64_t time_ms) {
  return time_ms == 0 ? std::string(kNever) : core::format_rfc3339(time_ms);
}

double seconds(int64_t duration_ms) {
  return static_cast<double>(duration_ms) / 1000;
}

void write_labels(JsonWriter& json, std::string_view key, model::LabelsView labels) {
  std::string text;
  append_labels(text, labels);
  json.key(key).raw(text);
}

void write_annotations(JsonWriter& json, const alertstore::Annotations& annotations) {
  json.key("annotations").object();
  for (const auto& [name, value] : annotations) json.key(name).value(value);
  json.end();
}

void write_alert(JsonWriter& json, const AlertView& alert) {
  json.object();
  write_labels(json, "labels", alert.labels);
  write_annotations(json, alert.annotations);
  json.key("state").value(rules::alert_state_name(alert.state));
  if (alert.active_at_ms != 0) {
    json.key("activeAt").value(core::format_rfc3339(alert.active_at_ms));
  }
  if (alert.keep_firing_since_ms != 0) {
    json.key("keepFiringSince").value(core::format_rfc3339(alert.keep_firing_since_ms));
  }
  json.key("value").value(format_float_e(alert.value)).end();
}

enum class Alerts { Include, Exclude };

void write_alerting_rule(JsonWriter& json, const RuleView& rule, Alerts alerts) {
  json.object().key("state").value(rules::alert_state_name(rule.state));
  json.key("name").value(rule.name).key("query").value(rule.expression);
  json.key("duration").value(seconds(rule.for_ms));
  json.key("keepFiringFor").value(seconds(rule.keep_firing_for_ms));
  write_labels(json, "labels", rule.labels);
  write_annotations(json, rule.annotations);
  json.key("alerts").array();
  if (alerts == Alerts::Include) {
    for (const AlertView& alert : rule.alerts) write_alert(json, alert);
  }
  json.end();
}

void write_rule(JsonWriter& json, const RuleView& rule, Alerts alerts) {
  if (rule.kind == rules::RuleKind::Alerting) {
    write_alerting_rule(json, rule, alerts);
  } else {
    json.object().key("name").value(rule.name).key("query").value(rule.expression);
    if (!rule.labels.empty()) write_labels(json, "labels", rule.labels);
  }
  json.key("health").value(rules::rule_health_name(rule.health));
  if (!rule.last_error.empty()) json.key("lastError").value(rule.last_error);
  json.key("evaluationTime").value(rule.evaluation_seconds);
  json.key("lastEvaluation").value(time_text(rule.last_evaluation_ms));
  json.key("type").value(rules::rule_kind_name(rule.kind)).end();
}

struct Filter {
  std::optional<rules::RuleKind> kind;
  std::vector<std::string_view> names;
  std::vector<std::string_view> groups;
  std::vector<std::string_view> files;
  std::vector<model::Matchers> matchers;

  static bool passes(const std::vector<std::string_view>& wanted, std::string_view value) {
    return wanted.empty() || std::find(wanted.begin(), wanted.end(), value) != wanted.end();
  }
  bool takes(const GroupView& group) const {
    return passes(groups, group.name) && passes(files, group.file);
  }
  bool takes(const RuleView& rule) const {
    if (kind && *kind != rule.kind) return false;
    if (!passes(names, rule.name)) return false;
    return matchers.empty() ||
           std::any_of(matchers.begin(), matchers.end(), [&](const model::Matchers& set) {
             return model::matches_all(set, rule.labels);
           });
  }
};

Result<Filter> filter_of(const Call& call) {
  Filter filter;
  const std::string_view type = call.param("type");
  if (type == "alert") {
    filter.kind = rules::RuleKind::Alerting;
  } else if (type == "record") {
    filter.kind = rules::RuleKind::Recording;
  } else if (!type.empty()) {
    return tl::unexpected(
        invalid_parameter("type", fmt::format("not supported value \"{}\"", type)));
  }
  filter.names = call.all("rule_name[]");
  filter.groups = call.all("rule_group[]");
  filter.files = call.all("file[]");
  filter.matchers = TRY(match_params(call, "match[]"));
  return filter;
}

// Go's strconv.ParseBool.
Result<Alerts> alerts_param(const Call& call) {
  const std::string_view text = call.param("exclude_alerts");
  for (const std::string_view yes : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (text == yes) return Alerts::Exclude;
  }
  for (const std::string_view no : {"", "0", "f", "F", "false", "FALSE", "False"}) {
    if (text == no) return Alerts::Include;
  }
  return tl::unexpected(invalid_parameter(
      "exclude_alerts", fmt::format("error converting exclude_alerts: \"{}\"", text)));
}

// Names the group a page ends before. Opaque to clients.
std::string page_token(const GroupView& group) {
  return net::percent_encode(group.file + ";" + group.name);
}

struct Page {
  uint64_t limit = 0;  // groups; 0: all
  std::string_view token;
};

Result<Page> page_of(const Call& call) {
  Page page;
  page.token = call.param("group_next_token");
  const std::string_view text = call.param("group_limit");
  if (text.empty()) {
    if (page.token.empty()) return page;
    return fail(ErrorCode::InvalidArgument,
                "invalid parameter \"group_limit\": group_limit needs to be present in order to "
                "paginate over the groups");
  }
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), page.limit);
  if (stop != text.data() + text.size() || error != std::errc() || page.limit == 0) {
    return tl::unexpected(
        invalid_parameter("group_limit", "group_limit needs to be a valid positive number"));
  }
  return page;
}

void write_group(JsonWriter& json, const GroupView& group,
                 const std::vector<const RuleView*>& chosen, Alerts alerts) {
  json.object().key("name").value(group.name).key("file").value(group.file);
  json.key("rules").array();
  for (const RuleView* const rule : chosen) write_rule(json, *rule, alerts);
  json.end().key("interval").value(seconds(group.interval_ms));
  json.key("limit").value(group.limit);
  json.key("evaluationTime").value(group.evaluation_seconds);
  json.key("lastEvaluation").value(time_text(group.last_evaluation_ms)).end();
}

rules::RulesView rules_view(const Call& call) {
  return call.services->rules ? call.services->rules() : rules::RulesView{};
}

Result<Response> list_rules(const Call& call) {
  const Filter filter = TRY(filter_of(call));
  const Alerts alerts = TRY(alerts_param(call));
  const Page page = TRY(page_of(call));
  const rules::RulesView view = rules_view(call);

  Answer answer;
  JsonWriter& json = answer.json().object().key("groups").array();
  bool on_page = page.token.empty();
  uint64_t written = 0;
  std::string next_token;
  for (const GroupView& group : view.groups) {
    on_page = on_page || page.token == page_token(group);
    if (!on_page || !filter.takes(group)) continue;
    std::vector<const RuleView*> chosen;
    for (const RuleView& rule : group.rules) {
      if (filter.takes(rule)) chosen.push_back(&rule);
    }
    if (chosen.empty()) continue;
    if (page.limit != 0 && written == page.limit) {
      next_token = page_token(group);
      break;
    }
    write_group(json, group, chosen, alerts);
    ++written;
  }
  if (!on_page) {
    return tl::unexpected(invalid_parameter(
        "group_next_token",
        fmt::format("invalid group_next_token '{}'. were rule groups changed?", page.token)));
  }
  json.end();
  if (!next_token.empty()) json.key("groupNextToken").value(next_token);
  json.end();
  return std::move(answer).finish();
}

Result<Response> list_alerts(const Call& call) {
  const rules::RulesView view = rules_view(call);
  Answer answer;
  JsonWriter& json = answer.json().object().key("alerts").array();
  for (const GroupView& group : view.groups) {
    for (const RuleView& rule : group.rules) {
      for (const AlertView& alert : rule.alerts) write_alert(json, alert);
    }
  }
  json.end().end();
  return std::move(answer).finish();
}

constexpr Route kRoutes[] = {
    {"/api/v1/rules", "GET", list_rules},
    {"/api/v1/alerts", "GET", list_alerts},
};

}  // namespace

std::span<const Route> rules_routes() {
  return kRoutes;
}

}  // namespace api
