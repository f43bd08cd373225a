#include "core/text.h"
#include "net/client_fetch_impl.h"

#include <algorithm>
#include <boost/asio/post.hpp>

namespace net {

using core::Error;
using core::ErrorCode;
using core::fail;
using core::Result;

namespace {

constexpr unsigned kRedirectsMax = 10;
constexpr uint64_t kBodySizeDefault = 1ULL << 30;
constexpr size_t kStepMax = 1 << 20;  // one read of a large body
constexpr uint64_t kTokenSizeMax = 1 << 20;
constexpr uint64_t kChargeStep = 64 << 10;  // what fits is not counted on each read
constexpr auto kTokenMargin = std::chrono::seconds(10);
constexpr auto kTokenRetry = std::chrono::seconds(1);  // after a failed attempt

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// Go's rule: to the same host or one below it, credentials go along.
bool is_within(std::string_view host, std::string_view parent) {
  if (host == parent) return true;
  if (parent.find(':') != parent.npos || host.find(':') != host.npos) return false;
  return host.size() > parent.size() && host.ends_with(parent) &&
         host[host.size() - parent.size() - 1] == '.';
}

bool has(const Headers& headers, std::string_view name) {
  return find_header(headers, name).has_value();
}

}  // namespace

ClientState::ClientState(ClientConfig given, core::FileSystem& file_system, ProxyChooser chooser)
    : config(std::move(given)),
      files(file_system),
      proxies(std::move(chooser)),
      tls(config.tls, file_system) {}

Fetch::Fetch(LoopThread& loop, std::shared_ptr<ClientState> client, FetchRequest request,
             AddedHeaders added, HttpClient::Done done)
    : loop_(loop),
      client_(std::move(client)),
      request_(std::move(request)),
      added_(std::move(added)),
      done_(std::move(done)),
      deadline_(std::chrono::steady_clock::now() +
                std::chrono::milliseconds(std::max<int64_t>(request_.timeout_ms, 0))),
      registered_(deadline_) {}

void Fetch::run(Yield yield) {
  yield_ = &yield;
  Result<FetchResponse> result = follow();
  loop_.shrink(charged_);
  loop_.deadlines.remove(registered_, *this);
  finish(std::move(result));
}

void Fetch::finish(Result<FetchResponse> result) {
  if (!result) {
    result.error().message = fmt::format("Get \"{}\": {}", hide_password(request_.prepared->url),
                                         result.error().message);
  }
  asio::post(loop_.io,
             [client = client_, done = std::move(done_), outcome = std::move(result)]() mutable {
               done(std::move(outcome));
               done = nullptr;
               const std::lock_guard lock(client->mutex);
               --client->open;
               client->all_ended.notify_all();
             });
}

Error Fetch::end_error() const {
  if (ended_ == End::Deadline) return {ErrorCode::Timeout, "context deadline exceeded"};
  return {ErrorCode::Unavailable, "the client is closed"};
}

void Fetch::on_deadline(SteadyTime now) {
  if (now >= deadline_) return end(End::Deadline);
  step_passed_ = true;
  registered_ = deadline_;
  loop_.deadlines.add(registered_, *this);
  if (connection_ != nullptr) connection_->close();
}

void Fetch::cancel() {
  if (!is_ended()) end(End::Closed);
}

void Fetch::end(End why) {
  ended_ = why;
  if (is_waiting) {
    loop_.deadlines.remove(registered_, *this);
    loop_.end_waiting(*this);
    return;
  }
  if (connection_ != nullptr) connection_->close();
  if (sleep_) sleep_->cancel();
}

void Fetch::limit_step(SteadyTime at) {
  step_passed_ = false;
  loop_.deadlines.remove(registered_, *this);
  registered_ = std::min(at, deadline_);
  loop_.deadlines.add(registered_, *this);
}

bool Fetch::end_step() {
  if (!is_ended() && registered_ != deadline_) limit_step(deadline_);
  return std::exchange(step_passed_, false);
}

void Fetch::wait() {
  is_woken_ = false;
  while (!is_woken_ && !is_ended()) {
    if (!sleep_) sleep_.emplace(loop_.io);
    sleep_->expires_at(SteadyTime::max());
    error_code woken;
    sleep_->async_wait(yield()[woken]);
  }
}

void Fetch::wake() {
  is_woken_ = true;
  if (sleep_) sleep_->cancel();
}

// Across redirects.
Result<FetchResponse> Fetch::follow() {
  if (is_ended()) return tl::unexpected(end_error());
  const PreparedRequest& request = *request_.prepared;
  if (!request.parsed) return tl::unexpected(request.parsed.error());
  const uint64_t size_max = request_.body_size_max == 0 ? kBodySizeDefault : request_.body_size_max;
  Message message{{.headers = request.headers.get(), .added = &added_}, &request};
  if (client_->config.oauth2 && !has(*request.headers, "Authorization")) {
    message.authorization = TRY(authorization());
  }
  ClientUrl redirected;
  for (unsigned redirects = 0;; ++redirects) {
    const ClientUrl& url = redirects == 0 ? *request.parsed : redirected;
    FetchResponse response = TRY(exchange(*client_, url, message, size_max));
    if (!client_->config.follow_redirects || !is_redirect(response.status)) return response;
    const auto location = find_header(response.headers, "Location");
    if (!location || location->empty()) return response;
    if (redirects == kRedirectsMax - 1) {
      return fail(ErrorCode::InvalidArgument, "stopped after {} redirects", kRedirectsMax);
    }
    ClientUrl next = TRY(resolve_location(url, *location));
    // The address of an encrypted page is nobody else's business.
    message.referer = url.is_https && !next.is_https ? std::string() : url.text();
    message.same_host = message.same_host && is_within(next.host, request.parsed->host);
    message.prepared = nullptr;
    redirected = std::move(next);
  }
}

Result<FetchResponse> Fetch::exchange(ClientState& client, const ClientUrl& url,
                                      const Message& message, uint64_t body_size_max) {
  const ClientUrl* const proxy = client.proxies.choose(url);
  const bool to_proxy = proxy != nullptr && !url.is_https;
  const bool is_plain = message.prepared != nullptr && proxy == nullptr &&
                        message.authorization.empty() && message.added->anywhere.empty() &&
                        message.added->same_host.empty() && !message.prepared->head.empty();
  std::string rendered;
  if (!is_plain) rendered = TRY(render_request(url, message, to_proxy ? proxy : nullptr));
  const std::string& head = is_plain ? message.prepared->head : rendered;

  std::shared_ptr<TlsContext> tls;
  if (url.is_https) tls = TRY(client.tls.current());
  std::string special_key;
  if (!is_plain || tls) {
    if (proxy != nullptr) special_key = proxy->text() + " ";
    if (!to_proxy) special_key += host_port(url.host, url.port);
    if (tls) special_key += fmt::format(" tls {}", tls->id());
  }
  const std::string& key = special_key.empty() ? message.prepared->connection : special_key;

  bool may_reuse = true;
  for (;;) {
    std::unique_ptr<Connection> connection = may_reuse ? loop_.idle.take(key) : nullptr;
    const bool is_reused = connection != nullptr;
    if (!is_reused) connection = TRY(open(client, url, proxy));
    use(connection.get());
    ResponseParser parser(body_size_max);
    Result<void> outcome = connection->write(head, *this);
    if (outcome) outcome = receive(*connection, parser);
    use(nullptr);
    if (!outcome) {
      const bool may_retry = is_reused && parser.is_empty() && !is_ended() &&
                             outcome.error().code == ErrorCode::Unavailable;
      if (!may_retry) return tl::unexpected(outcome.error());
      may_reuse = false;
      continue;
    }
    FetchResponse response{.status = parser.status(),
                           .headers = parser.take_headers(),
                           .body = parser.take_body(),
                           .wire_bytes = parser.wire_bytes(),
                           .connection_reused = is_reused};
    if (parser.keep_alive()) loop_.idle.put(key, std::move(connection));
    return response;
  }
}

void Fetch::use(Connection* connection) {
  connection_ = connection;
}

Result<std::unique_ptr<Connection>> Fetch::open(ClientState& client, const ClientUrl& url,
                                                const ClientUrl* proxy) {
  const ClientUrl& peer = proxy != nullptr ? *proxy : url;
  auto connection = std::make_unique<Connection>(loop_);
  use(connection.get());
  const auto prepare = [&]() -> Result<void> {
    if (url.is_https && proxy != nullptr && proxy->is_https) {
      return fail(ErrorCode::Unsupported,
                  "https targets through a proxy that is itself reached over https are not "
                  "supported; use an http:// proxy_url");
    }
    TRY(connection->connect(peer.host, peer.port, *this));
    if (proxy != nullptr && proxy->is_https) {
      std::shared_ptr<TlsContext> own = TRY(client.tls.current());
      TRY(connection->start_tls(std::move(own), proxy->host, proxy->port, *this));
    }
    if (!url.is_https) return {};
    if (proxy != nullptr) TRY(open_tunnel(client, *connection, url, *proxy));
    std::shared_ptr<TlsContext> context = TRY(client.tls.current());
    return connection->start_tls(std::move(context), url.host, url.port, *this);
  };
  Result<void> prepared = prepare();
  use(nullptr);
  if (!prepared) {
    if (proxy != nullptr && !is_ended()) {
      return tl::unexpected(
          std::move(prepared).context("proxyconnect {}", proxy->authority).error());
    }
    return tl::unexpected(prepared.error());
  }
  return connection;
}

Result<void> Fetch::open_tunnel(const ClientState& client, Connection& connection,
                                const ClientUrl& url, const ClientUrl& proxy) {
  const std::string target = host_port(url.host, url.port);
  std::string head = fmt::format("CONNECT {} HTTP/1.1\r\nHost: {}\r\n", target, target);
  if (proxy.has_user) {
    append_header(head, "Proxy-Authorization", basic_credentials(proxy.user, proxy.password));
  }
  Headers headers;
  for (const auto& [name, value] : client.config.proxy.connect_headers) {
    headers.emplace_back(name, value.reveal());
  }
  TRY(append_headers(head, headers, true));
  head += "\r\n";
  TRY(connection.write(head, *this));
  // Byte by byte: what follows the head is the tunnel's.
  std::string answer;
  constexpr size_t kAnswerMax = 16 << 10;
  while (!answer.ends_with("\r\n\r\n")) {
    if (answer.size() >= kAnswerMax) {
      return fail(ErrorCode::InvalidArgument, "the proxy's answer has more than {} bytes",
                  kAnswerMax);
    }
    char byte = 0;
    const size_t size = TRY(connection.read_some({&byte, 1}, *this));
    if (size == 0) return fail(ErrorCode::Unavailable, "unexpected EOF");
    answer += byte;
  }
  const std::string_view line = std::string_view(answer).substr(0, answer.find("\r\n"));
  const size_t space = line.find(' ');
  if (!line.starts_with("HTTP/1.") || space == line.npos) {
    return fail(ErrorCode::InvalidArgument, "malformed HTTP response");
  }
  const std::string_view status = line.substr(space + 1);
  if (!status.starts_with('2'))
    return fail(ErrorCode::Unavailable, "{}", status.substr(status.find(' ') + 1));
  return {};
}

Result<void> Fetch::receive(Connection& connection, ResponseParser& parser) {
  // Given back on every way out.
  struct Loan {
    explicit Loan(BufferPool& from) : pool(from), buffer(from.take()) {}
    ~Loan() { pool.give_back(std::move(buffer)); }
    BufferPool& pool;
    BufferPool::Buffer buffer;
  } loan(loop_.buffers);
  while (!parser.is_done()) {
    const std::span<char> direct = parser.space(kStepMax);
    const bool is_direct = !direct.empty();
    const std::span<char> to =
        is_direct ? direct : std::span<char>(loan.buffer.get(), BufferPool::kSize);
    const Result<size_t> size = connection.read_some(to, *this);
    if (is_direct) {
      TRY(parser.commit(size ? *size : 0));
    } else if (size && *size > 0) {
      TRY(parser.feed({loan.buffer.get(), *size}));
    }
    if (!size) return tl::unexpected(size.error());
    if (*size == 0) return parser.finish();
    TRY(charge(parser.held_bytes()));
  }
  return {};
}

// `size` of this fetch counts against the loop's bound from now on.
Result<void> Fetch::charge(uint64_t size) {
  if (size <= charged_ + kChargeStep) return {};
  if (!loop_.grow(size - charged_)) {
    return fail(ErrorCode::LimitExceeded,
                "bodies being received fill the memory set aside for them; this one has {} bytes "
                "so far",
                size);
  }
  charged_ = size;
  return {};
}

// The token's header: the cached one, or that of the fetch everybody waits for.
Result<std::string> Fetch::authorization() {
  ClientState& client = *client_;
  ClientState::Token& token = client.token;
  for (;;) {
    {
      const std::lock_guard lock(client.token_mutex);
      const SteadyTime now = std::chrono::steady_clock::now();
      if (now < token.good_until) {
        if (token.has_failed) return tl::unexpected(token.error);
        return token.authorization.reveal();
      }
      if (!token.is_pending) {
        token.is_pending = true;
        break;
      }
      token.waiting.emplace_back(&loop_, this);
    }
    wait();
    const std::lock_guard lock(client.token_mutex);
    std::erase(token.waiting, std::pair(&loop_, this));
    if (is_ended()) return tl::unexpected(end_error());
  }
  const Result<OAuthToken> fetched = fetch_token().context("oauth2: cannot fetch token");
  const std::lock_guard lock(client.token_mutex);
  const SteadyTime now = std::chrono::steady_clock::now();
  token.is_pending = false;
  token.has_failed = !fetched;
  if (fetched) {
    token.authorization = fetched->authorization;
    token.good_until = fetched->lifetime_ms == 0
                           ? SteadyTime::max()
                           : now + std::chrono::milliseconds(fetched->lifetime_ms) - kTokenMargin;
  } else if (!is_ended()) {
    token.error = fetched.error();
    token.good_until = now + kTokenRetry;
  }
  for (const auto& [loop, fetch] : token.waiting) {
    // It may have ended meanwhile: its loop knows.
    asio::post(loop->io, [state = client_, at = loop, waiter = fetch] {
      const std::lock_guard still(state->token_mutex);
      const auto& waiting = state->token.waiting;
      if (std::find(waiting.begin(), waiting.end(), std::pair(at, waiter)) != waiting.end()) {
        waiter->wake();
      }
    });
  }
  if (!fetched) return tl::unexpected(fetched.error());
  return fetched->authorization.reveal();
}

Result<OAuthToken> Fetch::fetch_token() {
  OAuthStyle style = OAuthStyle::InHeader;
  {
    const std::lock_guard lock(client_->token_mutex);
    style = client_->token.style;
  }
  int status = 0;
  Result<OAuthToken> token = ask_token(style, status);
  if (token || status < 400 || style == OAuthStyle::InBody) return token;
  // Some servers want the secret in the body; which ones is found by trying, as in Go.
  Result<OAuthToken> other = ask_token(OAuthStyle::InBody, status);
  if (!other) return token;
  const std::lock_guard lock(client_->token_mutex);
  client_->token.style = OAuthStyle::InBody;
  return other;
}

Result<OAuthToken> Fetch::ask_token(OAuthStyle style, int& status) {
  const OAuth2& config = *client_->config.oauth2;
  const ClientUrl url = TRY(parse_client_url(config.token_url));
  const std::string secret = TRY(read_secret(config.client_secret, client_->files));
  const Headers headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
  const AddedHeaders added;
  Message message{{.method = "POST", .headers = &headers, .added = &added}};
  message.body = token_request(config, secret, style);
  if (style == OAuthStyle::InHeader) {
    message.authorization =
        basic_credentials(percent_encode(config.client_id), percent_encode(secret));
  }
  const FetchResponse response = TRY(exchange(*client_->token_client, url, message, kTokenSizeMax));
  status = response.status;
  return read_token(response.status, response.body);
}

}  // namespace net
