"""What the measurements say of what they measured: parsing, charts, pages and verdicts."""

import math
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path += [str(ROOT / "bench"), str(ROOT / "tools")]

import background  # noqa: E402
import churn  # noqa: E402
import pages  # noqa: E402
import run_gates  # noqa: E402
import watch  # noqa: E402

PAGE = "# Benchmarks\n\nfirst\n\n## One\n\n| a |\n\n## Two\n\nlast\n"
GIB = 1 << 30


def test_metrics_are_summed_over_their_labels():
    text = '# HELP a_total x\n# TYPE a_total counter\na_total{x="1 2"} 3\na_total 4\na_total_bytes 5\nb 1e3 1700000000000\n'
    assert watch.parse_metrics(text, ["a_total", "b", "c"]) == {"a_total": 7, "b": 1000, "c": 0}


def test_a_chart_shows_the_peak_of_one_moment():
    values = [1.0] * 600
    values[301] = 8.0
    line = watch.chart("memory", values, "MiB")
    assert line.count("█") == 1 and line.count("▁") == watch.CHART_WIDTH - 1
    assert "min 1 max 8 MiB" in line
    assert watch.chart("memory", [0.0, 0.0], "MiB").count("▁") == 2
    assert "nothing seen" in watch.chart("memory", [], "MiB")


def test_thirds_are_medians_and_need_three_values():
    assert watch.thirds([1, 9, 2, 5, 5, 5, 7, 8, 100]) == (2, 8)
    assert all(math.isnan(value) for value in watch.thirds([1, 2]))


def test_a_page_keeps_the_parts_of_other_gates():
    assert pages.with_top(PAGE, "# Benchmarks\n\nnew") == PAGE.replace("first", "new")
    assert pages.with_chapter(PAGE, "One", "| b |\n") == PAGE.replace("| a |", "| b |")
    assert pages.with_chapter(PAGE, "Three", "more") == PAGE + "\n## Three\n\nmore\n"
    assert pages.with_top("", "# Benchmarks\n") == "# Benchmarks\n"


def moments(sizes: list[int], **metrics: list[float]) -> list[watch.Moment]:
    return [watch.Moment(10.0 * i, size, size, 0.0, {name: values[i] for name, values in metrics.items()})
            for i, size in enumerate(sizes)]


def churned(sizes: list[int], most_series: float) -> churn.Run:
    wrote = {"samples_per_server_cpu_s_settled": 2e6, "wall_s": 3600, "requests_failed": 0, "requests_not_sent": 0}
    last = len(sizes) - 1
    return churn.Run(wrote, moments(sizes, **{"petrel_tsdb_head_series": [most_series] * len(sizes),
                                              "petrel_tsdb_series_created_total": [1e6 * (1 + i * 0.6 / last) for i in range(last + 1)],
                                              "petrel_tsdb_series_evicted_total": [0.0] * len(sizes)}), 0)


def missed(rows: list[tuple]) -> list[str]:
    return [name for name, _, _, _, passed in rows if not passed]


def test_churned_series_that_stay_are_a_miss():
    steady = churned([GIB] * 361, 1e6)
    assert missed(churn.judged({"churn": churned([GIB] * 361, 1.25e6), "steady": steady}, 60, 1_000_000)) == []
    growing = churned([GIB + i * GIB // 1000 for i in range(361)], 1.6e6)
    assert missed(churn.judged({"churn": growing, "steady": steady}, 60, 1_000_000)) == [
        "memory, last third : first third, beside no churn", "series in memory : active series, at most"]
    # Memory that fills with samples in both runs is no leak.
    assert missed(churn.judged({"churn": growing, "steady": growing}, 60, 1_000_000)) == ["series in memory : active series, at most"]


def judged_background(sizes: list[int], p99_ms: list[float], happened: float) -> list[str]:
    tasks = background.Tasks(None, 1)
    tasks.done = [background.Done("/api/v1/admin/tsdb/snapshot", 0, 1)]
    begin = 20  # of what happens
    counts = [0.0] * begin + [happened] * (len(sizes) - begin)
    seen = moments(sizes, **{metric: counts for metric in background.HAPPENED.values()})
    trace = [{"p99_ms": value} for value in p99_ms]
    wrote = {"latency_p99_ms": 5.0, "wall_s": 1800, "requests_failed": 0, "requests_not_sent": 0}
    return missed(background.judged(seen, trace, wrote, tasks, 0, 30))


def test_background_work_is_judged_by_its_peaks():
    flat = [GIB] * 180
    assert judged_background(flat, [5.0] * 180, 3) == []
    peak = [*flat[:120], 13 * GIB // 10, *flat[121:]]
    assert judged_background(peak, [5.0] * 180, 3) == [
        f"memory, most : {what}, {memory}" for memory in ("control group", "anonymous") for what in ("median", "most before the first flush")]
    higher = [GIB] * 20 + [13 * GIB // 10] * 160
    assert judged_background(higher, [5.0] * 180, 3) == [
        f"memory, most : most before the first flush, {memory}" for memory in ("control group", "anonymous")]
    assert judged_background(flat, [5.0] * 179 + [51.0], 3) == ["answer p99 in every 10 s"]
    assert "background work meanwhile" in judged_background(flat, [5.0] * 180, 0)


@pytest.mark.parametrize("arguments, what", [(["nothing"], "no gate named nothing"), (["peers", "--full"], "peers has no option --full"),
                                             (["churn", "--minutes", "0"], "--minutes=0: at least 1")])
def test_gates_refuse_what_they_do_not_know(arguments, what, capsys):
    with pytest.raises(SystemExit) as ended:
        run_gates.parse(arguments)
    assert ended.value.code == 2 and what in capsys.readouterr().err


def test_gates_take_their_options():
    assert run_gates.given(run_gates.parse(["churn", "--minutes", "3"])) == {"minutes": 3}
    assert run_gates.given(run_gates.parse(["curve", "--full"])) == {"full": True}
    assert run_gates.given(run_gates.parse(["peers", "codec"])) == {}
