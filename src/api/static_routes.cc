// The web UI: files from the binary, best encoding first, cached as far as their names
// allow. Pages, and Prometheus's addresses of some, are one file.

#include "api/route.h"

#include <algorithm>

namespace api {

namespace {

using net::Response;

// The UI loads only what this server gives, has no inline script and is in no frame.
constexpr std::pair<const char*, const char*> kSecurityHeaders[] = {
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
     "font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; "
     "form-action 'self'; frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
};

const StaticAsset* find_asset(StaticAssets assets, std::string_view path) {
  const auto at = std::lower_bound(
      assets.begin(), assets.end(), path,
      [](const StaticAsset& asset, std::string_view wanted) { return asset.path < wanted; });
  return at != assets.end() && at->path == path ? &*at : nullptr;
}

// Where links in pages that were sent and bookmarks made for Prometheus lead. By name: an
// endpoint that is not built, such as /federate, must not answer 200 with a page. One level
// deep: the page names its files relative to itself.
constexpr std::string_view kPagePaths[] = {"/alerts", "/cardinality", "/graph",
                                           "/query",  "/rules",       "/tsdb-status"};

// If-None-Match: a list of tags or "*"; weakness does not matter for a GET.
bool lists_etag(std::string_view header, std::string_view etag) {
  while (!header.empty()) {
    std::string_view item = header.substr(0, header.find(','));
    header.remove_prefix(std::min(header.size(), item.size() + 1));
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (item.starts_with("W/")) item.remove_prefix(2);
    if (item == etag || item == "*") return true;
  }
  return false;
}

void choose_encoding(const net::Request& request, const StaticAsset& asset, Response& response) {
  const std::string_view accepted = request.header("Accept-Encoding").value_or("");
  if (!asset.brotli.empty() && net::accepts_encoding(accepted, "br")) {
    response.headers.emplace_back("Content-Encoding", "br");
    response.body = std::string(asset.brotli);
  } else if (!asset.gzip.empty() && net::accepts_encoding(accepted, "gzip")) {
    response.headers.emplace_back("Content-Encoding", "gzip");
    response.body = std::string(asset.gzip);
  } else {
    response.body = std::string(asset.identity);
  }
}

}  // namespace

Response serve_static(const Call& call) {
  const net::Request& request = call.request;
  const StaticAsset* asset = find_asset(call.assets, request.path);
  if (asset == nullptr && std::ranges::count(kPagePaths, request.path) > 0)
    asset = find_asset(call.assets, "/");
  if (asset == nullptr) return Response::text(404, "404 page not found\n");

  Response response;
  response.headers = {
      {"Content-Type", std::string(asset->content_type)},
      {"ETag", std::string(asset->etag)},
      {"Vary", "Accept-Encoding"},
      {"Cache-Control", asset->immutable ? "public, max-age=31536000, immutable" : "no-cache"}};
  for (const auto& [name, value] : kSecurityHeaders) response.headers.emplace_back(name, value);
  if (lists_etag(request.header("If-None-Match").value_or(""), asset->etag)) {
    response.status = 304;
    return response;
  }
  choose_encoding(request, *asset, response);
  return response;
}

}  // namespace api
