#include "alertstore/testing/memory_store.h"

#include "core/result.h"

namespace alertstore::testing {

using core::ErrorCode;
using core::Result;

Result<void> MemoryStore::check_up() const {
  if (crashed_) return core::fail(ErrorCode::Unavailable, "the process has crashed");
  if (down_) return core::fail(ErrorCode::Unavailable, "the store is down");
  return {};
}

Result<void> MemoryStore::apply(std::span<const Mutation> mutations,
                                std::span<const Condition> conditions) {
  const std::lock_guard lock(mutex_);
  TRY(check_up());
  Fault fault = Fault::None;
  if (writes_++ == fault_at_) fault = fault_;
  if (fault == Fault::Unavailable) return core::fail(ErrorCode::Unavailable, "injected");
  if (fault == Fault::CrashBefore) {
    crashed_ = true;
    return core::fail(ErrorCode::Unavailable, "injected crash before the write");
  }
  for (const Condition& condition : conditions) {
    const auto entry = entries_.find(condition.key);
    const bool equal = condition.value
                           ? entry != entries_.end() && entry->second == *condition.value
                           : entry == entries_.end();
    if (!equal) return core::fail(ErrorCode::Conflict, "condition on \"{}\"", condition.key);
  }
  for (const Mutation& mutation : mutations) {
    if (mutation.value) {
      entries_[mutation.key] = *mutation.value;
    } else {
      entries_.erase(mutation.key);
    }
  }
  if (fault == Fault::UnknownButApplied) {
    return core::fail(ErrorCode::Unavailable, "injected: outcome unknown");
  }
  if (fault == Fault::CrashAfter) {
    crashed_ = true;
    return core::fail(ErrorCode::Unavailable, "injected crash after the write");
  }
  return {};
}

Result<std::optional<std::string>> MemoryStore::get(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  TRY(check_up());
  const auto entry = entries_.find(key);
  if (entry == entries_.end()) return std::optional<std::string>();
  return std::optional<std::string>(entry->second);
}

Result<std::vector<Entry>> MemoryStore::scan(const std::string& prefix, size_t limit,
                                             const std::string& after) const {
  const std::lock_guard lock(mutex_);
  TRY(check_up());
  std::vector<Entry> found;
  auto entry = after < prefix ? entries_.lower_bound(prefix) : entries_.upper_bound(after);
  for (; entry != entries_.end() && found.size() < limit; ++entry) {
    if (!entry->first.starts_with(prefix)) break;
    found.emplace_back(*entry);
  }
  return found;
}

void MemoryStore::fail_write(uint64_t count, Fault fault) {
  const std::lock_guard lock(mutex_);
  fault_at_ = writes_ + count;
  fault_ = fault;
}

void MemoryStore::set_down(bool down) {
  const std::lock_guard lock(mutex_);
  down_ = down;
}

void MemoryStore::restart() {
  const std::lock_guard lock(mutex_);
  crashed_ = false;
}

bool MemoryStore::crashed() const {
  const std::lock_guard lock(mutex_);
  return crashed_;
}

uint64_t MemoryStore::writes() const {
  const std::lock_guard lock(mutex_);
  return writes_;
}

std::map<std::string, std::string> MemoryStore::contents() const {
  const std::lock_guard lock(mutex_);
  return entries_;
}

}  // namespace alertstore::testing
