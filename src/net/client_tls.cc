#include "net/client_tls.h"

#include "core/clock.h"
#include "net/client_url.h"

#include <algorithm>
#include <arpa/inet.h>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unordered_map>

namespace net {

using core::Error;
using core::ErrorCode;
using core::fail;
using core::Result;

namespace {

constexpr size_t kSessionsMax = 4096;  // to resume; 2-3 KiB each
constexpr int64_t kMsNs = 1'000'000;
constexpr size_t kFirstBytes = 5;  // a record's header

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* given) const {
    Free(given);
  }
};
using ContextPtr = std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>>;
using SessionPtr = std::unique_ptr<SSL_SESSION, Freed<SSL_SESSION_free>>;
using BioPtr = std::unique_ptr<BIO, Freed<BIO_free>>;
using CertificatePtr = std::unique_ptr<X509, Freed<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, Freed<GENERAL_NAMES_free>>;

std::string openssl_error() {
  const unsigned long code = ERR_peek_last_error();
  const char* const reason = ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "unknown error" : reason;
}

BioPtr memory_of(std::string_view text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// Never asks on the terminal.
int no_password(char*, int, int, void*) {
  return -1;
}

Result<void> add_authorities(SSL_CTX* context, const std::string& pem) {
  const BioPtr input = memory_of(pem);
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  size_t count = 0;
  while (const CertificatePtr certificate{
      PEM_read_bio_X509(input.get(), nullptr, no_password, nullptr)}) {
    X509_STORE_add_cert(store, certificate.get());
    ++count;
  }
  ERR_clear_error();
  if (count == 0) return fail(ErrorCode::InvalidArgument, "no PEM certificate in it");
  return {};
}

Result<void> add_identity(SSL_CTX* context, const std::string& pem, const core::Secret& key_pem) {
  const BioPtr input = memory_of(pem);
  const CertificatePtr own(PEM_read_bio_X509_AUX(input.get(), nullptr, no_password, nullptr));
  if (!own) {
    ERR_clear_error();
    return fail(ErrorCode::InvalidArgument,
                "tls: failed to find any PEM data in certificate input");
  }
  if (SSL_CTX_use_certificate(context, own.get()) != 1) {
    return fail(ErrorCode::InvalidArgument, "tls: {}", openssl_error());
  }
  while (X509* const issuer = PEM_read_bio_X509(input.get(), nullptr, no_password, nullptr)) {
    SSL_CTX_add0_chain_cert(context, issuer);  // takes it over
  }
  ERR_clear_error();
  const BioPtr key_input = memory_of(key_pem.reveal());
  const KeyPtr key(PEM_read_bio_PrivateKey(key_input.get(), nullptr, no_password, nullptr));
  if (!key) {
    ERR_clear_error();
    return fail(ErrorCode::InvalidArgument, "tls: failed to find any PEM data in key input");
  }
  if (X509_check_private_key(own.get(), key.get()) != 1) {
    ERR_clear_error();
    return fail(ErrorCode::InvalidArgument, "tls: private key does not match public key");
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    return fail(ErrorCode::InvalidArgument, "tls: {}", openssl_error());
  }
  return {};
}

int version_number(TlsVersion version, int by_default) {
  switch (version) {
    case TlsVersion::Default:
      return by_default;
    case TlsVersion::Tls10:
      return TLS1_VERSION;
    case TlsVersion::Tls11:
      return TLS1_1_VERSION;
    case TlsVersion::Tls12:
      return TLS1_2_VERSION;
    case TlsVersion::Tls13:
      return TLS1_3_VERSION;
  }
  return by_default;
}

std::atomic<uint64_t> next_context_id = 1;

bool is_address(const std::string& host) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, host.c_str(), bytes) == 1 ||
         inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

}  // namespace

struct TlsContext::State {
  ContextPtr context;
  std::string server_name;
  bool is_verified = true;
  std::mutex mutex;
  std::unordered_map<std::string, SessionPtr> sessions;  // guarded by mutex

  SessionPtr find(const std::string& key) {
    const std::lock_guard lock(mutex);
    const auto found = sessions.find(key);
    if (found == sessions.end()) return nullptr;
    SSL_SESSION_up_ref(found->second.get());
    return SessionPtr(found->second.get());
  }
  void keep(const std::string& key, SSL_SESSION* session) {
    const std::lock_guard lock(mutex);
    // Any one goes: a full handshake is all it costs.
    if (sessions.size() >= kSessionsMax && !sessions.contains(key)) {
      sessions.erase(sessions.begin());
    }
    sessions[key].reset(session);
  }
};

// The socket below OpenSSL: its own would raise SIGPIPE.
struct TlsTransport {
  int socket = -1;
  int error = 0;
  bool has_ended = false;
  std::string first_bytes;
  TlsContext::State* state = nullptr;
  std::string session_key;
  CertificatePtr refused;

  static TlsTransport& of(BIO* bio) { return *static_cast<TlsTransport*>(BIO_get_data(bio)); }

  static int read(BIO* bio, char* to, int size) {
    TlsTransport& own = of(bio);
    BIO_clear_retry_flags(bio);
    const ssize_t got = ::recv(own.socket, to, static_cast<size_t>(size), MSG_DONTWAIT);
    if (got > 0 && own.first_bytes.size() < kFirstBytes) {
      own.first_bytes.append(to, static_cast<size_t>(got));
    }
    if (got == 0) own.has_ended = true;
    return own.judge(bio, got, BIO_FLAGS_READ);
  }
  static int write(BIO* bio, const char* from, int size) {
    TlsTransport& own = of(bio);
    BIO_clear_retry_flags(bio);
    const ssize_t sent =
        ::send(own.socket, from, static_cast<size_t>(size), MSG_DONTWAIT | MSG_NOSIGNAL);
    return own.judge(bio, sent, BIO_FLAGS_WRITE);
  }
  static long control(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_EOF) return of(bio).has_ended ? 1 : 0;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
  }
  int judge(BIO* bio, ssize_t size, int direction) {
    if (size >= 0) return static_cast<int>(size);
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
      BIO_set_flags(bio, direction | BIO_FLAGS_SHOULD_RETRY);
    } else {
      error = errno;
    }
    return -1;
  }
  static const BIO_METHOD* method() {
    static BIO_METHOD* const made = [] {
      BIO_METHOD* const fresh = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
      BIO_meth_set_read(fresh, read);
      BIO_meth_set_write(fresh, write);
      BIO_meth_set_ctrl(fresh, control);
      return fresh;
    }();
    return made;
  }
};

namespace {

// Keeps the refused certificate: OpenSSL forgets it, and its names are what people need.
int look_at_verdict(int is_good, X509_STORE_CTX* store) {
  if (is_good != 0) return is_good;
  auto* const ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* const transport = static_cast<TlsTransport*>(SSL_get_app_data(ssl));
  X509* const leaf = X509_STORE_CTX_get0_cert(store);
  if (transport != nullptr && leaf != nullptr) {
    X509_up_ref(leaf);
    transport->refused.reset(leaf);
  }
  return is_good;
}

int keep_session(SSL* ssl, SSL_SESSION* session) {
  auto* const transport = static_cast<TlsTransport*>(SSL_get_app_data(ssl));
  if (transport == nullptr) return 0;
  transport->state->keep(transport->session_key, session);
  return 1;  // it is ours now
}

}  // namespace

TlsContext::TlsContext() : id_(next_context_id++), state_(std::make_unique<State>()) {}
TlsContext::~TlsContext() = default;

Result<std::shared_ptr<TlsContext>> TlsContext::create(const TlsConfig& config,
                                                       const Material& material) {
  auto made = std::make_shared<TlsContext>();
  State& state = *made->state_;
  state.context.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* const context = state.context.get();
  if (context == nullptr) return fail(ErrorCode::Internal, "tls: {}", openssl_error());
  state.server_name = config.server_name;
  state.is_verified = !config.insecure_skip_verify;

  const int min_version = version_number(config.min_version, TLS1_2_VERSION);
  // Go takes keys of 1024 bits; the versions before 1.2 need hashes that higher levels refuse.
  SSL_CTX_set_security_level(context, min_version < TLS1_2_VERSION ? 0 : 1);
  SSL_CTX_set_min_proto_version(context, min_version);
  SSL_CTX_set_max_proto_version(context, version_number(config.max_version, 0));
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_default_passwd_cb(context, no_password);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
  SSL_CTX_sess_set_new_cb(context, keep_session);
  SSL_CTX_set_verify(context, state.is_verified ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                     look_at_verdict);
  // Whatever stands among the authorities is trusted, also what is not self-signed.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);

  if (!material.ca.empty()) {
    TRY(add_authorities(context, material.ca)
            .context("unable to use specified CA cert{}",
                     config.ca_file.empty() ? "" : " " + config.ca_file));
  } else if (state.is_verified) {
    SSL_CTX_set_default_verify_paths(context);
    ERR_clear_error();
  }
  if (!material.cert.empty()) {
    TRY(add_identity(context, material.cert, material.key)
            .context("unable to use specified client cert ({}) & key ({})",
                     config.cert_file.empty() ? "inline" : config.cert_file,
                     config.key.file.empty() ? "inline" : config.key.file));
  }
  return made;
}

Result<TlsContext::Material> TlsSource::read() const {
  TlsContext::Material material{.ca = config_.ca, .cert = config_.cert, .key = config_.key.value};
  if (!config_.ca_file.empty()) {
    material.ca =
        TRY(files_.read_file(config_.ca_file).context("unable to load specified CA cert"));
  }
  if (!config_.cert_file.empty()) {
    material.cert = TRY(files_.read_file(config_.cert_file).context("unable to read client cert"));
  }
  if (!config_.key.file.empty()) {
    material.key =
        core::Secret(TRY(files_.read_file(config_.key.file).context("unable to read client key")));
  }
  return material;
}

Result<std::shared_ptr<TlsContext>> TlsSource::current() {
  const std::lock_guard lock(mutex_);
  const bool has_files =
      !config_.ca_file.empty() || !config_.cert_file.empty() || !config_.key.file.empty();
  const int64_t now_ns = core::SystemClock().monotonic_ns();
  if (context_ && (!has_files || now_ns - checked_ns_ < check_files_ms_ * kMsNs)) return context_;
  TlsContext::Material material = TRY(read());
  if (!context_ || material != material_) {
    context_ = TRY(TlsContext::create(config_, material));
    material_ = std::move(material);
  }
  checked_ns_ = now_ns;
  return context_;
}

TlsSession::TlsSession(std::shared_ptr<TlsContext> context, int socket, const std::string& host,
                       uint16_t port)
    : context_(std::move(context)), transport_(std::make_unique<TlsTransport>()) {
  TlsContext::State& state = *context_->state_;
  host_ = state.server_name.empty() ? host : state.server_name;
  transport_->socket = socket;
  transport_->state = &state;
  transport_->session_key = host_ + " " + host_port(host, port);
  ssl_ = SSL_new(state.context.get());
  ENSURE(ssl_ != nullptr);
  SSL_set_app_data(ssl_, transport_.get());
  BIO* const bio = BIO_new(TlsTransport::method());
  ENSURE(bio != nullptr);
  BIO_set_data(bio, transport_.get());
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
  SSL_set_connect_state(ssl_);
  // Names in the subject are not looked at, as in Go.
  SSL_set_hostflags(ssl_,
                    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (is_address(host_)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), host_.c_str());
  } else {
    SSL_set_tlsext_host_name(ssl_, host_.c_str());
    SSL_set1_host(ssl_, host_.c_str());
  }
  if (const SessionPtr session = state.find(transport_->session_key)) {
    SSL_set_session(ssl_, session.get());
  }
}

TlsSession::~TlsSession() {
  SSL_free(ssl_);
}

Result<TlsSession::Step> TlsSession::handshake() {
  ERR_clear_error();
  return step_of(SSL_do_handshake(ssl_));
}

Result<TlsSession::Step> TlsSession::read(char* to, size_t size) {
  ERR_clear_error();
  size_t got = 0;
  const int result = SSL_read_ex(ssl_, to, size, &got);
  if (result == 1) return Step{.wants = Wants::Nothing, .size = got};
  if (SSL_get_error(ssl_, result) == SSL_ERROR_ZERO_RETURN) return Step{};
  return step_of(result);
}

Result<TlsSession::Step> TlsSession::write(std::string_view bytes) {
  ERR_clear_error();
  size_t sent = 0;
  const int result = SSL_write_ex(ssl_, bytes.data(), bytes.size(), &sent);
  if (result == 1) return Step{.wants = Wants::Nothing, .size = sent};
  return step_of(result);
}

void TlsSession::shut_down() {
  if (SSL_is_init_finished(ssl_) == 0 || has_failed_) return;
  ERR_clear_error();
  SSL_shutdown(ssl_);  // says goodbye, does not wait for the answer
  ERR_clear_error();
}

bool TlsSession::is_resumed() const {
  return SSL_session_reused(ssl_) == 1;
}

Result<TlsSession::Step> TlsSession::step_of(int result) {
  if (result == 1) return Step{};
  const int error = SSL_get_error(ssl_, result);
  if (error == SSL_ERROR_WANT_READ) return Step{.wants = Wants::Read};
  if (error == SSL_ERROR_WANT_WRITE) return Step{.wants = Wants::Write};
  has_failed_ = true;
  Error failure = error_of();
  ERR_clear_error();
  return tl::unexpected(std::move(failure));
}

namespace {

// What the certificate is for: "a.example.org, b.example.org".
std::string names_of(X509* certificate, int kind) {
  std::string list;
  const NamesPtr names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != kind) continue;
    const ASN1_STRING* const value = kind == GEN_DNS ? name->d.dNSName : name->d.iPAddress;
    const unsigned char* const bytes = ASN1_STRING_get0_data(value);
    const int size = ASN1_STRING_length(value);
    if (!list.empty()) list += ", ";
    if (kind == GEN_DNS) {
      list.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
      continue;
    }
    char text[INET6_ADDRSTRLEN] = "?";
    inet_ntop(size == 4 ? AF_INET : AF_INET6, bytes, text, sizeof(text));
    list += text;
  }
  return list;
}

std::string mismatch_text(X509* certificate, const std::string& host) {
  if (certificate == nullptr) return "certificate is not valid for " + host;
  const bool by_address = is_address(host);
  const std::string names = names_of(certificate, by_address ? GEN_IPADD : GEN_DNS);
  if (!names.empty()) return fmt::format("certificate is valid for {}, not {}", names, host);
  if (by_address) {
    return fmt::format("cannot validate certificate for {} because it doesn't contain any IP SANs",
                       host);
  }
  if (names_of(certificate, GEN_IPADD).empty()) {
    return "certificate relies on legacy Common Name field, use SANs instead";
  }
  return "certificate is not valid for any names, but wanted to match " + host;
}

std::string verify_text(X509* certificate, long result, const std::string& host) {
  switch (result) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_UNTRUSTED:
      return "certificate signed by unknown authority";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return mismatch_text(certificate, host);
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "certificate has expired or is not yet valid";
    default:
      return X509_verify_cert_error_string(result);
  }
}

// Go's names of the alerts people meet; OpenSSL's reason for the others.
std::string alert_text(unsigned long code) {
  switch (ERR_GET_REASON(code)) {
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
      return "remote error: tls: handshake failure";
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
      return "remote error: tls: bad certificate";
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      return "remote error: tls: certificate required";
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
      return "remote error: tls: protocol version not supported";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      return "remote error: tls: unknown certificate authority";
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
      return "remote error: tls: expired certificate";
    case SSL_R_TLSV1_UNRECOGNIZED_NAME:
      return "remote error: tls: unrecognized name";
    case SSL_R_UNSUPPORTED_PROTOCOL:
      return "tls: server selected unsupported protocol version";
    default: {
      const char* const reason = ERR_reason_error_string(code);
      return fmt::format("tls: {}", reason == nullptr ? "unknown error" : reason);
    }
  }
}

}  // namespace

Error TlsSession::error_of() {
  const unsigned long code = ERR_peek_last_error();
  if (transport_->error != 0) {
    std::string text = std::strerror(transport_->error);
    if (text[0] >= 'A' && text[0] <= 'Z') text[0] = static_cast<char>(text[0] + 32);
    return {ErrorCode::Unavailable, text};
  }
  if (transport_->has_ended) {
    return {ErrorCode::Unavailable, SSL_is_init_finished(ssl_) != 0 ? "unexpected EOF" : "EOF"};
  }
  const bool is_handshaking = SSL_is_init_finished(ssl_) == 0;
  if (is_handshaking && context_->state_->is_verified) {
    const long verified = SSL_get_verify_result(ssl_);
    if (verified != X509_V_OK) {
      return {ErrorCode::InvalidArgument,
              "tls: failed to verify certificate: x509: " +
                  verify_text(transport_->refused.get(), verified, host_)};
    }
  }
  if (is_handshaking && transport_->first_bytes.starts_with("HTTP/")) {
    return {ErrorCode::InvalidArgument, "http: server gave HTTP response to HTTPS client"};
  }
  const int reason = ERR_GET_REASON(code);
  if (is_handshaking && (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST)) {
    return {ErrorCode::InvalidArgument, "tls: first record does not look like a TLS handshake"};
  }
  return {ErrorCode::InvalidArgument, alert_text(code)};
}

}  // namespace net
