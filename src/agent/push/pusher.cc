#include "agent/push/pusher.h"

#include "agent/push/write_request.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/text.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <mutex>

namespace agent {

using core::Error;
using core::ErrorCode;
using core::Result;

namespace {

constexpr std::string_view kComponent = "push";
constexpr int64_t kJitterPercent = 30;

struct OwnMetrics {
  core::Counter& requests =
      core::counter("petrel_agent_push_requests_total", "Requests sent to the receiver.");
  core::Counter& failed = core::counter(
      "petrel_agent_push_failed_requests_total",
      "Requests that the receiver did not take: it was away, or answered with an error.");
  core::Counter& samples =
      core::counter("petrel_agent_push_samples_total", "Samples that the receiver has taken.");
  core::Counter& refused =
      core::counter("petrel_agent_buffer_dropped_samples_total",
                    "Samples that were collected and will not be sent.", {{"reason", "refused"}});
};

OwnMetrics& own_metrics() {
  static OwnMetrics metrics;
  return metrics;
}

// What a receiver may say that a later try can change.
bool is_worth_a_retry(int status) {
  return status == 408 || status == 429 || status >= 500 || (status >= 300 && status < 400);
}

}  // namespace

int64_t retry_after_ms(std::string_view header, int64_t now_ms) {
  header = core::trim(header);
  int64_t seconds = 0;
  const auto [end, error] = std::from_chars(header.data(), header.data() + header.size(), seconds);
  if (error == std::errc() && end == header.data() + header.size()) {
    constexpr int64_t kSecondsMax = 1'000'000;  // of no use anyway, and no overflow
    return std::clamp<int64_t>(seconds, 0, kSecondsMax) * 1000;
  }
  std::tm date{};
  if (::strptime(std::string(header).c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date) == nullptr) {
    return 0;
  }
  return std::max<int64_t>(0, ::timegm(&date) * 1000 - now_ms);
}

struct Pusher::State : std::enable_shared_from_this<State> {
  State(PusherOptions given, PusherParts seams)
      : options(std::move(given)), parts(std::move(seams)) {}

  void wake();        // sends when nothing is under way
  void send_front();  // on the executor
  void post_send();   // precondition: mutex is held, is_busy was set
  void finish(const BufferRecord& record, Result<net::Response> result);
  void wait_for(int64_t delay_ms);
  void idle();
  void tick();  // the cursor
  Result<std::shared_ptr<const net::ClientConfig>> client() const;
  int64_t backoff_ms();

  const PusherOptions options;
  PusherParts parts;
  std::vector<core::MetricCallback> gauges;

  std::mutex mutex;
  std::condition_variable changed;
  // Guarded by mutex.
  bool is_busy = false;     // a request is under way or being made
  bool is_waiting = false;  // for a time to try again
  bool is_stopped = false;
  core::TimerId retry_timer = 0;
  core::TimerId cursor_timer = 0;
  int failures = 0;  // in a row
};

// Secrets stand in files that may change; the transport wants them by value.
Result<std::shared_ptr<const net::ClientConfig>> Pusher::State::client() const {
  auto config = std::make_shared<net::ClientConfig>(options.client);
  const auto read = [this](core::SecretSource& secret) -> Result<void> {
    if (secret.file.empty()) return {};
    const std::string text = TRY(parts.read_file(secret.file));
    secret = {.value = core::Secret(std::string(core::trim(text, " \t\r\n"))), .file = {}};
    return {};
  };
  if (config->authorization) TRY(read(config->authorization->credentials));
  if (config->basic_auth) TRY(read(config->basic_auth->password));
  TRY(read(config->tls.key));
  config->follow_redirects = false;
  return std::shared_ptr<const net::ClientConfig>(std::move(config));
}

int64_t Pusher::State::backoff_ms() {
  const int shift = std::min(failures, 16);
  const int64_t base = std::min(options.backoff_max_ms, options.backoff_min_ms << shift);
  const int64_t spread = base * kJitterPercent / 100;
  return base - spread +
         static_cast<int64_t>(parts.rng.below(static_cast<uint64_t>(2 * spread + 1)));
}

void Pusher::State::wake() {
  const std::lock_guard lock(mutex);
  if (is_busy || is_waiting || is_stopped) return;
  is_busy = true;
  post_send();
}

void Pusher::State::post_send() {
  const bool accepted = parts.executor.post([state = weak_from_this()] {
    if (const auto alive = state.lock()) alive->send_front();
  });
  if (!accepted) is_busy = false;  // the next append tries again
}

void Pusher::State::send_front() {
  {
    const std::lock_guard lock(mutex);
    if (is_stopped) {
      is_busy = false;
      return;
    }
  }
  Result<std::optional<BufferRecord>> record = parts.buffer.front();
  if (!record) {
    core::log_error(kComponent, "the buffer cannot be read", {{"err", record.error().message}});
    wait_for(options.backoff_max_ms);
    return;
  }
  if (!*record) {
    idle();
    return;
  }
  Result<std::shared_ptr<const net::ClientConfig>> config = client();
  if (!config) {
    finish(**record, tl::unexpected(std::move(config).error()));
    return;
  }
  net::OutgoingRequest request{.method = "POST", .url = options.url};
  request.headers = {{"Content-Type", "application/x-protobuf"},
                     {"Content-Encoding", "snappy"},
                     {"X-Prometheus-Remote-Write-Version", "0.1.0"},
                     {"User-Agent", options.user_agent}};
  request.body = (*record)->payload;
  request.timeout_ms = options.timeout_ms;
  request.client = std::move(*config);
  own_metrics().requests.add();
  (*record)->payload.clear();
  parts.transport.send(std::move(request), [state = weak_from_this(), sent = std::move(**record)](
                                               Result<net::Response> result) {
    const auto alive = state.lock();
    if (!alive) return;
    // The transport's thread must not wait for the disk.
    auto shared = std::make_shared<Result<net::Response>>(std::move(result));
    const bool accepted = alive->parts.executor.post([state, sent, shared] {
      if (const auto still = state.lock()) still->finish(sent, std::move(*shared));
    });
    if (!accepted) alive->wait_for(alive->options.backoff_min_ms);
  });
}

void Pusher::State::finish(const BufferRecord& record, Result<net::Response> result) {
  const bool is_answer = result.has_value();
  const int status = is_answer ? result->status : 0;
  if (is_answer && status < 300) {
    parts.buffer.pop();
    own_metrics().samples.add(record.samples);
    const std::lock_guard lock(mutex);
    if (failures > 0) core::log_info(kComponent, "the receiver takes samples again");
    failures = 0;
    changed.notify_all();
    post_send();
    return;
  }
  own_metrics().failed.add();
  if (is_answer && !is_worth_a_retry(status)) {
    core::log_warn(kComponent, "the receiver refuses a batch for good; it is dropped",
                   {{"status", status},
                    {"samples", record.samples},
                    {"answer", std::string_view(result->body).substr(0, 200)}});
    parts.buffer.pop();
    own_metrics().refused.add(record.samples);
    const std::lock_guard lock(mutex);
    post_send();
    return;
  }
  int64_t delay_ms = 0;
  if (is_answer) {
    const auto header = net::find_header(result->headers, "Retry-After");
    if (header) delay_ms = retry_after_ms(*header, parts.clock.now_ms());
    delay_ms = std::min(delay_ms, options.retry_after_max_ms);
  }
  if (delay_ms == 0) delay_ms = backoff_ms();
  if (failures == 0) {
    core::log_warn(
        kComponent, "the receiver does not take samples; they wait on disk",
        {{"err", is_answer ? fmt::format("status {}", status) : result.error().message}});
  }
  wait_for(delay_ms);
}

void Pusher::State::wait_for(int64_t delay_ms) {
  const std::lock_guard lock(mutex);
  ++failures;
  is_busy = false;
  is_waiting = !is_stopped;
  changed.notify_all();
  if (is_stopped) return;
  retry_timer = parts.scheduler.after(delay_ms, [state = weak_from_this()] {
    const auto alive = state.lock();
    if (!alive) return;
    {
      const std::lock_guard inner(alive->mutex);
      alive->is_waiting = false;
    }
    alive->wake();
  });
}

void Pusher::State::idle() {
  const std::lock_guard lock(mutex);
  is_busy = false;
  changed.notify_all();
}

void Pusher::State::tick() {
  const Result<void> saved = parts.buffer.save_cursor();
  if (!saved)
    core::log_warn(kComponent, "the cursor is not saved", {{"err", saved.error().message}});
  wake();  // something may have been appended while a request was ending
  const std::lock_guard lock(mutex);
  if (is_stopped) return;
  cursor_timer = parts.scheduler.after(options.cursor_interval_ms, [state = weak_from_this()] {
    const auto alive = state.lock();
    if (!alive) return;
    const bool accepted = alive->parts.executor.post([state] {
      if (const auto still = state.lock()) still->tick();
    });
    if (!accepted) core::log_warn(kComponent, "too busy to save the cursor");
  });
}

Pusher::Pusher(PusherOptions options, PusherParts parts)
    : state_(std::make_shared<State>(std::move(options), std::move(parts))) {
  own_metrics();
  DiskBuffer& buffer = state_->parts.buffer;
  const auto add = [&](core::MetricKind kind, const char* name, const char* help,
                       core::MetricLabels labels,
                       std::function<double(const DiskBufferStats&)> read) {
    state_->gauges.push_back(
        core::callback_metric(kind, name, help, std::move(labels),
                              [&buffer, read = std::move(read)] { return read(buffer.stats()); }));
  };
  using Stats = const DiskBufferStats&;
  add(core::MetricKind::Gauge, "petrel_agent_buffer_bytes", "Bytes of the buffer on disk.", {},
      [](Stats stats) { return static_cast<double>(stats.bytes); });
  add(core::MetricKind::Gauge, "petrel_agent_buffer_samples", "Samples that wait to be sent.", {},
      [](Stats stats) { return static_cast<double>(stats.samples); });
  add(core::MetricKind::Gauge, "petrel_agent_buffer_requests", "Requests that wait to be sent.", {},
      [](Stats stats) { return static_cast<double>(stats.records); });
  add(core::MetricKind::Gauge, "petrel_agent_buffer_segments", "Files of the buffer.", {},
      [](Stats stats) { return static_cast<double>(stats.segments); });
  add(core::MetricKind::Counter, "petrel_agent_buffer_damaged_segments_total",
      "Files of the buffer that ended early when they were read at the start.", {},
      [](Stats stats) { return static_cast<double>(stats.damaged_segments); });
  for (size_t i = 0; i < kDropReasonCount; ++i) {
    const std::string reason(drop_reason_name(static_cast<DropReason>(i)));
    add(core::MetricKind::Counter, "petrel_agent_buffer_dropped_samples_total",
        "Samples that were collected and will not be sent.", {{"reason", reason}},
        [i](Stats stats) { return static_cast<double>(stats.dropped_samples[i]); });
  }
}

Pusher::~Pusher() {
  stop(0);
}

void Pusher::start() {
  state_->tick();
}

Result<storage::AppendSummary> Pusher::append(const storage::WriteBatch& batch) {
  WriteRequest request = encode_write_request(batch);
  storage::AppendSummary summary;
  if (request.samples == 0 && batch.metadata.empty()) return summary;
  const Result<void> appended = state_->parts.buffer.append({.first_ms = request.first_ms,
                                                             .last_ms = request.last_ms,
                                                             .samples = request.samples,
                                                             .payload = std::move(request.body)});
  if (!appended && appended.error().code == ErrorCode::TooLarge) {
    summary.refuse(storage::RefusalReason::LimitExceeded, request.samples,
                   appended.error().message);
    return summary;
  }
  if (!appended) return tl::unexpected(appended.error());
  summary.stored = request.samples;
  state_->wake();
  return summary;
}

void Pusher::stop(int64_t drain_ms) {
  {
    std::unique_lock lock(state_->mutex);
    if (state_->is_stopped) return;
    // Until nothing is left, or the receiver does not take it.
    state_->changed.wait_for(lock, std::chrono::milliseconds(drain_ms),
                             [this] { return !state_->is_busy; });
    state_->is_stopped = true;
    state_->parts.scheduler.cancel(state_->retry_timer);
    state_->parts.scheduler.cancel(state_->cursor_timer);
  }
  const Result<void> saved = state_->parts.buffer.save_cursor();
  if (!saved)
    core::log_warn(kComponent, "the cursor is not saved", {{"err", saved.error().message}});
}

}  // namespace agent
