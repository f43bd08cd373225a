// The HTTP API: routes to services. Prometheus 3.5's endpoints with its JSON, plus
// Petrel's own.
//
//   net::HttpServer ─> Api::handle ─> route table ─> *_routes.cc ─> sink, source, engine, rules
//
// One file per group of routes; each has a table of its routes, and api.cc lists the
// tables. The only map from ErrorCode to HTTP is api/http_status.cc.

#pragma once

#include "api/static_assets.h"
#include "core/clock.h"
#include "core/result.h"
#include "model/matcher.h"
#include "model/tenant.h"
#include "model/time_range.h"
#include "net/http.h"
#include "promql/engine.h"
#include "rules/rule_view.h"
#include "scrape/scrape_view.h"
#include "storage/cardinality.h"
#include "storage/sample_sink.h"
#include "storage/series_source.h"
#include "tenant/push_gate.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace api {

struct BuildInfo {
  std::string version = "3.5.0";  // of the Prometheus API: clients key features on it
  std::string petrel_version;
  std::string revision;
  std::string branch;
  std::string build_user;
  std::string build_date;
  std::string compiler;  // reported as goVersion, which clients expect
};

// One block on disk, for /api/v1/status/tsdb/blocks.
struct TsdbBlock {
  std::string name;
  int64_t time_min_ms = 0;
  int64_t time_max_ms = 0;  // not included
  uint64_t series = 0;
  uint64_t samples = 0;
  uint64_t bytes = 0;
  uint64_t level = 1;
};

struct TsdbFlush {
  uint64_t blocks_written = 0;
  uint64_t blocks_deleted = 0;
  uint64_t series_dropped = 0;
};

struct TsdbCompaction {
  uint64_t merges = 0;
  uint64_t blocks_read = 0;
  uint64_t bytes_read = 0;
  uint64_t bytes_written = 0;
  uint64_t samples_dropped = 0;
};

// What /api/v1/admin/tsdb does to the storage. Thread-safe; calls may take minutes.
class TsdbAdmin {
 public:
  virtual ~TsdbAdmin() = default;
  virtual core::Result<std::string> snapshot(bool skip_head) const = 0;  // gives its name
  virtual core::Result<void> delete_series(const model::TenantId& tenant,
                                           const std::vector<model::Matchers>& selectors,
                                           model::TimeRange range) const = 0;
  virtual core::Result<TsdbFlush> flush() const = 0;
  // Ends early, with what it has done, when the server stops.
  virtual core::Result<TsdbCompaction> compact(std::stop_token stop) const = 0;
  virtual core::Result<void> clean_tombstones() const = 0;
};

// Progress of the replay at start, in log segments or records.
struct ReplayProgress {
  uint64_t min = 0;
  uint64_t max = 0;
  uint64_t current = 0;
};

// Something that does not work though the server is ready.
struct Trouble {
  std::string part;    // of the server: "storage", "alerting"
  std::string reason;  // one word; of the storage that of petrel_tsdb_read_only
  std::string text;    // for humans
  bool stops_writes = false;
};

// The configuration in effect and how its last reading went, whoever asked for it.
struct ConfigState {
  std::string yaml;                   // secrets hidden
  std::vector<std::string> warnings;  // such as keys without effect
  bool reload_succeeded = true;
  int64_t reloaded_at_ms = 0;  // of the last success
};

// What the routes work on. Borrowed: must outlive the Api or the next set_services().
struct Services {
  storage::SampleSink* sink = nullptr;
  const storage::SeriesSource* source = nullptr;
  const promql::Engine* engine = nullptr;
  std::function<rules::RulesView()> rules;                  // empty: this role has no rules
  const storage::CardinalitySource* cardinality = nullptr;  // null: the engine does not offer it
  // Oldest first; empty: the engine does not offer it.
  std::function<std::vector<TsdbBlock>(const model::TenantId& tenant)> tsdb_blocks = {};
  const TsdbAdmin* tsdb_admin = nullptr;         // null: no storage here
  const scrape::ScrapeStatus* scrape = nullptr;  // null: this role does not scrape
};

struct ApiOptions {
  BuildInfo build;
  // Flags in Prometheus's names without dashes, for status/flags.
  std::vector<std::pair<std::string, std::string>> flags;
  int64_t started_at_ms = 0;
  std::function<std::string()> storage_retention;  // as in "7d or 10GiB"
  std::string cors_origin = ".*";                  // --web.cors.origin, RE2, anchored
  tenant::PushGate* push_gate = nullptr;           // null: every tenant has the defaults
  // created-timestamp-zero-ingestion: remote write 2.0 stores a zero where a counter began.
  bool created_zero_samples = false;
  bool enable_lifecycle = true;   // --web.enable-lifecycle: /-/reload
  bool enable_admin_api = false;  // --web.enable-admin-api: /api/v1/admin
  // Reloads configuration and rules; empty: not offered.
  std::function<core::Result<void>()> reload;
  std::function<ConfigState()> config_state;  // empty: none is loaded
  std::function<ReplayProgress()> replay_progress;
  // Asked while the server is ready only, as the next; empty: all works.
  std::function<std::vector<Trouble>()> trouble;
  std::function<uint64_t()> corruption_count;  // damaged places of the log
};

// Thread-safe. handle() may block on disk and queries: run it on a worker executor.
class Api {
 public:
  // Borrows the clock and what the assets point to.
  Api(ApiOptions options, const core::Clock& clock, StaticAssets assets);
  ~Api();
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  net::Response handle(const net::Request& request);
  // Whether the request reads series and so may take long; all others are short or wait
  // for the disk at most. For servers that give queries workers of their own.
  bool is_query(const net::Request& request) const;
  // Whether it brings samples, and so waits for the disk.
  bool is_push(const net::Request& request) const;

  // Ready from here on. Until then, and after clear_services(), routes that need a
  // service answer 503 and /-/ready too.
  void set_services(Services services);
  // Queries under way, and those that still come, end as cancelled.
  void cancel_queries();
  // New requests find no services; returns when none uses the old ones any more.
  void clear_services();
  bool is_ready() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace api
