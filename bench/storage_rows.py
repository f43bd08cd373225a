"""What the storage gates ask of `./gates peers`: rows of Petrel beside both peers, and what its
compacted data take on the disk."""

import pathlib
import re
import time
import urllib.request

MIB = 1 << 20
MERGE_SECONDS_MAX = 240


def call(url: str, method: str = "GET") -> str:
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=600) as answer:
        return answer.read().decode()


def size_of(folder: pathlib.Path) -> int:
    return sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())


def metric(text: str, name: str) -> float:
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? ([0-9.e+]+)$", text, re.MULTILINE))


def log_bytes(server) -> float:
    """Written to Petrel's log so far, what it reserves not counted."""
    return metric(call(f"{server.url}/metrics"), "petrel_log_written_bytes_total")


def compacted_bytes(server) -> int:
    """Of samples and index, when the server has merged what it can."""
    data = server.folder / "data"
    if server.peer.name == "petrel":
        call(f"{server.url}/api/v1/admin/tsdb/flush", "POST")
        call(f"{server.url}/api/v1/admin/tsdb/compact", "POST")
        return size_of(data / "blocks")
    if server.peer.name == "prometheus":
        # Its head goes to blocks in a snapshot only.
        call(f"{server.url}/api/v1/admin/tsdb/snapshot", "POST")
        return size_of(data / "snapshots")
    call(f"{server.url}/internal/force_flush")
    call(f"{server.url}/internal/force_merge")
    for _ in range(MERGE_SECONDS_MAX):
        time.sleep(1)
        if metric(call(f"{server.url}/metrics"), "vm_active_(?:force_)?merges") == 0:
            break
    time.sleep(2)
    return size_of(data / "data") + size_of(data / "indexdb")


def rows(results: dict[str, dict], summary: dict, command: str) -> list[tuple]:
    """(name, asked, reached, command, passed)."""
    petrel, prometheus, victoria = (results[name] for name in ("petrel", "prometheus", "victoriametrics"))
    samples_a, samples_b, series_b = summary["a"]["samples"], summary["b"]["samples"], summary["b"]["series"]
    table = []

    def row(name: str, asked: str, reached: str, passed: bool) -> None:
        table.append((name, asked, reached, command, passed))

    speed = [one["ingest"]["samples_per_server_cpu_s_settled"] for one in (petrel, prometheus, victoria)]
    row("samples per server-CPU-second, data A", ">= 2.5 M, 10x Prometheus, 3x VictoriaMetrics",
        f"{speed[0] / 1e6:.2f} M, {speed[0] / speed[1]:.1f}x, {speed[0] / speed[2]:.1f}x",
        speed[0] >= 2.5e6 and speed[0] >= 10 * speed[1] and speed[0] >= 3 * speed[2])

    def new_series_us(one: dict) -> float:
        """What data B cost beyond the samples, each as dear as one of data A."""
        samples_s = samples_b / one["ingest"]["samples_per_server_cpu_s_settled"]
        return (samples_b / one["series_write"]["samples_per_server_cpu_s_settled"] - samples_s) / series_b * 1e6
    us = [new_series_us(one) for one in (petrel, prometheus, victoria)]
    row("CPU of a new series, data B", "<= 2 us", f"{us[0]:.2f} us (Prometheus {us[1]:.1f}, VictoriaMetrics {us[2]:.1f})", us[0] <= 2)

    for name, key, limit in (("at rest", "rss_MiB", 450), ("at its peak", "rss_peak_MiB", 600)):
        size = [one["memory"][key] * MIB / series_b for one in (petrel, prometheus, victoria)]
        row(f"memory per series {name}, data B", f"<= {limit} bytes, less than both",
            f"{size[0]:.0f} bytes (Prometheus {size[1]:.0f}, VictoriaMetrics {size[2]:.0f})", size[0] <= min(limit, *size[1:]))

    disk = [one["compacted_bytes"] / samples_a for one in (petrel, prometheus, victoria)]
    row("disk per sample, data A compacted", "<= 1.1 bytes, 0.4x Prometheus, 0.8x VictoriaMetrics",
        f"{disk[0]:.3f} bytes, {disk[0] / disk[1]:.2f}x, {disk[0] / disk[2]:.2f}x",
        disk[0] <= min(1.1, 0.4 * disk[1], 0.8 * disk[2]))
    log = petrel["log_bytes"] / samples_a
    row("log per sample, data A", "<= 2.5 bytes", f"{log:.2f} bytes", log <= 2.5)
    return table
