#include "net/http_server.h"

#include "core/thread_pool.h"
#include "net/curl_transport.h"
#include "net/gzip.h"
#include "net/testing/raw_client.h"

#include <atomic>
#include <doctest/doctest.h>
#include <future>
#include <latch>
#include <stdexcept>
#include <thread>
#include <unistd.h>
#include <vector>

namespace net {

namespace {

using testing::RawClient;

// Tells what it was asked.
Response echo(const Request& request) {
  if (request.path == "/throw") throw std::runtime_error("a bug");
  if (request.path == "/large") return Response::text(200, std::string(5000, 'l'));
  if (request.path == "/none") return {.status = 204};
  return Response::text(200, request.method + " " + request.path + " ?" + request.query + " " +
                                 std::to_string(request.body.size()) + ":" +
                                 request.body.substr(0, 40));
}

struct Fixture {
  explicit Fixture(HttpServerOptions options = {}, HttpServer::Handler handler = echo,
                   core::ThreadPoolOptions pool_options = {.name = "test", .threads = 2})
      : pool(pool_options) {
    options.listen_address = "127.0.0.1:0";
    auto started = HttpServer::start(options, pool, std::move(handler));
    REQUIRE_MESSAGE(started, started.error().message);
    server = std::move(*started);
  }

  uint16_t port() const { return server->port(); }
  // The whole exchange on a connection of its own.
  std::string exchange(std::string_view request) const {
    RawClient client(port());
    client.send(request);
    return client.read_to_end();
  }

  core::ThreadPool pool;
  std::unique_ptr<HttpServer> server;
};

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("The server keeps connections and answers pipelined requests in order") {
  Fixture fixture({.io_threads = 2});
  RawClient client(fixture.port());
  REQUIRE(client.send("GET /a?x=%20y HTTP/1.1\r\nHost: h\r\n\r\n"));
  CHECK(contains(client.read_response(), "GET /a ?x=%20y 0:"));

  std::string many;
  for (int i = 0; i < 50; ++i) {
    many += "POST /p" + std::to_string(i) + " HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
  }
  REQUIRE(client.send(many));
  for (int i = 0; i < 50; ++i) {
    CAPTURE(i);
    CHECK(contains(client.read_response(), "POST /p" + std::to_string(i) + " ? 3:abc"));
  }
}

TEST_CASE("A request cut anywhere into two packets is understood") {
  Fixture fixture;
  const std::string wire = "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello";
  RawClient client(fixture.port());
  for (size_t cut = 1; cut < wire.size(); ++cut) {
    CAPTURE(cut);
    REQUIRE(client.send(wire.substr(0, cut)));
    REQUIRE(client.send(wire.substr(cut)));
    REQUIRE(contains(client.read_response(), "POST /p ? 5:hello"));
  }
}

TEST_CASE("A body beyond the budget is answered 503 instead of being read; small ones are read") {
  core::ByteBudget budget(1 << 20);
  core::HeldBytes others(&budget);
  others.grow(1 << 20);
  size_t refused_size = 0;
  Fixture fixture({.body_budget = &budget, .on_body_refused = [&](size_t size) {
                     refused_size = size;
                     return std::string("wait");
                   }});
  const std::string body(100'000, 'b');
  const std::string sized = "POST /p HTTP/1.1\r\nContent-Length: 100000\r\n\r\n" + body;
  const std::string chunked =
      "POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n" + body + "\r\n0\r\n\r\n";
  for (const std::string& request : {sized, chunked}) {
    const std::string answer = fixture.exchange(request);
    CHECK(contains(answer, "HTTP/1.1 503 "));
    CHECK(contains(answer, "Retry-After: 1\r\n"));
    CHECK(contains(answer, "wait"));
    CHECK(budget.used() == 1 << 20);
  }
  CHECK(refused_size > 64 << 10);
  RawClient client(fixture.port());
  REQUIRE(client.send("POST /p HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"));
  CHECK(contains(client.read_response(), "3:abc"));
  others.release();
  for (const std::string& request : {sized, chunked}) {
    REQUIRE(client.send(request));
    CHECK(contains(client.read_response(), "POST /p ? 100000:bbb"));
    CHECK(budget.used() == 0);
  }
}

TEST_CASE("Large bodies arrive whole, by length and in chunks") {
  Fixture fixture({.body_size_max = 32 << 20});
  const std::string body(5'000'000, 'b');
  RawClient client(fixture.port());
  REQUIRE(client.send("POST / HTTP/1.1\r\nContent-Length: 5000000\r\n\r\n" + body));
  CHECK(contains(client.read_response(), "5000000:bbb"));
  REQUIRE(client.send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4c4b40\r\n" + body +
                      "\r\n3\r\nend\r\n0\r\n\r\nGET /next HTTP/1.1\r\n\r\n"));
  CHECK(contains(client.read_response(), "5000003:bbb"));
  CHECK(contains(client.read_response(), "GET /next"));
}

TEST_CASE("Expect: 100-continue is answered before the body is sent") {
  Fixture fixture;
  RawClient client(fixture.port());
  REQUIRE(client.send("POST /p HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"));
  CHECK(client.read_response() == "HTTP/1.1 100 Continue\r\n\r\n");
  REQUIRE(client.send("ok"));
  CHECK(contains(client.read_response(), "POST /p ? 2:ok"));
}

TEST_CASE("HEAD has the length but no body; 204 has neither") {
  Fixture fixture;
  RawClient client(fixture.port());
  REQUIRE(
      client.send("HEAD /large HTTP/1.1\r\n\r\nGET /none HTTP/1.1\r\n\r\nGET /x HTTP/1.1\r\n\r\n"));
  const std::string head = client.read_response(false);
  CHECK(contains(head, "Content-Length: 5000\r\n"));
  CHECK(client.read_response().starts_with("HTTP/1.1 204 No Content\r\n"));
  CHECK(contains(client.read_response(), "GET /x"));
}

TEST_CASE("HTTP/1.0 and Connection: close end the connection after the answer") {
  Fixture fixture;
  CHECK(contains(fixture.exchange("GET /a HTTP/1.0\r\n\r\n"), "Connection: close"));
  CHECK(contains(fixture.exchange("GET /a HTTP/1.1\r\nConnection: close\r\n\r\n"), "GET /a"));
}

TEST_CASE("Heads and bodies over their limits are refused before they are read") {
  Fixture fixture({.body_size_max = 1000});
  CHECK(fixture.exchange("GET / HTTP/1.1\r\nX: " + std::string(200 << 10, 'x') + "\r\n\r\n")
            .starts_with("HTTP/1.1 431 "));
  // No byte of the body is ever sent: the announced length is enough.
  CHECK(fixture.exchange("POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n")
            .starts_with("HTTP/1.1 413 "));
  CHECK(fixture.exchange("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n")
            .starts_with("HTTP/1.1 413 "));
}

TEST_CASE("What is not HTTP is refused, and the server goes on") {
  Fixture fixture;
  for (const std::string_view wire :
       {"\x16\x03\x01\x02", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\nbad\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "GET nowhere HTTP/1.1\r\n\r\n"}) {
    CAPTURE(wire);
    const std::string answer = fixture.exchange(std::string(wire) + "\r\n\r\n");
    CHECK(answer.starts_with("HTTP/1.1 400 "));
  }
  CHECK(contains(fixture.exchange("GET /a HTTP/1.0\r\n\r\n"), "GET /a"));
}

TEST_CASE("A handler that throws answers 500") {
  Fixture fixture;
  CHECK(fixture.exchange("GET /throw HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 500 "));
}

TEST_CASE("Large answers are compressed for those who accept it") {
  Fixture fixture;
  RawClient client(fixture.port());
  REQUIRE(client.send("GET /large HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n"));
  const std::string answer = client.read_response();
  CHECK(contains(answer, "Content-Encoding: gzip"));
  const std::string body = answer.substr(answer.find("\r\n\r\n") + 4);
  CHECK(gunzip(body, 10'000).value() == std::string(5000, 'l'));
}

TEST_CASE("A full worker queue answers 503 with Retry-After and keeps the connection") {
  std::latch busy(1);
  std::latch release(1);
  Fixture fixture({},
                  [&](const Request& request) {
                    if (request.path == "/block") {
                      busy.count_down();
                      release.wait();
                    }
                    return Response::text(200, "done");
                  },
                  {.name = "test", .threads = 1, .queue_max = 1});
  RawClient blocking(fixture.port());
  REQUIRE(blocking.send("GET /block HTTP/1.1\r\n\r\n"));
  busy.wait();
  REQUIRE(fixture.pool.post([] {}));  // fills the queue
  RawClient refused(fixture.port());
  REQUIRE(refused.send("GET /a HTTP/1.1\r\n\r\n"));
  const std::string answer = refused.read_response();
  CHECK(answer.starts_with("HTTP/1.1 503 "));
  CHECK(contains(answer, "Retry-After: 1\r\n"));
  release.count_down();
  CHECK(contains(blocking.read_response(), "done"));
  while (fixture.pool.waiting() > 0) std::this_thread::yield();
  REQUIRE(refused.send("GET /a HTTP/1.1\r\n\r\n"));
  CHECK(contains(refused.read_response(), "done"));
}

TEST_CASE("Requests of one kind cannot take the workers of another") {
  core::ThreadPool slow({.name = "slow", .threads = 1, .queue_max = 1});
  std::latch busy(1);
  std::latch release(1);
  Fixture fixture({.executor_for = [&](const Request& request) -> core::Executor* {
                    return request.path == "/slow" ? &slow : nullptr;
                  }},
                  [&](const Request& request) {
                    if (request.path == "/slow") {
                      busy.count_down();
                      release.wait();
                    }
                    return Response::text(200, "done");
                  });
  RawClient running(fixture.port());
  REQUIRE(running.send("GET /slow HTTP/1.1\r\n\r\n"));
  busy.wait();
  REQUIRE(slow.post([] {}));  // fills its queue
  CHECK(fixture.exchange("GET /slow HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 503 "));
  CHECK(contains(fixture.exchange("GET /quick HTTP/1.0\r\n\r\n"), "done"));
  release.count_down();
  CHECK(contains(running.read_response(), "done"));
  fixture.server->stop(60'000);  // before the pool it borrows goes
}

TEST_CASE("Connections above the limit are told so and closed") {
  Fixture fixture({.connections_max = 1});
  RawClient first(fixture.port());
  REQUIRE(first.send("GET /a HTTP/1.1\r\n\r\n"));
  REQUIRE(contains(first.read_response(), "GET /a"));
  RawClient second(fixture.port());
  CHECK(second.read_to_end().starts_with("HTTP/1.1 503 "));
  REQUIRE(first.send("GET /b HTTP/1.1\r\n\r\n"));
  CHECK(contains(first.read_response(), "GET /b"));
}

TEST_CASE("Connections that send nothing, or too slowly, are closed after the read timeout") {
  Fixture fixture({.read_timeout_ms = 40});
  RawClient idle(fixture.port());
  RawClient slow_head(fixture.port());
  RawClient slow_body(fixture.port());
  REQUIRE(slow_head.send("GET / HT"));
  REQUIRE(slow_body.send("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc"));
  CHECK(idle.read_to_end().empty());
  CHECK(slow_head.read_to_end().empty());
  CHECK(slow_body.read_to_end().empty());
}

TEST_CASE("Stopping lets the request in flight finish and closes idle connections") {
  std::latch busy(1);
  std::latch release(1);
  Fixture fixture({.io_threads = 2}, [&](const Request&) {
    busy.count_down();
    release.wait();
    return Response::text(200, "finished");
  });
  RawClient idle(fixture.port());
  RawClient active(fixture.port());
  REQUIRE(active.send("GET /a HTTP/1.1\r\n\r\n"));
  busy.wait();
  std::thread stopper([&] { fixture.server->stop(60'000); });
  CHECK(idle.read_to_end().empty());  // returns once the server has closed it
  release.count_down();
  const std::string answer = active.read_to_end();
  CHECK(contains(answer, "finished"));
  CHECK(contains(answer, "Connection: close"));
  stopper.join();
  CHECK_FALSE(RawClient(fixture.port()).is_connected());
}

TEST_CASE("After the grace time connections are closed under a handler that still runs") {
  std::latch busy(1);
  std::latch release(1);
  Fixture fixture({}, [&](const Request&) {
    busy.count_down();
    release.wait();
    return Response::text(200, "late");
  });
  RawClient active(fixture.port());
  REQUIRE(active.send("GET /a HTTP/1.1\r\n\r\n"));
  busy.wait();
  std::thread stopper([&] { fixture.server->stop(1); });
  CHECK(active.read_to_end().empty());
  release.count_down();
  stopper.join();
}

TEST_CASE("A port in use is reported with the process that holds it and another to try") {
  Fixture fixture;
  core::ThreadPool pool({.threads = 1});
  const std::string address = "127.0.0.1:" + std::to_string(fixture.port());
  const auto second = HttpServer::start({.listen_address = address}, pool, echo);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == core::ErrorCode::Conflict);
  CAPTURE(second.error().message);
  CHECK(contains(second.error().message, address));
  CHECK(contains(second.error().message, "process " + std::to_string(getpid())));
  CHECK(contains(second.error().message, "--web.listen-address=127.0.0.1:9590"));
}

TEST_CASE("An address that cannot be listened on is an error") {
  core::ThreadPool pool({.threads = 1});
  CHECK_FALSE(HttpServer::start({.listen_address = "nowhere"}, pool, echo));
  CHECK_FALSE(HttpServer::start({.listen_address = "192.0.2.1:0"}, pool, echo));
}

TEST_CASE("Many clients at once get their own answers") {
  Fixture fixture({.io_threads = 2});
  std::atomic<int> wrong = 0;
  std::vector<std::thread> clients;
  for (int c = 0; c < 8; ++c) {
    clients.emplace_back([&, c] {
      RawClient client(fixture.port());
      for (int i = 0; i < 100; ++i) {
        const std::string path = "/" + std::to_string(c) + "-" + std::to_string(i);
        client.send("GET " + path + " HTTP/1.1\r\n\r\n");
        if (!contains(client.read_response(), "GET " + path + " ?")) ++wrong;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  CHECK(wrong == 0);
}

namespace {

core::Result<Response> send_and_wait(CurlTransport& transport, OutgoingRequest request) {
  std::promise<core::Result<Response>> promise;
  transport.send(std::move(request),
                 [&](core::Result<Response> result) { promise.set_value(std::move(result)); });
  return promise.get_future().get();
}

}  // namespace

TEST_CASE("The curl transport sends method, headers and body and gives back any status") {
  Fixture fixture({}, [](const Request& request) {
    Response response = Response::text(request.path == "/moved" ? 302 : 418,
                                       request.method + " " + request.body + " " +
                                           std::string(request.header("X-Key").value_or("-")));
    response.headers.emplace_back("Location", "/elsewhere");
    return response;
  });
  const std::string base = "http://127.0.0.1:" + std::to_string(fixture.port());
  auto transport = CurlTransport::start().value();
  const auto posted = send_and_wait(
      *transport,
      {.method = "POST", .url = base + "/hook", .headers = {{"X-Key", "k"}}, .body = "page"});
  REQUIRE_MESSAGE(posted, posted.error().message);
  CHECK(posted->status == 418);
  CHECK(posted->body == "POST page k");
  CHECK(find_header(posted->headers, "content-type") == "text/plain; charset=utf-8");
  const auto moved = send_and_wait(*transport, {.url = base + "/moved"});
  REQUIRE(moved);
  CHECK(moved->status == 302);  // not followed
  CHECK(send_and_wait(*transport, {.method = "DELETE", .url = base}).value().body == "DELETE  -");
  CHECK(send_and_wait(*transport, {.method = "HEAD", .url = base}).value().body.empty());
}

TEST_CASE("The curl transport tells apart what went wrong") {
  std::latch release(1);
  Fixture fixture({}, [&](const Request& request) {
    if (request.path == "/slow") release.wait();
    return Response::text(200, std::string(5000, 'x'));
  });
  const std::string base = "http://127.0.0.1:" + std::to_string(fixture.port());
  auto transport = CurlTransport::start({.in_flight_max = 1}).value();
  const auto code_of = [&](OutgoingRequest request) {
    const auto result = send_and_wait(*transport, std::move(request));
    return result ? core::ErrorCode::Internal : result.error().code;
  };
  CHECK(code_of({.url = "http://127.0.0.1:1/"}) == core::ErrorCode::Unavailable);
  CHECK(code_of({.url = "file:///etc/hostname"}) == core::ErrorCode::InvalidArgument);
  CHECK(code_of({.url = "http://[bad"}) == core::ErrorCode::InvalidArgument);
  CHECK(code_of({.url = base, .headers = {{"A", "b\r\nC: d"}}}) ==
        core::ErrorCode::InvalidArgument);
  CHECK(code_of({.url = base, .response_size_max = 100}) == core::ErrorCode::TooLarge);
  CHECK(code_of({.url = base + "/slow", .timeout_ms = 30}) == core::ErrorCode::Timeout);

  std::promise<core::ErrorCode> ended;
  transport->send(
      {.url = base + "/slow", .timeout_ms = 60'000},
      [&](const core::Result<Response>& result) { ended.set_value(result.error().code); });
  CHECK(code_of({.url = base}) == core::ErrorCode::LimitExceeded);
  transport.reset();  // ends what is in flight
  CHECK(ended.get_future().get() == core::ErrorCode::Cancelled);
  release.count_down();
}

}  // namespace net
