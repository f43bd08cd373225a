#include "discovery/etcd_call.h"

#include "core/text.h"
#include "discovery/etcd_messages.h"

namespace discovery::etcd {

using core::ErrorCode;
using core::fail;
using core::Result;

Result<void> check_endpoints(const config::EtcdDiscovery& config) {
  if (config.endpoints.empty()) {
    return fail(ErrorCode::InvalidArgument, "etcd: expected at least one endpoint");
  }
  for (const std::string& endpoint : config.endpoints) {
    if (endpoint.find('@') != std::string::npos) {
      return fail(ErrorCode::InvalidArgument,
                  "etcd: an endpoint holds '@': user and password have keys of their own");
    }
    if (!endpoint.starts_with("http://") && !endpoint.starts_with("https://")) {
      return fail(ErrorCode::InvalidArgument,
                  "etcd: endpoint \"{}\": expected a URL such as http://127.0.0.1:2379", endpoint);
    }
  }
  return {};
}

net::StreamRequest make_request(const std::string& endpoint, std::string_view path,
                                std::string body, const std::string& token, int64_t timeout_ms) {
  net::StreamRequest request;
  request.url = endpoint;
  while (request.url.ends_with('/')) request.url.pop_back();
  request.url += "/v3/";
  request.url += path;
  request.headers = {{"Content-Type", "application/json"}};
  if (!token.empty()) request.headers.emplace_back("Authorization", token);
  request.body = std::move(body);
  request.timeout_ms = timeout_ms;
  return request;
}

Result<std::string> judge_answer(const Result<int>& end, std::string body,
                                 const std::string& endpoint) {
  if (!end) return tl::unexpected(end.error());
  if (*end == 200) return body;
  // Errors of etcd say more than their status does.
  const Result<void> told = parse_done(body).context("{}", endpoint);
  if (!told && told.error().code == ErrorCode::Unavailable) return tl::unexpected(told.error());
  return fail(ErrorCode::Unavailable, "{}: HTTP status {}: is it etcd's client address?", endpoint,
              *end);
}

Result<std::string> read_password(const config::EtcdDiscovery& config, core::FileSystem& files) {
  if (config.password.file.empty()) return config.password.value.reveal();
  const std::string text =
      TRY(files.read_file(config.password.file).context("password of {}", config.username));
  return std::string(core::trim(text, " \t\r\n"));
}

}  // namespace discovery::etcd
