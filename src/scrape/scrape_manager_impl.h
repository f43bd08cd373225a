// The manager in parts: scrape_manager.cc takes over configurations, scrape_sync.cc turns
// discovered groups into targets, scrape_run.cc begins and ends scrapes, scrape_status.cc
// tells about them.
//
// Threads: discovery and client loops hand work on; the scheduler's thread begins what is
// due; the executor's read bodies and write batches. One timer heap serves all targets,
// and bodies are read in groups, so that a scrape costs neither a timer nor a sync of
// the log of its own.

#pragma once

#include "scrape/gate.h"
#include "scrape/scrape_manager.h"
#include "scrape/scrape_pool.h"
#include "scrape/scrape_writer.h"

#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <queue>

namespace scrape {

// A scrape that was begun.
struct ScrapeJob {
  TargetPtr target;
  std::shared_ptr<const PoolSettings> settings;
  std::shared_ptr<Client> client;
  std::shared_ptr<const net::PreparedRequest> request;
  int64_t timestamp_ms = 0;
  int64_t timeout_ms = 0;
  int64_t begun_ms = 0;
  int64_t begun_ns = 0;  // monotonic
  bool is_retry = false;
};

struct ScrapeAnswer {
  enum class Kind : uint8_t {
    Fetched,   // response or error of the client
    NotTried,  // an error of ours: target_limit, slow lane
    End,       // the target is gone
  };
  ScrapeJob job;
  Kind kind = Kind::Fetched;
  core::Result<net::FetchResponse> response;
  int64_t ended_ns = 0;

  // Filled in by the reader.
  ScrapeEnd end = ScrapeEnd::Good;
  bool decided = false;  // the schedule knows its end already
  ScrapeReport report = {};
  std::string error = {};
};

class ScrapeManagerImpl final : public ScrapeManager {
 public:
  ScrapeManagerImpl(ScrapeManagerOptions options, ScrapeManagerParts parts);
  ~ScrapeManagerImpl() override;

  core::Result<void> apply(std::vector<config::ScrapeConfig> scrapes,
                           const model::Labels& external_labels) override;
  void stop() override;

  std::vector<std::string> pools() const override;
  std::vector<PoolView> pool_views(std::string_view pool) const override;
  std::vector<TargetView> active(std::string_view pool) const override;
  std::vector<DroppedView> dropped(std::string_view pool) const override;
  std::vector<MetadataView> metadata(const std::string& metric,
                                     const std::function<bool(model::LabelsView)>& is_wanted,
                                     size_t limit) const override;
  core::Result<std::vector<RelabelStepView>> relabel_steps(
      std::string_view pool, const model::Labels& labels) const override;

 private:
  using PoolPtr = std::shared_ptr<ScrapePool>;
  // A pool as it will be, before anything has changed.
  struct Plan {
    std::shared_ptr<const PoolSettings> settings;
    PoolPtr pool;  // null: to be created
    bool is_same = false;
    std::shared_ptr<Client> client;            // null: keeps the pool's
    std::vector<std::shared_ptr<Feed>> feeds;  // old ones and new ones
    std::vector<std::shared_ptr<Feed>> new_feeds;
  };
  struct Retired {
    std::vector<std::shared_ptr<Feed>> feeds;
    std::vector<std::pair<PoolPtr, std::shared_ptr<Feed>>> to_start;
    std::vector<PoolPtr> changed;
  };

  // scrape_manager.cc
  core::Result<Plan> plan_pool(config::ScrapeConfig config);
  core::Result<std::shared_ptr<Client>> make_client(const config::ScrapeConfig& config);
  core::Result<std::shared_ptr<Feed>> make_feed(const config::DiscoveryConfig& config,
                                                const std::string& name);
  void commit(Plan plan, Retired& retired);                  // mutex_ held
  void remove_pool(const PoolPtr& pool, Retired& retired);   // mutex_ held
  void retire_client(std::shared_ptr<Client> client);        // mutex_ held
  std::vector<std::shared_ptr<Client>> take_idle_clients();  // mutex_ held

  // scrape_sync.cc
  void on_update(const PoolPtr& pool, const std::shared_ptr<Feed>& feed,
                 std::vector<config::TargetGroup> groups);
  void schedule_sync(const PoolPtr& pool);  // mutex_ held
  void sync(const PoolPtr& pool);
  void merge(ScrapePool& pool, const PoolPtr& owner, DecidedTargets decided);  // mutex_ held
  void end_target(const TargetPtr& target);                                    // mutex_ held
  void plan_end(const TargetPtr& target);                                      // mutex_ held
  void publish_pool_metrics(const ScrapePool& pool);                           // mutex_ held

  // scrape_run.cc
  struct Timer {
    int64_t due_ms;
    uint64_t generation;
    TargetPtr target;
    bool operator>(const Timer& other) const { return due_ms > other.due_ms; }
  };
  // What a step under the mutex asks to be done without it.
  struct Effects {
    std::vector<ScrapeJob> fetches;
    std::vector<ScrapeAnswer> answers;
    std::vector<std::shared_ptr<Client>> idle_clients;
  };
  void set_timer(const TargetPtr& target, int64_t due_ms);  // mutex_ held
  void arm(int64_t now_ms);                                 // mutex_ held
  void tick();
  void notice_clock_jump(int64_t now_ms);                                  // mutex_ held
  void on_due(const TargetPtr& target, int64_t now_ms, Effects& effects);  // mutex_ held
  void begin(const TargetPtr& target, int64_t now_ms, Effects& effects);   // mutex_ held
  void leave_slow_lane(int64_t now_ms, Effects& effects);                  // mutex_ held
  ScrapeJob job_of(const TargetPtr& target, int64_t now_ms) const;         // mutex_ held
  void plan_fetch(ScrapeJob job, Effects& effects);                        // mutex_ held
  const std::shared_ptr<const net::PreparedRequest>& request_of(
      ScrapeTarget& target) const;  // mutex_ held
  void carry_out(Effects effects);
  void fetch(ScrapeJob job);
  void take_answer(ScrapeAnswer answer);
  void start_reader();  // answers_mutex_ held
  void read_answers();
  std::vector<ScrapeAnswer> next_answers();
  void sort_out_retries(std::vector<ScrapeAnswer>& answers);
  void read_one(ScrapeReader& reader, ScrapeAnswer& answer, ScrapeBatch& batch);
  void write_ends(std::vector<ScrapeAnswer>& answers, ScrapeBatch& batch);
  void publish(std::vector<ScrapeAnswer>& answers);
  void forget_target(const TargetPtr& target);  // mutex_ held

  // scrape_status.cc
  template <typename Visit>
  void for_each_pool(std::string_view name, Visit visit) const;  // mutex_ held
  std::string global_url(const std::string& url) const;

  const ScrapeManagerOptions options_;
  const ScrapeManagerParts parts_;
  const SeriesKeyHasher hasher_;
  MetadataTable metadata_table_;
  ScrapeWriter writer_;
  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();

  std::mutex apply_mutex_;  // one configuration at a time; before mutex_
  mutable std::mutex mutex_;
  // All below guarded by mutex_, and so is what pools and targets hold.
  std::map<std::string, PoolPtr, std::less<>> pools_;
  std::vector<std::shared_ptr<Client>> retired_clients_;
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
  core::TimerId tick_timer_ = 0;
  int64_t tick_at_ms_ = INT64_MAX;  // when tick() is armed for
  int64_t clock_offset_ms_ = 0;     // wall minus monotonic time
  uint32_t slow_in_flight_ = 0;
  std::deque<TargetPtr> slow_waiting_;
  size_t busy_ = 0;
  bool stopping_ = false;

  std::mutex answers_mutex_;  // never together with mutex_
  // All below guarded by answers_mutex_.
  std::deque<ScrapeAnswer> answers_;
  uint64_t answer_bytes_ = 0;
  uint32_t readers_ = 0;  // posted or running
  bool gather_timer_set_ = false;
  std::vector<std::unique_ptr<ScrapeReader>> idle_readers_;
};

}  // namespace scrape
