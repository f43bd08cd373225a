#include "net/client_proxy.h"

#include "core/text.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>

namespace net {

using core::ErrorCode;
using core::fail;
using core::Result;

namespace {

// 16 bytes; IPv4 as ::ffff:a.b.c.d.
std::optional<std::vector<uint8_t>> parse_address(const std::string& text) {
  std::vector<uint8_t> bytes(16);
  if (inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) return bytes;
  if (inet_pton(AF_INET, text.c_str(), bytes.data() + 12) != 1) return std::nullopt;
  bytes[10] = bytes[11] = 0xFF;
  return bytes;
}

bool is_v4(const std::vector<uint8_t>& address) {
  static constexpr std::array<uint8_t, 12> kPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  return std::equal(kPrefix.begin(), kPrefix.end(), address.begin());
}

bool is_loopback(const std::vector<uint8_t>& address) {
  if (is_v4(address)) return address[12] == 127;
  return address[15] == 1 &&
         std::all_of(address.begin(), address.end() - 1, [](uint8_t byte) { return byte == 0; });
}

bool has_prefix(const std::vector<uint8_t>& address, const std::vector<uint8_t>& network,
                unsigned bits) {
  for (unsigned i = 0; i < bits; ++i) {
    const auto mask = static_cast<uint8_t>(0x80 >> (i % 8));
    if (((address[i / 8] ^ network[i / 8]) & mask) != 0) return false;
  }
  return true;
}

Result<ClientUrl> parse_proxy(const std::string& text) {
  const size_t scheme_end = text.find("://");
  const std::string full = scheme_end == text.npos ? "http://" + text : text;
  const std::string scheme = core::lower(full.substr(0, full.find("://")));
  if (scheme.starts_with("socks5")) {
    return fail(ErrorCode::Unsupported, "proxy scheme \"{}\" is not supported; use http or https",
                scheme);
  }
  return parse_client_url(full).context("invalid proxy address \"{}\"", hide_password(text));
}

// The first that is set and not empty.
std::string either(const ProxyChooser::Environment& environment, const char* upper,
                   const char* lower) {
  std::string value = environment(upper);
  return value.empty() ? environment(lower) : value;
}

}  // namespace

std::string environment_variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

Result<ProxyChooser> ProxyChooser::create(const ProxyConfig& config,
                                          const Environment& environment) {
  ProxyChooser chooser;
  std::string no_proxy;
  if (config.from_environment) {
    const std::string http = either(environment, "HTTP_PROXY", "http_proxy");
    const std::string https = either(environment, "HTTPS_PROXY", "https_proxy");
    no_proxy = either(environment, "NO_PROXY", "no_proxy");
    if (!http.empty()) chooser.http_ = TRY(parse_proxy(http));
    if (!https.empty()) chooser.https_ = TRY(parse_proxy(https));
    chooser.has_exemptions_ = true;
  } else if (!config.url.empty()) {
    chooser.http_ = chooser.https_ = TRY(parse_proxy(config.url));
    no_proxy = config.no_proxy;
    chooser.has_exemptions_ = !no_proxy.empty();
  }
  std::string_view rest = no_proxy;
  while (!rest.empty()) {
    const size_t comma = rest.find(',');
    const std::string entry = core::lower(core::trim(rest.substr(0, comma)));
    if (!entry.empty()) chooser.add_exemption(entry);
    rest.remove_prefix(comma == rest.npos ? rest.size() : comma + 1);
  }
  return chooser;
}

// Entries that make no sense are passed over, as in Go.
void ProxyChooser::add_exemption(std::string entry) {
  Exemption exemption;
  if (entry == "*") {
    exemption.is_all = true;
    exemptions_.push_back(exemption);
    return;
  }
  if (const size_t slash = entry.find('/'); slash != entry.npos) {
    exemption.address = parse_address(entry.substr(0, slash));
    unsigned bits = 0;
    const char* const end = entry.data() + entry.size();
    const auto [stop, error] = std::from_chars(entry.data() + slash + 1, end, bits);
    if (exemption.address && error == std::errc() && stop == end) {
      const bool v4 = entry.find(':') == entry.npos;
      if (bits <= (v4 ? 32U : 128U)) {
        exemption.prefix_bits = v4 ? bits + 96 : bits;
        exemption.is_network = true;
        exemptions_.push_back(exemption);
        return;
      }
    }
    exemption.address.reset();
  }
  std::string host = entry;
  const size_t colon = entry.rfind(':');
  const bool is_bracketed = entry.starts_with('[');
  const bool is_plain = std::count(entry.begin(), entry.end(), ':') == 1;
  if (colon != entry.npos && (is_plain || (is_bracketed && entry[colon - 1] == ']'))) {
    host = entry.substr(0, colon);
    exemption.port = entry.substr(colon + 1);
    if (is_bracketed) host = host.substr(1, host.size() - 2);
  }
  if (host.empty()) return;
  exemption.address = parse_address(host);
  if (!exemption.address) {
    if (host.starts_with("*.")) host.erase(0, 1);
    exemption.takes_domain_itself = host[0] != '.';
    exemption.domain = exemption.takes_domain_itself ? "." + host : host;
  }
  exemptions_.push_back(std::move(exemption));
}

bool ProxyChooser::is_exempt(const std::string& host, uint16_t port) const {
  if (host == "localhost") return true;
  const std::optional<std::vector<uint8_t>> address = parse_address(host);
  if (address && is_loopback(*address)) return true;
  const std::string port_text = std::to_string(port);
  return std::any_of(exemptions_.begin(), exemptions_.end(), [&](const Exemption& exemption) {
    if (exemption.is_all) return true;
    if (!exemption.port.empty() && exemption.port != port_text) return false;
    if (exemption.address) {
      if (!address) return false;
      if (!exemption.is_network) return *address == *exemption.address;
      return is_v4(*address) == is_v4(*exemption.address) &&
             has_prefix(*address, *exemption.address, exemption.prefix_bits);
    }
    if (address) return false;
    return host.ends_with(exemption.domain) ||
           (exemption.takes_domain_itself && host == exemption.domain.substr(1));
  });
}

const ClientUrl* ProxyChooser::choose(const ClientUrl& url) const {
  const std::optional<ClientUrl>& proxy = url.is_https ? https_ : http_;
  if (!proxy) return nullptr;
  if (has_exemptions_ && is_exempt(url.host, url.port)) return nullptr;
  return &*proxy;
}

}  // namespace net
