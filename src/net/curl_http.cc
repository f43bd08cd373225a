// One HTTP request through libcurl.

#include "core/text.h"
#include "net/curl_transfer_impl.h"

#include <fmt/format.h>
#include <string_view>

namespace net {

using core::Error;
using core::ErrorCode;
using core::Result;

namespace {

constexpr uint64_t kHeadersSizeMax = 64 << 10;
constexpr long kRedirectsMax = 10;
constexpr std::string_view kBlanks = " \t\r\n";

struct HostAndPort {
  std::string host;  // brackets of an IPv6 address included
  std::string port;
};

// Of a URL with a host; the port is that of the scheme if none is written.
HostAndPort host_of(const std::string& url) {
  const size_t start = url.find("://") == std::string::npos ? 0 : url.find("://") + 3;
  std::string host = url.substr(start, url.find_first_of("/?#", start) - start);
  host = host.substr(host.rfind('@') == std::string::npos ? 0 : host.rfind('@') + 1);
  const size_t colon = host.find(':', host.starts_with('[') ? host.find(']') : 0);
  if (colon != std::string::npos) return {host.substr(0, colon), host.substr(colon + 1)};
  return {host, core::lower(url.substr(0, 6)) == "https:" ? "443" : "80"};
}

class HttpTransfer final : public CurlTransfer {
 public:
  HttpTransfer(OutgoingRequest request, Transport::Done done)
      : request_(std::move(request)), done_(std::move(done)) {}

  Result<void> prepare(const std::string& user_agent) override;
  void finish(CURLcode code) override;
  void fail(Error error) override { done_(tl::unexpected(std::move(error))); }

 private:
  Result<void> add_header(CurlList& list, const std::string& name, const std::string& value);
  Result<void> set_client(const ClientConfig& client);
  Error error_of(CURLcode code) const;

  static size_t on_body(char* data, size_t unit, size_t count, void* user);
  static size_t on_header(char* data, size_t unit, size_t count, void* user);

  OutgoingRequest request_;
  Transport::Done done_;
  CurlList headers_;
  CurlList proxy_headers_;
  CurlList connect_to_;
  Response response_;
  uint64_t headers_size_ = 0;
  bool is_oversized_ = false;
};

size_t HttpTransfer::on_body(char* data, size_t unit, size_t count, void* user) {
  auto& transfer = *static_cast<HttpTransfer*>(user);
  const size_t size = unit * count;
  if (transfer.response_.body.size() + size > transfer.request_.response_size_max) {
    transfer.is_oversized_ = true;
    return 0;  // ends the transfer with CURLE_WRITE_ERROR
  }
  transfer.response_.body.append(data, size);
  return size;
}

size_t HttpTransfer::on_header(char* data, size_t unit, size_t count, void* user) {
  auto& transfer = *static_cast<HttpTransfer*>(user);
  const size_t size = unit * count;
  transfer.headers_size_ += size;
  if (transfer.headers_size_ > kHeadersSizeMax) {
    transfer.is_oversized_ = true;
    return 0;
  }
  const std::string_view line(data, size);
  const size_t colon = line.find(':');
  // A status line starts a new head: what came before was a 1xx.
  if (line.starts_with("HTTP/")) {
    transfer.response_.headers.clear();
    transfer.response_.body.clear();
  } else if (colon != std::string_view::npos) {
    transfer.response_.headers.emplace_back(
        std::string(core::trim(line.substr(0, colon), kBlanks)),
        std::string(core::trim(line.substr(colon + 1), kBlanks)));
  }
  return size;
}

Result<void> HttpTransfer::add_header(CurlList& list, const std::string& name,
                                      const std::string& value) {
  if ((name + value).find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
    return core::fail(ErrorCode::InvalidArgument, "header \"{}\" holds a line break", name);
  }
  // curl's own notation: "Name;" is a header with an empty value.
  if (append_line(list, value.empty() ? name + ";" : name + ": " + value)) return {};
  return core::fail(ErrorCode::Unavailable, "{}: no memory", request_.url);
}

// Secrets stand in `client` itself: their files were read before.
Result<void> HttpTransfer::set_client(const ClientConfig& client) {
  if (client.basic_auth) {
    set(CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    set(CURLOPT_USERNAME, client.basic_auth->username.c_str());
    set(CURLOPT_PASSWORD, client.basic_auth->password.value.reveal().c_str());
  }
  if (client.authorization) {
    const core::Secret& credentials = client.authorization->credentials.value;
    TRY(add_header(headers_, "Authorization",
                   client.authorization->type + " " + credentials.reveal()));
  }
  for (const ClientHeader& header : client.headers) {
    for (const std::string& value : header.values) TRY(add_header(headers_, header.name, value));
    for (const core::Secret& value : header.secrets) {
      TRY(add_header(headers_, header.name, value.reveal()));
    }
  }
  set_tls(client.tls);
  if (!client.tls.server_name.empty()) {
    // The name to be verified and asked for is that of the URL for curl; where the
    // connection goes is said beside it.
    const HostAndPort real = host_of(request_.url);
    const size_t at = request_.url.find(real.host, request_.url.find("://"));
    std::string url = request_.url;
    if (at != std::string::npos) url.replace(at, real.host.size(), client.tls.server_name);
    set(CURLOPT_URL, url.c_str());
    if (!append_line(connect_to_, fmt::format("{}:{}:{}:{}", client.tls.server_name, real.port,
                                              real.host, real.port))) {
      return core::fail(ErrorCode::Unavailable, "{}: no memory", request_.url);
    }
    set(CURLOPT_CONNECT_TO, connect_to_.get());
    const bool plain_port = real.port == "443" || real.port == "80";
    TRY(add_header(headers_, "Host", plain_port ? real.host : real.host + ":" + real.port));
  }
  if (!client.proxy.from_environment) {
    set(CURLOPT_PROXY, client.proxy.url.c_str());
    if (!client.proxy.no_proxy.empty()) set(CURLOPT_NOPROXY, client.proxy.no_proxy.c_str());
  }
  for (const auto& [name, value] : client.proxy.connect_headers) {
    TRY(add_header(proxy_headers_, name, value.reveal()));
  }
  if (proxy_headers_) {
    set(CURLOPT_HEADEROPT, static_cast<long>(CURLHEADER_SEPARATE));
    set(CURLOPT_PROXYHEADER, proxy_headers_.get());
  }
  if (client.follow_redirects) {
    // The method stays: a page that became a GET would be lost. curl sends credentials
    // to the first host only.
    set(CURLOPT_FOLLOWLOCATION, 1L);
    set(CURLOPT_MAXREDIRS, kRedirectsMax);
    set(CURLOPT_POSTREDIR, static_cast<long>(CURL_REDIR_POST_ALL));
    set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  }
  return {};
}

// Errors of curl_easy_setopt are out of memory or options this libcurl lacks.
Result<void> HttpTransfer::prepare(const std::string& user_agent) {
  if (easy() == nullptr) {
    return core::fail(ErrorCode::Unavailable, "{}: no memory for curl", request_.url);
  }
  for (const Header& header : request_.headers) {
    TRY(add_header(headers_, header.first, header.second));
  }
  set(CURLOPT_ERRORBUFFER, error_text_);
  set(CURLOPT_URL, request_.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_NOSIGNAL, 1L);  // signals and threads do not mix
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(request_.timeout_ms));
  set(CURLOPT_USERAGENT, user_agent.c_str());
  set(CURLOPT_WRITEFUNCTION, &on_body);
  set(CURLOPT_WRITEDATA, static_cast<void*>(this));
  set(CURLOPT_HEADERFUNCTION, &on_header);
  set(CURLOPT_HEADERDATA, static_cast<void*>(this));
  if (request_.method == "HEAD") {
    set(CURLOPT_NOBODY, 1L);
  } else if (!request_.body.empty() || request_.method == "POST" || request_.method == "PUT") {
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDS, request_.body.c_str());
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
  }
  if (request_.method != "HEAD") set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  if (request_.client) TRY(set_client(*request_.client));
  set(CURLOPT_HTTPHEADER, headers_.get());
  if (option_code_ != CURLE_OK) {
    return core::fail(ErrorCode::InvalidArgument, "{}: {}", request_.url,
                      curl_easy_strerror(option_code_));
  }
  return {};
}

Error HttpTransfer::error_of(CURLcode code) const {
  const std::string& url = request_.url;
  if (is_oversized_) {
    return {ErrorCode::TooLarge, fmt::format("{}: the response has more than {} bytes", url,
                                             request_.response_size_max)};
  }
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return {ErrorCode::Timeout,
              fmt::format("{}: no answer within {} ms", url, request_.timeout_ms)};
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return {ErrorCode::InvalidArgument, fmt::format("\"{}\": {}", url, reason(code))};
    default:
      return {ErrorCode::Unavailable, fmt::format("{}: {}", url, reason(code))};
  }
}

void HttpTransfer::finish(CURLcode code) {
  if (code != CURLE_OK) {
    done_(tl::unexpected(error_of(code)));
    return;
  }
  long status = 0;
  curl_easy_getinfo(easy(), CURLINFO_RESPONSE_CODE, &status);
  response_.status = static_cast<int>(status);
  done_(std::move(response_));
}

}  // namespace

std::unique_ptr<CurlTransfer> make_http_transfer(OutgoingRequest request, Transport::Done done) {
  return std::make_unique<HttpTransfer>(std::move(request), std::move(done));
}

}  // namespace net
