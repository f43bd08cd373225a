#include "app/http_guard.h"

#include <doctest/doctest.h>

namespace app {
namespace {

int status(const HttpGuard& guard, const char* method, const char* path, const char* host,
           const char* origin = nullptr) {
  net::Request request;
  request.method = method;
  request.path = path;
  request.headers = {{"Host", host}};
  if (origin != nullptr) request.headers.emplace_back("Origin", origin);
  const auto refused = guard.refuse(request);
  return refused ? refused->status : 200;
}

TEST_CASE("a foreign name that points to loopback is refused") {
  const HttpGuard guard(
      {.allowed_hosts = {"Petrel.example"}, .external_url = "https://mon.example/x"});
  CHECK(status(guard, "GET", "/", "evil.example:9090") == 421);
  CHECK(status(guard, "GET", "/", "") == 421);
  for (const char* host : {"127.0.0.1:9090", "localhost:9090", "[::1]:9090", "10.1.2.3:9090",
                           "petrel.example", "PETREL.example:9090", "mon.example"}) {
    CAPTURE(host);
    CHECK(status(guard, "GET", "/", host) == 200);
  }
}

TEST_CASE("a foreign page may read but not change") {
  const HttpGuard guard({});
  const char* host = "127.0.0.1:9090";
  CHECK(status(guard, "POST", "/api/v1/write", host, "https://evil.example") == 403);
  CHECK(status(guard, "POST", "/-/reload", host, "null") == 403);
  CHECK(status(guard, "POST", "/api/v1/query_range", host, "https://grafana.example") == 200);
  CHECK(status(guard, "POST", "/-/reload", host, "http://127.0.0.1:9090") == 200);
  CHECK(status(guard, "POST", "/api/v1/write", host) == 200);
}

TEST_CASE("listening beyond loopback needs the waiver") {
  for (const char* address :
       {":9090", "0.0.0.0:9090", "[::]:9090", "192.0.2.1:9090", "web1:9090"}) {
    CAPTURE(address);
    CHECK_FALSE(check_listen_address(address, false));
    CHECK(check_listen_address(address, true));
  }
  for (const char* address : {"127.0.0.1:9090", "localhost:0", "[::1]:9090", "127.8.8.8:1"}) {
    CAPTURE(address);
    CHECK(check_listen_address(address, false));
  }
}

}  // namespace
}  // namespace app
