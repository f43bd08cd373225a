// What a stranger's machine should be watched for. The rules are chosen so that a
// healthy idle host, a container without a clock daemon and a read-only image mount stay
// silent; each annotation says what to look at first.

#include "rules/default_rules.h"

namespace rules {

namespace {

constexpr const char* kText = R"yaml(groups:
  - name: host
    interval: 30s
    rules:
      - alert: HostMetricsMissing
        expr: absent(up{job="node"})
        for: 5m
        labels:
          severity: critical
        annotations:
          summary: No metrics of this host arrive any more.
          description: >-
            There has been no sample of up{job="node"} for 5 minutes, so no other host rule can
            fire either. Look at Petrel's log for the host collector and at the disk it writes to.

      - alert: HostDown
        expr: up{job="node"} == 0
        for: 5m
        labels:
          severity: critical
        annotations:
          summary: "{{ $labels.instance }} does not answer."
          description: >-
            The metrics of {{ $labels.instance }} could not be collected for 5 minutes. Check that
            the machine is up and that its exporter is running and reachable.

      - alert: HostFilesystemFillsWithinADay
        # Mounts that are read-only or not on a device do not fill; the trend needs a drop
        # that is more than noise, on a filesystem that is no longer mostly empty.
        expr: |
          (
            node_filesystem_avail_bytes{fstype!~"tmpfs|ramfs|overlay|squashfs|iso9660|fuse.*|nfs.*"}
              / node_filesystem_size_bytes < 0.4
          and
            predict_linear(node_filesystem_avail_bytes[6h], 24 * 3600) < 0
          and
            count_over_time(node_filesystem_avail_bytes[6h]) > 60
          and
            node_filesystem_avail_bytes < node_filesystem_avail_bytes offset 1h
          and
            node_filesystem_readonly == 0
          ) * 100
        for: 1h
        labels:
          severity: warning
        annotations:
          summary: "{{ $labels.mountpoint }} on {{ $labels.instance }} will be full within a day."
          description: >-
            {{ $labels.device }} at {{ $labels.mountpoint }} has {{ printf "%.1f" $value }}% left
            and, at the rate of the last 6 hours, none in 24 hours. Find what grows with
            `du -xh --max-depth=2 {{ $labels.mountpoint }} | sort -h | tail`.

      - alert: HostFilesystemAlmostFull
        expr: |
          (
            node_filesystem_avail_bytes{fstype!~"tmpfs|ramfs|squashfs|iso9660|fuse.*|nfs.*"}
              / node_filesystem_size_bytes < 0.05
          and
            node_filesystem_size_bytes > 0
          and
            node_filesystem_readonly == 0
          ) * 100
        for: 10m
        labels:
          severity: critical
        annotations:
          summary: "{{ $labels.mountpoint }} on {{ $labels.instance }} is almost full."
          description: >-
            {{ $labels.device }} at {{ $labels.mountpoint }} has only
            {{ printf "%.1f" $value }}% left. Writes will start to fail; free space or grow the
            filesystem.

      - alert: HostFilesystemInodesAlmostUsedUp
        expr: |
          (
            node_filesystem_files_free{fstype!~"tmpfs|ramfs|squashfs|iso9660|fuse.*|nfs.*"}
              / (node_filesystem_files > 0) < 0.05
          and
            node_filesystem_readonly == 0
          ) * 100
        for: 10m
        labels:
          severity: warning
        annotations:
          summary: "{{ $labels.mountpoint }} on {{ $labels.instance }} runs out of inodes."
          description: >-
            {{ $labels.device }} at {{ $labels.mountpoint }} has {{ printf "%.1f" $value }}% of its
            inodes left: no new files can be made when they are gone. Look for folders with very
            many small files.

      - alert: HostMemoryPressure
        # Available memory already counts the caches that can be dropped. Where the kernel
        # reports pressure (PSI) HostMemoryStalls says more; this one works everywhere.
        expr: (node_memory_MemAvailable_bytes / (node_memory_MemTotal_bytes > 0)) * 100 < 5
        for: 10m
        labels:
          severity: warning
        annotations:
          summary: "{{ $labels.instance }} is almost out of memory."
          description: >-
            Only {{ printf "%.1f" $value }}% of the memory of {{ $labels.instance }} is available.
            The kernel will soon kill a process. See which ones grow with
            `ps aux --sort=-rss | head`.

      - alert: HostMemoryStalls
        expr: rate(node_pressure_memory_stalled_seconds_total[5m]) > 0.1
        for: 10m
        labels:
          severity: warning
        annotations:
          summary: "{{ $labels.instance }} stands still for lack of memory."
          description: >-
            For {{ $value | humanizePercentage }} of the time every runnable task of
            {{ $labels.instance }} was waiting for memory. Expect everything on it to be slow.

      - alert: HostHighLoad
        # Per processor, over 15 minutes: an idle or merely busy machine stays below.
        expr: |
          node_load15
            / on (instance, job)
          count by (instance, job) (node_cpu_seconds_total{mode="idle"}) > 2
        for: 15m
        labels:
          severity: warning
        annotations:
          summary: "{{ $labels.instance }} is overloaded."
          description: >-
            The 15-minute load of {{ $labels.instance }} is {{ printf "%.1f" $value }} per
            processor. More work is ready than the machine can do, or it waits for a disk: compare
            CPU and disk time.

      - alert: HostClockSkew
        # Only where something disciplines the clock: elsewhere the kernel's estimate means
        # nothing.
        expr: |
          abs(node_timex_offset_seconds) > 0.05 and on (instance, job) node_timex_sync_status == 1
        for: 10m
        labels:
          severity: warning
        annotations:
          summary: "The clock of {{ $labels.instance }} is off."
          description: >-
            The clock of {{ $labels.instance }} differs by {{ $value | humanizeDuration }} from its
            time source. Samples and alerts carry this clock; check `chronyc tracking` or
            `timedatectl timesync-status`.

      - alert: HostClockNotSynchronised
        # In a container or a virtual machine without a time daemon the status is always 0
        # and the error estimate stays at the kernel's 16 s; a clock that was synchronised
        # within the last day and no longer is has lost its source.
        expr: |
          node_timex_sync_status == 0
            and node_timex_maxerror_seconds >= 16
            and max_over_time(node_timex_sync_status[1d]) == 1
        for: 30m
        labels:
          severity: warning
        annotations:
          summary: "The clock of {{ $labels.instance }} is no longer synchronised."
          description: >-
            {{ $labels.instance }} had a time source and has lost it. Check that its time daemon
            (chrony, systemd-timesyncd, ntpd) runs and reaches its servers.
)yaml";

}  // namespace

RuleText default_rules() {
  return {"default_rules.yml", kText};
}

}  // namespace rules
