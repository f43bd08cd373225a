#include "tsdb/incomplete.h"

#include "core/time.h"

#include <algorithm>
#include <limits>

namespace tsdb {

using core::Result;
using model::TimeRange;

namespace {

// Damage in more places than that is told as one.
constexpr size_t kEntriesMax = 200;

class WarnedSet final : public storage::SeriesSet {
 public:
  WarnedSet(std::unique_ptr<storage::SeriesSet> set, std::vector<std::string> warnings)
      : set_(std::move(set)), warnings_(std::move(warnings)) {}

  Result<bool> next(storage::SeriesBatch& batch) override { return set_->next(batch); }
  const model::Labels& group_labels(uint32_t group) const override {
    return set_->group_labels(group);
  }
  std::vector<std::string> warnings() const override {
    std::vector<std::string> all = set_->warnings();
    all.insert(all.end(), warnings_.begin(), warnings_.end());
    return all;
  }

 private:
  const std::unique_ptr<storage::SeriesSet> set_;
  const std::vector<std::string> warnings_;
};

}  // namespace

void add_incomplete(IncompleteList& list, Incomplete one) {
  const bool known = std::any_of(list.begin(), list.end(),
                                 [&](const auto& other) { return other.key == one.key; });
  if (known) return;
  if (list.size() < kEntriesMax) {
    list.push_back(std::move(one));
    return;
  }
  Incomplete& last = list.back();
  last.tenant.clear();
  last.key = "more";
  last.text = "the disk was damaged in many places: samples may be missing, the log names them";
  last.range.start_ms = std::min(last.range.start_ms, one.range.start_ms);
  last.range.end_ms = std::max(last.range.end_ms, one.range.end_ms);
}

void forget_incomplete(IncompleteList& list, const std::map<std::string, int64_t>& newest_ms,
                       int64_t retention_ms) {
  std::erase_if(list, [&](const Incomplete& one) {
    const auto is_past = [&](int64_t time_ms) {
      return one.range.end_ms <= time_ms - retention_ms;
    };
    if (one.tenant.empty()) {
      return !newest_ms.empty() &&
             std::all_of(newest_ms.begin(), newest_ms.end(),
                         [&](const auto& tenant) { return is_past(tenant.second); });
    }
    const auto newest = newest_ms.find(one.tenant);
    return newest != newest_ms.end() && is_past(newest->second);
  });
}

Incomplete incomplete_of(const storage::LogDamage& damage, int64_t late_ms, int64_t ahead_ms,
                         int64_t now_ms) {
  const int64_t before_ms = damage.accepted_before_ms.value_or(now_ms);
  Incomplete one;
  one.key = fmt::format("log-{}", damage.first);
  // The clock may have been set back in between.
  const int64_t after_ms = damage.accepted_after_ms.value_or(before_ms);
  one.range = {damage.accepted_after_ms ? std::min(after_ms, before_ms) - late_ms : -kFarMs,
               std::max(after_ms, before_ms) + ahead_ms + 1};
  std::string records = fmt::format("records {}..{}", damage.first, damage.end - 1);
  if (damage.lost() == 1) records = fmt::format("record {}", damage.first);
  if (damage.count && damage.lost() != damage.end - damage.first) {
    records = fmt::format("{} of records {}..{}", *damage.count, damage.first, damage.end - 1);
  }
  const std::string since =
      damage.accepted_after_ms
          ? fmt::format("between {} and", core::format_rfc3339(*damage.accepted_after_ms))
          : std::string("before");
  one.text =
      fmt::format("{}{} of the log {} ({} at byte {}): samples accepted {} {} may be missing",
                  records, damage.end_is_known ? "" : " and perhaps more",
                  damage.is_unread                            ? "cannot be read"
                  : damage.lost() == 1 && damage.end_is_known ? "was damaged"
                                                              : "were damaged",
                  damage.file, damage.offset, since, core::format_rfc3339(before_ms));
  return one;
}

std::vector<std::string> warnings_for(const IncompleteList& list, std::string_view tenant,
                                      TimeRange range) {
  std::vector<std::string> warnings;
  for (const Incomplete& one : list) {
    if (!one.tenant.empty() && one.tenant != tenant) continue;
    if (one.range.overlaps(range)) warnings.push_back(one.text);
  }
  return warnings;
}

void add_warning(std::vector<std::string>& warnings, std::string text) {
  constexpr size_t kWarningsMax = 20;
  if (warnings.size() >= kWarningsMax) return;
  if (std::find(warnings.begin(), warnings.end(), text) == warnings.end()) {
    warnings.push_back(std::move(text));
  }
}

std::unique_ptr<storage::SeriesSet> with_warnings(std::unique_ptr<storage::SeriesSet> set,
                                                  std::vector<std::string> warnings) {
  if (warnings.empty()) return set;
  return std::make_unique<WarnedSet>(std::move(set), std::move(warnings));
}

}  // namespace tsdb
