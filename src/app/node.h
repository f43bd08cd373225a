// One running Petrel: the objects of every role and the threads they share.
//
//   thread        what runs on it
//   main          signals
//   starter       start() and reloads
//   http I/O      sockets; never blocks
//   queries       API handlers that read series
//   writes        API handlers that take samples, which wait for the disk
//   requests      all other API handlers: short ones, that answer when the disk does not
//   scraping      bodies of scrapes, whose samples wait for the disk
//   discovery     name servers and other sources of targets, which may be slow
//   background    rules, host collector, notifications, flushes
//   merging       merges of blocks, at low priority
//   timers        short tasks at a time, which post to background
//   transport     outgoing HTTP
//   client loop   scrapes and HTTP discovery
//
// Only this folder creates threads and names the concrete class behind a seam.

#pragma once

#include "agent/host_collector.h"
#include "alerting/notifier.h"
#include "alertstore/sqlite_store.h"
#include "api/api.h"
#include "app/config_watch.h"
#include "app/flags.h"
#include "app/http_guard.h"
#include "app/trouble_log.h"
#include "app/tsdb_admin.h"
#include "config/prometheus_config.h"
#include "core/byte_budget.h"
#include "core/clock.h"
#include "core/file_system.h"
#include "core/rng.h"
#include "core/thread_pool.h"
#include "core/timer_thread.h"
#include "net/curl_transport.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "promql/engine.h"
#include "rules/rule_manager.h"
#include "scrape/scrape_manager.h"
#include "tenant/push_gate.h"
#include "tsdb/cardinality.h"
#include "tsdb/disk_guard.h"
#include "tsdb/embedded_log.h"
#include "tsdb/engine.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace app {

// Everything a (re)load reads, before any of it takes effect.
struct LoadedFiles {
  config::PrometheusConfig config;
  std::vector<rules::RuleText> rule_files;
  alerting::LoadedConfig alerting;
};

// Members are in the order of construction; stop_node() undoes them backwards.
struct Node {
  explicit Node(Flags flags);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  const Flags flags;
  core::SystemClock clock;
  core::SystemRng rng;
  core::PosixFileSystem files;
  core::TimerThread timers;
  core::ThreadPool queries;
  core::ThreadPool writes;
  core::ThreadPool requests;
  core::ThreadPool scraping;
  core::ThreadPool discovery;
  core::ThreadPool background;
  core::ThreadPool merging;

  std::mutex reload_mutex;
  // Guarded by reload_mutex after the start.
  LoadedFiles loaded;
  WatchedFiles watched;
  bool is_stopping = false;  // nothing is reloaded any more
  bool reload_succeeded = true;
  int64_t reloaded_at_ms = 0;  // of the last success

  std::unique_ptr<core::FileLock> data_lock;
  std::unique_ptr<tsdb::EmbeddedLog> log;
  std::unique_ptr<tsdb::Engine> engine;
  std::unique_ptr<tsdb::GuardedStorage> storage;  // what everyone writes to
  std::unique_ptr<EngineAdmin> tsdb_admin;
  std::unique_ptr<tsdb::Cardinality> cardinality;
  std::unique_ptr<promql::Engine> promql;
  std::unique_ptr<alertstore::SqliteStore> alert_store;
  std::unique_ptr<net::CurlTransport> transport;
  std::unique_ptr<alerting::Notifier> notifier;
  std::unique_ptr<rules::RuleManager> rules;
  std::unique_ptr<agent::HostCollector> host_collector;
  std::unique_ptr<net::ClientLoop> client_loop;
  std::unique_ptr<scrape::ScrapeManager> scrapes;
  std::atomic<core::TimerId> maintenance_timer = 0;
  std::atomic<core::TimerId> disk_timer = 0;
  std::atomic<core::TimerId> cardinality_timer = 0;
  std::atomic<core::TimerId> alerting_timer = 0;
  // Why neither rules nor notifications run though they should; empty: they do.
  std::string alerting_trouble;
  mutable std::mutex trouble_mutex;  // guards alerting_trouble
  TroubleLog trouble_log;            // of the disk check's task
  std::atomic<core::TimerId> merge_timer = 0;
  std::atomic<core::TimerId> watch_timer = 0;

  // What tenants may write, and the memory of pushes that are worked on.
  tenant::LimitsTable limits;
  core::ByteBudget push_bytes;
  tenant::PushGate push_gate;

  HttpGuard guard;
  std::unique_ptr<api::Api> api;
  std::unique_ptr<net::HttpServer> server;
};

// Reads and checks every file that the flags name.
core::Result<LoadedFiles> load_files(const Flags& flags, core::FileSystem& files);

// Reads the files again; on any error the old state stays and the error says why.
core::Result<void> reload(Node& node);

// What an operator has to know. Of a node that is ready.
std::vector<api::Trouble> trouble_of(const Node& node);

// The API works on what there is now.
void publish_services(Node& node);

// Starts the roles that the flags ask for, in the order of roles.cc. On an error
// what was started is stopped again.
core::Result<void> start_node(Node& node);
void stop_node(Node& node);

}  // namespace app
