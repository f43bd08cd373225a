#include "discovery/etcd_provider.h"

#include "discovery/etcd_call.h"
#include "discovery/etcd_messages.h"
#include "discovery/registered_entries.h"
#include "net/stream_client.h"

#include <algorithm>
#include <mutex>
#include <utility>

namespace discovery {

using core::ErrorCode;
using core::fail;
using core::Result;

namespace {

constexpr int64_t kPageSize = 500;
constexpr int64_t kWatchTimeoutMs = 10'000;  // until etcd says that it watches
constexpr int64_t kRetryMinMs = 500;
constexpr int64_t kRetryMaxMs = 4'000;  // a store that returned is seen within 10 s

// One pass from the login to the end of the watch, at one endpoint. Confined to the
// chain of its callbacks.
struct Pass {
  size_t endpoint = 0;
  std::string token;
  int64_t page_size = kPageSize;
  int64_t revision = 0;
  std::string next_key;
  std::vector<RegisteredEntries::Entry> entries;
  std::string answer;  // of the call that runs, or the watch's unfinished line
  bool is_oversized = false;
  bool is_watching = false;  // guarded by EtcdSession::mutex_
  net::StreamId stream = 0;  // guarded by EtcdSession::mutex_
};
using PassPtr = std::shared_ptr<Pass>;

// Thread-safe. Held by shared_ptr because timers that have started cannot be stopped.
class EtcdSession : public std::enable_shared_from_this<EtcdSession> {
 public:
  EtcdSession(const config::EtcdDiscovery& config, const std::string& name,
              const ProviderParts& parts, std::unique_ptr<net::StreamClient> client)
      : config_(config),
        parts_(parts),
        entries_(RegisteredEntries::create(
            {RegistrationStore::Etcd, name, config.prefix, config.refresh_interval_ms}, parts)),
        client_(std::move(client)) {}

  void start(Provider::Update update) {
    entries_->start(std::move(update));
    begin();
  }

  void stop() {
    std::unique_ptr<net::StreamClient> client;
    {
      const std::lock_guard lock(mutex_);
      is_stopped_ = true;
      pass_ = nullptr;
      client = std::move(client_);
    }
    client.reset();  // joins its thread, whose callbacks take the lock
    entries_->stop();
  }

  ProviderStatus status() const { return entries_->status(); }

 private:
  using Then = void (EtcdSession::*)(const PassPtr&, const std::string& answer);

  void begin() {
    const auto pass = std::make_shared<Pass>();
    {
      const std::lock_guard lock(mutex_);
      if (is_stopped_) return;
      if (pass_) client_->cancel(pass_->stream);
      pass->endpoint = endpoint_;
      pass_ = pass;
    }
    if (config_.username.empty()) {
      read_page(pass);
      return;
    }
    const Result<std::string> password = etcd::read_password(config_, parts_.files);
    if (!password) {
      lose(pass, password.error());
      return;
    }
    call(pass, "auth/authenticate", etcd::authenticate_body(config_.username, *password),
         &EtcdSession::take_token);
  }

  void take_token(const PassPtr& pass, const std::string& answer) {
    Result<std::string> token = etcd::parse_authenticate(answer);
    if (!token) {
      lose(pass, token.error());
      return;
    }
    pass->token = *std::move(token);
    read_page(pass);
  }

  void read_page(const PassPtr& pass) {
    const std::string& from = pass->next_key.empty() ? config_.prefix : pass->next_key;
    call(pass, "kv/range", etcd::range_body(config_.prefix, from, pass->revision, pass->page_size),
         &EtcdSession::take_page);
  }

  void take_page(const PassPtr& pass, const std::string& answer) {
    Result<etcd::RangeAnswer> page = etcd::parse_range(answer);
    if (!page) {
      lose(pass, page.error());
      return;
    }
    if (pass->revision == 0) pass->revision = page->revision;
    for (etcd::KeyValue& entry : page->entries) {
      pass->entries.emplace_back(std::move(entry.key), std::move(entry.value));
    }
    if (page->has_more && !page->entries.empty() && pass->entries.size() <= kRegisteredEntriesMax) {
      pass->next_key = pass->entries.back().first + '\0';
      read_page(pass);
      return;
    }
    entries_->replace_all(pass->entries);
    entries_->store_read();
    pass->entries.clear();
    pass->entries.shrink_to_fit();
    watch(pass);
  }

  // Values beyond what Petrel reads may stand there; smaller pages get past them.
  void take_oversized(const PassPtr& pass) {
    if (pass->page_size == 1) {
      lose(pass, {ErrorCode::TooLarge, endpoint_of(*pass) + ": an answer has more than 64 MiB"});
      return;
    }
    pass->page_size /= 2;
    read_page(pass);
  }

  void watch(const PassPtr& pass) {
    pass->answer.clear();
    open(
        pass,
        etcd::make_request(endpoint_of(*pass), "watch",
                           etcd::watch_body(config_.prefix, pass->revision + 1), pass->token, 0),
        [this, pass](int, std::string_view chunk) { return take_watch_chunk(pass, chunk); },
        [this, pass](Result<int> end) {
          const Result<std::string> judged =
              etcd::judge_answer(end, pass->answer, endpoint_of(*pass));
          lose(pass, judged ? core::Error{ErrorCode::Unavailable,
                                          endpoint_of(*pass) + ": the watch has ended"}
                            : judged.error());
        });
    after(kWatchTimeoutMs, pass, [this, pass] {
      if (is_watching(pass)) return;
      lose(pass, {ErrorCode::Timeout,
                  fmt::format("{}: no watch within {} ms", endpoint_of(*pass), kWatchTimeoutMs)});
    });
    after(config_.refresh_interval_ms, pass, [this] { begin(); });
  }

  bool take_watch_chunk(const PassPtr& pass, std::string_view chunk) {
    while (is_current(pass)) {
      const size_t end = chunk.find('\n');
      pass->answer.append(chunk.substr(0, end));
      if (pass->answer.size() > etcd::kAnswerSizeMax) {
        lose(pass, {ErrorCode::TooLarge,
                    endpoint_of(*pass) + ": a message of the watch has " + "more than 64 MiB"});
        return false;
      }
      if (end == std::string_view::npos) return true;
      chunk.remove_prefix(end + 1);
      const std::string line = std::exchange(pass->answer, {});
      if (!line.empty() && !take_watch_line(pass, line)) return false;
    }
    return false;
  }

  bool take_watch_line(const PassPtr& pass, const std::string& line) {
    const Result<etcd::WatchAnswer> answer =
        etcd::parse_watch(line).context("{}", endpoint_of(*pass));
    if (!answer) {
      lose(pass, answer.error());
      return false;
    }
    if (answer->compact_revision > 0) {
      begin();  // what happened since cannot be told any more: read it all
      return false;
    }
    if (answer->is_canceled) {
      lose(pass,
           {ErrorCode::Unavailable,
            fmt::format("{}: etcd ended the watch: {}", endpoint_of(*pass),
                        answer->cancel_reason.empty() ? "no reason" : answer->cancel_reason)});
      return false;
    }
    if (answer->is_created) {
      const std::lock_guard lock(mutex_);
      pass->is_watching = true;
      failures_ = 0;
    }
    for (const etcd::WatchEvent& event : answer->events) {
      if (event.is_delete) {
        entries_->erase(event.entry.key);
      } else {
        entries_->put(event.entry.key, event.entry.value);
      }
    }
    if (!answer->events.empty()) entries_->store_read();
    return true;
  }

  // A pass has failed: the next endpoint's turn. What is known stays.
  void lose(const PassPtr& pass, const core::Error& error) {
    bool is_lost = false;
    int64_t delay_ms = 0;
    {
      const std::lock_guard lock(mutex_);
      if (is_stopped_ || pass_ != pass) return;
      pass_ = nullptr;
      client_->cancel(pass->stream);
      endpoint_ = (endpoint_ + 1) % config_.endpoints.size();
      ++failures_;
      is_lost = failures_ >= config_.endpoints.size();
      if (is_lost) delay_ms = retry_delay_ms();
    }
    if (is_lost) entries_->store_lost(error.message);
    after(delay_ms, nullptr, [this] { begin(); });
  }

  // Doubles with each round over all endpoints; up to 30 % more, so that many collectors
  // do not come at once.
  int64_t retry_delay_ms() {
    const size_t round = std::min<size_t>(failures_ / config_.endpoints.size(), 10) - 1;
    const int64_t delay_ms = std::min(kRetryMaxMs, kRetryMinMs << round);
    return delay_ms + static_cast<int64_t>(parts_.rng.unit() * 0.3 * static_cast<double>(delay_ms));
  }

  void call(const PassPtr& pass, std::string_view path, std::string body, Then then) {
    pass->answer.clear();
    open(
        pass,
        etcd::make_request(endpoint_of(*pass), path, std::move(body), pass->token,
                           etcd::kCallTimeoutMs),
        [this, pass](int, std::string_view chunk) {
          pass->is_oversized = pass->answer.size() + chunk.size() > etcd::kAnswerSizeMax;
          if (pass->is_oversized) return false;
          pass->answer.append(chunk);
          return is_current(pass);
        },
        [this, pass, then](Result<int> end) {
          if (!is_current(pass)) return;
          if (std::exchange(pass->is_oversized, false)) {
            take_oversized(pass);
            return;
          }
          const Result<std::string> answer =
              etcd::judge_answer(end, std::move(pass->answer), endpoint_of(*pass));
          if (answer) {
            (this->*then)(pass, *answer);
          } else {
            lose(pass, answer.error());
          }
        });
  }

  void open(const PassPtr& pass, net::StreamRequest request, net::StreamClient::OnChunk on_chunk,
            net::StreamClient::OnEnd on_end) {
    const std::lock_guard lock(mutex_);
    if (is_stopped_ || pass_ != pass) return;
    pass->stream = client_->open(std::move(request), std::move(on_chunk), std::move(on_end));
  }

  // Runs `task` unless the pass is over by then; nullptr: unless another has begun.
  template <typename Task>
  void after(int64_t delay_ms, const PassPtr& pass, Task task) {
    parts_.scheduler.after(delay_ms, [weak = weak_from_this(), pass, task] {
      const auto self = weak.lock();
      if (self && self->is_current(pass)) task();
    });
  }

  bool is_current(const PassPtr& pass) const {
    const std::lock_guard lock(mutex_);
    return !is_stopped_ && pass_ == pass;
  }
  bool is_watching(const PassPtr& pass) const {
    const std::lock_guard lock(mutex_);
    return pass->is_watching;
  }
  const std::string& endpoint_of(const Pass& pass) const {
    return config_.endpoints[pass.endpoint];
  }

  const config::EtcdDiscovery config_;
  const ProviderParts parts_;
  const std::shared_ptr<RegisteredEntries> entries_;
  mutable std::mutex mutex_;
  // All below guarded by mutex_.
  std::unique_ptr<net::StreamClient> client_;
  PassPtr pass_;
  size_t endpoint_ = 0;
  size_t failures_ = 0;  // in a row
  bool is_stopped_ = false;
};

class EtcdProvider final : public Provider {
 public:
  explicit EtcdProvider(std::shared_ptr<EtcdSession> session) : session_(std::move(session)) {}
  ~EtcdProvider() override { EtcdProvider::stop(); }
  void start(Update update) override { session_->start(std::move(update)); }
  void stop() override { session_->stop(); }
  ProviderStatus status() const override { return session_->status(); }

 private:
  const std::shared_ptr<EtcdSession> session_;
};

}  // namespace

Result<std::unique_ptr<Provider>> make_etcd_provider(const config::EtcdDiscovery& config,
                                                     const std::string& name,
                                                     const ProviderParts& parts) {
  TRY(etcd::check_endpoints(config));
  if (config.prefix.empty()) {
    return fail(ErrorCode::InvalidArgument, "etcd: prefix: expected one that is not empty");
  }
  std::unique_ptr<net::StreamClient> client =
      TRY(net::StreamClient::start(config.tls, parts.files).context("etcd"));
  return make_etcd_provider(config, name, parts, std::move(client));
}

std::unique_ptr<Provider> make_etcd_provider(const config::EtcdDiscovery& config,
                                             const std::string& name, const ProviderParts& parts,
                                             std::unique_ptr<net::StreamClient> client) {
  config::EtcdDiscovery whole = config;
  // "/petrel/sd" must not take in "/petrel/sd-old/...".
  if (!whole.prefix.ends_with('/')) whole.prefix += '/';
  return std::make_unique<EtcdProvider>(
      std::make_shared<EtcdSession>(whole, name, parts, std::move(client)));
}

}  // namespace discovery
