#include "net/testing/raw_client.h"

#include <arpa/inet.h>
#include <cstdlib>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <utility>

namespace net::testing {

RawClient::RawClient(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  const timeval limit{.tv_sec = 10, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    close(fd);
    return;
  }
  socket_ = fd;
}

RawClient::~RawClient() {
  if (socket_ >= 0) close(socket_);
}

bool RawClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool RawClient::read_some() {
  char buffer[16 << 10];
  const ssize_t size = recv(socket_, buffer, sizeof(buffer), 0);
  if (size <= 0) return false;
  received_.append(buffer, static_cast<size_t>(size));
  return true;
}

std::string RawClient::read_response(bool has_body) {
  size_t head_end = std::string::npos;
  while ((head_end = received_.find("\r\n\r\n")) == std::string::npos) {
    if (!read_some()) return std::exchange(received_, {});
  }
  size_t size = head_end + 4;
  constexpr std::string_view kLength = "Content-Length: ";
  const size_t length_at = received_.find(kLength);
  if (has_body && length_at < head_end) {
    size += std::strtoul(received_.c_str() + length_at + kLength.size(), nullptr, 10);
  }
  while (received_.size() < size) {
    if (!read_some()) break;
  }
  std::string response = received_.substr(0, size);
  received_.erase(0, size);
  return response;
}

std::string RawClient::read_to_end() {
  while (read_some()) {
  }
  return std::exchange(received_, {});
}

}  // namespace net::testing
