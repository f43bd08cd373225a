// gzip of received bodies: small ones at once, large ones piece by piece.

#pragma once

#include "core/result.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace net {

// As gunzip(), three times as fast (libdeflate) for bodies of some hundred KiB; keeps one
// decompressor per thread.
core::Result<std::string> gunzip_whole(std::string_view bytes, uint64_t size_max);

// Confined to one body.
class GunzipStream {
 public:
  explicit GunzipStream(uint64_t size_max);
  ~GunzipStream();
  GunzipStream(const GunzipStream&) = delete;
  GunzipStream& operator=(const GunzipStream&) = delete;

  // Appends to `out`. TooLarge as soon as `out` would exceed the bound, InvalidArgument
  // for bytes that are not gzip.
  core::Result<void> feed(std::string_view bytes, std::string& out);
  // InvalidArgument when the last member is not whole.
  core::Result<void> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace net
