// The embedded AlertStore: one SQLite table of keys and values. WAL mode with
// synchronous=FULL: a batch is one transaction and is on the disk when apply() returns.

#pragma once

#include "alertstore/alert_store.h"
#include "core/result.h"

#include <memory>
#include <string>

struct sqlite3;

namespace alertstore {

// Thread-safe: one connection behind a lock. Batches are small and rare (state
// transitions), so a pool of connections would only add ways to be busy.
class SqliteStore final : public AlertStore {
 public:
  // Creates the file when it is missing. Corruption when it is not a healthy store of
  // ours, Unsupported when a newer Petrel wrote it, Io or PermissionDenied otherwise.
  static core::Result<std::unique_ptr<SqliteStore>> open(const std::string& path);
  ~SqliteStore() override;

  core::Result<void> apply(std::span<const Mutation> mutations,
                           std::span<const Condition> conditions = {}) override;
  core::Result<std::optional<std::string>> get(const std::string& key) const override;
  core::Result<std::vector<Entry>> scan(const std::string& prefix, size_t limit,
                                        const std::string& after = {}) const override;

 private:
  struct Connection;
  explicit SqliteStore(std::unique_ptr<Connection> connection);

  std::unique_ptr<Connection> connection_;
};

}  // namespace alertstore
