// One run of the crash simulator (crash_simulator.h): its state and its operations.

#pragma once

#include "core/testing/fake_clock.h"
#include "core/testing/sim_file_system.h"
#include "tsdb/embedded_log.h"
#include "tsdb/engine.h"
#include "tsdb/manifest.h"
#include "tsdb/testing/crash_model.h"
#include "tsdb/testing/crash_simulator.h"
#include "tsdb/testing/lagging_log.h"

#include <array>
#include <deque>
#include <fmt/core.h>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace tsdb::testing {

class CrashRun {
 public:
  CrashRun(const CrashOptions& options, CrashCoverage& coverage);
  CrashOutcome run();

 private:
  enum class Step {
    Append,
    Resend,
    Maintain,
    FlushAll,
    Compact,
    CleanTombstones,
    Delete,
    Snapshot,
    Read,
    OpenRead,
    FinishRead,
    Labels,
    ClockJump,
    Future,
    Capacity,
    Reopen,
    Fault,
    kCount,
  };
  // What one request carries.
  struct Item {
    uint32_t series = 0;
    SampleKind kind = SampleKind::Float;
    int64_t time_ms = 0;
    double value = 0;
    model::Histogram histogram;
    uint64_t bits = 0;
  };
  struct Request {
    std::string tenant;
    std::vector<Item> items;
    std::vector<std::pair<uint32_t, uint64_t>> exemplars;  // series and number
    std::vector<model::Metadata> metadata;
  };
  struct HeldRead {
    std::unique_ptr<storage::SeriesSet> set;
    CrashModel::Query query;
    CrashModel::Moment opened;
  };
  struct Copy {
    std::string name;
    CrashModel::Moment moment;
    bool has_head = true;
  };

  using BlocksByTenant = std::map<std::string, std::vector<BlockMeta>>;
  enum class Within { Flush, Merge };

  // crash_run.cc: lives.
  void live(int life);
  bool open();
  void close();
  void end_life();
  void do_step();
  void reopen();
  void arm_fault();
  void make_read_only();
  void make_full();
  void fail_within(Step step);
  void final_damage();
  std::string file_to_damage();
  std::string damage_before_last_mark();
  std::string damage_file(const std::string& path);

  // crash_operations.cc
  void append();
  void describe();
  void resend();
  Request make_request();
  Item make_item(const std::string& tenant);
  void send(const Request& request);
  void judge(const Request& request, const core::Result<storage::AppendSummary>& result);
  void delete_series();
  void snapshot();
  void read();
  void open_read();
  void finish_read();
  void clock_jump();
  void future();
  void lift_capacity();
  template <typename Report>
  void note(std::string_view what, const core::Result<Report>& result);

  // crash_meanwhile.cc
  void arm_interrupt(Within within);
  void meanwhile(Within within);
  void outlive();
  BlocksByTenant blocks_now() const;
  core::Result<MaintainReport> maintain(std::string_view what, bool everything);
  void note_retention(const BlocksByTenant& before, std::optional<uint64_t> deleted);

  // crash_checks.cc
  void check_everything(bool settles);
  void check_labels(const CrashModel::Query& query);
  void check_left_overs();
  void check_files(const std::string& dir);
  void check_refusal(const Item& item, const std::string& tenant, const std::string& refusal);
  void check_open_files();
  void check_copy(const Copy& copy);
  void check_reading(std::string_view what, const CrashModel::Query& query, const Reading& reading,
                     const CrashModel::Moment* opened = nullptr);

  model::Labels labels_of(const std::string& tenant, uint64_t number) const;
  std::string random_tenant();
  model::Matchers random_matchers();
  model::TimeRange random_range();
  bool one_in(uint64_t n) { return rng_.below(n) == 0; }

  // No fault was met in this life, and none could have been.
  bool is_sound() const { return faults_ == 0 && !is_small_ && !is_read_only_ && !is_damaged_; }
  // A disk that takes no writes gives all the same what is on it.
  bool must_read_all() const { return is_sound() || (is_read_only_ && !is_damaged_); }
  bool is_broken() const { return broken_.has_value(); }
  void fail(std::string what);
  template <typename... Args>
  void trace(fmt::format_string<Args...> format, Args&&... args) {
    if (!options_.trace) return;
    trace_.push_back(fmt::format("{:>5} t={} ", steps_, clock_.now_ms()) +
                     fmt::format(format, std::forward<Args>(args)...));
  }

  const CrashOptions options_;
  CrashCoverage& coverage_;
  core::SeededRng rng_;
  core::SeededRng engine_rng_;
  core::testing::FakeClock clock_;
  core::testing::SimFileSystem files_;
  EngineOptions engine_options_;
  EmbeddedLogOptions log_options_;
  std::array<uint64_t, static_cast<size_t>(Step::kCount)> weights_{};
  uint64_t series_count_ = 0;
  bool has_evicted_ = false;  // in this life
  bool is_dense_ = false;  // few series with many samples each

  bool log_lags_ = false;

  std::unique_ptr<EmbeddedLog> log_;
  std::unique_ptr<LaggingLog> lagging_log_;
  std::unique_ptr<Engine> engine_;
  std::vector<HeldRead> held_;
  std::map<uint32_t, storage::SeriesNote> notes_;  // of this engine
  std::map<uint32_t, std::string> note_bytes_;

  CrashModel model_;
  std::deque<Request> sent_;  // for sending again
  std::vector<Copy> copies_;
  std::optional<DeleteRequest> deleted_;
  std::map<uint32_t, int64_t> exemplar_times_;
  std::map<uint32_t, int64_t> last_times_;
  uint64_t next_number_ = 1;          // of exemplars, new series and metadata
  uint64_t visitor_ = 100;            // number of the newest series that does not stay
  std::optional<int64_t> newest_ms_;  // of the tenant, before the request that runs

  uint64_t faults_ = 0;                    // in this life
  uint64_t hard_faults_ = 0;               // of them, those that are not want of space
  bool is_small_ = false;                  // the disk was of limited size in this life
  bool is_read_only_ = false;              // the disk, since some moment of this life
  bool is_damaged_ = false;                // somebody changed a file
  std::optional<core::Error> not_opened_;  // why the last open() failed
  bool clock_jumped_ = false;
  // In this life; what stands in for it may not know of deletions.
  bool is_manifest_unread_ = false;
  bool tried_deletion_ = false;
  bool is_within_flush_ = false;
  bool copy_failed_ = false;        // in this life
  bool is_in_doubt_ = false;        // the data folder was not synced in this life
  bool was_left_in_doubt_ = false;  // and the life before ended with a kill
  uint64_t steps_ = 0;
  std::optional<std::string> broken_;
  std::vector<std::string> trace_;
};

}  // namespace tsdb::testing
