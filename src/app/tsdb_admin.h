// The storage engine as the API's routes for its administration see it.

#pragma once

#include "api/api.h"
#include "tsdb/engine.h"

#include <string>
#include <vector>

namespace app {

// Thread-safe. Borrows the engine.
class EngineAdmin final : public api::TsdbAdmin {
 public:
  explicit EngineAdmin(tsdb::Engine& engine) : engine_(engine) {}

  core::Result<std::string> snapshot(bool skip_head) const override;
  core::Result<void> delete_series(const model::TenantId& tenant,
                                   const std::vector<model::Matchers>& selectors,
                                   model::TimeRange range) const override;
  core::Result<api::TsdbFlush> flush() const override;
  core::Result<api::TsdbCompaction> compact(std::stop_token stop) const override;
  core::Result<void> clean_tombstones() const override;

 private:
  tsdb::Engine& engine_;
};

std::vector<api::TsdbBlock> list_blocks(const tsdb::Engine& engine, const model::TenantId& tenant);

}  // namespace app
