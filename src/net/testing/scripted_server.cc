#include "net/testing/scripted_server.h"

#include "core/result.h"

#include <arpa/inet.h>
#include <csignal>
#include <cstdlib>
#include <fmt/core.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace net::testing {

namespace {

constexpr int kLimitSeconds = 10;

void set_limits(int socket) {
  const timeval limit{.tv_sec = kLimitSeconds, .tv_usec = 0};
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

bool send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace

ScriptedPeer::~ScriptedPeer() {
  if (ssl_ != nullptr) {
    if (SSL_is_init_finished(ssl_) != 0) SSL_shutdown(ssl_);
    SSL_free(ssl_);
    ERR_clear_error();
  }
}

size_t ScriptedPeer::read_some(char* to, size_t size) {
  const ssize_t got =
      ssl_ != nullptr ? SSL_read(ssl_, to, static_cast<int>(size)) : ::recv(socket_, to, size, 0);
  return got > 0 ? static_cast<size_t>(got) : 0;
}

std::string ScriptedPeer::read_request() {
  const auto read_more = [&] {
    char buffer[16 << 10];
    const size_t got = read_some(buffer, sizeof(buffer));
    received_.append(buffer, got);
    return got > 0;
  };
  size_t end = 0;
  while ((end = received_.find("\r\n\r\n")) == std::string::npos) {
    if (!read_more()) return {};
  }
  end += 4;
  constexpr std::string_view kLength = "Content-Length: ";
  const size_t length_at = received_.find(kLength);
  if (length_at < end) {
    end += std::strtoul(received_.c_str() + length_at + kLength.size(), nullptr, 10);
  }
  while (received_.size() < end) {
    if (!read_more()) return {};
  }
  std::string request = received_.substr(0, end);
  received_.erase(0, end);
  return request;
}

bool ScriptedPeer::send(std::string_view bytes) {
  if (ssl_ == nullptr) return send_all(socket_, bytes);
  return SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())) > 0;
}

bool ScriptedPeer::answer(std::string_view body, std::string_view more_headers,
                          std::string_view status) {
  return send(fmt::format("HTTP/1.1 {}\r\nContent-Length: {}\r\n{}\r\n{}", status, body.size(),
                          more_headers, body));
}

bool ScriptedPeer::wait_for_end() {
  char byte = 0;
  pollfd waiting{.fd = socket_, .events = POLLIN, .revents = 0};
  while (poll(&waiting, 1, kLimitSeconds * 1000) > 0) {
    if (::recv(socket_, &byte, 1, 0) <= 0) return true;
  }
  return false;
}

void ScriptedPeer::reset() {
  const linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

bool ScriptedPeer::start_tls(ssl_ctx_st* context) {
  ssl_ = SSL_new(context);
  SSL_set_fd(ssl_, socket_);
  const bool accepted = SSL_accept(ssl_) == 1;
  ERR_clear_error();
  return accepted;
}

bool ScriptedPeer::is_resumed() const {
  return SSL_session_reused(ssl_) == 1;
}

uint16_t ScriptedPeer::local_port() const {
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  ENSURE(getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return ntohs(address.sin_port);
}

void ScriptedPeer::tunnel_to(uint16_t port) {
  const int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  ENSURE(connect(other, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  pollfd both[2] = {{.fd = socket_, .events = POLLIN, .revents = 0},
                    {.fd = other, .events = POLLIN, .revents = 0}};
  char buffer[16 << 10];
  bool open = true;
  while (open && poll(both, 2, kLimitSeconds * 1000) > 0) {
    for (size_t i = 0; i < 2; ++i) {
      if (both[i].revents == 0) continue;
      const ssize_t got = ::recv(both[i].fd, buffer, sizeof(buffer), 0);
      open = got > 0 && send_all(both[1 - i].fd, {buffer, static_cast<size_t>(got)});
      if (!open) break;
    }
  }
  close(other);
}

ScriptedServer::ScriptedServer(Script script) : script_(std::move(script)) {
  listen_on_loopback();
}

ScriptedServer::ScriptedServer(const ServerIdentity& identity, Script script)
    : script_(std::move(script)) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL's own socket writes raise it
  context_ = SSL_CTX_new(TLS_server_method());
  ENSURE(SSL_CTX_use_certificate_chain_file(context_, identity.cert_file.c_str()) == 1);
  ENSURE(SSL_CTX_use_PrivateKey_file(context_, identity.key_file.c_str(), SSL_FILETYPE_PEM) == 1);
  const unsigned char name[] = "scripted";
  SSL_CTX_set_session_id_context(context_, name, sizeof(name));
  if (identity.max_version != 0) SSL_CTX_set_max_proto_version(context_, identity.max_version);
  if (!identity.client_ca_file.empty()) {
    ENSURE(SSL_CTX_load_verify_locations(context_, identity.client_ca_file.c_str(), nullptr) == 1);
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  listen_on_loopback();
}

ScriptedServer::~ScriptedServer() {
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  {
    const std::lock_guard lock(mutex_);
    for (const int socket : open_) {
      if (socket >= 0) shutdown(socket, SHUT_RDWR);
    }
  }
  for (std::thread& thread : threads_) thread.join();
  close(listener_);
  SSL_CTX_free(context_);
}

void ScriptedServer::listen_on_loopback() {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof(address);
  ENSURE(bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0);
  ENSURE(listen(listener_, 1024) == 0);
  ENSURE(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

void ScriptedServer::accept_all() {
  for (;;) {
    const int socket = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) return;
    set_limits(socket);
    const int index = connection_count_++;
    const std::lock_guard lock(mutex_);
    const size_t place = open_.size();
    open_.push_back(socket);
    threads_.emplace_back([this, socket, index, place] {
      {
        ScriptedPeer peer(socket);
        if (context_ == nullptr || peer.start_tls(context_)) {
          script_(peer, index);
        } else {
          peer.wait_for_end();  // closing with unread input would reset under the alert
        }
      }
      const std::lock_guard ended(mutex_);
      open_[place] = -1;
      close(socket);
    });
  }
}

std::string ScriptedServer::url(std::string_view path, std::string_view scheme) const {
  return fmt::format("{}://127.0.0.1:{}{}", scheme, port_, path);
}

}  // namespace net::testing
