#include "net/http_client.h"

#include "net/gzip.h"
#include "net/testing/client_fixture.h"
#include "net/testing/scripted_server.h"

#include <chrono>
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

namespace net {

namespace {

using core::ErrorCode;
using core::Result;
using testing::ScriptedPeer;
using testing::ScriptedServer;

using Fixture = testing::ClientFixture;

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

TEST_CASE("A prepared request is the same request, again and again") {
  ScriptedServer server(echo);
  ClientConfig with_header;
  with_header.headers.emplace_back().name = "X-Added";
  with_header.headers.back().values = {"1"};
  const Fixture plain;
  const Fixture adding(with_header);
  const Headers headers = {{"Accept", "text/plain"}, {"X-One", "two"}};
  const auto shared = std::make_shared<const Headers>(headers);
  for (const std::string path : {"/metrics?a=b c", "/other"}) {
    const auto prepared = prepare_request(server.url(path), shared);
    for (const Fixture* fixture : {&plain, &adding, &plain}) {
      const Result<FetchResponse> once =
          fixture->fetch({.url = server.url(path), .headers = headers});
      const Result<FetchResponse> again = fixture->fetch({.prepared = prepared});
      REQUIRE_MESSAGE(once, once.error().message);
      REQUIRE_MESSAGE(again, again.error().message);
      CHECK(again->body == once->body);
      CHECK(contains(again->body, "\r\nX-Added: 1\r\n") == (fixture == &adding));
      CHECK(again->connection_reused);
    }
  }
  CHECK(server.connection_count() == 2);  // one of each client loop
}

TEST_CASE("A prepared request that cannot be sent is an error of its fetch") {
  const Fixture fixture;
  const auto none = std::make_shared<const Headers>();
  const auto bad_url = prepare_request("ftp://x/", none);
  CHECK(fixture.error({.prepared = bad_url}).message == fixture.error({.url = "ftp://x/"}).message);
  const auto forged = std::make_shared<const Headers>(Headers{{"A", "b\r\nC: d"}});
  const auto bad_header = prepare_request("http://127.0.0.1:1/", forged);
  CHECK(fixture.error({.prepared = bad_header}).message ==
        fixture.error({.url = "http://127.0.0.1:1/", .headers = *forged}).message);
  CHECK(fixture.error({.prepared = bad_header}).code == ErrorCode::InvalidArgument);
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
  fixture.close();
  for (auto& result : results) {
    const Result<FetchResponse> outcome = result.get();
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().code == ErrorCode::Unavailable);
  }
}

TEST_CASE("What servers do wrong is told apart") {
  const Fixture fixture;
  const auto error_of = [&](const ScriptedServer::Script& script, uint64_t size_max = 1000) {
    ScriptedServer server([&](ScriptedPeer& peer, int index) {
      peer.read_request();
      script(peer, index);
    });
    const core::Error error = fixture.error({.url = server.url(), .body_size_max = size_max});
    CHECK(server.connection_count() == 1);
    return error;
  };
  const auto sends = [&](std::string bytes) {
    return error_of([bytes = std::move(bytes)](ScriptedPeer& peer, int) { peer.send(bytes); });
  };
  CHECK(sends("").message == "EOF");
  CHECK(sends("HTTP/1.1 200 OK\r\nX").message == "unexpected EOF");
  const core::Error cut = sends("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort");
  CHECK(cut.message == "unexpected EOF");
  CHECK(cut.code == ErrorCode::Unavailable);
  CHECK(sends("SSH-2.0-OpenSSH_9.2\r\n").message ==
        "malformed HTTP response \"SSH-2.0-OpenSSH_9.2\\x0d\\x0a\"");
  const core::Error chunk = sends("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n");
  CHECK(chunk.code == ErrorCode::InvalidArgument);
  CHECK(chunk.message == "chunked body: expected a chunk size in hex");
  CHECK(sends("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n").code == ErrorCode::TooLarge);
  const core::Error reset = error_of([](ScriptedPeer& peer, int) {
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
    peer.reset();
  });
  CHECK(reset.code == ErrorCode::Unavailable);
  CHECK(reset.message == "read: connection reset by peer");
  const core::Error endless = error_of([](ScriptedPeer& peer, int) {
    peer.send("HTTP/1.1 200 OK\r\n\r\n");
    while (peer.send(std::string(1000, 'x'))) {
    }
  });
  CHECK(endless.code == ErrorCode::TooLarge);
  const core::Error bomb = error_of([](ScriptedPeer& peer, int) {
    peer.answer(gzip(std::string(1 << 18, 'x')), "Content-Encoding: gzip\r\n");
  });
  CHECK(bomb.code == ErrorCode::TooLarge);
  CHECK(error_of([](ScriptedPeer& peer, int) {
          peer.answer("no", "Content-Encoding: gzip\r\n");
        }).code == ErrorCode::InvalidArgument);
}

TEST_CASE("A slow body ends with the request's time, whatever still drips in") {
  ScriptedServer server([](ScriptedPeer& peer, int) {
    peer.read_request();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    while (peer.send("x")) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  });
  const Fixture fixture;
  const core::Error error = fixture.error({.url = server.url(), .timeout_ms = 60});
  CHECK(error.code == ErrorCode::Timeout);
  CHECK(error.message == "context deadline exceeded");
}

TEST_CASE("Bodies in chunks, until the end, large, and behind interim answers") {
  const std::string large(3'000'000, 'l');
  ScriptedServer server([&](ScriptedPeer& peer, int) {
    for (std::string request; !(request = peer.read_request()).empty();) {
      if (contains(request, "/chunked ")) {
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
        peer.send("2\r\nde\r\n0\r\n\r\n");
      } else if (contains(request, "/large ")) {
        peer.answer(large);
      } else if (contains(request, "/interim ")) {
        peer.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n");
        peer.answer("after");
      } else {
        peer.send("HTTP/1.1 200 OK\r\n\r\nall of it");
        return;
      }
    }
  });
  const Fixture fixture;
  CHECK(fixture.get(server.url("/chunked"))->body == "abcde");
  CHECK(fixture.get(server.url("/large"))->body == large);
  CHECK(fixture.get(server.url("/interim"))->body == "after");
  CHECK(server.connection_count() == 1);
  CHECK(fixture.get(server.url("/end"))->body == "all of it");
  CHECK(fixture.get(server.url("/chunked"))->body == "abcde");
  CHECK(server.connection_count() == 2);
}

TEST_CASE("A kept connection that its server has closed costs no answer") {
  ScriptedServer server([&](ScriptedPeer& peer, int index) {
    peer.read_request();
    peer.answer("one");
    if (index == 0) {
      peer.read_request();  // takes the second request and goes away without a word
      return;
    }
    peer.wait_for_end();
  });
  const Fixture fixture;
  REQUIRE(fixture.get(server.url()));
  const Result<FetchResponse> second = fixture.get(server.url());
  REQUIRE_MESSAGE(second, second.error().message);
  CHECK_FALSE(second->connection_reused);
  CHECK(server.connection_count() == 2);
}

TEST_CASE("An answer that broke off is not asked for again") {
  ScriptedServer server([&](ScriptedPeer& peer, int) {
    peer.read_request();
    peer.answer("one");
    peer.read_request();
    peer.send("HTTP/1.1 200 OK\r\nContent-Le");
  });
  const Fixture fixture;
  REQUIRE(fixture.get(server.url()));
  CHECK(fixture.error({.url = server.url()}).message == "unexpected EOF");
  CHECK(server.connection_count() == 1);
}

TEST_CASE("A connection with something unasked in it is not used again") {
  std::promise<void> sent;
  ScriptedServer server([&](ScriptedPeer& peer, int index) {
    peer.read_request();
    peer.answer("one");
    if (index == 0) {
      peer.send("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
      sent.set_value();
    }
    peer.wait_for_end();
  });
  const Fixture fixture;
  REQUIRE(fixture.get(server.url()));
  sent.get_future().get();
  const Result<FetchResponse> second = fixture.get(server.url());
  REQUIRE(second);
  CHECK(second->status == 200);
  CHECK_FALSE(second->connection_reused);
}

TEST_CASE("Requests above the bound wait in order, until their deadline") {
  std::promise<void> release;
  std::shared_future<void> released(release.get_future());
  std::mutex mutex;
  std::vector<std::string> order;
  ScriptedServer server([&](ScriptedPeer& peer, int) {
    for (std::string request; !(request = peer.read_request()).empty();) {
      {
        const std::lock_guard lock(mutex);
        order.push_back(request.substr(4, 2));
      }
      if (request.starts_with("GET /0")) released.wait();
      peer.answer("ok");
    }
  });
  const Fixture fixture({}, {.in_flight_max = 1});
  std::vector<std::future<Result<FetchResponse>>> results;
  for (int i = 0; i < 4; ++i) {
    results.push_back(fixture.start(
        {.url = server.url("/" + std::to_string(i)), .timeout_ms = i == 2 ? 30 : 10'000}));
  }
  const Result<FetchResponse> late = results[2].get();
  REQUIRE_FALSE(late);
  CHECK(late.error().code == ErrorCode::Timeout);
  release.set_value();
  for (const int i : {0, 1, 3}) CHECK(results[static_cast<size_t>(i)].get());
  CHECK(order == std::vector<std::string>{"/0", "/1", "/3"});
}

TEST_CASE("Bodies beyond the memory set aside for all are refused by name") {
  ScriptedServer server([&](ScriptedPeer& peer, int) {
    peer.read_request();
    peer.answer(std::string(2 << 20, 'x'));
  });
  const Fixture fixture({}, {.in_flight_bytes_max = 1 << 20});
  const core::Error error = fixture.error({.url = server.url()});
  CHECK(error.code == ErrorCode::LimitExceeded);
  CHECK(error.message.starts_with("bodies being received fill the memory set aside for them"));
  // What it held is free again.
  ScriptedServer small([&](ScriptedPeer& peer, int) {
    peer.read_request();
    peer.answer(std::string(400'000, 'x'));
  });
  for (int i = 0; i < 5; ++i) CHECK(fixture.get(small.url()));
}

TEST_CASE("Idle connections are bounded in number and time") {
  ScriptedServer server(echo);
  {
    const Fixture fixture({}, {.idle_connections_max = 0});
    for (int i = 0; i < 3; ++i) CHECK_FALSE(fixture.get(server.url())->connection_reused);
  }
  std::promise<bool> ended;
  ScriptedServer watched([&](ScriptedPeer& peer, int) {
    peer.read_request();
    peer.answer("ok");
    ended.set_value(peer.wait_for_end());
  });
  const Fixture fixture({}, {.idle_timeout_ms = 20});
  REQUIRE(fixture.get(watched.url()));
  CHECK(ended.get_future().get());
}

TEST_CASE("Many targets at once, on two threads") {
  std::vector<std::unique_ptr<ScriptedServer>> servers;
  for (int i = 0; i < 8; ++i) servers.push_back(std::make_unique<ScriptedServer>(echo));
  const Fixture fixture({}, {.threads = 2, .in_flight_max = 16});
  std::vector<std::future<Result<FetchResponse>>> results;
  for (size_t i = 0; i < 400; ++i) {
    results.push_back(
        fixture.start({.url = servers[i % servers.size()]->url("/" + std::to_string(i))}));
  }
  for (size_t i = 0; i < results.size(); ++i) {
    const Result<FetchResponse> result = results[i].get();
    REQUIRE_MESSAGE(result, result.error().message);
    CHECK(result->body.starts_with(fmt::format("GET /{} HTTP/1.1\r\n", i)));
  }
}

TEST_CASE("URLs, names and headers that cannot be sent") {
  const Fixture fixture;
  const auto text = [&](FetchRequest request) { return fixture.error(std::move(request)).message; };
  CHECK(text({.url = "ftp://h/"}) == "parse \"ftp://h/\": unsupported protocol scheme \"ftp\"");
  ScriptedServer server(echo);
  CHECK(text({.url = server.url(), .headers = {{"A", "b\r\nC: d"}}}) ==
        "net/http: invalid header field value for \"A\"");
  CHECK(text({.url = server.url(), .headers = {{"A b", "c"}}}) ==
        "net/http: invalid header field name \"A b\"");
  const Result<FetchResponse> hidden = fixture.get("http://user:secret@127.0.0.1:x/");
  CHECK(hidden.error().message ==
        "Get \"http://user:***@127.0.0.1:x/\": parse \"http://user:***@127.0.0.1:x/\": invalid "
        "port \":x\" after host");
}

TEST_CASE("Names are looked up off the loop") {
  ScriptedServer server(echo);
  const Fixture fixture;
  const std::string url = fmt::format("http://localhost:{}/", server.port());
  std::vector<std::future<Result<FetchResponse>>> results;
  for (int i = 0; i < 10; ++i) results.push_back(fixture.start({.url = url}));
  for (auto& result : results) {
    const Result<FetchResponse> outcome = result.get();
    REQUIRE_MESSAGE(outcome, outcome.error().message);
    CHECK(contains(outcome->body, fmt::format("Host: localhost:{}", server.port())));
  }
  const core::Error error = fixture.error({.url = "http://no-such-host.invalid:9100/"});
  if (error.code == ErrorCode::Timeout) return;  // a name server that does not answer
  CHECK(error.code == ErrorCode::Unavailable);
  CHECK(error.message.starts_with("dial tcp: lookup no-such-host.invalid: "));
}

}  // namespace net
