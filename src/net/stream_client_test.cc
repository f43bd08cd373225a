#include "net/stream_client.h"

#include <arpa/inet.h>
#include <condition_variable>
#include <doctest/doctest.h>
#include <mutex>
#include <netinet/in.h>
#include <optional>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

using core::ErrorCode;
using core::Result;

namespace {

// Takes one connection at a time and answers with fixed bytes; then waits until the peer
// is gone, as a watch without news.
class Listener {
 public:
  explicit Listener(std::string answer, bool is_closing = false)
      : answer_(std::move(answer)), is_closing_(is_closing) {
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(socket_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(socket_, 8) == 0);
    ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
    url = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/v3/watch";
    thread_ = std::thread([this] { run(); });
  }
  ~Listener() {
    ::shutdown(socket_, SHUT_RDWR);
    {
      const std::lock_guard lock(mutex_);
      if (peer_ >= 0) ::shutdown(peer_, SHUT_RDWR);  // a kept connection
    }
    thread_.join();
    ::close(socket_);
  }

  std::string received() {
    const std::lock_guard lock(mutex_);
    return received_;
  }

  std::string url;

 private:
  void run() {
    while (true) {
      const int peer = ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
      if (peer < 0) return;
      set_peer(peer);
      char buffer[4096];
      const ssize_t size = ::recv(peer, buffer, sizeof buffer, 0);
      if (size > 0) {
        const std::lock_guard lock(mutex_);
        received_.assign(buffer, static_cast<size_t>(size));
      }
      ::send(peer, answer_.data(), answer_.size(), MSG_NOSIGNAL);
      while (!is_closing_ && ::recv(peer, buffer, sizeof buffer, 0) > 0) {
      }
      set_peer(-1);
      ::close(peer);
    }
  }

  void set_peer(int peer) {
    const std::lock_guard lock(mutex_);
    peer_ = peer;
  }

  const std::string answer_;
  const bool is_closing_;
  int socket_ = -1;
  std::mutex mutex_;
  std::string received_;  // guarded by mutex_
  int peer_ = -1;         // guarded by mutex_
  std::thread thread_;
};

// What a stream said, and its end.
struct Outcome {
  std::mutex mutex;
  std::condition_variable changed;
  std::string body;
  int status = 0;
  std::optional<Result<int>> end;

  net::StreamClient::OnChunk on_chunk() {
    return [this](int code, std::string_view chunk) {
      const std::lock_guard lock(mutex);
      status = code;
      body += chunk;
      changed.notify_all();
      return !body.ends_with("stop");
    };
  }
  net::StreamClient::OnEnd on_end() {
    return [this](Result<int> result) {
      const std::lock_guard lock(mutex);
      end = std::move(result);
      changed.notify_all();
    };
  }
  bool wait(auto&& condition) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(20), condition);
  }
  ErrorCode wait_error() {
    REQUIRE(wait([this] { return end.has_value(); }));
    REQUIRE_FALSE(end->has_value());
    return end->error().code;
  }
};

std::unique_ptr<net::StreamClient> start_client(core::FileSystem& files) {
  auto client = net::StreamClient::start({}, files);
  REQUIRE(client);
  return *std::move(client);
}

constexpr const char* kEndless =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello\n\r\n";

}  // namespace

TEST_CASE("a stream's pieces come before its end, and cancelling ends it") {
  core::PosixFileSystem files;
  Listener listener(kEndless);
  const auto client = start_client(files);
  Outcome outcome;
  net::StreamRequest request;
  request.url = listener.url;
  request.headers = {{"Authorization", "token"}};
  request.body = "{}";
  const net::StreamId id = client->open(request, outcome.on_chunk(), outcome.on_end());
  REQUIRE(outcome.wait([&] { return outcome.body == "hello\n"; }));
  CHECK(outcome.status == 200);
  CHECK_FALSE(outcome.end);
  CHECK(listener.received().starts_with("POST /v3/watch HTTP/1.1\r\n"));
  CHECK(listener.received().find("Authorization: token\r\n") != std::string::npos);
  client->cancel(id);
  CHECK(outcome.wait_error() == ErrorCode::Cancelled);
  client->cancel(id);  // ended streams are ignored
}

TEST_CASE("a callback that has heard enough ends its stream") {
  core::PosixFileSystem files;
  Listener listener("HTTP/1.1 200 OK\r\n\r\nstop");
  const auto client = start_client(files);
  Outcome outcome;
  net::StreamRequest request;
  request.url = listener.url;
  client->open(request, outcome.on_chunk(), outcome.on_end());
  CHECK(outcome.wait_error() == ErrorCode::Cancelled);
}

TEST_CASE("the end of the client ends its streams") {
  core::PosixFileSystem files;
  Listener listener(kEndless);
  auto client = start_client(files);
  Outcome outcome;
  net::StreamRequest request;
  request.url = listener.url;
  client->open(request, outcome.on_chunk(), outcome.on_end());
  REQUIRE(outcome.wait([&] { return !outcome.body.empty(); }));
  client.reset();
  CHECK(outcome.wait_error() == ErrorCode::Cancelled);
}

TEST_CASE("a whole answer ends with its status; a cut one, a refusal and silence with errors") {
  core::PosixFileSystem files;
  const auto client = start_client(files);
  net::StreamRequest request;
  SUBCASE("whole") {
    Listener listener("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    Outcome outcome;
    request.url = listener.url;
    client->open(request, outcome.on_chunk(), outcome.on_end());
    REQUIRE(outcome.wait([&] { return outcome.end.has_value(); }));
    CHECK(outcome.end->value() == 403);
    CHECK(outcome.body == "no");
  }
  SUBCASE("cut") {
    Listener listener(kEndless, true);
    Outcome outcome;
    request.url = listener.url;
    client->open(request, outcome.on_chunk(), outcome.on_end());
    CHECK(outcome.wait_error() == ErrorCode::Unavailable);
  }
  SUBCASE("refused") {
    std::string url;
    {
      url = Listener("").url;
    }
    Outcome outcome;
    request.url = url;
    client->open(request, outcome.on_chunk(), outcome.on_end());
    CHECK(outcome.wait_error() == ErrorCode::Unavailable);
  }
  SUBCASE("silent") {
    Listener listener("");
    Outcome outcome;
    request.url = listener.url;
    request.timeout_ms = 50;
    client->open(request, outcome.on_chunk(), outcome.on_end());
    CHECK(outcome.wait_error() == ErrorCode::Timeout);
  }
}

TEST_CASE("a certificate or key that does not load is refused at the start") {
  core::PosixFileSystem files;
  net::TlsConfig tls;
  tls.ca_file = "/nowhere/ca.pem";
  auto client = net::StreamClient::start(tls, files);
  REQUIRE_FALSE(client);
  CHECK(client.error().message.starts_with("tls_config: ca_file: "));
  tls = {};
  tls.ca = "no certificate";
  client = net::StreamClient::start(tls, files);
  REQUIRE_FALSE(client);
  CHECK(client.error().message == "tls_config: ca: expected a certificate in PEM form");
}
