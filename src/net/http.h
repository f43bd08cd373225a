// HTTP messages as plain structs, for server and client alike.

#pragma once

#include "core/result.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace net {

using Header = std::pair<std::string, std::string>;
using Headers = std::vector<Header>;

// Header names compare without case. nullopt when absent.
std::optional<std::string_view> find_header(const Headers& headers, std::string_view name);

// Percent-decoded name and value pairs in order; '+' is a space.
using Params = std::vector<std::pair<std::string, std::string>>;
// Malformed escapes stay as they are.
Params parse_query(std::string_view query);
// The same, but InvalidArgument for a malformed escape, as Go's url.ParseQuery.
core::Result<Params> parse_query_strict(std::string_view query);
std::string percent_decode(std::string_view text);
std::string percent_encode(std::string_view text);

// Whether a client that sent this Accept-Encoding takes `coding` ("gzip", "br"):
// listed, or covered by "*", and not with q=0.
bool accepts_encoding(std::string_view accept_encoding, std::string_view coding);

// The {} let designated initialisers leave members out.
struct Request {
  std::string method{};  // upper case
  std::string path{};    // decoded, starts with '/'
  std::string query{};   // as received, without '?'
  Headers headers{};
  std::string body{};            // as received: Content-Encoding is the handler's business
  std::string remote_address{};  // "127.0.0.1:41234"

  std::optional<std::string_view> header(std::string_view name) const {
    return find_header(headers, name);
  }
};

struct Response {
  int status = 200;
  Headers headers{};  // Content-Length, Date and Connection are added
  std::string body{};

  static Response text(int status, std::string body);
  static Response json(int status, std::string body);
};

}  // namespace net
