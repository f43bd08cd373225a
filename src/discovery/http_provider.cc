#include "discovery/http_provider.h"

#include "discovery/refresh_loop.h"
#include "discovery/target_groups.h"
#include "net/client_url.h"
#include "net/http_client.h"
#include "net/http_response.h"

#include <algorithm>
#include <utility>

namespace discovery {
namespace {

using core::ErrorCode;

constexpr uint64_t kBodySizeMax = 64ULL << 20;

// "application/json", also with "; charset=utf-8"; without regard to case.
bool is_json(std::string_view content_type) {
  std::string plain;
  for (const char c : content_type) {
    if (c == ' ' || c == '\t') continue;
    plain += c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  }
  return plain == "application/json" || plain == "application/json;charset=utf-8" ||
         plain == "application/json;charset=\"utf-8\"";
}

std::string seconds_text(int64_t duration_ms) {
  std::string text = fmt::format("{}.{:03}", duration_ms / 1000, duration_ms % 1000);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

// For logs and the API: neither the password nor what may be a token in the query.
std::string shown_url(const std::string& url) {
  const std::string shown = net::hide_password(url);
  const size_t query = shown.find('?');
  return query == std::string::npos ? shown : shown.substr(0, query) + "?***";
}

// The client's errors begin with the URL.
core::Error without_query(core::Error error, const std::string& url) {
  const std::string whole = net::hide_password(url);
  if (const size_t at = error.message.find(whole); at != std::string::npos) {
    error.message.replace(at, whole.size(), shown_url(url));
  }
  return error;
}

core::Result<Refreshed> read_answer(const core::Result<net::FetchResponse>& response,
                                    const std::string& url) {
  if (!response) return tl::unexpected(without_query(response.error(), url));
  if (response->status != 200) {
    return core::fail(ErrorCode::Unavailable, "server returned HTTP status {} {}", response->status,
                      net::status_reason(response->status));
  }
  const auto content_type = net::find_header(response->headers, "Content-Type");
  if (!content_type || !is_json(*content_type)) {
    return core::fail(ErrorCode::InvalidArgument,
                      "unsupported content type \"{}\", expected application/json",
                      content_type.value_or(""));
  }
  Refreshed refreshed;
  refreshed.groups = TRY(parse_target_groups_json(response->body, shown_url(url)));
  add_label(refreshed.groups, "__meta_url", url);
  return refreshed;
}

class HttpProvider final : public Provider {
 public:
  HttpProvider(const config::HttpDiscovery& config, const std::string& name,
               const ProviderParts& parts, std::unique_ptr<net::HttpClient> client)
      : config_(config),
        executor_(parts.executor),
        loop_(RefreshLoop::create({"http", name, config.refresh_interval_ms}, parts)),
        client_(std::move(client)) {}
  ~HttpProvider() override { loop_->stop(); }

  void start(Update update) override {
    loop_->start(std::move(update), [this](RefreshLoop::Done done) { refresh(std::move(done)); });
  }
  void stop() override { loop_->stop(); }
  ProviderStatus status() const override { return loop_->status(); }

 private:
  void refresh(RefreshLoop::Done done);

  const config::HttpDiscovery config_;
  core::Executor& executor_;
  const std::shared_ptr<RefreshLoop> loop_;
  const std::unique_ptr<net::HttpClient> client_;
};

void HttpProvider::refresh(RefreshLoop::Done done) {
  net::FetchRequest request;
  request.url = config_.url;
  request.headers = {
      {"User-Agent", "Petrel"},
      {"Accept", "application/json"},
      {"X-Prometheus-Refresh-Interval-Seconds", seconds_text(config_.refresh_interval_ms)}};
  request.timeout_ms = config_.refresh_interval_ms;
  request.body_size_max = kBodySizeMax;
  // The answer comes on a thread of the network, which must not wait for parsing.
  client_->fetch(std::move(request), [url = config_.url, executor = &executor_,
                                      done](core::Result<net::FetchResponse> response) {
    auto shared = std::make_shared<core::Result<net::FetchResponse>>(std::move(response));
    if (!executor->post([url, done, shared] { done(read_answer(*shared, url)); })) {
      done(core::fail(ErrorCode::Unavailable, "too many tasks wait"));
    }
  });
}

}  // namespace

std::unique_ptr<Provider> make_http_provider(const config::HttpDiscovery& config,
                                             const std::string& name, const ProviderParts& parts,
                                             std::unique_ptr<net::HttpClient> client) {
  return std::make_unique<HttpProvider>(config, name, parts, std::move(client));
}

core::Result<std::unique_ptr<Provider>> make_http_provider(const config::HttpDiscovery& config,
                                                           const std::string& name,
                                                           const ProviderParts& parts) {
  auto client = TRY(net::HttpClient::create(parts.loop, config.client, parts.files));
  return make_http_provider(config, name, parts, std::move(client));
}

}  // namespace discovery
