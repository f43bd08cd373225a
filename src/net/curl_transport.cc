#include "net/curl_transport.h"

#include "net/curl_transfer_impl.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <curl/curl.h>
#include <deque>
#include <mutex>
#include <pthread.h>
#include <thread>
#include <unordered_map>
#include <utility>

namespace net {

using core::Error;
using core::ErrorCode;
using core::Result;

namespace {

constexpr int kPollMaxMs = 1000;         // curl wakes earlier for its own timers
constexpr long kConnectionsCached = 64;  // kept open for reuse

struct EndMulti {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

}  // namespace

struct CurlTransport::Loop {
  ~Loop();

  CurlTransportOptions options;
  std::unique_ptr<CURLM, EndMulti> multi{curl_multi_init()};
  std::unordered_map<CURL*, std::unique_ptr<CurlTransfer>> running;  // the loop thread's own
  std::atomic<size_t> in_flight = 0;
  std::mutex mutex;
  std::deque<std::unique_ptr<CurlTransfer>> incoming;  // guarded by mutex
  bool stopping = false;                               // guarded by mutex
  std::thread thread;

  void run();
  bool take_incoming();
  void start(std::unique_ptr<CurlTransfer> transfer);
  void finish_done();
  void fail(std::unique_ptr<CurlTransfer> transfer, Error error);
  void enqueue(std::unique_ptr<CurlTransfer> transfer);
  void cancel_all();
};

void CurlTransport::Loop::run() {
  while (take_incoming()) {
    int still_running = 0;
    curl_multi_perform(multi.get(), &still_running);
    finish_done();
    curl_multi_poll(multi.get(), nullptr, 0, kPollMaxMs, nullptr);
  }
  cancel_all();
}

// False when the transport stops.
bool CurlTransport::Loop::take_incoming() {
  std::deque<std::unique_ptr<CurlTransfer>> taken;
  {
    const std::lock_guard lock(mutex);
    if (stopping) return false;
    taken.swap(incoming);
  }
  for (auto& transfer : taken) start(std::move(transfer));
  return true;
}

void CurlTransport::Loop::start(std::unique_ptr<CurlTransfer> transfer) {
  if (Result<void> prepared = transfer->prepare(options.user_agent); !prepared) {
    fail(std::move(transfer), std::move(prepared).error());
    return;
  }
  CURL* const easy = transfer->easy();
  const CURLMcode code = curl_multi_add_handle(multi.get(), easy);
  if (code != CURLM_OK) {
    fail(std::move(transfer), {ErrorCode::Unavailable, curl_multi_strerror(code)});
    return;
  }
  running.emplace(easy, std::move(transfer));
}

void CurlTransport::Loop::finish_done() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;  // `message` dies with remove_handle
    const auto found = running.find(message->easy_handle);
    ENSURE(found != running.end());
    const std::unique_ptr<CurlTransfer> transfer = std::move(found->second);
    running.erase(found);
    curl_multi_remove_handle(multi.get(), transfer->easy());
    --in_flight;  // before the end is told, which may send the next request
    transfer->finish(code);
  }
}

void CurlTransport::Loop::fail(std::unique_ptr<CurlTransfer> transfer, Error error) {
  --in_flight;
  transfer->fail(std::move(error));
}

void CurlTransport::Loop::cancel_all() {
  std::vector<std::unique_ptr<CurlTransfer>> cancelled;
  for (auto& [easy, transfer] : running) {
    curl_multi_remove_handle(multi.get(), easy);
    cancelled.push_back(std::move(transfer));
  }
  running.clear();
  {
    const std::lock_guard lock(mutex);
    for (auto& transfer : incoming) cancelled.push_back(std::move(transfer));
    incoming.clear();
  }
  for (auto& transfer : cancelled) {
    fail(std::move(transfer), {ErrorCode::Cancelled, "the transport stops"});
  }
}

Result<std::unique_ptr<CurlTransport>> CurlTransport::start(CurlTransportOptions options) {
  static const CURLcode kGlobal = curl_global_init(CURL_GLOBAL_DEFAULT);  // once, thread-safe
  if (kGlobal != CURLE_OK) {
    return core::fail(ErrorCode::Internal, "libcurl: {}", curl_easy_strerror(kGlobal));
  }
  std::unique_ptr<Loop> requests = TRY(start_loop(options, "http-client"));
  std::unique_ptr<Loop> mails = TRY(start_loop(options, "smtp-client"));
  return std::unique_ptr<CurlTransport>(new CurlTransport(std::move(requests), std::move(mails)));
}

Result<std::unique_ptr<CurlTransport::Loop>> CurlTransport::start_loop(
    const CurlTransportOptions& options, const char* thread_name) {
  auto loop = std::make_unique<Loop>();
  if (!loop->multi) return core::fail(ErrorCode::Internal, "libcurl: no memory");
  loop->options = options;
  curl_multi_setopt(loop->multi.get(), CURLMOPT_MAXCONNECTS, kConnectionsCached);
  loop->thread = std::thread([at = loop.get()] { at->run(); });
  pthread_setname_np(loop->thread.native_handle(), thread_name);
  return loop;
}

CurlTransport::CurlTransport(std::unique_ptr<Loop> requests, std::unique_ptr<Loop> mails)
    : requests_(std::move(requests)), mails_(std::move(mails)) {}

CurlTransport::~CurlTransport() = default;

CurlTransport::Loop::~Loop() {
  if (!thread.joinable()) return;
  {
    const std::lock_guard lock(mutex);
    stopping = true;
  }
  curl_multi_wakeup(multi.get());
  thread.join();
}

void CurlTransport::Loop::enqueue(std::unique_ptr<CurlTransfer> transfer) {
  if (++in_flight > options.in_flight_max) {
    fail(std::move(transfer),
         {ErrorCode::LimitExceeded,
          fmt::format("{} requests are in flight already", options.in_flight_max)});
    return;
  }
  bool is_stopping = false;
  {
    const std::lock_guard lock(mutex);
    is_stopping = stopping;
    if (!is_stopping) incoming.push_back(std::move(transfer));
  }
  if (is_stopping) {
    fail(std::move(transfer), {ErrorCode::Cancelled, "the transport stops"});
    return;
  }
  curl_multi_wakeup(multi.get());
}

void CurlTransport::send(OutgoingRequest request, Done done) {
  requests_->enqueue(make_http_transfer(std::move(request), std::move(done)));
}

void CurlTransport::send_mail(OutgoingMail mail, MailDone done) {
  mails_->enqueue(make_mail_transfer(std::move(mail), std::move(done)));
}

}  // namespace net
