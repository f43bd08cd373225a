// An AlertStore in memory whose writes fail when a test says so. A "crash" is the
// death of the process around a write: every later call fails until restart(), and
// what had been applied is still there.

#pragma once

#include "alertstore/alert_store.h"

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace alertstore::testing {

enum class Fault {
  None,
  Unavailable,        // refused, nothing applied
  UnknownButApplied,  // applied, but the caller hears an error
  CrashBefore,        // the process died, nothing applied
  CrashAfter,         // applied, then the process died
};

// Thread-safe.
class MemoryStore final : public AlertStore {
 public:
  core::Result<void> apply(std::span<const Mutation> mutations,
                           std::span<const Condition> conditions = {}) override;
  core::Result<std::optional<std::string>> get(const std::string& key) const override;
  core::Result<std::vector<Entry>> scan(const std::string& prefix, size_t limit,
                                        const std::string& after = {}) const override;

  // The write number `count` from now (0: the next) meets `fault`; others succeed.
  void fail_write(uint64_t count, Fault fault);
  // Reads and writes fail with Unavailable while set.
  void set_down(bool down);
  void restart();
  bool crashed() const;
  uint64_t writes() const;  // apply() calls so far
  std::map<std::string, std::string> contents() const;

 private:
  core::Result<void> check_up() const;

  mutable std::mutex mutex_;
  std::map<std::string, std::string> entries_;
  uint64_t writes_ = 0;
  uint64_t fault_at_ = UINT64_MAX;
  Fault fault_ = Fault::None;
  bool down_ = false;
  bool crashed_ = false;
};

}  // namespace alertstore::testing
