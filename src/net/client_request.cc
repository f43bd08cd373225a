#include "net/client_request.h"

#include "core/text.h"

namespace net {

using core::ErrorCode;
using core::fail;
using core::Result;

namespace {

bool is_credential(std::string_view name) {
  const std::string lower = core::lower(name);
  return lower == "authorization" || lower == "cookie" || lower == "cookie2" ||
         lower == "www-authenticate" || lower == "proxy-authorization" ||
         lower == "proxy-authenticate";
}

bool has(const Headers& headers, std::string_view name) {
  return find_header(headers, name).has_value();
}

}  // namespace

void append_header(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  out += value;
  out += "\r\n";
}

// A line break in a name or value would let it write headers of its own.
Result<void> append_headers(std::string& out, const Headers& headers, bool same_host) {
  for (const auto& [name, value] : headers) {
    if ((name.find_first_of(std::string_view("\r\n\0: ", 5)) != name.npos) || name.empty()) {
      return fail(ErrorCode::InvalidArgument, "net/http: invalid header field name \"{}\"", name);
    }
    if (value.find_first_of(std::string_view("\r\n\0", 3)) != value.npos) {
      return fail(ErrorCode::InvalidArgument, "net/http: invalid header field value for \"{}\"",
                  name);
    }
    if (!same_host && is_credential(name)) continue;
    append_header(out, name, value);
  }
  return {};
}

Result<std::string> render_request(const ClientUrl& url, const RequestMessage& message,
                                   const ClientUrl* http_proxy) {
  std::string head;
  head.reserve(512);
  head += message.method;
  head += ' ';
  head += http_proxy != nullptr ? url.text() : url.target;
  head += " HTTP/1.1\r\n";
  if (!has(*message.headers, "Host")) append_header(head, "Host", url.authority);
  if (!has(*message.headers, "User-Agent")) append_header(head, "User-Agent", "Petrel");
  if (!has(*message.headers, "Accept-Encoding")) append_header(head, "Accept-Encoding", "gzip");
  if (!message.referer.empty()) append_header(head, "Referer", message.referer);
  TRY(append_headers(head, *message.headers, message.same_host));
  TRY(append_headers(head, message.added->anywhere, true));
  if (message.same_host) {
    TRY(append_headers(head, message.added->same_host, true));
    if (!message.authorization.empty()) append_header(head, "Authorization", message.authorization);
  }
  const bool has_auth = has(*message.headers, "Authorization") || !message.authorization.empty() ||
                        has(message.added->same_host, "Authorization");
  if (url.has_user && !has_auth) {
    append_header(head, "Authorization", basic_credentials(url.user, url.password));
  }
  if (http_proxy != nullptr && http_proxy->has_user) {
    append_header(head, "Proxy-Authorization",
                  basic_credentials(http_proxy->user, http_proxy->password));
  }
  if (!message.body.empty()) {
    append_header(head, "Content-Length", std::to_string(message.body.size()));
  }
  head += "\r\n";
  head += message.body;
  return head;
}

std::shared_ptr<const PreparedRequest> prepare_request(std::string url,
                                                       std::shared_ptr<const Headers> headers) {
  auto request = std::make_shared<PreparedRequest>();
  request->url = std::move(url);
  request->headers = std::move(headers);
  request->parsed = parse_client_url(request->url);
  if (!request->parsed) return request;
  const AddedHeaders added;
  // An error comes up again, and is told, when the request is rendered for its fetch.
  Result<std::string> head = render_request(
      *request->parsed, {.headers = request->headers.get(), .added = &added}, nullptr);
  if (head) request->head = std::move(*head);
  request->head.shrink_to_fit();
  request->connection = host_port(request->parsed->host, request->parsed->port);
  return request;
}

}  // namespace net
