#include "net/gzip.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <zlib.h>

namespace net {

using core::ErrorCode;
using core::fail;
using core::Result;

namespace {

constexpr int kGzipWindowBits = 15 + 16;  // the largest window; 16 asks zlib for gzip's frame
constexpr int kMemoryLevel = 8;           // zlib's default
constexpr size_t kOutputStep = 64UL << 10;

struct EndDeflate {
  void operator()(z_stream* stream) const {
    deflateEnd(stream);
    delete stream;
  }
};

struct EndInflate {
  void operator()(z_stream* stream) const { inflateEnd(stream); }
};

// One per thread: setting up a deflate stream costs 256 KiB of cleared memory.
z_stream& thread_deflater() {
  thread_local std::unique_ptr<z_stream, EndDeflate> stream;
  if (stream) {
    ENSURE(deflateReset(stream.get()) == Z_OK);
    return *stream;
  }
  auto fresh = std::make_unique<z_stream>();
  ENSURE(deflateInit2(fresh.get(), Z_BEST_SPEED, Z_DEFLATED, kGzipWindowBits, kMemoryLevel,
                      Z_DEFAULT_STRATEGY) == Z_OK);
  stream.reset(fresh.release());
  return *stream;
}

Bytef* input_of(std::string_view bytes) {
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
}

}  // namespace

std::string gzip(std::string_view bytes) {
  z_stream& stream = thread_deflater();
  std::string out;
  out.resize(deflateBound(&stream, bytes.size()));
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  size_t in_done = 0;
  size_t out_done = 0;
  constexpr size_t kStepMax = std::numeric_limits<uInt>::max();
  int status = Z_OK;
  while (status != Z_STREAM_END) {
    const auto in_step = static_cast<uInt>(std::min(bytes.size() - in_done, kStepMax));
    const auto out_step = static_cast<uInt>(std::min(out.size() - out_done, kStepMax));
    stream.next_in = input_of(bytes.substr(in_done));
    stream.avail_in = in_step;
    stream.avail_out = out_step;
    const bool last = in_done + in_step == bytes.size();
    status = deflate(&stream, last ? Z_FINISH : Z_NO_FLUSH);
    ENSURE(status == Z_OK || status == Z_STREAM_END);
    in_done += in_step - stream.avail_in;
    out_done += out_step - stream.avail_out;
  }
  out.resize(out_done);
  return out;
}

Result<std::string> gunzip(std::string_view bytes, uint64_t size_max) {
  z_stream stream{};
  ENSURE(inflateInit2(&stream, kGzipWindowBits) == Z_OK);
  const std::unique_ptr<z_stream, EndInflate> end(&stream);
  std::string out;
  size_t in_done = 0;
  int status = Z_STREAM_END;
  do {
    const auto in_step = static_cast<uInt>(
        std::min<size_t>(bytes.size() - in_done, std::numeric_limits<uInt>::max()));
    stream.next_in = input_of(bytes.substr(in_done));
    stream.avail_in = in_step;
    const size_t out_done = out.size();
    out.resize(out_done + kOutputStep);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + out_done);
    stream.avail_out = kOutputStep;
    status = inflate(&stream, Z_NO_FLUSH);
    in_done += in_step - stream.avail_in;
    out.resize(out_done + kOutputStep - stream.avail_out);
    if (out.size() > size_max) {
      return fail(ErrorCode::TooLarge, "gzip: more than {} bytes when decompressed", size_max);
    }
    if (status == Z_STREAM_END && in_done < bytes.size()) {
      ENSURE(inflateReset(&stream) == Z_OK);  // the next member
    } else if (status != Z_OK && status != Z_STREAM_END) {
      const bool cut = status == Z_BUF_ERROR;
      return fail(ErrorCode::InvalidArgument, "gzip: {} at byte {} of {}",
                  cut ? "input ends early" : (stream.msg != nullptr ? stream.msg : "bad data"),
                  in_done, bytes.size());
    }
  } while (status != Z_STREAM_END || in_done < bytes.size());
  return out;
}

}  // namespace net
