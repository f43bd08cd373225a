// TLS of outgoing connections: OpenSSL without memory of its own per idle connection, and
// errors as Go words them.

#pragma once

#include "core/file_system.h"
#include "core/result.h"
#include "net/client_config.h"

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

struct ssl_st;

namespace net {

struct TlsTransport;

// Certificates, keys, versions and the sessions to resume. Thread-safe.
class TlsContext {
 public:
  // What the files of a TlsConfig hold; the value where it stands in the configuration.
  struct Material {
    std::string ca;
    std::string cert;
    core::Secret key;
    bool operator==(const Material&) const = default;
  };

  // InvalidArgument when a certificate or key does not load.
  static core::Result<std::shared_ptr<TlsContext>> create(const TlsConfig& config,
                                                          const Material& material);
  TlsContext();
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  uint64_t id() const { return id_; }  // of no other context of the process

 private:
  friend class TlsSession;
  friend struct TlsTransport;
  struct State;

  const uint64_t id_;
  std::unique_ptr<State> state_;
};

// The context of a configuration whose files may change. Thread-safe.
class TlsSource {
 public:
  static constexpr int64_t kCheckFilesMs = 1000;

  TlsSource(TlsConfig config, core::FileSystem& files, int64_t check_files_ms = kCheckFilesMs)
      : config_(std::move(config)), files_(files), check_files_ms_(check_files_ms) {}
  // Made again when a file has changed, which is looked at no more often than that.
  core::Result<std::shared_ptr<TlsContext>> current();

 private:
  core::Result<TlsContext::Material> read() const;

  const TlsConfig config_;
  core::FileSystem& files_;
  const int64_t check_files_ms_;
  std::mutex mutex_;
  std::shared_ptr<TlsContext> context_;  // guarded by mutex_
  TlsContext::Material material_;        // guarded by mutex_
  int64_t checked_ns_ = 0;               // guarded by mutex_
};

// One connection's TLS over a socket that does not block. Confined to its thread.
class TlsSession {
 public:
  enum class Wants : uint8_t { Nothing, Read, Write };
  struct Step {
    Wants wants = Wants::Nothing;  // wait for it, then call again
    size_t size = 0;               // read: 0 is the end
  };

  // `host` for SNI and verification, unless the configuration names another one.
  TlsSession(std::shared_ptr<TlsContext> context, int socket, const std::string& host,
             uint16_t port);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  core::Result<Step> handshake();
  core::Result<Step> read(char* to, size_t size);
  core::Result<Step> write(std::string_view bytes);
  void shut_down();
  bool is_resumed() const;

 private:
  core::Result<Step> step_of(int result);
  core::Error error_of();

  std::shared_ptr<TlsContext> context_;
  ssl_st* ssl_ = nullptr;
  std::string host_;  // whose certificate is expected
  std::unique_ptr<TlsTransport> transport_;
  bool has_failed_ = false;
};

}  // namespace net
