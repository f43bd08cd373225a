#include "app/agent_command.h"

#include "agent/exporter.h"
#include "agent/host_collector.h"
#include "agent/push/counter_interval.h"
#include "agent/push/pusher.h"
#include "app/agent_flags.h"
#include "app/flags.h"
#include "app/http_guard.h"
#include "core/file_system.h"
#include "core/log.h"
#include "core/rng.h"
#include "core/thread_pool.h"
#include "core/timer_thread.h"
#include "net/curl_transport.h"
#include "net/http_server.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <unistd.h>

namespace app {
namespace {

using core::Result;

constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr size_t kRequestThreads = 4;
constexpr size_t kBackgroundThreads = 2;  // the collector, and the buffer
constexpr uint64_t kBodySizeMax = 4096;   // nothing that has a body is served
constexpr int64_t kDrainMs = 5'000;
constexpr int64_t kGraceMs = 2'000;

std::string host_name() {
  char name[256] = {};
  ::gethostname(name, sizeof(name) - 1);
  return name;
}

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

// Members are in the order of construction; stop() undoes them backwards.
struct Agent {
  explicit Agent(AgentFlags given)
      : flags(std::move(given)),
        requests({.name = "requests", .threads = kRequestThreads, .queue_max = 1024}),
        background({.name = "background", .threads = kBackgroundThreads, .queue_max = 64}),
        guard({.allow_anonymous = is_public(flags), .allowed_hosts = {}, .external_url = {}}) {}

  Result<void> start();
  Result<void> start_push();
  void stop();
  net::Response handle(const net::Request& request);
  net::Response scrape(const net::Request& request);
  net::Response landing_page() const;
  std::string instance() const;

  // An address beyond loopback was chosen: any host name may lead here.
  static bool is_public(const AgentFlags& flags) {
    return flags.allow_anonymous ||
           std::any_of(flags.listen_addresses.begin(), flags.listen_addresses.end(),
                       [](const std::string& one) { return !is_loopback_host(host_part(one)); });
  }

  const AgentFlags flags;
  core::SystemClock clock;
  core::SystemRng rng;
  core::PosixFileSystem files;
  core::TimerThread timers;
  core::ThreadPool requests;
  core::ThreadPool background;
  HttpGuard guard;
  std::unique_ptr<agent::Exporter> exporter;
  std::atomic<uint32_t> scrapes = 0;
  std::atomic<bool> is_ready = false;

  std::unique_ptr<core::FileLock> buffer_lock;
  std::unique_ptr<agent::DiskBuffer> buffer;
  std::unique_ptr<net::CurlTransport> transport;
  std::unique_ptr<agent::Pusher> pusher;
  std::unique_ptr<agent::CounterInterval> counters;
  std::unique_ptr<agent::HostCollector> collector;
  std::vector<std::unique_ptr<net::HttpServer>> servers;
};

std::string Agent::instance() const {
  if (!flags.instance.empty()) return flags.instance;
  return fmt::format("{}:{}", host_name(), servers.front()->port());
}

Result<void> Agent::start() {
  exporter = TRY(agent::Exporter::create({.collectors = flags.collectors,
                                          .version = std::string(petrel_version()),
                                          .own_metrics = !flags.disable_exporter_metrics},
                                         clock));
  for (const std::string& address : flags.listen_addresses) {
    net::HttpServerOptions options;
    options.listen_address = address;
    options.body_size_max = kBodySizeMax;
    servers.push_back(TRY(net::HttpServer::start(
        options, requests, [this](const net::Request& request) { return handle(request); })));
    core::log_info("agent", "listening", {{"address", address}, {"port", servers.back()->port()}});
  }
  return flags.push_url.empty() ? Result<void>() : start_push();
}

Result<void> Agent::start_push() {
  TRY(files.create_dirs(flags.buffer_path).context("--push.buffer-path"));
  buffer_lock = TRY(files.lock(flags.buffer_path + "/lock").context("--push.buffer-path"));
  buffer = TRY(agent::DiskBuffer::open({.path = flags.buffer_path,
                                        .size_max = flags.buffer_size_max,
                                        .age_max_ms = flags.buffer_age_max_ms},
                                       files, clock));
  transport = TRY(net::CurlTransport::start().context("start outgoing HTTP"));
  agent::PusherOptions options;
  options.url = flags.push_url;
  options.user_agent = fmt::format("petrel-agent/{}", petrel_version());
  options.timeout_ms = flags.push_timeout_ms;
  options.client = flags.client;
  pusher = std::make_unique<agent::Pusher>(
      std::move(options), agent::PusherParts{.buffer = *buffer,
                                             .transport = *transport,
                                             .scheduler = timers,
                                             .executor = background,
                                             .clock = clock,
                                             .rng = rng,
                                             .read_file = [this](const std::string& path) {
                                               return files.read_file(path);
                                             }});
  storage::SampleSink* sink = pusher.get();
  if (flags.counter_interval_ms > 0) {
    counters = std::make_unique<agent::CounterInterval>(flags.counter_interval_ms, *pusher);
    sink = counters.get();
  }
  agent::HostCollectorOptions host;
  host.job = flags.job;
  host.instance = instance();
  host.collectors = flags.collectors;
  host.first_interval_ms = host.interval_ms = flags.push_interval_ms;
  collector = TRY(agent::HostCollector::create(std::move(host), *sink, timers, background, clock));
  const agent::DiskBufferStats left = buffer->stats();
  core::log_info("push", "sending", {{"instance", instance()}, {"left_samples", left.samples}});
  pusher->start();
  collector->start();
  return {};
}

void Agent::stop() {
  for (const auto& server : servers) server->stop(kGraceMs);
  if (collector) collector->stop();
  if (counters) {
    const Result<void> flushed = counters->flush();
    if (!flushed) core::log_warn("push", "counters are lost", {{"err", flushed.error().message}});
  }
  if (pusher) pusher->stop(kDrainMs);
  transport.reset();
  requests.stop();
  background.stop();
  timers.stop();
}

net::Response Agent::landing_page() const {
  std::string list;
  for (const std::string_view name : exporter->collector_names()) {
    list += fmt::format("<li><a href=\"{}?collect[]={}\">{}</a></li>",
                        escape_html(flags.telemetry_path), name, name);
  }
  net::Response response{.status = 200};
  response.headers.emplace_back("Content-Type", "text/html; charset=utf-8");
  response.body = fmt::format(
      "<!doctype html><html lang=\"en\"><head><title>Petrel agent</title></head><body>"
      "<h1>Petrel agent</h1><p>Version {}</p><p><a href=\"{}\">Metrics</a></p>"
      "<p>Collectors:</p><ul>{}</ul></body></html>\n",
      petrel_version(), escape_html(flags.telemetry_path), list);
  return response;
}

net::Response Agent::scrape(const net::Request& request) {
  struct Place {
    std::atomic<uint32_t>& count;
    uint32_t number;
    ~Place() { --count; }
  };
  const Place place{scrapes, ++scrapes};
  if (flags.requests_max > 0 && place.number > flags.requests_max) {
    return net::Response::text(
        503, fmt::format("Limit of concurrent requests reached ({}), try again later.\n",
                         flags.requests_max));
  }
  agent::Exporter::Selection selection;
  for (auto& [name, value] : net::parse_query(request.query)) {
    if (name == "collect[]") selection.collect.push_back(std::move(value));
    if (name == "exclude[]") selection.exclude.push_back(std::move(value));
  }
  const agent::TextForm form = agent::negotiate_text_form(request.header("Accept").value_or(""));
  Result<std::string> text = exporter->scrape(selection, form);
  if (!text) {
    const bool is_theirs = text.error().code == core::ErrorCode::InvalidArgument;
    return net::Response::text(is_theirs ? 400 : 500, text.error().message + "\n");
  }
  net::Response response{.status = 200};
  response.headers.emplace_back("Content-Type", agent::content_type_of(form));
  response.body = std::move(*text);
  return response;
}

net::Response Agent::handle(const net::Request& request) {
  if (auto refused = guard.refuse(request)) return std::move(*refused);
  if (request.method != "GET" && request.method != "HEAD") {
    return net::Response::text(405, "Only GET is served here.\n");
  }
  if (request.path == flags.telemetry_path) return scrape(request);
  if (request.path == "/") return landing_page();
  if (request.path == "/-/healthy" || request.path == "/-/ready") {
    if (request.path == "/-/ready" && !is_ready) {
      return net::Response::text(503, "Petrel agent starts.\n");
    }
    return net::Response::text(200, "Petrel agent is ready.\n");
  }
  return net::Response::text(404, "Not found.\n");
}

// Taken by sigwait(), so that no thread ever runs a handler.
sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes is an error of the write
  return signals;
}

}  // namespace

int run_agent(const std::vector<std::string>& arguments) {
  Result<AgentFlagsOutcome> outcome = parse_agent_flags(arguments);
  if (!outcome) {
    std::fprintf(stderr, "petrel agent: %s\n", outcome.error().message.c_str());
    return kUsage;
  }
  if (outcome->print_and_exit) {
    std::fputs(outcome->print_and_exit->c_str(), stdout);
    return 0;
  }
  core::set_log_level(outcome->flags.log_level);
  core::set_log_format(outcome->flags.log_format);
  for (const std::string& warning : outcome->flags.warnings) core::log_warn("flags", warning);
  const sigset_t signals = block_signals();
  Agent agent(std::move(outcome->flags));
  const Result<void> started = agent.start();
  if (!started) {
    core::log_error("agent", "cannot start", {{"error", started.error().message}});
    agent.stop();
    return kFailed;
  }
  agent.is_ready = true;
  core::log_info("agent", "ready", {{"version", petrel_version()}});
  int signal = 0;
  while (sigwait(&signals, &signal) == 0 && signal == SIGHUP) {
  }
  core::log_info("agent", "stopping", {{"signal", strsignal(signal)}});
  agent.stop();
  return 0;
}

}  // namespace app
