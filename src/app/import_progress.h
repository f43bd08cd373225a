// How far a long command is: a bar on a terminal, now and then a line elsewhere.

#pragma once

#include "core/clock.h"

#include <cstdint>
#include <string>

namespace app {

// Confined to one thread. Writes to stderr.
class ImportProgress {
 public:
  ImportProgress(const core::Clock& clock, bool is_terminal);
  ~ImportProgress();

  // Of all there is to read; `done_bytes` were done in an earlier run.
  void begin(uint64_t total_bytes, uint64_t done_bytes);
  void set_total(uint64_t total_bytes) { total_bytes_ = total_bytes; }
  void skip(uint64_t bytes) { done_bytes_ += bytes; }
  // What is being done now.
  void set_phase(std::string phase) { phase_ = std::move(phase); }
  // Of this run. Prints when it is time to.
  void update(uint64_t bytes, uint64_t samples);
  void finish();

 private:
  std::string line(uint64_t bytes, uint64_t samples) const;

  const core::Clock& clock_;
  const bool is_terminal_;
  int64_t started_ns_ = 0;
  int64_t printed_ns_ = 0;
  uint64_t total_bytes_ = 0;
  uint64_t done_bytes_ = 0;
  uint64_t bytes_ = 0;
  uint64_t samples_ = 0;
  std::string phase_;
  bool is_shown_ = false;
};

// "1.5 GiB"
std::string format_bytes(uint64_t bytes);
// "1.23 M"
std::string format_count(double count);

}  // namespace app
