"""Runs gates by name. Started by ./gates.

A gate is a function that returns its rows; adding one is a function and a line in GATES.
"""

import argparse
import concurrent.futures
import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import typing

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))


@dataclasses.dataclass
class Row:
    name: str
    asked: str
    reached: str
    command: str
    passed: bool


def print_table(rows: list[Row]) -> None:
    header = ("name", "asked", "reached", "", "command")
    lines = [header] + [(row.name, row.asked, row.reached, "ok" if row.passed else "MISSED", row.command) for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def build_release() -> None:
    subprocess.run(["./run", "--build-only"], cwd=ROOT, check=True)


def peers() -> list[Row]:
    build_release()
    import peers as bench
    return [Row(*row) for row in bench.run(ROOT)]


def ten_million() -> list[Row]:
    build_release()
    import scale as bench
    hosts, minutes = (int(one) for one in os.environ.get("PETREL_SCALE", f"{bench.HOSTS} {bench.MINUTES}").split())
    return [Row(*row) for row in bench.run(ROOT, hosts, minutes)]


def churn(minutes: int | None = None) -> list[Row]:
    build_release()
    import churn as bench
    return [Row(*row) for row in bench.run(ROOT, minutes or bench.MINUTES)]


def background(minutes: int | None = None) -> list[Row]:
    build_release()
    import background as bench
    return [Row(*row) for row in bench.run(ROOT, minutes or bench.MINUTES)]


def curve(minutes: int | None = None, full: bool = False) -> list[Row]:
    build_release()
    import curve as bench
    return [Row(*row) for row in bench.run(ROOT, minutes or bench.MINUTES, full)]


def panels() -> list[Row]:
    build_release()
    import panels as bench
    return [Row(*row) for row in bench.run(ROOT)]


def scrape() -> list[Row]:
    build_release()
    import scrape as bench
    return [Row(*row) for row in bench.run(ROOT)]


CONFORMANCE_PEERS = ["prometheus", "prometheus-alertmanager"]
# Of the comparison of stored series; ./test takes half a minute.
SCRAPE_SECONDS = 300


def conformance() -> list[Row]:
    build_release()
    missing = [name for name in CONFORMANCE_PEERS if not (ROOT / "peers" / name).exists()]
    if missing:
        subprocess.run([ROOT / "tools/fetch_peers.sh", ROOT / "peers"], check=True,
                       env=dict(os.environ, PEERS=" ".join(missing)))
    rows = []
    for name, files, seconds in [("alertmanager.yml judged as amtool does", "test_alertmanager_peer.py", None),
                                 ("relabelling decides as Prometheus does", "test_relabel_peer.py", None),
                                 ("prometheus.yml judged as promtool does", "test_check_config.py", None),
                                 ("the public OpenMetrics cases", "test_check_metrics.py", None),
                                 (f"the same targets scraped for {SCRAPE_SECONDS} s", "test_scrape_peer.py", SCRAPE_SECONDS)]:
        # Scrapes are compared with Debian's Prometheus for that long as well.
        chosen = [] if seconds else ["-m", "conformance"]
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen, f"tests/{files}"]
        environment = dict(os.environ) | ({"PETREL_TEST_SCRAPE_SECONDS": str(seconds)} if seconds else {})
        outcome = subprocess.run(command, cwd=ROOT, env=environment, check=False, stdout=subprocess.PIPE, text=True)
        print(outcome.stdout, end="", flush=True)
        summary = outcome.stdout.strip().splitlines()[-1] if outcome.stdout.strip() else "no output"
        rows.append(Row(name, "no difference", summary, " ".join(["pytest", *chosen, f"tests/{files}"]), outcome.returncode == 0))
    return rows


def imports() -> list[Row]:
    """Data directories of the current Prometheus; ./test has only Debian's."""
    build_release()
    if not (ROOT / "peers/prometheus").exists():
        subprocess.run([ROOT / "tools/fetch_peers.sh", ROOT / "peers"], check=True,
                       env=dict(os.environ, PEERS="prometheus"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "current",
               "tests/test_import_prometheus.py"]
    outcome = subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True)
    print(outcome.stdout, end="", flush=True)
    summary = outcome.stdout.strip().splitlines()[-1] if outcome.stdout.strip() else "no output"
    return [Row("data of the current Prometheus imported, the same answers", "no difference", summary,
                "python3 -m pytest -k current tests/test_import_prometheus.py", outcome.returncode == 0)]


# Kills at every moment; the test of ./test does twenty.
KILLS = 300
KILLS_NEW_SERIES = 100_000


def durability() -> list[Row]:
    build_release()
    # -s: the campaign says how far it is, and prints its table.
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "tests/test_durability.py"]
    settings = {"PETREL_KILLS": str(KILLS), "PETREL_KILLS_NEW_SERIES": str(KILLS_NEW_SERIES)}
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, env=dict(os.environ) | settings, stdout=subprocess.PIPE, text=True)
    total = None
    for line in process.stdout:
        print(line, end="", flush=True)
        if re.match(r"all  ", line):
            total = line.split()
    status = process.wait()
    reached = "no table, see above" if total is None else \
        f"{total[1]} kills, {total[2]} comparisons: {total[3]} lost, {total[4]} doubled, {total[5]} altered"
    passed = status == 0 and total is not None and int(total[1]) == KILLS and total[3:8] == ["0"] * 5
    variables = " ".join(f"{name}={value}" for name, value in settings.items())
    return [Row("acknowledged samples after SIGKILL at every moment", f"none lost, doubled or altered in {KILLS} kills",
                f"{reached} ({time.monotonic() - started:.0f} s)", f"{variables} python3 -m pytest -s tests/test_durability.py",
                passed)]


# Days of 2,000 series; ./test takes small ones.
MODEL_SEEDS = 6
MODEL_TARGETS = 95
MODEL_QUESTIONS = 12


def storage_model() -> list[Row]:
    build_release()
    subprocess.run(["ninja", "-C", "build/release", "promql_test"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    first = int(os.environ.get("PETREL_MODEL_FIRST_SEED", "1"))
    settings = {"PETREL_MODEL_FIRST_SEED": str(first), "PETREL_MODEL_SEEDS": str(MODEL_SEEDS),
                "PETREL_MODEL_TARGETS": str(MODEL_TARGETS), "PETREL_MODEL_QUESTIONS": str(MODEL_QUESTIONS)}
    command = ["build/release/src/promql/promql_test", "-tc=PromQL over a day*"]
    process = subprocess.Popen(command, cwd=ROOT, env=dict(os.environ) | settings, stdout=subprocess.PIPE, text=True)
    started = time.monotonic()
    days = expressions = 0
    for line in process.stdout:
        if found := re.match(r"seed \d+, .* (\d+) expressions", line):
            days += 1
            expressions += int(found.group(1))
            left = (time.monotonic() - started) / days * (MODEL_SEEDS - days)
            line = f"[{days}/{MODEL_SEEDS}, {left:.0f} s left] {line}"
        print(line, end="", flush=True)
    passed = process.wait() == 0 and days == MODEL_SEEDS
    variables = " ".join(f"{name}={value}" for name, value in settings.items())
    return [Row("a day of 2,000 series equals a plain model", f"no difference in {MODEL_SEEDS} days",
                f"{'no difference' if passed else 'FAILED, see above'} in {days} days, {expressions} expressions",
                f"{variables} {' '.join(command)}", passed)]


# Of the crash simulator; ./test runs 2,000.
CRASH_SEEDS = int(os.environ.get("PETREL_CRASH_SEEDS", "100000"))


def crash() -> list[Row]:
    """The storage engine on a simulated disk, with all that can go wrong there."""
    subprocess.run(["cmake", "--preset", "release"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", "build/release", "crash_simulation"], cwd=ROOT, check=True)
    program = "build/release/src/tsdb/crash_simulation"
    arguments = ["--seeds", str(CRASH_SEEDS), "--jobs", str(os.cpu_count() or 1), "--check-gaps"]
    outcome = subprocess.run([program, *arguments], cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True)
    print(outcome.stdout, end="", flush=True)
    lines = outcome.stdout.splitlines() or ["no output"]
    broken = [line for line in lines if line.startswith("FAILED")]
    gaps = [line for line in lines if line.startswith("never met")]
    ran = re.search(r"^(\d+) seeds in .*$", outcome.stdout, re.MULTILINE)
    command = " ".join([program, *arguments])
    kept = broken[0] if broken else f"none broken, {ran.group(0)}" if ran else f"exit status {outcome.returncode}"
    faults = re.search(r"^\d+ faults met$", outcome.stdout, re.MULTILINE)
    return [Row("promises of the storage engine after simulated crashes", f"none broken in {CRASH_SEEDS} seeds", kept, command,
                outcome.returncode in (0, 3) and not broken and ran is not None and int(ran.group(1)) == CRASH_SEEDS),
            Row("faults met, by operation, file and kind", "every one on the list",
                f"{faults.group(0)}, {len(gaps)} places missing" if faults else "did not end", command, outcome.returncode == 0)]


# Seeds within which every mutation has to be noticed, and how long they may take.
MUTATION_SEEDS = 2000
MUTATION_SECONDS_MAX = 900


@dataclasses.dataclass
class Mutation:
    name: str
    file: str
    why: str


def switched_mutations() -> dict[str, list[str]]:
    """The mutations in the source: where each is switched."""
    places: dict[str, list[str]] = {}
    for path in sorted((ROOT / "src").rglob("*")):
        if path.suffix not in (".cc", ".h") or path.name == "mutation.h":
            continue
        for name in re.findall(r'PETREL_MUTATED\("([^"]+)"\)', path.read_text()):
            places.setdefault(name, []).append(str(path.relative_to(ROOT)))
    return places


def misplaced_mutations(listed: list[Mutation]) -> list[str]:
    switched = switched_mutations()
    wrong = [f"{one.name}: listed for {one.file}, switched in {', '.join(sorted(set(switched.get(one.name, ['no file']))))}"
             for one in listed if set(switched.get(one.name, [])) != {one.file}]
    names = {one.name for one in listed}
    return wrong + [f"{name}: not listed" for name in switched if name not in names]


def run_mutation(program: str, one: Mutation) -> tuple[Mutation, bool, str]:
    started = time.monotonic()
    try:
        outcome = subprocess.run([program, "--mutation", one.name, "--seeds", str(MUTATION_SEEDS)], cwd=ROOT, check=False,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                                 timeout=MUTATION_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        return one, False, f"not noticed in {MUTATION_SECONDS_MAX} s"
    seconds = time.monotonic() - started
    found = re.search(r"^FAILED: seed (\d+): (.*)$", outcome.stdout, re.MULTILINE)
    if found:
        return one, True, f"seed {found.group(1)} ({seconds:.0f} s): {found.group(2)}"
    # A check of our own that ends the process notices it as well.
    ended = re.search(r"^ended by signal \d+ in seed (\d+)$", outcome.stdout, re.MULTILINE)
    if ended and outcome.returncode < 0:
        return one, True, f"seed {ended.group(1)} ({seconds:.0f} s): the process ended itself"
    return one, False, f"not noticed in {MUTATION_SEEDS} seeds ({seconds:.0f} s)" if outcome.returncode == 0 else (
        f"exit status {outcome.returncode}")


def mutations() -> list[Row]:
    """Faults built into the engine one by one: the crash simulator has to notice each."""
    subprocess.run(["cmake", "--preset", "mutations"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", "build/mutations", "crash_simulation"], cwd=ROOT, check=True)
    program = "build/mutations/src/tsdb/crash_simulation"
    listing = subprocess.run([program, "--list-mutations"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    listed = [Mutation(*line.split("\t")) for line in listing.splitlines()]
    wrong = misplaced_mutations(listed)
    for line in wrong:
        print(line)
    chosen = os.environ.get("PETREL_MUTATION")
    rows = [Row("the list of mutations is that of the source", "no difference", f"{len(wrong)} differ", "grep PETREL_MUTATED",
                not wrong)]
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as workers:
        todo = [one for one in listed if chosen in (None, one.name)]
        for done, (one, noticed, how) in enumerate(workers.map(lambda one: run_mutation(program, one), todo), 1):
            left = (time.monotonic() - started) / done * (len(todo) - done)
            print(f"{done} of {len(todo)}, {left:.0f} s left: {one.name} ({one.why}): {how}", flush=True)
            rows.append(Row(one.name, f"noticed within {MUTATION_SEEDS} seeds", how[:100],
                            f"{program} --mutation {one.name} --seeds {MUTATION_SEEDS}", noticed))
    return rows


BUILD_SECONDS_MAX = 10 * 60
TEST_SECONDS_MAX = 25 * 60
SECOND_START_MS_MAX = 2000


# How long the receiver is away while the agent is killed twice; ./test takes six seconds.
AGENT_OUTAGE_SECONDS = 600


def agent() -> list[Row]:
    build_release()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_agent_push.py"]
    environment = dict(os.environ, PETREL_AGENT_OUTAGE_SECONDS=str(AGENT_OUTAGE_SECONDS))
    outcome = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    return [Row("what the agent collects while its receiver is away arrives",
                f"{AGENT_OUTAGE_SECONDS} s away, 2 kills, nothing lost", f"exit status {outcome.returncode}",
                f"PETREL_AGENT_OUTAGE_SECONDS={AGENT_OUTAGE_SECONDS} pytest tests/test_agent_push.py",
                outcome.returncode == 0)]


def fresh() -> list[Row]:
    command = "tools/fresh_machine.sh"
    process = subprocess.Popen([command], cwd=ROOT, stdout=subprocess.PIPE, text=True, errors="replace")
    output = ""
    for line in process.stdout:
        print(line, end="", flush=True)
        output += line
    ended = process.wait()

    def number(pattern: str) -> int | None:
        found = re.search(pattern, output)
        return int(found.group(1)) if found else None

    build = number(r"--build-only took (\d+) s")
    second = number(r"second \./run: ready after (\d+) ms")
    test = number(r"\./test took (\d+) s")
    summary = re.findall(r"^(\d+) passed, (\d+) failed$", output, re.MULTILINE)
    cases = summary[-1] if summary else ("0", "?")

    def row(name: str, reached: int | None, limit: int, unit: str) -> Row:
        return Row(name, f"<= {limit} {unit}", "did not get there" if reached is None else f"{reached} {unit}", command,
                   reached is not None and reached <= limit)

    return [row("fresh Debian 12: ./run --build-only", build, BUILD_SECONDS_MAX, "s"),
            row("fresh Debian 12: second ./run, to ready", second, SECOND_START_MS_MAX, "ms"),
            row("fresh Debian 12: ./test", test, TEST_SECONDS_MAX, "s"),
            Row("fresh Debian 12: test cases", "0 failed", f"{cases[0]} passed, {cases[1]} failed", command,
                ended == 0 and cases[1] == "0")]


RECORD_SECONDS = 780
CODEC_BYTES_MAX = 0.35
CODEC_RATIO_MAX = 0.85
CODEC_ENCODE_NS_MAX = 60


def recording_of_host() -> str:
    recording = os.environ.get("PETREL_RECORDING")
    if recording is None:
        recording = str(ROOT / "build/recording.txt")
        print(f"recording this host under load for {RECORD_SECONDS} s", flush=True)
        subprocess.run(["tools/record_host.sh", "--seconds", str(RECORD_SECONDS), recording], cwd=ROOT, check=True)
    return recording


def codec() -> list[Row]:
    build_release()
    subprocess.run(["ninja", "-C", "build/release", "codec_bench"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    recording = recording_of_host()
    program = "build/release/bench/codec/codec_bench"
    command = f"{program} {recording}"
    outcome = subprocess.run([program, recording], cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True)
    print(outcome.stdout, end="", flush=True)
    found = dict(re.findall(r"^(\w+)=([0-9.]+)$", outcome.stdout, re.MULTILINE))

    def row(name: str, key: str, limit: float, unit: str) -> Row:
        reached = float(found.get(key, "nan"))
        return Row(f"codec: {name}", f"<= {limit} {unit}", f"{reached} {unit}", command,
                   outcome.returncode == 0 and reached <= limit)

    return [row("values and timestamps, all series, chunks of 720", "bytes_all_720", CODEC_BYTES_MAX, "B/sample"),
            row("the same beside a VictoriaMetrics-style encoding", "ratio_all_720", CODEC_RATIO_MAX, "x"),
            row("values alone beside it", "ratio_values_all_720", CODEC_RATIO_MAX, "x"),
            row("encoding", "encode_ns_all_720", CODEC_ENCODE_NS_MAX, "ns/value")]


# Values decoded and summed, of series that change, in chunks of two hours at 10 s.
DECODE_GPS_MIN = 1.5
INSTANT_MS_MAX = 30
RANGE_MS_MAX = 75
PANEL_MS_MAX = 20


def output_of(command: list[str]) -> str:
    outcome = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    print(outcome.stdout, end="", flush=True)
    return outcome.stdout


def query() -> list[Row]:
    build_release()
    subprocess.run(["ninja", "-C", "build/release", "codec_bench", "query_bench", "panel_bench"], cwd=ROOT, check=True,
                   stdout=subprocess.DEVNULL)
    benches = "build/release/bench"
    recording = recording_of_host()
    output = output_of([f"{benches}/codec/codec_bench", recording])
    decoded = float(re.search(r"^decode_gps_changing_720=([0-9.]+)$", output, re.MULTILINE)[1])
    rows = [Row("decode + sum, series that change", f">= {DECODE_GPS_MIN} G values/s", f"{decoded} G values/s",
                f"{benches}/codec/codec_bench {recording}", decoded >= DECODE_GPS_MIN)]

    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        output = output_of([f"{benches}/query/query_bench", f"{folder}/query"])
        for name, limit, line in [("100 k series, instant", INSTANT_MS_MAX, r"sum by \(pool\) \(rate\(requests_total\[5m\]\)\)$"),
                                  ("100 k series, 2 h by 1 m", RANGE_MS_MAX,
                                   r"sum by \(pool\) \(rate\(requests_total\[5m\]\)\) over 2h by 1m$")]:
            found = re.search(r"^ *([0-9.]+) +([0-9.]+) +[0-9]+  " + line, output, re.MULTILINE)
            wall, cpu = float(found[1]), float(found[2])
            rows.append(Row(f"sum by (pool) (rate(x[5m])), {name}, CPU", f"<= {limit} ms", f"{cpu} ms, wall {wall} ms",
                            f"{benches}/query/query_bench DIR", cpu <= limit))
        output = output_of([f"{benches}/query/panel_bench", f"{folder}/panels"])
        p95 = float(re.search(r"^ *([0-9.]+) +[0-9.]+ +[0-9.]+$", output, re.MULTILINE)[1])
        rows.append(Row("a panel of 100 series over 26 h at 10 s, storage, p95", f"<= {PANEL_MS_MAX} ms", f"{p95} ms",
                        f"{benches}/query/panel_bench DIR", p95 <= PANEL_MS_MAX))
    return rows


class Gate(typing.NamedTuple):
    run: typing.Callable[..., list[Row]]
    what: str
    options: tuple[str, ...] = ()  # arguments of `run`


GATES = {
    "codec": Gate(codec, "size of the host's own metrics under load, beside a VictoriaMetrics-style encoding (about 14 min)"),
    "peers": Gate(peers, "ingest, memory and queries beside current Prometheus and VictoriaMetrics (about 12 min)"),
    "ten-million": Gate(ten_million, "10 M series at 1 M samples/s for 10 minutes, then a kill (about 20 min, 30 GB of disk)"),
    "churn": Gate(churn, "1 % of the series replaced per minute beside none: CPU and memory (about 65 min, 13 GB of disk)", ("minutes",)),
    "background": Gate(background, "memory and answers beside flushes, merges, retention, snapshots (about 35 min, 7 GB of disk)",
                       ("minutes",)),
    "curve": Gate(curve, "cost per sample and series at 0.1 and 1 M series; with --full at 10 M, too (about 5 and 30 min, 25 GB)",
                  ("minutes", "full")),
    "panels": Gate(panels, "what panels over the last 26 hours read from the disk (about 5 min, 4 GB of disk)"),
    "query": Gate(query, "decoding, queries over 100,000 series, panels over 26 hours (about 20 min; PETREL_RECORDING=FILE: 7)"),
    "scrape": Gate(scrape, "what a scrape costs beside current Prometheus and vmagent (about 12 min)"),
    "conformance": Gate(conformance, "configuration, relabelling and scrapes beside current peers (about 14 min)"),
    "import": Gate(imports, "data directories of the current Prometheus imported, queries compared (about 2 min)"),
    "durability": Gate(durability, f"{KILLS} kills under load (about 20 min)"),
    "storage-model": Gate(storage_model, f"{MODEL_SEEDS} days of 2,000 series beside a plain model (about 5 min)"),
    "crash": Gate(crash, f"{CRASH_SEEDS} seeds of the storage engine's crash simulator (about 15 min)"),
    "mutations": Gate(mutations, "the crash simulator notices every fault built into the engine (about 10 min)"),
    "agent": Gate(agent, "the agent keeps what it collects while its receiver is away (about 13 min)"),
    "fresh": Gate(fresh, "./run and ./test on a fresh Debian 12 (about 25 min, needs root)"),
}


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./gates", description="Long measurements; without a name, the list of them.")
    parser.add_argument("names", nargs="*", metavar="GATE")
    parser.add_argument("--minutes", type=int, help="of churn, background, curve: another length than theirs, which is judged less")
    parser.add_argument("--full", action="store_true", help="of curve: ten million series as well")
    parsed = parser.parse_args(arguments)
    if unknown := [name for name in parsed.names if name not in GATES]:
        parser.error(f"no gate named {unknown[0]}; there are: {', '.join(GATES)}")
    if parsed.minutes is not None and parsed.minutes < 1:
        parser.error(f"--minutes={parsed.minutes}: at least 1")
    for name in parsed.names:
        if wrong := [option for option in given(parsed) if option not in GATES[name].options]:
            parser.error(f"{name} has no option --{wrong[0]}")
    return parsed


def given(parsed: argparse.Namespace) -> dict[str, int | bool]:
    return {name: value for name, value in vars(parsed).items() if name != "names" and value}


def main() -> int:
    parsed = parse(sys.argv[1:])
    if not parsed.names:
        for name, gate in GATES.items():
            print(f"{name:12} {gate.what}")
        return 0
    missed = 0
    for name in parsed.names:
        rows = GATES[name].run(**given(parsed))
        print(f"\n{name}, {time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores")
        print_table(rows)
        missed += sum(not row.passed for row in rows)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
