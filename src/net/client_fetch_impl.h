// One request from its admission to its answer: redirects, proxies, the retry on a kept
// connection. Runs on a fiber of its loop's thread and is confined to it.

#pragma once

#include "net/client_auth.h"
#include "net/client_connection_impl.h"
#include "net/client_loop_impl.h"
#include "net/client_proxy.h"
#include "net/client_request.h"
#include "net/client_tls.h"
#include "net/client_url.h"
#include "net/http_client.h"
#include "net/response_parser.h"

#include <condition_variable>
#include <mutex>

namespace net {

// What the requests of one client share. Thread-safe.
struct ClientState {
  ClientState(ClientConfig given, core::FileSystem& file_system, ProxyChooser chooser);

  const ClientConfig config;
  core::FileSystem& files;
  const ProxyChooser proxies;
  TlsSource tls;
  // Of OAuth2, or null: how to reach the token's URL.
  std::unique_ptr<ClientState> token_client;

  std::mutex mutex;
  std::condition_variable all_ended;
  size_t open = 0;  // guarded by mutex

  struct Token {
    core::Secret authorization;
    SteadyTime good_until;
    OAuthStyle style = OAuthStyle::InHeader;
    bool is_pending = false;
    core::Error error;  // of the last attempt
    bool has_failed = false;
    std::vector<std::pair<LoopThread*, Fetch*>> waiting;
  };
  std::mutex token_mutex;
  Token token;  // guarded by token_mutex
};

class Fetch {
 public:
  // `request` is prepared; `added` is made on the caller's thread, where reading files may
  // block.
  Fetch(LoopThread& loop, std::shared_ptr<ClientState> client, FetchRequest request,
        AddedHeaders added, HttpClient::Done done);

  // On its fiber; `done` is called later, off the fiber.
  void run(Yield yield);
  // Without a fiber: it never started.
  void finish(core::Result<FetchResponse> result);

  // By the loop's deadlines.
  void on_deadline(SteadyTime now);
  // The client goes away.
  void cancel();

  // The calls that wait ask these first and last. Why it ended, or nothing.
  bool is_ended() const { return ended_ != End::None; }
  core::Error end_error() const;
  Yield& yield() { return *yield_; }
  // Until wake() or the end.
  void wait();
  void wake();
  SteadyTime deadline() const { return deadline_; }
  // A nearer deadline for one step; the connection is closed when it passes.
  void limit_step(SteadyTime at);
  // True when the limit had passed.
  bool end_step();

  LoopThread& loop() { return loop_; }
  const ClientState& client() const { return *client_; }
  std::list<std::unique_ptr<Fetch>>::iterator place;  // while it waits for its turn
  bool is_waiting = false;

 private:
  enum class End : uint8_t { None, Deadline, Closed };

  struct Message : RequestMessage {
    const PreparedRequest* prepared = nullptr;  // what the message is, when nothing is added
  };

  void end(End why);
  core::Result<FetchResponse> follow();
  core::Result<FetchResponse> exchange(ClientState& client, const ClientUrl& url,
                                       const Message& message, uint64_t body_size_max);
  core::Result<std::unique_ptr<Connection>> open(ClientState& client, const ClientUrl& url,
                                                 const ClientUrl* proxy);
  core::Result<void> open_tunnel(const ClientState& client, Connection& connection,
                                 const ClientUrl& url, const ClientUrl& proxy);
  core::Result<void> receive(Connection& connection, ResponseParser& parser);
  core::Result<void> charge(uint64_t size);
  void use(Connection* connection);
  core::Result<std::string> authorization();
  core::Result<OAuthToken> fetch_token();
  core::Result<OAuthToken> ask_token(OAuthStyle style, int& status);

  LoopThread& loop_;
  const std::shared_ptr<ClientState> client_;
  const FetchRequest request_;
  const AddedHeaders added_;
  HttpClient::Done done_;
  const SteadyTime deadline_;
  SteadyTime registered_;  // among the loop's deadlines
  End ended_ = End::None;
  bool step_passed_ = false;
  bool is_woken_ = false;
  Yield* yield_ = nullptr;
  std::optional<Timer> sleep_;
  Connection* connection_ = nullptr;  // in use: closed when the fetch ends
  uint64_t charged_ = 0;
};

}  // namespace net
