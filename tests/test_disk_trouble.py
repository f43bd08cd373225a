"""A disk that is damaged, full, broken or read-only: Petrel starts, answers what it has, says what it lacks."""

import contextlib
import errno
import os
import pathlib
import re
import subprocess
import time

import pytest

from conftest import BINARY, wait_for
from test_durability import Disk, faults_library, write_one  # noqa: F401 (fixture)

QUIET = ("--no-collector.host", "--no-rules.default")
MIB = 1 << 20

needs_mount = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


@pytest.fixture
def disk(faults_library, tmp_path):  # noqa: F811
    class AnyPath(Disk):
        def set(self, *directives: str):
            temporary = self._control.with_suffix(".new")
            temporary.write_text("\n".join(directives))
            temporary.rename(self._control)

    return AnyPath(faults_library, tmp_path / "faults")


@contextlib.contextmanager
def small_disk(folder: pathlib.Path, size: str):
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def metric(server, name: str) -> float:
    for line in server.call("/metrics").text.splitlines():
        if line.startswith(name + " "):
            return float(line.rsplit(" ", 1)[1])
    raise AssertionError(f"no metric {name}")


def warnings_of(server, expression: str, at: float) -> list[str]:
    return server.call("/api/v1/query", query=expression, time=f"{at:.3f}").json().get("warnings", [])


def segment_with_records(folder: pathlib.Path) -> pathlib.Path:
    return max((folder / "data/log").glob("*.log"), key=lambda path: len(path.read_bytes().rstrip(b"\0")))


def assert_refused(answer, text: str):
    assert answer.status == 503, answer
    assert text in answer.text, answer
    assert int(answer.headers["Retry-After"]) >= 1


def test_damage_in_the_log_costs_the_damaged_records_only_and_is_told(petrel, tmp_path):
    folder = tmp_path / "petrel"
    server = petrel(*QUIET, folder=folder)
    now = time.time()
    for number in range(10):
        assert write_one(server, f"m{number}").status in (200, 204)
    server.kill()
    segment = segment_with_records(folder)
    content = bytearray(segment.read_bytes())
    content[content.index(b"m4")] ^= 0x40
    segment.write_bytes(content)

    for _ in range(2):
        server.start()
        assert len(server.query('{__name__=~"m.*"}', now + 5)) == 9
        [warning] = warnings_of(server, "m1", now + 5)
        assert "of the log was damaged" in warning and segment.name in warning
        # It has no blocks yet: how late the lost samples may have been is not known.
        assert warnings_of(server, "m1", now - 86400) == [warning]
        assert warnings_of(server, "m1", now + 86400) == []
        assert metric(server, "petrel_log_corruptions_total") == 1
        assert metric(server, "petrel_log_lost_records") == 1
        assert re.search(rf"log/{segment.name}\" offset=\d+|log/{segment.name} offset=\d+", server.log())
        assert segment.with_name(segment.name + ".damaged").exists()
        assert write_one(server, "later").status in (200, 204)
        server.kill()


def test_a_missing_or_cut_segment_does_not_stop_the_start(petrel, tmp_path):
    folder = tmp_path / "petrel"
    server = petrel(*QUIET, folder=folder)
    now = time.time()
    for life in range(3):
        assert write_one(server, f"life{life}").status in (200, 204)
        server.stop()
        server.start()
    assert write_one(server, "life3").status in (200, 204)
    server.kill()
    segments = [path for path in sorted((folder / "data/log").glob("0*.log")) if b"life" in path.read_bytes()]
    assert len(segments) >= 4
    segments[1].unlink()
    content = segments[2].read_bytes()
    segments[2].write_bytes(content[:content.index(b"life2")])
    server.start()
    assert {one["metric"]["__name__"] for one in server.query('{__name__=~"life.*"}', now + 5)} == {"life0", "life3"}
    assert len(warnings_of(server, "life0", now + 5)) == 2


def test_a_log_of_a_later_version_is_refused_by_name(petrel, tmp_path):
    folder = tmp_path / "petrel"
    server = petrel(*QUIET, folder=folder)
    assert write_one(server, "m").status in (200, 204)
    server.stop()
    segment = segment_with_records(folder)
    content = bytearray(segment.read_bytes())
    content[7] = 3
    segment.write_bytes(content)
    server.start(wait=False)
    assert server.process.wait(20) > 0
    assert segment.name in server.log() and "log version 3, this program reads versions 1 to 2" in server.log()


def test_a_sector_that_cannot_be_read_is_missing_until_it_can_or_is_given_up(petrel, disk, tmp_path):
    folder = tmp_path / "petrel"
    server = petrel(*QUIET, folder=folder, env=disk.environment)
    now = time.time()
    for number in range(200):
        assert write_one(server, f"metric_with_a_long_name_{number}").status in (200, 204)
    server.kill()
    segment = segment_with_records(folder)
    at = segment.read_bytes().index(b"metric_with_a_long_name_100")
    disk.set(f"path {segment.name}", f"read_error {errno.EIO}", f"read_error_at {at}")
    server.start()
    found = len(server.query('{__name__=~"metric_with.*"}', now + 30))
    assert 100 < found < 200
    assert metric(server, "petrel_log_unread_records") == 200 - found
    assert metric(server, "petrel_log_lost_records") == 0
    assert metric(server, "petrel_tsdb_unread_files") >= 1
    assert "Input/output error" in server.log()
    assert len(warnings_of(server, "vector(1) or metric_with_a_long_name_1", now + 30)) >= 1
    ready = server.call("/-/ready")
    assert ready.status == 200 and segment.name in ready.text, ready.text
    assert_refused(write_one(server, "while_it_was_unread"), "cannot be read")
    server.kill()

    # A start on a mended disk has everything and says nothing.
    disk.heal()
    server.start()
    assert len(server.query('{__name__=~"metric_with.*"}', now + 30)) == 200
    assert warnings_of(server, "metric_with_a_long_name_100", now + 30) == []
    assert metric(server, "petrel_tsdb_unread_files") == 0
    server.kill()

    # A sector that stays bad is given up by somebody who says so.
    disk.set(f"path {segment.name}", f"read_error {errno.EIO}", f"read_error_at {at}")
    for expected in ("--dry-run", None, "nothing to repair"):
        command = [BINARY, "tsdb", "repair", *([expected] if expected == "--dry-run" else []), folder / "data"]
        if expected == "nothing to repair":
            disk.heal()
        done = subprocess.run(command, env={**os.environ, **disk.environment}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        if expected == "nothing to repair":
            assert expected in done.stdout
        else:
            assert segment.name in done.stdout and "Input/output error" in done.stdout, done.stdout
        assert (folder / f"data/log/{segment.name}.unreadable").exists() == (expected != "--dry-run")
    for _ in range(2):
        server.start()
        assert len(server.query('{__name__=~"metric_with.*"}', now + 30)) == found
        assert len(warnings_of(server, "vector(1) or metric_with_a_long_name_1", now + 30)) >= 1
        assert metric(server, "petrel_tsdb_unread_files") == 0
        assert server.call("/-/ready").text == "Petrel is Ready.\n"
        server.kill()


def test_a_nearly_full_disk_refuses_writes_before_it_is_full_and_recovers_by_itself(petrel, disk):
    server = petrel(*QUIET, "--storage.tsdb.min-free-disk=100MiB", env=disk.environment)
    now = time.time()
    at_ms = int(now * 1000)
    assert write_one(server, "before", 1.5, at_ms).status in (200, 204)
    disk.set(f"free_bytes {90 * MIB}")
    wait_for(lambda: write_one(server, "probe").status == 503, 10, "writes refused")
    assert_refused(write_one(server, "during", 2.5, at_ms), "nearly full")
    refused = server.call("/api/v1/import/json", data=b'{"metric_name": "j", "timestamp": %d, "value": 1}' % now)
    assert_refused(refused, "nearly full")
    assert_refused(server.call("/api/v1/import/lines", data=b"lines.point host=a %d 1" % now), "nearly full")
    assert metric(server, 'petrel_tsdb_read_only{reason="disk_full"}') == 1
    assert metric(server, "petrel_tsdb_disk_free_bytes") == pytest.approx(90 * MIB, rel=0.01)
    ready = server.call("/-/ready")
    assert ready.status == 200 and "Degraded: storage: read-only" in ready.text
    [degraded] = server.get("/api/v1/status/runtimeinfo")["degraded"]
    assert (degraded["part"], degraded["reason"], degraded["stopsWrites"]) == ("storage", "disk_full", True)
    assert "nearly full" in degraded["text"]
    time.sleep(2.5)
    assert server.log().count("no samples are taken") == 1, "told once, not at every look at the disk"
    assert server.value("before", now) == 1.5

    disk.set(f"free_bytes {120 * MIB}")
    time.sleep(4)
    assert write_one(server, "during", 2.5, at_ms).status == 503, "not enough to begin again"
    disk.heal()
    wait_for(lambda: write_one(server, "during", 2.5, at_ms).status in (200, 204), 15, "writes taken again")
    assert server.value("during", now) == 2.5
    wait_for(lambda: server.call("/-/ready").text == "Petrel is Ready.\n", 5, "all well")
    assert server.get("/api/v1/status/runtimeinfo")["degraded"] == []
    wait_for(lambda: "samples may be taken again" in server.log(), 5, "its end in the log")
    assert metric(server, 'petrel_tsdb_read_only{reason="disk_full"}') == 0


@needs_mount
def test_a_disk_that_really_fills_up_loses_nothing(petrel, tmp_path):
    with small_disk(tmp_path / "small", "48m") as folder:
        server = petrel(*QUIET, "--storage.tsdb.min-free-disk=8MiB", f"--storage.tsdb.path={folder}/data")
        now = time.time()
        acknowledged = 0

        def write(number: int):
            # New series, whose long labels the log has to take.
            return server.write([({"__name__": "fill", "request": str(number), "n": str(i), "pad": f"{i:x}" * 700},
                                  [(int(now * 1000), i)]) for i in range(100, 300)])

        def is_refused():
            nonlocal acknowledged
            answer = write(acknowledged)
            if answer.status in (200, 204):
                acknowledged += 1
                return False
            assert_refused(answer, "")
            return True

        wait_for(is_refused, 120, "the disk is nearly full", interval=0)
        assert os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize > 4 * MIB, "the reserve is still there"
        # The refused request is in memory: it becomes durable, or goes with the process.
        assert server.value("count(fill)", now) in (200 * acknowledged, 200 * (acknowledged + 1))
        server.kill()
        # The rest of the disk goes to somebody else; the start needs none of it.
        ballast = folder / "ballast"
        with ballast.open("wb") as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(1 << 16))
                file.flush()
        server.start()
        assert server.value("count(fill)", now) == 200 * acknowledged
        assert write(acknowledged).status == 503
        ballast.unlink()
        subprocess.run(["mount", "-o", "remount,size=96m", folder], check=True)
        wait_for(lambda: write(acknowledged).status in (200, 204), 15, "writes taken again")
        assert server.value("count(fill)", now) == 200 * (acknowledged + 1)
        server.stop()


@needs_mount
def test_a_read_only_disk_is_served_read_only(petrel, tmp_path):
    with small_disk(tmp_path / "small", "256m") as folder:
        server = petrel(*QUIET, f"--storage.tsdb.path={folder}/data")
        now = time.time()
        assert write_one(server, "before", 1.5, int(now * 1000)).status in (200, 204)
        server.stop()
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        server.start()
        assert server.value("before", now) == 1.5
        assert_refused(write_one(server, "during", 2.5), "Read-only file system")
        ready = server.call("/-/ready")
        assert ready.status == 200 and "Degraded: storage: read-only" in ready.text
        second = petrel(*QUIET, f"--storage.tsdb.path={folder}/data", wait=False)
        assert second.process.wait(20) > 0
        assert "is in use by" in second.log()

        subprocess.run(["mount", "-o", "remount,rw", folder], check=True)
        wait_for(lambda: write_one(server, "during", 2.5, int(now * 1000)).status in (200, 204), 15, "writes")
        wait_for(lambda: server.call("/-/ready").text == "Petrel is Ready.\n", 20, "rules and notifications run")
        assert server.value("during", now) == 2.5
        server.stop()


def test_a_lost_manifest_is_put_together_and_told(petrel, tmp_path):
    folder = tmp_path / "petrel"
    server = petrel(*QUIET, folder=folder)
    now = time.time()
    assert write_one(server, "m", 1.5, int(now * 1000)).status in (200, 204)
    server.stop()
    (folder / "data/manifest").write_text("petrel-manifest 2\nnext_num")
    server.start()
    assert server.value("m", now) == 1.5
    assert metric(server, "petrel_tsdb_manifest_recoveries_total") == 1
    assert (folder / "data/manifest.damaged").read_text() == "petrel-manifest 2\nnext_num"
    server.kill()
    server.start()
    assert server.value("m", now) == 1.5
