#include "http.h"

#include "common.h"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <netdb.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

Url Url::parse(const std::string& s) {
  const std::string scheme = "http://";
  if (s.rfind(scheme, 0) != 0) die("only http:// URLs are supported: " + s);
  Url u;
  auto slash = s.find('/', scheme.size());
  std::string auth =
      s.substr(scheme.size(), slash == std::string::npos ? slash : slash - scheme.size());
  u.path = slash == std::string::npos ? "" : s.substr(slash);
  auto colon = auth.rfind(':');
  u.host = auth.substr(0, colon);
  u.port = colon == std::string::npos ? "80" : auth.substr(colon + 1);
  return u;
}
std::string url_encode(std::string_view s) {
  std::string o;
  for (unsigned char c : s) {
    if (std::isalnum(c) || std::strchr("-_.~", c))
      o += static_cast<char>(c);
    else
      o += fmt("%%%02X", c);
  }
  return o;
}

void HttpClient::disconnect() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  used_ = false;
  in_.clear();
}

bool HttpClient::connect(std::string& err) {
  addrinfo hints{}, *res = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  if (int e = getaddrinfo(url_.host.c_str(), url_.port.c_str(), &hints, &res); e != 0) {
    err = gai_strerror(e);
    return false;
  }
  for (addrinfo* a = res; a && fd_ < 0; a = a->ai_next) {
    fd_ = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
    if (fd_ < 0) continue;
    timeval tv{};
    tv.tv_sec = static_cast<time_t>(timeout_);
    tv.tv_usec = static_cast<suseconds_t>((timeout_ - std::floor(timeout_)) * 1e6);
    int one = 1;
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (::connect(fd_, a->ai_addr, a->ai_addrlen) != 0) {
      err = std::string("connect: ") + std::strerror(errno);
      close(fd_);
      fd_ = -1;
    }
  }
  freeaddrinfo(res);
  return fd_ >= 0;
}

bool HttpClient::fill() {
  char buf[1 << 16];
  for (;;) {
    ssize_t n = recv(fd_, buf, sizeof buf, 0);
    if (n > 0) {
      in_.append(buf, static_cast<size_t>(n));
      return true;
    }
    if (n < 0 && errno == EINTR) continue;
    why_ = n == 0 ? "connection closed by server" : std::string("recv: ") + std::strerror(errno);
    return false;
  }
}

HttpResponse HttpClient::request(const char* method, const std::string& path,
                                 std::string_view headers, std::string_view body) {
  HttpResponse r;
  auto fail = [&](const std::string& why) {
    disconnect();
    r.status = 0;
    r.error = why;
    return r;
  };
  if (fd_ < 0) {
    if (!connect(r.error)) return r;
  }
  r.reused = used_;
  used_ = true;
  std::string head = std::string(method) + " " + path + " HTTP/1.1\r\nHost: " + url_.host + ":" +
                     url_.port + "\r\nUser-Agent: peerbench\r\n" + std::string(headers);
  if (!body.empty() || std::strcmp(method, "POST") == 0)
    head += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  head += "\r\n";
  iovec iov[2] = {{head.data(), head.size()}, {const_cast<char*>(body.data()), body.size()}};
  for (int i = 0; i < 2;) {
    if (iov[i].iov_len == 0) {
      i++;
      continue;
    }
    msghdr m{};
    m.msg_iov = iov + i;
    m.msg_iovlen = static_cast<size_t>(2 - i);
    ssize_t n = sendmsg(fd_, &m, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail(std::string("send: ") + std::strerror(errno));
    for (auto left = static_cast<size_t>(n); left && i < 2;) {
      size_t k = std::min(left, iov[i].iov_len);
      iov[i].iov_base = static_cast<char*>(iov[i].iov_base) + k;
      iov[i].iov_len -= k;
      left -= k;
      if (iov[i].iov_len == 0) i++;
    }
  }

  size_t hend;
  for (;;) {
    while ((hend = in_.find("\r\n\r\n")) == std::string::npos)
      if (!fill()) return fail(why_);
    if (in_.size() < 12 || in_.rfind("HTTP/1.", 0) != 0) return fail("not an HTTP response");
    r.status = std::atoi(in_.c_str() + 9);
    if (r.status >= 200) break;
    in_.erase(0, hend + 4);  // skip 1xx
  }
  bool chunked = false, keep = true, has_len = false;
  size_t len = 0;
  for (size_t p = in_.find("\r\n") + 2; p < hend;) {
    size_t e = in_.find("\r\n", p);
    std::string line = in_.substr(p, e - p);
    p = e + 2;
    auto c = line.find(':');
    if (c == std::string::npos) continue;
    std::string k = line.substr(0, c), v = line.substr(c + 1);
    v.erase(0, v.find_first_not_of(" \t"));
    if (!strcasecmp(k.c_str(), "content-length")) {
      len = std::strtoull(v.c_str(), nullptr, 10);
      has_len = true;
    }
    if (!strcasecmp(k.c_str(), "transfer-encoding") && strcasestr(v.c_str(), "chunked"))
      chunked = true;
    if (!strcasecmp(k.c_str(), "connection") && strcasestr(v.c_str(), "close")) keep = false;
  }
  in_.erase(0, hend + 4);
  if (r.status == 204 || r.status == 304) {
  } else if (chunked) {
    size_t pos = 0;
    for (;;) {
      size_t eol;
      while ((eol = in_.find("\r\n", pos)) == std::string::npos)
        if (!fill()) return fail(why_);
      size_t n = std::strtoull(in_.c_str() + pos, nullptr, 16);
      pos = eol + 2;
      while (in_.size() < pos + n + 2)
        if (!fill()) return fail(why_);
      r.body.append(in_, pos, n);
      pos += n + 2;
      if (n == 0) break;  // trailers are not supported
      if (pos > (1u << 22)) {
        in_.erase(0, pos);
        pos = 0;
      }
    }
    in_.erase(0, pos);
  } else if (has_len) {
    while (in_.size() < len)
      if (!fill()) return fail(why_);
    r.body = in_.substr(0, len);
    in_.erase(0, len);
  } else {
    while (fill()) {
    }
    r.body.swap(in_);
    keep = false;
  }
  if (!keep) disconnect();
  return r;
}
