// Repeats in the log what does not work, rarely: whoever looks at the last hour of a log finds
// it, and a trouble that lasts for weeks does not fill the disk.

#pragma once

#include "api/api.h"

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace app {

// Confined to one thread at a time.
class TroubleLog {
 public:
  static constexpr int64_t kEveryMs = 600'000;

  struct Changes {
    std::vector<api::Trouble> due;   // new, or not told for long
    std::vector<api::Trouble> gone;  // told before
  };
  // `now_ms` never goes back.
  Changes step(const std::vector<api::Trouble>& troubles, int64_t now_ms);
  // The same, written to the log.
  void log(const std::vector<api::Trouble>& troubles, int64_t now_ms);

 private:
  struct Told {
    api::Trouble trouble;
    int64_t at_ms = 0;
  };
  // By part and reason: texts have numbers that change all the time.
  std::map<std::pair<std::string, std::string>, Told> told_;
};

}  // namespace app
