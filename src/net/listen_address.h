// The text form of a listening address and, when it is taken, who has it.

#pragma once

#include "core/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace net {

struct ListenAddress {
  std::string host;  // empty: every address, IPv4 and IPv6
  uint16_t port = 0;
};

// host:port, :port or [::1]:port.
core::Result<ListenAddress> parse_listen_address(std::string_view text);

struct PortHolder {
  int process_id = 0;
  std::string process_name;
};

// The process that listens on the TCP port, as far as /proc shows it to us: other
// users' processes are visible to root only.
std::optional<PortHolder> find_port_holder(uint16_t port);

}  // namespace net
