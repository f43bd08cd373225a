#include "common.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

void die(const std::string& msg) {
  std::fprintf(stderr, "peerbench: %s\n", msg.c_str());
  std::exit(1);
}

Args::Args(int argc, char** argv, const std::vector<std::string>& known, const char* help) {
  for (int i = 0; i < argc; i++) {
    std::string a = argv[i];
    if (a == "--help" || a == "-h") {
      std::fputs(help, stdout);
      std::exit(0);
    }
    if (a.rfind("--", 0) != 0) die("unexpected argument '" + a + "' (see --help)");
    a = a.substr(2);
    std::string v = "1";
    if (auto eq = a.find('='); eq != std::string::npos) {
      v = a.substr(eq + 1);
      a.resize(eq);
    } else if (i + 1 < argc && std::strncmp(argv[i + 1], "--", 2) != 0) {
      v = argv[++i];
    }
    if (std::find(known.begin(), known.end(), a) == known.end())
      die("unknown option --" + a + " (see --help)");
    kv_[a] = v;
  }
}
std::string Args::str(const std::string& k, const std::string& def) const {
  auto it = kv_.find(k);
  return it == kv_.end() ? def : it->second;
}
std::string Args::need(const std::string& k) const {
  if (!has(k)) die("--" + k + " is required (see --help)");
  return kv_.at(k);
}
double Args::num(const std::string& k, double def) const {
  if (!has(k)) return def;
  char* end = nullptr;
  const std::string& s = kv_.at(k);
  double v = std::strtod(s.c_str(), &end);
  if (end == s.c_str() || *end) die("--" + k + ": not a number: " + s);
  return v;
}
int64_t Args::integer(const std::string& k, int64_t def) const {
  return static_cast<int64_t>(num(k, static_cast<double>(def)));
}
double Args::seconds(const std::string& k, const std::string& def) const {
  return parse_duration(str(k, def));
}

double parse_duration(const std::string& s) {
  char* end = nullptr;
  double v = std::strtod(s.c_str(), &end);
  if (end == s.c_str()) die("not a duration: " + s);
  std::string u = end;
  if (u.empty() || u == "s") return v;
  if (u == "ms") return v / 1000;
  if (u == "m") return v * 60;
  if (u == "h") return v * 3600;
  if (u == "d") return v * 86400;
  die("not a duration: " + s);
}

double mono_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
double wall_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}
double self_cpu() {
  rusage u{};
  getrusage(RUSAGE_SELF, &u);
  auto s = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return s(u.ru_utime) + s(u.ru_stime);
}

static std::string slurp(const std::string& path) {
  std::ifstream f(path);
  std::stringstream ss;
  ss << f.rdbuf();
  return ss.str();
}
static uint64_t field(const std::string& text, const char* name) {  // "Name:  123 kB"
  auto p = text.find(name);
  return p == std::string::npos ? 0
                                : std::strtoull(text.c_str() + p + std::strlen(name), nullptr, 10);
}

ProcSample sample_proc(int pid) {
  ProcSample r;
  if (pid <= 0) return r;
  const std::string dir = "/proc/" + std::to_string(pid);
  std::string st = slurp(dir + "/stat");
  auto close = st.rfind(')');
  if (close == std::string::npos) return r;
  std::istringstream is(st.substr(close + 2));
  std::string tok;
  double ticks = 0;
  r.running = close + 2 < st.size() && st[close + 2] != 'Z' && st[close + 2] != 'X';
  for (int i = 3; i <= 15 && is >> tok; i++)  // fields 14 and 15 are utime and stime
    if (i >= 14) ticks += std::atof(tok.c_str());
  r.cpu = ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
  std::string status = slurp(dir + "/status"), io = slurp(dir + "/io");
  r.rss = field(status, "VmRSS:") * 1024;
  r.rss_anon = field(status, "RssAnon:") * 1024;
  r.peak = field(status, "VmHWM:") * 1024;
  r.write_bytes = field(io, "\nwrite_bytes:");
  r.wchar = field(io, "wchar:");
  r.ok = true;
  return r;
}

static double cpu_line(bool steal) {
  std::istringstream is(slurp("/proc/stat"));
  std::string name;
  double f[10] = {};
  is >> name;
  for (double& x : f) is >> x;
  double hz = static_cast<double>(sysconf(_SC_CLK_TCK));
  return steal ? f[7] / hz : (f[0] + f[1] + f[2] + f[5] + f[6]) / hz;
}
double machine_busy() {
  return cpu_line(false);
}
double machine_steal() {
  return cpu_line(true);
}

double percentile(std::vector<double>& v, double p) {
  if (v.empty()) return NAN;
  std::sort(v.begin(), v.end());
  double x = p * static_cast<double>(v.size() - 1);
  size_t i = static_cast<size_t>(x);
  size_t j = std::min(i + 1, v.size() - 1);
  return v[i] + (v[j] - v[i]) * (x - static_cast<double>(i));
}

std::string fmt(const char* f, ...) {
  char buf[512];
  va_list ap;
  va_start(ap, f);
  std::vsnprintf(buf, sizeof buf, f, ap);
  va_end(ap);
  return buf;
}
std::string json_quote(const std::string& s) {
  std::string o = "\"";
  for (char c : s) {
    if (c == '"' || c == '\\') {
      o += '\\';
      o += c;
    } else if (static_cast<unsigned char>(c) < 0x20)
      o += fmt("\\u%04x", c);
    else
      o += c;
  }
  return o + "\"";
}
void Report::add(const std::string& k, double v, int decimals) {
  items_.push_back({k, std::isfinite(v) ? fmt("%.*f", decimals, v) : "null", false});
}
void Report::add(const std::string& k, const std::string& v) {
  items_.push_back({k, v, true});
}
void Report::print(bool json) const {
  if (json) {
    std::string o = "{";
    for (auto& i : items_) {
      if (o.size() > 1) o += ", ";
      o += json_quote(i.key) + ": " + (i.quoted ? json_quote(i.text) : i.text);
    }
    std::printf("%s}\n", o.c_str());
  } else {
    for (auto& i : items_) std::printf("%-32s %s\n", i.key.c_str(), i.text.c_str());
  }
  std::fflush(stdout);
}

RequestFile::RequestFile(const std::string& path, bool preload) {
  int fd = open(path.c_str(), O_RDONLY);
  if (fd < 0) die("cannot open " + path);
  struct stat sb{};
  fstat(fd, &sb);
  size_ = static_cast<size_t>(sb.st_size);
  if (size_ < sizeof(FileHeader)) die(path + ": too short");
  void* m = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE | (preload ? MAP_POPULATE : 0), fd, 0);
  close(fd);
  if (m == MAP_FAILED) die("mmap failed: " + path);
  base_ = static_cast<const char*>(m);
  if (std::memcmp(head().magic, kMagic, 8) != 0 || head().trailer > size_)
    die(path + ": not a complete peerbench file");
  for (size_t off = sizeof(FileHeader); off + sizeof(RecordHeader) <= head().trailer;) {
    Rec r;
    std::memcpy(&r.h, base_ + off, sizeof r.h);
    r.body = base_ + off + sizeof r.h;
    off += sizeof r.h + r.h.bytes;
    if (off > head().trailer) die(path + ": truncated record");
    recs_.push_back(r);
  }
}
RequestFile::~RequestFile() {
  if (base_) munmap(const_cast<char*>(base_), size_);
}
std::vector<RequestFile::Metric> RequestFile::metrics() const {
  std::istringstream is(std::string(base_ + head().trailer, size_ - head().trailer));
  std::vector<Metric> v;
  Metric m;
  while (is >> m.name >> m.samples >> m.series) v.push_back(m);
  return v;
}
