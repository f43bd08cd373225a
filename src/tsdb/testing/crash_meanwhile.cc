// What goes on in the middle of a step, and what maintenance may take away.

#include "tsdb/testing/crash_run.h"

#include <algorithm>

namespace tsdb::testing {

using core::Result;
using core::testing::SimOperation;

namespace {

constexpr int64_t kMinute = 60'000;
constexpr const char* kAllTenants[] = {"default", "other", "third"};

}  // namespace

// A flush lets appends and reads through, a merge everything.
void CrashRun::arm_interrupt(Within within) {
  if (!one_in(3)) return;
  static constexpr SimOperation kOperations[] = {SimOperation::Create, SimOperation::Write,
                                                 SimOperation::Write, SimOperation::Sync};
  const bool at_snapshot = within == Within::Flush && one_in(2);
  files_.interrupt(kOperations[rng_.below(std::size(kOperations))],
                   at_snapshot ? "data/series_snapshot" : ".block", rng_.below(3),
                   [this, within] { meanwhile(within); });
}

void CrashRun::meanwhile(Within within) {
  trace("  in the middle of it:");
  coverage_.count(within == Within::Flush ? "steps within a flush" : "steps within a merge");
  is_within_flush_ = within == Within::Flush;
  if (within == Within::Merge && engine_options_.retention_ms != 0 && one_in(2)) outlive();
  const uint64_t count = 1 + rng_.below(3);
  for (uint64_t i = 0; i < count && files_.has_power() && !is_broken(); ++i) {
    if (within == Within::Flush && one_in(3)) {
      describe();
      continue;
    }
    switch (rng_.below(within == Within::Flush ? 3 : 8)) {
      case 0:
        append();
        break;
      case 1:
        resend();
        break;
      case 2:
        read();
        break;
      case 3:
        (void)maintain("maintain", false);
        break;
      case 4:
        (void)maintain("flush all", true);
        break;
      case 5:
      case 6:
        delete_series();
        break;
      default:
        snapshot();
    }
    if (within == Within::Merge) clock_.advance_ms(static_cast<int64_t>(rng_.below(40)) * kMinute);
  }
  is_within_flush_ = false;
  trace("  and on with it");
}

// What is merged gets too old: new samples go to blocks, and retention follows them.
void CrashRun::outlive() {
  clock_.advance_ms(engine_options_.retention_ms);
  coverage_.count("retentions within a merge");
  for (int i = 0; i < 2; ++i) append();
  (void)maintain("flush all", true);
  (void)maintain("maintain", false);
}

CrashRun::BlocksByTenant CrashRun::blocks_now() const {
  BlocksByTenant blocks;
  for (const char* tenant : kAllTenants) blocks[tenant] = engine_->blocks(tenant);
  return blocks;
}

Result<MaintainReport> CrashRun::maintain(std::string_view what, bool everything) {
  const BlocksByTenant before = blocks_now();
  Result<MaintainReport> done = everything ? engine_->flush_all() : engine_->maintain();
  note(what, done);
  note_retention(before, done ? std::optional(done->blocks_deleted) : std::nullopt);
  return done;
}

// Only maintenance and copies, which begin with it, take blocks away. `deleted`: how many, if
// that is known.
void CrashRun::note_retention(const BlocksByTenant& before, std::optional<uint64_t> deleted) {
  if (is_broken() || (deleted && *deleted == 0)) return;
  const BlocksByTenant after = blocks_now();
  if (engine_options_.retention_bytes != 0) {
    uint64_t vanished = 0;
    for (const auto& [tenant, blocks] : before) {
      const std::vector<BlockMeta>& left = after.at(tenant);
      for (const BlockMeta& meta : blocks) {
        const bool is_left = std::any_of(left.begin(), left.end(), [&](const BlockMeta& one) {
          return one.number == meta.number;
        });
        if (is_left) continue;
        ++vanished;
        model_.may_be_gone(tenant, {meta.min_time_ms, meta.max_time_ms + 1});
      }
    }
    // One that was written and deleted in the same step is in neither list.
    if (!is_sound() || vanished != deleted) {
      for (const char* tenant : kAllTenants) model_.may_be_gone(tenant, kAllTime);
    }
  }
  if (!is_sound() || !deleted) return;
  // What went has to stay away.
  for (const char* tenant : kAllTenants) {
    auto set = engine_->select({.tenant = tenant, .matchers = {}, .range = kAllTime});
    if (!set) return fail("no answer after retention: " + set.error().message);
    const Reading reading = read_all(**set);
    check_reading("after retention", {.tenant = tenant, .matchers = {}}, reading);
    if (is_broken()) return;
    if (is_sound()) model_.forget_gone(tenant, reading);
  }
}

}  // namespace tsdb::testing
