"""Measures what a scrape costs Petrel, Prometheus and vmagent.

bench/targets is the other side: one process that is all the targets, each on a loopback
address of its own, and that records when scrapes come in. The servers run one after the
other under the same prometheus.yml. What is compared is the server's own CPU time per
scrape in a steady window, after every series was seen once.
"""

import contextlib
import json
import os
import pathlib
import re
import resource
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

TARGETS, SERIES, INTERVAL_S = 10_000, 100, 10
CURVE = [1_000, 5_000, 10_000, 20_000]     # of Petrel
SETTLE_S, WINDOW_S = 15, 60
WARM_UP_MAX_S = 180                        # until every target was scraped twice
BINS_PER_S = 10                            # of bench/targets
TARGETS_PORT, SERVER_PORT = 21800, 21891
DESCRIPTORS_SPARE = 600                    # what a server opens besides its targets
PROMETHEUS_FACTOR, VMAGENT_FACTOR = 5.0, 2.0
SPREAD_MAX = 2.0
COMMAND = "./gates scrape"
MIB = 1 << 20
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def address(index: int) -> str:
    """Of a target; 250 hosts in each of the networks 127.1.0, 127.1.1, ..."""
    return f"127.{1 + index // 62_500}.{index // 250 % 250}.{1 + index % 250}"


def configuration(targets: int) -> str:
    """The same for all servers."""
    lines = ["global:", f"  scrape_interval: {INTERVAL_S}s", f"  scrape_timeout: {INTERVAL_S}s", "scrape_configs:",
             "- job_name: bench", "  static_configs:", "  - targets:"]
    return "\n".join(lines + [f"    - {address(index)}:{TARGETS_PORT}" for index in range(targets)]) + "\n"


class Targets:
    """bench/targets, and what it has seen."""

    def __init__(self, program: pathlib.Path):
        self.process = subprocess.Popen([program, "--port", str(TARGETS_PORT), "--series", str(SERIES)])
        self.url = f"http://127.0.0.1:{TARGETS_PORT}"
        wait_until(lambda: self.control("stats") is not None, 10, self.process, "targets")

    def control(self, what: str) -> dict | None:
        return get_json(f"{self.url}/control/{what}")

    def cpu_s(self) -> float:
        return cpu_seconds(self.process.pid)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def get_json(url: str):
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return json.load(answer)
    except (OSError, ValueError):
        return None


def wait_until(is_ready, seconds: float, process: subprocess.Popen, name: str) -> None:
    deadline = time.monotonic() + seconds
    while not is_ready():
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended with status {process.returncode}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"{name} is not ready after {seconds} s")
        time.sleep(0.05)


def cpu_seconds(process_id: int) -> float:
    fields = pathlib.Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def resident_bytes(process_id: int) -> int:
    status = pathlib.Path(f"/proc/{process_id}/status").read_text()
    return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE).group(1)) * 1024


class Scraper:
    """How a server is started, and where it tells what it has stored ("" if it stores nothing)."""

    def __init__(self, name: str, command, ready_path: str, version: list[str], query_path: str = "/api/v1/query"):
        self.name, self.command, self.ready_path = name, command, ready_path
        self.version_command, self.query_path = version, query_path


def make_scrapers(root: pathlib.Path) -> dict[str, Scraper]:
    petrel = str(root / "build/release/petrel")
    prometheus = str(root / "peers/prometheus/usr/bin/prometheus")
    victoria = str(root / "peers/victoria-metrics/usr/bin/victoria-metrics")
    vmagent = str(root / "peers/victoria-metrics/usr/bin/vmagent")
    listen = f"127.0.0.1:{SERVER_PORT}"
    scrapers = [
        Scraper("petrel", lambda folder: [
            petrel, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address={listen}", "--log.level=warn", "--no-collector.host", "--no-rules.default"],
                "/-/ready", [petrel, "--version"]),
        Scraper("prometheus", lambda folder: [
            prometheus, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address={listen}", "--log.level=warn"],
                "/-/ready", [prometheus, "--version"]),
        # Scrapes and passes on: bench/targets takes its remote write and keeps nothing.
        Scraper("vmagent", lambda folder: [
            vmagent, f"-promscrape.config={folder}/prometheus.yml", f"-httpListenAddr={listen}", "-loggerLevel=WARN",
            f"-remoteWrite.url=http://127.0.0.1:{TARGETS_PORT}/api/v1/write", f"-remoteWrite.tmpDataPath={folder}/data"],
                "/health", [vmagent, "--version"], query_path=""),
        # The same scraper with storage in one process.
        Scraper("victoria-metrics", lambda folder: [
            victoria, f"-promscrape.config={folder}/prometheus.yml", f"-httpListenAddr={listen}", "-loggerLevel=WARN",
            f"-storageDataPath={folder}/data", "-retentionPeriod=1"],
                "/health", [victoria, "--version"], query_path="/api/v1/query"),
    ]
    return {scraper.name: scraper for scraper in scrapers}


def stored(scraper: Scraper, query: str) -> float | None:
    """One number; None when there is no answer, or nothing to ask."""
    if not scraper.query_path:
        return None
    answer = get_json(f"http://127.0.0.1:{SERVER_PORT}{scraper.query_path}?" + urllib.parse.urlencode({"query": query}))
    try:
        return float(answer["data"]["result"][0]["value"][1])
    except (TypeError, KeyError, IndexError, ValueError):
        return None


@contextlib.contextmanager
def running(scraper: Scraper, folder: pathlib.Path, targets: int):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "prometheus.yml").write_text(configuration(targets))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(scraper.command(folder), stdout=log, stderr=log)
    try:
        ready = f"http://127.0.0.1:{SERVER_PORT}{scraper.ready_path}"
        wait_until(lambda: answers(ready), 60, process, f"{scraper.name} ({folder}/log)")
        yield process
        if process.poll() is not None:
            raise RuntimeError(f"{scraper.name} ended: {(folder / 'log').read_text(errors='replace')[-2000:]}")
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def warm_up(targets: Targets, count: int) -> None:
    """New series cost far more than known ones: what is measured comes after them."""
    deadline = time.monotonic() + WARM_UP_MAX_S
    while time.monotonic() < deadline:
        seen = targets.control("stats")
        if seen["targets"] == count and seen["least"] >= 2:
            break
        time.sleep(1)
    time.sleep(SETTLE_S)


def measure(scraper: Scraper, targets: Targets, count: int, folder: pathlib.Path) -> dict:
    print(f"-- {scraper.name}: {count:,} targets x {SERIES} series at {INTERVAL_S} s", flush=True)
    with running(scraper, folder, count) as process:
        warm_up(targets, count)
        targets.control("reset")
        cpu_before, targets_before = cpu_seconds(process.pid), targets.cpu_s()
        time.sleep(WINDOW_S)
        seen = targets.control("stats")
        cpu = cpu_seconds(process.pid) - cpu_before
        targets_cpu = targets.cpu_s() - targets_before
        memory = resident_bytes(process.pid)
        up = stored(scraper, "sum(up)")
        samples = stored(scraper, "sum(scrape_samples_scraped)")
    bins = seen["bins"][1:WINDOW_S * BINS_PER_S]
    result = {
        "targets": count,
        "scrapes": seen["scrapes"],
        "cpu_us": cpu * 1e6 / max(seen["scrapes"], 1),
        "cpu_cores": cpu / seen["seconds"],
        "sender_cpu_us": targets_cpu * 1e6 / max(seen["scrapes"], 1),
        "bytes_per_scrape": seen["bytes"] / max(seen["scrapes"], 1),
        "rss": memory,
        "rss_per_target": memory / count,
        "spread": max(bins) * len(bins) / max(sum(bins), 1) if bins else 0.0,
        "seen": seen["targets"],
        "least": seen["least"],
        "most": seen["most"],
        "up": up,
        "samples": samples,
    }
    print(f"   {result['cpu_us']:.0f} us CPU per scrape, {memory / MIB:.0f} MiB, spread {result['spread']:.2f}, "
          f"{seen['targets']:,} targets scraped {seen['least']} to {seen['most']} times, sender {result['sender_cpu_us']:.0f} us",
          flush=True)
    return result


def is_complete(result: dict, stores: bool) -> bool:
    """Every target in every interval, and what was scraped is there."""
    due = WINDOW_S // INTERVAL_S
    count = result["targets"]
    scraped = result["seen"] == count and result["least"] >= due - 1 and result["scrapes"] >= count * due * 0.995
    return scraped and (not stores or (result["up"] == count and result["samples"] == count * SERIES))


def completeness(result: dict) -> str:
    up = "" if result["up"] is None else f", up {result['up']:,.0f}, {result['samples'] or 0:,.0f} samples"
    return (f"{result['scrapes'] * INTERVAL_S / WINDOW_S / result['targets']:.1%} of the slots, "
            f"{result['seen']:,} targets{up}")


def cost_row(ours: dict, theirs: dict, name: str, factor: float) -> tuple:
    ratio = theirs["cpu_us"] / ours["cpu_us"]
    return (f"CPU per scrape, {name} : petrel", f">= {factor:.0f}x",
            f"{ratio:.1f}x ({theirs['cpu_us']:.0f} : {ours['cpu_us']:.0f} us)", COMMAND, ratio >= factor)


def make_rows(results: dict[str, dict], curve: list[dict]) -> list[tuple]:
    rows = []
    ours = results.get("petrel")
    if ours:
        rows.append(cost_row(ours, results["prometheus"], "prometheus", PROMETHEUS_FACTOR))
        rows.append(cost_row(ours, results["vmagent"], "vmagent (stores nothing)", VMAGENT_FACTOR))
        rows.append(("spread: fullest 100 ms : mean, petrel", f"<= {SPREAD_MAX:.0f}x", f"{ours['spread']:.2f}x", COMMAND,
                     ours["spread"] <= SPREAD_MAX))
        rows.append(("every target in every interval, petrel", "100 %", completeness(ours), COMMAND, is_complete(ours, True)))
        rows.append(("memory per target, petrel : prometheus", "<= 1x",
                     f"{ours['rss_per_target'] / results['prometheus']['rss_per_target']:.2f}x "
                     f"({ours['rss_per_target'] / 1024:.1f} : {results['prometheus']['rss_per_target'] / 1024:.1f} KiB)", COMMAND,
                     ours["rss_per_target"] <= results["prometheus"]["rss_per_target"]))
    for name, result in results.items():
        if name == "petrel":
            continue
        shown = "vmagent, passes on and stores nothing" if name == "vmagent" else name
        rows.append((f"{shown}: CPU, memory, spread", "(shown only)",
                     f"{result['cpu_us']:.0f} us/scrape, {result['rss_per_target'] / 1024:.1f} KiB/target, {result['spread']:.2f}x; "
                     f"{completeness(result)}", COMMAND, True))
    for result in curve:
        rows.append((f"petrel, {result['targets']:,} targets", "every slot",
                     f"{result['cpu_us']:.0f} us/scrape, {result['cpu_cores']:.2f} cores, {result['rss_per_target'] / 1024:.1f} KiB/target, "
                     f"{result['spread']:.2f}x; {completeness(result)}", COMMAND, is_complete(result, True)))
    return rows


def raise_descriptor_limit() -> int:
    """For the servers, which inherit it: how many targets fit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, 65_536), max(hard, 65_536)))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard - DESCRIPTORS_SPARE


def build_targets(root: pathlib.Path) -> pathlib.Path:
    build = root / "build/targets"
    if not (build / "build.ninja").exists():
        subprocess.run(["cmake", "-S", root / "bench/targets", "-B", build, "-G", "Ninja"], check=True,
                       stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", build], check=True, stdout=subprocess.DEVNULL)
    return build / "targets"


def run(root: pathlib.Path) -> list[tuple]:
    """Rows of (name, asked, reached, command, passed). PETREL_SCRAPERS=petrel,vmagent measures only these."""
    if not all((root / "peers" / name).exists() for name in ("prometheus", "victoria-metrics")):
        subprocess.run([root / "tools/fetch_peers.sh", root / "peers"], check=True)
    targets_max = raise_descriptor_limit()
    scrapers = make_scrapers(root)
    wanted = [name for name in os.environ.get("PETREL_SCRAPERS", "").split(",") if name] or list(scrapers)
    program = build_targets(root)
    work = pathlib.Path(tempfile.mkdtemp(prefix="petrel-scrape-"))
    results, curve = {}, []
    try:
        for name in wanted:
            for count in (sorted({min(size, targets_max) for size in CURVE}) if name == "petrel" else [TARGETS]):
                targets = Targets(program)
                try:
                    result = measure(scrapers[name], targets, count, work / "server")
                finally:
                    targets.stop()
                if name == "petrel":
                    curve.append(result)
                if count == TARGETS:
                    results[name] = result
    finally:
        shutil.rmtree(work, ignore_errors=True)
    (root / "build/scrape.json").write_text(json.dumps({"results": results, "curve": curve}, indent=1))
    if "petrel" in results and not {"prometheus", "vmagent"} <= results.keys():
        # Only some were measured: nothing to compare with.
        return make_rows({name: result for name, result in results.items() if name != "petrel"}, curve)
    return make_rows(results, curve)
