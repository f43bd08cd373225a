// query: time and summarise PromQL answers, compare two servers.
// verify: count the samples a server stored against what the file holds.
#include "common.h"
#include "http.h"
#include "json.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

const char kQueryHelp[] =
    "peerbench query --url http://HOST:PORT[/PREFIX] --queries FILE --end UNIX [options]\n"
    "  --end UNIX         \"now\" of every query, seconds\n"
    "  --n N              timed repetitions of each query (default 10)\n"
    "  --warmup N         untimed repetitions before them (default 1)\n"
    "  --concurrency C    do the repetitions over C connections at once (default 1)\n"
    "  --only SUBSTRING   only queries whose name contains it\n"
    "  --extra 'k=v'      extra query-string parameters (as nocache=1)\n"
    "  --max-seconds S    per query: stop repeating after S seconds (default 60)\n"
    "  --timeout DUR      per request (default 120s)\n"
    "  --pid PID          adds the server's CPU per query\n"
    "  --compare URL2     run on URL2 too and compare the answers\n"
    "  --rtol X           relative tolerance of the comparison (default 1e-6)\n"
    "  --show N           print up to N differing series (default 0)\n"
    "  --json             one JSON object per query\n"
    "URL is what precedes /api/v1. Query file, one per line, # for comments:\n"
    "  name | instant | expr\n"
    "  name | range LOOKBACK STEP | expr       name | labels LABEL | match[] or empty\n"
    "  name | series LOOKBACK | match[]        name | metrics | (empty)\n"
    "`hash` covers the answer rounded to 6 digits, order and repetitions aside.\n";

const char kVerifyHelp[] =
    "peerbench verify --file FILE --url http://HOST:PORT[/PREFIX] [options]\n"
    "Sums count_over_time() of each metric of the file and compares with what was generated.\n"
    "  --timeout DUR (default 120s)   --extra 'k=v'   --verbose   --json\n"
    "Exit status 2 when counts differ.\n";

struct Query {
  std::string name, kind, expr, arg1, arg2;
};

std::string trim(const std::string& s) {
  auto b = s.find_first_not_of(" \t\r"), e = s.find_last_not_of(" \t\r");
  return b == std::string::npos ? "" : s.substr(b, e - b + 1);
}

std::vector<Query> load_queries(const std::string& path) {
  std::ifstream f(path);
  if (!f) die("cannot open " + path);
  std::vector<Query> v;
  std::string line;
  while (std::getline(f, line)) {
    line = trim(line);
    if (line.empty() || line[0] == '#') continue;
    auto p = line.find('|'), q = p == std::string::npos ? p : line.find('|', p + 1);
    if (q == std::string::npos) die("query line needs name | kind | expr: " + line);
    Query x;
    x.name = trim(line.substr(0, p));
    x.expr = trim(line.substr(q + 1));
    std::istringstream is(line.substr(p + 1, q - p - 1));
    is >> x.kind >> x.arg1 >> x.arg2;
    v.push_back(x);
  }
  return v;
}

std::string query_path(const Query& q, double end, const std::string& extra) {
  std::string p;
  if (q.kind == "instant")
    p = "/api/v1/query?query=" + url_encode(q.expr) + fmt("&time=%.3f", end);
  else if (q.kind == "range") {
    if (q.arg2.empty()) die(q.name + ": range needs LOOKBACK STEP");
    p = "/api/v1/query_range?query=" + url_encode(q.expr) +
        fmt("&start=%.3f&end=%.3f&step=%g", end - parse_duration(q.arg1), end,
            parse_duration(q.arg2));
  } else if (q.kind == "labels") {
    p = "/api/v1/label/" + url_encode(q.arg1) + "/values?" +
        fmt("start=%.3f&end=%.3f", end - 3600, end);
    if (!q.expr.empty()) p += "&match[]=" + url_encode(q.expr);
  } else if (q.kind == "series") {
    p = "/api/v1/series?match[]=" + url_encode(q.expr) +
        fmt("&start=%.3f&end=%.3f", end - parse_duration(q.arg1), end);
  } else if (q.kind == "metrics") {
    p = "/api/v1/label/__name__/values?";
  } else
    die(q.name + ": unknown kind " + q.kind);
  return extra.empty() ? p : p + "&" + extra;
}

using Points = std::vector<std::pair<double, double>>;
struct Answer {
  std::string error;                          // empty: success
  std::multimap<std::string, Points> series;  // "label=value,..." -> points
  size_t points = 0;
  double sum = 0;
  uint64_t hash = 0;
};

double number(const std::string& s) {
  return s == "+Inf"   ? INFINITY
         : s == "-Inf" ? -INFINITY
         : s == "NaN"  ? NAN
                       : std::strtod(s.c_str(), nullptr);
}

std::string label_key(const Json& m, bool with_name) {
  std::vector<std::string> parts;
  for (auto& [k, v] : m.fields)
    if (with_name || k != "__name__") parts.push_back(k + "=" + json_quote(v.text));
  std::sort(parts.begin(), parts.end());
  std::string o;
  for (auto& p : parts) o += (o.empty() ? "" : ",") + p;
  return o;
}

Answer parse_answer(const HttpResponse& r) {
  Answer a;
  Json j;
  if (r.status == 0)
    a.error = r.error;
  else if (!Json::parse(r.body, j))
    a.error = fmt("http %d, not JSON: ", r.status) + r.body.substr(0, 200);
  else if (j["status"].text != "success")
    a.error = fmt("http %d: ", r.status) +
              (j["error"].text.empty() ? r.body.substr(0, 200) : j["error"].text);
  if (!a.error.empty()) return a;
  auto add = [&](const Json& metric, const Json& pts) {
    Points v;
    for (auto& p : pts.items)
      if (p.items.size() == 2)
        v.emplace_back(std::strtod(p.items[0].text.c_str(), nullptr), number(p.items[1].text));
    a.series.emplace(label_key(metric, true), std::move(v));
  };
  const Json& data = j["data"];
  if (data.type == Json::Array) {  // label values, series
    for (auto& x : data.items)
      a.series.emplace(x.type == Json::String ? x.text : label_key(x, true), Points{});
  } else if (data["resultType"].text == "scalar") {
    Json one;
    one.items.push_back(data["result"]);
    add(Json{}, one);
  } else {
    for (auto& x : data["result"].items) {
      Json one;
      if (x["value"].type == Json::Array) one.items.push_back(x["value"]);
      add(x["metric"], one.items.empty() ? x["values"] : one);
    }
  }
  a.hash = 1469598103934665603ull;
  auto feed = [&](const std::string& s) {
    for (unsigned char c : s) a.hash = (a.hash ^ c) * 1099511628211ull;
  };
  for (auto& [k, pts] : a.series) {
    feed(k);
    for (auto& [t, v] : pts) {
      feed(fmt("@%.3f=%.6g;", t, v));
      if (std::isfinite(v)) a.sum += v;
    }
    a.points += pts.size();
  }
  return a;
}

struct Timed {
  Answer answer;
  std::vector<double> ms;
  size_t bytes = 0, failed = 0;
  double cpu_ms = NAN;
};

Timed run(const Url& url, const std::string& path, const Args& a, int pid) {
  const auto n = static_cast<size_t>(std::max<int64_t>(1, a.integer("n", 10)));
  const auto conc = static_cast<size_t>(std::clamp<int64_t>(a.integer("concurrency", 1), 1, 64));
  const double timeout = a.seconds("timeout", "120s"), max_s = a.seconds("max-seconds", "60");
  Timed t;
  HttpClient first(url, timeout);
  HttpResponse r;
  for (int64_t i = 0; i < std::max<int64_t>(1, a.integer("warmup", 1)); i++)
    r = first.get(url.path + path);
  t.answer = parse_answer(r);
  t.bytes = r.body.size();
  if (!t.answer.error.empty()) return t;
  std::atomic<size_t> next{0}, bad{0};
  std::vector<std::vector<double>> ms(conc);
  const ProcSample p0 = sample_proc(pid);
  const double t0 = mono_now();
  auto work = [&](size_t w) {
    HttpClient http(url, timeout);
    while (next++ < n && mono_now() - t0 < max_s) {
      const double s = mono_now();
      HttpResponse x = http.get(url.path + path);
      ms[w].push_back((mono_now() - s) * 1e3);
      if (x.status != 200) bad++;
    }
  };
  std::vector<std::thread> ts;
  for (size_t w = 0; w < conc; w++) ts.emplace_back(work, w);
  for (auto& th : ts) th.join();
  const ProcSample p1 = sample_proc(pid);
  for (auto& m : ms) t.ms.insert(t.ms.end(), m.begin(), m.end());
  t.failed = bad;
  if (p0.ok && p1.ok) t.cpu_ms = (p1.cpu - p0.cpu) * 1e3 / static_cast<double>(t.ms.size());
  return t;
}

struct Diff {
  size_t only_a = 0, only_b = 0, renamed = 0, points = 0, differ = 0, missing_points = 0;
  double max_rel = 0;
  std::vector<double> rels;
  std::vector<std::string> examples;
};

std::string nameless(const std::string& k) {
  auto p = k.find("__name__=");
  if (p == std::string::npos) return k;
  auto e = k.find("\",", p);
  std::string o = k;
  o.erase(p, e == std::string::npos ? std::string::npos : e + 2 - p);
  if (!o.empty() && o.back() == ',') o.pop_back();
  return o;
}

Diff diff(const Answer& a, const Answer& b, double rtol) {
  Diff d;
  auto rest = b.series;
  std::multimap<std::string, const Points*> unmatched;
  auto points = [&](const std::string& key, const Points& x, const Points& y) {
    bool bad = false;
    std::string ex;
    size_t i = 0, j = 0;
    while (i < x.size() || j < y.size()) {
      if (j == y.size() || (i < x.size() && x[i].first < y[j].first - 5e-4)) {
        d.missing_points++;
        i++;
        bad = true;
        continue;
      }
      if (i == x.size() || y[j].first < x[i].first - 5e-4) {
        d.missing_points++;
        j++;
        bad = true;
        continue;
      }
      const double u = x[i].second, v = y[j].second;
      const double t = x[i].first;
      i++, j++;
      d.points++;
      double rel = 0;
      if (!(u == v || (std::isnan(u) && std::isnan(v))))
        rel = std::isfinite(u) && std::isfinite(v)
                  ? std::fabs(u - v) / std::max(std::fabs(u), std::fabs(v))
                  : INFINITY;
      d.rels.push_back(rel);
      d.max_rel = std::max(d.max_rel, rel);
      if (rel > rtol) {
        d.differ++;
        if (!bad) ex = fmt("  at %.3f: %.9g against %.9g", t, u, v);
        bad = true;
      }
    }
    if (bad)
      d.examples.push_back("{" + key + "}" + ex +
                           fmt("  (%zu and %zu points)", x.size(), y.size()));
  };
  for (auto& [k, pts] : a.series) {
    auto it = rest.find(k);
    if (it == rest.end()) {
      unmatched.emplace(nameless(k), &pts);
      continue;
    }
    points(k, pts, it->second);
    rest.erase(it);
  }
  for (auto& [k, pts] : rest) {  // the servers may disagree on keeping __name__
    auto it = unmatched.find(nameless(k));
    if (it == unmatched.end()) {
      d.only_b++;
      d.examples.push_back("only B: {" + k + "}");
      continue;
    }
    d.renamed++;
    points(k, *it->second, pts);
    unmatched.erase(it);
  }
  d.only_a = unmatched.size();
  for (auto& [k, pts] : unmatched) d.examples.push_back("only A: {" + k + "}");
  return d;
}

}  // namespace

int cmd_query(int argc, char** argv) {
  Args a(argc, argv,
         {"url", "queries", "end", "n", "warmup", "concurrency", "only", "extra", "max-seconds",
          "timeout", "pid", "compare", "rtol", "show", "json"},
         kQueryHelp);
  const Url url = Url::parse(a.need("url"));
  const auto queries = load_queries(a.need("queries"));
  a.need("end");
  const double end = a.num("end", 0), rtol = a.num("rtol", 1e-6);
  const int pid = static_cast<int>(a.integer("pid", 0));
  const bool json = a.has("json"), comparing = a.has("compare");
  const auto show = static_cast<size_t>(a.integer("show", 0));
  int rc = 0;
  if (!json)
    std::printf("%-22s %9s %9s %9s %9s %8s %9s %10s %-16s %s\n", "query", "p50_ms", "p95_ms",
                "p99_ms", "cpu_ms", "series", "points", "bytes", "hash",
                comparing ? "p50_ms_B  comparison" : "");
  for (auto& q : queries) {
    if (a.has("only") && q.name.find(a.str("only", "")) == std::string::npos) continue;
    const std::string path = query_path(q, end, a.str("extra", ""));
    Timed t = run(url, path, a, pid);
    Report r;
    r.add("query", q.name);
    std::string line;
    if (!t.answer.error.empty()) {
      rc = 2;
      r.add("error", t.answer.error);
      line = fmt("%-22s FAILED: ", q.name.c_str()) + t.answer.error;
    } else {
      if (t.failed) rc = 2;
      const double p50 = percentile(t.ms, .5), p95 = percentile(t.ms, .95),
                   p99 = percentile(t.ms, .99);
      r.add("n", static_cast<double>(t.ms.size()), 0);
      r.add("failed", static_cast<double>(t.failed), 0);
      r.add("p50_ms", p50);
      r.add("p95_ms", p95);
      r.add("p99_ms", p99);
      r.add("min_ms", percentile(t.ms, 0));
      r.add("cpu_ms", t.cpu_ms, 2);
      r.add("series", static_cast<double>(t.answer.series.size()), 0);
      r.add("points", static_cast<double>(t.answer.points), 0);
      r.add("bytes", static_cast<double>(t.bytes), 0);
      r.add("sum", fmt("%.9g", t.answer.sum));
      r.add("hash", fmt("%016llx", static_cast<unsigned long long>(t.answer.hash)));
      line = fmt("%-22s %9.2f %9.2f %9.2f %9.2f %8zu %9zu %10zu %016llx", q.name.c_str(), p50, p95,
                 p99, t.cpu_ms, t.answer.series.size(), t.answer.points, t.bytes,
                 static_cast<unsigned long long>(t.answer.hash));
      if (t.failed) line += fmt("  %zu FAILED", t.failed);
    }
    std::vector<std::string> examples;
    if (comparing) {
      Timed b = run(Url::parse(a.str("compare", "")), path, a, 0);
      if (!b.answer.error.empty()) {
        rc = 2;
        r.add("error_b", b.answer.error);
        line += "  B FAILED: " + b.answer.error;
      } else if (t.answer.error.empty()) {
        Diff d = diff(t.answer, b.answer, rtol);
        const bool same = !d.only_a && !d.only_b && !d.differ && !d.missing_points;
        if (!same) rc = 2;
        examples = d.examples;
        const double med = percentile(d.rels, .5);
        r.add("p50_ms_b", percentile(b.ms, .5));
        r.add("same", same ? "yes" : "no");
        r.add("only_a", static_cast<double>(d.only_a), 0);
        r.add("only_b", static_cast<double>(d.only_b), 0);
        r.add("renamed", static_cast<double>(d.renamed), 0);
        r.add("points_compared", static_cast<double>(d.points), 0);
        r.add("points_differ", static_cast<double>(d.differ), 0);
        r.add("points_missing", static_cast<double>(d.missing_points), 0);
        r.add("max_rel_diff", fmt("%.3g", d.max_rel));
        r.add("median_rel_diff", fmt("%.3g", med));
        line += fmt(" %8.2f  %s", percentile(b.ms, .5), same ? "same" : "DIFFERS");
        if (d.renamed) line += fmt(" (%zu without or with another __name__)", d.renamed);
        if (!same)
          line +=
              fmt(" onlyA=%zu onlyB=%zu points: %zu of %zu beyond rtol, %zu unpaired, max %.3g "
                  "median %.3g",
                  d.only_a, d.only_b, d.differ, d.points, d.missing_points, d.max_rel, med);
      }
    }
    if (json)
      r.print(true);
    else
      std::printf("%s\n", line.c_str());
    for (size_t i = 0; i < std::min(show, examples.size()); i++)
      std::printf("    %s\n", examples[i].c_str());
    std::fflush(stdout);
  }
  return rc;
}

int cmd_verify(int argc, char** argv) {
  Args a(argc, argv, {"file", "url", "timeout", "extra", "verbose", "json"}, kVerifyHelp);
  RequestFile file(a.need("file"), false);
  const Url url = Url::parse(a.need("url"));
  HttpClient http(url, a.seconds("timeout", "120s"));
  const auto& h = file.head();
  const int64_t end = h.last_ms / 1000 + 1, span = end - h.first_ms / 1000 + 1;
  uint64_t want = 0, got = 0, wrong = 0, failed = 0;
  std::string example;
  for (auto& m : file.metrics()) {
    Query q{m.name, "instant",
            "sum(count_over_time(" + m.name + fmt("[%llds]))", static_cast<long long>(span)), "",
            ""};
    Answer ans = parse_answer(
        http.get(url.path + query_path(q, static_cast<double>(end), a.str("extra", ""))));
    uint64_t c = 0;
    if (!ans.error.empty()) {
      failed++;
      example = m.name + ": " + ans.error;
    } else if (!ans.series.empty() && !ans.series.begin()->second.empty())
      c = static_cast<uint64_t>(ans.series.begin()->second[0].second + .5);
    want += m.samples;
    got += c;
    if (c != m.samples) {
      if (!wrong++ && example.empty())
        example = m.name + fmt(": %llu of %llu", static_cast<unsigned long long>(c),
                               static_cast<unsigned long long>(m.samples));
      if (a.has("verbose"))
        std::fprintf(stderr, "%s: %llu of %llu\n", m.name.c_str(),
                     static_cast<unsigned long long>(c),
                     static_cast<unsigned long long>(m.samples));
    }
  }
  Report r;
  r.add("samples_expected", static_cast<double>(want), 0);
  r.add("samples_stored", static_cast<double>(got), 0);
  r.add("samples_missing", static_cast<double>(want) - static_cast<double>(got), 0);
  r.add("metrics_wrong", static_cast<double>(wrong), 0);
  r.add("queries_failed", static_cast<double>(failed), 0);
  if (!example.empty()) r.add("first_problem", example);
  r.print(a.has("json"));
  return wrong || failed ? 2 : 0;
}
