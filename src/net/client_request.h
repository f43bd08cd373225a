// The bytes of an outgoing request.

#pragma once

#include "net/client_auth.h"
#include "net/client_url.h"
#include "net/http.h"

#include <memory>
#include <string>
#include <string_view>

namespace net {

// What is sent to a URL.
struct RequestMessage {
  std::string_view method = "GET";
  const Headers* headers = nullptr;
  const AddedHeaders* added = nullptr;
  std::string authorization{};
  std::string referer{};
  std::string body{};
  bool same_host = true;  // as the first request of a chain of redirects
};

// `http_proxy` is the one that is asked for the URL, or null. InvalidArgument for header
// fields that HTTP cannot carry.
core::Result<std::string> render_request(const ClientUrl& url, const RequestMessage& message,
                                         const ClientUrl* http_proxy);

void append_header(std::string& out, std::string_view name, std::string_view value);
// Credentials only when the host is the same.
core::Result<void> append_headers(std::string& out, const Headers& headers, bool same_host);

// A GET request worked out once for many fetches, because a scrape asks the same each
// time. Immutable.
struct PreparedRequest {
  std::string url;
  std::shared_ptr<const Headers> headers;
  core::Result<ClientUrl> parsed;
  std::string head;        // with nothing added by a client and no proxy; empty: not possible
  std::string connection;  // names the kept connections that serve it without TLS and proxy
};

// `headers` may be shared by many requests.
std::shared_ptr<const PreparedRequest> prepare_request(std::string url,
                                                       std::shared_ptr<const Headers> headers);

}  // namespace net
