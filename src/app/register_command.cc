#include "app/register_command.h"

#include "app/help_format.h"
#include "core/file_system.h"
#include "core/json_writer.h"
#include "core/log.h"
#include "core/time.h"
#include "discovery/registrar.h"
#include "discovery/registration.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <optional>
#include <utility>

namespace app {
namespace {

using core::ErrorCode;
using core::fail;
using core::Result;

constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr int64_t kRetryMinMs = 1'000;
constexpr int64_t kRetryMaxMs = 5'000;
constexpr int64_t kTtlMinMs = 5'000;

// The command line as written; the registration is judged as one that was found in a
// store, so that both sides agree.
struct RegisterFlags {
  config::EtcdDiscovery etcd;
  config::ZookeeperDiscovery zookeeper;
  std::string zookeeper_session_timeout = "30s";
  std::string prefix = "/petrel/sd";
  std::string tenant = "default";
  std::string job;
  std::string instance;
  std::vector<std::string> targets;
  std::vector<std::string> labels;
  std::string scheme;
  std::string metrics_path;
  std::vector<std::string> params;
  std::string interval;
  std::string timeout;
  std::optional<int64_t> retry_max;
  std::string retry_backoff;
  std::string state;
  std::string ttl = "60s";
  bool is_once = false;
  bool is_printing = false;
  bool is_removing = false;
};

struct Plan {
  discovery::RegistrarOptions options;
  bool is_etcd = true;
};

void define_stores(CLI::App& cli, RegisterFlags& flags) {
  cli.add_option("--etcd.endpoint", flags.etcd.endpoints,
                 "URL of etcd's client port, as in http://127.0.0.1:2379; may be repeated.")
      ->delimiter(',')
      ->type_name("URL");
  cli.add_option("--etcd.username", flags.etcd.username, "User of etcd.");
  cli.add_option("--etcd.password-file", flags.etcd.password.file, "File with the user's password.")
      ->type_name("FILE");
  cli.add_option("--etcd.ca-file", flags.etcd.tls.ca_file,
                 "Certificates that etcd's is checked with.")
      ->type_name("FILE");
  cli.add_option("--etcd.cert-file", flags.etcd.tls.cert_file, "Certificate of this client.")
      ->type_name("FILE");
  cli.add_option("--etcd.key-file", flags.etcd.tls.key.file, "Key of that certificate.")
      ->type_name("FILE");
  cli.add_option("--etcd.server-name", flags.etcd.tls.server_name,
                 "Name that etcd's certificate must have.");
  cli.add_flag("--etcd.insecure-skip-verify", flags.etcd.tls.insecure_skip_verify,
               "Take any certificate.");
  cli.add_option("--zookeeper.server", flags.zookeeper.servers,
                 "host:port of a ZooKeeper server; may be repeated.")
      ->delimiter(',');
  cli.add_option("--zookeeper.session-timeout", flags.zookeeper_session_timeout,
                 "How long ZooKeeper keeps the entry of a process that is gone.")
      ->type_name("DURATION")
      ->capture_default_str();
}

void define_entry(CLI::App& cli, RegisterFlags& flags) {
  cli.add_option("--prefix", flags.prefix, "Where registrations begin.")->capture_default_str();
  cli.add_option("--tenant", flags.tenant, "Tenant of the targets.")->capture_default_str();
  cli.add_option("--job", flags.job, "Job of the targets.")->required();
  cli.add_option("--instance", flags.instance,
                 "Name of this entry within the job (default: the first target).");
  cli.add_option("--target", flags.targets, "host:port to scrape; may be repeated.")
      ->delimiter(',')
      ->type_name("HOST:PORT");
  cli.add_option("--label", flags.labels, "Label of the targets; may be repeated.")
      ->type_name("NAME=VALUE");
  cli.add_option("--scheme", flags.scheme, "http or https.");
  cli.add_option("--metrics-path", flags.metrics_path, "Path of the metrics.");
  cli.add_option("--param", flags.params, "Parameter of the request; may be repeated.")
      ->type_name("NAME=VALUE");
  cli.add_option("--interval", flags.interval, "How often to scrape.")->type_name("DURATION");
  cli.add_option("--timeout", flags.timeout, "How long a scrape may take.")->type_name("DURATION");
  cli.add_option("--retry.max", flags.retry_max, "How often a scrape is tried again, 0 to 3.");
  cli.add_option("--retry.backoff", flags.retry_backoff, "Time before it is tried again.")
      ->type_name("DURATION");
  cli.add_option("--state", flags.state, "up, drain or paused.");
  cli.add_option("--ttl", flags.ttl,
                 "Lease in etcd: how long it keeps the entry of a process\n"
                 "that is gone.")
      ->type_name("DURATION")
      ->capture_default_str();
  cli.add_flag("--once", flags.is_once,
               "Write the entry without a lease or session and end; it stays until removed.");
  cli.add_flag("--remove", flags.is_removing, "Remove an entry written with --once, and end.");
  cli.add_flag("--print", flags.is_printing, "Print path and value, store nothing, and end.");
}

Result<void> write_pairs(core::JsonWriter& json, std::string_view field, std::string_view flag,
                         const std::vector<std::string>& pairs) {
  if (pairs.empty()) return {};
  json.key(field).object();
  for (const std::string& pair : pairs) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) {
      return fail(ErrorCode::InvalidArgument, "--{}: \"{}\": expected NAME=VALUE", flag, pair);
    }
    json.key(pair.substr(0, equals)).value(std::string_view(pair).substr(equals + 1));
  }
  json.end();
  return {};
}

Result<std::string> make_value(const RegisterFlags& flags) {
  std::string text;
  core::JsonWriter json(text);
  json.object().key("targets").array();
  for (const std::string& target : flags.targets) json.value(target);
  json.end();
  TRY(write_pairs(json, "labels", "label", flags.labels));
  TRY(write_pairs(json, "params", "param", flags.params));
  const auto write = [&](std::string_view field, const std::string& value) {
    if (!value.empty()) json.key(field).value(value);
  };
  write("scheme", flags.scheme);
  write("metrics_path", flags.metrics_path);
  write("interval", flags.interval);
  write("timeout", flags.timeout);
  write("state", flags.state);
  json.key("retry").object();
  if (flags.retry_max) json.key("max").value(*flags.retry_max);
  write("backoff", flags.retry_backoff);
  json.end().end();
  const discovery::Registration registration = TRY(discovery::parse_registration(text));
  return discovery::format_registration(registration);
}

Result<int64_t> read_duration(const std::string& text, std::string_view flag, int64_t min_ms) {
  const Result<int64_t> duration = core::parse_duration_ms(text);
  if (duration && *duration >= min_ms) return *duration;
  return fail(ErrorCode::InvalidArgument, "--{}: \"{}\": expected a duration of at least {}", flag,
              text, core::format_duration(min_ms));
}

Result<Plan> make_plan(RegisterFlags& flags) {
  Plan plan;
  plan.is_etcd = !flags.etcd.endpoints.empty();
  if (plan.is_etcd != flags.zookeeper.servers.empty() && !flags.is_printing) {
    return fail(ErrorCode::InvalidArgument,
                "expected one of --etcd.endpoint and --zookeeper.server");
  }
  while (flags.prefix.ends_with('/')) flags.prefix.pop_back();
  if (flags.instance.empty() && !flags.targets.empty()) flags.instance = flags.targets.front();
  plan.options.path =
      fmt::format("{}/{}/{}/{}", flags.prefix, flags.tenant, flags.job, flags.instance);
  TRY(discovery::parse_registration_path(flags.prefix, plan.options.path)
          .context("\"{}\"", plan.options.path));
  if (!flags.prefix.starts_with('/')) {
    return fail(ErrorCode::InvalidArgument, "--prefix: \"{}\": expected a path such as /petrel/sd",
                flags.prefix);
  }
  if (!flags.is_removing) plan.options.value = TRY(make_value(flags));
  plan.options.is_bound = !flags.is_once && !flags.is_removing;
  plan.options.ttl_ms = TRY(read_duration(flags.ttl, "ttl", kTtlMinMs));
  flags.zookeeper.session_timeout_ms =
      TRY(read_duration(flags.zookeeper_session_timeout, "zookeeper.session-timeout", 1'000));
  return plan;
}

sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return signals;
}

// True when a signal came within the time.
bool is_told_to_stop(const sigset_t& signals, int64_t wait_ms) {
  timespec wait{};
  wait.tv_sec = wait_ms / 1000;
  wait.tv_nsec = wait_ms % 1000 * 1'000'000;
  return sigtimedwait(&signals, nullptr, &wait) > 0;
}

// Until a signal comes the entry is kept, also over the store's death and return.
int keep_registered(discovery::Registrar& registrar, const std::string& path,
                    const sigset_t& signals) {
  bool is_registered = false;
  std::string last_error;
  int64_t wait_ms = 0;
  int64_t retry_ms = kRetryMinMs;
  while (!is_told_to_stop(signals, wait_ms)) {
    Result<void> done = is_registered ? registrar.keep() : registrar.put();
    if (done) {
      if (!is_registered) core::log_info("register", "registered", {{"path", path}});
      if (is_registered && !last_error.empty()) core::log_info("register", "the store is back");
      is_registered = true;
      last_error.clear();
      retry_ms = kRetryMinMs;
      wait_ms = registrar.keep_interval_ms();
      continue;
    }
    const bool is_gone = done.error().code == ErrorCode::NotFound;
    if (done.error().message != last_error) {
      core::log_warn("register", is_gone ? "the entry is gone" : "the store does not answer",
                     {{"path", path}, {"error", done.error().message}});
    }
    last_error = done.error().message;
    wait_ms = is_registered && is_gone ? 0 : retry_ms;
    retry_ms = std::min(retry_ms * 2, kRetryMaxMs);
    if (is_gone) is_registered = false;
  }
  if (!is_registered) return 0;
  if (const Result<void> removed = registrar.remove(); !removed) {
    core::log_warn("register", "the entry could not be removed; it goes with its lease or session",
                   {{"path", path}, {"error", removed.error().message}});
    return kFailed;
  }
  core::log_info("register", "removed", {{"path", path}});
  return 0;
}

int fail_with(const core::Error& error, int code) {
  std::fprintf(stderr, "petrel agent register: %s\n", error.message.c_str());
  return code;
}

int run_plan(const RegisterFlags& flags, const Plan& plan) {
  if (flags.is_printing) {
    std::printf("%s\n%s\n", plan.options.path.c_str(), plan.options.value.c_str());
    return 0;
  }
  const sigset_t signals = block_signals();  // before any thread exists
  core::PosixFileSystem files;
  auto registrar = plan.is_etcd
                       ? discovery::make_etcd_registrar(flags.etcd, plan.options, files)
                       : discovery::make_zookeeper_registrar(flags.zookeeper, plan.options);
  if (!registrar) return fail_with(registrar.error(), kUsage);
  if (!flags.is_once && !flags.is_removing) {
    return keep_registered(**registrar, plan.options.path, signals);
  }
  const Result<void> done = flags.is_removing ? (*registrar)->remove() : (*registrar)->put();
  if (!done) return fail_with(done.error(), kFailed);
  std::printf("%s\n", plan.options.path.c_str());
  if (!flags.is_removing) std::printf("%s\n", plan.options.value.c_str());
  return 0;
}

}  // namespace

int run_register(const std::vector<std::string>& arguments) {
  CLI::App cli{
      "Registers targets in etcd or ZooKeeper, where Petrel's etcd_sd_configs and\n"
      "zookeeper_sd_configs find them. Runs until SIGTERM, then removes the entry.",
      "petrel agent register"};
  RegisterFlags flags;
  cli.set_help_flag("-h,--help", "Print this help and exit.");
  cli.formatter(help_format());
  cli.footer(
      "One of --etcd.endpoint and --zookeeper.server is needed. docs/discovery.md has the\n"
      "fields and examples.");
  define_stores(cli, flags);
  define_entry(cli, flags);
  // CLI11 takes the arguments from the back.
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    cli.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    std::fputs(cli.help().c_str(), stdout);
    return 0;
  } catch (const CLI::ParseError& error) {
    return fail_with({ErrorCode::InvalidArgument, error.what()}, kUsage);
  }
  const Result<Plan> plan = make_plan(flags);
  if (!plan) return fail_with(plan.error(), kUsage);
  return run_plan(flags, *plan);
}

}  // namespace app
