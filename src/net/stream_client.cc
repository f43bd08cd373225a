#include "net/stream_client.h"

#include "net/curl_transfer_impl.h"

#include <curl/curl.h>
#include <deque>
#include <map>
#include <mutex>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <thread>
#include <utility>
#include <vector>

namespace net {

using core::Error;
using core::ErrorCode;
using core::fail;
using core::Result;

namespace {

constexpr int kPollMaxMs = 1000;
constexpr size_t kStreamsMax = 64;
// A peer that vanished without a word is noticed after a minute.
constexpr long kKeepAliveIdleS = 20;
constexpr long kKeepAliveIntervalS = 10;

struct EndMulti {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};
// PEM texts of one TLS configuration.
struct TlsMaterial {
  std::string ca;
  std::string cert;
  std::string key;
};

// Stays where it is: curl keeps pointers into it.
struct Stream {
  StreamId id = 0;
  StreamRequest request;
  StreamClient::OnChunk on_chunk;
  StreamClient::OnEnd on_end;
  TlsMaterial material;
  std::unique_ptr<CURL, EndEasy> easy;
  CurlList headers;
  CurlList connect_to;
  bool is_ended_by_us = false;
  char error_text[CURL_ERROR_SIZE] = {};
};

size_t on_body(char* data, size_t unit, size_t count, void* user) {
  auto& stream = *static_cast<Stream*>(user);
  long status = 0;
  curl_easy_getinfo(stream.easy.get(), CURLINFO_RESPONSE_CODE, &status);
  const size_t size = unit * count;
  if (stream.on_chunk(static_cast<int>(status), {data, size})) return size;
  stream.is_ended_by_us = true;
  return size == 0 ? 1 : 0;  // ends the transfer with CURLE_WRITE_ERROR
}

Result<std::string> load(core::FileSystem& files, std::string_view what, const std::string& text,
                         const std::string& path) {
  if (!text.empty() || path.empty()) return text;
  return files.read_file(path).context("{}", what);
}

Result<TlsMaterial> load_material(const TlsConfig& tls, core::FileSystem& files) {
  TlsMaterial out;
  out.ca = TRY(load(files, "ca_file", tls.ca, tls.ca_file));
  out.cert = TRY(load(files, "cert_file", tls.cert, tls.cert_file));
  out.key = TRY(load(files, "key_file", tls.key.value.reveal(), tls.key.file));
  return out;
}

using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free)>;

Result<void> check_certificate(std::string_view what, const std::string& pem) {
  if (pem.empty()) return {};
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(
      PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), &X509_free);
  ERR_clear_error();
  if (certificate) return {};
  return fail(ErrorCode::InvalidArgument, "{}: expected a certificate in PEM form", what);
}

Result<void> check_material(const TlsMaterial& material) {
  TRY(check_certificate("ca", material.ca));
  TRY(check_certificate("cert", material.cert));
  if (material.cert.empty() != material.key.empty()) {
    return fail(ErrorCode::InvalidArgument,
                "a client certificate needs cert_file and key_file: only one is given");
  }
  if (material.key.empty()) return {};
  const BioPtr bio(BIO_new_mem_buf(material.key.data(), static_cast<int>(material.key.size())),
                   &BIO_free);
  // An empty passphrase: without it OpenSSL would ask on the terminal.
  char no_passphrase[] = "";
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, no_passphrase), &EVP_PKEY_free);
  ERR_clear_error();
  if (key) return {};
  return fail(ErrorCode::InvalidArgument, "key: expected a private key in PEM form");
}

// "https://10.0.0.1:2379/x" with the server name "etcd" is asked for as
// https://etcd:2379/x and connected to 10.0.0.1: libcurl checks the name of the URL.
std::string rename_host(const std::string& url, const std::string& name, CurlList& connect_to) {
  const size_t begin = url.find("://");
  if (begin == std::string::npos) return url;
  const size_t host_begin = begin + 3;
  const size_t host_end = std::min(url.find_first_of("/?", host_begin), url.size());
  const std::string authority = url.substr(host_begin, host_end - host_begin);
  const size_t colon = authority.find(':', authority.rfind(']') + 1);
  const bool has_port = colon != std::string::npos;
  const std::string host = has_port ? authority.substr(0, colon) : authority;
  if (!append_line(connect_to, "::" + host + ":")) return url;
  return url.substr(0, host_begin) + name + (has_port ? authority.substr(colon) : "") +
         url.substr(host_end);
}

curl_blob blob_of(const std::string& text) {
  curl_blob blob{};
  blob.data = const_cast<char*>(text.data());  // NOLINT: libcurl's type; it only reads
  blob.len = text.size();
  blob.flags = CURL_BLOB_NOCOPY;
  return blob;
}

Result<void> prepare(Stream& stream, const TlsConfig& tls, core::FileSystem& files) {
  stream.material = TRY(load_material(tls, files));
  stream.easy.reset(curl_easy_init());
  if (!stream.easy) return fail(ErrorCode::Unavailable, "no memory for curl");
  CURLcode code = CURLE_OK;
  const auto set = [&](CURLoption option, auto value) {
    if (code == CURLE_OK) code = curl_easy_setopt(stream.easy.get(), option, value);
  };
  const auto set_pem = [&](CURLoption option, const std::string& text) {
    if (text.empty()) return;
    const curl_blob blob = blob_of(text);
    set(option, &blob);
  };
  for (const auto& [name, value] : stream.request.headers) {
    if (!append_line(stream.headers, name + ": " + value)) {
      return fail(ErrorCode::Unavailable, "no memory for headers");
    }
  }
  std::string url = stream.request.url;
  if (!tls.server_name.empty() && url.starts_with("https:")) {
    url = rename_host(url, tls.server_name, stream.connect_to);
  }
  set(CURLOPT_ERRORBUFFER, stream.error_text);
  set(CURLOPT_URL, url.c_str());
  set(CURLOPT_CONNECT_TO, stream.connect_to.get());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_PROXY, "");  // stores are reached directly; the environment has no say
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_TCP_KEEPIDLE, kKeepAliveIdleS);
  set(CURLOPT_TCP_KEEPINTVL, kKeepAliveIntervalS);
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(stream.request.connect_timeout_ms));
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(stream.request.timeout_ms));
  set(CURLOPT_USERAGENT, "Petrel");
  set(CURLOPT_POST, 1L);
  set(CURLOPT_POSTFIELDS, stream.request.body.c_str());
  set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(stream.request.body.size()));
  set(CURLOPT_HTTPHEADER, stream.headers.get());
  set(CURLOPT_WRITEFUNCTION, &on_body);
  set(CURLOPT_WRITEDATA, static_cast<void*>(&stream));
  set(CURLOPT_SSLVERSION, curl_tls_versions(tls));
  set(CURLOPT_SSL_VERIFYPEER, tls.insecure_skip_verify ? 0L : 1L);
  set(CURLOPT_SSL_VERIFYHOST, tls.insecure_skip_verify ? 0L : 2L);
  set_pem(CURLOPT_CAINFO_BLOB, stream.material.ca);
  set_pem(CURLOPT_SSLCERT_BLOB, stream.material.cert);
  set_pem(CURLOPT_SSLKEY_BLOB, stream.material.key);
  if (code != CURLE_OK) {
    return fail(ErrorCode::InvalidArgument, "{}: {}", url, curl_easy_strerror(code));
  }
  return {};
}

Error error_of(const Stream& stream, CURLcode code) {
  if (stream.is_ended_by_us) return {ErrorCode::Cancelled, "the stream was ended"};
  const std::string& url = stream.request.url;
  const char* const text =
      stream.error_text[0] != '\0' ? stream.error_text : curl_easy_strerror(code);
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return {ErrorCode::Timeout, fmt::format("{}: {}", url, text)};
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return {ErrorCode::InvalidArgument, fmt::format("\"{}\": {}", url, text)};
    default:
      return {ErrorCode::Unavailable, fmt::format("{}: {}", url, text)};
  }
}

class CurlStreamClient final : public StreamClient {
 public:
  CurlStreamClient(TlsConfig tls, core::FileSystem& files) : tls_(std::move(tls)), files_(files) {}

  ~CurlStreamClient() override {
    if (!thread_.joinable()) return;
    {
      const std::lock_guard lock(mutex_);
      is_stopping_ = true;
    }
    curl_multi_wakeup(multi_.get());
    thread_.join();
  }

  bool begin() {
    if (!multi_) return false;
    thread_ = std::thread([this] { run(); });
    pthread_setname_np(thread_.native_handle(), "http-stream");
    return true;
  }

  StreamId open(StreamRequest request, OnChunk on_chunk, OnEnd on_end) override {
    auto stream = std::make_unique<Stream>();
    stream->request = std::move(request);
    stream->on_chunk = std::move(on_chunk);
    stream->on_end = std::move(on_end);
    StreamId id = 0;
    {
      const std::lock_guard lock(mutex_);
      id = stream->id = next_id_++;
      incoming_.push_back(std::move(stream));
    }
    curl_multi_wakeup(multi_.get());
    return id;
  }

  void cancel(StreamId id) override {
    {
      const std::lock_guard lock(mutex_);
      cancelled_.push_back(id);
    }
    curl_multi_wakeup(multi_.get());
  }

 private:
  void run() {
    while (take_orders()) {
      int still_running = 0;
      curl_multi_perform(multi_.get(), &still_running);
      finish_done();
      curl_multi_poll(multi_.get(), nullptr, 0, kPollMaxMs, nullptr);
    }
    for (auto& [easy, stream] : running_) {
      curl_multi_remove_handle(multi_.get(), easy);
      stream->on_end(fail(ErrorCode::Cancelled, "the client stops"));
    }
    running_.clear();
    std::deque<std::unique_ptr<Stream>> unstarted;
    {
      const std::lock_guard lock(mutex_);
      unstarted.swap(incoming_);
    }
    for (auto& stream : unstarted) stream->on_end(fail(ErrorCode::Cancelled, "the client stops"));
  }

  // False when the client stops.
  bool take_orders() {
    std::deque<std::unique_ptr<Stream>> incoming;
    std::vector<StreamId> cancelled;
    {
      const std::lock_guard lock(mutex_);
      if (is_stopping_) return false;
      incoming.swap(incoming_);
      cancelled.swap(cancelled_);
    }
    for (auto& stream : incoming) start_stream(std::move(stream));
    for (const StreamId id : cancelled) end_stream(id);
    return true;
  }

  void start_stream(std::unique_ptr<Stream> stream) {
    if (running_.size() >= kStreamsMax) {
      stream->on_end(fail(ErrorCode::LimitExceeded, "{}: {} streams run already",
                          stream->request.url, kStreamsMax));
      return;
    }
    if (Result<void> prepared = prepare(*stream, tls_, files_); !prepared) {
      stream->on_end(tl::unexpected(std::move(prepared).error()));
      return;
    }
    CURL* const easy = stream->easy.get();
    if (const CURLMcode code = curl_multi_add_handle(multi_.get(), easy); code != CURLM_OK) {
      stream->on_end(fail(ErrorCode::Unavailable, "{}", curl_multi_strerror(code)));
      return;
    }
    running_.emplace(easy, std::move(stream));
  }

  void end_stream(StreamId id) {
    for (auto it = running_.begin(); it != running_.end(); ++it) {
      if (it->second->id != id) continue;
      const std::unique_ptr<Stream> stream = std::move(it->second);
      curl_multi_remove_handle(multi_.get(), it->first);
      running_.erase(it);
      stream->on_end(fail(ErrorCode::Cancelled, "the stream was ended"));
      return;
    }
  }

  void finish_done() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode code = message->data.result;  // `message` dies with remove_handle
      const auto found = running_.find(message->easy_handle);
      ENSURE(found != running_.end());
      const std::unique_ptr<Stream> stream = std::move(found->second);
      running_.erase(found);
      curl_multi_remove_handle(multi_.get(), stream->easy.get());
      if (code != CURLE_OK) {
        stream->on_end(tl::unexpected(error_of(*stream, code)));
        continue;
      }
      long status = 0;
      curl_easy_getinfo(stream->easy.get(), CURLINFO_RESPONSE_CODE, &status);
      stream->on_end(static_cast<int>(status));
    }
  }

  const TlsConfig tls_;
  core::FileSystem& files_;
  std::unique_ptr<CURLM, EndMulti> multi_{curl_multi_init()};
  std::map<CURL*, std::unique_ptr<Stream>> running_;  // the thread's own
  std::mutex mutex_;
  StreamId next_id_ = 1;                          // guarded by mutex_
  std::deque<std::unique_ptr<Stream>> incoming_;  // guarded by mutex_
  std::vector<StreamId> cancelled_;               // guarded by mutex_
  bool is_stopping_ = false;                      // guarded by mutex_
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<StreamClient>> StreamClient::start(TlsConfig tls, core::FileSystem& files) {
  static const CURLcode kGlobal = curl_global_init(CURL_GLOBAL_DEFAULT);  // once, thread-safe
  if (kGlobal != CURLE_OK) {
    return fail(ErrorCode::Internal, "libcurl: {}", curl_easy_strerror(kGlobal));
  }
  const TlsMaterial material = TRY(load_material(tls, files).context("tls_config"));
  TRY(check_material(material).context("tls_config"));
  auto client = std::make_unique<CurlStreamClient>(std::move(tls), files);
  if (!client->begin()) return fail(ErrorCode::Internal, "libcurl: no memory");
  return client;
}

}  // namespace net
