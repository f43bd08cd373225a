"""Measures Petrel beside current Prometheus and VictoriaMetrics with the same requests.

Data set A, many samples of some series, is written and queried; data set B, few samples
of many series, shows what a series costs in memory. The sender is bench/peerbench. All
servers run on this machine, one after the other, so the cost that is compared is the
server's own CPU time, not the wall time. Writes docs/benchmarks.md.
"""

import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request

import pages
import storage_rows
from memory_group import MemoryGroup

# Sized so that all three servers together take less than 15 minutes on two cores.
HOSTS_A, DURATION_A = 200, "60m"      # 100,000 series, 36 M samples
HOSTS_B, DURATION_B = 2000, "50s"     # 1,000,000 series, 5 M samples
SERIES_PER_HOST = 500
QUERY_REPETITIONS = 20
SETTLE = "10s"
ASKED = "<= 1x Prometheus"
# Shown and not judged: Petrel waits for the disk before it answers, the peers do not.
NOT_JUDGED = {"ingest: answer p99"}
# Allowance for chance in the medians of queries; 0 judges them as they are.
QUERY_NOISE_MS = 0.0

GO_COLLECTS = {"prometheus", "victoriametrics"}


def run_json(command: list[str]) -> list[dict]:
    output = subprocess.run(command, capture_output=True, text=True, check=False)
    # Status 2 means that answers were partial; the numbers then say so.
    if output.returncode not in (0, 2):
        raise RuntimeError(f"{' '.join(command)}: {output.stderr}")
    return [json.loads(line) for line in output.stdout.splitlines() if line.startswith("{")]


class Peer:
    def __init__(self, name: str, version: list[str], command, write_path: str = "/api/v1/write", ready_path: str = "/-/ready"):
        self.name = name
        self.version_command = version
        self.command = command
        self.write_path = write_path
        self.ready_path = ready_path

    def version(self) -> str:
        output = subprocess.run(self.version_command, capture_output=True, text=True, check=False)
        lines = [line.strip() for line in (output.stdout + output.stderr).splitlines() if line.strip()]
        return lines[0] if lines else self.package_version()

    def package_version(self) -> str:
        """Of the package it was unpacked from, for a build that does not know its own."""
        folder = pathlib.Path(self.version_command[0]).parents[2]
        package = max(folder.parent.glob(f"deb/{folder.name}_*.deb"), key=os.path.getmtime)
        return f"{self.name} {package.name.split('_')[1]}"


def make_peers(root: pathlib.Path) -> list[Peer]:
    petrel = str(root / "build/release/petrel")
    prometheus = str(root / "peers/prometheus/usr/bin/prometheus")
    victoria = str(root / "peers/victoria-metrics/usr/bin/victoria-metrics")
    return [
        Peer("petrel", [petrel, "--version"], lambda folder, port: [
            petrel, f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
            "--no-collector.host", "--no-rules.default", "--web.enable-admin-api"]),
        Peer("prometheus", [prometheus, "--version"], lambda folder, port: [
            prometheus, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", "--log.level=warn",
            f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver", "--web.enable-admin-api"]),
        Peer("victoriametrics", [victoria, "--version"], lambda folder, port: [
            victoria, f"-storageDataPath={folder}/data", f"-httpListenAddr=127.0.0.1:{port}", "-retentionPeriod=1",
            "-loggerLevel=WARN", "-search.maxUniqueTimeseries=3000000", "-search.maxQueryDuration=120s"],
             ready_path="/health"),
    ]


def free_port() -> int:
    """Below those that the kernel gives to outgoing connections; another gate may run at the same time."""
    for port in random.sample(range(20000, 32768), 100):
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("100 ports between 20000 and 32767 are in use")


class Running:
    """One server on an empty folder, in a control group of its own where that is possible."""

    def __init__(self, peer: Peer, folder: pathlib.Path, peerbench: str):
        self.peer, self.folder, self.peerbench, self.port = peer, folder, peerbench, free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        (self.folder / "prometheus.yml").write_text("global: {}\n")
        self.group = MemoryGroup(self.peer.name)
        self.launch()
        run_json([self.peerbench, "ready", "--url", self.url + self.peer.ready_path, "--pid", str(self.process.pid),
                  "--timeout", "60s", "--json"])
        time.sleep(0.5)
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.peer.name} ended: {(self.folder / 'log').read_text()[-2000:]}")
        return self

    def launch(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.peer.command(self.folder, self.port), stdout=log, stderr=log,
                                            preexec_fn=self.group.enter)

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.group.remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, file: pathlib.Path, *options: str) -> dict:
        return run_json([self.peerbench, "write", "--file", str(file), "--url", self.url + self.peer.write_path,
                         "--pid", str(self.process.pid), "--settle", SETTLE, "--json", *options])[0]

    def missing(self, file: pathlib.Path) -> int:
        if self.peer.name == "victoriametrics":
            urllib.request.urlopen(f"{self.url}/internal/force_flush").read()
        return run_json([self.peerbench, "verify", "--file", str(file), "--url", self.url, "--timeout", "600s", "--json"])[0]["samples_missing"]

    def queries(self, file: pathlib.Path, end: int) -> dict[str, dict]:
        # nocache: the cost of an answer, not of remembering one.
        lines = run_json([self.peerbench, "query", "--url", self.url, "--queries", str(file), "--end", str(end), "--n",
                          str(QUERY_REPETITIONS), "--extra", "nocache=1", "--pid", str(self.process.pid), "--json"])
        return {line["query"]: line for line in lines}

    def memory(self) -> dict:
        if self.peer.name in GO_COLLECTS:
            urllib.request.urlopen(f"{self.url}/debug/pprof/heap?gc=1").read()
            time.sleep(15)
        return run_json([self.peerbench, "stat", "--pid", str(self.process.pid), "--json"])[0]


def build_peerbench(root: pathlib.Path) -> str:
    build = root / "build/peerbench"
    if not (build / "build.ninja").exists():
        subprocess.run(["cmake", "-S", root / "bench/peerbench", "-B", build, "-G", "Ninja"], check=True,
                       stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", build], check=True, stdout=subprocess.DEVNULL)
    return str(build / "peerbench")


def generate(peerbench: str, file: pathlib.Path, hosts: int, duration: str, end: int, *options: str) -> dict:
    return run_json([peerbench, "gen", "--out", str(file), "--hosts", str(hosts), "--series", str(SERIES_PER_HOST),
                     "--duration", duration, "--end", str(end), "--json", *options])[0]


def measure(peer: Peer, files: dict, queries: pathlib.Path, end: int, peerbench: str, folder: pathlib.Path) -> dict:
    result = {"version": peer.version()}
    print(f"-- {peer.name}: {result['version']}", flush=True)
    with Running(peer, folder, peerbench) as server:
        result["ingest"] = server.write(files["a"])
        result["missing"] = server.missing(files["a"])
        result["queries"] = server.queries(queries, end)
        result["log_bytes"] = storage_rows.log_bytes(server)
        result["compacted_bytes"] = storage_rows.compacted_bytes(server)
    with Running(peer, folder, peerbench) as server:
        result["series_write"] = server.write(files["b"])
        result["missing"] += server.missing(files["b"])
        result["cgroup_peak"] = server.group.peak_bytes()
        result["memory"] = server.memory()
    return result


MIB = 1 << 20


def cost_rows(results: dict[str, dict], series_b: int) -> list[tuple[str, str, dict[str, float]]]:
    """(name, unit, value by peer); less is better in every row."""
    def each(read) -> dict[str, float]:
        return {name: read(result) for name, result in results.items()}

    rows = [
        ("ingest: server CPU", "us/sample", each(lambda r: 1e6 / r["ingest"]["samples_per_server_cpu_s_settled"])),
        ("ingest: wall time", "us/sample", each(lambda r: 1e6 / r["ingest"]["samples_per_s"])),
        ("ingest: answer p99", "ms", each(lambda r: r["ingest"]["latency_p99_ms"])),
        ("new series: server CPU", "us/sample", each(lambda r: 1e6 / r["series_write"]["samples_per_server_cpu_s_settled"])),
        ("memory: RSS per series", "bytes", each(lambda r: r["memory"]["rss_MiB"] * MIB / series_b)),
        ("memory: peak RSS per series", "bytes", each(lambda r: r["memory"]["rss_peak_MiB"] * MIB / series_b)),
    ]
    if all(result["cgroup_peak"] for result in results.values()):
        rows.append(("memory: peak with page cache", "bytes/series", each(lambda r: r["cgroup_peak"] / series_b)))
    for query in results["prometheus"]["queries"]:
        rows.append((f"query {query}", "ms", each(lambda r: r["queries"][query]["p50_ms"])))
    return rows


def same_answers(results: dict[str, dict]) -> list[str]:
    """The queries that Petrel and Prometheus answered differently, or not at all."""
    ours, theirs = results["petrel"]["queries"], results["prometheus"]["queries"]
    return [name for name, query in theirs.items()
            if name not in ours or ours[name]["failed"] or ours[name]["hash"] != query["hash"] or not query["bytes"]]


def number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def write_page(root: pathlib.Path, results: dict, rows: list, differing: list[str], summary: dict) -> None:
    lines = [
        "# Benchmarks",
        "",
        "Written by `./gates peers`, which anyone can run, down to the next chapter. Less is better in every row.",
        "",
        f"{time.strftime('%Y-%m-%d')}, {pages.machine()}. "
        f"Data set A: {summary['a']['series']:,} series, {summary['a']['samples']:,} samples at 10 s; "
        f"B: {summary['b']['series']:,} series, {summary['b']['samples']:,} samples. Sender and server share the "
        f"machine; the sender replays requests made before. Petrel answers a write when it is on disk (fsync); the "
        f"others answer earlier. Queries are medians of {QUERY_REPETITIONS} over A, with result caches off.",
        "",
    ]
    lines += [f"* {name}: {result['version']}" for name, result in results.items()]
    lines += ["", "| | unit | Petrel | Prometheus | VictoriaMetrics | Petrel / Prometheus |", "|---|---|---:|---:|---:|---:|"]
    for name, unit, values in rows:
        ratio = values["petrel"] / values["prometheus"] if values["prometheus"] else float("nan")
        lines.append(f"| {name} | {unit} | {number(values['petrel'])} | {number(values['prometheus'])} | "
                     f"{number(values['victoriametrics'])} | {ratio:.2f} |")
    stored = {name: result["missing"] for name, result in results.items()}
    lines += ["", f"Samples not found afterwards: {', '.join(f'{name} {count}' for name, count in stored.items())}. "
              + ("Petrel and Prometheus gave the same answer to every query."
                 if not differing else f"Answers differ between Petrel and Prometheus in: {', '.join(differing)}."), ""]
    page = root / "docs/benchmarks.md"
    page.write_text(pages.with_top(page.read_text(), "\n".join(lines)))


def run(root: pathlib.Path) -> list[tuple]:
    """Rows of (name, asked, reached, command, passed)."""
    command = "./gates peers"
    if not all((root / "peers" / name).exists() for name in ("prometheus", "victoria-metrics")):
        subprocess.run([root / "tools/fetch_peers.sh", root / "peers"], check=True)
    peerbench = build_peerbench(root)
    queries = root / "bench/peerbench/queries.txt"
    end = int(time.time())
    work = pathlib.Path(tempfile.mkdtemp(prefix="petrel-bench-"))
    try:
        files = {"a": work / "a.pb", "b": work / "b.pb"}
        summary = {"a": generate(peerbench, files["a"], HOSTS_A, DURATION_A, end),
                   "b": generate(peerbench, files["b"], HOSTS_B, DURATION_B, end)}
        results = {peer.name: measure(peer, files, queries, summary["a"]["last_ms"] // 1000, peerbench, work / "server")
                   for peer in make_peers(root)}
    finally:
        shutil.rmtree(work, ignore_errors=True)

    rows = cost_rows(results, summary["b"]["series"])
    differing = same_answers(results)
    write_page(root, results, rows, differing, summary)
    (root / "build/peers.json").write_text(json.dumps(results, indent=1))
    table = storage_rows.rows(results, summary, command)
    for name, unit, values in rows:
        ours, theirs = values["petrel"], values["prometheus"]
        noise = QUERY_NOISE_MS if name.startswith("query") else 0
        judged = name not in NOT_JUDGED
        table.append((name, ASKED if judged else "(shown only)", f"{ours / theirs:.2f}x ({number(ours)} : {number(theirs)} {unit}; VM {number(values['victoriametrics'])})",
                      command, not judged or ours <= theirs + noise))
    table.append(("samples stored", "all", f"{results['petrel']['missing']} missing", command, results["petrel"]["missing"] == 0))
    table.append(("answers", "equal to Prometheus's", f"{len(differing)} differ: {', '.join(differing)}" if differing else "all equal",
                  command, not differing))
    return table
