"""/api/v1/admin/tsdb, the storage's flags and status/tsdb/blocks, as Prometheus has them."""

import re

import pytest

from conftest import run_petrel
from stored import HOUR_MS, QUIET, SERIES, admin, everything, fill, later

ADMIN = (*QUIET, "--web.enable-admin-api", "--query.lookback-delta=1s")


def error(answer) -> tuple[int, str, str]:
    document = answer.json()
    assert document["status"] == "error"
    return answer.status, document["errorType"], document["error"]


@pytest.mark.parametrize("what", ["snapshot", "delete_series", "clean_tombstones", "flush", "compact"])
def test_the_admin_api_is_off_by_default(petrel, what):
    server = petrel(*QUIET)
    assert error(admin(server, what)) == (500, "unavailable", "admin APIs disabled")


def test_methods_and_parameters_are_judged_as_prometheus_judges_them(petrel):
    server = petrel(*ADMIN)
    assert admin(server, "snapshot", method="GET").status == 405
    assert error(admin(server, "delete_series")) == (400, "bad_data", "no match[] parameter provided")
    assert error(admin(server, "delete_series", **{"match[]": "up{"})) == (
        400, "bad_data", 'invalid parameter "match[]": 1:4: parse error: unexpected end of input inside braces')
    for parameter in ("start", "end"):
        assert error(admin(server, "delete_series", **{"match[]": "up", parameter: "x"})) == (
            400, "bad_data", f'invalid parameter "{parameter}": invalid time value for \'{parameter}\': '
                             'cannot parse "x" to a valid timestamp')
    assert error(admin(server, "delete_series", **{"match[]": "{}"}))[0] == 400
    assert error(admin(server, "snapshot", skip_head="maybe")) == (
        400, "bad_data", 'invalid parameter "skip_head": unable to parse boolean: '
                         'strconv.ParseBool: parsing "maybe": invalid syntax')


def test_a_petrel_started_on_a_snapshot_answers_the_same(petrel):
    server = petrel(*ADMIN)
    begin, end = fill(server)
    answer = admin(server, "snapshot")
    assert answer.status == 200, answer.text
    name = answer.json()["data"]["name"]
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{16}", name)
    before = everything(server, begin, end)
    assert len(before) == SERIES and sum(map(len, before.values())) == SERIES * (8 * 12 + 1)

    snapshot = server.folder / "data" / "snapshots" / name
    blocks = sorted((snapshot / "blocks").iterdir())
    assert blocks and all((server.folder / "data" / "blocks" / one.name).samefile(one) for one in blocks)
    copy = petrel(*ADMIN, f"--storage.tsdb.path={snapshot}")
    assert everything(copy, begin, end) == before
    # Each goes its own way.
    assert copy.write([({"__name__": "new_total"}, [(later(end), 1)])]).status in (200, 204)
    assert everything(server, begin, end) == before
    copy.stop()
    copy.start()
    assert copy.value("new_total", at=later(end) / 1000) == 1
    assert everything(copy, begin, end) == before


def test_a_snapshot_can_leave_out_the_head(petrel):
    server = petrel(*ADMIN)
    begin, end = fill(server)
    # The first flush takes all; what comes after it is in the head only.
    assert admin(server, "flush").json()["data"]["blocksWritten"] > 0
    assert server.write([({"__name__": "late_total"}, [(later(end), 1)])]).status in (200, 204)
    name = admin(server, "snapshot", method="PUT", skip_head="true").json()["data"]["name"]
    copy = petrel(*QUIET, f"--storage.tsdb.path={server.folder}/data/snapshots/{name}")
    assert copy.query("late_total", at=later(end) / 1000) == []
    assert everything(copy, begin, end) == everything(server, begin, end)


def test_an_unfinished_snapshot_is_removed_at_the_start(petrel):
    server = petrel(*ADMIN)
    fill(server, hours=1)
    name = admin(server, "snapshot").json()["data"]["name"]
    server.stop()
    snapshots = server.folder / "data" / "snapshots"
    (snapshots / "20260101T000000Z-00000000000000ff" / "blocks").mkdir(parents=True)
    server.start()
    assert [one.name for one in snapshots.iterdir()] == [name]


def test_blocks_are_listed(petrel):
    server = petrel(*ADMIN)
    begin, end = fill(server)
    assert admin(server, "flush").status == 200
    blocks = server.get("/api/v1/status/tsdb/blocks")["blocks"]
    assert sum(one["stats"]["numSamples"] for one in blocks) == SERIES * (8 * 12 + 1)
    assert max(one["stats"]["numSeries"] for one in blocks) == SERIES
    assert min(one["minTime"] for one in blocks) <= begin
    assert max(one["maxTime"] for one in blocks) == end + 1
    assert all(one["compaction"]["level"] == 1 and one["ulid"] for one in blocks)
    assert all(one["maxTime"] - one["minTime"] <= 2 * HOUR_MS for one in blocks)


@pytest.mark.parametrize("flags, shown", [
    ((), "1w"),
    (("--storage.tsdb.retention.time=5d",), "5d"),
    (("--storage.tsdb.retention.size=10GB",), "10GiB"),
    (("--storage.tsdb.retention.time=5d", "--storage.tsdb.retention.size=1.5GB"), "5d or 1GiB512MiB"),
])
def test_runtimeinfo_shows_the_retention(petrel, flags, shown):
    assert petrel(*QUIET, *flags).get("/api/v1/status/runtimeinfo")["storageRetention"] == shown


@pytest.mark.parametrize("flag, why", [
    ("--storage.tsdb.retention.size=10", 'expected a size such as 512MB, 10GB or 1TB'),
    ("--storage.tsdb.retention.size=9EB", 'more than 8EB are not counted'),
    ("--storage.tsdb.wal-segment-size=1GB", "1GiB: expected 10MB to 256MB"),
    ("--storage.tsdb.max-block-duration=3h", "expected a multiple of --storage.tsdb.min-block-duration, which is 2h"),
])
def test_wrong_limits_are_refused_by_name(tmp_path, flag, why):
    outcome = run_petrel(tmp_path, flag)
    assert outcome.returncode == 2
    assert flag.split("=")[0] + ": " in outcome.stderr and why in outcome.stderr


def test_deleted_series_stay_deleted(petrel):
    server = petrel(*ADMIN)
    begin, end = fill(server)
    assert admin(server, "flush").status == 200
    assert server.write([({"__name__": "cpu_load", "host": "host0", "job": "node"}, [(later(end) + 1, 1)])]).status < 300
    answer = admin(server, "delete_series", **{"match[]": ['cpu_load{host="host0"}', '{__name__="mem_used",host="host1"}']})
    if answer.status == 501:
        pytest.skip(answer.json()["error"])
    assert (answer.status, answer.body) == (204, b"")
    middle = begin + 2 * HOUR_MS
    assert admin(server, "delete_series", start=middle / 1000, end=(middle + HOUR_MS) / 1000,
                 **{"match[]": '{host="host2"}'}).status == 204

    def check(one):
        stored = everything(one, begin, end + 600_000)
        hosts = [(dict(key)["__name__"], dict(key)["host"]) for key in stored]
        assert ("cpu_load", "host0") not in hosts and ("mem_used", "host1") not in hosts
        assert len(hosts) == SERIES - 2
        for key, values in stored.items():
            times = {int(at * 1000) for at, _ in values}
            hidden = {t for t in range(middle, middle + HOUR_MS + 1, 300_000)}
            if dict(key)["host"] == "host2":
                assert not times & hidden and len(times) == 8 * 12 + 1 - 13
            else:
                assert len(times) == 8 * 12 + 1

    check(server)
    server.kill()
    server.start()
    check(server)
    name = admin(server, "snapshot").json()["data"]["name"]
    check(petrel(*ADMIN, f"--storage.tsdb.path={server.folder}/data/snapshots/{name}"))
    assert admin(server, "clean_tombstones").status == 204
    check(server)
    server.stop()
    server.start()
    check(server)


def test_compaction_changes_no_answer(petrel):
    server = petrel(*ADMIN, "--storage.tsdb.max-block-duration=4h")
    begin, end = fill(server, hours=16)
    before = everything(server, begin, end)
    assert admin(server, "flush").status == 200
    answer = admin(server, "compact")
    if answer.status == 501:
        pytest.skip(answer.json()["error"])
    done = answer.json()["data"]
    assert done["merges"] > 0 and done["blocksRead"] > done["merges"] and done["samplesDropped"] == 0
    assert everything(server, begin, end) == before
    assert max(one["compaction"]["level"] for one in server.get("/api/v1/status/tsdb/blocks")["blocks"]) > 1
    assert admin(server, "compact").json()["data"]["merges"] == 0
    server.stop()
    server.start()
    assert everything(server, begin, end) == before
