// petrel check metrics [--extended] [--format=text|openmetrics] [FILE]

#pragma once

#include <string>
#include <vector>

namespace app {

// `arguments` follow the word "metrics". Reads standard input unless a file is named. As
// promtool: 0 when all is well, 1 for text that does not parse, 3 for lint problems; 2 for
// wrong usage.
int run_check_metrics(const std::vector<std::string>& arguments);

}  // namespace app
