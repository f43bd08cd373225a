// A thread of the client loop and what belongs to it: timers, stacks of fibers, idle
// connections, known addresses. Confined to the thread but for io() and hand_over().

#pragma once

#include "net/client_resolver.h"
#include "net/http_client.h"

#include <array>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/spawn.hpp>
#include <boost/context/protected_fixedsize_stack.hpp>
#include <chrono>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace net {

namespace asio = boost::asio;
using boost::system::error_code;
// The concrete executor type: asio::any_io_executor costs a virtual call per step.
using LoopExecutor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<asio::ip::tcp, LoopExecutor>;
using Timer =
    asio::basic_waitable_timer<std::chrono::steady_clock,
                               asio::wait_traits<std::chrono::steady_clock>, LoopExecutor>;
using Yield = asio::basic_yield_context<LoopExecutor>;
using SteadyTime = std::chrono::steady_clock::time_point;

class Connection;
class Fetch;

// Stacks of ended fibers, for the next ones: a fresh one costs a map, an unmap and page
// faults, about 10 us.
class StackPool {
 public:
  StackPool();
  ~StackPool();
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;

  // Boost.Context's allocator: a copyable handle.
  struct Handle {
    StackPool* pool;
    boost::context::stack_context allocate() { return pool->take(); }
    void deallocate(boost::context::stack_context& stack) { pool->give_back(stack); }
  };

 private:
  boost::context::stack_context take();
  void give_back(boost::context::stack_context& stack);

  boost::context::protected_fixedsize_stack fresh_;
  std::vector<boost::context::stack_context> free_;
};

// Receive buffers of requests in flight.
class BufferPool {
 public:
  static constexpr size_t kSize = 16 << 10;  // a head and the body of a usual scrape
  using Buffer = std::unique_ptr<char[]>;

  Buffer take();
  void give_back(Buffer buffer);

 private:
  std::vector<Buffer> free_;
};

// Ends requests at their time. One timer for all: it is armed again only when an earlier
// deadline comes in, or when it fires.
class Deadlines {
 public:
  using Entry = std::pair<SteadyTime, Fetch*>;

  explicit Deadlines(asio::io_context& io) : timer_(io) {}
  void add(SteadyTime at, Fetch& fetch);
  void remove(SteadyTime at, Fetch& fetch);
  const std::set<Entry>& entries() const { return entries_; }
  void stop() { timer_.cancel(); }

 private:
  void arm();

  Timer timer_;
  SteadyTime armed_ = SteadyTime::max();
  std::set<Entry> entries_;
};

// Connections kept for the next request to the same place. Each costs a socket and a
// hash entry; no buffer (TLS sessions release theirs).
class IdlePool {
 public:
  IdlePool(asio::io_context& io, size_t size_max, std::chrono::milliseconds idle_time);
  ~IdlePool();

  // The one used last, if it is still open. The key says everything two requests must have
  // in common to share it.
  std::unique_ptr<Connection> take(const std::string& key);
  void put(const std::string& key, std::unique_ptr<Connection> connection);
  void clear();
  size_t size() const { return order_.size(); }

 private:
  struct Idle {
    std::unique_ptr<Connection> connection;
    const std::string* key = nullptr;  // of the map
    SteadyTime since;
  };
  using Order = std::list<Idle>;  // the one put last is in front
  using ByKey = std::unordered_map<std::string, std::vector<Order::iterator>>;

 public:
  // The memory of its entries, which a connection keeps while it is in use: the next put()
  // needs no other.
  struct Seat {
    Order place;
    ByKey::node_type entry;
  };

 private:
  void drop_oldest();
  void arm();

  Timer timer_;
  const size_t size_max_;
  const std::chrono::milliseconds idle_time_;
  bool is_armed_ = false;
  Order order_;
  ByKey by_key_;
};

// Addresses of hosts, from the resolver's threads: 30 s; the last good ones another 5 min
// when the resolver fails. Requests for one name wait for one lookup.
class AddressCache {
 public:
  AddressCache(asio::io_context& io, Resolver& resolver) : io_(io), resolver_(resolver) {}
  // On the fetch's fiber; waits.
  core::Result<std::vector<asio::ip::address>> find(const std::string& host, Fetch& fetch);

 private:
  struct Entry {
    std::vector<asio::ip::address> addresses;
    core::Error error;  // when there are no addresses
    SteadyTime fresh_until;
    SteadyTime good_until;
    bool is_pending = false;
    std::vector<Fetch*> waiting;
  };

  void start(const std::string& host);
  void take(const std::string& host, const core::Result<std::vector<std::string>>& found);
  void make_room(SteadyTime now);

  asio::io_context& io_;
  Resolver& resolver_;
  std::unordered_map<std::string, Entry> entries_;
};

struct LoopLimits {
  size_t in_flight_max = 0;
  uint64_t bytes_max = 0;
  size_t idle_max = 0;
  std::chrono::milliseconds idle_time{};
};

class LoopThread {
 public:
  LoopThread(const LoopLimits& limits, Resolver& resolver);
  // Nothing is in flight any more.
  ~LoopThread();

  void run();
  // Thread-safe. Starts it soon or when its turn comes.
  void hand_over(std::unique_ptr<Fetch> fetch);
  // Ends one that still waits for its turn.
  void end_waiting(Fetch& fetch);
  // A started one is over: the next one's turn.
  void leave();
  // Bytes of bodies; false when the bound would be exceeded.
  bool grow(uint64_t size);
  void shrink(uint64_t size) { bytes_ -= size; }

 private:
  const LoopLimits limits_;

 public:
  asio::io_context io{1};
  StackPool stacks;
  BufferPool buffers;
  Deadlines deadlines;
  IdlePool idle;
  AddressCache addresses;

 private:
  void admit_arrived();
  void admit(std::unique_ptr<Fetch> fetch);
  void start(std::unique_ptr<Fetch> fetch);
  void start_waiting();
  bool has_room() const;

  asio::executor_work_guard<LoopExecutor> work_;
  size_t in_flight_ = 0;
  uint64_t bytes_ = 0;
  std::list<std::unique_ptr<Fetch>> waiting_;  // in order of arrival
  // One post brings in all that have come until it runs.
  std::mutex arrived_mutex_;
  std::vector<std::unique_ptr<Fetch>> arrived_;  // guarded by arrived_mutex_
  std::thread thread_;
};

}  // namespace net
