// One fiber per connection, on the event loop the connection was dealt to:
//
//   accept ─> head ─> body ─> executor: handler, compression ─> back to the loop ─> write
//      └───────<─────────────── keep-alive, pipelined requests ─<───────────┘
//
// Fibers have small stacks and must not meet exceptions under AddressSanitizer, so
// they only move bytes: everything that thinks runs on the executor. A connection
// belongs to its loop's thread; nothing of it is locked.

#include "net/http_server.h"

#include "core/log.h"
#include "core/metrics.h"
#include "net/chunked_decoder.h"
#include "net/http_response.h"
#include "net/listen_address.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <fmt/format.h>
#include <future>
#include <mutex>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <thread>
#include <unordered_set>
#include <vector>

namespace net {

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using core::ErrorCode;
using core::fail;
using core::Result;

// The concrete executor type: asio::any_io_executor costs a virtual call per step.
using LoopExecutor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<tcp, LoopExecutor>;
using Acceptor = asio::basic_socket_acceptor<tcp, LoopExecutor>;
using Timer =
    asio::basic_waitable_timer<std::chrono::steady_clock,
                               asio::wait_traits<std::chrono::steady_clock>, LoopExecutor>;
using Yield = asio::basic_yield_context<LoopExecutor>;
using HeadParser = http::request_parser<http::empty_body>;
using SteadyTime = std::chrono::steady_clock::time_point;

constexpr size_t kHeadStep = 8 << 10;                 // one read; nearly every head fits
constexpr uint32_t kHeadSizeMax = 128 << 10;          // long GET queries of dashboards fit
constexpr size_t kBodyStep = 1 << 20;                 // one read: large bodies in few calls
constexpr size_t kStackSize = 128 << 10;              // of a fiber
constexpr auto kHeadTime = std::chrono::seconds(10);  // first to last byte of a head
constexpr auto kTickMax = std::chrono::milliseconds(1000);
constexpr auto kTickMin = std::chrono::milliseconds(10);
constexpr auto kAcceptPause = std::chrono::milliseconds(100);  // when out of descriptors
// Bodies up to this are read whatever the budget says: those of queries and forms. All
// connections together hold little of them.
constexpr uint64_t kSmallBody = 64 << 10;
constexpr uint64_t kDrainMax = 256 << 10;  // of a refused body, so that the answer arrives
constexpr int kBacklog = 1024;

struct Shared;
struct Loop;

// What a connection waits for decides when it is given up.
struct Connection {
  Connection(Socket accepted, Loop& on) : socket(std::move(accepted)), loop(on) {}

  Socket socket;
  Loop& loop;
  std::string remote_address;
  std::string input;    // received and not yet consumed
  bool is_idle = true;  // between requests: may be closed at any time
  // A worker has the request and may write to the socket: its descriptor must stay open.
  bool is_with_worker = false;
  SteadyTime deadline = SteadyTime::max();
};

struct Loop {
  Loop() : work(asio::make_work_guard(io)), tick(io) {}

  asio::io_context io{1};
  asio::executor_work_guard<LoopExecutor> work;
  Timer tick;
  std::unordered_set<Connection*> connections;
  bool stopping = false;
  std::thread thread;
};

struct Shared {
  Shared(HttpServerOptions given, core::Executor& workers, HttpServer::Handler serve)
      : options(std::move(given)), executor(workers), handler(std::move(serve)) {}

  const HttpServerOptions options;
  core::Executor& executor;
  const HttpServer::Handler handler;
  std::atomic<uint32_t> connection_count = 0;
  std::atomic<bool> stopping = false;  // answers from now on end their connections
  std::mutex mutex;
  std::condition_variable connection_closed;
};

core::Gauge& open_connections() {
  static core::Gauge& gauge =
      core::gauge("petrel_http_connections", "Connections open on the HTTP server.");
  return gauge;
}

core::Counter& refused_connections() {
  static core::Counter& counter = core::counter("petrel_http_connections_refused_total",
                                                "Connections above --web.max-connections.");
  return counter;
}

core::Counter& refused_requests() {
  static core::Counter& counter =
      core::counter("petrel_http_requests_refused_total",
                    "Requests answered 503 because the queue of the workers was full.");
  return counter;
}

std::string address_text(const tcp::endpoint& endpoint) {
  const auto address = endpoint.address();
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    const auto mapped = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
    return fmt::format("{}:{}", mapped.to_string(), endpoint.port());
  }
  if (address.is_v6()) return fmt::format("[{}]:{}", address.to_string(), endpoint.port());
  return fmt::format("{}:{}", address.to_string(), endpoint.port());
}

// Grows without writing zeros first. The size the callback is given is not the one asked
// for: libstdc++ 12 passes the new capacity when the string grows.
void set_size(std::string& text, size_t size) {
  text.resize_and_overwrite(size, [size](char*, size_t) { return size; });
}

// One request being served: outlives neither its connection's fiber, which waits, nor
// the executor's task.
struct Exchange {
  Request request;
  ResponseFrame frame;
  size_t sent = 0;  // bytes of the frame, head first
  bool keep_alive = true;
  bool done = false;
  core::HeldBytes held;  // for the request's body
};

// The life of one connection, on its fiber.
class Session {
 public:
  Session(Shared& shared, std::unique_ptr<Connection> connection, Yield yield)
      : shared_(shared), connection_(std::move(connection)), yield_(yield), wake_(loop().io) {}

  void run() {
    Loop& home = loop();
    home.connections.insert(connection_.get());
    while (serve_one()) {
    }
    error_code ignored;
    connection_->socket.shutdown(tcp::socket::shutdown_both, ignored);
    connection_->socket.close(ignored);
    home.connections.erase(connection_.get());
  }

 private:
  enum class Step { Ok, Close };

  Loop& loop() { return connection_->loop; }

  void set_deadline(std::chrono::steady_clock::duration after) {
    connection_->deadline = std::chrono::steady_clock::now() + after;
  }
  std::chrono::milliseconds read_time() const {
    return std::chrono::milliseconds(shared_.options.read_timeout_ms);
  }

  // Serves the next request. False when the connection is over.
  bool serve_one() {
    Exchange exchange;
    HeadParser parser;
    parser.header_limit(kHeadSizeMax);
    parser.body_limit(boost::none);
    parser.eager(false);
    if (read_head(parser) == Step::Close) return false;
    connection_->is_idle = false;
    if (!take_head(parser, exchange)) return false;
    exchange.held = core::HeldBytes(shared_.options.body_budget);
    if (read_body(parser, exchange) == Step::Close) return false;

    connection_->deadline = SteadyTime::max();
    exchange.keep_alive = parser.keep_alive() && !loop().stopping;
    dispatch(exchange);
    if (write(exchange.frame, exchange.sent, exchange.keep_alive) == Step::Close) return false;
    connection_->is_idle = true;
    return exchange.keep_alive;
  }

  // Appends what the socket has to input; false when it is closed.
  bool read_more(size_t step) {
    std::string& input = connection_->input;
    const size_t before = input.size();
    size_t received = 0;
    error_code error;
    set_size(input, before + step);
    received = connection_->socket.async_read_some(asio::buffer(input.data() + before, step),
                                                   yield_[error]);
    input.resize(before + (error ? 0 : received));
    return !error;
  }

  Step read_head(HeadParser& parser) {
    std::string& input = connection_->input;
    set_deadline(read_time());
    bool started = false;
    for (;;) {
      if (!input.empty()) {
        if (!started) {
          set_deadline(std::min<std::chrono::steady_clock::duration>(kHeadTime, read_time()));
          connection_->is_idle = false;
          started = true;
        }
        error_code error;
        const size_t used = parser.put(asio::buffer(input), error);
        input.erase(0, used);
        if (error && error != http::error::need_more) return refuse_head(error);
        if (parser.is_header_done()) return Step::Ok;
        if (input.size() > kHeadSizeMax) return refuse_head(http::error::header_limit);
      }
      if (connection_->is_idle && loop().stopping) return Step::Close;
      if (!read_more(kHeadStep)) return Step::Close;
    }
  }

  Step refuse_head(const error_code& error) {
    if (error == http::error::header_limit) {
      return refuse(Response::text(
          431, fmt::format("the request's header has more than {} bytes\n", kHeadSizeMax)));
    }
    return refuse(Response::text(400, "malformed HTTP request: " + error.message() + "\n"));
  }

  // Answers and ends the connection. What the client still sends is read for a while:
  // closing with unread input would reset the connection under the answer.
  Step refuse(const Response& response) {
    write(frame_response(response, {.keep_alive = false}), 0, false);
    error_code error;
    connection_->socket.shutdown(tcp::socket::shutdown_send, error);
    set_deadline(
        std::min<std::chrono::steady_clock::duration>(std::chrono::seconds(1), read_time()));
    uint64_t drained = 0;
    while (drained < kDrainMax) {
      connection_->input.clear();
      if (!read_more(kHeadStep)) break;
      drained += connection_->input.size();
    }
    return Step::Close;
  }

  bool take_head(const HeadParser& parser, Exchange& exchange) {
    const auto& head = parser.get();
    Request& request = exchange.request;
    request.method = std::string(head.method_string());
    for (char& c : request.method) {
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    std::string_view target(head.target().data(), head.target().size());
    if (!target.starts_with('/') && !(target == "*" && request.method == "OPTIONS")) {
      // The absolute form, which proxies use.
      const size_t scheme = target.find("://");
      const size_t slash = scheme == target.npos ? target.npos : target.find('/', scheme + 3);
      if (slash == target.npos) {
        refuse(Response::text(400, "malformed HTTP request: bad target\n"));
        return false;
      }
      target.remove_prefix(slash);
    }
    target = target.substr(0, target.find('#'));
    const size_t question = target.find('?');
    request.path = percent_decode(target.substr(0, question));
    if (question != target.npos) request.query = std::string(target.substr(question + 1));
    for (const auto& field : head) {
      request.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
    }
    request.remote_address = connection_->remote_address;
    return true;
  }

  Step read_body(HeadParser& parser, Exchange& exchange) {
    const boost::optional<uint64_t> length = parser.content_length();
    const uint64_t size_max = shared_.options.body_size_max;
    if (!parser.chunked() && length.value_or(0) == 0) return Step::Ok;
    if (length && *length > size_max) return refuse(too_large());
    if (length && !has_room(*length)) return refuse_busy(exchange, *length);

    const auto& head = parser.get();
    set_deadline(read_time());
    if (connection_->input.empty() && head.version() >= 11 &&
        boost::beast::iequals(head[http::field::expect], "100-continue")) {
      error_code error;
      asio::async_write(connection_->socket, asio::buffer(kContinue), yield_[error]);
      if (error) return Step::Close;
    }
    return parser.chunked() ? read_chunks(exchange) : read_sized(*length, exchange);
  }

  // Memory grows with what arrives, not with what the client announces.
  Step read_sized(uint64_t length, Exchange& exchange) {
    std::string& input = connection_->input;
    std::string& body = exchange.request.body;
    const size_t early = static_cast<size_t>(std::min<uint64_t>(length, input.size()));
    body.reserve(length);
    body.assign(input, 0, early);
    input.erase(0, early);
    if (!hold(exchange, early, length)) return refuse_busy(exchange, length);
    while (body.size() < length) {
      const size_t before = body.size();
      const size_t step = std::min<size_t>(length - before, kBodyStep);
      error_code error;
      size_t received = 0;
      set_size(body, before + step);
      received = connection_->socket.async_read_some(asio::buffer(body.data() + before, step),
                                                     yield_[error]);
      body.resize(before + (error ? 0 : received));
      if (error) return Step::Close;
      if (!hold(exchange, received, length)) return refuse_busy(exchange, length);
    }
    return Step::Ok;
  }

  Step read_chunks(Exchange& exchange) {
    ChunkedDecoder decoder(shared_.options.body_size_max);
    std::string& input = connection_->input;
    std::string& body = exchange.request.body;
    size_t held = 0;
    for (;;) {
      std::string_view rest(input);
      const Result<void> fed = decoder.feed(rest, body);
      input.erase(0, input.size() - rest.size());
      if (!fed) {
        if (fed.error().code == ErrorCode::TooLarge) return refuse(too_large());
        return refuse(Response::text(400, fed.error().message + "\n"));
      }
      if (!hold(exchange, body.size() - held, body.size()))
        return refuse_busy(exchange, body.size());
      held = body.size();
      if (decoder.is_done()) return Step::Ok;
      if (!read_more(kBodyStep / 16)) return Step::Close;
    }
  }

  // Asked once, before a body is read. Bytes are held when they come: who announces many
  // and sends none keeps nobody else out.
  bool has_room(uint64_t length) const {
    const core::ByteBudget* const budget = shared_.options.body_budget;
    return budget == nullptr || length <= kSmallBody || budget->used() + length <= budget->max();
  }

  // False when the budget does not have them for a body of `length` bytes.
  static bool hold(Exchange& exchange, uint64_t bytes, uint64_t length) {
    if (length > kSmallBody) return exchange.held.try_grow(bytes);
    exchange.held.grow(bytes);
    return true;
  }

  // What was read of the body is given back before the client reads why.
  Step refuse_busy(Exchange& exchange, uint64_t bytes) {
    std::string().swap(exchange.request.body);
    exchange.held.release();
    const auto& on_refused = shared_.options.on_body_refused;
    Response busy = Response::text(
        503, (on_refused ? on_refused(bytes) : "too many bytes of requests are worked on") + "\n");
    busy.headers.emplace_back("Retry-After", "1");
    return refuse(busy);
  }

  Response too_large() const {
    return Response::text(413, fmt::format("the request's body has more than {} bytes\n",
                                           shared_.options.body_size_max));
  }

  // Runs the handler on the executor and waits for its answer.
  void dispatch(Exchange& exchange) {
    Timer& wake = wake_;
    Shared& shared = shared_;
    asio::io_context& io = loop().io;
    const int socket = connection_->socket.native_handle();
    connection_->is_with_worker = true;
    const bool posted =
        executor_for(exchange.request).post([&exchange, &shared, &wake, &io, socket] {
          answer(shared, exchange);
          // The client has its answer without waiting for this loop's thread to wake up.
          exchange.sent = send_now(socket, exchange.frame);
          asio::post(io, [&exchange, &wake] {
            exchange.done = true;
            wake.cancel();
          });
        });
    if (!posted) {
      refused_requests().add();
      Response busy = Response::text(503, "all workers are busy: try again\n");
      busy.headers.emplace_back("Retry-After", "1");
      exchange.frame = frame_response(busy, options_for(exchange));
      exchange.done = true;
    }
    while (!exchange.done) {
      error_code woken;
      wake_.expires_at(SteadyTime::max());
      wake_.async_wait(yield_[woken]);
    }
    connection_->is_with_worker = false;
  }

  // What the socket takes without waiting, in bytes. The rest, and any error, is for the
  // loop's own write.
  static size_t send_now(int socket, const ResponseFrame& frame) {
    std::array<iovec, 2> parts{iovec{const_cast<char*>(frame.head.data()), frame.head.size()},
                               iovec{const_cast<char*>(frame.body.data()), frame.body.size()}};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    const ssize_t sent = ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? 0 : static_cast<size_t>(sent);
  }

  core::Executor& executor_for(const Request& request) const {
    const auto& choose = shared_.options.executor_for;
    core::Executor* const chosen = choose ? choose(request) : nullptr;
    return chosen != nullptr ? *chosen : shared_.executor;
  }

  static FrameOptions options_for(const Exchange& exchange) {
    return {.keep_alive = exchange.keep_alive, .head_only = exchange.request.method == "HEAD"};
  }

  // On the executor.
  static void answer(Shared& shared, Exchange& exchange) {
    Response response = call_handler(shared, exchange.request);
    if (shared.options.compress) compress_for(exchange.request, response);
    if (shared.stopping) exchange.keep_alive = false;
    exchange.frame = frame_response(std::move(response), options_for(exchange));
    std::string().swap(exchange.request.body);
    exchange.held.release();
  }

  static Response call_handler(const Shared& shared, const Request& request) {
    std::string what = "unknown";
    try {
      return shared.handler(request);
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const std::exception& error) {
      what = error.what();
    } catch (...) {
    }
    core::log_error("net", "an HTTP handler threw", {{"path", request.path}, {"error", what}});
    return Response::text(500, "internal error; the server's log has more\n");
  }

  Step write(const ResponseFrame& frame, size_t sent, bool keep_alive) {
    const size_t size = frame.head.size() + frame.body.size();
    if (sent == size) return keep_alive ? Step::Ok : Step::Close;
    set_deadline(read_time());
    const size_t of_head = std::min(sent, frame.head.size());
    const std::array<asio::const_buffer, 2> buffers{asio::buffer(frame.head) + of_head,
                                                    asio::buffer(frame.body) + (sent - of_head)};
    error_code error;
    asio::async_write(connection_->socket, buffers, yield_[error]);
    return error || !keep_alive ? Step::Close : Step::Ok;
  }

  static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

  Shared& shared_;
  std::unique_ptr<Connection> connection_;
  Yield yield_;
  Timer wake_;
};

class AsioHttpServer final : public HttpServer {
 public:
  AsioHttpServer(HttpServerOptions options, core::Executor& executor, Handler handler)
      : shared_(std::move(options), executor, std::move(handler)) {
    for (unsigned i = 0; i < std::max(1U, shared_.options.io_threads); ++i) {
      loops_.push_back(std::make_unique<Loop>());
    }
    acceptor_ = std::make_unique<Acceptor>(loops_.front()->io);
  }

  ~AsioHttpServer() override { stop(0); }

  Result<void> listen() {
    const ListenAddress address = TRY(parse_listen_address(shared_.options.listen_address));
    const std::vector<tcp::endpoint> endpoints = TRY(resolve(address));
    error_code error;
    for (const tcp::endpoint& endpoint : endpoints) {
      error = bind_to(endpoint);
      // Without IPv6 in the kernel ":port" means every IPv4 address.
      if (error != asio::error::address_family_not_supported) break;
    }
    if (error) return listen_error(address, error);
    port_ = acceptor_->local_endpoint(error).port();
    return {};
  }

  void run() {
    for (auto& loop : loops_) {
      arm_tick(*loop);
      loop->thread = std::thread([&io = loop->io] { io.run(); });
      pthread_setname_np(loop->thread.native_handle(), "http-io");
    }
    spawn_on(*loops_.front(), [this](Yield yield) { accept_all(yield); });
  }

  uint16_t port() const override { return port_; }

  void stop(int64_t grace_ms) override {
    const std::lock_guard stop_lock(stop_mutex_);
    if (stopped_) return;
    stopped_ = true;
    if (!loops_.front()->thread.joinable()) return;  // never ran
    shared_.stopping = true;
    stop_accepting();
    for (auto& loop : loops_) {
      asio::post(loop->io, [&loop = *loop] {
        loop.stopping = true;
        close_connections(loop, Which::Idle);
      });
    }
    std::unique_lock lock(shared_.mutex);
    const auto none_open = [this] { return shared_.connection_count == 0; };
    const bool in_time =
        shared_.connection_closed.wait_for(lock, std::chrono::milliseconds(grace_ms), none_open);
    if (!in_time) {
      lock.unlock();
      for (auto& loop : loops_) {
        asio::post(loop->io, [&loop = *loop] { close_connections(loop, Which::All); });
      }
      lock.lock();
      // Handlers that still run borrow from their fibers: they end first. No deadline,
      // because the executor promises to run what it has accepted.
      shared_.connection_closed.wait(lock, none_open);
    }
    lock.unlock();
    for (auto& loop : loops_) {
      asio::post(loop->io, [&loop = *loop] { loop.tick.cancel(); });
      loop->work.reset();
    }
    for (auto& loop : loops_) loop->thread.join();
  }

 private:
  enum class Which { Idle, All };

  static void close_connections(Loop& loop, Which which) {
    for (Connection* connection : loop.connections) {
      if (which == Which::Idle && !connection->is_idle) continue;
      give_up(*connection);
    }
  }

  static void give_up(Connection& connection) {
    error_code ignored;
    if (connection.is_with_worker) {
      connection.socket.shutdown(tcp::socket::shutdown_both, ignored);
    } else {
      connection.socket.close(ignored);
    }
  }

  Result<std::vector<tcp::endpoint>> resolve(const ListenAddress& address) {
    if (address.host.empty()) {
      return std::vector<tcp::endpoint>{{tcp::v6(), address.port}, {tcp::v4(), address.port}};
    }
    error_code error;
    tcp::resolver resolver(loops_.front()->io);
    const auto found =
        resolver.resolve(address.host, std::to_string(address.port),
                         tcp::resolver::passive | tcp::resolver::numeric_service, error);
    if (error || found.empty()) {
      return fail(ErrorCode::InvalidArgument, "listen on {}: cannot resolve \"{}\": {}",
                  shared_.options.listen_address, address.host, error.message());
    }
    return std::vector<tcp::endpoint>{found.begin()->endpoint()};
  }

  error_code bind_to(const tcp::endpoint& endpoint) {
    error_code error;
    acceptor_->close(error);
    acceptor_->open(endpoint.protocol(), error);
    if (error) return error;
    acceptor_->set_option(tcp::acceptor::reuse_address(true), error);
    if (endpoint.address().is_v6() && endpoint.address().is_unspecified()) {
      acceptor_->set_option(asio::ip::v6_only(false), error);
    }
    if (!error) acceptor_->bind(endpoint, error);
    if (!error) acceptor_->listen(kBacklog, error);
    return error;
  }

  tl::unexpected<core::Error> listen_error(const ListenAddress& address, const error_code& error) {
    const std::string& text = shared_.options.listen_address;
    if (error == asio::error::address_in_use) {
      const std::optional<PortHolder> holder = find_port_holder(address.port);
      const std::string by =
          holder ? fmt::format(" by process {} ({})", holder->process_id, holder->process_name)
                 : " by another process";
      const std::string host = text.substr(0, text.rfind(':'));
      const uint16_t other_port = address.port == 9590 ? 9690 : 9590;
      return fail(ErrorCode::Conflict,
                  "listen on {}: the address is in use{}; choose another port, for example "
                  "--web.listen-address={}:{}",
                  text, by, host, other_port);
    }
    const bool denied = error == asio::error::access_denied;
    return fail(denied ? ErrorCode::PermissionDenied : ErrorCode::Io, "listen on {}: {}{}", text,
                error.message(), denied ? " (ports below 1024 need the privilege)" : "");
  }

  // The fiber is made on the loop's own thread: asio::spawn() enters it at once, and a
  // stack that moves between threads is more than sanitizers can follow.
  template <typename Body>
  static void spawn_on(Loop& loop, Body body) {
    asio::post(loop.io, [&io = loop.io, held = std::move(body)]() mutable {
      asio::spawn(io.get_executor(), std::allocator_arg,
                  boost::context::fixedsize_stack(kStackSize), std::move(held), asio::detached);
    });
  }

  // No connection is admitted once this has returned.
  void stop_accepting() {
    std::promise<void> closed;
    asio::post(loops_.front()->io, [this, &closed] {
      error_code ignored;
      acceptor_->close(ignored);
      closed.set_value();
    });
    closed.get_future().wait();
  }

  void accept_all(Yield yield) {
    Timer pause(loops_.front()->io);
    for (size_t next = 0; acceptor_->is_open(); ++next) {
      Loop& loop = *loops_[next % loops_.size()];
      error_code error;
      Socket socket(loop.io);
      acceptor_->async_accept(socket, yield[error]);
      if (!acceptor_->is_open()) return;
      if (error) {
        // Mostly too many open files: waiting is all that helps.
        core::log_warn("net", "accept failed", {{"error", error.message()}});
        pause.expires_after(kAcceptPause);
        pause.async_wait(yield[error]);
        continue;
      }
      admit(std::move(socket), loop);
    }
  }

  void admit(Socket socket, Loop& loop) {
    error_code error;
    if (shared_.connection_count.load() >= shared_.options.connections_max) {
      refused_connections().add();
      Response busy = Response::text(503, "too many connections: try again\n");
      busy.headers.emplace_back("Retry-After", "1");
      const ResponseFrame frame = frame_response(std::move(busy), {.keep_alive = false});
      socket.non_blocking(true, error);
      socket.write_some(asio::buffer(frame.head + frame.body), error);
      return;
    }
    ++shared_.connection_count;
    open_connections().add(1);
    socket.set_option(tcp::no_delay(true), error);
    auto connection = std::make_unique<Connection>(std::move(socket), loop);
    const tcp::endpoint remote = connection->socket.remote_endpoint(error);
    if (!error) connection->remote_address = address_text(remote);
    spawn_on(loop, [this, held = std::move(connection)](Yield yield) mutable {
      {
        Session session(shared_, std::move(held), yield);
        session.run();
      }
      // Under the lock: stop() may free `shared_` as soon as it sees the count at zero.
      const std::lock_guard lock(shared_.mutex);
      --shared_.connection_count;
      open_connections().add(-1);
      shared_.connection_closed.notify_all();
    });
  }

  // One coarse timer per loop instead of one per read: exact to a tick.
  void arm_tick(Loop& loop) {
    const auto tick = std::clamp(std::chrono::milliseconds(shared_.options.read_timeout_ms / 4),
                                 kTickMin, kTickMax);
    loop.tick.expires_after(tick);
    loop.tick.async_wait([this, &loop](const error_code& error) {
      if (error) return;
      const SteadyTime now = std::chrono::steady_clock::now();
      for (Connection* connection : loop.connections) {
        if (connection->deadline <= now) give_up(*connection);
      }
      arm_tick(loop);
    });
  }

  Shared shared_;
  std::vector<std::unique_ptr<Loop>> loops_;
  std::unique_ptr<Acceptor> acceptor_;
  uint16_t port_ = 0;
  std::mutex stop_mutex_;
  bool stopped_ = false;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::start(HttpServerOptions options,
                                                      core::Executor& executor, Handler handler) {
  auto server = std::make_unique<AsioHttpServer>(std::move(options), executor, std::move(handler));
  TRY(server->listen());
  server->run();
  return server;
}

}  // namespace net
