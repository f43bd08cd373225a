// Authentication, redirects and proxies of the HTTP client, against a server that shows
// what it was sent.

#include "net/client_auth.h"

#include "net/testing/client_fixture.h"
#include "net/testing/scripted_server.h"

#include <atomic>
#include <doctest/doctest.h>
#include <filesystem>
#include <fmt/format.h>
#include <mutex>
#include <unistd.h>
#include <vector>

namespace net {

namespace {

using core::ErrorCode;
using core::Result;
using testing::ClientFixture;
using testing::ScriptedPeer;
using testing::ScriptedServer;

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

void echo(ScriptedPeer& peer, int) {
  for (std::string request; !(request = peer.read_request()).empty();) peer.answer(request);
}

struct Folder {
  Folder() : path(fmt::format("/tmp/petrel-client-test-{}", getpid())) {
    std::filesystem::create_directories(path);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string write(const std::string& name, std::string_view text) {
    ENSURE(files.write_file_atomically(path + "/" + name, text).has_value());
    return path + "/" + name;
  }
  std::string path;
  core::PosixFileSystem files;
};

core::SecretSource secret(std::string value) {
  return {.value = core::Secret(std::move(value)), .file = {}};
}
core::SecretSource secret_file(std::string path) {
  return {.value = {}, .file = std::move(path)};
}

}  // namespace

TEST_CASE("Basic authentication, from values and from files as they are now") {
  ScriptedServer server(echo);
  ClientConfig value_config;
  value_config.basic_auth =
      BasicAuth{.username = "Aladdin", .username_file = {}, .password = secret("open sesame")};
  const ClientFixture by_value(value_config);
  CHECK(contains(by_value.get(server.url())->body,
                 "\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
  const Result<FetchResponse> own =
      by_value.fetch({.url = server.url(), .headers = {{"authorization", "Own 1"}}});
  CHECK(contains(own->body, "authorization: Own 1"));
  CHECK_FALSE(contains(own->body, "Basic"));

  Folder folder;
  ClientConfig file_config;
  file_config.basic_auth = BasicAuth{.username = {},
                                     .username_file = folder.write("user", "Aladdin\n"),
                                     .password = secret_file(folder.write("password", "old\n"))};
  const ClientFixture by_file(file_config);
  CHECK(contains(by_file.get(server.url())->body, basic_credentials("Aladdin", "old")));
  folder.write("password", " new \n");
  CHECK(contains(by_file.get(server.url())->body, basic_credentials("Aladdin", "new")));
  std::filesystem::remove(folder.path + "/password");
  CHECK(contains(by_file.error({.url = server.url()}).message,
                 "unable to read basic auth password: unable to read file " + folder.path));
}

TEST_CASE("Authorization of any type, users in URLs, headers with secrets") {
  ScriptedServer server(echo);
  Folder folder;
  ClientConfig config;
  config.authorization = Authorization{.type = "Bearer", .credentials = secret("t0ken")};
  config.headers.push_back({.name = "X-Many",
                            .values = {"one", "two"},
                            .secrets = {core::Secret("three")},
                            .files = {folder.write("four", "four\n")}});
  const ClientFixture fixture(config);
  const std::string seen = fixture.get(server.url())->body;
  CHECK(contains(seen, "\r\nAuthorization: Bearer t0ken\r\n"));
  CHECK(contains(seen, "X-Many: one\r\nX-Many: two\r\n"));
  CHECK(contains(seen, "X-Many: three\r\nX-Many: four\r\n"));

  const ClientFixture plain;
  const std::string url = fmt::format("http://Aladdin:open%20sesame@127.0.0.1:{}/", server.port());
  CHECK(contains(plain.get(url)->body, "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
}

TEST_CASE("Redirects are followed; credentials stay with their host") {
  ScriptedServer server([&](ScriptedPeer& peer, int) {
    for (std::string request; !(request = peer.read_request()).empty();) {
      const auto redirect = [&](const std::string& to) {
        peer.answer("moved", "Location: " + to + "\r\n", "302 Found");
      };
      if (request.starts_with("GET /relative ")) {
        redirect("other?x");
      } else if (request.starts_with("GET /loop ")) {
        redirect("/loop");
      } else if (request.starts_with("GET /away ")) {
        redirect(fmt::format("http://localhost:{}/there", peer.local_port()));
      } else if (request.starts_with("GET /nowhere ")) {
        peer.answer("no location", {}, "302 Found");
      } else {
        peer.answer(request);
      }
    }
  });
  ClientConfig config;
  config.authorization = Authorization{.type = "Bearer", .credentials = secret("t0ken")};
  config.headers.push_back(
      {.name = "X-Key", .values = {"public"}, .secrets = {core::Secret("private")}, .files = {}});
  const ClientFixture fixture(config);
  const std::string near = fixture.get(server.url("/relative"))->body;
  CHECK(near.starts_with("GET /other?x HTTP/1.1"));
  CHECK(contains(near, "Bearer t0ken"));
  CHECK(contains(near, "X-Key: private"));
  CHECK(contains(near, fmt::format("Referer: {}\r\n", server.url("/relative"))));
  const Result<FetchResponse> away =
      fixture.fetch({.url = server.url("/away"), .headers = {{"Cookie", "c"}, {"A", "b"}}});
  REQUIRE_MESSAGE(away, away.error().message);
  CHECK(away->body.starts_with("GET /there HTTP/1.1"));
  CHECK(contains(away->body, "X-Key: public"));
  CHECK(contains(away->body, "A: b"));
  CHECK_FALSE(contains(away->body, "t0ken"));
  CHECK_FALSE(contains(away->body, "private"));
  CHECK_FALSE(contains(away->body, "Cookie"));
  CHECK(fixture.error({.url = server.url("/loop")}).message == "stopped after 10 redirects");
  CHECK(fixture.get(server.url("/nowhere"))->status == 302);
  config.follow_redirects = false;
  CHECK(ClientFixture(config).get(server.url("/relative"))->body == "moved");
}

TEST_CASE("OAuth2: one token for all, kept until it ends, never in an error") {
  std::atomic<int> tokens = 0;
  std::atomic<bool> wants_body = false;
  std::mutex mutex;
  std::string last;
  ScriptedServer tokens_server([&](ScriptedPeer& peer, int) {
    for (std::string request; !(request = peer.read_request()).empty();) {
      const bool in_body = contains(request, "client_secret=s3cret");
      {
        const std::lock_guard lock(mutex);
        last = request;
      }
      if (wants_body != in_body) {
        peer.answer(R"({"error":"invalid_client"})", {}, "401 Unauthorized");
        continue;
      }
      const int token = ++tokens;
      peer.answer(fmt::format(R"({{"access_token":"t{}","token_type":"bearer","expires_in":{}}})",
                              token, token < 3 ? 3600 : 5));
    }
  });
  ScriptedServer server(echo);
  ClientConfig config;
  config.oauth2 = OAuth2{.client_id = "me",
                         .client_secret = secret("s3cret"),
                         .token_url = tokens_server.url("/token"),
                         .scopes = {"a", "b"},
                         .endpoint_params = {{"audience", "x y"}},
                         .tls = {},
                         .proxy = {}};
  const ClientFixture fixture(config);
  std::vector<std::future<Result<FetchResponse>>> results;
  for (int i = 0; i < 10; ++i) results.push_back(fixture.start({.url = server.url()}));
  for (auto& result : results) {
    const Result<FetchResponse> outcome = result.get();
    REQUIRE_MESSAGE(outcome, outcome.error().message);
    CHECK(contains(outcome->body, "\r\nAuthorization: Bearer t1\r\n"));
  }
  CHECK(tokens == 1);
  CHECK(contains(last, "POST /token HTTP/1.1"));
  CHECK(contains(last, "Authorization: " + basic_credentials("me", "s3cret")));
  CHECK(last.ends_with("\r\n\r\ngrant_type=client_credentials&scope=a%20b&audience=x%20y"));

  wants_body = true;
  const ClientFixture other(config);
  CHECK(contains(other.get(server.url())->body, "Bearer t2"));
  CHECK(last.ends_with("&client_id=me&client_secret=s3cret"));
  // Shorter than the margin: asked for again each time.
  const ClientFixture brief(config);
  CHECK(contains(brief.get(server.url())->body, "Bearer t3"));
  CHECK(contains(brief.get(server.url())->body, "Bearer t4"));

  config.oauth2->client_secret = secret("wr0ng");
  const core::Error error = ClientFixture(config).error({.url = server.url()});
  CHECK(error.code == ErrorCode::Unauthenticated);
  CHECK(error.message ==
        "oauth2: cannot fetch token: the token's server answered 401: invalid_client");
}

TEST_CASE("Through a proxy: the whole URL, its password for the proxy alone") {
  ScriptedServer proxy(echo);
  ClientConfig config;
  config.proxy.url = fmt::format("http://user:pass@127.0.0.1:{}", proxy.port());
  const ClientFixture fixture(config);
  const std::string seen = fixture.get("http://far.example:9100/metrics?a=b")->body;
  CHECK(seen.starts_with("GET http://far.example:9100/metrics?a=b HTTP/1.1\r\n"));
  CHECK(contains(seen, "\r\nHost: far.example:9100\r\n"));
  CHECK(contains(seen, "\r\nProxy-Authorization: " + basic_credentials("user", "pass")));
  CHECK(fixture.get("http://other.example/")->connection_reused);

  config.proxy.url = "http://127.0.0.1:1";
  const core::Error error = ClientFixture(config).error({.url = "http://far.example/"});
  CHECK(error.message ==
        "proxyconnect 127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused");
}

}  // namespace net
