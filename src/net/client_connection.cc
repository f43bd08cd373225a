#include "net/client_connection_impl.h"
#include "net/client_fetch_impl.h"
#include "net/client_url.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <sys/socket.h>

namespace net {

using asio::ip::tcp;
using core::ErrorCode;
using core::fail;
using core::Result;

namespace {

constexpr auto kAddressTimeMin = std::chrono::seconds(2);

// As Go words it: lower case.
std::string lower_text(const error_code& error) {
  if (error == asio::error::eof) return "EOF";
  std::string text = error.message();
  if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z') text[0] = static_cast<char>(text[0] + 32);
  return text;
}

}  // namespace

Connection::Connection(LoopThread& loop) : socket_(loop.io) {}

Connection::~Connection() {
  if (tls_ && socket_.is_open()) tls_->shut_down();
}

void Connection::close() {
  error_code ignored;
  socket_.close(ignored);
}

bool Connection::is_usable() {
  char byte = 0;
  // Data that nobody asked for is as bad as an end.
  return ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
         (errno == EAGAIN || errno == EWOULDBLOCK);
}

Result<void> Connection::connect(const std::string& host, uint16_t port, Fetch& fetch) {
  const auto found = fetch.loop().addresses.find(host, fetch);
  if (!found) {
    if (fetch.is_ended()) return tl::unexpected(fetch.end_error());
    return tl::unexpected(core::Error{found.error().code, "dial tcp: " + found.error().message});
  }
  const std::vector<asio::ip::address>& addresses = *found;
  Result<void> first;
  for (size_t i = 0; i < addresses.size(); ++i) {
    const size_t left = addresses.size() - i;
    const SteadyTime now = std::chrono::steady_clock::now();
    // What is left is shared among the addresses, so that a dead one does not take all.
    if (left > 1) {
      const auto share = (fetch.deadline() - now) / left;
      fetch.limit_step(now + std::max<SteadyTime::duration>(share, kAddressTimeMin));
    }
    Result<void> connected = connect_to(addresses[i], port, fetch);
    if (left > 1 && fetch.end_step() && !connected) {
      connected = fail(ErrorCode::Unavailable, "dial tcp {}: i/o timeout",
                       host_port(addresses[i].to_string(), port));
    }
    if (connected || fetch.is_ended()) return connected;
    if (i == 0) first = std::move(connected);
  }
  return first;
}

Result<void> Connection::connect_to(const asio::ip::address& address, uint16_t port, Fetch& fetch) {
  error_code error;
  close();
  const tcp::endpoint endpoint(address, port);
  socket_.open(endpoint.protocol(), error);
  if (!error) socket_.non_blocking(true, error);
  if (!error) socket_.set_option(tcp::no_delay(true), error);
  if (!error) socket_.async_connect(endpoint, fetch.yield()[error]);
  if (fetch.is_ended()) return tl::unexpected(fetch.end_error());
  if (!error) return {};
  return fail(ErrorCode::Unavailable, "dial tcp {}: connect: {}",
              host_port(address.to_string(), port), lower_text(error));
}

Result<void> Connection::wait_for(TlsSession::Wants wants, Fetch& fetch) {
  if (fetch.is_ended()) return tl::unexpected(fetch.end_error());
  error_code error;
  socket_.async_wait(
      wants == TlsSession::Wants::Read ? tcp::socket::wait_read : tcp::socket::wait_write,
      fetch.yield()[error]);
  if (fetch.is_ended()) return tl::unexpected(fetch.end_error());
  if (error) return fail(ErrorCode::Unavailable, "{}", lower_text(error));
  return {};
}

Result<void> Connection::start_tls(std::shared_ptr<TlsContext> context, const std::string& host,
                                   uint16_t port, Fetch& fetch) {
  tls_ = std::make_unique<TlsSession>(std::move(context), socket_.native_handle(), host, port);
  for (;;) {
    const TlsSession::Step step = TRY(tls_->handshake());
    if (step.wants == TlsSession::Wants::Nothing) return {};
    TRY(wait_for(step.wants, fetch));
  }
}

Result<void> Connection::write(std::string_view bytes, Fetch& fetch) {
  if (fetch.is_ended()) return tl::unexpected(fetch.end_error());
  if (tls_) {
    while (!bytes.empty()) {
      const TlsSession::Step step = TRY(tls_->write(bytes));
      if (step.wants != TlsSession::Wants::Nothing) {
        TRY(wait_for(step.wants, fetch));
      } else {
        bytes.remove_prefix(step.size);
      }
    }
    return {};
  }
  // A request nearly always fits into the socket: no trip through the event loop.
  const ssize_t sent =
      ::send(socket_.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent == static_cast<ssize_t>(bytes.size())) return {};
  if (sent > 0) bytes.remove_prefix(static_cast<size_t>(sent));
  error_code error;
  asio::async_write(socket_, asio::buffer(bytes.data(), bytes.size()), fetch.yield()[error]);
  if (fetch.is_ended()) return tl::unexpected(fetch.end_error());
  if (error) return fail(ErrorCode::Unavailable, "write: {}", lower_text(error));
  return {};
}

Result<size_t> Connection::read_some(std::span<char> to, Fetch& fetch) {
  if (fetch.is_ended()) return tl::unexpected(fetch.end_error());
  if (tls_) {
    for (;;) {
      const TlsSession::Step step = TRY(tls_->read(to.data(), to.size()));
      if (step.wants == TlsSession::Wants::Nothing) return step.size;
      TRY(wait_for(step.wants, fetch));
    }
  }
  error_code error;
  const size_t size =
      socket_.async_read_some(asio::buffer(to.data(), to.size()), fetch.yield()[error]);
  if (fetch.is_ended()) return tl::unexpected(fetch.end_error());
  if (error == asio::error::eof) return 0;
  if (error) return fail(ErrorCode::Unavailable, "read: {}", lower_text(error));
  return size;
}

}  // namespace net
