// Shared helpers: command line, clocks, /proc sampling, percentiles, report.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

// ---- command line: --key value | --key=value; a key given alone is "1".
class Args {
 public:
  // `known` lists the accepted keys; anything else is a fatal error.
  Args(int argc, char** argv, const std::vector<std::string>& known, const char* help);
  bool has(const std::string& k) const { return kv_.count(k) != 0; }
  std::string str(const std::string& k, const std::string& def) const;
  std::string need(const std::string& k) const;
  double num(const std::string& k, double def) const;
  int64_t integer(const std::string& k, int64_t def) const;
  double seconds(const std::string& k, const std::string& def) const;  // 90, 90s, 10m, 1h, 2d

 private:
  std::map<std::string, std::string> kv_;
};

[[noreturn]] void die(const std::string& msg);
double parse_duration(const std::string& s);  // seconds
double mono_now();                            // monotonic seconds
double wall_now();                            // unix seconds
double self_cpu();                            // user+sys CPU seconds of this process

// ---- what the kernel says about a server process
struct ProcSample {
  bool ok = false, running = false;          // running: not a zombie either
  double cpu = 0;                            // utime+stime, seconds
  uint64_t rss = 0, rss_anon = 0, peak = 0;  // bytes: VmRSS, RssAnon, VmHWM
  uint64_t write_bytes = 0, wchar = 0;       // /proc/PID/io
};
ProcSample sample_proc(int pid);  // pid <= 0: ok=false
double machine_busy();            // CPU seconds all processes used so far (no idle, no iowait)
double machine_steal();

double percentile(std::vector<double>& v, double p);  // sorts v; p in 0..1

// ---- ordered key/value output, as text or as one JSON object (--json)
class Report {
 public:
  void add(const std::string& k, double v, int decimals = 3);
  void add(const std::string& k, const std::string& v);
  void print(bool json) const;

 private:
  struct Item {
    std::string key, text;
    bool quoted;
  };
  std::vector<Item> items_;
};
std::string json_quote(const std::string& s);
std::string fmt(const char* f, ...) __attribute__((format(printf, 1, 2)));

// ---- the request file written by `gen` and replayed by `write`
struct FileHeader {
  char magic[8];  // "PEERBEN1"
  uint64_t requests, samples, series;
  int64_t first_ms, last_ms, interval_ms;
  uint64_t groups;   // a series always stays in the same group
  uint64_t trailer;  // offset of the "metric samples series\n" table
};
struct RecordHeader {  // followed by `bytes` of snappy-compressed protobuf
  uint32_t group, chunk, samples, bytes, raw_bytes, reserved;
};
inline constexpr char kMagic[9] = "PEERBEN1";

class RequestFile {  // read-only mapping of such a file
 public:
  RequestFile(const std::string& path, bool preload);
  ~RequestFile();
  RequestFile(const RequestFile&) = delete;
  RequestFile& operator=(const RequestFile&) = delete;
  const FileHeader& head() const { return *reinterpret_cast<const FileHeader*>(base_); }
  struct Rec {
    RecordHeader h;
    const char* body;
  };
  const std::vector<Rec>& records() const { return recs_; }
  struct Metric {
    std::string name;
    uint64_t samples, series;
  };
  std::vector<Metric> metrics() const;

 private:
  const char* base_ = nullptr;
  size_t size_ = 0;
  std::vector<Rec> recs_;
};
