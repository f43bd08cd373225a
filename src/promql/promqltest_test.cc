// The scripts of testdata/*.test (see the README there).

#include "promql/testing/promqltest.h"

#include <algorithm>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace {

std::vector<std::filesystem::path> scripts() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(TESTDATA_DIR)) {
    if (entry.path().extension() == ".test") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

int run_all(const std::vector<std::filesystem::path>& paths,
            const promql::testing::ScriptOptions& options) {
  int evals = 0;
  int unsupported = 0;
  for (const std::filesystem::path& path : paths) {
    const auto result = promql::testing::run_script(content(path), options);
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
  return evals;
}

}  // namespace

TEST_CASE("the engine answers as Prometheus's test scripts expect") {
  CHECK(run_all(scripts(), {}) > 800);
}

TEST_CASE("results do not depend on when names are dropped, but for the scripts about it") {
  std::vector<std::filesystem::path> paths = scripts();
  std::erase_if(paths, [](const auto& path) {
    return path.stem() == "name_label_dropping" || path.stem() == "type_and_unit";
  });
  promql::testing::ScriptOptions options;
  options.delayed_name_removal = false;
  CHECK(run_all(paths, options) > 700);
}
