#include "ingest/decompress.h"

#include <doctest/doctest.h>
#include <snappy.h>
#include <string>
#include <vector>
#include <zlib.h>
#include <zstd.h>

namespace ingest {
namespace {

std::string snappy_of(const std::string& text) {
  std::string out;
  snappy::Compress(text.data(), text.size(), &out);
  return out;
}

std::string zstd_of(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 1));
  return out;
}

std::string zlib_of(const std::string& text, int window_bits) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

struct Case {
  ContentEncoding encoding;
  std::string (*compress)(const std::string&);
};

const std::vector<Case>& cases() {
  static const std::vector<Case> kCases = {
      {ContentEncoding::Snappy, snappy_of},
      {ContentEncoding::Zstd, zstd_of},
      {ContentEncoding::Gzip,
       [](const std::string& text) { return zlib_of(text, MAX_WBITS + 16); }},
      {ContentEncoding::Deflate, [](const std::string& text) { return zlib_of(text, MAX_WBITS); }},
  };
  return kCases;
}

std::string mixed_text(size_t size) {
  std::string text;
  uint32_t state = 1;
  while (text.size() < size) {
    state = state * 1664525 + 1013904223;
    text += std::to_string(state) + " storm petrel ";
  }
  text.resize(size);
  return text;
}

TEST_CASE("every encoding gives back what was compressed, also empty and over several pieces") {
  for (const Case& one : cases()) {
    for (const size_t size : {size_t{0}, size_t{1}, size_t{1000}, size_t{300'000}}) {
      CAPTURE(static_cast<int>(one.encoding));
      CAPTURE(size);
      const std::string text = mixed_text(size);
      std::string out = "old content";
      const core::Result<void> result = decompress(one.encoding, one.compress(text), {}, out);
      REQUIRE_MESSAGE(result, result.error().message);
      CHECK(out == text);
    }
  }
}

TEST_CASE("an output that is used again holds the new body and nothing else") {
  for (const Case& one : cases()) {
    std::string out;
    for (size_t size = 1; size < 300; size += size / 3 + 1) {
      CAPTURE(size);
      const std::string text(size, static_cast<char>('a' + size % 26));
      REQUIRE(decompress(one.encoding, one.compress(text), Limits{}, out).has_value());
      CHECK(out == text);
    }
  }
}

TEST_CASE("a buffer that is used again gets the new size, larger or smaller") {
  for (const Case& one : cases()) {
    std::string out;
    for (const size_t size : {size_t{32'000}, size_t{32'200}, size_t{100}, size_t{70'000}}) {
      CAPTURE(static_cast<int>(one.encoding));
      CAPTURE(size);
      const std::string text = mixed_text(size);
      REQUIRE(decompress(one.encoding, one.compress(text), {}, out));
      CHECK(out == text);
    }
  }
}

TEST_CASE("a body cut at any byte is an error") {
  const std::string text = mixed_text(500);
  for (const Case& one : cases()) {
    const std::string body = one.compress(text);
    for (size_t size = 0; size < body.size(); ++size) {
      CAPTURE(static_cast<int>(one.encoding));
      CAPTURE(size);
      std::string out;
      const core::Result<void> result = decompress(one.encoding, body.substr(0, size), {}, out);
      // zstd streams have no start that could be missing from nothing.
      REQUIRE(!result);
      CHECK(result.error().code == core::ErrorCode::InvalidArgument);
    }
  }
}

TEST_CASE("output over the size limit and beyond the ratio is refused with the limit") {
  Limits limits;
  limits.decoded_size_max = 100'000;
  limits.decoded_free_size = 1'000;
  limits.decoded_ratio_max = 10;
  for (const Case& one : cases()) {
    CAPTURE(static_cast<int>(one.encoding));
    std::string out;
    const core::Result<void> large =
        decompress(one.encoding, one.compress(mixed_text(100'001)), limits, out);
    REQUIRE(!large);
    CHECK(large.error().code == core::ErrorCode::TooLarge);
    CHECK(large.error().message ==
          "the body is larger than 100000 bytes when decompressed "
          "(limits.max_decompressed_body_size)");
    const core::Result<void> bomb =
        decompress(one.encoding, one.compress(std::string(50'000, 'x')), limits, out);
    REQUIRE(!bomb);
    CHECK(bomb.error().code == core::ErrorCode::TooLarge);
    CHECK(bomb.error().message.find("to more than 10 times its size") != std::string::npos);
    CHECK(decompress(one.encoding, one.compress(std::string(1'000, 'x')), limits, out));
  }
}

TEST_CASE("a snappy block that claims a size it does not hold allocates nothing large") {
  std::string body = "\xff\xff\xff\xff\x0f";  // 4 GiB - 1
  std::string out;
  const core::Result<void> result = decompress(ContentEncoding::Snappy, body, {}, out);
  REQUIRE(!result);
  CHECK(result.error().code == core::ErrorCode::InvalidArgument);
  CHECK(result.error().message ==
        "the body claims to be a snappy block of 4294967295 bytes, which 5 bytes cannot hold");
  CHECK(out.capacity() < 1000);
}

TEST_CASE("a compressed body over its limit is refused with both sizes") {
  Limits limits;
  limits.body_size_max = 10;
  std::string out;
  const core::Result<void> result =
      decompress(ContentEncoding::Identity, "12345678901", limits, out);
  REQUIRE(!result);
  CHECK(result.error().message ==
        "a body of 11 bytes, the limit is 10 (limits.max_request_body_size)");
}

TEST_CASE("encodings are known by their names in any case, others list the accepted ones") {
  CHECK(*parse_content_encoding("") == ContentEncoding::Identity);
  CHECK(*parse_content_encoding("Snappy") == ContentEncoding::Snappy);
  CHECK(*parse_content_encoding("zstd") == ContentEncoding::Zstd);
  CHECK(*parse_content_encoding("GZIP") == ContentEncoding::Gzip);
  CHECK(*parse_content_encoding("deflate") == ContentEncoding::Deflate);
  const core::Result<ContentEncoding> other = parse_content_encoding("br");
  REQUIRE(!other);
  CHECK(other.error().code == core::ErrorCode::Unsupported);
  CHECK(other.error().message ==
        "content encoding \"br\", expected snappy, zstd, gzip, deflate or identity");
}

}  // namespace
}  // namespace ingest
