// Reports of what takes the room, and how that changed since yesterday.
//
//   Engine (counts, churn) ─┬─> report ─> API, UI
//   records (a file) ───────┘      compared with the newest record that is a day old
//
// A record is taken every eight hours; a restart finds the last four in <data>/cardinality.
// Losing them costs the comparison and nothing else: a damaged file is begun anew.

#pragma once

#include "core/clock.h"
#include "core/file_system.h"
#include "core/metrics.h"
#include "storage/cardinality.h"
#include "tsdb/cardinality_record.h"
#include "tsdb/engine.h"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace tsdb {

// Thread-safe. Borrows the engine, the files and the clock.
class Cardinality final : public storage::CardinalitySource {
 public:
  static constexpr std::string_view kFileName = "cardinality";
  // Lists of the API may be so long, as Prometheus's.
  static constexpr size_t kTopMax = 10'000;
  // A series is active when its newest sample is not older.
  static constexpr int64_t kActiveMs = 20LL * 60'000;

  // Reads the records; says so when they are damaged.
  Cardinality(const Engine& engine, core::FileSystem& files, const core::Clock& clock,
              const std::string& data_dir);

  core::Result<storage::HeadCardinality> head(const model::TenantId& tenant,
                                              size_t top) const override;
  core::Result<storage::CardinalityReport> report(const model::TenantId& tenant,
                                                  size_t top) const override;
  core::Result<storage::HeadTotals> totals(const model::TenantId& tenant) const override;
  core::Result<std::vector<storage::NamedCount>> label_names(
      const storage::CardinalityScope& scope) const override;
  core::Result<std::vector<storage::LabelCardinality>> label_values(
      const storage::CardinalityScope& scope, const std::vector<std::string>& names,
      size_t top) const override;
  core::Result<std::vector<std::string>> label_sets(const storage::CardinalityScope& scope,
                                                    size_t bytes_max) const override;

  // Takes the records that are due and renews what /metrics shows. Call it every minute, from
  // one thread at a time. `may_write`: whether the disk has room; what is due waits for it.
  void tick(bool may_write);

 private:
  struct Counted;
  // A walk over millions of pairs takes a part of a second: its result answers others for
  // twenty times as long, so that who asks again and again costs a twentieth of a core.
  core::Result<std::shared_ptr<const Counted>> counted(const model::TenantId& tenant,
                                                       bool with_targets) const;
  core::Result<void> take_record(const model::TenantId& tenant);
  void forget_old_tenants();
  void forget_old_walks();
  // Precondition: records_mutex_ is held.
  const CardinalityRecord* record_to_compare(const model::TenantId& tenant) const;
  SeriesScope head_scope(const storage::CardinalityScope& scope) const;

  const Engine& engine_;
  core::FileSystem& files_;
  const core::Clock& clock_;
  const std::string path_;

  mutable std::mutex walk_mutex_;  // one walk at a time; guards counted_
  mutable std::map<model::TenantId, std::shared_ptr<const Counted>> counted_;

  mutable std::mutex records_mutex_;
  CardinalityRecords records_;  // protected by records_mutex_
  bool is_unstored_ = false;    // the ticking thread's

  std::vector<core::MetricCallback> callbacks_;
};

}  // namespace tsdb
