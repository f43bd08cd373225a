#include "server.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

constexpr int kEventsMax = 256;
constexpr size_t kRequestMax = 64 << 10;

bool has_word(std::string_view head, std::string_view word) {
  return memmem(head.data(), head.size(), word.data(), word.size()) != nullptr;
}

uint64_t body_length(std::string_view head) {
  constexpr std::string_view kName = "content-length:";
  for (size_t at = head.find('\n'); at != head.npos; at = head.find('\n', at + 1)) {
    const std::string_view line = head.substr(at + 1);
    if (line.size() <= kName.size()) return 0;
    const bool is_it = std::equal(kName.begin(), kName.end(), line.begin(),
                                  [](char x, char y) { return x == (y >= 'A' && y <= 'Z' ? y + 32 : y); });
    if (is_it) return std::strtoull(line.data() + kName.size(), nullptr, 10);
  }
  return 0;
}

std::string answer(std::string_view status, std::string_view body) {
  return "HTTP/1.1 " + std::string(status) + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string(body);
}

}  // namespace

void Arrivals::reset() {
  *this = Arrivals();
}

void Arrivals::add(uint32_t address, size_t bytes) {
  const auto bin = static_cast<size_t>((std::chrono::steady_clock::now() - begin_) / kBin);
  if (bin >= bins_.size()) bins_.resize(bin + 1);
  ++bins_[bin];
  ++scrapes_;
  bytes_ += bytes;
  ++by_address_[address];
}

std::string Arrivals::json() const {
  uint32_t least = UINT32_MAX, most = 0;
  for (const auto& [address, count] : by_address_) {
    least = std::min(least, count);
    most = std::max(most, count);
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin_;
  std::string out = "{\"seconds\":" + std::to_string(seconds.count()) + ",\"scrapes\":" + std::to_string(scrapes_) +
                    ",\"bytes\":" + std::to_string(bytes_) + ",\"targets\":" + std::to_string(by_address_.size()) +
                    ",\"least\":" + std::to_string(by_address_.empty() ? 0 : least) + ",\"most\":" +
                    std::to_string(most) + ",\"bins\":[";
  for (size_t i = 0; i < bins_.size(); ++i) out += (i == 0 ? "" : ",") + std::to_string(bins_[i]);
  return out + "]}\n";
}

bool Server::listen(uint16_t port) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  // All of 127.0.0.0/8 at once.
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return false;
  if (::listen(listener_, 4096) != 0) return false;
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{.events = EPOLLIN, .data = {.fd = listener_}};
  return epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event) == 0;
}

void Server::run() {
  epoll_event events[kEventsMax];
  for (;;) {
    const int count = epoll_wait(epoll_, events, kEventsMax, -1);
    for (int i = 0; i < count; ++i) {
      if (events[i].data.fd == listener_) {
        accept_all();
      } else {
        serve(events[i].data.fd);
      }
    }
  }
}

void Server::accept_all() {
  for (;;) {
    const int socket = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0) {
      if (errno != EAGAIN) std::perror("targets: accept");
      return;
    }
    const int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    sockaddr_in own{};
    socklen_t size = sizeof(own);
    getsockname(socket, reinterpret_cast<sockaddr*>(&own), &size);
    const auto place = static_cast<size_t>(socket);
    if (place >= connections_.size()) connections_.resize(place + 1024);
    connections_[place] = std::make_unique<Connection>();
    connections_[place]->address = ntohl(own.sin_addr.s_addr);
    epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.fd = socket}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, socket, &event);
  }
}

void Server::close_connection(int socket) {
  connections_[static_cast<size_t>(socket)].reset();
  close(socket);
}

void Server::serve(int socket) {
  Connection& connection = *connections_[static_cast<size_t>(socket)];
  if (!flush(socket, connection)) return close_connection(socket);
  for (;;) {
    const ssize_t size = recv(socket, buffer_.data(), buffer_.size(), 0);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) return close_connection(socket);
    std::string_view bytes(buffer_.data(), static_cast<size_t>(size));
    const std::string gathered = std::move(connection.input) + (connection.input.empty() ? "" : std::string(bytes));
    connection.input.clear();
    if (!gathered.empty()) bytes = gathered;
    if (!take(socket, connection, bytes)) return close_connection(socket);
    connection.input = std::string(bytes);
    if (connection.input.size() > kRequestMax) return close_connection(socket);
    // A short read has emptied the socket; the next bytes are the next event.
    if (static_cast<size_t>(size) < buffer_.size()) return;
  }
}

bool Server::take(int socket, Connection& connection, std::string_view& bytes) {
  while (!bytes.empty()) {
    const auto skipped = static_cast<size_t>(std::min<uint64_t>(connection.skip, bytes.size()));
    bytes.remove_prefix(skipped);
    connection.skip -= skipped;
    const size_t end = bytes.find("\r\n\r\n");
    if (end == bytes.npos) return true;
    const std::string_view head = bytes.substr(0, end + 2);
    bytes.remove_prefix(end + 4);
    bool sent = false;
    if (head.starts_with("GET /control/reset")) {
      arrivals_.reset();
      sent = send(socket, connection, answer("200 OK", "{}\n"));
    } else if (head.starts_with("GET /control/stats")) {
      sent = send(socket, connection, answer("200 OK", arrivals_.json()));
    } else if (head.starts_with("POST ")) {
      connection.skip = body_length(head);
      sent = send(socket, connection, answer("204 No Content", ""));
    } else if (head.starts_with("GET ")) {
      const Page& page = pages_[(connection.address * 7 + connection.scrapes++) % pages_.size()];
      const std::string& whole = has_word(head, "gzip") ? page.gzip : page.plain;
      arrivals_.add(connection.address, whole.size());
      sent = send(socket, connection, whole);
    }
    if (!sent) return false;
  }
  return true;
}

bool Server::send(int socket, Connection& connection, std::string_view bytes) {
  if (!connection.output.empty()) {
    connection.output += bytes;
    return true;
  }
  const ssize_t size = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (size < 0 && errno != EAGAIN) return false;
  const auto sent = static_cast<size_t>(std::max<ssize_t>(size, 0));
  if (sent < bytes.size()) connection.output = std::string(bytes.substr(sent));
  return true;
}

bool Server::flush(int socket, Connection& connection) {
  while (!connection.output.empty()) {
    const ssize_t size = ::send(socket, connection.output.data(), connection.output.size(), MSG_NOSIGNAL);
    if (size < 0) return errno == EAGAIN;
    connection.output.erase(0, static_cast<size_t>(size));
  }
  return true;
}
