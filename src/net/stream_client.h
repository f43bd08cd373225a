// Outgoing HTTP whose answer is read as it comes, for answers that do not end: etcd's
// watch. The Transport seam hands over whole bodies only.

#pragma once

#include "core/file_system.h"
#include "core/result.h"
#include "net/client_config.h"
#include "net/http.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace net {

struct StreamRequest {
  std::string url{};
  Headers headers{};
  std::string body{};  // sent by POST
  int64_t connect_timeout_ms = 5'000;
  int64_t timeout_ms = 0;  // until the last byte; 0: no limit
};

// Names a stream of one client; never 0.
using StreamId = uint64_t;

// Thread-safe.
class StreamClient {
 public:
  // A piece of the body of an answer with this status. False ends the stream (Cancelled).
  using OnChunk = std::function<bool(int status, std::string_view chunk)>;
  // The status of an answer that is complete, or why there is none (Unavailable, Timeout,
  // Cancelled, InvalidArgument).
  using OnEnd = std::function<void(core::Result<int>)>;

  // libcurl on a thread of its own. InvalidArgument when a certificate or key does not
  // load; `files` reads them again for each request.
  static core::Result<std::unique_ptr<StreamClient>> start(TlsConfig tls, core::FileSystem& files);
  // Streams that still run end with Cancelled first. Not on the client's own thread.
  virtual ~StreamClient() = default;
  // Both callbacks run on the client's thread, one at a time; on_end exactly once, also
  // when 64 streams run already (LimitExceeded). Neither is called from within open() or
  // cancel().
  virtual StreamId open(StreamRequest request, OnChunk on_chunk, OnEnd on_end) = 0;
  // Asks for the end: on_end comes later, with Cancelled. Ended streams are ignored.
  virtual void cancel(StreamId id) = 0;
};

}  // namespace net
