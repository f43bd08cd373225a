// HTTP/1.1 server: Boost.Asio with one event loop per I/O thread; handlers run on a
// worker executor and may block.

#pragma once

#include "core/byte_budget.h"
#include "core/executor.h"
#include "core/result.h"
#include "net/http.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace net {

struct HttpServerOptions {
  std::string listen_address = "127.0.0.1:9090";  // host:port, :port or [::1]:port
  unsigned io_threads = 1;
  uint64_t body_size_max = 64ULL << 20;
  uint32_t connections_max = 512;     // Prometheus's --web.max-connections
  int64_t read_timeout_ms = 300'000;  // Prometheus's --web.read-timeout
  bool compress = true;               // gzip when the client accepts it
  // What the bodies of all requests may take together, until each is answered; above it a
  // body is answered 503 instead of being read. Small ones are always read. Null: no bound.
  // Outlives the server.
  core::ByteBudget* body_budget = nullptr;
  // The text of that answer for a body of that many bytes, which is counted there. Called on
  // the I/O thread: be quick.
  std::function<std::string(size_t)> on_body_refused{};
  // Where a request is served; nullptr, or no function: on the executor of start(). Keeps
  // slow kinds of requests from taking every worker. Called on the I/O thread: be quick.
  // What it gives must outlive the server.
  std::function<core::Executor*(const Request&)> executor_for{};
};

// Thread-safe; one per listening address.
class HttpServer {
 public:
  // Called on the executor, which must have threads of its own and run all it accepts.
  // Must not throw; a throw answers 500 and is logged.
  using Handler = std::function<Response(const Request&)>;

  // Conflict when the address is in use: the message says which process holds it and
  // suggests another port.
  static core::Result<std::unique_ptr<HttpServer>> start(HttpServerOptions options,
                                                         core::Executor& executor, Handler handler);
  virtual ~HttpServer() = default;
  // The port in use, also when 0 was asked for.
  virtual uint16_t port() const = 0;
  // Stops accepting, lets requests in flight finish for `grace_ms`, then closes.
  virtual void stop(int64_t grace_ms) = 0;
};

}  // namespace net
