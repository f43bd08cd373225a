#include "net/listen_address.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <fmt/format.h>
#include <memory>
#include <unistd.h>
#include <vector>

namespace net {

using core::ErrorCode;
using core::fail;
using core::Result;

namespace {

constexpr unsigned kTcpListen = 0x0a;  // TCP_LISTEN in /proc/net/tcp
constexpr size_t kLineMax = 512;       // lines of /proc/net/tcp6 have some 180 bytes
constexpr size_t kSocketLinkMax = 64;  // "socket:[4294967295]"

struct CloseDir {
  void operator()(DIR* dir) const { closedir(dir); }
};
using Dir = std::unique_ptr<DIR, CloseDir>;

struct CloseFile {
  void operator()(FILE* file) const { std::fclose(file); }
};
using StdFile = std::unique_ptr<FILE, CloseFile>;

// Inodes of the sockets that listen on `port`; the columns are in proc(5).
void add_listening_inodes(const char* path, uint16_t port, std::vector<std::string>& links) {
  const StdFile file(std::fopen(path, "re"));
  if (!file) return;
  char line[kLineMax];
  while (std::fgets(line, sizeof(line), file.get()) != nullptr) {
    unsigned local_port = 0;
    unsigned state = 0;
    unsigned long inode = 0;
    const int fields =
        std::sscanf(line, " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*u %*u %lu",
                    &local_port, &state, &inode);
    if (fields == 3 && local_port == port && state == kTcpListen) {
      links.push_back(fmt::format("socket:[{}]", inode));
    }
  }
}

bool holds_one_of(const std::string& fd_dir, const std::vector<std::string>& links) {
  const Dir dir(opendir(fd_dir.c_str()));
  if (!dir) return false;
  while (const dirent* entry = readdir(dir.get())) {
    char target[kSocketLinkMax];
    const ssize_t size = readlink((fd_dir + "/" + entry->d_name).c_str(), target, sizeof(target));
    if (size <= 0) continue;
    const std::string_view link(target, static_cast<size_t>(size));
    for (const std::string& wanted : links) {
      if (link == wanted) return true;
    }
  }
  return false;
}

std::string process_name(int process_id) {
  const StdFile file(std::fopen(fmt::format("/proc/{}/comm", process_id).c_str(), "re"));
  char name[kLineMax];
  if (!file || std::fgets(name, sizeof(name), file.get()) == nullptr) return "?";
  std::string text(name);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

Result<ListenAddress> parse_listen_address(std::string_view text) {
  const auto bad = [&](std::string_view what) {
    return fail(ErrorCode::InvalidArgument,
                "listen address \"{}\": {}; expected host:port, :port or [::1]:port", text, what);
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad("has no port");
  std::string_view host = text.substr(0, colon);
  const std::string_view port_text = text.substr(colon + 1);

  if (host.starts_with('[')) {
    if (!host.ends_with(']') || host.size() < 3) return bad("the bracket is not closed");
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad("an IPv6 address needs brackets");
  }
  unsigned port = 0;
  const char* const end = port_text.data() + port_text.size();
  const auto [stop, error] = std::from_chars(port_text.data(), end, port);
  if (port_text.empty() || stop != end || error != std::errc() || port > 65535) {
    return bad("the port is not a number from 0 to 65535");
  }
  return ListenAddress{.host = std::string(host), .port = static_cast<uint16_t>(port)};
}

std::optional<PortHolder> find_port_holder(uint16_t port) {
  std::vector<std::string> links;
  add_listening_inodes("/proc/net/tcp", port, links);
  add_listening_inodes("/proc/net/tcp6", port, links);
  if (links.empty()) return std::nullopt;

  const Dir proc(opendir("/proc"));
  if (!proc) return std::nullopt;
  while (const dirent* entry = readdir(proc.get())) {
    const int process_id = std::atoi(entry->d_name);
    if (process_id <= 0) continue;
    if (holds_one_of(fmt::format("/proc/{}/fd", process_id), links)) {
      return PortHolder{.process_id = process_id, .process_name = process_name(process_id)};
    }
  }
  return std::nullopt;
}

}  // namespace net
