#include "pages.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <zlib.h>

namespace {

constexpr size_t kFamilies = 10;
constexpr int kGzipLevel = 6;            // what Go's servers use
constexpr int kGzipWindowBits = 15 + 16;

std::string compress_page(const std::string& body) {
  z_stream stream{};
  if (deflateInit2(&stream, kGzipLevel, Z_DEFLATED, kGzipWindowBits, 8, Z_DEFAULT_STRATEGY) != Z_OK) std::abort();
  std::string out(deflateBound(&stream, body.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  stream.avail_in = static_cast<uInt>(body.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) std::abort();
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string frame(const std::string& body, const char* more) {
  return "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n" + std::string(more) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace

std::vector<Page> make_pages(size_t series, size_t count) {
  std::mt19937_64 random(1);
  std::vector<double> values(series);
  for (double& value : values) value = static_cast<double>(random() % 1'000'000);
  std::vector<Page> pages;
  for (size_t page = 0; page < count; ++page) {
    std::string body;
    for (size_t family = 0; family < kFamilies; ++family) {
      const bool is_counter = family % 2 == 0;
      const std::string name = is_counter ? "bench_requests_" + std::to_string(family) + "_seconds_total"
                                          : "bench_queue_" + std::to_string(family) + "_bytes";
      body += "# HELP " + name + " A family of the benchmark's targets.\n# TYPE " + name +
              (is_counter ? " counter\n" : " gauge\n");
      for (size_t i = family; i < series; i += kFamilies) {
        // Counters grow by an odd amount, gauges wander.
        if (is_counter) {
          values[i] += static_cast<double>(random() % 10'000) / 1000;
        } else {
          values[i] = std::abs(values[i] + static_cast<double>(random() % 2001) - 1000);
        }
        char line[200];
        std::snprintf(line, sizeof(line), is_counter ? "%s{device=\"disk%zu\",mode=\"read\",zone=\"a\"} %.3f\n"
                                                     : "%s{device=\"disk%zu\",mode=\"read\",zone=\"a\"} %.0f\n",
                      name.c_str(), i / kFamilies, values[i]);
        body += line;
      }
    }
    pages.push_back({frame(body, ""), frame(compress_page(body), "Content-Encoding: gzip\r\n")});
  }
  return pages;
}
