#include "net/http_client.h"

#include "net/gzip.h"
#include "net/testing/scripted_server.h"

#include <chrono>
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <future>
#include <thread>
#include <vector>

namespace net {

namespace {

using core::ErrorCode;
using core::Result;
using testing::ScriptedPeer;
using testing::ScriptedServer;

struct Fixture {
  explicit Fixture(ClientConfig config = {}, ClientLoopOptions options = {}) {
    loop = std::move(*ClientLoop::start(options));
    auto created = HttpClient::create(*loop, std::move(config), files);
    REQUIRE_MESSAGE(created, created.error().message);
    client = std::move(*created);
  }

  std::future<Result<FetchResponse>> start(FetchRequest request) const {
    auto promise = std::make_shared<std::promise<Result<FetchResponse>>>();
    client->fetch(std::move(request), [promise](Result<FetchResponse> result) {
      promise->set_value(std::move(result));
    });
    return promise->get_future();
  }
  Result<FetchResponse> fetch(FetchRequest request) const {
    return start(std::move(request)).get();
  }
  Result<FetchResponse> get(const std::string& url) const { return fetch({.url = url}); }
  // What went wrong, without the URL in front.
  core::Error error(FetchRequest request) const {
    const std::string prefix = fmt::format("Get \"{}\": ", request.url);
    const Result<FetchResponse> result = fetch(std::move(request));
    REQUIRE_FALSE(result);
    REQUIRE_MESSAGE(result.error().message.starts_with(prefix), result.error().message);
    return {result.error().code, result.error().message.substr(prefix.size())};
  }

  core::PosixFileSystem files;
  std::unique_ptr<ClientLoop> loop;
  std::unique_ptr<HttpClient> client;
};

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// Answers every request with its own head.
void echo(ScriptedPeer& peer, int) {
  for (std::string request; !(request = peer.read_request()).empty();) peer.answer(request);
}

}  // namespace

TEST_CASE("A page is fetched, and its connection serves the next one") {
  ScriptedServer server(echo);
  const Fixture fixture;
  for (int i = 0; i < 3; ++i) {
    const Result<FetchResponse> result =
        fixture.fetch({.url = server.url("/metrics?a=b c"), .headers = {{"Accept", "text/plain"}}});
    REQUIRE_MESSAGE(result, result.error().message);
    CHECK(result->status == 200);
    CHECK(result->body.starts_with("GET /metrics?a=b%20c HTTP/1.1\r\n"));
    CHECK(contains(result->body, fmt::format("\r\nHost: 127.0.0.1:{}\r\n", server.port())));
    CHECK(contains(result->body, "\r\nAccept: text/plain\r\n"));
    CHECK(contains(result->body, "\r\nAccept-Encoding: gzip\r\n"));
    CHECK(result->wire_bytes == result->body.size());
    CHECK(result->connection_reused == (i > 0));
  }
  CHECK(server.connection_count() == 1);
}

TEST_CASE("Nobody listens: connection refused") {
  uint16_t port = 0;
  {
    port = ScriptedServer([](ScriptedPeer&, int) {}).port();
  }
  const Fixture fixture;
  const core::Error error = fixture.error({.url = fmt::format("http://127.0.0.1:{}/", port)});
  CHECK(error.code == ErrorCode::Unavailable);
  CHECK(error.message == fmt::format("dial tcp 127.0.0.1:{}: connect: connection refused", port));
}

TEST_CASE("gzip is undone") {
  const std::string text(100'000, 'x');
  ScriptedServer server([&](ScriptedPeer& peer, int) {
    peer.read_request();
    peer.answer(gzip(text), "Content-Encoding: gzip\r\n");
  });
  const Fixture fixture;
  const Result<FetchResponse> result = fixture.get(server.url());
  REQUIRE_MESSAGE(result, result.error().message);
  CHECK(result->body == text);
  CHECK(result->wire_bytes == gzip(text).size());
}

TEST_CASE("A server that does not answer in time: context deadline exceeded") {
  ScriptedServer server([](ScriptedPeer& peer, int) {
    peer.read_request();
    CHECK(peer.wait_for_end());
  });
  const Fixture fixture;
  const core::Error error = fixture.error({.url = server.url(), .timeout_ms = 50});
  CHECK(error.code == ErrorCode::Timeout);
  CHECK(error.message == "context deadline exceeded");
}

TEST_CASE("A client that goes away answers what is under way") {
  ScriptedServer server([](ScriptedPeer& peer, int) { peer.wait_for_end(); });
  Fixture fixture({}, {.in_flight_max = 2});
  std::vector<std::future<Result<FetchResponse>>> results;
  for (int i = 0; i < 5; ++i) results.push_back(fixture.start({.url = server.url()}));
  fixture.client.reset();
  for (auto& result : results) {
    const Result<FetchResponse> outcome = result.get();
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().code == ErrorCode::Unavailable);
  }
}

}  // namespace net
