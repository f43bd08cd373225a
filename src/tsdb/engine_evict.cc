// Series that stopped, from the head to a block of their own (head_evict.cc).

#include "core/mutation.h"
#include "tsdb/block.h"
#include "tsdb/engine_impl.h"

#include <algorithm>

namespace tsdb {

using core::Result;

namespace {

// The share of the head's series that is worth a block.
constexpr size_t kStaleShare = 50;
// Times per `stale_after_ms` that it is looked for them.
constexpr int64_t kLooks = 3;

}  // namespace

Result<void> Engine::Impl::evict_stale(Tenant& tenant, MaintainReport& report) {
  const int64_t now_ns = clock.monotonic_ns();
  const int64_t pause_ns = options.stale_after_ms / kLooks * 1'000'000;
  if (options.stale_after_ms == 0 || is_held) return {};
  if (tenant.evicted_at_ns && now_ns - *tenant.evicted_at_ns < pause_ns) return {};
  Head& head = tenant.head;
  if (!head.finish_eviction(clock.now_ms(), report.series_evicted)) return {};  // a reader holds the one before
  // At the first look everything may be new.
  const bool is_first = !tenant.evicted_at_ns;
  tenant.evicted_at_ns = now_ns;
  const int64_t newest_ms = head.newest_ms(trusted_clock.now_ms());
  if (is_first || newest_ms == kNoTime) return {};
  const int64_t before_ms = newest_ms - options.stale_after_ms;
  std::vector<Head::Stale> stale = head.stale_series(before_ms);
  const size_t worth = std::max(options.stale_series_min, head.series_count() / kStaleShare);
  if (stale.empty() || stale.size() < worth) return {};

  std::vector<SeriesRef> refs;
  for (const Head::Stale& one : stale) refs.push_back(one.ref);
  const HeadFlush flush = head.eviction_of(before_ms);
  for (const model::TimeRange slot : head.flush_slots(flush)) {
    TRY(flush_slot(tenant, flush, slot, refs));
  }
  if (flushed.empty()) return {};
  if (!PETREL_MUTATED("evict-no-dir-sync")) TRY(files.sync_dir(blocks_dir()));
  Manifest next = manifest;
  for (const Flushed& one : flushed) next.blocks.push_back(one.meta);
  next.evicted[head.tenant()] = log.high();
  if (PETREL_MUTATED("evict-before-publish")) head.begin_eviction(stale);
  bool may_be_stored = false;
  if (Result<void> stored = store_manifest(std::move(next), &may_be_stored); !stored) {
    if (may_be_stored) keep_unsure();
    return stored;
  }
  show_flushed(report);
  head.begin_eviction(std::move(stale));
  return {};
}

}  // namespace tsdb
