#include "config/prometheus_config.h"

#include <cerrno>
#include <glob.h>
#include <set>

namespace config {

using core::ErrorCode;
using core::Result;

namespace {

// A folder that is not there matches nothing; one that cannot be read is an error.
int is_fatal(const char* /*path*/, int error) {
  return error == ENOENT ? 0 : 1;
}

}  // namespace

Result<std::vector<std::string>> expand_globs(const std::vector<std::string>& patterns) {
  std::set<std::string> files;
  for (const std::string& pattern : patterns) {
    glob_t found{};
    const int status = ::glob(pattern.c_str(), 0, is_fatal, &found);
    for (size_t i = 0; i < found.gl_pathc; ++i) files.emplace(found.gl_pathv[i]);
    ::globfree(&found);
    if (status == GLOB_NOMATCH && pattern.find_first_of("*?[") == std::string::npos) {
      return core::fail(ErrorCode::NotFound, "rule file {}: there is no such file", pattern);
    }
    if (status != 0 && status != GLOB_NOMATCH) {
      return core::fail(ErrorCode::Io, "cannot read the folder of the pattern \"{}\"", pattern);
    }
  }
  return std::vector<std::string>(files.begin(), files.end());
}

}  // namespace config
