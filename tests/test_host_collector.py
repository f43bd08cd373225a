"""The host collector gives what node_exporter gives: the same names, labels, types, help
texts, and values that agree with the kernel's."""

import json
import os
import re
import time

import pytest

from agent import is_accepted
from conftest import NodeExporter, program, wait_for

COLLECTORS = ["cpu", "diskstats", "filefd", "filesystem", "loadavg", "meminfo", "netclass", "netdev", "netstat", "os",
              "pressure", "sockstat", "stat", "time", "timex", "uname", "vmstat"]

# What node_exporter 1.5 does by default; Debian's package changes both.
UPSTREAM_MOUNTS = (r"^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)")

SAMPLE = re.compile(r'^(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$')
# The exporter's facts about itself.
THEIR_OWN = re.compile(r"^(promhttp_|go_|process_|node_exporter_build_info)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


class SameCollectors(NodeExporter):
    def command(self):
        return [program("prometheus-node-exporter"), f"--web.listen-address=127.0.0.1:{self.port}",
                "--web.disable-exporter-metrics", "--collector.disable-defaults",
                f"--collector.filesystem.mount-points-exclude={UPSTREAM_MOUNTS}", "--collector.netdev.device-exclude=",
                *(f"--collector.{name}" for name in COLLECTORS)]


def parse_exposition(text):
    """({(name, labels): value}, {name: (type, help)})"""
    samples, types, helps = {}, {}, {}
    for line in text.splitlines():
        if line.startswith("# HELP "):
            _, _, name, help_text = line.split(" ", 3)
            helps[name] = help_text
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            types[name] = {"untyped": "unknown"}.get(kind, kind)
        elif line:
            match = SAMPLE.match(line)
            assert match, line
            labels = frozenset((key, re.sub(r'\\[\\"n]', lambda escape: ESCAPES[escape[0]], value))
                               for key, value in LABEL.findall(match["labels"] or ""))
            samples[match["name"], labels] = float(match["value"])
    return ({key: value for key, value in samples.items() if not THEIR_OWN.match(key[0])},
            {name: (types[name], helps[name]) for name in types if not THEIR_OWN.match(name)})


def petrel_samples(server):
    found = {}
    for one in server.query('{job="node"}'):
        labels = {key: value for key, value in one["metric"].items() if key not in ("job", "instance", "__name__")}
        # An empty label is no label to Petrel, and to Prometheus after a scrape.
        found[one["metric"]["__name__"], frozenset(labels.items())] = float(one["value"][1])
    return found


def without_empty_labels(samples):
    return {(name, frozenset(pair for pair in labels if pair[1])): value for (name, labels), value in samples.items()}


@pytest.fixture
def both(petrel, start, tmp_path):
    exporter = start(SameCollectors(tmp_path / "exporter"))
    server = petrel("--collector.disable-defaults", *(f"--collector.{name}" for name in COLLECTORS))
    wait_for(lambda: server.query("node_load1"), 10, "the first round of the host collector")
    return server, exporter


def test_series_types_and_help_are_those_of_node_exporter(both):
    server, exporter = both

    def differences():
        theirs, descriptions = parse_exposition(exporter.call("/metrics").text)
        theirs = without_empty_labels(theirs)
        ours = petrel_samples(server)
        own = {key for key in ours if key[0] in ("up", "scrape_duration_seconds", "scrape_samples_scraped")}
        assert len(own) == 3

        def shown(keys, kind):
            return sorted(f"{name}{dict(labels)}" for name, labels in keys if not is_accepted(name, labels, kind))

        return {"only node_exporter": shown(set(theirs) - set(ours), "only node_exporter"),
                "only Petrel": shown(set(ours) - set(theirs) - own, "only Petrel")}, descriptions

    # A mount or interface may come or go between the two reads: look up to four times.
    for _ in range(4):
        found, descriptions = differences()
        if not any(found.values()):
            break
        time.sleep(1.5)
    assert found == {"only node_exporter": [], "only Petrel": []}

    metadata = server.get("/api/v1/metadata")
    wrong = {name: (metadata.get(name), expected) for name, expected in descriptions.items()
             if [(one["type"], one["help"]) for one in metadata.get(name, [])] != [expected]}
    assert wrong == {}, "types and help texts"


# Of these the value cannot change between two reads, or only by chance.
STEADY = ["node_memory_MemTotal_bytes", "node_boot_time_seconds", "node_filesystem_size_bytes",
          "node_filesystem_readonly", "node_filesystem_files", "node_filefd_maximum", "node_network_mtu_bytes",
          "node_network_flags", "node_network_iface_id", "node_network_up", "node_network_speed_bytes",
          "node_network_protocol_type", "node_timex_tick_seconds", "node_timex_sync_status", "node_os_version",
          "node_memory_HugePages_Total", "node_netstat_Ip_Forwarding", "node_time_zone_offset_seconds"]
# And these only rise.
RISING = ["node_cpu_seconds_total", "node_context_switches_total", "node_forks_total", "node_intr_total",
          "node_disk_read_bytes_total", "node_disk_written_bytes_total", "node_disk_io_time_seconds_total",
          "node_network_receive_bytes_total", "node_network_transmit_packets_total", "node_vmstat_pgfault",
          "node_pressure_cpu_waiting_seconds_total", "node_time_seconds"]


def test_values_agree_with_node_exporter(both):
    server, exporter = both
    before, _ = parse_exposition(exporter.call("/metrics").text)
    reached = time.time()
    wait_for(lambda: server.value("node_time_seconds") > reached + 0.5, 15, "a later round")
    ours = petrel_samples(server)
    after, _ = parse_exposition(exporter.call("/metrics").text)
    before, after = without_empty_labels(before), without_empty_labels(after)
    checked = 0
    for key, value in ours.items():
        if key[0] in STEADY and before[key] == after[key]:
            assert value == before[key], key
            checked += 1
        elif key[0] in RISING:
            assert before[key] <= value <= after[key], key
            checked += 1
    assert checked > 40


def test_one_rising_series_per_cpu_and_mode_that_agrees_with_proc_stat(petrel):
    server = petrel()
    wait_for(lambda: len(server.query("node_cpu_seconds_total[1m]")) > 0
             and min(len(one["values"]) for one in server.query("node_cpu_seconds_total[1m]")) >= 5, 20,
             "five rounds")
    cpus = os.cpu_count()
    series = {(one["metric"]["cpu"], one["metric"]["mode"]): [float(value) for _, value in one["values"]]
              for one in server.query("node_cpu_seconds_total[1m]")}
    modes = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"]
    assert set(series) == {(str(cpu), mode) for cpu in range(cpus) for mode in modes}
    for values in series.values():
        assert values == sorted(values)
    for cpu in range(cpus):
        # Whatever the machine is busy with, also work of low priority.
        assert sum(series[str(cpu), mode][-1] for mode in modes) > sum(series[str(cpu), mode][0] for mode in modes)
    with open("/proc/stat", encoding="ascii") as file:
        now = {line.split()[0][3:]: line.split()[1:9] for line in file if re.match(r"cpu\d", line)}
    for (cpu, mode), values in series.items():
        ticks = int(now[cpu][modes.index(mode)]) / 100
        # /proc/stat was read later than the last round.
        assert values[-1] <= ticks + 0.01, (cpu, mode)
        assert ticks - values[-1] < 10, (cpu, mode)


def test_rounds_stand_on_whole_seconds_and_are_counted(petrel):
    server = petrel()
    wait_for(lambda: len(server.query("node_load1[1m]")) > 0
             and len(server.query("node_load1[1m]")[0]["values"]) >= 4, 20, "four rounds")
    [series] = server.query("node_load1[1m]")
    times = [at for at, _ in series["values"]]
    assert all(at == int(at) for at in times)
    assert server.value("up") == 1
    assert server.value("scrape_samples_scraped") > 100
    [instance] = {one["metric"]["instance"] for one in server.query("up")}
    assert instance.endswith(f":{server.port}"), json.dumps(instance)
    own = server.call("/metrics").text
    assert re.search(r"^petrel_host_collector_rounds_total ([1-9]\d*)$", own, re.M)
    assert re.search(r"^petrel_host_collector_dropped_rounds_total 0$", own, re.M)
