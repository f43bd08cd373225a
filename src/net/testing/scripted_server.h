// A server that answers exactly what a test wrote, well-formed or not, over TCP or TLS: to
// see what a client makes of it.

#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

struct ssl_st;
struct ssl_ctx_st;

namespace net::testing {

// One accepted connection. Blocking, with a limit of 10 s per read.
class ScriptedPeer {
 public:
  explicit ScriptedPeer(int socket) : socket_(socket) {}
  ~ScriptedPeer();
  ScriptedPeer(const ScriptedPeer&) = delete;
  ScriptedPeer& operator=(const ScriptedPeer&) = delete;

  // One request, head and body by Content-Length; empty when the client is gone.
  std::string read_request();
  bool send(std::string_view bytes);
  // Head and body with Content-Length.
  bool answer(std::string_view body, std::string_view more_headers = {},
              std::string_view status = "200 OK");
  // Until the client closes, for at most 10 s. True when it did.
  bool wait_for_end();
  // A reset instead of an end.
  void reset();
  // False when the handshake fails.
  bool start_tls(ssl_ctx_st* context);
  bool is_resumed() const;
  uint16_t local_port() const;
  // For tunnels: connects to a port of this host and passes bytes both ways until the end.
  void tunnel_to(uint16_t port);

 private:
  size_t read_some(char* to, size_t size);

  int socket_;
  ssl_st* ssl_ = nullptr;
  std::string received_;
};

struct ServerIdentity {
  std::string cert_file;
  std::string key_file;
  std::string client_ca_file{};  // not empty: clients must show a certificate of it
  int max_version = 0;           // OpenSSL's number
};

// Runs the script for each connection on a thread of its own.
class ScriptedServer {
 public:
  // `index` counts connections from 0.
  using Script = std::function<void(ScriptedPeer& peer, int index)>;

  explicit ScriptedServer(Script script);
  ScriptedServer(const ServerIdentity& identity, Script script);
  // Waits for the scripts.
  ~ScriptedServer();

  uint16_t port() const { return port_; }
  std::string url(std::string_view path = "/metrics", std::string_view scheme = "http") const;
  int connection_count() const { return connection_count_; }

 private:
  void listen_on_loopback();
  void accept_all();

  Script script_;
  ssl_ctx_st* context_ = nullptr;
  int listener_ = -1;
  uint16_t port_ = 0;
  std::atomic<int> connection_count_ = 0;
  std::mutex mutex_;
  std::vector<int> open_;  // guarded by mutex_; -1: over
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace net::testing
