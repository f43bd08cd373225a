// What could not be read, said once: how much, and the first places in words.

#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace promtsdb {

struct Damage {
  static constexpr size_t kExamplesMax = 20;

  uint64_t series = 0;   // index entries
  uint64_t chunks = 0;   // of blocks and of the head
  uint64_t records = 0;  // of the logs
  uint64_t files = 0;    // not read at all, or not from some place on
  uint64_t samples_without_series = 0;
  std::vector<std::string> examples;  // each names the file and the offset

  uint64_t total() const { return series + chunks + records + files; }
  void note(uint64_t& counter, std::string text) {
    ++counter;
    if (examples.size() < kExamplesMax) examples.push_back(std::move(text));
  }
};

}  // namespace promtsdb
