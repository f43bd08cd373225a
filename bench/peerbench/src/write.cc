// write: replay a request file. ready: poll a server. stat: look at a process.
#include "common.h"
#include "http.h"
#include "json.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

const char kWriteHelp[] =
    "peerbench write --file FILE --url http://HOST:PORT/PATH [options]\n"
    "  --concurrency C    connections (default 2); a series always uses the same one\n"
    "  --pid PID          server process: adds its CPU, memory, disk writes\n"
    "  --settle DUR       wait after the last answer, then count server CPU again (default 0)\n"
    "  --rate R           pace to R samples/s (default 0: as fast as accepted)\n"
    "  --retries N        retries of a request on 429, 5xx or a broken connection (default 0)\n"
    "  --max-skew N       connections stay within N time steps of each other (default 16)\n"
    "  --max-samples N    stop after about N samples      --max-seconds S  stop (default 600)\n"
    "  --max-errors N     stop after N failed requests (default 100)\n"
    "  --timeout DUR      per request (default 60s)\n"
    "  --header 'K: V'    one extra request header (as Authorization)\n"
    "  --preload 0|1      read the file into memory first (default 1)\n"
    "  --trace FILE       latencies over time: a JSON object per line and window\n"
    "  --trace-every DUR  length of a window (default 10s)\n"
    "  --json             one JSON object\n"
    "Exit status 2 when any request was not accepted.\n"
    "A 2xx answer is taken as accepted; use `peerbench verify` to count what was stored.\n";

const char kReadyHelp[] =
    "peerbench ready --url http://HOST:PORT/PATH [options]\n"
    "Polls PATH until it answers 2xx, and prints the seconds that took.\n"
    "  --query EXPR --expect N   then also until this instant query's (first) value is >= N\n"
    "  --api PREFIX              where the query API is (default /api/v1)\n"
    "  --time UNIX               evaluation time of the query (default: the server's now)\n"
    "  --since UNIX              count from this instant (default: now)\n"
    "  --timeout DUR (default 300s)   --poll DUR (default 20ms)   --json\n"
    "  --pid PID                 adds CPU and memory; gives up when that process ends\n";

const char kStatHelp[] =
    "peerbench stat --pid PID [--reset-peak] [--json]\n"
    "CPU seconds, RSS, peak RSS and bytes written of a process.\n"
    "  --reset-peak   set the peak (VmHWM) back to the present RSS afterwards\n";

constexpr double kMiB = 1048576.0;

struct Answer {
  double started_s;  // since the run began
  double latency_s;
  double late_s;  // behind the pace when it was sent
  bool ok;
};

// One line per window of `every_s`; a window without requests has none.
void write_trace(const std::string& path, double every_s, double start_wall,
                 const std::vector<std::vector<Answer>>& answers) {
  struct Window {
    std::vector<double> latencies;
    size_t failed = 0;
    double late_s = 0;
  };
  std::map<size_t, Window> windows;
  for (auto& of_worker : answers)
    for (auto& one : of_worker) {
      Window& w = windows[static_cast<size_t>(one.started_s / every_s)];
      w.latencies.push_back(one.latency_s);
      w.failed += one.ok ? 0 : 1;
      w.late_s = std::max(w.late_s, one.late_s);
    }
  std::FILE* f = std::fopen(path.c_str(), "w");
  if (!f) die("cannot write " + path);
  for (auto& [i, w] : windows) {
    const double at = static_cast<double>(i) * every_s;
    std::fprintf(f,
                 "{\"unix_s\": %.3f, \"at_s\": %.3f, \"requests\": %zu, \"failed\": %zu, "
                 "\"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f, \"late_ms\": %.1f}\n",
                 start_wall + at, at, w.latencies.size(), w.failed,
                 percentile(w.latencies, .5) * 1e3, percentile(w.latencies, .99) * 1e3,
                 percentile(w.latencies, 1) * 1e3, w.late_s * 1e3);
  }
  if (std::fclose(f) != 0) die("write failed: " + path);
}

struct Shared {
  std::mutex m;
  std::condition_variable cv;
  std::vector<uint32_t> at;  // the time step each connection is in
  std::map<std::string, std::pair<uint64_t, std::string>> failures;  // reason -> count, example
  std::atomic<uint64_t> accepted{0}, started{0}, failed_requests{0}, failed_samples{0},
      ok_requests{0}, retried{0}, bytes{0}, not_sent{0};
  std::atomic<bool> stop{false};
  std::string stop_reason;
  void halt(const std::string& why) {
    std::lock_guard g(m);
    if (!stop.exchange(true)) stop_reason = why;
    cv.notify_all();
  }
};

}  // namespace

int cmd_write(int argc, char** argv) {
  Args a(
      argc, argv,
      {"file", "url", "concurrency", "pid", "settle", "rate", "retries", "max-skew", "max-samples",
       "max-seconds", "max-errors", "timeout", "header", "preload", "trace", "trace-every", "json"},
      kWriteHelp);
  RequestFile file(a.need("file"), a.integer("preload", 1) != 0);
  const Url url = Url::parse(a.need("url"));
  const auto conc = static_cast<size_t>(std::clamp<int64_t>(a.integer("concurrency", 2), 1, 256));
  const int pid = static_cast<int>(a.integer("pid", 0));
  const double rate = a.num("rate", 0), max_s = a.seconds("max-seconds", "600"),
               timeout = a.seconds("timeout", "60s");
  const int64_t retries = a.integer("retries", 0),
                skew = std::max<int64_t>(1, a.integer("max-skew", 16)),
                max_err = a.integer("max-errors", 100);
  const auto max_samples = static_cast<uint64_t>(a.integer("max-samples", INT64_C(1) << 60));
  const double settle = a.seconds("settle", "0"), trace_every = a.seconds("trace-every", "10s");
  if (trace_every <= 0) die("--trace-every must be above 0");
  std::string headers =
      "Content-Type: application/x-protobuf\r\nContent-Encoding: "
      "snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n";
  if (a.has("header")) headers += a.str("header", "") + "\r\n";
  if (pid > 0 && !sample_proc(pid).ok) die("no such process: " + std::to_string(pid));

  Shared sh;
  sh.at.assign(conc, 0);
  std::vector<std::vector<Answer>> lat(conc);
  const ProcSample p0 = sample_proc(pid);
  const double cpu0 = self_cpu(), busy0 = machine_busy(), steal0 = machine_steal(), t0 = mono_now(),
               wall0 = wall_now();

  auto worker = [&](size_t w) {
    HttpClient http(url, timeout);
    for (auto& rec : file.records()) {
      if (rec.h.group % conc != w) continue;
      {
        std::unique_lock g(sh.m);
        if (sh.at[w] != rec.h.chunk) {
          sh.at[w] = rec.h.chunk;
          sh.cv.notify_all();
        }
        sh.cv.wait(g, [&] {
          return sh.stop || rec.h.chunk < *std::min_element(sh.at.begin(), sh.at.end()) + skew;
        });
      }
      if (sh.stop) {
        sh.not_sent++;
        continue;
      }
      const uint64_t before = sh.started.fetch_add(rec.h.samples);
      if (before >= max_samples) {
        sh.halt("max-samples");
        sh.not_sent++;
        continue;
      }
      if (mono_now() - t0 > max_s) {
        sh.halt("max-seconds");
        sh.not_sent++;
        continue;
      }
      double late = 0;
      if (rate > 0) {
        const double due = t0 + static_cast<double>(before) / rate - mono_now();
        late = std::max(0.0, -due);
        if (due > 0)
          std::this_thread::sleep_for(std::chrono::duration<double>(std::min(due, max_s)));
      }
      for (int64_t attempt = 0;; attempt++) {
        const double s = mono_now();
        HttpResponse r = http.request("POST", url.path, headers, {rec.body, rec.h.bytes});
        const bool ok = r.status >= 200 && r.status < 300;
        lat[w].push_back({s - t0, mono_now() - s, late, ok});
        if (ok) {
          sh.accepted += rec.h.samples;
          sh.bytes += rec.h.bytes;
          sh.ok_requests++;
          break;
        }
        const bool again = r.status == 0 || r.status == 429 || r.status >= 500;
        if (again && attempt < retries && !sh.stop) {
          sh.retried++;
          std::this_thread::sleep_for(
              std::chrono::milliseconds(50 << std::min<int64_t>(attempt, 6)));
          continue;
        }
        sh.failed_samples += rec.h.samples;
        const uint64_t n = ++sh.failed_requests;
        {
          std::lock_guard g(sh.m);
          auto& fl = sh.failures[r.status ? "http_" + std::to_string(r.status) : "transport"];
          if (fl.first++ == 0) fl.second = (r.status ? r.body : r.error).substr(0, 300);
        }
        if (static_cast<int64_t>(n) >= max_err) sh.halt("max-errors");
        break;
      }
    }
    std::lock_guard g(sh.m);
    sh.at[w] = UINT32_MAX;
    sh.cv.notify_all();
  };
  std::vector<std::thread> ts;
  for (size_t w = 0; w < conc; w++) ts.emplace_back(worker, w);
  for (auto& t : ts) t.join();

  const double wall = mono_now() - t0, cpu = self_cpu() - cpu0, busy = machine_busy() - busy0,
               steal = machine_steal() - steal0;
  const ProcSample p1 = sample_proc(pid);
  ProcSample p2 = p1;
  if (settle > 0) {
    std::this_thread::sleep_for(std::chrono::duration<double>(settle));
    p2 = sample_proc(pid);
  }
  std::vector<double> all;
  for (auto& l : lat)
    for (auto& one : l) all.push_back(one.latency_s);
  if (a.has("trace")) write_trace(a.need("trace"), trace_every, wall0, lat);

  const auto acc = static_cast<double>(sh.accepted.load());
  Report r;
  r.add("samples_in_file", static_cast<double>(file.head().samples), 0);
  r.add("samples_accepted", acc, 0);
  r.add("samples_failed", static_cast<double>(sh.failed_samples.load()), 0);
  r.add("requests_ok", static_cast<double>(sh.ok_requests.load()), 0);
  r.add("requests_failed", static_cast<double>(sh.failed_requests.load()), 0);
  r.add("requests_retried", static_cast<double>(sh.retried.load()), 0);
  r.add("requests_not_sent", static_cast<double>(sh.not_sent.load()), 0);
  if (sh.stop) r.add("stopped_by", sh.stop_reason);
  for (auto& [k, v] : sh.failures)
    r.add("failure_" + k, std::to_string(v.first) + " x, first: " + v.second);
  r.add("wall_s", wall);
  r.add("samples_per_s", acc / wall, 0);
  r.add("latency_p50_ms", percentile(all, .5) * 1e3);
  r.add("latency_p99_ms", percentile(all, .99) * 1e3);
  r.add("latency_max_ms", percentile(all, 1) * 1e3);
  r.add("sent_MiB", static_cast<double>(sh.bytes.load()) / kMiB, 1);
  r.add("sender_cpu_s", cpu);
  if (p0.ok && p1.ok) {
    const double scpu = p1.cpu - p0.cpu;
    r.add("server_cpu_s", scpu, 2);
    r.add("samples_per_server_cpu_s", scpu > 0 ? acc / scpu : NAN, 0);
    if (settle > 0) {
      r.add("server_cpu_settled_s", p2.cpu - p0.cpu, 2);
      r.add("samples_per_server_cpu_s_settled", acc / (p2.cpu - p0.cpu), 0);
    }
    r.add("server_rss_MiB", static_cast<double>(p2.rss) / kMiB, 1);
    r.add("server_rss_anon_MiB", static_cast<double>(p2.rss_anon) / kMiB, 1);
    r.add("server_rss_peak_MiB", static_cast<double>(p2.peak) / kMiB, 1);
    r.add("server_disk_written_MiB", static_cast<double>(p2.write_bytes - p0.write_bytes) / kMiB,
          1);
    r.add("server_disk_written_bytes_per_sample",
          acc > 0 ? static_cast<double>(p2.write_bytes - p0.write_bytes) / acc : NAN, 2);
    r.add("others_cpu_s", std::max(0.0, busy - scpu - cpu), 2);
  } else if (pid > 0) {
    r.add("server", "process ended during the run");
  }
  r.add("machine_steal_s", steal, 2);
  r.print(a.has("json"));
  const bool cut_short = sh.stop && sh.stop_reason != "max-samples";
  return sh.failed_requests > 0 || cut_short || acc == 0 ? 2 : 0;
}

int cmd_ready(int argc, char** argv) {
  Args a(argc, argv,
         {"url", "query", "expect", "api", "time", "since", "timeout", "poll", "pid", "json"},
         kReadyHelp);
  const Url url = Url::parse(a.need("url"));
  const double limit = a.seconds("timeout", "300s"), poll = a.seconds("poll", "20ms");
  const double late = a.has("since") ? wall_now() - a.num("since", 0) : 0;  // already gone by
  const double t0 = mono_now() - late;
  auto nap = [&] { std::this_thread::sleep_for(std::chrono::duration<double>(poll)); };
  double up = NAN, full = NAN, value = NAN;
  const int pid = static_cast<int>(a.integer("pid", 0));
  HttpClient http(url, 30);
  while (mono_now() - t0 < limit && (pid <= 0 || sample_proc(pid).running)) {
    HttpResponse r = http.get(url.path.empty() ? "/" : url.path);
    if (r.status >= 200 && r.status < 300) {
      up = mono_now() - t0;
      break;
    }
    nap();
  }
  const bool want_query = a.has("query");
  std::string last;
  if (std::isfinite(up) && want_query) {
    std::string path = a.str("api", "/api/v1") + "/query?query=" + url_encode(a.str("query", ""));
    if (a.has("time")) path += "&time=" + url_encode(a.str("time", ""));
    while (mono_now() - t0 < limit && (pid <= 0 || sample_proc(pid).running)) {
      HttpResponse r = http.get(path);
      Json j;
      last = r.status ? r.body.substr(0, 200) : r.error;
      if (r.status == 200 && Json::parse(r.body, j)) {
        auto& res = j["data"]["result"];
        if (!res.items.empty() && res.items[0]["value"].items.size() == 2)
          value = std::atof(res.items[0]["value"].items[1].text.c_str());
        if (value >= a.num("expect", 1)) {
          full = mono_now() - t0;
          break;
        }
      }
      nap();
    }
  }
  Report r;
  r.add("ready_s", up);
  if (want_query) {
    r.add("query_ok_s", full);
    r.add("query_value", value, 0);
    if (!std::isfinite(full)) r.add("last_answer", last);
  }
  if (auto p = sample_proc(pid); p.ok) {
    r.add("server_cpu_s", p.cpu, 2);
    r.add("server_rss_MiB", static_cast<double>(p.rss) / kMiB, 1);
    r.add("server_rss_peak_MiB", static_cast<double>(p.peak) / kMiB, 1);
  }
  r.print(a.has("json"));
  return std::isfinite(want_query ? full : up) ? 0 : 2;
}

int cmd_stat(int argc, char** argv) {
  Args a(argc, argv, {"pid", "reset-peak", "json"}, kStatHelp);
  const int pid = static_cast<int>(a.integer("pid", 0));
  const ProcSample p = sample_proc(pid);
  if (!p.ok) die("no such process");
  Report r;
  r.add("cpu_s", p.cpu, 2);
  r.add("rss_MiB", static_cast<double>(p.rss) / kMiB, 1);
  r.add("rss_anon_MiB", static_cast<double>(p.rss_anon) / kMiB, 1);
  r.add("rss_peak_MiB", static_cast<double>(p.peak) / kMiB, 1);
  r.add("disk_written_MiB", static_cast<double>(p.write_bytes) / kMiB, 1);
  if (a.has("reset-peak"))
    if (std::FILE* f = std::fopen(("/proc/" + std::to_string(pid) + "/clear_refs").c_str(), "w")) {
      std::fputs("5", f);
      std::fclose(f);
    }
  r.print(a.has("json"));
  return 0;
}
