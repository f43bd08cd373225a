// Deterministic fleet metrics, written as ready-to-send remote_write 1.0 requests.
#include "common.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <snappy.h>
#include <string>
#include <vector>

namespace {

const char kHelp[] =
    "peerbench gen --out FILE [options]\n"
    "  --hosts N          hosts (default 200)\n"
    "  --series M         series per host (default 500)\n"
    "  --interval DUR     scrape interval (default 10s)\n"
    "  --duration DUR     span of the data (default 60m); steps = duration / interval\n"
    "  --end UNIX         end of the data, seconds (default now); the last step is before it\n"
    "  --batch N          samples per request (default 5000)\n"
    "  --per-series K     samples per series in a request (default 1, as live scraping)\n"
    "  --jitter-ms J      scrape timestamp jitter of +-J ms (default 0)\n"
    "  --host-offset 0|1  each host scrapes at its own offset in the interval (default 1)\n"
    "  --reset-every N    app counters restart about once in N samples (default 50000, 0 never)\n"
    "  --churn P          P percent of the hosts are replaced by new ones per minute, the oldest\n"
    "                     first, a few at each step; all their series get new labels (default 0)\n"
    "  --seed S           (default 1)\n"
    "  --json             print the summary as JSON\n"
    "Same options, --end included: the same bytes.\n";

uint64_t mix(uint64_t x) {  // splitmix64
  x += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}
double unit(uint64_t x) {
  return static_cast<double>(x >> 11) * 0x1.0p-53;
}

enum Kind {
  Const,       // a: value
  Info,        // constant 1
  Counter,     // a: mean rate per second; integer
  CounterCs,   // a: seconds per second; two decimals, as cpu seconds
  CounterMs,   // a: seconds per second; three decimals
  Pages,       // a: mean bytes; random walk in steps of 4096
  Load,        // a: mean; two decimals, mean reverting
  Walk3,       // a: mean; random walk with three decimals
  IntWalk,     // a: mean; small integer, often unchanged
  Temp,        // a: mean; halves of a degree, seldom changes
  Noise,       // a: mean; full-precision float
  Clock,       // the scrape time in seconds
  HistCount,   // a: events per second; also the +Inf bucket
  HistBucket,  // a: events per second, b: share of events below `le`
  HistSum,     // a: events per second, b: mean seconds
};
const char* kKindNames[] = {"const",         "info",        "counter",     "counter_0.01",
                            "counter_0.001", "gauge_bytes", "gauge_0.01",  "gauge_0.001",
                            "gauge_int",     "gauge_temp",  "gauge_float", "clock",
                            "hist_count",    "hist_bucket", "hist_sum"};

using Labels = std::vector<std::pair<std::string, std::string>>;
struct Spec {
  std::string name;
  Kind kind;
  double a, b;
  bool app;  // job "app" on port 8080, else job "node" on port 9100
  int hist;  // >= 0: series of one histogram share their random numbers
  Labels extra;
};

// The series every host has: node_exporter's first, then an application whose
// number of HTTP handlers grows until there are `want` series.
std::vector<Spec> host_template(size_t want) {
  std::vector<Spec> t;
  auto node = [&](std::string n, Kind k, double a, Labels l = {}) {
    t.push_back({std::move(n), k, a, 0, false, -1, std::move(l)});
  };
  auto app = [&](std::string n, Kind k, double a, Labels l = {}) {
    t.push_back({std::move(n), k, a, 0, true, -1, std::move(l)});
  };

  node("up", Info, 1);
  node("scrape_duration_seconds", Noise, 0.012);
  node("scrape_samples_scraped", Const, 430);
  node("node_boot_time_seconds", Const, 1760000000);
  node("node_time_seconds", Clock, 0);
  node("node_uname_info", Info, 1,
       {{"sysname", "Linux"}, {"release", "6.1.0-31-amd64"}, {"machine", "x86_64"}});
  node("node_load1", Load, 2.5);
  node("node_load5", Load, 2.3);
  node("node_load15", Load, 2.1);
  const double gib = 1073741824.0;
  node("node_memory_MemTotal_bytes", Const, 64 * gib);
  node("node_memory_SwapTotal_bytes", Const, 0);
  node("node_memory_SwapFree_bytes", Const, 0);
  struct {
    const char* n;
    double g;
  } mem[] = {{"MemFree", 9},  {"MemAvailable", 30}, {"Cached", 18},     {"Buffers", 1},
             {"Active", 28},  {"Inactive", 14},     {"Slab", 2},        {"Dirty", .02},
             {"Mapped", 1.2}, {"AnonPages", 22},    {"PageTables", .1}, {"KernelStack", .02},
             {"Shmem", .4}};
  for (auto& m : mem) node(std::string("node_memory_") + m.n + "_bytes", Pages, m.g * gib);
  struct {
    const char* mode;
    double share;
  } modes[] = {{"idle", .78},    {"user", .14}, {"system", .05}, {"iowait", .01},
               {"softirq", .01}, {"nice", 0},   {"irq", 0},      {"steal", .002}};
  for (int c = 0; c < 8; c++)
    for (auto& m : modes)
      node("node_cpu_seconds_total", CounterCs, m.share,
           {{"cpu", std::to_string(c)}, {"mode", m.mode}});
  node("node_context_switches_total", Counter, 24000);
  node("node_intr_total", Counter, 15000);
  node("node_forks_total", Counter, 6);
  struct {
    const char* dev;
    double busy;
  } disks[] = {{"nvme0n1", 1}, {"nvme1n1", .4}, {"sda", .02}};
  for (auto& d : disks) {
    Labels l = {{"device", d.dev}};
    node("node_disk_reads_completed_total", Counter, 40 * d.busy, l);
    node("node_disk_writes_completed_total", Counter, 220 * d.busy, l);
    node("node_disk_read_bytes_total", Counter, 9e5 * d.busy, l);
    node("node_disk_written_bytes_total", Counter, 4.1e6 * d.busy, l);
    node("node_disk_read_time_seconds_total", CounterMs, .03 * d.busy, l);
    node("node_disk_write_time_seconds_total", CounterMs, .11 * d.busy, l);
    node("node_disk_io_time_seconds_total", CounterMs, .09 * d.busy, l);
    node("node_disk_io_now", IntWalk, 1.5 * d.busy, l);
  }
  struct {
    const char *dev, *fs, *mnt;
    double g;
  } fss[] = {{"/dev/nvme0n1p2", "ext4", "/", 80},
             {"/dev/nvme0n1p1", "vfat", "/boot/efi", .5},
             {"/dev/nvme1n1", "xfs", "/var/lib/data", 900},
             {"tmpfs", "tmpfs", "/run", 6}};
  for (auto& f : fss) {
    Labels l = {{"device", f.dev}, {"fstype", f.fs}, {"mountpoint", f.mnt}};
    bool still = f.g < 1;
    node("node_filesystem_size_bytes", Const, std::floor(f.g * gib), l);
    node("node_filesystem_free_bytes", still ? Const : Pages, std::floor(f.g * .45 * gib), l);
    node("node_filesystem_avail_bytes", still ? Const : Pages, std::floor(f.g * .40 * gib), l);
    node("node_filesystem_files", Const, std::floor(f.g * 65536), l);
    node("node_filesystem_files_free", still ? Const : IntWalk, std::floor(f.g * 60000), l);
  }
  struct {
    const char* dev;
    double busy;
  } nics[] = {{"eth0", 1}, {"eth1", .1}, {"lo", .05}};
  for (auto& n : nics) {
    Labels l = {{"device", n.dev}};
    node("node_network_up", Const, 1, l);
    for (const char* dir : {"receive", "transmit"}) {
      std::string p = std::string("node_network_") + dir;
      node(p + "_bytes_total", Counter, 6.5e6 * n.busy, l);
      node(p + "_packets_total", Counter, 7200 * n.busy, l);
      node(p + "_errs_total", Counter, 0, l);
      node(p + "_drop_total", Counter, n.busy == 1 ? .02 : 0, l);
    }
  }
  for (int s = 1; s <= 4; s++)
    node("node_hwmon_temp_celsius", Temp, 44 + 3 * s,
         {{"chip", "platform_coretemp_0"}, {"sensor", "temp" + std::to_string(s)}});
  node("node_filefd_allocated", IntWalk, 5200);
  node("node_entropy_available_bits", Const, 256);
  node("node_procs_running", IntWalk, 3);
  node("node_procs_blocked", IntWalk, .3);
  node("node_sockstat_TCP_inuse", IntWalk, 420);
  node("node_sockstat_TCP_alloc", IntWalk, 610);
  node("node_netstat_Tcp_CurrEstab", IntWalk, 380);
  struct {
    const char* n;
    double r;
  } ns[] = {{"netstat_Tcp_InSegs", 7100},     {"netstat_Tcp_OutSegs", 8200},
            {"netstat_Tcp_RetransSegs", 1.4}, {"netstat_Tcp_ActiveOpens", 12},
            {"netstat_Tcp_PassiveOpens", 31}, {"netstat_Udp_InDatagrams", 44},
            {"netstat_Udp_OutDatagrams", 45}, {"vmstat_pgfault", 5200},
            {"vmstat_pgmajfault", .05},       {"vmstat_pgpgin", 880},
            {"vmstat_pgpgout", 4000}};
  for (auto& n : ns) node(std::string("node_") + n.n, Counter, n.r);
  node("node_timex_offset_seconds", Noise, 1e-5);

  app("up", Info, 1);
  app("app_build_info", Info, 1, {{"version", "4.17.2"}, {"revision", "9f31c2ab"}});
  app("process_cpu_seconds_total", CounterCs, .9);
  app("process_resident_memory_bytes", Pages, 1.4 * gib);
  app("process_open_fds", IntWalk, 310);
  app("process_start_time_seconds", Const, 1762345678.91);
  app("go_goroutines", IntWalk, 840);
  app("go_memstats_heap_inuse_bytes", Pages, .8 * gib);
  app("go_memstats_alloc_bytes_total", Counter, 9.1e6);
  app("go_memstats_mallocs_total", Counter, 92000);
  t.push_back({"go_gc_duration_seconds_sum", HistSum, .4, .0004, true, -1, {}});
  app("go_gc_duration_seconds_count", Counter, .4);
  for (const char* q : {"ingest", "email", "billing", "reports"}) {
    app("app_queue_depth", IntWalk, 25, {{"queue", q}});
    app("app_queue_latency_milliseconds", Walk3, 18, {{"queue", q}});
  }
  const char* les[] = {"0.005", "0.01", "0.025", "0.05", "0.1", "0.25",
                       "0.5",   "1",    "2.5",   "5",    "10",  "+Inf"};
  const double cdf[] = {.12, .31, .58, .76, .89, .957, .983, .9931, .9978, .9994, .9999, 1};
  const char* names[] = {"/api/v1/orders", "/api/v1/users", "/api/v1/search", "/login",
                         "/healthz",       "/metrics",      "/api/v1/cart",   "/static"};
  for (int h = 0; t.size() < want; h++) {
    std::string handler = h < 8 ? names[h] : fmt("/api/v2/resource-%03d", h);
    double rps = 42.0 / (1 + h * .8);  // the first handlers are busy, the last nearly idle
    struct {
      const char* code;
      double share;
    } codes[] = {{"200", .96}, {"404", .03}, {"500", .002}, {"503", 0}};
    for (auto& c : codes)
      app("http_requests_total", Counter, rps * c.share,
          {{"handler", handler}, {"method", h % 3 ? "GET" : "POST"}, {"code", c.code}});
    app("app_inflight_requests", IntWalk, rps * .1, {{"handler", handler}});
    auto hist = [&](const char* suffix, Kind k, double b, Labels l) {
      l.push_back({"handler", handler});
      t.push_back({std::string("http_request_duration_seconds") + suffix, k, rps, b, true, h, l});
    };
    for (int i = 0; i < 12; i++)
      hist("_bucket", i == 11 ? HistCount : HistBucket, cdf[i], {{"le", les[i]}});
    hist("_sum", HistSum, .061, {});
    hist("_count", HistCount, 1, {});
  }
  t.resize(want);
  return t;
}

struct State {
  uint64_t rng = 0;
  double v = 0;    // the running value (in the kind's unit)
  float mean = 0;  // this series' own mean, spread around the spec's
  bool idle = false;
};

struct Model {
  double interval;
  double reset_p;

  void init(State& s, const Spec& sp, uint64_t seed, uint64_t host, size_t idx) const {
    uint64_t who = sp.hist >= 0 ? 0x10000ull + static_cast<uint64_t>(sp.hist) : idx;
    s.rng = mix(seed * 0x1000193 + host * 0x100000001B3ull + who);
    double u = unit(s.rng), w = unit(mix(s.rng ^ 77));
    s.mean = static_cast<float>(sp.a * (0.5 + u));
    s.idle = sp.a == 0;
    double uptime = 86400 * (1 + 60 * w);
    switch (sp.kind) {
      case Counter:
      case HistCount:
      case HistBucket:
        s.v = std::floor(s.mean * uptime);
        break;
      case HistSum:
        s.v = std::floor(s.mean * uptime) * sp.b;
        break;
      case CounterCs:
        s.v = std::floor(s.mean * uptime * 100);
        break;
      case CounterMs:
        s.v = std::floor(s.mean * uptime * 1000);
        break;
      case Pages:
        s.v = std::floor(s.mean / 4096);
        break;
      case Load:
        s.v = s.mean;
        break;
      case Walk3:
      case IntWalk:
        s.v = std::floor(s.mean);
        break;
      case Temp:
        s.v = std::floor(s.mean * 2);
        break;
      default:
        s.v = sp.a;
    }
  }

  double events(double mean, double u) const {  // how many in one interval; sparse when rare
    double x = mean * (0.6 + 0.8 * u);
    double f = std::floor(x);
    return f + (unit(mix(static_cast<uint64_t>(u * 9e15))) < x - f ? 1 : 0);
  }

  double step(State& s, const Spec& sp, int64_t ts_ms) const {
    s.rng = mix(s.rng);
    const double u = unit(s.rng);
    bool reset = sp.app && reset_p > 0 && unit(mix(s.rng ^ 5)) < reset_p;
    switch (sp.kind) {
      case Const:
        return sp.a;
      case Info:
        return 1;
      case Clock:
        return static_cast<double>(ts_ms) / 1000.0;
      case Noise:
        return sp.a * (0.7 + 0.6 * u);
      case Counter:
        if (s.idle) return s.v;
        if (reset) s.v = 0;
        return s.v += events(s.mean * interval, u);
      case CounterCs:
        if (s.idle) return s.v / 100;
        if (reset) s.v = 0;
        return (s.v += events(s.mean * interval * 100, u)) / 100;
      case CounterMs:
        return (s.v += events(s.mean * interval * 1000, u)) / 1000;
      case Pages: {
        double m = static_cast<double>(s.mean) / 4096;
        s.v += std::floor((u - 0.5) * m * 0.004 + (m - s.v) * 0.01 + 0.5);
        if (s.v < 0) s.v = 0;
        return s.v * 4096;
      }
      case Load:
        s.v += (s.mean - s.v) * 0.05 + (u - 0.5) * 0.15 * s.mean;
        if (s.v < 0) s.v = 0;
        return std::round(s.v * 100) / 100;
      case Walk3:
        s.v += (s.mean - s.v) * 0.02 + (u - 0.5) * 0.3 * s.mean;
        if (s.v < 0) s.v = 0;
        return std::round(s.v * 1000) / 1000;
      case IntWalk:
        if (u < 0.6) return s.v;
        s.v += std::round((unit(mix(s.rng ^ 3)) - 0.5) * std::max(2.2, s.mean * 0.02) +
                          (s.mean - s.v) * 0.1);
        if (s.v < 0) s.v = 0;
        return s.v;
      case Temp:
        if (u < 0.08) s.v += (s.v > s.mean * 2 + 6 || (u < 0.04 && s.v > s.mean * 2 - 6)) ? -1 : 1;
        return s.v / 2;
      case HistCount:
      case HistBucket:
        if (reset) s.v = 0;
        s.v += events(s.mean * interval, u);
        return sp.kind == HistCount ? s.v : std::floor(s.v * sp.b);
      case HistSum:
        if (reset) s.v = 0;
        return s.v += events(s.mean * interval, u) * sp.b * (0.7 + 0.6 * unit(mix(s.rng ^ 9)));
    }
    return 0;
  }
};

void put_varint(std::string& o, uint64_t v) {
  while (v >= 0x80) {
    o += static_cast<char>(v | 0x80);
    v >>= 7;
  }
  o += static_cast<char>(v);
}
void put_bytes(std::string& o, char tag, const std::string& s) {
  o += tag;
  put_varint(o, s.size());
  o += s;
}
// Generations of a host have names of one length, so that one's labels take the other's place.
constexpr size_t kGenerationsMax = 1000;
std::string host_name(size_t host, size_t generation, bool churns) {
  const size_t pool = host / 20;
  return churns ? fmt("host-%04zu-g%03zu.pool-%03zu.example", host, generation, pool)
                : fmt("host-%04zu.pool-%03zu.example", host, pool);
}
std::string encode_labels(Labels l) {  // prometheus.Label messages as field 1 of TimeSeries
  std::sort(l.begin(), l.end());
  std::string out, one;
  for (auto& [k, v] : l) {
    one.clear();
    put_bytes(one, 0x0a, k);
    put_bytes(one, 0x12, v);
    put_bytes(out, 0x0a, one);
  }
  return out;
}
std::string encode_series(const Spec& sp, size_t host, const std::string& name) {
  const size_t pool = host / 20;
  Labels l = sp.extra;
  l.push_back({"__name__", sp.name});
  l.push_back({"job", sp.app ? "app" : "node"});
  l.push_back({"instance", name + (sp.app ? ":8080" : ":9100")});
  l.push_back({"region", fmt("region-%c", static_cast<int>('a' + pool % 4))});
  l.push_back({"env", pool % 5 == 4 ? "staging" : "prod"});
  l.push_back({"pool", fmt("pool-%03zu", pool)});
  if (sp.name == "node_uname_info") l.push_back({"nodename", name});
  return encode_labels(std::move(l));
}

}  // namespace

int cmd_gen(int argc, char** argv) {
  Args a(argc, argv,
         {"out", "hosts", "series", "interval", "duration", "end", "batch", "per-series",
          "jitter-ms", "host-offset", "reset-every", "churn", "seed", "json"},
         kHelp);
  const std::string out = a.need("out");
  const auto hosts = static_cast<size_t>(a.integer("hosts", 200)),
             per_host = static_cast<size_t>(a.integer("series", 500));
  const double interval = a.seconds("interval", "10s"), duration = a.seconds("duration", "60m");
  const auto batch = static_cast<size_t>(a.integer("batch", 5000)),
             k_per = static_cast<size_t>(a.integer("per-series", 1));
  const auto seed = static_cast<uint64_t>(a.integer("seed", 1));
  const int64_t jitter = a.integer("jitter-ms", 0);
  const bool offsets = a.integer("host-offset", 1) != 0;
  const double reset_every = a.num("reset-every", 50000), churn = a.num("churn", 0);
  const auto step_ms = static_cast<int64_t>(interval * 1000);
  const auto steps = static_cast<size_t>(duration / interval);
  if (!hosts || !per_host || !steps || !batch || !k_per || step_ms <= 0) die("nothing to generate");
  if (jitter * 2 >= step_ms) die("jitter must be below half the interval");
  const auto replaced_before = [&](size_t step) {  // hosts, since the first step
    return static_cast<size_t>(churn / 100 * static_cast<double>(hosts) *
                               static_cast<double>(step) * interval / 60);
  };
  if (churn < 0 || replaced_before(steps) / hosts + 1 >= kGenerationsMax)
    die("--churn: 0 or more, and no host more than 999 times");
  if (churn > 0 && k_per != 1) die("--churn needs one sample per series and request");
  const auto end_ms = static_cast<int64_t>(a.num("end", std::floor(wall_now()))) * 1000;
  const int64_t first = end_ms / step_ms * step_ms - static_cast<int64_t>(steps) * step_ms;

  const double t0 = mono_now();
  const auto tmpl = host_template(per_host);
  const Model model{interval, reset_every > 0 ? 1 / reset_every : 0};
  const size_t n = hosts * per_host;
  std::vector<State> st(n);
  std::string labels;  // all series' encoded labels, back to back
  std::vector<uint64_t> label_at(n + 1, 0);
  for (size_t h = 0; h < hosts; h++) {
    const std::string name = host_name(h, 0, churn > 0);
    for (size_t i = 0; i < per_host; i++) {
      labels += encode_series(tmpl[i], h, name);
      label_at[h * per_host + i + 1] = labels.size();
      model.init(st[h * per_host + i], tmpl[i], seed, h, i);
    }
  }
  size_t replaced = 0;
  const auto replace_next = [&] {
    const size_t h = replaced % hosts, generation = replaced / hosts + 1;
    replaced++;
    const std::string name = host_name(h, generation, true);
    for (size_t i = 0; i < per_host; i++) {
      const size_t s = h * per_host + i;
      const std::string one = encode_series(tmpl[i], h, name);
      if (one.size() != label_at[s + 1] - label_at[s]) die("labels of another length");
      std::copy(one.begin(), one.end(), labels.begin() + static_cast<ptrdiff_t>(label_at[s]));
      model.init(st[s], tmpl[i], seed, h + generation * hosts, i);
    }
  };

  std::FILE* f = std::fopen(out.c_str(), "wb");
  if (!f) die("cannot write " + out);
  std::vector<char> iobuf(1 << 22);
  std::setvbuf(f, iobuf.data(), _IOFBF, iobuf.size());
  FileHeader hd{};
  std::fwrite(&hd, sizeof hd, 1, f);

  const size_t series_per_req = std::max<size_t>(1, batch / k_per);
  const size_t groups = (n + series_per_req - 1) / series_per_req;
  std::string raw, ts_msg, sample, packed;
  uint64_t requests = 0, samples = 0, raw_total = 0, packed_total = 0;
  int64_t last = 0;
  for (size_t base = 0, chunk = 0; base < steps; base += k_per, chunk++) {
    const size_t k = std::min(k_per, steps - base);
    while (replaced < replaced_before(base)) replace_next();
    for (size_t g = 0; g < groups; g++) {
      raw.clear();
      const size_t lo = g * series_per_req, hi = std::min(n, lo + series_per_req);
      for (size_t s = lo; s < hi; s++) {
        const size_t host = s / per_host;
        ts_msg.assign(labels, label_at[s], label_at[s + 1] - label_at[s]);
        for (size_t j = 0; j < k; j++) {
          int64_t ts = first + static_cast<int64_t>(base + j) * step_ms;
          if (offsets)
            ts += static_cast<int64_t>(
                      mix(seed ^ (host * 31 + 7)) %
                      static_cast<uint64_t>(std::max<int64_t>(1, step_ms - 2 * jitter))) +
                  jitter;
          if (jitter)
            ts += static_cast<int64_t>(mix(seed ^ (host << 32 | (base + j))) %
                                       static_cast<uint64_t>(2 * jitter + 1)) -
                  jitter;
          double v = model.step(st[s], tmpl[s % per_host], ts);
          sample.clear();
          sample += 0x09;
          char d[8];
          std::memcpy(d, &v, 8);  // protobuf doubles are little endian, as every host we run on
          sample.append(d, 8);
          sample += 0x10;
          put_varint(sample, static_cast<uint64_t>(ts));
          put_bytes(ts_msg, 0x12, sample);
          last = std::max(last, ts);
        }
        put_bytes(raw, 0x0a, ts_msg);
      }
      snappy::Compress(raw.data(), raw.size(), &packed);
      RecordHeader rh{static_cast<uint32_t>(g),
                      static_cast<uint32_t>(chunk),
                      static_cast<uint32_t>((hi - lo) * k),
                      static_cast<uint32_t>(packed.size()),
                      static_cast<uint32_t>(raw.size()),
                      0};
      if (std::fwrite(&rh, sizeof rh, 1, f) != 1 ||
          std::fwrite(packed.data(), packed.size(), 1, f) != 1)
        die("write failed: " + out);
      requests++;
      samples += rh.samples;
      raw_total += raw.size();
      packed_total += packed.size();
    }
  }

  std::map<std::string, uint64_t> per_metric;
  std::map<int, uint64_t> per_kind;
  std::map<std::string, uint64_t> samples_of;
  for (auto& sp : tmpl) {
    per_metric[sp.name] += hosts + replaced;
    samples_of[sp.name] += hosts * steps;
    per_kind[sp.kind]++;
  }
  std::memcpy(hd.magic, kMagic, 8);
  hd.requests = requests;
  hd.samples = samples;
  hd.series = n + replaced * per_host;
  hd.first_ms = first;
  hd.last_ms = last;
  hd.interval_ms = step_ms;
  hd.groups = groups;
  hd.trailer = sizeof hd + requests * sizeof(RecordHeader) + packed_total;
  for (auto& [name, series] : per_metric)
    std::fprintf(f, "%s %llu %llu\n", name.c_str(),
                 static_cast<unsigned long long>(samples_of[name]),
                 static_cast<unsigned long long>(series));
  std::fseek(f, 0, SEEK_SET);
  std::fwrite(&hd, sizeof hd, 1, f);
  if (std::fclose(f) != 0) die("write failed: " + out);

  Report r;
  r.add("hosts", static_cast<double>(hosts), 0);
  r.add("series", static_cast<double>(hd.series), 0);
  if (churn > 0) r.add("series_at_a_time", static_cast<double>(n), 0);
  r.add("steps", static_cast<double>(steps), 0);
  r.add("samples", static_cast<double>(samples), 0);
  r.add("requests", static_cast<double>(requests), 0);
  r.add("metric_names", static_cast<double>(per_metric.size()), 0);
  r.add("first_ms", static_cast<double>(first), 0);
  r.add("last_ms", static_cast<double>(last), 0);
  r.add("raw_bytes_per_sample", static_cast<double>(raw_total) / static_cast<double>(samples), 1);
  r.add("sent_bytes_per_sample", static_cast<double>(packed_total) / static_cast<double>(samples),
        1);
  for (auto& [k, c] : per_kind)
    r.add(std::string("share_") + kKindNames[k],
          static_cast<double>(c) / static_cast<double>(per_host));
  r.add("gen_seconds", mono_now() - t0, 1);
  r.print(a.has("json"));
  return 0;
}
