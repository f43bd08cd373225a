#include "alerting/notifier.h"

#include "alerting/notifier_core.h"
#include "alerting/notify/email.h"
#include "alerting/notify/webhook.h"
#include "core/log.h"
#include "core/metrics.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <fmt/format.h>
#include <mutex>
#include <optional>

namespace alerting {

using alertstore::Entry;
using core::ErrorCode;
using core::Result;

namespace {

// Rows of the outbox taken in one batch: bounds the transaction.
constexpr size_t kRowsPerBatch = 200;
// The outbox is read this often even if nobody wakes us.
constexpr int64_t kPollMs = 5'000;
constexpr int64_t kStoreRetryMs = 1'000;
constexpr int64_t kExecutorRetryMs = 100;
// Slewing and rounding stay below it.
constexpr int64_t kClockJumpMs = 2'000;
// When what is due cannot be done yet (too many attempts under way).
constexpr int64_t kStuckMs = 200;

struct Finished {
  std::string delivery;
  uint64_t attempt = 0;
  Verdict verdict;
};

core::Gauge& firing_gauge() {
  static core::Gauge& gauge =
      core::gauge("petrel_alerts_firing", "Alerts that fire, as notification groups know them.");
  return gauge;
}
core::Gauge& waiting_gauge() {
  static core::Gauge& gauge =
      core::gauge("petrel_notifications_waiting", "Notifications that are not delivered yet.");
  return gauge;
}

}  // namespace

// One pump at a time runs on the executor; it alone touches the core. Everything that
// happens elsewhere is queued under the lock and schedules a pump.
struct Notifier::State : std::enable_shared_from_this<Notifier::State> {
  State(NotifierOptions given, NotifierParts given_parts, Config given_config)
      : options(std::move(given)), parts(std::move(given_parts)), config(std::move(given_config)) {}

  void request_pump();
  void request_pump_locked();
  void post_pump();
  void pump_at(int64_t delay_ms);
  void pump();
  // What to wait before the next round; nullopt: go on at once.
  Result<std::optional<int64_t>> round();
  Result<void> ensure_core();
  void send(Send one);
  Result<std::string> read_secret(const std::string& path) const;
  Result<core::Secret> reveal(const core::SecretSource& source) const;
  Result<net::OutgoingRequest> request_of(const Send& one, const WebhookConfig& webhook) const;
  Result<net::OutgoingMail> mail_of(const EmailConfig& how, const EmailMessage& email) const;
  void send_webhook(Send one);
  void send_email(Send one);
  void answered(std::string delivery, uint64_t attempt, Verdict verdict);
  void cannot_begin(Send one, const core::Error& error);
  void follow_clock();
  void publish();

  const NotifierOptions options;
  const NotifierParts parts;

  // Confined to the pump.
  std::optional<NotifierCore> core;
  bool loaded_before = false;
  Config core_config;
  int64_t last_wall_ms = 0;
  int64_t last_monotonic_ms = 0;

  mutable std::mutex mutex;
  std::condition_variable idle;
  // Guarded by mutex.
  Config config;
  bool config_changed = false;
  std::deque<Finished> finished;  // at most one per attempt under way
  NotifierStatus status;
  core::Scheduler* scheduler = nullptr;
  core::Executor* executor = nullptr;
  core::TimerId timer = 0;
  bool running = false;
  bool pump_posted = false;  // queued or running
  bool pump_running = false;
  bool pump_again = false;
};

void Notifier::State::request_pump() {
  const std::lock_guard lock(mutex);
  request_pump_locked();
}

// Precondition: mutex is held. The timer is the way to the executor, so that posting,
// which may run the task at once, never happens under our lock.
void Notifier::State::request_pump_locked() {
  if (!running) return;
  if (pump_posted) {
    pump_again = true;
    return;
  }
  scheduler->cancel(timer);
  timer = scheduler->after(0, [self = shared_from_this()] { self->post_pump(); });
}

void Notifier::State::post_pump() {
  core::Executor* pool = nullptr;
  {
    const std::lock_guard lock(mutex);
    if (!running || pump_posted) return;
    pump_posted = true;
    pool = executor;
  }
  if (pool->post([self = shared_from_this()] { self->pump(); })) return;
  const std::lock_guard lock(mutex);
  pump_posted = false;
  if (running) {
    timer = scheduler->after(kExecutorRetryMs, [self = shared_from_this()] { self->post_pump(); });
  }
}

void Notifier::State::pump() {
  {
    const std::lock_guard lock(mutex);
    if (!running) {
      pump_posted = false;
      return;
    }
    pump_running = true;
    pump_again = false;
  }
  int64_t delay_ms = kPollMs;
  for (;;) {
    const Result<std::optional<int64_t>> wait = round();
    if (!wait) {
      // What the store holds is the truth; what we decided on top of it may not be there.
      core.reset();
      delay_ms = kStoreRetryMs;
      core::log_warn("alerting", "the alert store is not available; notifications wait",
                     {{"error", wait.error().message}});
      break;
    }
    if (*wait) {
      delay_ms = **wait;
      break;
    }
  }
  publish();
  const std::lock_guard lock(mutex);
  pump_running = false;
  pump_posted = false;
  idle.notify_all();
  if (!running) return;
  if (std::exchange(pump_again, false) && core) delay_ms = 0;
  scheduler->cancel(timer);
  timer = scheduler->after(delay_ms, [self = shared_from_this()] { self->post_pump(); });
}

Result<void> Notifier::State::ensure_core() {
  Config wanted;
  bool changed = false;
  {
    const std::lock_guard lock(mutex);
    wanted = config;
    changed = std::exchange(config_changed, false);
  }
  const int64_t now_ms = parts.clock.now_ms();
  if (core && !changed) return {};
  if (!core) {
    if (!loaded_before) core_config = wanted;
    // With the configuration of before, so that a change is seen as one.
    core = TRY(NotifierCore::load({options.external_url}, core_config, parts.store, parts.rng,
                                  !loaded_before, now_ms)
                   .context("read notifications"));
    loaded_before = true;
    changed = true;
  }
  if (changed) {
    Effects effects;
    core->set_config(wanted, now_ms, effects);
    if (!effects.mutations.empty()) TRY(parts.store.apply(effects.mutations));
    core_config = std::move(wanted);
  }
  return {};
}

// Times in the store are wall time, because they must outlive a restart; while we run, a
// clock that is set must neither hold a page back nor hurry it.
void Notifier::State::follow_clock() {
  const int64_t wall_ms = parts.clock.now_ms();
  const int64_t monotonic_ms = parts.clock.monotonic_ns() / 1'000'000;
  const int64_t jump_ms = (wall_ms - last_wall_ms) - (monotonic_ms - last_monotonic_ms);
  const bool jumped = last_wall_ms != 0 && (jump_ms > kClockJumpMs || jump_ms < -kClockJumpMs);
  if (jumped && core) core->shift_clock(jump_ms);
  if (jumped || last_wall_ms == 0) {
    last_wall_ms = wall_ms;
    last_monotonic_ms = monotonic_ms;
  }
}

// One batch: receipts, new rows, what is due. Then the sends.
Result<std::optional<int64_t>> Notifier::State::round() {
  follow_clock();
  TRY(ensure_core());
  std::deque<Finished> ends;
  {
    const std::lock_guard lock(mutex);
    ends = finished;
  }
  const std::vector<Entry> rows =
      TRY(parts.store.scan(std::string(alertstore::kOutboxPrefix), kRowsPerBatch)
              .context("read the outbox"));
  const int64_t now_ms = parts.clock.now_ms();
  Effects effects;
  for (const Finished& one : ends) {
    core->finished(one.delivery, one.attempt, one.verdict, now_ms, effects);
  }
  core->take(rows, now_ms, effects);
  core->tick(now_ms, effects);
  if (!effects.mutations.empty()) {
    TRY(parts.store.apply(effects.mutations).context("store notifications"));
  }
  {
    // Receipts are forgotten only now: a failed write hears of them again.
    const std::lock_guard lock(mutex);
    finished.erase(finished.begin(), finished.begin() + static_cast<std::ptrdiff_t>(ends.size()));
  }
  for (Send& one : effects.sends) send(std::move(one));
  if (rows.size() == kRowsPerBatch) return std::optional<int64_t>();
  int64_t delay_ms = kPollMs;
  if (const std::optional<int64_t> due_ms = core->next_due_ms()) {
    delay_ms = std::min(delay_ms, std::max(*due_ms - now_ms, kStuckMs));
    if (*due_ms > now_ms) delay_ms = std::min(kPollMs, *due_ms - now_ms);
  }
  return std::optional<int64_t>(delay_ms);
}

Result<std::string> Notifier::State::read_secret(const std::string& path) const {
  if (!parts.read_file) return core::fail(ErrorCode::Unsupported, "files are not read here");
  std::string text = TRY(parts.read_file(path));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) {
    text.pop_back();
  }
  return text;
}

// Files are read before every attempt, so that a rotated secret is used.
Result<core::Secret> Notifier::State::reveal(const core::SecretSource& source) const {
  if (source.file.empty()) return source.value;
  return core::Secret(TRY(read_secret(source.file)));
}

Result<net::OutgoingRequest> Notifier::State::request_of(const Send& one,
                                                         const WebhookConfig& webhook) const {
  WebhookAttempt attempt{.url = webhook.url.reveal(),
                         .idempotency_key = one.id,
                         .attempt = one.attempt,
                         .body = one.body,
                         .timeout_ms = webhook.timeout_ms,
                         .client = webhook.http};
  if (!webhook.url_file.empty()) attempt.url = TRY(read_secret(webhook.url_file));
  net::ClientConfig& client = attempt.client;
  if (client.basic_auth) {
    net::BasicAuth& basic = *client.basic_auth;
    if (!basic.username_file.empty()) basic.username = TRY(read_secret(basic.username_file));
    basic.password = {TRY(reveal(basic.password)), ""};
  }
  if (client.authorization) {
    core::SecretSource& credentials = client.authorization->credentials;
    credentials = {TRY(reveal(credentials)), ""};
  }
  for (net::ClientHeader& header : client.headers) {
    for (const std::string& path : header.files) {
      header.secrets.push_back(core::Secret(TRY(read_secret(path))));
    }
  }
  return webhook_request(std::move(attempt));
}

Result<net::OutgoingMail> Notifier::State::mail_of(const EmailConfig& how,
                                                   const EmailMessage& email) const {
  net::OutgoingMail mail;
  mail.host = how.host;
  mail.port = how.port;
  mail.hello = how.hello;
  const bool implicit = how.implicit_tls.value_or(how.port == "465");
  mail.security = implicit          ? net::SmtpSecurity::Tls
                  : how.require_tls ? net::SmtpSecurity::StartTls
                                    : net::SmtpSecurity::None;
  mail.tls = how.tls;
  mail.user = how.auth_username;
  mail.identity = how.auth_identity;
  mail.password = TRY(reveal(how.auth_password));
  mail.secret = TRY(reveal(how.auth_secret));
  mail.from = email.from;
  mail.to = email.to;
  mail.message = email.message;
  return mail;
}

void Notifier::State::cannot_begin(Send one, const core::Error& error) {
  core::log_warn("alerting", "cannot read what a notification needs", {{"error", error.message}});
  answered(std::move(one.delivery), one.attempt,
           {.reason = "cannot be sent: " + error.message, .failure = "secret"});
}

void Notifier::State::send_webhook(Send one) {
  Result<net::OutgoingRequest> request = request_of(one, std::get<WebhookConfig>(one.channel));
  if (!request) {
    cannot_begin(std::move(one), request.error());
    return;
  }
  // Weak: an answer that comes after the notifier is gone has nobody to go to.
  parts.transport.send(
      std::move(*request), [self = weak_from_this(), delivery = std::move(one.delivery),
                            attempt = one.attempt](const Result<net::Response>& response) {
        if (const auto state = self.lock()) {
          state->answered(delivery, attempt, judge(response, state->parts.clock.now_ms()));
        }
      });
}

void Notifier::State::send_email(Send one) {
  Result<EmailMessage> email = decode_email(one.body);
  if (!email) {
    answered(std::move(one.delivery), one.attempt,
             {.outcome = Outcome::Permanent, .reason = email.error().message});
    return;
  }
  Result<net::OutgoingMail> mail = mail_of(std::get<EmailConfig>(one.channel), *email);
  if (!mail) {
    cannot_begin(std::move(one), mail.error());
    return;
  }
  parts.transport.send_mail(
      std::move(*mail),
      [self = weak_from_this(), delivery = std::move(one.delivery), attempt = one.attempt,
       email = std::move(*email)](const Result<net::MailReceipt>& receipt) {
        if (const auto state = self.lock()) {
          state->answered(delivery, attempt, judge_email(receipt, email));
        }
      });
}

void Notifier::State::send(Send one) {
  if (std::holds_alternative<EmailConfig>(one.channel)) {
    send_email(std::move(one));
  } else {
    send_webhook(std::move(one));
  }
}

void Notifier::State::answered(std::string delivery, uint64_t attempt, Verdict verdict) {
  const std::lock_guard lock(mutex);
  if (!running) return;
  finished.push_back({std::move(delivery), attempt, std::move(verdict)});
  request_pump_locked();
}

void Notifier::State::publish() {
  if (!core) return;
  NotifierStatus fresh{.firing_alerts = core->firing_alerts(),
                       .groups = core->group_count(),
                       .deliveries_waiting = core->deliveries_waiting(),
                       .dead_letters = core->dead_letters(),
                       .last_error = core->last_error()};
  firing_gauge().set(static_cast<double>(fresh.firing_alerts));
  waiting_gauge().set(static_cast<double>(fresh.deliveries_waiting));
  const std::lock_guard lock(mutex);
  status = std::move(fresh);
}

Notifier::Notifier(NotifierOptions options, NotifierParts parts, Config config)
    : state_(std::make_shared<State>(std::move(options), std::move(parts), std::move(config))) {}

Notifier::~Notifier() {
  stop();
}

void Notifier::start(core::Scheduler& scheduler, core::Executor& executor) {
  const std::lock_guard lock(state_->mutex);
  if (state_->running) return;
  state_->scheduler = &scheduler;
  state_->executor = &executor;
  state_->running = true;
  state_->request_pump_locked();
}

void Notifier::stop() {
  std::unique_lock lock(state_->mutex);
  if (!state_->running) return;
  state_->running = false;
  state_->scheduler->cancel(state_->timer);
  state_->idle.wait(lock, [this] { return !state_->pump_running; });
}

void Notifier::reload(Config config) {
  const std::lock_guard lock(state_->mutex);
  state_->config = std::move(config);
  state_->config_changed = true;
  state_->request_pump_locked();
}

void Notifier::wake() {
  state_->request_pump();
}

NotifierStatus Notifier::status() const {
  const std::lock_guard lock(state_->mutex);
  return state_->status;
}

}  // namespace alerting
