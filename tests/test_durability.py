"""Acknowledged is durable: slow disks, broken disks, and kills at every moment."""

import concurrent.futures
import errno
import os
import pathlib
import subprocess
import time

import pytest

from conftest import wait_for
from durability.kills import Campaign
from durability.sender import Sender, check_kept, stored_samples

QUIET = ("--no-collector.host", "--no-rules.default")
SYNC_DELAY_SECONDS = 0.3
KILLS = int(os.environ.get("PETREL_KILLS", "20"))  # ./gates durability asks for more
NEW_SERIES = int(os.environ.get("PETREL_KILLS_NEW_SERIES", "10000"))  # at once; also more there
SEED = int(os.environ.get("PETREL_TEST_SEED", "20"))


class Disk:
    """Makes the disk under the log slow or broken, and sound again, while Petrel runs."""

    def __init__(self, library: pathlib.Path, control: pathlib.Path):
        self.environment = {"LD_PRELOAD": str(library), "PETREL_TEST_DISK_FAULTS": str(control)}
        self._control = control

    def set(self, *directives: str):
        # Renamed into place: it is never read half-written.
        temporary = self._control.with_suffix(".new")
        temporary.write_text("\n".join(["path /log", *directives]) if directives else "")
        temporary.rename(self._control)

    def heal(self):
        self.set()


@pytest.fixture(scope="session")
def faults_library(tmp_path_factory):
    library = tmp_path_factory.mktemp("preload") / "disk_faults.so"
    source = pathlib.Path(__file__).parent / "durability/disk_faults.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, source, "-ldl"], check=True)
    return library


@pytest.fixture
def disk(faults_library, tmp_path):
    return Disk(faults_library, tmp_path / "faults")


def write_one(server, name: str, value: float = 1.0, at_ms: int | None = None):
    return server.write([({"__name__": name}, [(at_ms or int(time.time() * 1000), value)])])


def test_no_write_is_answered_before_the_disk_has_it(petrel, disk):
    server = petrel(*QUIET, env=disk.environment)
    assert write_one(server, "warm_up").status in (200, 204)
    disk.set(f"sync_delay_ms {int(SYNC_DELAY_SECONDS * 1000)}")

    def timed_write(number: int) -> float:
        started = time.monotonic()
        assert write_one(server, f"slow_{number}").status in (200, 204)
        return time.monotonic() - started

    seconds = [timed_write(number) for number in range(3)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        seconds += pool.map(timed_write, range(100, 124))
    assert min(seconds) >= SYNC_DELAY_SECONDS, seconds
    # One sync serves all that wait: 24 requests, 8 at a time, are not 24 syncs long.
    assert max(seconds) < 8 * SYNC_DELAY_SECONDS, seconds

    disk.heal()
    started = time.monotonic()
    assert write_one(server, "fast").status in (200, 204)
    assert time.monotonic() - started < SYNC_DELAY_SECONDS, "the delay was the disk's"


@pytest.mark.parametrize("path, body", [
    ("/api/v1/import/json", b'{"metric_name": "json_point", "timestamp": %d, "value": 1}'),
    ("/api/v1/import/lines", b"lines.point host=a %d 1"),
])
def test_imports_wait_for_the_disk_too(petrel, disk, path, body):
    server = petrel(*QUIET, env=disk.environment)
    disk.set(f"sync_delay_ms {int(SYNC_DELAY_SECONDS * 1000)}")
    started = time.monotonic()
    answer = server.call(path, data=body % int(time.time()))
    assert answer.status in (200, 204), answer.text
    assert time.monotonic() - started >= SYNC_DELAY_SECONDS


def test_every_acknowledged_sample_survives_kills_at_every_moment(petrel):
    print(f"PETREL_TEST_SEED={SEED}")
    server = petrel(*QUIET, "--web.enable-admin-api")
    campaign = Campaign(server, KILLS, SEED, new_series=NEW_SERIES)
    try:
        campaign.run()
    finally:
        print(campaign.table())
    assert campaign.is_clean()
    assert campaign.sender.requests_repeated >= KILLS / 2, "the kills hit requests"


def test_a_clean_stop_under_load_loses_nothing(petrel):
    server = petrel(*QUIET)
    begin = time.time() - 1
    sender = Sender(server.port, seed=SEED + 1).start()
    for _ in range(3):
        requests = sender.requests_acknowledged
        wait_for(lambda: sender.requests_acknowledged > requests + 20, 20, "load")
        assert server.stop() == 0
        promised = sender.snapshot()
        server.start(wait=False)
        server.wait_ready()
        check_kept(promised, stored_samples(server, begin), sender.snapshot())
    sender.stop()
    assert sender.refusals == []


def test_after_a_failed_sync_writes_are_refused_until_the_restart_and_reads_go_on(petrel, disk):
    server = petrel(*QUIET, env=disk.environment)
    at_ms = int(time.time() * 1000)
    assert write_one(server, "before", 1.5, at_ms).status in (200, 204)
    disk.set(f"sync_error {errno.EIO}")
    refused = write_one(server, "during", 2.5, at_ms)
    assert refused.status == 503 and "Input/output error" in refused.text, refused
    assert "/log/" in refused.text, "names the file"

    # The disk may be sound again: nobody knows what the last sync left behind.
    disk.heal()
    refused = write_one(server, "later", 3.5, at_ms)
    assert refused.status == 503, refused
    assert server.value("before", at_ms / 1000) == 1.5
    assert server.is_running()

    server.stop()
    server.start()
    assert server.value("before", at_ms / 1000) == 1.5
    assert write_one(server, "after", 4.5, at_ms).status in (200, 204)
    assert server.value("after", at_ms / 1000) == 4.5


def test_a_start_on_a_broken_disk_serves_reads_and_refuses_writes(petrel, disk):
    server = petrel(*QUIET, env=disk.environment)
    at_ms = int(time.time() * 1000)
    assert write_one(server, "before", 1.5, at_ms).status in (200, 204)
    server.kill()
    disk.set(f"sync_error {errno.EIO}", f"write_error {errno.EIO}")
    server.start()
    assert server.value("before", at_ms / 1000) == 1.5
    refused = write_one(server, "during", 2.5, at_ms)
    assert refused.status == 503 and "Input/output error" in refused.text, refused
    # Known from the log is not yet durable: the disk never said so.
    assert write_one(server, "before", 1.5, at_ms).status == 503, "a repeat is a promise too"
    assert server.is_running()

    # Nothing was written that is in doubt, so this one does not need a restart.
    disk.heal()
    wait_for(lambda: write_one(server, "after", 3.5, at_ms).status in (200, 204), 5, "writes taken again")
    server.kill()
    server.start()
    assert server.value("before", at_ms / 1000) == 1.5
    assert server.value("after", at_ms / 1000) == 3.5


def test_a_full_disk_refuses_writes_loses_nothing_and_recovers_by_itself(petrel, disk):
    server = petrel(*QUIET, env=disk.environment)
    at_ms = int(time.time() * 1000)
    assert write_one(server, "before", 1.5, at_ms).status in (200, 204)
    server.stop()
    disk.set(f"write_error {errno.ENOSPC}")
    server.start()
    refused = write_one(server, "during", 2.5, at_ms)
    assert refused.status == 503 and "No space left on device" in refused.text, refused
    assert server.value("before", at_ms / 1000) == 1.5
    disk.heal()
    wait_for(lambda: write_one(server, "during", 2.5, at_ms).status in (200, 204), 5, "writes taken again")
    server.kill()
    server.start()
    assert server.value("during", at_ms / 1000) == 2.5
