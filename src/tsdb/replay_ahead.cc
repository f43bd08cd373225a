#include "tsdb/replay_ahead.h"

#include <thread>
#include <utility>

namespace tsdb {

using core::Result;

Result<void> ReplayAhead::run(const std::function<Result<void>(ReplayAhead&)>& produce,
                              const storage::Log::Visitor& visit) {
  ReplayAhead ahead;
  Result<void> produced;
  std::thread producer([&] {
    produced = produce(ahead);
    const std::lock_guard lock(ahead.mutex_);
    ahead.is_over_ = true;
    ahead.changed_.notify_all();
  });
  Result<void> taken = ahead.take_all(visit);
  {
    const std::lock_guard lock(ahead.mutex_);
    ahead.is_refused_ = true;
    ahead.changed_.notify_all();
  }
  producer.join();
  if (!taken) return taken;
  return produced;
}

Result<void> ReplayAhead::put(storage::LogPosition position, storage::LogBatch& batch,
                              std::shared_ptr<const void> owner) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return is_refused_ || put_ - taken_ < kQueued; });
  if (is_refused_) return core::fail(core::ErrorCode::Cancelled, "the replay has ended");
  Item& item = items_[put_ % kQueued];
  item.position = position;
  item.owner = std::move(owner);
  std::swap(item.batch, batch);
  // Woken once for many: the other side looks again before it waits.
  if (put_++ == taken_) changed_.notify_all();
  return {};
}

Result<void> ReplayAhead::take_all(const storage::Log::Visitor& visit) {
  while (true) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return is_over_ || put_ != taken_; });
    if (put_ == taken_) return {};
    Item& item = items_[taken_ % kQueued];
    lock.unlock();
    TRY(visit(item.position, item.batch));
    item.owner.reset();
    lock.lock();
    if (put_ - taken_++ == kQueued) changed_.notify_all();
  }
}

}  // namespace tsdb
