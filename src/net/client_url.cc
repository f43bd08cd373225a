#include "net/client_url.h"

#include "core/text.h"
#include "net/http.h"

#include <charconv>

namespace net {

using core::ErrorCode;
using core::fail;
using core::Result;

namespace {

constexpr uint16_t kHttpPort = 80;
constexpr uint16_t kHttpsPort = 443;

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7F;
}

// What may not stand in a request line as it is.
std::string encode_target(std::string_view target) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  out.reserve(target.size() + 1);
  if (!target.starts_with('/')) out += '/';
  for (const char c : target) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7F && c != '"' && c != '<' && c != '>') {
      out += c;
      continue;
    }
    out += '%';
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
  return out;
}

Result<void> take_user(std::string_view user_info, ClientUrl& url) {
  const size_t colon = user_info.find(':');
  url.has_user = true;
  url.user = percent_decode(user_info.substr(0, colon));
  if (colon != user_info.npos) url.password = percent_decode(user_info.substr(colon + 1));
  return {};
}

Result<void> take_authority(std::string_view text, ClientUrl& url) {
  const size_t at = text.rfind('@');
  if (at != text.npos) {
    TRY(take_user(text.substr(0, at), url));
    text.remove_prefix(at + 1);
  }
  url.authority = std::string(text);
  std::string_view port;
  if (text.starts_with('[')) {
    const size_t bracket = text.find(']');
    if (bracket == text.npos) return fail(ErrorCode::InvalidArgument, "missing ']' in host");
    url.host = core::lower(text.substr(1, bracket - 1));
    port = text.substr(bracket + 1);
  } else {
    const size_t colon = text.find(':');
    url.host = core::lower(text.substr(0, colon));
    port = colon == text.npos ? std::string_view() : text.substr(colon);
  }
  if (url.host.empty()) return fail(ErrorCode::InvalidArgument, "http: no Host in request URL");
  for (const char c : url.host) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7F &&
        std::string_view("\"<>\\^`{|}/?#").find(c) == std::string_view::npos)
      continue;
    return fail(ErrorCode::InvalidArgument, "invalid character in host name");
  }
  url.port = url.is_https ? kHttpsPort : kHttpPort;
  if (port.empty() || port == ":") return {};
  const char* const end = port.data() + port.size();
  const auto [stop, error] = std::from_chars(port.data() + 1, end, url.port);
  if (port.front() != ':' || error != std::errc() || stop != end) {
    return fail(ErrorCode::InvalidArgument, "invalid port \"{}\" after host", port);
  }
  return {};
}

Result<ClientUrl> parse(std::string_view text) {
  for (const char c : text) {
    if (is_control(c)) return fail(ErrorCode::InvalidArgument, "invalid control character in URL");
  }
  const size_t scheme_end = text.find("://");
  const std::string scheme =
      scheme_end == text.npos ? std::string() : core::lower(text.substr(0, scheme_end));
  if (scheme != "http" && scheme != "https") {
    return fail(ErrorCode::InvalidArgument, "unsupported protocol scheme \"{}\"", scheme);
  }
  ClientUrl url;
  url.is_https = scheme == "https";
  text.remove_prefix(scheme_end + 3);
  text = text.substr(0, text.find('#'));
  const size_t path = text.find_first_of("/?");
  TRY(take_authority(text.substr(0, path), url));
  url.target = encode_target(path == text.npos ? std::string_view() : text.substr(path));
  return url;
}

// RFC 3986 5.2.4, for absolute paths.
std::string remove_dots(std::string_view path) {
  std::string out;
  bool ends_in_folder = false;
  while (!path.empty()) {
    path.remove_prefix(1);  // '/'
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    path.remove_prefix(part.size());
    ends_in_folder = path.empty() && (part == "." || part == "..");
    if (part == ".") continue;
    if (part == "..") {
      const size_t last = out.rfind('/');
      out.resize(last == out.npos ? 0 : last);
      continue;
    }
    out += '/';
    out += part;
  }
  if (out.empty() || ends_in_folder) out += '/';
  return out;
}

}  // namespace

std::string ClientUrl::text() const {
  return fmt::format("{}://{}{}", is_https ? "https" : "http", authority, target);
}

Result<ClientUrl> parse_client_url(std::string_view url) {
  return parse(url).context("parse \"{}\"", hide_password(url));
}

Result<ClientUrl> resolve_location(const ClientUrl& base, std::string_view location) {
  location = location.substr(0, location.find('#'));
  const std::string scheme = base.is_https ? "https:" : "http:";
  if (location.starts_with("//")) return parse_client_url(scheme + std::string(location));
  const size_t colon = location.find(':');
  if (colon != location.npos && colon < location.find_first_of("/?")) {
    return parse_client_url(location);
  }
  std::string_view path(base.target);
  path = path.substr(0, path.find('?'));
  std::string full;
  if (location.empty()) {
    full = base.target;
  } else if (location.starts_with('?')) {
    full = std::string(path) + std::string(location);
  } else {
    const size_t question = location.find('?');
    const std::string_view own = location.substr(0, question);
    full = own.starts_with('/')
               ? remove_dots(own)
               : remove_dots(std::string(path.substr(0, path.rfind('/') + 1)) + std::string(own));
    if (question != location.npos) full += location.substr(question);
  }
  ClientUrl url = TRY(parse_client_url(scheme + "//" + base.authority + full));
  url.has_user = base.has_user;
  url.user = base.user;
  url.password = base.password;
  return url;
}

std::string hide_password(std::string_view url) {
  const size_t scheme_end = url.find("://");
  if (scheme_end == url.npos) return std::string(url);
  const size_t begin = scheme_end + 3;
  const std::string_view authority = url.substr(begin, url.find_first_of("/?#", begin) - begin);
  const size_t at = authority.rfind('@');
  const size_t colon = authority.find(':');
  if (at == authority.npos || colon >= at) return std::string(url);
  return fmt::format("{}:***{}", url.substr(0, begin + colon), url.substr(begin + at));
}

std::string host_port(std::string_view host, uint16_t port) {
  const bool is_v6 = host.find(':') != host.npos;
  return is_v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

}  // namespace net
