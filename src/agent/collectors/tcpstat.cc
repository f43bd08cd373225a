// TCP sockets by state, asked from the kernel by sock_diag(7): of all sockets in one
// stream, without the text of /proc/net/tcp.

#include "agent/collectors/table.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <map>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace agent {

namespace {

constexpr MetricInfo kStates = {"node_tcp_connection_states", model::MetricType::Gauge,
                                "Number of connection states."};

// By TCP_ESTABLISHED and so on, from 1. 12 is a half-open connection's short form.
constexpr std::array<std::string_view, 13> kNames = {
    "",      "established", "syn_sent", "syn_recv", "fin_wait1", "fin_wait2", "time_wait",
    "close", "close_wait",  "last_ack", "listen",   "closing",   "syn_recv"};
constexpr uint32_t kAllStates = 0xfff << 1;
constexpr int64_t kPatienceSeconds = 5;

tl::unexpected<core::Error> system_error(std::string_view what) {
  return core::fail(core::ErrorCode::Io, "sock_diag: {}: {}", what, std::strerror(errno));
}

class Socket {
 public:
  explicit Socket(int handle) : handle_(handle) {}
  ~Socket() {
    if (handle_ >= 0) ::close(handle_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int handle() const { return handle_; }

 private:
  const int handle_;
};

core::Result<void> count_family(int socket, uint8_t family,
                                std::map<std::string_view, double>& counts) {
  struct {
    nlmsghdr header;
    inet_diag_req_v2 request;
  } message{};
  message.header.nlmsg_len = sizeof(message);
  message.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  message.request.sdiag_family = family;
  message.request.sdiag_protocol = IPPROTO_TCP;
  message.request.idiag_states = kAllStates;
  if (::send(socket, &message, sizeof(message), 0) < 0) return system_error("send");
  alignas(nlmsghdr) std::array<char, 32 << 10> buffer;
  while (true) {
    const ssize_t got = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return system_error("receive");
    auto size = static_cast<uint32_t>(got);
    for (auto* one = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(one, size);
         one = NLMSG_NEXT(one, size)) {
      if (one->nlmsg_type == NLMSG_DONE) return {};
      if (one->nlmsg_type == NLMSG_ERROR) {
        errno = -static_cast<nlmsgerr*>(NLMSG_DATA(one))->error;
        return system_error("answer");
      }
      if (one->nlmsg_len < NLMSG_LENGTH(sizeof(inet_diag_msg))) continue;
      const auto* found = static_cast<inet_diag_msg*>(NLMSG_DATA(one));
      if (found->idiag_state < kNames.size()) ++counts[kNames[found->idiag_state]];
      counts["rx_queued_bytes"] += found->idiag_rqueue;
      counts["tx_queued_bytes"] += found->idiag_wqueue;
    }
  }
}

}  // namespace

std::unique_ptr<Collector> make_tcpstat_collector(const Settings& /*settings*/) {
  return make_simple_collector("tcpstat", [](Output& out) -> core::Result<void> {
    const Socket socket(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
    if (socket.handle() < 0) return system_error("socket");
    const timeval patience{.tv_sec = kPatienceSeconds, .tv_usec = 0};
    ::setsockopt(socket.handle(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    std::map<std::string_view, double> counts = {{"rx_queued_bytes", 0}, {"tx_queued_bytes", 0}};
    TRY(count_family(socket.handle(), AF_INET, counts));
    // A kernel without IPv6 has none of its sockets either.
    if (const auto result = count_family(socket.handle(), AF_INET6, counts); !result) (void)result;
    for (const auto& [state, count] : counts) {
      if (!state.empty()) out.add(kStates, {{"state", state}}, count);
    }
    return {};
  });
}

}  // namespace agent
