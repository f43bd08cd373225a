#include "net/client_url.h"

#include <doctest/doctest.h>

namespace net {

TEST_CASE("URLs are taken apart") {
  const auto url = parse_client_url("HTTPS://us%20er:p%40ss@Example.org:9100/m?x=y#part");
  REQUIRE(url);
  CHECK(url->is_https);
  CHECK(url->host == "example.org");
  CHECK(url->port == 9100);
  CHECK(url->authority == "Example.org:9100");
  CHECK(url->target == "/m?x=y");
  CHECK(url->user == "us er");
  CHECK(url->password == "p@ss");
  CHECK(url->text() == "https://Example.org:9100/m?x=y");

  CHECK(parse_client_url("http://h")->target == "/");
  CHECK(parse_client_url("http://h")->port == 80);
  CHECK(parse_client_url("https://h?a=b")->target == "/?a=b");
  CHECK(parse_client_url("https://h")->port == 443);
  CHECK(parse_client_url("http://[::1]:81/")->host == "::1");
  CHECK(parse_client_url("http://[::1]:81/")->port == 81);
  CHECK(parse_client_url("http://[fe80::1]/")->authority == "[fe80::1]");
  CHECK(parse_client_url("http://h/a b\"\xC3\xA4")->target == "/a%20b%22%C3%A4");
}

TEST_CASE("URLs that nobody can fetch say why, without their password") {
  const auto error = [](const char* url) { return parse_client_url(url).error().message; };
  CHECK(error("ftp://h/") == "parse \"ftp://h/\": unsupported protocol scheme \"ftp\"");
  CHECK(error("h:80/") == "parse \"h:80/\": unsupported protocol scheme \"\"");
  CHECK(error("http:///x") == "parse \"http:///x\": http: no Host in request URL");
  CHECK(error("http://u:secret@h:x/") ==
        "parse \"http://u:***@h:x/\": invalid port \":x\" after host");
  CHECK(error("http://h:65536/") ==
        "parse \"http://h:65536/\": invalid port \":65536\" after host");
  CHECK(error("http://[::1/") == "parse \"http://[::1/\": missing ']' in host");
  CHECK(error("http://h\n/").ends_with("invalid control character in URL"));
  CHECK(error("http://a b/").ends_with("invalid character in host name"));
}

TEST_CASE("Locations are resolved as browsers do") {
  const ClientUrl base = *parse_client_url("http://h:8080/a/b/c?q=1");
  const auto to = [&](const char* location) { return resolve_location(base, location)->text(); };
  CHECK(to("d") == "http://h:8080/a/b/d");
  CHECK(to("./d/../e/") == "http://h:8080/a/b/e/");
  CHECK(to("../..") == "http://h:8080/");
  CHECK(to("../../../../x") == "http://h:8080/x");
  CHECK(to("/x?y=/../z#f") == "http://h:8080/x?y=/../z");
  CHECK(to("?z") == "http://h:8080/a/b/c?z");
  CHECK(to("") == "http://h:8080/a/b/c?q=1");
  CHECK(to("//other/x") == "http://other/x");
  CHECK(to("https://other:1/x") == "https://other:1/x");
  CHECK_FALSE(resolve_location(base, "mailto:x@y"));
}

}  // namespace net
