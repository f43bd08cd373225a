// targets --port 21800 --series 100: see README.md.

#include "server.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/resource.h>

namespace {

// Counters start over after so many scrapes.
constexpr size_t kPages = 64;

int usage() {
  std::fputs("usage: targets [--port PORT] [--series COUNT]\n", stderr);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  unsigned long port = 21800, series = 100;
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 >= argc) return usage();
    char* end = nullptr;
    const unsigned long number = std::strtoul(argv[i + 1], &end, 10);
    if (*end != '\0') return usage();
    if (std::strcmp(argv[i], "--port") == 0) {
      port = number;
    } else if (std::strcmp(argv[i], "--series") == 0) {
      series = number;
    } else {
      return usage();
    }
  }
  // A connection per target.
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);

  Server server(make_pages(series, kPages));
  if (port > UINT16_MAX || !server.listen(static_cast<uint16_t>(port))) {
    std::fprintf(stderr, "targets: cannot listen on port %lu: %s\n", port, std::strerror(errno));
    return 1;
  }
  server.run();
}
