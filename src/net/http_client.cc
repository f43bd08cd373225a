// fetch() prepares on the caller's thread what may block (secrets, certificates), then hands
// the request to a loop's thread: the one its host always goes to, so that pools of kept
// connections need no locks.
//
//   fetch() > LoopThread::hand_over > admit > fiber: Fetch::run > exchange (pool or connect, write,
//   receive) > redirects > done

#include "net/http_client.h"

#include "net/client_fetch_impl.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <functional>

namespace net {

using core::ErrorCode;
using core::fail;
using core::Result;

namespace {

class AsioClientLoop final : public ClientLoop {
 public:
  explicit AsioClientLoop(const ClientLoopOptions& options)
      : resolver_(std::make_unique<Resolver>()) {
    const unsigned threads = std::max(1U, options.threads);
    const LoopLimits limits{
        .in_flight_max = std::max<size_t>(1, options.in_flight_max / threads),
        .bytes_max = options.in_flight_bytes_max / threads,
        .idle_max = options.idle_connections_max / threads,
        .idle_time = std::chrono::milliseconds(options.idle_timeout_ms),
    };
    for (unsigned i = 0; i < threads; ++i) {
      threads_.push_back(std::make_unique<LoopThread>(limits, *resolver_));
      threads_.back()->run();
    }
  }

  ~AsioClientLoop() override {
    // Its answers are posted to the threads: none comes after this.
    resolver_.reset();
    threads_.clear();
  }

  // Every request to one host and port goes through one thread.
  LoopThread& thread_for(std::string_view url) {
    if (threads_.size() == 1) return *threads_.front();
    const size_t scheme = url.find("://");
    const size_t begin = scheme == url.npos ? 0 : scheme + 3;
    const std::string_view authority = url.substr(begin, url.find_first_of("/?#", begin) - begin);
    return *threads_[std::hash<std::string_view>{}(authority) % threads_.size()];
  }
  const std::vector<std::unique_ptr<LoopThread>>& threads() const { return threads_; }

 private:
  std::unique_ptr<Resolver> resolver_;
  std::vector<std::unique_ptr<LoopThread>> threads_;
};

class AsioHttpClient final : public HttpClient {
 public:
  AsioHttpClient(AsioClientLoop& loop, std::shared_ptr<ClientState> state)
      : loop_(loop), state_(std::move(state)) {}

  ~AsioHttpClient() override {
    for (const auto& thread : loop_.threads()) {
      asio::post(thread->io, [&thread = *thread, state = state_] { cancel_all(thread, *state); });
    }
    std::unique_lock lock(state_->mutex);
    state_->all_ended.wait(lock, [&] { return state_->open == 0; });
  }

  void fetch(FetchRequest request, Done done) override {
    {
      const std::lock_guard lock(state_->mutex);
      ++state_->open;
    }
    if (!request.prepared) {
      auto headers = std::make_shared<const Headers>(std::move(request.headers));
      request.prepared = prepare_request(std::move(request.url), std::move(headers));
    }
    const PreparedRequest& prepared = *request.prepared;
    LoopThread& thread = loop_.thread_for(prepared.url);
    Result<AddedHeaders> added = make_headers(state_->config, state_->files, *prepared.headers);
    const bool is_https = prepared.url.starts_with("https:");
    Result<std::shared_ptr<TlsContext>> tls;
    if (added && is_https) tls = state_->tls.current();
    core::Error error;
    if (!added) error = added.error();
    if (!tls) error = tls.error();
    const bool is_good = added && tls;
    auto fetch =
        std::make_unique<Fetch>(thread, state_, std::move(request),
                                added ? std::move(*added) : AddedHeaders(), std::move(done));
    if (!is_good) {
      fetch->finish(tl::unexpected(std::move(error)));
      return;
    }
    thread.hand_over(std::move(fetch));
  }

 private:
  static void cancel_all(LoopThread& thread, const ClientState& state) {
    std::vector<Fetch*> own;
    for (const auto& [at, fetch] : thread.deadlines.entries()) {
      if (&fetch->client() == &state) own.push_back(fetch);
    }
    for (Fetch* const fetch : own) fetch->cancel();
  }

  AsioClientLoop& loop_;
  const std::shared_ptr<ClientState> state_;
};

Result<std::shared_ptr<ClientState>> make_state(ClientConfig config, core::FileSystem& files) {
  ProxyChooser proxies = TRY(ProxyChooser::create(config.proxy, environment_variable));
  std::shared_ptr<ClientState> state =
      std::make_shared<ClientState>(std::move(config), files, std::move(proxies));
  if (state->config.tls != TlsConfig()) TRY(state->tls.current());
  if (!state->config.oauth2) return state;
  const OAuth2& oauth = *state->config.oauth2;
  ClientConfig token_config;
  token_config.tls = oauth.tls;
  token_config.proxy = oauth.proxy;
  ProxyChooser token_proxies = TRY(ProxyChooser::create(oauth.proxy, environment_variable));
  state->token_client =
      std::make_unique<ClientState>(std::move(token_config), files, std::move(token_proxies));
  if (oauth.tls != TlsConfig()) TRY(state->token_client->tls.current());
  return state;
}

}  // namespace

Result<std::unique_ptr<ClientLoop>> ClientLoop::start(ClientLoopOptions options) {
  return std::make_unique<AsioClientLoop>(options);
}

Result<std::unique_ptr<HttpClient>> HttpClient::create(ClientLoop& loop, ClientConfig config,
                                                       core::FileSystem& files) {
  auto* const asio_loop = dynamic_cast<AsioClientLoop*>(&loop);
  ENSURE(asio_loop != nullptr);
  return std::make_unique<AsioHttpClient>(*asio_loop, TRY(make_state(std::move(config), files)));
}

}  // namespace net
