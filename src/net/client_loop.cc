#include "core/metrics.h"
#include "net/client_connection_impl.h"
#include "net/client_fetch_impl.h"
#include "net/client_loop_impl.h"

#include <algorithm>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <pthread.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace net {

using core::ErrorCode;
using core::fail;
using core::Result;

namespace {

constexpr size_t kStackSize = 128 << 10;  // OpenSSL's handshake takes some 20 KiB
constexpr size_t kStacksKept = 256;       // some 12 KiB of each are in memory
constexpr size_t kBuffersKept = 256;
constexpr auto kAddressFresh = std::chrono::seconds(30);
constexpr auto kAddressGood = std::chrono::minutes(5);
constexpr auto kAddressFailed = std::chrono::seconds(1);  // before a failed name is tried again
constexpr size_t kAddressesMax = 50'000;
constexpr auto kIdleSweep = std::chrono::seconds(5);

core::Gauge& idle_gauge() {
  static core::Gauge& gauge =
      core::gauge("petrel_http_client_idle_connections", "Connections kept for the next scrape.");
  return gauge;
}
core::Gauge& in_flight_gauge() {
  static core::Gauge& gauge =
      core::gauge("petrel_http_client_requests_in_flight", "Outgoing requests under way.");
  return gauge;
}
core::Gauge& waiting_gauge() {
  static core::Gauge& gauge = core::gauge("petrel_http_client_requests_waiting",
                                          "Outgoing requests that wait for their turn.");
  return gauge;
}

}  // namespace

StackPool::StackPool() : fresh_(kStackSize) {}

StackPool::~StackPool() {
  for (auto& stack : free_) fresh_.deallocate(stack);
}

boost::context::stack_context StackPool::take() {
  if (free_.empty()) return fresh_.allocate();
  const auto stack = free_.back();
  free_.pop_back();
#if defined(__SANITIZE_ADDRESS__)
  ASAN_UNPOISON_MEMORY_REGION(static_cast<char*>(stack.sp) - kStackSize, kStackSize);
#endif
  return stack;
}

void StackPool::give_back(boost::context::stack_context& stack) {
  if (free_.size() < kStacksKept) {
    free_.push_back(stack);
  } else {
    fresh_.deallocate(stack);
  }
}

BufferPool::Buffer BufferPool::take() {
  if (free_.empty()) return std::make_unique_for_overwrite<char[]>(kSize);
  Buffer buffer = std::move(free_.back());
  free_.pop_back();
  return buffer;
}

void BufferPool::give_back(Buffer buffer) {
  if (free_.size() < kBuffersKept) free_.push_back(std::move(buffer));
}

void Deadlines::add(SteadyTime at, Fetch& fetch) {
  entries_.emplace(at, &fetch);
  if (at < armed_) arm();
}

void Deadlines::remove(SteadyTime at, Fetch& fetch) {
  entries_.erase({at, &fetch});
}

void Deadlines::arm() {
  armed_ = entries_.begin()->first;
  timer_.expires_at(armed_);
  timer_.async_wait([this](const error_code& error) {
    if (error) return;
    armed_ = SteadyTime::max();
    const SteadyTime now = std::chrono::steady_clock::now();
    while (!entries_.empty() && entries_.begin()->first <= now) {
      Fetch* const fetch = entries_.begin()->second;
      entries_.erase(entries_.begin());
      fetch->on_deadline(now);
    }
    if (!entries_.empty() && entries_.begin()->first < armed_) arm();
  });
}

IdlePool::IdlePool(asio::io_context& io, size_t size_max, std::chrono::milliseconds idle_time)
    : timer_(io), size_max_(size_max), idle_time_(idle_time) {}

IdlePool::~IdlePool() = default;

std::unique_ptr<Connection> IdlePool::take(const std::string& key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  std::unique_ptr<Connection> connection;
  while (!found->second.empty() && !connection) {
    const Order::iterator last = found->second.back();
    found->second.pop_back();
    connection = std::move(last->connection);
    idle_gauge().add(-1);
    if (connection->is_usable()) {
      connection->seat.place.splice(connection->seat.place.begin(), order_, last);
    } else {
      order_.erase(last);
      connection.reset();
    }
  }
  if (!found->second.empty()) return connection;
  if (connection) {
    connection->seat.entry = by_key_.extract(found);
  } else {
    by_key_.erase(found);
  }
  return connection;
}

void IdlePool::put(const std::string& key, std::unique_ptr<Connection> connection) {
  if (size_max_ == 0) return;
  if (order_.size() >= size_max_) drop_oldest();
  Seat seat = std::move(connection->seat);
  ByKey::iterator entry;
  if (!seat.entry.empty() && seat.entry.key() == key) {
    entry = by_key_.insert(std::move(seat.entry)).position;
  } else {
    entry = by_key_.try_emplace(key).first;
  }
  if (seat.place.empty()) seat.place.emplace_back();
  seat.place.front() = {std::move(connection), &entry->first, std::chrono::steady_clock::now()};
  order_.splice(order_.begin(), seat.place);
  entry->second.push_back(order_.begin());
  idle_gauge().add(1);
  if (!is_armed_) arm();
}

void IdlePool::clear() {
  while (!order_.empty()) drop_oldest();
  timer_.cancel();
}

void IdlePool::drop_oldest() {
  const Order::iterator oldest = std::prev(order_.end());
  const auto entry = by_key_.find(*oldest->key);
  std::erase(entry->second, oldest);
  if (entry->second.empty()) by_key_.erase(entry);
  order_.erase(oldest);
  idle_gauge().add(-1);
}

void IdlePool::arm() {
  is_armed_ = true;
  timer_.expires_after(std::min<std::chrono::milliseconds>(kIdleSweep, idle_time_));
  timer_.async_wait([this](const error_code& error) {
    if (error) return;
    const SteadyTime oldest = std::chrono::steady_clock::now() - idle_time_;
    while (!order_.empty() && order_.back().since <= oldest) drop_oldest();
    is_armed_ = false;
    if (!order_.empty()) arm();
  });
}

Result<std::vector<asio::ip::address>> AddressCache::find(const std::string& host, Fetch& fetch) {
  error_code error;
  const asio::ip::address literal = asio::ip::make_address(host, error);
  if (!error) return std::vector<asio::ip::address>{literal};
  const SteadyTime now = std::chrono::steady_clock::now();
  const auto fresh = entries_.find(host);
  if (fresh == entries_.end() || fresh->second.fresh_until <= now) {
    start(host);
    while (!fetch.is_ended()) {
      Entry& entry = entries_[host];
      if (!entry.is_pending) break;
      entry.waiting.push_back(&fetch);
      fetch.wait();
      std::erase(entries_[host].waiting, &fetch);
    }
    if (fetch.is_ended()) return tl::unexpected(fetch.end_error());
  }
  const Entry& entry = entries_[host];
  if (entry.addresses.empty()) return tl::unexpected(entry.error);
  return entry.addresses;
}

void AddressCache::start(const std::string& host) {
  if (entries_.size() >= kAddressesMax) make_room(std::chrono::steady_clock::now());
  Entry& entry = entries_[host];
  if (entry.is_pending) return;
  entry.is_pending = true;
  resolver_.look_up(host, [this, host](Result<std::vector<std::string>> found) {
    asio::post(io_, [this, host, found = std::move(found)] { take(host, found); });
  });
}

void AddressCache::take(const std::string& host, const Result<std::vector<std::string>>& found) {
  const SteadyTime now = std::chrono::steady_clock::now();
  Entry& entry = entries_[host];
  entry.is_pending = false;
  if (found) {
    entry.addresses.clear();
    for (const std::string& text : *found) {
      error_code error;
      const asio::ip::address address = asio::ip::make_address(text, error);
      if (!error) entry.addresses.push_back(address);
    }
    entry.fresh_until = now + kAddressFresh;
    entry.good_until = now + kAddressGood;
  } else {
    entry.error = found.error();
    entry.fresh_until = now + kAddressFailed;
    if (entry.good_until <= now) entry.addresses.clear();
  }
  for (Fetch* const fetch : entry.waiting) fetch->wake();
}

void AddressCache::make_room(SteadyTime now) {
  const auto is_free = [](const Entry& entry) {
    return !entry.is_pending && entry.waiting.empty();
  };
  std::erase_if(entries_, [&](const auto& item) {
    return item.second.fresh_until <= now && is_free(item.second);
  });
  if (entries_.size() < kAddressesMax) return;
  // All of them are fresh: looking them up again is cheaper than keeping score.
  std::erase_if(entries_, [&](const auto& item) { return is_free(item.second); });
}

LoopThread::LoopThread(const LoopLimits& limits, Resolver& resolver)
    : limits_(limits),
      deadlines(io),
      idle(io, limits.idle_max, limits.idle_time),
      addresses(io, resolver),
      work_(asio::make_work_guard(io)) {}

LoopThread::~LoopThread() {
  asio::post(io, [this] {
    idle.clear();
    deadlines.stop();
    work_.reset();
  });
  if (thread_.joinable()) thread_.join();
}

void LoopThread::run() {
  thread_ = std::thread([this] { io.run(); });
  pthread_setname_np(thread_.native_handle(), "http-client");
}

bool LoopThread::has_room() const {
  // Half of the bytes is for those already under way, whose bodies still grow.
  return in_flight_ < limits_.in_flight_max && bytes_ <= limits_.bytes_max / 2;
}

void LoopThread::hand_over(std::unique_ptr<Fetch> fetch) {
  const std::lock_guard lock(arrived_mutex_);
  // Under the lock: what anyone posts after this comes behind the admission.
  if (arrived_.empty()) asio::post(io, [this] { admit_arrived(); });
  arrived_.push_back(std::move(fetch));
}

void LoopThread::admit_arrived() {
  std::vector<std::unique_ptr<Fetch>> arrived;
  {
    const std::lock_guard lock(arrived_mutex_);
    arrived.swap(arrived_);
  }
  for (std::unique_ptr<Fetch>& fetch : arrived) admit(std::move(fetch));
}

void LoopThread::admit(std::unique_ptr<Fetch> fetch) {
  deadlines.add(fetch->deadline(), *fetch);
  if (waiting_.empty() && has_room()) {
    start(std::move(fetch));
    return;
  }
  Fetch& waiter = *fetch;
  waiter.place = waiting_.insert(waiting_.end(), std::move(fetch));
  waiter.is_waiting = true;
  waiting_gauge().add(1);
}

void LoopThread::end_waiting(Fetch& fetch) {
  const std::unique_ptr<Fetch> held = std::move(*fetch.place);
  waiting_.erase(held->place);
  held->is_waiting = false;
  waiting_gauge().add(-1);
  held->finish(tl::unexpected(held->end_error()));
}

void LoopThread::leave() {
  --in_flight_;
  in_flight_gauge().add(-1);
  // Posted: a fiber is not started from within another one.
  if (!waiting_.empty()) asio::post(io, [this] { start_waiting(); });
}

void LoopThread::start_waiting() {
  while (!waiting_.empty() && has_room()) {
    std::unique_ptr<Fetch> next = std::move(waiting_.front());
    waiting_.pop_front();
    next->is_waiting = false;
    waiting_gauge().add(-1);
    start(std::move(next));
  }
}

bool LoopThread::grow(uint64_t size) {
  if (bytes_ + size > limits_.bytes_max) return false;
  bytes_ += size;
  return true;
}

void LoopThread::start(std::unique_ptr<Fetch> fetch) {
  ++in_flight_;
  in_flight_gauge().add(1);
  asio::spawn(
      io.get_executor(), std::allocator_arg, StackPool::Handle{&stacks},
      [own = std::move(fetch)](Yield yield) mutable {
        own->run(yield);
        LoopThread& loop = own->loop();
        own.reset();
        loop.leave();
      },
      asio::detached);
}

}  // namespace net
