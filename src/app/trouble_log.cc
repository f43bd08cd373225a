#include "app/trouble_log.h"

#include "core/log.h"

#include <algorithm>

namespace app {

TroubleLog::Changes TroubleLog::step(const std::vector<api::Trouble>& troubles, int64_t now_ms) {
  Changes changes;
  for (const api::Trouble& one : troubles) {
    const auto [told, is_new] = told_.try_emplace({one.part, one.reason});
    if (!is_new && now_ms - told->second.at_ms < kEveryMs) continue;
    told->second = {.trouble = one, .at_ms = now_ms};
    changes.due.push_back(one);
  }
  std::erase_if(told_, [&](const auto& told) {
    const bool is_there = std::ranges::any_of(troubles, [&](const api::Trouble& one) {
      return one.part == told.first.first && one.reason == told.first.second;
    });
    if (!is_there) changes.gone.push_back(told.second.trouble);
    return !is_there;
  });
  return changes;
}

void TroubleLog::log(const std::vector<api::Trouble>& troubles, int64_t now_ms) {
  const Changes changes = step(troubles, now_ms);
  for (const api::Trouble& one : changes.due) {
    core::log(one.stops_writes ? core::LogLevel::Error : core::LogLevel::Warn, one.part,
              one.stops_writes ? "no samples are taken; reads go on" : "degraded",
              {{"reason", one.reason}, {"text", one.text}});
  }
  for (const api::Trouble& one : changes.gone) {
    core::log_warn(one.part, one.stops_writes ? "samples may be taken again" : "works again",
                   {{"reason", one.reason}});
  }
}

}  // namespace app
