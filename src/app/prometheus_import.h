// Imports a Prometheus data directory into Petrel's, range by range: for each day, and for
// each two hours of the newest one, the series of all blocks and of the head are merged into
// one Petrel block. A finished block counts at once and is noted in the journal.

#pragma once

#include "core/result.h"
#include "model/tenant.h"
#include "promtsdb/damage.h"
#include "promtsdb/source.h"

#include <cstdint>
#include <string>

namespace app {

struct PrometheusImportOptions {
  std::string source_dir;
  std::string data_dir = "data/";
  model::TenantId tenant{model::kDefaultTenant};
  promtsdb::Filter filter;
  std::string filter_text;  // what the filter was made of
  bool is_dry_run = false;
  bool is_terminal = false;
  int64_t retention_ms = 0;
  size_t sort_memory_bytes = 256U << 20U;
};

struct PrometheusImportSummary {
  uint64_t found_blocks = 0;  // Prometheus's
  uint64_t ranges = 0;
  uint64_t ranges_done_before = 0;
  uint64_t blocks = 0;  // Petrel's, written
  uint64_t series = 0;  // distinct
  uint64_t samples = 0;
  uint64_t histograms = 0;  // of the samples
  uint64_t bytes_read = 0;
  uint64_t bytes_written = 0;
  uint64_t same = 0;         // was there already
  uint64_t conflicting = 0;  // another value was there already
  uint64_t repeated = 0;     // the directory has the same series and time twice
  uint64_t deleted = 0;      // deleted since the import was begun
  uint64_t exemplars = 0;
  uint64_t metadata = 0;
  double seconds = 0;
  bool is_complete_before = false;  // nothing was left to do
  promtsdb::Damage damage;
};

core::Result<PrometheusImportSummary> import_prometheus(const PrometheusImportOptions& options);

}  // namespace app
