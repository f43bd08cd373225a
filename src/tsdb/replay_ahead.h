// A replay on two threads: one reads and decodes records, the caller takes them. Between them a
// bounded queue whose batches are used again.

#pragma once

#include "core/result.h"
#include "storage/log.h"

#include <array>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>

namespace tsdb {

class ReplayAhead {
 public:
  // Calls `produce` on a thread of its own, and `visit` on this one with what it gives to put(),
  // in order. The first error of either ends both and is returned, the visitor's first.
  static core::Result<void> run(const std::function<core::Result<void>(ReplayAhead&)>& produce,
                                const storage::Log::Visitor& visit);

  // For the producer: `batch` is exchanged for one to fill next; its views borrow from `owner`.
  // Waits while the queue is full. An error when nobody takes any more.
  core::Result<void> put(storage::LogPosition position, storage::LogBatch& batch,
                         std::shared_ptr<const void> owner);

 private:
  static constexpr size_t kQueued = 16;

  struct Item {
    storage::LogPosition position = 0;
    storage::LogBatch batch;
    std::shared_ptr<const void> owner;
  };

  core::Result<void> take_all(const storage::Log::Visitor& visit);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::array<Item, kQueued> items_;
  size_t put_ = 0;
  size_t taken_ = 0;
  bool is_over_ = false;     // the producer gives no more
  bool is_refused_ = false;  // the visitor takes no more
};

}  // namespace tsdb
