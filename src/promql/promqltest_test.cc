// The scripts of testdata/*.test (see the README there).

#include "promql/testing/promqltest.h"

#include <algorithm>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

TEST_CASE("the engine answers as Prometheus's test scripts expect") {
  int evals = 0;
  int unsupported = 0;
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(TESTDATA_DIR)) {
    if (entry.path().extension() == ".test") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  REQUIRE(paths.size() >= 12);
  for (const std::filesystem::path& path : paths) {
    std::ifstream file(path);
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    const auto result = promql::testing::run_script(text);
    INFO(path.filename().string());
    if (!result) MESSAGE(result.error().message);
    REQUIRE(result.has_value());
    evals += result->evals;
    for (const promql::testing::ScriptFailure& failure : result->failures) {
      if (failure.unsupported) {
        ++unsupported;
        MESSAGE(path.filename().string() << ":" << failure.line << ": " << failure.what);
        continue;
      }
      FAIL_CHECK("line " << failure.line << ": " << failure.query << "\n    " << failure.what);
    }
  }
  MESSAGE(evals << " evals, " << unsupported << " not supported yet");
  CHECK(evals > 700);
}
