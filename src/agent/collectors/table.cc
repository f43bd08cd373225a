#include "agent/collectors/table.h"

#include <algorithm>
#include <array>

namespace agent {
namespace {

class SimpleCollector final : public Collector {
 public:
  SimpleCollector(std::string_view name, std::function<core::Result<void>(Output&)> collect)
      : name_(name), collect_(std::move(collect)) {}
  std::string_view name() const override { return name_; }
  core::Result<void> collect(Output& out) override { return collect_(out); }

 private:
  const std::string_view name_;
  const std::function<core::Result<void>(Output&)> collect_;
};

constexpr std::string_view kFalse = "false";
constexpr std::string_view kTrue = "true";

// Defaults are upstream's, which Debian's package changes in places.
constexpr SettingInfo kSettings[] = {
    {"arp.device-include", SettingKind::Pattern, "", "ARP devices to include."},
    {"arp.device-exclude", SettingKind::Pattern, "", "ARP devices to exclude."},
    {"cpu.guest", SettingKind::Switch, kTrue, "node_cpu_guest_seconds_total."},
    {"cpu.info", SettingKind::Switch, kFalse, "node_cpu_info."},
    {"cpu.info.flags-include", SettingKind::Pattern, "", "CPU flags in node_cpu_flag_info."},
    {"cpu.info.bugs-include", SettingKind::Pattern, "", "CPU bugs in node_cpu_bug_info."},
    {"diskstats.device-include", SettingKind::Pattern, "", "Disks to include."},
    {"diskstats.device-exclude", SettingKind::Pattern,
     R"(^(ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$)", "Disks to exclude."},
    {"filesystem.mount-points-include", SettingKind::Pattern, "", "Mount points to include."},
    {"filesystem.mount-points-exclude", SettingKind::Pattern,
     "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)",
     "Mount points to exclude."},
    {"filesystem.fs-types-include", SettingKind::Pattern, "", "File system types to include."},
    {"filesystem.fs-types-exclude", SettingKind::Pattern,
     "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|"
     "iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|"
     "sysfs|tracefs)$",
     "File system types to exclude."},
    {"hwmon.chip-include", SettingKind::Pattern, "", "Sensor chips to include."},
    {"hwmon.chip-exclude", SettingKind::Pattern, "", "Sensor chips to exclude."},
    {"interrupts.name-include", SettingKind::Pattern, "", "Interrupts to include."},
    {"interrupts.name-exclude", SettingKind::Pattern, "", "Interrupts to exclude."},
    {"interrupts.include-zeros", SettingKind::Switch, kTrue, "Interrupts that never came."},
    {"netclass.ignored-devices", SettingKind::Pattern, "^$", "Interfaces to ignore."},
    {"netclass.ignore-invalid-speed", SettingKind::Switch, kFalse,
     "No node_network_speed_bytes where the driver does not know it."},
    {"netdev.device-include", SettingKind::Pattern, "", "Interfaces to include."},
    {"netdev.device-exclude", SettingKind::Pattern, "", "Interfaces to exclude."},
    // Behind upstream's: what its widest-spread dashboard shows besides.
    {"netstat.fields", SettingKind::Pattern,
     "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|"
     "Icmp6?_(InMsgs|OutMsgs)|"
     "TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|"
     "Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab|MaxConn)|"
     "Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$",
     "Fields of /proc/net/netstat, snmp and snmp6."},
    {"powersupply.ignored-supplies", SettingKind::Pattern, "^$", "Power supplies to ignore."},
    {"rapl.enable-zone-label", SettingKind::Switch, kFalse, "Label `zone` of node_rapl_*."},
    {"stat.softirq", SettingKind::Switch, kFalse, "node_softirqs_total."},
    {"systemd.unit-include", SettingKind::Pattern, ".+", "Units to include."},
    {"systemd.unit-exclude", SettingKind::Pattern, R"(.+\.(automount|device|mount|scope|slice))",
     "Units to exclude."},
    {"systemd.enable-task-metrics", SettingKind::Switch, kFalse, "node_systemd_unit_tasks_*."},
    {"systemd.enable-restarts-metrics", SettingKind::Switch, kFalse,
     "node_systemd_service_restart_total."},
    {"systemd.enable-start-time-metrics", SettingKind::Switch, kFalse,
     "node_systemd_unit_start_time_seconds."},
    {"tapestats.ignored-devices", SettingKind::Pattern, "^$", "Tape drives to ignore."},
    {"textfile.directory", SettingKind::Text, "",
     "Folders of *.prom files, several separated by commas."},
    {"vmstat.fields", SettingKind::Pattern, "^(oom_kill|pgpg|pswp|pg.*fault).*",
     "Fields of /proc/vmstat."},
};

struct Entry {
  CollectorInfo info;
  std::unique_ptr<Collector> (*make)(const Settings& settings);
};

constexpr Entry kCollectors[] = {
    {{"cpu", true}, make_cpu_collector},
    {{"cpufreq", true}, make_cpufreq_collector},
    {{"stat", true}, make_stat_collector},
    {{"loadavg", true}, make_loadavg_collector},
    {{"meminfo", true}, make_meminfo_collector},
    {{"vmstat", true}, make_vmstat_collector},
    {{"pressure", true}, make_pressure_collector},
    {{"schedstat", true}, make_schedstat_collector},
    // Of node_exporter's that are off there: the dashboards ask for these two.
    {{"processes", true}, make_processes_collector},
    {{"systemd", true}, make_systemd_collector},
    // A series per interrupt and CPU: tens of thousands on a large machine.
    {{"interrupts", false}, make_interrupts_collector},
    {{"softirqs", false}, make_softirqs_collector},
    {{"buddyinfo", false}, make_buddyinfo_collector},
    {{"cgroups", false}, make_cgroups_collector},
    {{"ksmd", false}, make_ksmd_collector},
    {{"entropy", true}, make_entropy_collector},
    {{"kernel_hung", true}, make_kernel_hung_collector},
    {{"selinux", true}, make_selinux_collector},
    {{"diskstats", true}, make_diskstats_collector},
    {{"filesystem", true}, make_filesystem_collector},
    {{"filefd", true}, make_filefd_collector},
    {{"mdadm", true}, make_mdadm_collector},
    {{"btrfs", true}, make_btrfs_collector},
    {{"xfs", true}, make_xfs_collector},
    {{"zfs", true}, make_zfs_collector},
    {{"nfs", true}, make_nfs_collector},
    {{"nfsd", true}, make_nfsd_collector},
    {{"nvme", true}, make_nvme_collector},
    {{"tapestats", true}, make_tapestats_collector},
    {{"netdev", true}, make_netdev_collector},
    {{"netclass", true}, make_netclass_collector},
    {{"bonding", true}, make_bonding_collector},
    {{"arp", true}, make_arp_collector},
    {{"netstat", true}, make_netstat_collector},
    {{"sockstat", true}, make_sockstat_collector},
    {{"softnet", true}, make_softnet_collector},
    {{"conntrack", true}, make_conntrack_collector},
    {{"udp_queues", true}, make_udp_queues_collector},
    // Walks every socket of the host.
    {{"tcpstat", false}, make_tcpstat_collector},
    {{"hwmon", true}, make_hwmon_collector},
    {{"thermal_zone", true}, make_thermal_zone_collector},
    {{"powersupplyclass", true}, make_powersupplyclass_collector},
    {{"rapl", true}, make_rapl_collector},
    {{"edac", true}, make_edac_collector},
    {{"dmi", true}, make_dmi_collector},
    {{"watchdog", true}, make_watchdog_collector},
    {{"time", true}, make_time_collector},
    {{"timex", true}, make_timex_collector},
    {{"uname", true}, make_uname_collector},
    {{"os", true}, make_os_collector},
    {{"textfile", true}, make_textfile_collector},
};

constexpr std::string_view kUnbuilt[] = {
    "bcache", "bcachefs",  "drbd",   "drm",          "ethtool",    "fibrechannel",  "infiniband",
    "ipvs",   "lnstat",    "logind", "meminfo_numa", "mountstats", "netclass_rtnl", "network_route",
    "ntp",    "pcidevice", "perf",   "qdisc",        "runit",      "slabinfo",      "supervisord",
    "swap",   "sysctl",    "wifi",   "xfrm",         "zoneinfo"};

constexpr auto kInfos = [] {
  std::array<CollectorInfo, std::size(kCollectors)> infos{};
  for (size_t i = 0; i < infos.size(); ++i) infos[i] = kCollectors[i].info;
  return infos;
}();

}  // namespace

std::unique_ptr<Collector> make_simple_collector(
    std::string_view name, std::function<core::Result<void>(Output&)> collect) {
  return std::make_unique<SimpleCollector>(name, std::move(collect));
}

std::span<const CollectorInfo> collector_table() {
  return kInfos;
}

std::span<const SettingInfo> setting_table() {
  return kSettings;
}

std::span<const std::string_view> unbuilt_collectors() {
  return kUnbuilt;
}

core::Result<std::vector<std::unique_ptr<Collector>>> make_collectors(
    const CollectorOptions& options, const core::Clock& clock) {
  const Settings settings = TRY(Settings::create(options, clock));
  for (const auto& [name, is_on] : options.chosen) {
    const bool is_known = std::any_of(std::begin(kCollectors), std::end(kCollectors),
                                      [&](const Entry& entry) { return entry.info.name == name; });
    if (is_known) continue;
    return core::fail(core::ErrorCode::InvalidArgument, "--collector.{}: no such collector", name);
  }
  std::vector<std::unique_ptr<Collector>> collectors;
  for (const Entry& entry : kCollectors) {
    const auto chosen = options.chosen.find(entry.info.name);
    const bool is_on = chosen == options.chosen.end()
                           ? entry.info.is_default && !options.disable_defaults
                           : chosen->second;
    if (is_on) collectors.push_back(entry.make(settings));
  }
  return collectors;
}

}  // namespace agent
