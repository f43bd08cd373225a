// Numbers the rows of a tenant's outbox, so that they are read in the order they were
// decided in, across restarts.

#pragma once

#include "alertstore/alert_store.h"
#include "core/result.h"
#include "model/tenant.h"

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

namespace rules {

// Thread-safe. Numbers may be skipped, never repeated while the row is still there.
class Outbox {
 public:
  Outbox(const alertstore::AlertStore& store, model::TenantId tenant)
      : store_(store), tenant_(std::move(tenant)) {}

  // The key of the next row. Reads the store at the first call.
  core::Result<std::string> next_key();

 private:
  const alertstore::AlertStore& store_;
  const model::TenantId tenant_;
  std::mutex mutex_;
  std::optional<uint64_t> next_;  // guarded by mutex_
};

}  // namespace rules
