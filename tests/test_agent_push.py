"""`petrel agent --push.url`: what was collected arrives, whatever happens to the receiver and
to the agent in between.

PETREL_AGENT_OUTAGE_SECONDS sets how long the receiver is away in the test of kills (6 here,
600 in ./gates agent)."""

import os
import re
import time

import pytest

from agent import Agent, Receiver
from conftest import run_petrel, wait_for

OUTAGE_SECONDS = float(os.environ.get("PETREL_AGENT_OUTAGE_SECONDS", "6"))

# Few collectors, so that a request is small.
SMALL = ["--collector.disable-defaults", "--collector.loadavg", "--collector.stat", "--push.interval=1s",
         "--push.instance=here"]


@pytest.fixture
def receiver():
    one = Receiver()
    yield one
    one.down()


def own_metric(agent, name: str) -> float:
    match = re.search(rf"^{re.escape(name)} (\S+)$", agent.call("/metrics").text, re.M)
    if match is None:
        raise KeyError(name)
    return float(match[1])


def test_samples_arrive_with_job_instance_and_aligned_times(start, tmp_path, receiver):
    receiver.up()
    start(Agent(tmp_path / "agent", f"--push.url={receiver.url}", *SMALL))
    wait_for(lambda: len(receiver.taken("node_load1")) >= 3, 20, "three rounds")
    with receiver.lock:
        _, _, headers, series = receiver.requests[0]
    assert headers["Content-Encoding"] == "snappy"
    assert headers["Content-Type"] == "application/x-protobuf"
    assert headers["X-Prometheus-Remote-Write-Version"] == "0.1.0"
    assert {labels["job"] for labels, _ in series} == {"node"}
    assert {labels["instance"] for labels, _ in series} == {"here"}
    times = [at for at, _ in receiver.taken("node_load1")]
    assert all(at % 1000 == 0 for at in times)
    assert times == sorted(set(times))
    for labels, _ in series:
        assert list(labels) == sorted(labels), "remote write wants labels in order"


def test_nothing_is_lost_while_the_receiver_is_away_and_the_agent_is_killed_twice(start, tmp_path, receiver):
    """Every round of which the agent's log or metrics said that it is in the buffer arrives once
    the receiver is back; rounds are missing only while no agent ran."""
    def make():
        return Agent(tmp_path / "agent", f"--push.url={receiver.url}", *SMALL)

    lives = []
    agent = start(make())
    for _ in range(3):
        began = time.time()
        wait_for(lambda: own_metric(agent, "petrel_agent_buffer_samples") > 0, 20, "a round in the buffer")
        time.sleep(OUTAGE_SECONDS / 3)
        # What this life has acknowledged to the buffer: every round but one that may be under way.
        lives.append((began, time.time()))
        if len(lives) < 3:
            agent.kill()
            agent = start(make())
    waiting = own_metric(agent, "petrel_agent_buffer_requests")
    assert waiting >= OUTAGE_SECONDS - 4
    receiver.up()
    # A pause between two tries may be up to a minute, and a third more.
    wait_for(lambda: own_metric(agent, "petrel_agent_buffer_samples") < 60, 100 + OUTAGE_SECONDS / 5, "an empty buffer")
    for reason in ("size", "age", "disk", "damage", "refused"):
        assert own_metric(agent, f'petrel_agent_buffer_dropped_samples_total{{reason="{reason}"}}') == 0
    times = [at / 1000 for at, _ in receiver.taken("node_load1")]
    assert times == sorted(times), "oldest first"
    for began, ended in lives:
        # A loaded machine may skip a round, so what counts is that a gap is never more than
        # three rounds: a lost segment would be.
        seen = [at for at in times if began + 1 <= at <= ended - 1]
        for earlier, later in zip([began + 1, *seen], [*seen, ended - 1]):
            assert later - earlier <= 3.1, (began, ended, seen)
    # Counters never fall.
    forks = [value for _, value in receiver.taken("node_forks_total")]
    assert forks == sorted(forks)


def test_every_record_that_was_on_disk_at_a_kill_arrives(start, tmp_path, receiver):
    """Exact: the records that stand in the buffer's files when the agent is dead are those that
    arrive, byte for byte the same samples."""
    def make():
        return Agent(tmp_path / "agent", f"--push.url={receiver.url}", *SMALL)

    agent = start(make())
    wait_for(lambda: own_metric(agent, "petrel_agent_buffer_requests") >= 4, 30, "four rounds in the buffer")
    agent.kill()
    on_disk = []
    for path in sorted((tmp_path / "agent/agent-data/buffer").glob("*.seg")):
        data = path.read_bytes()
        assert data[:8] == b"PBUF\x01\0\0\0"
        at = 8
        while at + 29 <= len(data):
            size = int.from_bytes(data[at:at + 4], "little")
            if at + 29 + size > len(data):
                break
            on_disk.append(int.from_bytes(data[at + 16:at + 24], "little"))
            at += 29 + size
    assert len(on_disk) >= 4
    receiver.up()
    start(make())
    wait_for(lambda: len(receiver.taken("node_load1")) >= len(on_disk), 30, "what was on disk")
    assert [at for at, _ in receiver.taken("node_load1")][:len(on_disk)] == on_disk


def test_retry_after_is_honoured_and_nothing_is_lost(start, tmp_path, receiver):
    receiver.status = 429
    receiver.headers = {"Retry-After": "4"}
    receiver.up()
    agent = start(Agent(tmp_path / "agent", f"--push.url={receiver.url}", *SMALL))
    wait_for(lambda: len(receiver.requests) >= 2, 20, "a second try")
    with receiver.lock:
        first, second = (at for at, *_ in receiver.requests[:2])
        receiver.status = 204
    assert 3.5 <= second - first <= 7
    wait_for(lambda: own_metric(agent, "petrel_agent_buffer_samples") < 60, 30, "an empty buffer")
    times = [at for at, _ in receiver.taken("node_load1")]
    assert times == sorted(set(times))
    assert own_metric(agent, "petrel_agent_push_failed_requests_total") >= 2


def test_a_batch_that_is_refused_for_good_is_dropped_and_counted(start, tmp_path, receiver):
    receiver.status = 400
    receiver.up()
    agent = start(Agent(tmp_path / "agent", f"--push.url={receiver.url}", *SMALL))
    name = 'petrel_agent_buffer_dropped_samples_total{reason="refused"}'
    wait_for(lambda: own_metric(agent, name) > 0, 20, "a dropped batch")
    assert "refuses a batch for good" in agent.log()
    receiver.status = 204
    wait_for(lambda: receiver.taken("node_load1"), 20, "the rest")


def test_the_bound_of_the_buffer_holds_and_drops_are_counted(start, tmp_path, receiver):
    agent = start(Agent(tmp_path / "agent", f"--push.url={receiver.url}", "--push.interval=100ms",
                        "--push.buffer-size=64KiB"))
    name = 'petrel_agent_buffer_dropped_samples_total{reason="size"}'
    wait_for(lambda: own_metric(agent, name) > 0, 60, "a full buffer")
    for _ in range(10):
        size = sum(path.stat().st_size for path in (tmp_path / "agent/agent-data/buffer").glob("*.seg"))
        assert size <= 64 << 10
        time.sleep(0.1)
    assert own_metric(agent, "petrel_agent_buffer_bytes") <= 64 << 10


def test_counters_go_once_per_interval_and_gauges_as_they_come(start, tmp_path, receiver):
    receiver.up()
    start(Agent(tmp_path / "agent", f"--push.url={receiver.url}", *SMALL, "--push.counter-interval=4s"))
    wait_for(lambda: len(receiver.taken("node_context_switches_total")) >= 2, 30, "two values of a counter")
    times = [at for at, _ in receiver.taken("node_context_switches_total")]
    assert len({at // 4000 for at in times}) == len(times), "one per interval"
    gauges = [at for at, _ in receiver.taken("node_load1") if times[0] <= at <= times[-1]]
    assert len(gauges) > len(times)


def test_a_token_from_a_file_is_sent(start, tmp_path, receiver):
    receiver.up()
    (tmp_path / "token").write_text("s3cret-token\n")
    agent = start(Agent(tmp_path / "agent", f"--push.url={receiver.url}", *SMALL,
                        f"--push.bearer-token-file={tmp_path / 'token'}"))
    wait_for(lambda: receiver.taken("node_load1"), 20, "a round")
    with receiver.lock:
        assert receiver.requests[0][2]["Authorization"] == "Bearer s3cret-token"
    assert "s3cret" not in agent.log()
    assert "s3cret" not in agent.call("/metrics").text


def test_two_agents_do_not_share_a_buffer(start, tmp_path, receiver):
    start(Agent(tmp_path / "agent", f"--push.url={receiver.url}", *SMALL))
    done = run_petrel(tmp_path / "agent", "agent", "--web.listen-address=127.0.0.1:0",
                      f"--push.url={receiver.url}", *SMALL)
    assert done.returncode == 1
    assert "--push.buffer-path" in done.stderr


@pytest.mark.parametrize("flags, message", [
    (["--push.url=collector:9090"], "--push.url=collector:9090: expected http:// or https://"),
    (["--push.buffer-size=1KiB"], "--push.buffer-size=1KiB: expected at least 64KiB"),
    (["--push.buffer-size=big"], "--push.buffer-size: \"big\": expected a size such as 512MiB or 1GiB"),
    (["--push.interval=0s"], "--push.interval: expected a duration above 0"),
    (["--push.basic-username=x"], "--push.basic-username and --push.basic-password-file need each other"),
    (["--push.bearer-token-file=a", "--push.basic-username=x", "--push.basic-password-file=y"],
     "exclude each other"),
])
def test_wrong_flags_are_refused_by_name(tmp_path, flags, message):
    done = run_petrel(tmp_path, "agent", *flags)
    assert done.returncode == 2
    assert message in done.stderr
