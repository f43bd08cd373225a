#include "app/web_assets.h"

#include "net/gzip.h"

#include <algorithm>
#include <doctest/doctest.h>
#include <set>
#include <string>

namespace app {
namespace {

// These hold with the UI built in and with the page that says that it was not.

TEST_CASE("the first page is HTML and must be asked for again") {
  const auto assets = web_assets();
  const auto page = std::find_if(assets.begin(), assets.end(),
                                 [](const api::StaticAsset& asset) { return asset.path == "/"; });
  REQUIRE(page != assets.end());
  CHECK(page->content_type == "text/html; charset=utf-8");
  CHECK_FALSE(page->immutable);
  CHECK(page->identity.starts_with("<!doctype html>"));
}

TEST_CASE("assets are sorted by path, each with an entity tag of its own") {
  const auto assets = web_assets();
  std::set<std::string_view> etags;
  for (size_t i = 0; i < assets.size(); ++i) {
    INFO(assets[i].path);
    if (i > 0) CHECK(assets[i - 1].path < assets[i].path);
    CHECK(assets[i].etag.starts_with('"'));
    CHECK(assets[i].etag.ends_with('"'));
    etags.insert(assets[i].etag);
  }
  CHECK(etags.size() == assets.size());
}

TEST_CASE("only files whose names carry a hash are cached for ever") {
  for (const api::StaticAsset& asset : web_assets()) {
    INFO(asset.path);
    CHECK(asset.immutable == asset.path.starts_with("/assets/"));
  }
}

TEST_CASE("the packed forms are smaller, and gzip unpacks to the file") {
  for (const api::StaticAsset& asset : web_assets()) {
    INFO(asset.path);
    CHECK_FALSE(asset.identity.empty());
    CHECK(asset.brotli.size() < asset.identity.size());
    if (asset.gzip.empty()) continue;
    CHECK(asset.gzip.size() < asset.identity.size());
    const auto unpacked = net::gunzip(asset.gzip, asset.identity.size());
    REQUIRE(unpacked);
    CHECK(*unpacked == asset.identity);
  }
}

TEST_CASE("every file the first page names is there") {
  const auto assets = web_assets();
  std::set<std::string> paths;
  for (const api::StaticAsset& asset : assets) paths.insert(std::string(asset.path));
  for (const api::StaticAsset& asset : assets) {
    if (asset.path != "/") continue;
    const std::string html(asset.identity);
    for (size_t at = html.find("\"assets/"); at != std::string::npos;
         at = html.find("\"assets/", at + 1)) {
      const std::string name = "/" + html.substr(at + 1, html.find('"', at + 1) - at - 1);
      CHECK_MESSAGE(paths.contains(name), name);
    }
  }
}

}  // namespace
}  // namespace app
