#include "ingest/decompress.h"

#include "core/text.h"

#include <algorithm>
#include <memory>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

namespace ingest {

using core::ErrorCode;
using core::Result;

namespace {

// The first bytes of snappy's framed format, which some clients send by mistake.
constexpr std::string_view kSnappyFrameStart("\xff\x06\x00\x00sNaPpY", 10);
// Snappy's densest element makes 64 bytes of 3 (format_description.txt, 2.2.2).
constexpr size_t kSnappyRatioMax = 22;
// Streams are decoded in pieces of this size, so that limits stop a bomb early.
constexpr size_t kPieceSize = size_t{64} << 10;

size_t decoded_size_limit(size_t body_size, const Limits& limits) {
  const size_t by_ratio = std::max(limits.decoded_free_size, body_size * limits.decoded_ratio_max);
  return std::min(limits.decoded_size_max, by_ratio);
}

tl::unexpected<core::Error> too_large(size_t body_size, const Limits& limits) {
  if (decoded_size_limit(body_size, limits) == limits.decoded_size_max) {
    return core::fail(ErrorCode::TooLarge,
                      "the body is larger than {} bytes when decompressed ({})",
                      limits.decoded_size_max, limit_key(&Limits::decoded_size_max));
  }
  return core::fail(ErrorCode::TooLarge,
                    "the body of {} bytes decompresses to more than {} times its size", body_size,
                    limits.decoded_ratio_max);
}

// Grows without writing zeros first. The size is captured because libstdc++ 12 hands the
// operation the new capacity in its place.
void set_size(std::string& out, size_t size) {
  out.resize_and_overwrite(size, [size](char*, size_t) { return size; });
}

Result<void> undo_snappy(std::string_view body, const Limits& limits, std::string& out) {
  if (body.starts_with(kSnappyFrameStart)) {
    return core::fail(ErrorCode::InvalidArgument,
                      "the body is snappy's framed format, expected its block format");
  }
  size_t size = 0;
  if (!snappy::GetUncompressedLength(body.data(), body.size(), &size)) {
    return core::fail(ErrorCode::InvalidArgument,
                      "the body of {} bytes does not start with a snappy block's size",
                      body.size());
  }
  if (size / kSnappyRatioMax > body.size()) {
    return core::fail(
        ErrorCode::InvalidArgument,
        "the body claims to be a snappy block of {} bytes, which {} bytes cannot hold", size,
        body.size());
  }
  if (size > decoded_size_limit(body.size(), limits)) return too_large(body.size(), limits);
  set_size(out, size);
  if (!snappy::RawUncompress(body.data(), body.size(), out.data())) {
    return core::fail(ErrorCode::InvalidArgument,
                      "the body of {} bytes is not a snappy block of {} bytes", body.size(), size);
  }
  return {};
}

Result<void> undo_zstd(std::string_view body, const Limits& limits, std::string& out) {
  const size_t size_limit = decoded_size_limit(body.size(), limits);
  const std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(),
                                                                   &ZSTD_freeDCtx);
  ZSTD_inBuffer in{body.data(), body.size(), 0};
  size_t used = 0;
  size_t state = 1;  // 0: a frame has ended
  while (in.pos < in.size || state != 0) {
    if (used == out.size()) set_size(out, used + kPieceSize);
    ZSTD_outBuffer piece{out.data() + used, out.size() - used, 0};
    const size_t in_before = in.pos;
    state = ZSTD_decompressStream(context.get(), &piece, &in);
    if (ZSTD_isError(state)) {
      return core::fail(ErrorCode::InvalidArgument, "not zstd at byte {} of {}: {}", in.pos,
                        body.size(), ZSTD_getErrorName(state));
    }
    used += piece.pos;
    if (used > size_limit) return too_large(body.size(), limits);
    if (in.pos == in_before && piece.pos == 0) {
      return core::fail(ErrorCode::InvalidArgument, "the zstd frame is cut off after {} bytes",
                        body.size());
    }
  }
  out.resize(used);
  return {};
}

Result<void> undo_zlib(ContentEncoding encoding, std::string_view body, const Limits& limits,
                       std::string& out) {
  const std::string_view name = encoding == ContentEncoding::Gzip ? "gzip" : "deflate";
  // Window bits: +16 demands gzip's header, the plain value zlib's (HTTP's "deflate").
  const int window_bits = encoding == ContentEncoding::Gzip ? MAX_WBITS + 16 : MAX_WBITS;
  const size_t size_limit = decoded_size_limit(body.size(), limits);
  z_stream stream{};
  ENSURE(inflateInit2(&stream, window_bits) == Z_OK);
  const std::unique_ptr<z_stream, int (*)(z_stream*)> ender(&stream, &inflateEnd);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  stream.avail_in = static_cast<uInt>(body.size());
  size_t used = 0;
  while (true) {
    if (used == out.size()) set_size(out, used + kPieceSize);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + used);
    stream.avail_out = static_cast<uInt>(out.size() - used);
    const int state = inflate(&stream, Z_NO_FLUSH);
    used = out.size() - stream.avail_out;
    if (used > size_limit) return too_large(body.size(), limits);
    if (state == Z_STREAM_END) {
      if (stream.avail_in == 0) break;
      // gzip files may follow one another (RFC 1952, 2.2).
      if (encoding == ContentEncoding::Gzip && inflateReset(&stream) == Z_OK) continue;
      return core::fail(ErrorCode::InvalidArgument, "{} bytes after the end of the {} stream",
                        stream.avail_in, name);
    }
    if (state == Z_BUF_ERROR && stream.avail_in == 0) {
      return core::fail(ErrorCode::InvalidArgument, "the {} stream is cut off after {} bytes", name,
                        body.size());
    }
    if (state != Z_OK) {
      return core::fail(ErrorCode::InvalidArgument, "not {} at byte {} of {}: {}", name,
                        body.size() - stream.avail_in, body.size(),
                        stream.msg == nullptr ? "no reason given" : stream.msg);
    }
  }
  out.resize(used);
  return {};
}

}  // namespace

size_t decoded_size_hint(ContentEncoding encoding, std::string_view body, const Limits& limits) {
  constexpr size_t kUsualRatio = 10;
  size_t size = body.size() * kUsualRatio;
  if (encoding == ContentEncoding::Identity) return 0;  // the body is used as it is
  if (encoding == ContentEncoding::Snappy) {
    if (!snappy::GetUncompressedLength(body.data(), body.size(), &size)) return 0;
  } else if (encoding == ContentEncoding::Zstd) {
    const unsigned long long told = ZSTD_getFrameContentSize(body.data(), body.size());
    if (told != ZSTD_CONTENTSIZE_UNKNOWN && told != ZSTD_CONTENTSIZE_ERROR) size = told;
  }
  return std::min(size, decoded_size_limit(body.size(), limits));
}

Result<ContentEncoding> parse_content_encoding(std::string_view header) {
  const std::string name = core::lower(header);
  if (name.empty() || name == "identity") return ContentEncoding::Identity;
  if (name == "snappy") return ContentEncoding::Snappy;
  if (name == "zstd") return ContentEncoding::Zstd;
  if (name == "gzip" || name == "x-gzip") return ContentEncoding::Gzip;
  if (name == "deflate") return ContentEncoding::Deflate;
  return core::fail(ErrorCode::Unsupported,
                    "content encoding \"{}\", expected snappy, zstd, gzip, deflate or identity",
                    header.substr(0, 50));
}

Result<void> decompress(ContentEncoding encoding, std::string_view body, const Limits& limits,
                        std::string& out) {
  out.clear();
  if (body.size() > limits.body_size_max) {
    return core::fail(ErrorCode::TooLarge, "a body of {} bytes, the limit is {} ({})", body.size(),
                      limits.body_size_max, limit_key(&Limits::body_size_max));
  }
  switch (encoding) {
    case ContentEncoding::Identity:
      if (body.size() > limits.decoded_size_max) return too_large(body.size(), limits);
      out = body;
      return {};
    case ContentEncoding::Snappy:
      return undo_snappy(body, limits, out);
    case ContentEncoding::Zstd:
      return undo_zstd(body, limits, out);
    case ContentEncoding::Gzip:
    case ContentEncoding::Deflate:
      return undo_zlib(encoding, body, limits, out);
  }
  return core::fail(ErrorCode::Internal, "content encoding {}", static_cast<int>(encoding));
}

}  // namespace ingest
