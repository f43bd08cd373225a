// What the HTTP server needs to know of the web UI: a table of files that live
// in the program's read-only data, in every encoding a browser may ask for.
#pragma once

#include <span>
#include <string_view>

namespace api {

struct StaticAsset {
  std::string_view path;          // as requested: "/", "/assets/index-3f2a9c01.js"
  std::string_view content_type;  // with charset for text
  std::string_view etag;          // quoted, of the identity bytes; stable across builds
  bool immutable = false;         // the name carries a hash of the content: cache for ever
  std::string_view identity;
  std::string_view gzip;    // empty: not smaller than identity
  std::string_view brotli;  // empty: not smaller than identity
};

// Sorted by path. The views outlive everything.
using StaticAssets = std::span<const StaticAsset>;

}  // namespace api
