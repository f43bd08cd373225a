#include "net/http.h"

#include "net/chunked_decoder.h"
#include "net/gzip.h"
#include "net/http_response.h"
#include "net/listen_address.h"

#include <doctest/doctest.h>

namespace net {

TEST_CASE("A query string is split at & and the first =, and decoded") {
  const Params params = parse_query("match%5B%5D=up%7Ba%3D%22b%22%7D&x=1+2&flag&=v&&y=a=b");
  CHECK(params ==
        Params{{"match[]", "up{a=\"b\"}"}, {"x", "1 2"}, {"flag", ""}, {"", "v"}, {"y", "a=b"}});
}

TEST_CASE("A malformed escape stays as it is, and is an error where the query must be right") {
  CHECK(parse_query("a=%zz&b=%4") == Params{{"a", "%zz"}, {"b", "%4"}});
  const auto strict = parse_query_strict("query=%zz");
  REQUIRE_FALSE(strict);
  CHECK(strict.error().message == "invalid URL escape \"%zz\"");
  CHECK_FALSE(parse_query_strict("a=1;b=2"));
  CHECK(parse_query_strict("a=%31&b=+").value() == Params{{"a", "1"}, {"b", " "}});
}

TEST_CASE("Percent encoding and decoding are inverse for every byte") {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  CHECK(percent_decode(percent_encode(all)) == all);
  CHECK(percent_encode("a b/+~") == "a%20b%2F%2B~");
  CHECK(percent_decode("a+b") == "a+b");  // in a path a plus is a plus
}

TEST_CASE("Header names compare without case") {
  const Headers headers{{"Content-Type", "a"}, {"X-Other", "b"}};
  CHECK(find_header(headers, "content-TYPE") == "a");
  CHECK(find_header(headers, "Content") == std::nullopt);
}

TEST_CASE("Accept-Encoding is read with its weights") {
  CHECK(accepts_encoding("gzip, deflate, br", "gzip"));
  CHECK(accepts_encoding("deflate;q=1.0 , GZIP;q=0.5", "gzip"));
  CHECK(accepts_encoding("*", "br"));
  CHECK_FALSE(accepts_encoding("gzip;q=0", "gzip"));
  CHECK_FALSE(accepts_encoding("*, gzip; q=0.000", "gzip"));
  CHECK_FALSE(accepts_encoding("x-gzip", "gzip"));
  CHECK_FALSE(accepts_encoding("", "gzip"));
  CHECK_FALSE(accepts_encoding("*;q=0", "gzip"));
}

TEST_CASE("gzip round trips; damaged and oversized input is refused") {
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += std::to_string(i * 7919 % 1000);
  for (const std::string& original : {std::string(), std::string("x"), text}) {
    const std::string packed = gzip(original);
    CHECK(gunzip(packed, original.size() + 1).value() == original);
    CHECK(gunzip(packed + packed, 2 * original.size() + 1).value() == original + original);
    for (size_t cut = 0; cut < std::min<size_t>(packed.size(), 200); ++cut) {
      CAPTURE(cut);
      CHECK_FALSE(gunzip(std::string_view(packed).substr(0, cut), 1 << 20));
    }
  }
  const auto bomb = gunzip(gzip(std::string(10 << 20, 'a')), 1 << 20);
  REQUIRE_FALSE(bomb);
  CHECK(bomb.error().code == core::ErrorCode::TooLarge);
}

TEST_CASE("A chunked body is the same however the bytes arrive, and what follows is left") {
  const std::string wire =
      "5\r\nhello\r\n6;name=value\r\n world\r\n00\r\nTrailer: x\r\n\r\nGET / HTTP/1.1";
  for (size_t step = 1; step <= wire.size(); ++step) {
    CAPTURE(step);
    ChunkedDecoder decoder(100);
    std::string body;
    std::string left;
    for (size_t at = 0; at < wire.size(); at += step) {
      left += wire.substr(at, step);
      std::string_view rest(left);
      REQUIRE(decoder.feed(rest, body));
      left = std::string(rest);
    }
    CHECK(decoder.is_done());
    CHECK(body == "hello world");
    CHECK(left == "GET / HTTP/1.1");
  }
}

TEST_CASE("A chunked body that is malformed or too large is refused") {
  for (const std::string_view wire :
       {"\r\n", "x\r\n", "5\nhello\r\n", "5\r\nhelloX", "5\r\nhello\rX", "5;a\nhello",
        "fffffffffffffffff\r\n", "0\r\nTrailer\n\r\n", "-1\r\n", "0\r\n\n"}) {
    CAPTURE(wire);
    ChunkedDecoder decoder(100);
    std::string body;
    std::string_view rest(wire);
    const auto fed = decoder.feed(rest, body);
    REQUIRE_FALSE(fed);
    CHECK(fed.error().code == core::ErrorCode::InvalidArgument);
  }
  ChunkedDecoder decoder(8);
  std::string body;
  std::string_view rest("5\r\nhello\r\n4\r\n");
  const auto fed = decoder.feed(rest, body);
  REQUIRE_FALSE(fed);
  CHECK(fed.error().code == core::ErrorCode::TooLarge);
}

TEST_CASE("A response is framed with its length; line breaks cannot forge headers") {
  Response response = Response::json(200, "{}");
  response.headers.emplace_back("X-Text", "a\r\nSet-Cookie: b");
  const ResponseFrame frame = frame_response(response, {});
  CHECK(frame.head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"));
  CHECK(frame.head.find("\r\nContent-Length: 2\r\n") != std::string::npos);
  CHECK(frame.head.find("\r\nSet-Cookie") == std::string::npos);
  CHECK(frame.head.find("GMT\r\n") != std::string::npos);
  CHECK(frame.head.ends_with("\r\n\r\n"));
  CHECK(frame.body == "{}");
  CHECK(frame_response(response, {.head_only = true}).body.empty());
  const ResponseFrame none = frame_response({.status = 204}, {.keep_alive = false});
  CHECK(none.head.find("Content-Length") == std::string::npos);
  CHECK(none.head.find("Connection: close") != std::string::npos);
}

TEST_CASE("Only large text is compressed, when asked for, and never twice") {
  const Request asks{.headers = {{"Accept-Encoding", "gzip"}}};
  const auto encoding_of = [](const Request& request, Response response) {
    compress_for(request, response);
    return std::string(find_header(response.headers, "Content-Encoding").value_or("none"));
  };
  const std::string large(2000, 'x');
  CHECK(encoding_of(asks, Response::json(200, large)) == "gzip");
  CHECK(encoding_of({}, Response::json(200, large)) == "none");
  CHECK(encoding_of(asks, Response::json(200, "small")) == "none");
  Response packed = Response::text(200, large);
  packed.headers.emplace_back("Content-Encoding", "br");
  CHECK(encoding_of(asks, packed) == "br");
  Response image{.headers = {{"Content-Type", "image/png"}}, .body = large};
  CHECK(encoding_of(asks, image) == "none");
}

TEST_CASE("Listening addresses are host:port, :port and [::1]:port") {
  const auto parsed = [](std::string_view text) {
    const auto address = parse_listen_address(text);
    return address ? address->host + "|" + std::to_string(address->port) : "error";
  };
  CHECK(parsed("127.0.0.1:9090") == "127.0.0.1|9090");
  CHECK(parsed("localhost:0") == "localhost|0");
  CHECK(parsed(":9090") == "|9090");
  CHECK(parsed("[::1]:65535") == "::1|65535");
  for (const std::string_view bad : {"", "9090", "host", "host:", "::1:9090", "[::1:9090", "[]:1",
                                     "host:65536", "host:-1", "host:9x"}) {
    CAPTURE(bad);
    CHECK(parsed(bad) == "error");
  }
}

}  // namespace net
