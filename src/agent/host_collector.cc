#include "agent/host_collector.h"

#include "agent/exporter.h"
#include "agent/round_writer.h"
#include "core/log.h"
#include "core/metrics.h"

#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <mutex>

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kUp = {"up", MetricType::Gauge, "Whether the last collection went well."};
constexpr MetricInfo kScrapeDuration = {"scrape_duration_seconds", MetricType::Gauge,
                                        "Duration of the collection."};
constexpr MetricInfo kScrapeSamples = {"scrape_samples_scraped", MetricType::Gauge,
                                       "Samples the collection found."};
constexpr std::string_view kComponent = "host_collector";

struct OwnMetrics {
  core::Counter& rounds =
      core::counter("petrel_host_collector_rounds_total", "Rounds of the host collector.");
  core::Counter& skipped = core::counter(
      "petrel_host_collector_skipped_slots_total",
      "Slots skipped because the round before had not ended or the executor was full.");
  core::Counter& dropped =
      core::counter("petrel_host_collector_dropped_rounds_total",
                    "Rounds dropped because the store was unavailable for too long.");
  core::Counter& samples = core::counter("petrel_host_collector_samples_total",
                                         "Samples of the host collector that were stored.");
  core::Counter& refused = core::counter("petrel_host_collector_refused_samples_total",
                                         "Samples of the host collector that the store refused.");
  core::Gauge& buffered =
      core::gauge("petrel_host_collector_buffered_rounds", "Rounds that wait for the store.");
  core::DurationHistogram& duration = core::duration_histogram(
      "petrel_host_collector_round_duration_seconds", "Time to read all collectors.");
};

OwnMetrics& own_metrics() {
  static OwnMetrics metrics;
  return metrics;
}

double seconds_between(int64_t start_ns, int64_t end_ns) {
  return static_cast<double>(end_ns - start_ns) * 1e-9;
}

}  // namespace

struct HostCollector::State : std::enable_shared_from_this<State> {
  State(HostCollectorOptions given, storage::SampleSink& store, core::Scheduler& timers,
        core::Executor& workers, const core::Clock& time,
        std::vector<std::unique_ptr<Collector>> made)
      : options(std::move(given)),
        sink(store),
        scheduler(timers),
        executor(workers),
        clock(time),
        collectors(std::move(made)),
        writer({{"job", options.job}, {"instance", options.instance}}) {}

  void start();
  void stop();
  void schedule_next();  // precondition: mutex is held
  int64_t slot_near_now(int64_t slot_ms) const;
  void tick(int64_t slot_ms);
  void run_round(int64_t slot_ms);
  void collect(int64_t slot_ms, storage::WriteBatch& batch);
  void write_buffered();

  const HostCollectorOptions options;
  storage::SampleSink& sink;
  core::Scheduler& scheduler;
  core::Executor& executor;
  const core::Clock& clock;

  std::mutex mutex;
  std::condition_variable round_ended;
  // Guarded by mutex.
  bool stopping = false;
  bool posted = false;   // a round is on its way to the executor, or running
  bool running = false;  // a round is running
  core::TimerId timer = 0;
  int64_t first_phase_ends_ns = 0;
  int64_t last_slot_ms = 0;

  // Of the one round that runs (`running` keeps others away), and of stop() after it.
  std::vector<std::unique_ptr<Collector>> collectors;
  RoundWriter writer;
  std::deque<storage::WriteBatch> buffer;
  CollectorRunner runner{clock};
  bool sink_failing = false;
};

void HostCollector::State::start() {
  own_metrics();  // shown from the start, as zeros
  const std::lock_guard lock(mutex);
  first_phase_ends_ns = clock.monotonic_ns() + options.first_phase_ms * 1'000'000;
  schedule_next();
}

void HostCollector::State::schedule_next() {
  const bool first_phase = clock.monotonic_ns() < first_phase_ends_ns;
  const int64_t interval_ms = first_phase ? options.first_interval_ms : options.interval_ms;
  const int64_t now_ms = clock.now_ms();
  int64_t slot_ms = (now_ms / interval_ms + 1) * interval_ms;
  // A timer that fires a hair early must not give the same slot twice.
  if (slot_ms == last_slot_ms) slot_ms += interval_ms;
  last_slot_ms = slot_ms;
  timer = scheduler.after(slot_ms - now_ms, [state = weak_from_this(), slot_ms] {
    if (const auto alive = state.lock()) alive->tick(slot_ms);
  });
}

// The slot that was planned, unless the wall clock has jumped since.
int64_t HostCollector::State::slot_near_now(int64_t slot_ms) const {
  const int64_t now_ms = clock.now_ms();
  if (std::abs(now_ms - slot_ms) <= options.interval_ms) return slot_ms;
  return now_ms / options.first_interval_ms * options.first_interval_ms;
}

void HostCollector::State::tick(int64_t slot_ms) {
  {
    const std::lock_guard lock(mutex);
    if (stopping) return;
    slot_ms = slot_near_now(slot_ms);
    schedule_next();
    if (posted) {
      own_metrics().skipped.add();
      return;
    }
    posted = true;
  }
  // Outside the lock: an executor may run the task at once.
  const bool accepted = executor.post([state = weak_from_this(), slot_ms] {
    if (const auto alive = state.lock()) alive->run_round(slot_ms);
  });
  if (accepted) return;
  own_metrics().skipped.add();
  const std::lock_guard lock(mutex);
  posted = false;
}

void HostCollector::State::run_round(int64_t slot_ms) {
  {
    const std::lock_guard lock(mutex);
    if (stopping) {
      posted = false;
      return;
    }
    running = true;
  }
  storage::WriteBatch& batch = buffer.emplace_back();
  batch.tenant = options.tenant;
  collect(slot_ms, batch);
  write_buffered();
  {
    const std::lock_guard lock(mutex);
    running = false;
    posted = false;
  }
  round_ended.notify_all();
}

void HostCollector::State::collect(int64_t slot_ms, storage::WriteBatch& batch) {
  const int64_t start_ns = clock.monotonic_ns();
  writer.begin(slot_ms, batch);
  for (const std::unique_ptr<Collector>& collector : collectors) runner.run(*collector, writer);
  const auto scraped = static_cast<double>(writer.samples_of_round());
  const double duration = seconds_between(start_ns, clock.monotonic_ns());
  writer.add(kUp, 1);
  writer.add(kScrapeDuration, duration);
  writer.add(kScrapeSamples, scraped);
  writer.end();
  own_metrics().rounds.add();
  own_metrics().duration.observe(duration);
}

// Oldest first, up to the first that is not taken.
void HostCollector::State::write_buffered() {
  while (!buffer.empty()) {
    const core::Result<storage::AppendSummary> summary = sink.append(buffer.front());
    if (!summary) {
      if (!sink_failing) {
        core::log_warn(kComponent, "the store takes no samples; they wait in memory",
                       {{"err", summary.error().message}});
      }
      sink_failing = true;
      break;
    }
    if (sink_failing) core::log_info(kComponent, "the store takes samples again");
    sink_failing = false;
    own_metrics().samples.add(static_cast<double>(summary->stored));
    own_metrics().refused.add(static_cast<double>(summary->refused_total()));
    buffer.pop_front();
  }
  while (buffer.size() > options.buffered_rounds_max) {
    buffer.pop_front();
    own_metrics().dropped.add();
    writer.repeat_metadata();
  }
  if (buffer.empty()) writer.forget_gone_series();
  own_metrics().buffered.set(static_cast<double>(buffer.size()));
}

void HostCollector::State::stop() {
  std::unique_lock lock(mutex);
  if (stopping) return;
  stopping = true;
  scheduler.cancel(timer);
  round_ended.wait(lock, [this] { return !running; });
  lock.unlock();
  // No round starts any more: the state of rounds is ours now.
  if (!buffer.empty()) write_buffered();
  if (!buffer.empty()) {
    own_metrics().dropped.add(static_cast<double>(buffer.size()));
    core::log_warn(kComponent, "stopped with rounds that the store did not take",
                   {{"rounds", buffer.size()}});
    buffer.clear();
  }
}

core::Result<std::unique_ptr<HostCollector>> HostCollector::create(HostCollectorOptions options,
                                                                   storage::SampleSink& sink,
                                                                   core::Scheduler& scheduler,
                                                                   core::Executor& executor,
                                                                   const core::Clock& clock) {
  std::vector<std::unique_ptr<Collector>> collectors =
      TRY(make_collectors(options.collectors, clock));
  return std::unique_ptr<HostCollector>(new HostCollector(std::make_shared<State>(
      std::move(options), sink, scheduler, executor, clock, std::move(collectors))));
}

HostCollector::HostCollector(std::shared_ptr<State> state) : state_(std::move(state)) {}

HostCollector::~HostCollector() {
  stop();
}

void HostCollector::start() {
  state_->start();
}

void HostCollector::stop() {
  state_->stop();
}

}  // namespace agent
