// petrel check service-discovery [--timeout=30s] FILE JOB
//
// What discovery finds for a job and what relabelling makes of it, as JSON in promtool's
// form.

#pragma once

#include <string>
#include <vector>

namespace app {

// `arguments` without the words of the command itself. Exit code: 0 fine, 1 the file or
// the job is bad, 2 wrong usage.
int run_check_service_discovery(const std::vector<std::string>& arguments);

}  // namespace app
