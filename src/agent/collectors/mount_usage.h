#pragma once

#include <string>

namespace agent {

struct MountUsage {
  bool failed = false;
  double size_bytes = 0;
  double free_bytes = 0;
  double available_bytes = 0;  // to users other than root
  double files = 0;
  double files_free = 0;
};

// statfs(2).
MountUsage read_mount_usage(const std::string& mount_point);

}  // namespace agent
