"""One command and nothing else: Petrel in an empty folder watches this host."""

import os
import time

import pytest

from conftest import wait_for

READY_SECONDS_MAX = 2.0
# /proc/stat counts in ticks; one sample and one read may round differently.
TICK = 1.0 / os.sysconf("SC_CLK_TCK")
MODES = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"]


def read_proc_stat() -> dict[tuple[str, str], float]:
    """Seconds by (cpu, mode), as the kernel says."""
    seconds = {}
    with open("/proc/stat", encoding="ascii") as lines:
        for line in lines:
            name, *ticks = line.split()
            if name.startswith("cpu") and name != "cpu":
                for mode, value in zip(MODES, ticks):
                    seconds[name[3:], mode] = int(value) * TICK
    return seconds


def cpu_values(series: list[dict], pick) -> dict[tuple[str, str], float]:
    return {(one["metric"]["cpu"], one["metric"]["mode"]): pick(one) for one in series}


def test_is_ready_within_two_seconds_in_an_empty_directory(petrel):
    started = time.monotonic()
    server = petrel(wait=False)
    server.wait_ready()
    assert time.monotonic() - started < READY_SECONDS_MAX
    assert server.call("/-/healthy").status == 200


def test_cpu_seconds_have_a_series_per_cpu_and_mode_that_rise_and_agree_with_the_kernel(petrel):
    server = petrel()
    before = read_proc_stat()
    time.sleep(10)

    # A sample taken after `before` and read before `after` lies between the two.
    asked_at = time.time()
    wait_for(lambda: server.value("min(timestamp(node_cpu_seconds_total))") > asked_at, 10, "a newer sample")
    newest = server.query("node_cpu_seconds_total")
    after = read_proc_stat()

    values = cpu_values(newest, lambda one: float(one["value"][1]))
    assert sorted(values) == sorted(before), "one series per cpu and mode"
    for key, value in values.items():
        # The kernel lets idle and iowait step back by a tick or two when a cpu wakes.
        assert before[key] - 3 * TICK <= value <= after[key] + 3 * TICK, key

    history = server.query("node_cpu_seconds_total[10s]")
    assert sorted(cpu_values(history, len)) == sorted(before)
    for one in history:
        points = [float(value) for _, value in one["values"]]
        assert len(points) >= 5, f"a sample a second in the first minute: {one}"
        falls = [a - b for a, b in zip(points, points[1:]) if a > b]
        assert max(falls, default=0) <= 3 * TICK, f"a counter does not fall: {one}"
    # Two busy cpus or two idle ones: their time passes either way.
    for cpu in {cpu for cpu, _ in before}:
        assert server.value(f'sum(increase(node_cpu_seconds_total{{cpu="{cpu}"}}[9s]))') > 4


def test_the_collected_host_metrics_carry_node_exporters_names(petrel):
    server = petrel()
    expected = {
        "node_cpu_seconds_total", "node_memory_MemTotal_bytes", "node_memory_MemAvailable_bytes", "node_load1",
        "node_load5", "node_load15", "node_filesystem_size_bytes", "node_filesystem_avail_bytes",
        "node_network_receive_bytes_total", "node_network_transmit_bytes_total", "node_context_switches_total",
        "node_forks_total", "node_boot_time_seconds", "node_procs_running", "node_procs_blocked", "node_uname_info",
        "node_time_seconds", "node_filefd_allocated", "node_vmstat_pgfault",
    }
    if os.path.exists("/proc/pressure/cpu"):
        expected.add("node_pressure_cpu_waiting_seconds_total")

    def missing():
        names = server.get("/api/v1/label/__name__/values")
        return expected - set(names)

    try:
        wait_for(lambda: not missing(), 10, "all metrics of the host")
    except AssertionError:
        pytest.fail(f"missing: {sorted(missing())}")


def test_what_was_collected_is_still_there_after_a_restart(petrel, tmp_path):
    server = petrel(folder=tmp_path / "kept")
    wait_for(lambda: server.query("node_load1"), 10, "a first sample")
    at = time.time()
    before = server.query("node_boot_time_seconds", at)
    series = server.value('count({__name__=~"node_.+"})', at)
    assert server.stop() == 0
    server.start()
    assert server.query("node_boot_time_seconds", at) == before
    assert server.value('count({__name__=~"node_.+"})', at) == series


def test_the_start_tells_how_many_rules_run_and_whether_anyone_hears_of_them(petrel, tmp_path):
    lines = ("- name: up", "  rules:", "  - {alert: down, expr: up == 0}", "  - {alert: b, expr: up}")
    (tmp_path / "rules.yml").write_text("\n".join(lines))
    rules = ("--no-rules.default", "--no-collector.host", f"--rules.file={tmp_path}/rules.yml")
    silent = petrel(*rules)
    wait_for(lambda: "rules=2" in silent.log(), 5, "the number of rules")
    assert "sent to nobody" in silent.log()
    heard = petrel(*rules, "--alerting.webhook-url=http://127.0.0.1:9/page")
    wait_for(lambda: "rules=2" in heard.log(), 5, "the number of rules")
    assert "sent to nobody" not in heard.log()
