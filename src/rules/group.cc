#include "rules/group.h"

#include "core/log.h"
#include "core/metrics.h"
#include "core/utf8.h"
#include "core/varint.h"
#include "templates/functions.h"

#include <algorithm>
#include <fmt/format.h>

namespace rules {

using alertstore::Mutation;
using core::ErrorCode;
using core::Result;

namespace {

// After a pause that is longer than data stays visible, sources get this many
// evaluations to report again before a missing series counts as resolved.
constexpr int64_t kSettleIntervals = 2;
constexpr size_t kScanPage = 1000;

uint64_t hash_of(std::string_view text) {
  uint64_t hash = 14695981039346656037ULL;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211ULL;
  // Short names differ in the low bits only; spread them (the finaliser of SplitMix64).
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9ULL;
  return hash ^ (hash >> 31);
}

std::string label_bytes_of(const alertstore::Annotations& pairs) {
  std::string bytes;
  alertstore::append_annotations(bytes, pairs);
  return bytes;
}

core::Counter& evaluations() {
  static core::Counter& counter =
      core::counter("petrel_rule_evaluations_total", "Rule evaluations.");
  return counter;
}
core::Counter& failures() {
  static core::Counter& counter =
      core::counter("petrel_rule_evaluation_failures_total", "Rule evaluations that failed.");
  return counter;
}
core::Counter& missed() {
  static core::Counter& counter =
      core::counter("petrel_rule_group_iterations_missed_total",
                    "Slots at which a rule group was not evaluated because the one before took "
                    "too long.");
  return counter;
}
core::Gauge& alerts_gauge(const char* state) {
  return core::gauge("petrel_rule_alerts", "Active alerts by state.", {{"state", state}});
}
core::DurationHistogram& group_duration() {
  static core::DurationHistogram& histogram = core::duration_histogram(
      "petrel_rule_group_duration_seconds", "How long the evaluation of a rule group took.");
  return histogram;
}

// ALERTS and ALERTS_FOR_STATE of an active alert.
std::pair<model::Labels, model::Labels> series_of(const Alert& alert) {
  model::LabelsBuilder builder(alert.labels);
  model::Labels for_state = builder.set(model::kMetricName, "ALERTS_FOR_STATE").build();
  builder.set(model::kMetricName, "ALERTS").set("alertstate", alert_state_name(alert.state));
  return {builder.build(), std::move(for_state)};
}

void append_relabel_rule(std::string& out, const model::RelabelConfig& config) {
  core::append_varint(out, config.source_labels.size());
  for (const std::string& name : config.source_labels) core::append_string(out, name);
  for (const std::string* text :
       {&config.separator, &config.regex, &config.target_label, &config.replacement}) {
    core::append_string(out, *text);
  }
  core::append_varint(out, config.modulus);
  out.push_back(static_cast<char>(config.action));
}

// As Prometheus's notifier does: an external label does not replace one of the alert, and
// alert_relabel_configs may drop it. Empty: nobody is to be told.
model::Labels labels_to_send(const model::Labels& labels, const RuleManagerOptions& options) {
  model::LabelsBuilder builder(labels);
  for (const auto& [name, value] : options.external_labels) {
    if (builder.get(name).empty()) builder.set(name, value);
  }
  if (!model::relabel(options.alert_relabel_rules, builder)) return {};
  return builder.build();
}

int64_t or_default(const std::optional<int64_t>& value, int64_t fallback) {
  return value ? *value : fallback;
}

}  // namespace

Group::Group(GroupSpec spec, GroupContext context)
    : spec_(std::move(spec)),
      context_(std::move(context)),
      interval_ms_(std::max<int64_t>(
          1, or_default(spec_.interval_ms, context_.options.default_interval_ms))),
      query_offset_ms_(
          or_default(spec_.query_offset_ms, context_.options.default_query_offset_ms)) {
  definition_ = spec_.definition();
  core::append_varint(definition_, static_cast<uint64_t>(interval_ms_));
  core::append_varint(definition_, core::zigzag(query_offset_ms_));
  core::append_string(definition_, context_.options.external_labels.bytes());
  for (const model::RelabelRule& rule : context_.options.alert_relabel_rules) {
    append_relabel_rule(definition_, rule.config());
  }

  view_.name = spec_.name;
  view_.file = spec_.file;
  view_.interval_ms = interval_ms_;
  view_.query_offset_ms = query_offset_ms_;
  view_.limit = spec_.limit;
  std::map<RuleId, uint64_t> seen;
  for (const RuleSpec& one : spec_.rules) {
    RuleId id{.file = spec_.file,
              .group = spec_.name,
              .rule = one.name,
              .label_bytes = label_bytes_of(one.labels),
              .nth = 0};
    const uint64_t nth = seen[id]++;
    id.nth = nth;
    ids_.push_back(id);
    Rule& rule = rules_.emplace_back();
    rule.spec = &one;
    rule.id = std::move(id);
    rule.generator_url = fmt::format("{}/graph?g0.expr={}&g0.tab=1", context_.options.external_url,
                                     templates::query_escape(one.expression));
    RuleView& shown = view_.rules.emplace_back();
    shown.kind = one.kind;
    shown.name = one.name;
    shown.expression = one.expression;
    shown.labels = model::Labels::of(one.labels);
    shown.for_ms = one.for_ms;
    shown.keep_firing_for_ms = one.keep_firing_for_ms;
    shown.annotations = one.annotations;
  }
}

Group::~Group() {
  alerts_gauge("firing").add(-counted_firing_);
  alerts_gauge("pending").add(-counted_pending_);
}

int64_t Group::slot_at_or_before(int64_t now_ms) const {
  const auto offset = static_cast<int64_t>(hash_of(spec_.file + ";" + spec_.name) %
                                           static_cast<uint64_t>(interval_ms_));
  int64_t since = (now_ms - offset) % interval_ms_;
  if (since < 0) since += interval_ms_;
  return now_ms - since;
}

void Group::evaluate(int64_t slot_ms) {
  const std::lock_guard lock(evaluation_mutex_);
  if (retired_) return;
  const int64_t started_ns = context_.parts.clock.monotonic_ns();
  Result<void> restored;
  if (needs_restore_) restored = restore(slot_ms);
  int64_t before_ns = started_ns;
  for (Rule& rule : rules_) {
    const Result<void> outcome = restored ? evaluate_rule(rule, slot_ms) : restored;
    const int64_t after_ns = context_.parts.clock.monotonic_ns();
    publish(rule, outcome, slot_ms, static_cast<double>(after_ns - before_ns) * 1e-9);
    before_ns = after_ns;
  }
  if (restored) write_watermark(slot_ms);
  last_slot_ms_ = slot_ms;
  count_alerts();
  const double seconds = static_cast<double>(before_ns - started_ns) * 1e-9;
  group_duration().observe(seconds);
  const std::lock_guard view_lock(view_mutex_);
  view_.evaluation_seconds = seconds;
  view_.last_evaluation_ms = slot_ms;
}

void Group::count_missed(uint64_t slots) {
  missed().add(static_cast<double>(slots));
  const std::lock_guard lock(view_mutex_);
  view_.missed_slots += slots;
}

void Group::retire() {
  const std::lock_guard lock(evaluation_mutex_);
  retired_ = true;
}

std::map<RuleId, SeriesSet> Group::take_written() {
  const std::lock_guard lock(evaluation_mutex_);
  std::map<RuleId, SeriesSet> written;
  for (Rule& rule : rules_) written[rule.id] = std::move(rule.written);
  return written;
}

void Group::adopt_written(std::map<RuleId, SeriesSet>& written) {
  const std::lock_guard lock(evaluation_mutex_);
  for (Rule& rule : rules_) {
    const auto found = written.find(rule.id);
    if (found == written.end()) continue;
    rule.written = std::move(found->second);
    written.erase(found);
  }
}

GroupView Group::view() const {
  const std::lock_guard lock(view_mutex_);
  return view_;
}

// Reads the alerts of this group back. Needed at start, and after a write whose outcome
// is unknown: deciding from what is in memory could then decide twice.
Result<void> Group::restore(int64_t slot_ms) {
  const alertstore::AlertStore& store = context_.parts.store;
  const std::string& tenant = context_.options.tenant;
  std::map<RuleId, Alerts> stored;
  const std::string prefix = alert_prefix(tenant, spec_.file, spec_.name);
  std::string after;
  for (;;) {
    const auto page = TRY(store.scan(prefix, kScanPage, after).context("restore alerts"));
    for (const auto& [key, value] : page) {
      AlertKey parsed = TRY(parse_alert_key(key, tenant));
      AlertRecord record = TRY(decode_alert(value, parsed.labels));
      stored[parsed.rule].emplace(std::move(parsed.labels), std::move(record.alert));
    }
    if (page.size() < kScanPage) break;
    after = page.back().first;
  }
  const std::optional<std::string> mark =
      TRY(store.get(slot_key(tenant, spec_.file, spec_.name)).context("restore the last slot"));
  int64_t paused_ms = 0;
  if (mark) {
    const int64_t last_ms = TRY(decode_slot(*mark));
    paused_ms = std::max<int64_t>(0, slot_ms - last_ms - interval_ms_);
  }
  for (Rule& rule : rules_) {
    rule.alerts = std::move(stored[rule.id]);
    rule.to_persist.clear();
    for (auto& [labels, alert] : rule.alerts) {
      // `for` does not count the time in which nobody looked.
      if (alert.state == AlertState::Pending && paused_ms > 0) {
        alert.active_at_ms += paused_ms;
        rule.to_persist.insert(labels);
      }
      // What the process before us wrote, to be marked stale once it is no longer so.
      if (!first_restore_ || alert.state == AlertState::Resolved) continue;
      auto [state, for_state] = series_of(alert);
      rule.written.insert(std::move(state));
      rule.written.insert(std::move(for_state));
    }
  }
  if (first_restore_ && paused_ms > context_.options.lookback_ms) {
    hold_until_ms_ = slot_ms + kSettleIntervals * interval_ms_;
  }
  needs_restore_ = false;
  first_restore_ = false;
  return {};
}

Result<void> Group::evaluate_rule(Rule& rule, int64_t slot_ms) {
  if (needs_restore_) TRY(restore(slot_ms));
  if (rule.spec->kind == RuleKind::Recording) return evaluate_recording(rule, slot_ms);
  return evaluate_alerting(rule, slot_ms);
}

Result<promql::Vector> Group::query(const std::string& expression, int64_t time_ms) const {
  promql::Value value = TRY(context_.parts.query(expression, time_ms));
  if (auto* vector = std::get_if<promql::Vector>(&value)) return std::move(*vector);
  if (const auto* scalar = std::get_if<promql::Scalar>(&value)) {
    promql::Point point;
    point.timestamp_ms = time_ms;
    point.value = scalar->value;
    promql::Vector vector;
    vector.push_back({model::Labels(), std::move(point)});
    return vector;
  }
  return core::fail(ErrorCode::InvalidArgument, "rule result is a {}, not a vector or scalar",
                    promql::value_type_name(value));
}

Result<void> Group::evaluate_recording(Rule& rule, int64_t slot_ms) {
  const int64_t time_ms = slot_ms - query_offset_ms_;
  const promql::Vector samples = TRY(query(rule.spec->expression, time_ms));
  if (spec_.limit > 0 && samples.size() > spec_.limit) {
    return core::fail(ErrorCode::LimitExceeded, "exceeded limit of {} with {} series", spec_.limit,
                      samples.size());
  }
  storage::WriteBatch batch;
  batch.tenant = context_.options.tenant;
  SeriesSet written;
  for (const promql::VectorSample& sample : samples) {
    model::LabelsBuilder builder(sample.labels);
    builder.set(model::kMetricName, rule.spec->name);
    for (const auto& [name, value] : rule.spec->labels) builder.set(name, value);
    const auto [labels, is_new] = written.insert(builder.build());
    if (!is_new) {
      return core::fail(ErrorCode::InvalidArgument,
                        "two series have the same labels after the rule's labels: {}",
                        labels->to_string());
    }
    if (sample.point.histogram) {
      batch.begin_series(batch.keep(labels->bytes()));
      batch.add_histogram(time_ms, *sample.point.histogram);
    } else {
      batch.add(*labels, time_ms, sample.point.value);
    }
  }
  return write(rule, batch, std::move(written), slot_ms);
}

Result<void> Group::evaluate_alerting(Rule& rule, int64_t slot_ms) {
  const promql::Vector samples = TRY(query(rule.spec->expression, slot_ms - query_offset_ms_));
  StepInput input{.slot_ms = slot_ms,
                  .for_ms = rule.spec->for_ms,
                  .keep_firing_for_ms = rule.spec->keep_firing_for_ms,
                  .hold_missing = slot_ms < hold_until_ms_,
                  .found = TRY(expand(rule, samples, slot_ms))};
  StepResult next = step(rule.alerts, input);
  const auto active = std::ranges::count_if(
      next.alerts, [](const auto& entry) { return entry.second.state != AlertState::Resolved; });
  if (spec_.limit > 0 && static_cast<uint64_t>(active) > spec_.limit) {
    // As in Prometheus all alerts of the rule end; unlike there, the end is told.
    TRY(commit(rule, drop_all(rule.alerts, slot_ms), slot_ms, "limit_exceeded"));
    TRY(write_alert_series(rule, slot_ms));
    return core::fail(ErrorCode::LimitExceeded, "exceeded limit of {} with {} alerts", spec_.limit,
                      active);
  }
  TRY(commit(rule, std::move(next), slot_ms, ""));
  return write_alert_series(rule, slot_ms);
}

Result<std::vector<Found>> Group::expand(const Rule& rule, const promql::Vector& samples,
                                         int64_t slot_ms) const {
  const int64_t time_ms = slot_ms - query_offset_ms_;
  templates::Data data;
  data.external_labels = context_.options.external_labels;
  data.external_url = context_.options.external_url;
  data.now_ms = slot_ms;
  data.query = [this,
                time_ms](std::string_view expression) -> Result<std::vector<templates::Sample>> {
    const promql::Vector found = TRY(query(std::string(expression), time_ms));
    std::vector<templates::Sample> result;
    for (const auto& one : found) result.push_back({one.labels, one.point.value});
    return result;
  };
  std::vector<Found> result;
  SeriesSet seen;
  const RuleSpec& spec = *rule.spec;
  for (const promql::VectorSample& sample : samples) {
    data.labels = sample.labels;
    data.value = sample.point.value;
    Found& found = result.emplace_back();
    found.value = data.value;
    model::LabelsBuilder builder(sample.labels);
    builder.remove(model::kMetricName);
    for (size_t i = 0; i < spec.labels.size(); ++i) {
      const std::string value = spec.label_templates[i].expand_or_error(data);
      if (!core::is_utf8(value)) {
        return core::fail(ErrorCode::InvalidArgument, "label {} would not be UTF-8",
                          spec.labels[i].first);
      }
      builder.set(spec.labels[i].first, value);
    }
    builder.set("alertname", spec.name);
    found.labels = builder.build();
    if (!seen.insert(found.labels).second) {
      return core::fail(ErrorCode::InvalidArgument,
                        "two alerts have the same labels after the rule's labels: {}",
                        found.labels.to_string());
    }
    for (size_t i = 0; i < spec.annotations.size(); ++i) {
      found.annotations.emplace_back(spec.annotations[i].first,
                                     spec.annotation_templates[i].expand_or_error(data));
    }
  }
  return result;
}

// State and outbox in one write, and nothing in memory changes before it is durable.
Result<void> Group::commit(Rule& rule, StepResult next, int64_t slot_ms, std::string_view reason) {
  const std::string& tenant = context_.options.tenant;
  std::vector<Mutation> mutations;
  std::vector<alertstore::Condition> conditions;
  for (const model::Labels& labels : next.fired) {
    next.alerts.at(labels).sent_labels = labels_to_send(labels, context_.options);
  }
  SeriesSet write(next.changed.begin(), next.changed.end());
  for (const model::Labels& labels : rule.to_persist) {
    if (next.alerts.contains(labels)) write.insert(labels);
  }
  for (const model::Labels& labels : write) {
    mutations.push_back({alert_key(tenant, rule.id, labels),
                         encode_alert(next.alerts.at(labels), rule.generator_url)});
  }
  for (const model::Labels& labels : next.forgotten) {
    mutations.push_back({alert_key(tenant, rule.id, labels), std::nullopt});
  }
  for (const auto* transitions : {&next.resolved, &next.fired}) {
    for (const model::Labels& labels : *transitions) {
      const Alert& alert = next.alerts.at(labels);
      if (alert.sent_labels && alert.sent_labels->empty()) continue;
      std::string key = TRY(context_.outbox->next_key());
      conditions.push_back({key, std::nullopt});
      mutations.push_back(
          {std::move(key), alertstore::encode_event(
                               make_event(tenant, rule.id, alert, rule.generator_url, reason))});
    }
  }
  if (!mutations.empty()) {
    mutations.push_back({slot_key(tenant, spec_.file, spec_.name), encode_slot(slot_ms)});
    const Result<void> applied = context_.parts.store.apply(mutations, conditions);
    if (!applied) {
      needs_restore_ = true;
      return Result<void>(applied).context("store the alerts' state");
    }
  }
  rule.alerts = std::move(next.alerts);
  rule.to_persist.clear();
  if (!conditions.empty() && context_.parts.outbox_written) context_.parts.outbox_written();
  return {};
}

Result<void> Group::write_alert_series(Rule& rule, int64_t slot_ms) {
  const int64_t time_ms = slot_ms - query_offset_ms_;
  storage::WriteBatch batch;
  batch.tenant = context_.options.tenant;
  SeriesSet written;
  for (const auto& [labels, alert] : rule.alerts) {
    if (alert.state == AlertState::Resolved) continue;
    auto [state, for_state] = series_of(alert);
    batch.add(state, time_ms, 1);
    // Whole seconds, as Prometheus writes it.
    batch.add(for_state, time_ms, static_cast<double>(alert.active_at_ms / 1000));
    written.insert(std::move(state));
    written.insert(std::move(for_state));
  }
  return write(rule, batch, std::move(written), slot_ms);
}

// Appends the samples and stale markers for what this rule wrote before and not now.
Result<void> Group::write(Rule& rule, storage::WriteBatch& batch, SeriesSet written,
                          int64_t slot_ms) {
  const int64_t time_ms = slot_ms - query_offset_ms_;
  for (const model::Labels& labels : rule.written) {
    if (!written.contains(labels)) batch.add(labels, time_ms, model::stale_nan());
  }
  if (batch.empty()) return {};
  const storage::AppendSummary summary =
      TRY(context_.parts.sink.append(batch).context("append the rule's samples"));
  rule.written = std::move(written);
  if (summary.refused_total() > 0) {
    return core::fail(ErrorCode::Conflict, "{} of {} samples refused: {}", summary.refused_total(),
                      batch.series.size(),
                      summary.examples.empty() ? "" : summary.examples.front());
  }
  return {};
}

// Until when this group has looked, while there is something whose duration depends on it.
void Group::write_watermark(int64_t slot_ms) {
  const bool active = std::ranges::any_of(rules_, [](const Rule& rule) {
    return std::ranges::any_of(
        rule.alerts, [](const auto& entry) { return entry.second.state != AlertState::Resolved; });
  });
  if (!active) return;
  const Mutation mark{slot_key(context_.options.tenant, spec_.file, spec_.name),
                      encode_slot(slot_ms)};
  const Result<void> applied = context_.parts.store.apply(std::span(&mark, 1));
  if (!applied) {
    core::log_warn("rules", "cannot store the last slot",
                   {{"group", spec_.name}, {"error", applied.error().message}});
  }
}

void Group::publish(const Rule& rule, const Result<void>& outcome, int64_t slot_ms,
                    double seconds) {
  evaluations().add();
  std::vector<AlertView> active;
  std::vector<AlertView> resolved;
  AlertState state = AlertState::Inactive;
  for (const auto& [labels, alert] : rule.alerts) {
    (alert.state == AlertState::Resolved ? resolved : active).push_back(alert.view());
    if (alert.state == AlertState::Firing) state = AlertState::Firing;
    if (alert.state == AlertState::Pending && state == AlertState::Inactive) state = alert.state;
  }
  const std::string error = outcome ? "" : outcome.error().message;
  const auto index = static_cast<size_t>(&rule - rules_.data());
  bool was_good = false;
  {
    const std::lock_guard lock(view_mutex_);
    RuleView& shown = view_.rules[index];
    was_good = shown.health != RuleHealth::Err;
    shown.health = outcome ? RuleHealth::Ok : RuleHealth::Err;
    shown.last_error = error;
    shown.evaluation_seconds = seconds;
    shown.last_evaluation_ms = slot_ms;
    shown.state = state;
    shown.alerts = std::move(active);
    shown.resolved = std::move(resolved);
  }
  if (outcome) return;
  failures().add();
  if (was_good) {
    core::log_warn("rules", "rule failed; its alerts stay as they are",
                   {{"group", spec_.name}, {"rule", rule.id.rule}, {"error", error}});
  }
}

void Group::count_alerts() {
  double firing = 0;
  double pending = 0;
  for (const Rule& rule : rules_) {
    for (const auto& [labels, alert] : rule.alerts) {
      firing += alert.state == AlertState::Firing ? 1 : 0;
      pending += alert.state == AlertState::Pending ? 1 : 0;
    }
  }
  alerts_gauge("firing").add(firing - std::exchange(counted_firing_, firing));
  alerts_gauge("pending").add(pending - std::exchange(counted_pending_, pending));
}

}  // namespace rules
