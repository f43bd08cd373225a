// petrel check WHAT ...: one file per thing that is checked, with promtool's habits: what
// is fine on stdout, what is not on stderr, exit code 1 when something is bad, 2 for wrong
// usage, 3 for lint.

#include "app/check_alertmanager.h"
#include "app/check_config.h"
#include "app/check_metrics.h"
#include "app/check_rules.h"
#include "app/check_service_discovery.h"
#include "app/check_web_config.h"
#include "app/commands.h"

#include <cstdio>

namespace app {
namespace {

struct Check {
  std::string_view what;
  int (*run)(const std::vector<std::string>& arguments);
};
constexpr Check kChecks[] = {
    {"config", run_check_config},
    {"rules", run_check_rules},
    {"alertmanager", run_check_alertmanager},
    {"metrics", run_check_metrics},
    {"web-config", run_check_web_config},
    {"service-discovery", run_check_service_discovery},
};

constexpr const char* kUsageText =
    "usage: petrel check config FILE...\n"
    "       petrel check rules FILE...\n"
    "       petrel check alertmanager FILE...\n"
    "       petrel check metrics [FILE]\n"
    "       petrel check web-config FILE...\n"
    "       petrel check service-discovery FILE JOB\n"
    "\n"
    "petrel check WHAT --help tells more.\n";

}  // namespace

int run_check(const std::vector<std::string>& arguments) {
  const std::string_view what = arguments.empty() ? std::string_view() : arguments[0];
  if (what == "--help" || what == "-h") {
    std::fputs(kUsageText, stdout);
    return 0;
  }
  for (const Check& check : kChecks) {
    if (check.what == what) return check.run({arguments.begin() + 1, arguments.end()});
  }
  if (!what.empty()) {
    std::fprintf(stderr, "petrel check: nothing is called \"%s\"\n", arguments[0].c_str());
  }
  std::fputs(kUsageText, stderr);
  return 2;
}

}  // namespace app
