#include "net/gzip_stream.h"

#include <algorithm>
#include <libdeflate.h>
#include <limits>
#include <zlib.h>

namespace net {

using core::ErrorCode;
using core::fail;
using core::Result;

namespace {

constexpr int kGzipWindowBits = 15 + 16;  // the largest window; 16 asks zlib for gzip's frame
constexpr size_t kOutputStep = 64UL << 10;
constexpr size_t kSmallestMember = 18;
constexpr uint64_t kRatioMax = 1032;  // of deflate: no input gives more

struct EndDecompressor {
  void operator()(libdeflate_decompressor* given) const { libdeflate_free_decompressor(given); }
};

libdeflate_decompressor* thread_decompressor() {
  thread_local const std::unique_ptr<libdeflate_decompressor, EndDecompressor> decompressor(
      libdeflate_alloc_decompressor());
  return decompressor.get();
}

tl::unexpected<core::Error> too_large(uint64_t size_max) {
  return fail(ErrorCode::TooLarge, "body size limit exceeded: more than {} bytes", size_max);
}

// Slowly, for the error.
Result<std::string> gunzip_in_pieces(std::string_view bytes, uint64_t size_max) {
  GunzipStream stream(size_max);
  std::string out;
  TRY(stream.feed(bytes, out));
  TRY(stream.finish());
  return out;
}

// The size of the last member, as its trailer says.
uint32_t trailer_size(std::string_view bytes) {
  uint32_t size = 0;
  for (size_t i = 0; i < 4; ++i) {
    size |= static_cast<uint32_t>(static_cast<unsigned char>(bytes[bytes.size() - 4 + i]))
            << (8 * i);
  }
  return size;
}

}  // namespace

Result<std::string> gunzip_whole(std::string_view bytes, uint64_t size_max) {
  libdeflate_decompressor* const decompressor = thread_decompressor();
  if (decompressor == nullptr || bytes.size() < kSmallestMember) {
    return gunzip_in_pieces(bytes, size_max);
  }
  const uint64_t bound = std::min<uint64_t>(size_max, bytes.size() * kRatioMax);
  uint64_t room = std::min<uint64_t>(trailer_size(bytes), bound);
  std::string out;
  while (!bytes.empty()) {
    const size_t before = out.size();
    size_t used = 0;
    size_t written = 0;
    libdeflate_result status = LIBDEFLATE_BAD_DATA;
    // Beyond the size asked for nothing is written, whatever size is passed in.
    out.resize_and_overwrite(before + room, [&](char* to, size_t) {
      status = libdeflate_gzip_decompress_ex(decompressor, bytes.data(), bytes.size(), to + before,
                                             room, &used, &written);
      return before + (status == LIBDEFLATE_SUCCESS ? written : 0);
    });
    if (status == LIBDEFLATE_INSUFFICIENT_SPACE) {
      if (before + room >= bound) return too_large(size_max);
      room = std::min<uint64_t>(std::max<uint64_t>(room * 2, kOutputStep), bound - before);
      continue;
    }
    if (status != LIBDEFLATE_SUCCESS) return gunzip_in_pieces(bytes, size_max);
    bytes.remove_prefix(used);
    room = std::min<uint64_t>(room, bound - out.size());
  }
  return out;
}

struct GunzipStream::State {
  explicit State(uint64_t bound) : size_max(bound) {}

  const uint64_t size_max;
  z_stream stream{};
  uint64_t used = 0;
  bool is_at_boundary = false;  // behind a whole member
};

GunzipStream::GunzipStream(uint64_t size_max) : state_(std::make_unique<State>(size_max)) {
  ENSURE(inflateInit2(&state_->stream, kGzipWindowBits) == Z_OK);
}

GunzipStream::~GunzipStream() {
  inflateEnd(&state_->stream);
}

Result<void> GunzipStream::feed(std::string_view bytes, std::string& out) {
  z_stream& stream = state_->stream;
  bool is_out_full = false;  // zlib holds back more
  while (!bytes.empty() || is_out_full) {
    if (state_->is_at_boundary) ENSURE(inflateReset(&stream) == Z_OK);
    state_->is_at_boundary = false;
    const auto in_step =
        static_cast<uInt>(std::min<size_t>(bytes.size(), std::numeric_limits<uInt>::max()));
    stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
    stream.avail_in = in_step;
    const size_t before = out.size();
    int status = Z_OK;
    out.resize_and_overwrite(before + kOutputStep, [&](char* to, size_t) {
      stream.next_out = reinterpret_cast<Bytef*>(to + before);
      stream.avail_out = kOutputStep;
      status = inflate(&stream, Z_NO_FLUSH);
      return before + kOutputStep - stream.avail_out;
    });
    bytes.remove_prefix(in_step - stream.avail_in);
    state_->used += in_step - stream.avail_in;
    is_out_full = stream.avail_out == 0 && status == Z_OK;
    if (out.size() > state_->size_max) return too_large(state_->size_max);
    if (status == Z_STREAM_END) {
      state_->is_at_boundary = true;
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
      return fail(ErrorCode::InvalidArgument, "gzip: {} at byte {}",
                  stream.msg != nullptr ? stream.msg : "bad data", state_->used);
    }
  }
  return {};
}

Result<void> GunzipStream::finish() {
  if (state_->is_at_boundary) return {};
  return fail(ErrorCode::InvalidArgument, "gzip: unexpected EOF");
}

}  // namespace net
