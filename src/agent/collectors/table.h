// The collectors, one per file. Each reads below the roots it is given.

#pragma once

#include "agent/collector.h"
#include "agent/collectors/settings.h"

#include <functional>
#include <memory>

namespace agent {

// A collector that is one function.
std::unique_ptr<Collector> make_simple_collector(
    std::string_view name, std::function<core::Result<void>(Output&)> collect);

std::unique_ptr<Collector> make_arp_collector(const Settings& settings);
std::unique_ptr<Collector> make_bonding_collector(const Settings& settings);
std::unique_ptr<Collector> make_btrfs_collector(const Settings& settings);
std::unique_ptr<Collector> make_buddyinfo_collector(const Settings& settings);
std::unique_ptr<Collector> make_cgroups_collector(const Settings& settings);
std::unique_ptr<Collector> make_conntrack_collector(const Settings& settings);
std::unique_ptr<Collector> make_cpu_collector(const Settings& settings);
std::unique_ptr<Collector> make_cpufreq_collector(const Settings& settings);
std::unique_ptr<Collector> make_diskstats_collector(const Settings& settings);
std::unique_ptr<Collector> make_dmi_collector(const Settings& settings);
std::unique_ptr<Collector> make_edac_collector(const Settings& settings);
std::unique_ptr<Collector> make_entropy_collector(const Settings& settings);
std::unique_ptr<Collector> make_filefd_collector(const Settings& settings);
std::unique_ptr<Collector> make_filesystem_collector(const Settings& settings);
std::unique_ptr<Collector> make_hwmon_collector(const Settings& settings);
std::unique_ptr<Collector> make_interrupts_collector(const Settings& settings);
std::unique_ptr<Collector> make_kernel_hung_collector(const Settings& settings);
std::unique_ptr<Collector> make_ksmd_collector(const Settings& settings);
std::unique_ptr<Collector> make_loadavg_collector(const Settings& settings);
std::unique_ptr<Collector> make_mdadm_collector(const Settings& settings);
std::unique_ptr<Collector> make_meminfo_collector(const Settings& settings);
std::unique_ptr<Collector> make_netclass_collector(const Settings& settings);
std::unique_ptr<Collector> make_netdev_collector(const Settings& settings);
std::unique_ptr<Collector> make_netstat_collector(const Settings& settings);
std::unique_ptr<Collector> make_nfs_collector(const Settings& settings);
std::unique_ptr<Collector> make_nfsd_collector(const Settings& settings);
std::unique_ptr<Collector> make_nvme_collector(const Settings& settings);
std::unique_ptr<Collector> make_os_collector(const Settings& settings);
std::unique_ptr<Collector> make_powersupplyclass_collector(const Settings& settings);
std::unique_ptr<Collector> make_pressure_collector(const Settings& settings);
std::unique_ptr<Collector> make_processes_collector(const Settings& settings);
std::unique_ptr<Collector> make_rapl_collector(const Settings& settings);
std::unique_ptr<Collector> make_schedstat_collector(const Settings& settings);
std::unique_ptr<Collector> make_selinux_collector(const Settings& settings);
std::unique_ptr<Collector> make_sockstat_collector(const Settings& settings);
std::unique_ptr<Collector> make_softirqs_collector(const Settings& settings);
std::unique_ptr<Collector> make_softnet_collector(const Settings& settings);
std::unique_ptr<Collector> make_stat_collector(const Settings& settings);
std::unique_ptr<Collector> make_systemd_collector(const Settings& settings);
std::unique_ptr<Collector> make_tapestats_collector(const Settings& settings);
std::unique_ptr<Collector> make_tcpstat_collector(const Settings& settings);
std::unique_ptr<Collector> make_textfile_collector(const Settings& settings);
std::unique_ptr<Collector> make_thermal_zone_collector(const Settings& settings);
std::unique_ptr<Collector> make_time_collector(const Settings& settings);
std::unique_ptr<Collector> make_timex_collector(const Settings& settings);
std::unique_ptr<Collector> make_udp_queues_collector(const Settings& settings);
std::unique_ptr<Collector> make_uname_collector(const Settings& settings);
std::unique_ptr<Collector> make_vmstat_collector(const Settings& settings);
std::unique_ptr<Collector> make_watchdog_collector(const Settings& settings);
std::unique_ptr<Collector> make_xfs_collector(const Settings& settings);
std::unique_ptr<Collector> make_zfs_collector(const Settings& settings);

}  // namespace agent
