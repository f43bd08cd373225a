#include "agent/collectors/table.h"

namespace agent {

std::vector<std::unique_ptr<Collector>> make_collectors(const Roots& roots,
                                                        const core::Clock& clock) {
  std::vector<std::unique_ptr<Collector>> collectors;
  collectors.push_back(make_cpu_collector(roots));
  collectors.push_back(make_stat_collector(roots));
  collectors.push_back(make_loadavg_collector(roots));
  collectors.push_back(make_meminfo_collector(roots));
  collectors.push_back(make_vmstat_collector(roots));
  collectors.push_back(make_pressure_collector(roots));
  collectors.push_back(make_diskstats_collector(roots));
  collectors.push_back(make_filesystem_collector(roots));
  collectors.push_back(make_filefd_collector(roots));
  collectors.push_back(make_netdev_collector(roots));
  collectors.push_back(make_netclass_collector(roots));
  collectors.push_back(make_netstat_collector(roots));
  collectors.push_back(make_sockstat_collector(roots));
  collectors.push_back(make_time_collector(roots, clock));
  collectors.push_back(make_timex_collector());
  collectors.push_back(make_uname_collector());
  collectors.push_back(make_os_collector(roots));
  return collectors;
}

}  // namespace agent
