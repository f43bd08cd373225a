#include "net/curl_transport.h"

#include "core/text.h"

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
using core::fail;
using core::Result;

namespace {

constexpr int kPollMaxMs = 1000;         // curl wakes earlier for its own timers
constexpr long kConnectionsCached = 64;  // kept open for reuse
constexpr uint64_t kHeadersSizeMax = 64 << 10;

struct EndEasy {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct EndMulti {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};
struct EndList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

// One request on its way. Stays where it is: curl keeps pointers into it.
struct Transfer {
  OutgoingRequest request;
  Transport::Done done;
  std::unique_ptr<CURL, EndEasy> easy;
  std::unique_ptr<curl_slist, EndList> headers;
  Response response;
  uint64_t headers_size = 0;
  bool is_oversized = false;
  char error_text[CURL_ERROR_SIZE] = {};
};

size_t on_body(char* data, size_t unit, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const size_t size = unit * count;
  if (transfer.response.body.size() + size > transfer.request.response_size_max) {
    transfer.is_oversized = true;
    return 0;  // ends the transfer with CURLE_WRITE_ERROR
  }
  transfer.response.body.append(data, size);
  return size;
}

constexpr std::string_view kBlanks = " \t\r\n";

size_t on_header(char* data, size_t unit, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const size_t size = unit * count;
  transfer.headers_size += size;
  if (transfer.headers_size > kHeadersSizeMax) {
    transfer.is_oversized = true;
    return 0;
  }
  const std::string_view line(data, size);
  const size_t colon = line.find(':');
  // A status line starts a new head: what came before was a 1xx.
  if (line.starts_with("HTTP/")) {
    transfer.response.headers.clear();
  } else if (colon != std::string_view::npos) {
    transfer.response.headers.emplace_back(
        std::string(core::trim(line.substr(0, colon), kBlanks)),
        std::string(core::trim(line.substr(colon + 1), kBlanks)));
  }
  return size;
}

// Errors of curl_easy_setopt are out of memory or options this libcurl lacks.
Result<void> prepare(Transfer& transfer, const CurlTransportOptions& options) {
  const OutgoingRequest& request = transfer.request;
  transfer.easy.reset(curl_easy_init());
  if (!transfer.easy) return fail(ErrorCode::Unavailable, "{}: no memory for curl", request.url);
  CURL* const easy = transfer.easy.get();
  CURLcode code = CURLE_OK;
  const auto set = [&](CURLoption option, auto value) {
    if (code == CURLE_OK) code = curl_easy_setopt(easy, option, value);
  };
  for (const Header& header : request.headers) {
    if ((header.first + header.second).find_first_of(std::string_view("\r\n\0", 3)) !=
        std::string::npos) {
      return fail(ErrorCode::InvalidArgument, "header \"{}\" holds a line break", header.first);
    }
    // curl's own notation: "Name;" is a header with an empty value.
    const std::string line =
        header.second.empty() ? header.first + ";" : header.first + ": " + header.second;
    curl_slist* const longer = curl_slist_append(transfer.headers.get(), line.c_str());
    if (longer == nullptr) return fail(ErrorCode::Unavailable, "{}: no memory", request.url);
    std::ignore = transfer.headers.release();
    transfer.headers.reset(longer);
  }
  set(CURLOPT_ERRORBUFFER, transfer.error_text);
  set(CURLOPT_URL, request.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_NOSIGNAL, 1L);  // signals and threads do not mix
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout_ms));
  set(CURLOPT_USERAGENT, options.user_agent.c_str());
  set(CURLOPT_WRITEFUNCTION, &on_body);
  set(CURLOPT_WRITEDATA, static_cast<void*>(&transfer));
  set(CURLOPT_HEADERFUNCTION, &on_header);
  set(CURLOPT_HEADERDATA, static_cast<void*>(&transfer));
  set(CURLOPT_PRIVATE, static_cast<void*>(&transfer));
  if (request.method == "HEAD") {
    set(CURLOPT_NOBODY, 1L);
  } else if (!request.body.empty() || request.method == "POST" || request.method == "PUT") {
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDS, request.body.c_str());
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  }
  if (request.method != "HEAD") set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
  set(CURLOPT_HTTPHEADER, transfer.headers.get());
  if (code != CURLE_OK) {
    return fail(ErrorCode::InvalidArgument, "{}: {}", request.url, curl_easy_strerror(code));
  }
  return {};
}

Error error_of(const Transfer& transfer, CURLcode code) {
  const std::string& url = transfer.request.url;
  if (transfer.is_oversized) {
    return {ErrorCode::TooLarge, fmt::format("{}: the response has more than {} bytes", url,
                                             transfer.request.response_size_max)};
  }
  const char* const text =
      transfer.error_text[0] != '\0' ? transfer.error_text : curl_easy_strerror(code);
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return {ErrorCode::Timeout,
              fmt::format("{}: no answer within {} ms", url, transfer.request.timeout_ms)};
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return {ErrorCode::InvalidArgument, fmt::format("\"{}\": {}", url, text)};
    default:
      return {ErrorCode::Unavailable, fmt::format("{}: {}", url, text)};
  }
}

}  // namespace

struct CurlTransport::Loop {
  CurlTransportOptions options;
  std::unique_ptr<CURLM, EndMulti> multi{curl_multi_init()};
  std::unordered_map<CURL*, std::unique_ptr<Transfer>> running;  // the loop thread's own
  std::atomic<size_t> in_flight = 0;
  std::mutex mutex;
  std::deque<std::unique_ptr<Transfer>> incoming;  // guarded by mutex
  bool stopping = false;                           // guarded by mutex
  std::thread thread;

  void run();
  bool take_incoming();
  void start(std::unique_ptr<Transfer> transfer);
  void finish_done();
  void finish(std::unique_ptr<Transfer> transfer, Result<Response> result);
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
  std::deque<std::unique_ptr<Transfer>> taken;
  {
    const std::lock_guard lock(mutex);
    if (stopping) return false;
    taken.swap(incoming);
  }
  for (auto& transfer : taken) start(std::move(transfer));
  return true;
}

void CurlTransport::Loop::start(std::unique_ptr<Transfer> transfer) {
  if (Result<void> prepared = prepare(*transfer, options); !prepared) {
    finish(std::move(transfer), tl::unexpected(std::move(prepared).error()));
    return;
  }
  CURL* const easy = transfer->easy.get();
  const CURLMcode code = curl_multi_add_handle(multi.get(), easy);
  if (code != CURLM_OK) {
    finish(std::move(transfer), fail(ErrorCode::Unavailable, "{}", curl_multi_strerror(code)));
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
    std::unique_ptr<Transfer> transfer = std::move(found->second);
    running.erase(found);
    curl_multi_remove_handle(multi.get(), transfer->easy.get());
    if (code != CURLE_OK) {
      Error error = error_of(*transfer, code);
      finish(std::move(transfer), tl::unexpected(std::move(error)));
      continue;
    }
    long status = 0;
    curl_easy_getinfo(transfer->easy.get(), CURLINFO_RESPONSE_CODE, &status);
    Response response = std::move(transfer->response);
    response.status = static_cast<int>(status);
    finish(std::move(transfer), std::move(response));
  }
}

void CurlTransport::Loop::finish(std::unique_ptr<Transfer> transfer, Result<Response> result) {
  --in_flight;  // before `done`, which may send the next request
  const Done done = std::move(transfer->done);
  transfer.reset();
  done(std::move(result));
}

void CurlTransport::Loop::cancel_all() {
  std::vector<std::unique_ptr<Transfer>> cancelled;
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
    finish(std::move(transfer), fail(ErrorCode::Cancelled, "the transport stops"));
  }
}

Result<std::unique_ptr<CurlTransport>> CurlTransport::start(CurlTransportOptions options) {
  static const CURLcode kGlobal = curl_global_init(CURL_GLOBAL_DEFAULT);  // once, thread-safe
  if (kGlobal != CURLE_OK) {
    return fail(ErrorCode::Internal, "libcurl: {}", curl_easy_strerror(kGlobal));
  }
  auto loop = std::make_unique<Loop>();
  if (!loop->multi) return fail(ErrorCode::Internal, "libcurl: no memory");
  loop->options = std::move(options);
  curl_multi_setopt(loop->multi.get(), CURLMOPT_MAXCONNECTS, kConnectionsCached);
  loop->thread = std::thread([at = loop.get()] { at->run(); });
  pthread_setname_np(loop->thread.native_handle(), "http-client");
  return std::unique_ptr<CurlTransport>(new CurlTransport(std::move(loop)));
}

CurlTransport::CurlTransport(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}

CurlTransport::~CurlTransport() {
  {
    const std::lock_guard lock(loop_->mutex);
    loop_->stopping = true;
  }
  curl_multi_wakeup(loop_->multi.get());
  loop_->thread.join();
}

void CurlTransport::send(OutgoingRequest request, Done done) {
  if (++loop_->in_flight > loop_->options.in_flight_max) {
    --loop_->in_flight;
    done(fail(ErrorCode::LimitExceeded, "{}: {} requests are in flight already", request.url,
              loop_->options.in_flight_max));
    return;
  }
  auto transfer = std::make_unique<Transfer>();
  transfer->request = std::move(request);
  transfer->done = std::move(done);
  bool is_stopping = false;
  {
    const std::lock_guard lock(loop_->mutex);
    is_stopping = loop_->stopping;
    if (!is_stopping) loop_->incoming.push_back(std::move(transfer));
  }
  if (is_stopping) {
    loop_->finish(std::move(transfer), fail(ErrorCode::Cancelled, "the transport stops"));
    return;
  }
  curl_multi_wakeup(loop_->multi.get());
}

}  // namespace net
