"""A data directory written by a real Prometheus is taken over: both answer the same."""

import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import time

import pytest

import wire
from conftest import BINARY, ROOT, Prometheus, http_call, program, run_petrel, wait_for
from targets import OPENMETRICS, Answer, Targets

CURRENT_PROMETHEUS = ROOT / "peers/prometheus/usr/bin/prometheus"
DAY = 86400
QUIET = ("--no-collector.host", "--no-rules.default", "--storage.tsdb.retention.time=0s")

CONFIG = """
global: {scrape_interval: 1s, scrape_timeout: 900ms}
storage: {tsdb: {out_of_order_time_window: 6h}}
scrape_configs:
  - job_name: scripted
    metrics_path: /metrics
    static_configs: [{targets: ["@TARGET@"]}]
  - job_name: prometheus
    static_configs: [{targets: ["@PROMETHEUS@"]}]
"""

# Only the current Prometheus has custom buckets.
CUSTOM_BUCKETS = """  - job_name: custom
    metrics_path: /classic
    convert_classic_histograms_to_nhcb: true
    static_configs: [{targets: ["@TARGET@"]}]
"""


class DebianPrometheus(Prometheus):
    features: list[str] = ["exemplar-storage"]

    def __init__(self, folder, config, *flags):
        super().__init__(folder, config, "--web.enable-remote-write-receiver", "--web.enable-admin-api",
                         f"--enable-feature={','.join(self.features)}", "--storage.tsdb.retention.time=90d", *flags)


class CurrentPrometheus(DebianPrometheus):
    features = ["exemplar-storage", "native-histograms", "metadata-wal-records"]

    def command(self):
        return [str(CURRENT_PROMETHEUS), *super().command()[1:]]


PEERS = [pytest.param(DebianPrometheus, id="debian"),
         pytest.param(CurrentPrometheus, id="current", marks=pytest.mark.conformance)]


def scripted(n: int, _headers) -> Answer:
    text = "# HELP c_total counts\n# TYPE c_total counter\n"
    text += f'c_total{{a="b"}} {n * 7 % 40} # {{trace_id="t{n}"}} {n}\n' if n % 9 else ""
    text += "# TYPE g gauge\n" + "".join(f'g{{i="{i}"}} {(n * i) / 10}\n' for i in range(20))
    text += f"vanishing {n}\n" if n % 6 < 3 else ""
    text += 'special{v="nan"} NaN\nspecial{v="inf"} +Inf\nspecial{v="zero"} -0\nutf{name="\u00fc\u03a9 \\"q\\""} 1\n'
    return Answer(text + "# EOF\n", content_type=OPENMETRICS)


def classic(n: int, _headers) -> Answer:
    text = "# TYPE custom_seconds histogram\n"
    text += "".join(f'custom_seconds_bucket{{le="{le}"}} {(n % 50) * (i + 1)}\n'
                    for i, le in enumerate(("0.1", "0.25", "7.5", "+Inf")))
    text += f"custom_seconds_sum {n % 50 * 1.7}\ncustom_seconds_count {n % 50 * 4}\n"
    return Answer(text + "# EOF\n", content_type=OPENMETRICS)


def write_histograms(server, series):
    answer = http_call(server.url + "/api/v1/write", headers=wire.HEADERS, data=wire.write_request_of(
        [wire.histogram_series(labels, [wire.histogram(*one) for one in histograms]) for labels, histograms in series]))
    assert answer.status in (200, 204), answer.text


def remote_write(server, series):
    answer = http_call(server.url + "/api/v1/write", data=wire.write_request(series), headers=wire.HEADERS)
    assert answer.status in (200, 204), answer.text


def import_command(source, target, *flags):
    return [str(BINARY), "import", "prometheus-tsdb", str(source), f"--storage.tsdb.path={target}",
            "--storage.tsdb.retention.time=0s", *flags]


def run_import(source, target, *flags, seconds=120):
    done = subprocess.run(import_command(source, target, *flags), capture_output=True, text=True, timeout=seconds,
                          stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stderr
    return done


def number(text: str, what: str) -> int:
    return int(re.search(rf"(\d+) {what}", text).group(1))


def imported_samples(done) -> int:
    return int(re.search(r"samples +(\d+),", done.stdout).group(1))


def rounded(value):
    """Bounds of buckets are powers that two programs may round apart in the last digit."""
    if isinstance(value, dict):
        return {key: [[edge, f"{float(low):.12g}", f"{float(high):.12g}", count] for edge, low, high, count in inner]
                if key == "buckets" else rounded(inner) for key, inner in value.items()}
    return [rounded(one) for one in value] if isinstance(value, list) else value


def by_labels(result, selector: str):
    for one in result if "quantile" in selector else []:
        one["values"] = [[at, f"{float(value):.12g}"] for at, value in one["values"]]
    return {json.dumps(one["metric"], sort_keys=True): rounded(one) for one in result}


# Before Prometheus 3 the start of a range counted too.
SELECTORS = ('{__name__=~".+"}', "sum by (job) (up)", "histogram_quantile(0.9, prometheus_http_request_duration_seconds)",
             "rate(c_total[20s])", "resets(c_total[1m])",
             "histogram_quantile(0.9, rate(prometheus_http_request_duration_seconds[30s]))")


def everything(server, start: float, end: float, step: float, ranges: bool = True) -> dict:
    """{selector and instant: answer} over all series, raw samples and steps."""
    answers = {}
    for selector in SELECTORS if ranges else SELECTORS[:3]:
        answers[selector] = by_labels(server.query_range(selector, start, end, step), selector)
    for at in (end, (start + end) / 2):
        answers[f"raw {at}"] = by_labels(server.query('{__name__=~".+"}[%ds]' % int(end - start + 1), at), "")
    answers["series"] = sorted(json.dumps(one, sort_keys=True) for one in
                               server.get("/api/v1/series", **{"match[]": '{__name__=~".+"}'}, start=start, end=end))
    answers["labels"] = server.get("/api/v1/labels", start=start, end=end)
    answers["values"] = server.get("/api/v1/label/__name__/values", start=start, end=end)
    return answers


def assert_same(wanted: dict, got: dict):
    for what, answer in wanted.items():
        if isinstance(answer, dict):
            assert sorted(got[what]) == sorted(answer), what
            for series, one in answer.items():
                assert got[what][series] == one, f"{what}: {series}"
        else:
            assert got[what] == answer, what


def backfill(folder: pathlib.Path, data: pathlib.Path, days: int, series: int = 5, step: int = 300, until: int | None = None):
    """Blocks of `days` days that end two days ago, as promtool makes them."""
    end = (until or int(time.time()) // DAY * DAY - 2 * DAY)
    lines = []
    for i in range(series):
        lines.append(f"# TYPE old{i} gauge\n")
        lines += [f'old{i}{{i="{i}"}} {(t // step * (i + 1)) % 977 / 10} {t}\n' for t in range(end - days * DAY, end, step)]
    text = folder / "old.txt"
    text.write_text("".join(lines) + "# EOF\n")
    done = subprocess.run([program("promtool"), "tsdb", "create-blocks-from", "openmetrics", str(text), str(data)],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return end - days * DAY, end


@pytest.fixture(scope="module", params=PEERS)
def written(request, tmp_path_factory):
    """A stopped Prometheus with blocks, a log, late samples and deletions, and what it answered."""
    folder = tmp_path_factory.mktemp("written")
    targets = Targets()
    targets.paths |= {"/metrics": scripted, "/classic": classic}
    server = request.param(folder, "", "--storage.tsdb.min-block-duration=10s", "--storage.tsdb.max-block-duration=30s")
    is_current = isinstance(server, CurrentPrometheus)
    config = CONFIG + (CUSTOM_BUCKETS if is_current else "")
    (folder / "prometheus.yml").write_text(
        config.replace("@TARGET@", targets.address).replace("@PROMETHEUS@", f"127.0.0.1:{server.port}"))
    (folder / "data").mkdir()
    old_start, old_end = backfill(folder, folder / "data", 3)
    server.start()
    try:
        begin = time.time()
        for i in range(40):
            now = int(time.time() * 1000)
            remote_write(server, [({"__name__": "pushed", "i": "1"}, [(now, float(i))])])
            if i > 20:  # late ones, some twice
                remote_write(server, [({"__name__": "pushed", "i": "1"}, [(now - 15_500, i + 0.5)]),
                                      ({"__name__": "late", "i": str(i % 3)}, [(now - 300_000 + i * 1000, float(i))])])
            if is_current:
                write_histograms(server, [({"__name__": "pushed_histogram"}, [(now, i / 2, [i, 2 * i, 1], i)])])
                if i > 20:
                    write_histograms(server, [
                        ({"__name__": "pushed_histogram"}, [(now - 15_500, i / 4, [3, i], 1, -2)]),
                        ({"__name__": "late_histogram"}, [(now - 300_000 + i * 1000, 1.5 * i, [1, 0, i], 0, 4)])])
            time.sleep(1)
        http_call(server.url + "/api/v1/admin/tsdb/delete_series?match[]=g%7Bi%3D%223%22%7D", data=b"", method="POST")
        http_call(server.url + f"/api/v1/admin/tsdb/delete_series?match[]=g%7Bi%3D%224%22%7D&end={begin + 10:.3f}",
                  data=b"", method="POST")
        wait_for(lambda: len([one for one in (folder / "data").iterdir() if (one / "meta.json").exists()]) > 8, 90,
                 "blocks of the head")
        time.sleep(3)
    finally:
        server.stop()
        targets.stop()
    # What it answers after a start is what its directory holds.
    shutil.copytree(folder / "data", folder / "written")
    (folder / "prometheus.yml").write_text("storage: {tsdb: {out_of_order_time_window: 6h}}\n")
    end = time.time()
    server.start()
    try:
        answers = {"new": everything(server, begin - 330, end, 1, is_current),
                   "old": everything(server, old_start + 10, old_end + 600, 600, is_current)}
        if is_current:
            # What is compared below is there: exponential and custom buckets, in order and late.
            raw = answers["new"][f"raw {end}"].values()
            found = {one["metric"]["__name__"]: len(one["histograms"]) for one in raw if "histograms" in one}
            assert found["custom_seconds"] > 20 and found["pushed_histogram"] > 50 and found["late_histogram"] == 19
            assert found["prometheus_http_request_duration_seconds"] > 0
        exemplars = server.get("/api/v1/query_exemplars", query="c_total", start=begin - 60, end=end)
    finally:
        server.stop()
    return folder / "written", answers, (begin - 330, end, old_start, old_end), exemplars


def test_both_answer_the_same(written, petrel, tmp_path):
    source, answers, (start, end, old_start, old_end), exemplars = written
    data = tmp_path / "petrel1/data"
    done = run_import(source, data)
    print(done.stdout, done.stderr)
    assert "damaged     0 chunks, 0 series, 0 log records, 0 files" in done.stdout
    assert "100.0%" in done.stderr and "ETA" in done.stderr and "samples/s" in done.stderr
    server = petrel(*QUIET, folder=tmp_path / "petrel1")
    assert_same(answers["new"], everything(server, start, end, 1))
    assert_same(answers["old"], everything(server, old_start + 10, old_end + 600, 600))
    got = server.get("/api/v1/query_exemplars", query="c_total", start=start, end=end)
    assert [one["exemplars"] for one in got] == [one["exemplars"] for one in exemplars]
    # Deleted near the end; what was scraped after that is there.
    assert all(len(one["values"]) < 20 for one in server.query("g{i='3'}[1h]", end))


def test_a_second_import_finds_nothing_new(written, tmp_path):
    source = written[0]
    run_import(source, tmp_path / "data")
    again = run_import(source, tmp_path / "data")
    assert "already imported" in again.stdout
    # Also without the journal: the samples themselves are recognised.
    (tmp_path / "data/import_journal").unlink()
    third = run_import(source, tmp_path / "data")
    assert imported_samples(third) == 0
    assert number(third.stdout, "samples that were there already") > 1000


def test_an_import_killed_at_any_moment_goes_on(written, petrel, tmp_path):
    source, answers, (start, end, *_), _ = written
    data = tmp_path / "petrel1/data"
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    killed = 0
    # Later each time: the first kill comes at once, and a fast machine meets some moments too.
    for attempt in range(60):
        process = subprocess.Popen(import_command(source, data), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   text=True)
        try:
            out, _ = process.communicate(timeout=attempt * rng.uniform(0.001, 0.004))
            assert process.returncode == 0
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            killed += 1
    assert killed > 0
    run_import(source, data)
    assert "already imported" in run_import(source, data).stdout
    assert not (data / "import_tmp").exists()
    server = petrel(*QUIET, folder=tmp_path / "petrel1")
    assert_same(answers["new"], everything(server, start, end, 1))


def test_a_dry_run_writes_nothing(written, tmp_path):
    done = run_import(written[0], tmp_path / "data", "--dry-run")
    assert "Blocks to write:" in done.stdout and "and the head" in done.stdout
    assert not (tmp_path / "data").exists()


def test_selectors_and_times_limit_what_is_imported(written, petrel, tmp_path):
    source, _, (start, end, *_), _ = written
    middle = (start + 330 + end) / 2
    run_import(source, tmp_path / "petrel1/data", "--match", 'g{i=~"1|2"}', "--match", "vanishing",
               f"--min-time={middle}", f"--max-time={end - 5}")
    server = petrel(*QUIET, folder=tmp_path / "petrel1")
    found = server.query('{__name__=~".+"}[1d]', end + 60)
    assert {(one["metric"]["__name__"], one["metric"].get("i")) for one in found} == {
        ("g", "1"), ("g", "2"), ("vanishing", None)}
    times = [at for one in found for at, _ in one["values"]]
    assert min(times) >= middle and max(times) <= end - 5


def test_memory_for_sorting_is_bounded_by_temporary_files(written, petrel, tmp_path):
    source, answers, (start, end, *_), _ = written
    run_import(source, tmp_path / "petrel1/data", "--sort-memory-mb=1")
    server = petrel(*QUIET, folder=tmp_path / "petrel1")
    assert_same(answers["new"], everything(server, start, end, 1))


def test_what_is_there_already_stays(written, petrel, tmp_path):
    source, _, (start, end, *_), _ = written
    server = petrel(*QUIET, folder=tmp_path / "petrel1")
    at = None
    for line in subprocess.run([program("promtool"), "tsdb", "dump", "--match=pushed", str(source)],
                               capture_output=True, text=True, check=False).stdout.splitlines():
        at = int(line.split()[-1])
    assert at is not None
    assert server.write([({"__name__": "pushed", "i": "1"}, [(at, -1.0)])]).status in (200, 204)
    server.stop()
    done = run_import(source, tmp_path / "petrel1/data")
    assert number(done.stdout, "where another value was") == 1
    server = petrel(*QUIET, folder=tmp_path / "petrel1")
    [series] = server.query('pushed{i="1"}[1h]', end + 60)
    assert dict((round(t * 1000), v) for t, v in series["values"])[at] == "-1"
    assert len(series["values"]) > 30


def test_a_damaged_chunk_costs_only_itself(tmp_path, petrel):
    data = tmp_path / "prometheus"
    data.mkdir()
    start, end = backfill(tmp_path, data, 1)
    chunk_file = sorted(data.glob("*/chunks/000001"))[2]
    bytes_ = bytearray(chunk_file.read_bytes())
    bytes_[60] ^= 0xFF
    chunk_file.write_bytes(bytes_)
    done = run_import(data, tmp_path / "petrel1/data")
    assert "damaged     1 chunks" in done.stdout
    assert str(chunk_file) in done.stderr and "offset 8" in done.stderr
    server = petrel(*QUIET, folder=tmp_path / "petrel1")
    counts = {one["metric"]["__name__"]: len(one["values"]) for one in server.query('{__name__=~"old."}[2d]', end + 60)}
    assert sorted(counts.values()) in ([288 - 24, 288, 288, 288, 288], [288 - 23, 288, 288, 288, 288])
    # Repaired, it is looked at again.
    bytes_[60] ^= 0xFF
    chunk_file.write_bytes(bytes_)
    server.stop()
    again = run_import(data, tmp_path / "petrel1/data")
    assert imported_samples(again) == 5 * 288 - sum(counts.values())


def test_what_is_deleted_between_two_runs_of_an_import_stays_deleted(tmp_path, petrel):
    data = tmp_path / "prometheus"
    data.mkdir()
    _, end = backfill(tmp_path, data, 1)
    # A range with damage is looked at again by the next run, as one that was being written at a kill.
    chunk_file = sorted(data.glob("*/chunks/000001"))[2]
    bytes_ = bytearray(chunk_file.read_bytes())
    bytes_[60] ^= 0xFF
    chunk_file.write_bytes(bytes_)
    run_import(data, tmp_path / "petrel1/data")
    flags = (*QUIET, "--web.enable-admin-api")
    server = petrel(*flags, folder=tmp_path / "petrel1")
    for parameters in ({"match[]": "old1"}, {"match[]": '{__name__="old2"}', "end": end - DAY / 2}):
        assert server.call("/api/v1/admin/tsdb/delete_series", method="POST", **parameters).status == 204
    assert server.call("/api/v1/admin/tsdb/clean_tombstones", method="POST").status == 204
    server.stop()
    bytes_[60] ^= 0xFF
    chunk_file.write_bytes(bytes_)
    again = run_import(data, tmp_path / "petrel1/data")
    assert number(again.stdout, "that were deleted since the import began") > 0
    server = petrel(*flags, folder=tmp_path / "petrel1")
    counts = {one["metric"]["__name__"]: len(one["values"]) for one in server.query('{__name__=~"old."}[2d]', end + 60)}
    assert counts == {"old0": 288, "old2": 143, "old3": 288, "old4": 288}
    # The import is complete: a later one is one of its own, and brings what its source has.
    server.stop()
    assert "deleted" not in (tmp_path / "petrel1/data/import_journal").read_text()
    (tmp_path / "petrel1/data/import_journal").unlink()
    run_import(data, tmp_path / "petrel1/data")
    server = petrel(*flags, folder=tmp_path / "petrel1")
    assert server.value("count_over_time(old1[2d])", end + 60) == 288


def test_a_damaged_journal_is_refused_by_name(tmp_path):
    data = tmp_path / "prometheus"
    data.mkdir()
    backfill(tmp_path, data, 1)
    run_import(data, tmp_path / "data")
    journal = tmp_path / "data/import_journal"
    journal.write_bytes(journal.read_bytes().replace(b"done", b"dome", 1))
    refused = subprocess.run(import_command(data, tmp_path / "data"), capture_output=True, text=True, check=False)
    assert refused.returncode == 1 and f"{journal}: damaged" in refused.stderr
    journal.unlink()
    assert imported_samples(run_import(data, tmp_path / "data")) == 0


def test_a_damaged_log_record_costs_its_page(written, tmp_path):
    source = tmp_path / "copy"
    shutil.copytree(written[0], source)
    whole = imported_samples(run_import(written[0], tmp_path / "whole"))
    segment = max((one for one in (source / "wal").iterdir() if one.name.isdigit()), key=lambda one: one.stat().st_size)
    bytes_ = bytearray(segment.read_bytes())
    bytes_[len(bytes_) // 3] ^= 0xFF
    segment.write_bytes(bytes_)
    done = run_import(source, tmp_path / "data")
    assert imported_samples(done) > whole * 0.5
    if len(bytes_) > 3 * 32768:
        assert str(segment) in done.stderr and "offset" in done.stderr


def test_a_torn_log_is_no_damage(written, tmp_path):
    source = tmp_path / "copy"
    shutil.copytree(written[0], source)
    segment = sorted(one for one in (source / "wal").iterdir() if one.name.isdigit() and one.stat().st_size)[-1]
    os.truncate(segment, segment.stat().st_size - 5)
    for later in (source / "wal").iterdir():
        if later.name.isdigit() and later.name > segment.name:
            later.unlink()
    done = run_import(source, tmp_path / "data")
    assert "0 log records" in done.stdout


@pytest.mark.parametrize("peer", PEERS)
def test_a_running_prometheus_is_noticed(tmp_path, peer):
    server = peer(tmp_path, "global: {scrape_interval: 1s}\n").start()
    try:
        done = subprocess.run(import_command(tmp_path / "data", tmp_path / "petrel"), capture_output=True, text=True,
                              check=False)
        assert done.returncode == 1
        assert "a Prometheus is running" in done.stderr and str(tmp_path / "data") in done.stderr
    finally:
        server.stop()


def test_a_running_petrel_is_noticed(tmp_path, petrel):
    data = tmp_path / "prometheus"
    data.mkdir()
    backfill(tmp_path, data, 1)
    petrel(*QUIET, folder=tmp_path / "petrel1")
    done = subprocess.run(import_command(data, tmp_path / "petrel1/data"), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "stop the server" in done.stderr and "in use by" in done.stderr


@pytest.mark.parametrize("arguments, status, text", [
    ([], 2, "usage"),
    (["--help"], 0, "prometheus-tsdb"),
    (["influx", "."], 2, "unknown format \"influx\""),
    (["prometheus-tsdb"], 2, "DIR"),
    (["prometheus-tsdb", "--help"], 0, "--dry-run"),
    (["prometheus-tsdb", "."], 1, "no Prometheus data directory"),
    (["prometheus-tsdb", ".", "--storage.tsdb.path=./"], 1, "both Prometheus's data directory and Petrel's"),
    (["prometheus-tsdb", "missing"], 1, "missing"),
    (["prometheus-tsdb", ".", "--match={"], 2, "--match={"),
    (["prometheus-tsdb", ".", "--min-time=yesterday"], 2, "--min-time=yesterday"),
    (["prometheus-tsdb", ".", "--min-time=20", "--max-time=10"], 2, "is after"),
    (["prometheus-tsdb", ".", "--tenant=a/b"], 2, "--tenant=a/b"),
    (["prometheus-tsdb", ".", "--what"], 2, "--what"),
])
def test_wrong_usage_is_explained(tmp_path, arguments, status, text):
    done = run_petrel(tmp_path, "import", *arguments)
    assert done.returncode == status, done.stderr
    assert text in done.stdout + done.stderr


def test_data_that_the_retention_would_delete_are_named(tmp_path):
    data = tmp_path / "prometheus"
    data.mkdir()
    backfill(tmp_path, data, 3)
    done = run_petrel(tmp_path, "import", "prometheus-tsdb", str(data), "--storage.tsdb.retention.time=1d")
    assert done.returncode == 0 and "warning: the data begin at" in done.stderr
    assert "older than the retention of 1d" in done.stderr
