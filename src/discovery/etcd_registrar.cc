#include "discovery/etcd_call.h"
#include "discovery/etcd_messages.h"
#include "discovery/registrar.h"
#include "net/stream_client.h"

#include <condition_variable>
#include <mutex>
#include <utility>

namespace discovery {

using core::ErrorCode;
using core::fail;
using core::Result;

namespace {

class EtcdRegistrar final : public Registrar {
 public:
  EtcdRegistrar(config::EtcdDiscovery config, RegistrarOptions options, core::FileSystem& files,
                std::unique_ptr<net::StreamClient> client)
      : config_(std::move(config)),
        options_(std::move(options)),
        files_(files),
        client_(std::move(client)) {}

  Result<void> put() override {
    lease_ = 0;
    if (options_.is_bound) {
      const std::string body = etcd::grant_body(options_.ttl_ms / 1000);
      const std::string granted = TRY(call("lease/grant", body).context("lease"));
      lease_ = TRY(etcd::parse_grant(granted));
    }
    TRY(call("kv/put", etcd::put_body(options_.path, options_.value, lease_)));
    return {};
  }

  Result<void> keep() override {
    if (!options_.is_bound) return {};
    const std::string kept = TRY(call("lease/keepalive", etcd::lease_body(lease_)));
    const int64_t ttl_s = TRY(etcd::parse_keep_alive(kept));
    if (ttl_s > 0) return {};
    return fail(ErrorCode::NotFound, "the lease has run out");
  }

  // A third of the lease: two may fail.
  int64_t keep_interval_ms() const override { return options_.ttl_ms / 3; }

  // With its lease goes the entry; another registrar's newer entry at the path stays.
  Result<void> remove() override {
    if (options_.is_bound) {
      TRY(call("lease/revoke", etcd::lease_body(lease_)));
    } else {
      TRY(call("kv/deleterange", etcd::delete_body(options_.path)));
    }
    return {};
  }

 private:
  // Endpoints in turn, beginning with the one that answered last.
  Result<std::string> call(std::string_view path, const std::string& body) {
    Result<std::string> answer = fail(ErrorCode::Internal, "no endpoint");
    for (size_t tried = 0; tried < config_.endpoints.size(); ++tried) {
      answer = call_endpoint(path, body);
      if (answer) return answer;
      token_.clear();
      endpoint_ = (endpoint_ + 1) % config_.endpoints.size();
    }
    return answer;
  }

  Result<std::string> call_endpoint(std::string_view path, const std::string& body) {
    if (!config_.username.empty() && token_.empty()) TRY(log_in());
    Result<std::string> answer = send(path, body);
    if (answer || config_.username.empty()) return answer;
    TRY(log_in());  // tokens run out
    return send(path, body);
  }

  Result<void> log_in() {
    token_.clear();
    const std::string password = TRY(etcd::read_password(config_, files_));
    const std::string answer =
        TRY(send("auth/authenticate", etcd::authenticate_body(config_.username, password)));
    token_ = TRY(etcd::parse_authenticate(answer));
    return {};
  }

  Result<std::string> send(std::string_view path, const std::string& body) {
    const std::string& endpoint = config_.endpoints[endpoint_];
    std::mutex mutex;
    std::condition_variable ended;
    std::string text;        // the client's thread's until `end` is set
    Result<int> end = 0;     // guarded by mutex
    bool has_ended = false;  // guarded by mutex
    client_->open(
        etcd::make_request(endpoint, path, body, token_, etcd::kCallTimeoutMs),
        [&](int, std::string_view chunk) {
          text.append(chunk);
          return text.size() <= etcd::kAnswerSizeMax;
        },
        [&](Result<int> result) {
          const std::lock_guard lock(mutex);
          end = std::move(result);
          has_ended = true;
          ended.notify_one();
        });
    std::unique_lock lock(mutex);
    ended.wait(lock, [&] { return has_ended; });  // the request has a deadline
    std::string body_text = TRY(etcd::judge_answer(end, std::move(text), endpoint));
    TRY(etcd::parse_done(body_text).context("{}", endpoint));
    return body_text;
  }

  const config::EtcdDiscovery config_;
  const RegistrarOptions options_;
  core::FileSystem& files_;
  const std::unique_ptr<net::StreamClient> client_;
  std::string token_;
  size_t endpoint_ = 0;
  int64_t lease_ = 0;
};

}  // namespace

Result<std::unique_ptr<Registrar>> make_etcd_registrar(const config::EtcdDiscovery& config,
                                                       RegistrarOptions options,
                                                       core::FileSystem& files) {
  TRY(etcd::check_endpoints(config));
  std::unique_ptr<net::StreamClient> client =
      TRY(net::StreamClient::start(config.tls, files).context("etcd"));
  return std::make_unique<EtcdRegistrar>(config, std::move(options), files, std::move(client));
}

}  // namespace discovery
