// The pages of the targets: whole HTTP responses, made once.

#pragma once

#include <cstddef>
#include <string>
#include <vector>

struct Page {
  std::string plain;  // head and body
  std::string gzip;
};

// `count` pages of `series` series; counters grow from one page to the next.
std::vector<Page> make_pages(size_t series, size_t count);
