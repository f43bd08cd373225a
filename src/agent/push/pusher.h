// Sends what is collected by remote write, through a buffer on disk.
//
//   append() > DiskBuffer > one request at a time, oldest first > receiver
//
// 2xx: forgotten. 429, 408, 5xx, no answer: again after Retry-After, or after a time that
// doubles. Any other answer means that the receiver will never take it: dropped, counted.

#pragma once

#include "agent/push/disk_buffer.h"
#include "core/clock.h"
#include "core/executor.h"
#include "core/rng.h"
#include "core/scheduler.h"
#include "net/client_config.h"
#include "net/transport.h"
#include "storage/sample_sink.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace agent {

struct PusherOptions {
  std::string url;
  std::string user_agent = "petrel-agent";
  int64_t timeout_ms = 30'000;
  net::ClientConfig client;
  // Between two tries: doubles from the first to the second, give or take 30 %.
  int64_t backoff_min_ms = 1'000;
  int64_t backoff_max_ms = 60'000;
  int64_t retry_after_max_ms = 600'000;
  int64_t cursor_interval_ms = 1'000;
};

struct PusherParts {
  DiskBuffer& buffer;
  net::Transport& transport;
  core::Scheduler& scheduler;
  core::Executor& executor;  // reads files
  const core::Clock& clock;
  core::Rng& rng;
  // Of the secrets' files, before each request.
  std::function<core::Result<std::string>(const std::string& path)> read_file;
};

// Thread-safe. What `parts` name must outlive it.
class Pusher final : public storage::SampleSink {
 public:
  Pusher(PusherOptions options, PusherParts parts);
  // Calls stop(0).
  ~Pusher() override;

  void start();
  // The samples are on disk when it returns.
  core::Result<storage::AppendSummary> append(const storage::WriteBatch& batch) override;
  // Goes on sending for up to `drain_ms` while the receiver takes what it is sent, then
  // remembers how far it came. What is left stays on disk.
  void stop(int64_t drain_ms);

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the requests under way
};

// How long to wait after an answer with this Retry-After: seconds or an HTTP date. 0:
// nothing usable.
int64_t retry_after_ms(std::string_view header, int64_t now_ms);

}  // namespace agent
