// Deleting series: a tombstone in the manifest is the deletion. Blocks are read through it
// until they are written anew without the samples; the head drops them at once, and a start
// does when it replays what the log had at that moment.
//
// It holds for block numbers and log positions that had been given then, so what is sent again
// is not deleted. A merge that runs meanwhile has taken its number before, and its inputs had
// the samples: the tombstone covers its output too.

#include "core/log.h"
#include "core/metrics.h"
#include "core/mutation.h"
#include "tsdb/block.h"
#include "tsdb/engine_impl.h"
#include "tsdb/read_only_gauge.h"

#include <algorithm>

namespace tsdb {

using core::ErrorCode;
using core::Result;
using model::TimeRange;
using storage::LogPosition;

namespace {

// Each costs something in every read of what it covers.
constexpr size_t kTombstonesMax = 10'000;  // per tenant

// Whether a later deletion of `range` does all that `one` does.
bool is_covered(const Tombstone& one, const model::Matchers& matchers, TimeRange range) {
  return one.range.start_ms >= range.start_ms && one.range.end_ms <= range.end_ms &&
         std::equal(one.matchers.begin(), one.matchers.end(), matchers.begin(), matchers.end(),
                    [](const model::Matcher& a, const model::Matcher& b) {
                      return a.type() == b.type() && a.name() == b.name() && a.value() == b.value();
                    });
}

Tombstones of_tenant(const Manifest& manifest, const model::TenantId& tenant) {
  Tombstones list;
  for (const Tombstone& one : manifest.tombstones) {
    if (one.tenant == tenant) list.push_back(one);
  }
  return list;
}

}  // namespace

Result<void> Engine::delete_series(const DeleteRequest& request) {
  Impl& impl = *impl_;
  TRY(impl.check_ready());
  TRY(impl.check_writable());
  TRY(impl.check_not_held());
  if (request.selectors.empty()) {
    return core::fail(ErrorCode::InvalidArgument, "delete series: expected at least one selector");
  }
  Tenant* tenant = impl.find_tenant(request.tenant);
  if (tenant == nullptr) {
    // Perhaps all that there is of it cannot be read at the moment.
    if (!impl.has_lost_records() || !model::is_valid_tenant(request.tenant)) return {};
    tenant = &impl.tenant_for(request.tenant);
  }
  const std::lock_guard step(impl.maintain_mutex);
  return impl.delete_series(*tenant, request);
}

Result<void> Engine::Impl::delete_series(Tenant& tenant, const DeleteRequest& request) {
  const model::TenantId& id = tenant.head.tenant();
  // Only what is there is deleted. A tombstone without an end would never become superfluous
  // while the log stays. But what could not be read may be there again at the next start.
  TimeRange range = request.range;
  const auto publish = [&](LogPosition high) -> Result<void> {
    int64_t latest = tenant.head.latest_ms();
    for (const BlockMeta& meta : manifest.blocks) {
      if (meta.tenant == id) latest = std::max(latest, meta.max_time_ms);
    }
    if (!has_lost_records()) {
      if (latest == kNoTime) return {};
      range.end_ms = std::min(range.end_ms, latest + 1);
    }
    if (range.empty()) return {};
    Manifest next = manifest;
    for (const model::Matchers& matchers : request.selectors) {
      std::erase_if(next.tombstones, [&](const Tombstone& one) {
        return one.tenant == id && is_covered(one, matchers, range);
      });
      next.tombstones.push_back({.tenant = id,
                                 .matchers = matchers,
                                 .range = range,
                                 .blocks_before = manifest.next_number,
                                 .log_before = high});
    }
    if (PETREL_MUTATED("delete-forgets-running-merge")) {
      uint64_t number = 0;
      for (const BlockMeta& meta : manifest.blocks) number = std::max(number, meta.number);
      next.tombstones.back().blocks_before = number + 1;
    }
    Tombstones list = of_tenant(next, id);
    if (list.size() > kTombstonesMax) {
      return core::fail(ErrorCode::LimitExceeded,
                        "tenant {} has {} deletions that are not cleaned up, allowed are {}: clean "
                        "the tombstones first",
                        id, list.size() - request.selectors.size(), kTombstonesMax);
    }
    bool may_be_stored = false;
    const Result<void> stored = store_manifest(std::move(next), &may_be_stored);
    if (!stored) {
      // A restart may find the deletion or not. What is sent again now would be taken for a
      // duplicate of samples that may be gone then.
      if (may_be_stored && !PETREL_MUTATED("delete-goes-on-in-doubt")) {
        stop_writes(
            fmt::format("whether series of tenant {} are deleted is known after it only: {}", id,
                        stored.error().message),
            Stop::UntilRestart);
        core::log_error("tsdb", "nothing is written until a restart: a deletion failed halfway",
                        {{"tenant", id}, {"err", stored.error().message}});
      }
      return stored;
    }
    tenant.set_tombstones(std::move(list));
    return {};
  };
  TRY(tenant.head.delete_samples(log, request.selectors, request.range, publish)
          .context("delete series of tenant {}", id));
  core::log_info("tsdb", "deleted series",
                 {{"tenant", id},
                  {"selectors", request.selectors.size()},
                  {"start_ms", range.start_ms},
                  {"end_ms", range.end_ms}});
  return {};
}

// Drops tombstones that nothing needs: neither a block nor a record that would be replayed.
Result<void> Engine::Impl::drop_tombstones() {
  if (manifest.tombstones.empty()) return {};
  const LogPosition low = log.low();
  Manifest next = manifest;
  std::erase_if(next.tombstones, [&](const Tombstone& one) {
    const auto closed = next.closed.find(one.tenant);
    const bool in_log = low < one.log_before && (closed == next.closed.end() ||
                                                 closed->second.before_ms < one.range.end_ms ||
                                                 closed->second.log_before < one.log_before);
    return (!in_log || PETREL_MUTATED("tombstones-ignore-log")) &&
           std::none_of(next.blocks.begin(), next.blocks.end(), [&](const BlockMeta& meta) {
             return meta.tenant == one.tenant && meta.number < one.blocks_before &&
                    meta.min_time_ms < one.range.end_ms && meta.max_time_ms >= one.range.start_ms;
           });
  });
  if (next.tombstones.size() == manifest.tombstones.size()) return {};
  TRY(store_manifest(std::move(next)).context("drop superfluous tombstones"));
  refresh_tombstones();
  return {};
}

// After some were dropped from the manifest: nothing else takes one out of a list.
void Engine::Impl::refresh_tombstones() {
  for (Tenant* tenant : all_tenants()) {
    Tombstones list = of_tenant(manifest, tenant->head.tenant());
    if (list.size() != tenant->tombstones()->size()) tenant->set_tombstones(std::move(list));
  }
}

void Engine::Impl::stop_writes(std::string why, Stop until) {
  if (!is_held) read_only_gauge("manifest").set(1);
  const std::lock_guard guard(stopped_mutex);
  if (writes_stopped && stopped_until == Stop::UntilRestart) return;
  stopped_why = std::move(why);
  stopped_until = until;
  writes_stopped = true;
}

void Engine::Impl::resume_writes() {
  const std::lock_guard guard(stopped_mutex);
  if (stopped_until != Stop::UntilSettled) return;
  writes_stopped = false;
  read_only_gauge("manifest").set(0);
}

Result<void> Engine::Impl::check_writable() const {
  if (!writes_stopped) return {};
  const std::lock_guard guard(stopped_mutex);
  return core::fail(ErrorCode::Unavailable, "nothing is written{}: {}",
                    stopped_until == Stop::UntilRestart ? " until a restart" : "", stopped_why);
}

}  // namespace tsdb
