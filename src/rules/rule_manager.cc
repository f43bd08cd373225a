#include "rules/rule_manager.h"

#include "core/log.h"
#include "rules/group.h"

#include <algorithm>
#include <condition_variable>
#include <fmt/format.h>

namespace rules {

using alertstore::Mutation;
using core::ErrorCode;
using core::Result;

namespace {

// When the executor's queue is full, or the store is down: soon again.
constexpr int64_t kRetryMs = 100;
constexpr int64_t kSweepRetryMs = 5'000;
// Alerts of removed rules ended in one write: bounds the transaction.
constexpr size_t kSweepBatch = 100;

struct Parsed {
  std::vector<GroupSpec> groups;
  std::vector<std::string> errors;
};

Parsed parse_files(const std::vector<RuleText>& files, const CheckExpression& check_expression,
                   bool strict) {
  Parsed result;
  for (const RuleText& file : files) {
    RuleFile read = read_rule_file(file, check_expression, strict);
    std::ranges::move(read.groups, std::back_inserter(result.groups));
    std::ranges::move(read.errors, std::back_inserter(result.errors));
  }
  return result;
}

// A group and its place in time.
struct Runner {
  explicit Runner(std::shared_ptr<Group> one) : group(std::move(one)) {}

  std::shared_ptr<Group> group;
  core::TimerId timer = 0;
  int64_t last_slot_ms = 0;  // 0: none yet
};

}  // namespace

// Lock order: load_mutex, then mutex; a group's own locks are taken under neither's
// callbacks. Timers and tasks hold a shared_ptr to this and look at `running` first.
struct RuleManager::State : std::enable_shared_from_this<RuleManager::State> {
  State(RuleManagerOptions given, RuleManagerParts given_parts)
      : options(std::move(given)),
        parts(std::move(given_parts)),
        outbox(std::make_shared<Outbox>(parts.store, options.tenant)) {}

  Result<void> load(const std::vector<RuleText>& files);
  void schedule(const std::shared_ptr<Runner>& runner, int64_t delay_ms);
  void due(const std::shared_ptr<Runner>& runner);
  void run(const std::shared_ptr<Runner>& runner);
  void post_sweep();
  void sweep_task();
  Result<void> sweep();
  Result<void> sweep_slots(const std::set<std::string>& groups);
  Result<void> end_orphans(const std::vector<alertstore::Entry>& entries);
  void mark_stale(const std::set<model::Labels>& series, int64_t time_ms) const;

  std::mutex load_mutex;       // serialises load() and sweep()
  RuleManagerOptions options;  // guarded by load_mutex
  const RuleManagerParts parts;
  const std::shared_ptr<Outbox> outbox;

  std::mutex mutex;
  std::condition_variable idle;
  // Guarded by mutex.
  std::vector<std::shared_ptr<Runner>> runners;
  core::Scheduler* scheduler = nullptr;
  core::Executor* executor = nullptr;
  bool running = false;
  size_t active = 0;  // tasks inside an evaluation or a sweep
};

namespace {

// Counts a task as active while it lives; false when the manager is stopping.
template <typename S>
class Activity {
 public:
  explicit Activity(S& state) : state_(state) {
    const std::lock_guard lock(state_.mutex);
    began_ = state_.running;
    if (began_) ++state_.active;
  }
  ~Activity() {
    if (!began_) return;
    const std::lock_guard lock(state_.mutex);
    --state_.active;
    state_.idle.notify_all();
  }
  Activity(const Activity&) = delete;
  Activity& operator=(const Activity&) = delete;
  explicit operator bool() const { return began_; }

 private:
  S& state_;
  bool began_ = false;
};

}  // namespace

Result<void> RuleManager::State::load(const std::vector<RuleText>& files) {
  Parsed parsed = parse_files(files, parts.check_expression, options.strict);
  std::set<std::pair<std::string, std::string>> names;
  for (const GroupSpec& group : parsed.groups) {
    if (!group.name.empty() && !names.emplace(group.file, group.name).second) {
      parsed.errors.push_back(fmt::format("{}: the file is listed twice", group.file));
      break;
    }
  }
  if (!parsed.errors.empty()) {
    return core::fail(ErrorCode::InvalidArgument, "{}", fmt::join(parsed.errors, "\n"));
  }
  std::vector<std::shared_ptr<Runner>> old;
  {
    const std::lock_guard lock(mutex);
    old = runners;
  }
  std::map<std::string, std::shared_ptr<Runner>> unchanged;
  for (const auto& runner : old) unchanged[runner->group->definition()] = runner;

  std::vector<std::shared_ptr<Runner>> next;
  std::vector<std::shared_ptr<Runner>> fresh;
  for (GroupSpec& spec : parsed.groups) {
    auto group = std::make_shared<Group>(std::move(spec), GroupContext{options, parts, outbox});
    const auto same = unchanged.find(group->definition());
    if (same != unchanged.end()) {
      next.push_back(same->second);
      unchanged.erase(same);
      continue;
    }
    fresh.push_back(std::make_shared<Runner>(std::move(group)));
    next.push_back(fresh.back());
  }

  // What is left of the old set ends before its successors begin.
  std::map<RuleId, SeriesSet> written;
  int64_t last_slot_ms = 0;
  for (const auto& [definition, runner] : unchanged) {
    runner->group->retire();
    written.merge(runner->group->take_written());
    last_slot_ms = std::max(last_slot_ms, runner->group->last_slot_ms());
  }
  for (const auto& runner : fresh) runner->group->adopt_written(written);
  std::ranges::stable_sort(
      next, {}, [](const auto& runner) -> const std::string& { return runner->group->file(); });
  bool started = false;
  {
    const std::lock_guard lock(mutex);
    runners = next;
    started = running;
    for (const auto& [definition, runner] : unchanged) {
      if (scheduler != nullptr) scheduler->cancel(runner->timer);
    }
  }
  SeriesSet gone;
  for (const auto& [id, series] : written) gone.insert(series.begin(), series.end());
  if (!gone.empty()) mark_stale(gone, last_slot_ms + 1);
  if (started) {
    for (const auto& runner : fresh) schedule(runner, 0);
    post_sweep();
  }
  return {};
}

void RuleManager::State::mark_stale(const std::set<model::Labels>& series, int64_t time_ms) const {
  storage::WriteBatch batch;
  batch.tenant = options.tenant;
  for (const model::Labels& labels : series) batch.add(labels, time_ms, model::stale_nan());
  const auto appended = parts.sink.append(batch);
  if (!appended) {
    // They end by themselves when the lookback has passed.
    core::log_warn("rules", "cannot mark the series of removed rules stale",
                   {{"error", appended.error().message}});
  }
}

// Sets the timer for the next slot, at least `delay_ms` away.
void RuleManager::State::schedule(const std::shared_ptr<Runner>& runner, int64_t delay_ms) {
  const std::lock_guard lock(mutex);
  if (!running) return;
  if (delay_ms == 0) {
    const int64_t now_ms = parts.clock.now_ms();
    const Group& group = *runner->group;
    delay_ms = group.slot_at_or_before(now_ms) + group.interval_ms() - now_ms;
  }
  runner->timer =
      scheduler->after(delay_ms, [state = shared_from_this(), runner] { state->due(runner); });
}

void RuleManager::State::due(const std::shared_ptr<Runner>& runner) {
  core::Executor* pool = nullptr;
  {
    const std::lock_guard lock(mutex);
    if (!running) return;
    pool = executor;
  }
  const bool posted = pool->post([state = shared_from_this(), runner] { state->run(runner); });
  if (!posted) schedule(runner, kRetryMs);
}

void RuleManager::State::run(const std::shared_ptr<Runner>& runner) {
  {
    const Activity activity(*this);
    if (!activity) return;
    Group& group = *runner->group;
    const int64_t interval_ms = group.interval_ms();
    const int64_t slot_ms = group.slot_at_or_before(parts.clock.now_ms());
    const int64_t last_ms = runner->last_slot_ms;
    // The timer may come early by the difference between the two clocks. A slot further
    // back means that the wall clock was set back: then evaluating goes on from there.
    const bool early = last_ms != 0 && slot_ms <= last_ms && last_ms - slot_ms < interval_ms;
    if (!early) {
      if (last_ms != 0 && slot_ms > last_ms + interval_ms) {
        group.count_missed(static_cast<uint64_t>((slot_ms - last_ms) / interval_ms - 1));
      }
      runner->last_slot_ms = slot_ms;
      group.evaluate(slot_ms);
    }
  }
  {
    const std::lock_guard lock(mutex);
    if (std::ranges::count(runners, runner) == 0) return;
  }
  schedule(runner, 0);
}

void RuleManager::State::post_sweep() {
  core::Executor* pool = nullptr;
  {
    const std::lock_guard lock(mutex);
    if (!running) return;
    pool = executor;
  }
  if (pool->post([state = shared_from_this()] { state->sweep_task(); })) return;
  const std::lock_guard lock(mutex);
  if (running) scheduler->after(kRetryMs, [state = shared_from_this()] { state->post_sweep(); });
}

void RuleManager::State::sweep_task() {
  const Activity activity(*this);
  if (!activity) return;
  const std::lock_guard load_lock(load_mutex);
  const Result<void> swept = sweep();
  if (swept) return;
  core::log_warn("rules", "cannot end the alerts of removed rules yet",
                 {{"error", swept.error().message}});
  const std::lock_guard lock(mutex);
  if (running) {
    scheduler->after(kSweepRetryMs, [state = shared_from_this()] { state->post_sweep(); });
  }
}

// Ends the alerts whose rule is in no loaded file any more, whether it went in a reload or
// while Petrel was down.
Result<void> RuleManager::State::sweep() {
  std::set<RuleId> known;
  std::set<std::string> groups;  // slot keys
  {
    const std::lock_guard lock(mutex);
    for (const auto& runner : runners) {
      const Group& group = *runner->group;
      known.insert(group.rule_ids().begin(), group.rule_ids().end());
      groups.insert(slot_key(options.tenant, group.file(), group.name()));
    }
  }
  std::string after;
  for (;;) {
    const auto page = TRY(parts.store.scan(alert_prefix(options.tenant), kSweepBatch, after));
    if (page.empty()) break;
    after = page.back().first;
    std::vector<alertstore::Entry> orphans;
    for (const auto& entry : page) {
      const AlertKey key = TRY(parse_alert_key(entry.first, options.tenant));
      if (!known.contains(key.rule)) orphans.push_back(entry);
    }
    if (!orphans.empty()) TRY(end_orphans(orphans));
  }
  return sweep_slots(groups);
}

Result<void> RuleManager::State::sweep_slots(const std::set<std::string>& groups) {
  std::string after;
  for (;;) {
    const auto page = TRY(parts.store.scan(slot_prefix(options.tenant), kSweepBatch, after));
    if (page.empty()) return {};
    after = page.back().first;
    std::vector<Mutation> mutations;
    for (const auto& [key, value] : page) {
      if (!groups.contains(key)) mutations.push_back({key, std::nullopt});
    }
    if (!mutations.empty()) TRY(parts.store.apply(mutations));
  }
}

Result<void> RuleManager::State::end_orphans(const std::vector<alertstore::Entry>& entries) {
  const int64_t now_ms = parts.clock.now_ms();
  std::vector<Mutation> mutations;
  std::vector<alertstore::Condition> conditions;
  SeriesSet series;
  bool any_event = false;
  for (const auto& [key, value] : entries) {
    const AlertKey parsed = TRY(parse_alert_key(key, options.tenant));
    AlertRecord record = TRY(decode_alert(value, parsed.labels));
    Alert& alert = record.alert;
    mutations.push_back({key, std::nullopt});
    conditions.push_back({key, value});
    if (alert.state == AlertState::Resolved) continue;
    model::LabelsBuilder builder(alert.labels);
    series.insert(builder.set(model::kMetricName, "ALERTS_FOR_STATE").build());
    builder.set(model::kMetricName, "ALERTS").set("alertstate", alert_state_name(alert.state));
    series.insert(builder.build());
    if (alert.state != AlertState::Firing) continue;
    if (alert.sent_labels && alert.sent_labels->empty()) continue;
    alert.state = AlertState::Resolved;
    alert.resolved_at_ms = std::max({now_ms, alert.fired_at_ms, int64_t{1}});
    std::string row = TRY(outbox->next_key());
    conditions.push_back({row, std::nullopt});
    mutations.push_back({std::move(row), alertstore::encode_event(
                                             make_event(options.tenant, parsed.rule, alert,
                                                        record.generator_url, "rule_removed"))});
    any_event = true;
  }
  TRY(parts.store.apply(mutations, conditions));
  if (any_event && parts.outbox_written) parts.outbox_written();
  if (!series.empty()) mark_stale(series, now_ms + 1);
  return {};
}

std::vector<std::string> check_rule_files(const std::vector<RuleText>& files,
                                          const RuleManagerOptions& options,
                                          const CheckExpression& check_expression) {
  return parse_files(files, check_expression, options.strict).errors;
}

RuleManager::RuleManager(RuleManagerOptions options, RuleManagerParts parts)
    : state_(std::make_shared<State>(std::move(options), std::move(parts))) {}

RuleManager::~RuleManager() {
  stop();
}

Result<void> RuleManager::load(const std::vector<RuleText>& files) {
  const std::lock_guard lock(state_->load_mutex);
  return state_->load(files);
}

Result<void> RuleManager::load(const std::vector<RuleText>& files, int64_t default_interval_ms,
                               int64_t default_query_offset_ms, model::Labels external_labels,
                               model::RelabelRules alert_relabel_rules) {
  const std::lock_guard lock(state_->load_mutex);
  const RuleManagerOptions before = state_->options;
  state_->options.default_interval_ms = default_interval_ms;
  state_->options.default_query_offset_ms = default_query_offset_ms;
  state_->options.external_labels = std::move(external_labels);
  state_->options.alert_relabel_rules = std::move(alert_relabel_rules);
  Result<void> loaded = state_->load(files);
  if (!loaded) state_->options = before;
  return loaded;
}

void RuleManager::start(core::Scheduler& scheduler, core::Executor& executor) {
  std::vector<std::shared_ptr<Runner>> all;
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->running) return;
    state_->scheduler = &scheduler;
    state_->executor = &executor;
    state_->running = true;
    all = state_->runners;
  }
  for (const auto& runner : all) state_->schedule(runner, 0);
  state_->post_sweep();
}

void RuleManager::stop() {
  std::unique_lock lock(state_->mutex);
  if (!state_->running) return;
  state_->running = false;
  for (const auto& runner : state_->runners) state_->scheduler->cancel(runner->timer);
  state_->idle.wait(lock, [this] { return state_->active == 0; });
}

RulesView RuleManager::snapshot() const {
  RulesView view;
  const std::lock_guard lock(state_->mutex);
  for (const auto& runner : state_->runners) view.groups.push_back(runner->group->view());
  return view;
}

}  // namespace rules
