// One connection of the client: TCP, or TLS over it. Confined to its loop's thread. The
// calls that wait do so on a fetch's fiber and end with the fetch.

#pragma once

#include "net/client_loop_impl.h"
#include "net/client_tls.h"

#include <span>
#include <string_view>

namespace net {

class Connection {
 public:
  explicit Connection(LoopThread& loop);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Tries the host's addresses in turn.
  core::Result<void> connect(const std::string& host, uint16_t port, Fetch& fetch);
  // The connection speaks TLS from now on.
  core::Result<void> start_tls(std::shared_ptr<TlsContext> context, const std::string& host,
                               uint16_t port, Fetch& fetch);
  core::Result<void> write(std::string_view bytes, Fetch& fetch);
  // 0: the end.
  core::Result<size_t> read_some(std::span<char> to, Fetch& fetch);
  // Ends what waits on it.
  void close();
  // Whether a kept one is still open and silent: one look at the socket.
  bool is_usable();

  IdlePool::Seat seat;  // the pool's

 private:
  core::Result<void> connect_to(const asio::ip::address& address, uint16_t port, Fetch& fetch);
  core::Result<void> wait_for(TlsSession::Wants wants, Fetch& fetch);

  Socket socket_;
  std::unique_ptr<TlsSession> tls_;
};

}  // namespace net
