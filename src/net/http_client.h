// HTTP/1.1 client for many small requests at once: Boost.Asio on threads of its own,
// kept-alive connections, one receive buffer per request in flight. Made for scrapes;
// rare requests go through net::Transport.

#pragma once

#include "core/clock.h"
#include "core/file_system.h"
#include "core/result.h"
#include "net/client_config.h"
#include "net/client_request.h"
#include "net/http.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace net {

struct ClientLoopOptions {
  unsigned threads = 1;
  // Requests in flight at once; more wait in order of arrival until their deadline.
  uint32_t in_flight_max = 2000;
  // Of bodies being received. From half of it on, new requests wait; a body that does not
  // fit any more ends with LimitExceeded.
  uint64_t in_flight_bytes_max = 512ULL << 20;
  uint32_t idle_connections_max = 20'000;
  int64_t idle_timeout_ms = 5 * 60'000;
};

// The threads and sockets that clients share. Outlives its clients.
class ClientLoop {
 public:
  static core::Result<std::unique_ptr<ClientLoop>> start(ClientLoopOptions options);
  virtual ~ClientLoop() = default;
};

struct FetchRequest {
  std::string url{};            // http:// or https://, with query
  Headers headers{};            // added unless given: Host, User-Agent, Accept-Encoding: gzip
  int64_t timeout_ms = 10'000;  // from now to the last byte
  uint64_t body_size_max = 0;   // as sent and after gzip alike; 0: 1 GiB
  // Instead of url and headers, for what is asked again and again.
  std::shared_ptr<const PreparedRequest> prepared{};
};

struct FetchResponse {
  int status = 0;
  Headers headers;
  std::string body;         // gzip is undone
  uint64_t wire_bytes = 0;  // of the body, as received
  bool connection_reused = false;
};

// One per ClientConfig: authentication, TLS context and cached tokens belong to it.
// Thread-safe.
class HttpClient {
 public:
  using Done = std::function<void(core::Result<FetchResponse>)>;

  // InvalidArgument when a certificate, key or proxy URL does not load. `files` reads
  // secrets again before each use.
  static core::Result<std::unique_ptr<HttpClient>> create(ClientLoop& loop, ClientConfig config,
                                                          core::FileSystem& files);
  // Requests in flight are answered Unavailable first. Not from within a `done`.
  virtual ~HttpClient() = default;
  // Calls `done` exactly once, on a thread of the loop: hand work on and return. Any
  // status is a response. Errors, worded as Go words them behind `Get "URL": `: Timeout
  // ("context deadline exceeded"), Unavailable (connect refused, reset, DNS), TooLarge
  // (body_size_max), InvalidArgument (URL, TLS verification, malformed answer),
  // LimitExceeded, Unauthenticated (no OAuth2 token). Retries once on a kept connection that
  // turned out closed before the first byte; never otherwise. Reads secrets' files before it
  // returns: not for a thread that must not block.
  virtual void fetch(FetchRequest request, Done done) = 0;
};

}  // namespace net
