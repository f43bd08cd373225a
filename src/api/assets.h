// Files of the web UI, compiled into the binary.

#pragma once

#include <string_view>

namespace api {

// Bytes live as long as the program.
struct Asset {
  std::string_view path;          // "/index.html", "/assets/app-3f2a91bc.js"
  std::string_view content_type;  // "text/javascript; charset=utf-8"
  std::string_view identity;
  std::string_view gzip;    // empty: not precompressed
  std::string_view brotli;  // empty: not precompressed
  std::string_view etag;    // quoted: "\"3f2a91bc\""
  bool immutable = false;   // the name holds a hash of the content
};

// Thread-safe.
class AssetProvider {
 public:
  virtual ~AssetProvider() = default;
  // nullptr when there is no such file. Paths start with '/'.
  virtual const Asset* find(std::string_view path) const = 0;
};

}  // namespace api
