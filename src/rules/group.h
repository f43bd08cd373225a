// One rule group: its rules evaluated one after another at a slot, each seeing what the
// ones before it have written.

#pragma once

#include "rules/alert_state.h"
#include "rules/outbox.h"
#include "rules/rule_file.h"
#include "rules/rule_manager.h"

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace rules {

// What groups of one manager share.
struct GroupContext {
  RuleManagerOptions options;
  RuleManagerParts parts;
  std::shared_ptr<Outbox> outbox;
};

using SeriesSet = std::set<model::Labels>;

class Group {
 public:
  Group(GroupSpec spec, GroupContext context);
  ~Group();

  const std::string& file() const { return spec_.file; }
  const std::string& name() const { return spec_.name; }
  // Of the spec and of the defaults that it was made with.
  const std::string& definition() const { return definition_; }
  const std::vector<RuleId>& rule_ids() const { return ids_; }

  // Slots are aligned times plus the group's offset, so that groups spread over the
  // interval and a restart evaluates at the same times.
  int64_t interval_ms() const { return interval_ms_; }
  int64_t slot_at_or_before(int64_t now_ms) const;

  // One evaluation. Never two at the same time (they wait for each other); nothing
  // happens after retire().
  void evaluate(int64_t slot_ms);
  void count_missed(uint64_t slots);
  // Waits for a running evaluation; none comes after it.
  void retire();

  // The series that each rule wrote last: a successor goes on with them, so that what it
  // no longer writes is marked stale. Only of a retired group.
  std::map<RuleId, SeriesSet> take_written();
  void adopt_written(std::map<RuleId, SeriesSet>& written);
  int64_t last_slot_ms() const { return last_slot_ms_; }

  GroupView view() const;

 private:
  struct Rule {
    const RuleSpec* spec = nullptr;
    RuleId id;
    std::string generator_url;
    Alerts alerts;
    SeriesSet written;     // by the evaluation before
    SeriesSet to_persist;  // changed by the restoration
  };
  core::Result<void> restore(int64_t slot_ms);
  core::Result<void> evaluate_rule(Rule& rule, int64_t slot_ms);
  core::Result<promql::Vector> query(const std::string& expression, int64_t time_ms) const;
  core::Result<void> evaluate_recording(Rule& rule, int64_t slot_ms);
  core::Result<void> evaluate_alerting(Rule& rule, int64_t slot_ms);
  core::Result<std::vector<Found>> expand(const Rule& rule, const promql::Vector& samples,
                                          int64_t slot_ms) const;
  core::Result<void> commit(Rule& rule, StepResult next, int64_t slot_ms, std::string_view reason);
  core::Result<void> write_alert_series(Rule& rule, int64_t slot_ms);
  core::Result<void> write(Rule& rule, storage::WriteBatch& batch, SeriesSet written,
                           int64_t slot_ms);
  void write_watermark(int64_t slot_ms);
  void publish(const Rule& rule, const core::Result<void>& outcome, int64_t slot_ms,
               double seconds);
  void count_alerts();

  const GroupSpec spec_;
  const GroupContext context_;
  std::string definition_;
  std::vector<RuleId> ids_;
  const int64_t interval_ms_;
  const int64_t query_offset_ms_;

  std::mutex evaluation_mutex_;  // taken before view_mutex_
  // Guarded by evaluation_mutex_.
  std::vector<Rule> rules_;
  bool retired_ = false;
  bool needs_restore_ = true;  // what is in memory may not be what is stored
  bool first_restore_ = true;
  int64_t hold_until_ms_ = 0;
  double counted_firing_ = 0;
  double counted_pending_ = 0;
  std::atomic<int64_t> last_slot_ms_ = 0;

  mutable std::mutex view_mutex_;
  GroupView view_;  // guarded by view_mutex_
};

}  // namespace rules
