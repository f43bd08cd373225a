// The storage engine as the API's routes for its administration see it.

#pragma once

#include "api/api.h"
#include "core/file_system.h"
#include "tsdb/engine.h"

#include <mutex>
#include <string>
#include <vector>

namespace app {

// Thread-safe. Borrows the engine and the file system.
class EngineAdmin final : public api::TsdbAdmin {
 public:
  EngineAdmin(tsdb::Engine& engine, core::FileSystem& files, std::string data_dir)
      : engine_(engine), files_(files), data_dir_(std::move(data_dir)) {}

  core::Result<std::string> snapshot(bool skip_head) const override;
  core::Result<void> delete_series(const model::TenantId& tenant,
                                   const std::vector<model::Matchers>& selectors,
                                   model::TimeRange range) const override;
  core::Result<api::TsdbFlush> flush() const override;
  core::Result<api::TsdbCompaction> compact(std::stop_token stop) const override;
  core::Result<void> clean_tombstones() const override;

 private:
  tsdb::Engine& engine_;
  core::FileSystem& files_;
  const std::string data_dir_;
  mutable std::mutex journal_mutex_;  // of import_journal: read, changed and written
};

std::vector<api::TsdbBlock> list_blocks(const tsdb::Engine& engine, const model::TenantId& tenant);

}  // namespace app
