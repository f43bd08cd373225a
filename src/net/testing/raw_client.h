// A TCP client that sends exactly the bytes a test wrote, to see what the server makes
// of requests that no HTTP library would send.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace net::testing {

// Blocking, with a limit of 10 s per read; loopback only.
class RawClient {
 public:
  explicit RawClient(uint16_t port);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool is_connected() const { return socket_ >= 0; }
  // False when the peer is gone.
  bool send(std::string_view bytes);
  // One response: head and, by Content-Length, body. Empty when the peer closed first.
  std::string read_response(bool has_body = true);
  // All until the peer closes.
  std::string read_to_end();

 private:
  bool read_some();

  int socket_ = -1;
  std::string received_;
};

}  // namespace net::testing
