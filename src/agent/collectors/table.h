// The collectors, one per file. Each reads below the roots it is given.

#pragma once

#include "agent/collector.h"

#include <memory>

namespace agent {

std::unique_ptr<Collector> make_cpu_collector(const Roots& roots);
std::unique_ptr<Collector> make_diskstats_collector(const Roots& roots);
std::unique_ptr<Collector> make_filefd_collector(const Roots& roots);
std::unique_ptr<Collector> make_filesystem_collector(const Roots& roots);
std::unique_ptr<Collector> make_loadavg_collector(const Roots& roots);
std::unique_ptr<Collector> make_meminfo_collector(const Roots& roots);
std::unique_ptr<Collector> make_netclass_collector(const Roots& roots);
std::unique_ptr<Collector> make_netdev_collector(const Roots& roots);
std::unique_ptr<Collector> make_netstat_collector(const Roots& roots);
std::unique_ptr<Collector> make_os_collector(const Roots& roots);
std::unique_ptr<Collector> make_pressure_collector(const Roots& roots);
std::unique_ptr<Collector> make_sockstat_collector(const Roots& roots);
std::unique_ptr<Collector> make_stat_collector(const Roots& roots);
std::unique_ptr<Collector> make_time_collector(const Roots& roots, const core::Clock& clock);
std::unique_ptr<Collector> make_timex_collector();
std::unique_ptr<Collector> make_uname_collector();
std::unique_ptr<Collector> make_vmstat_collector(const Roots& roots);

}  // namespace agent
