"""A sender that knows what it was promised, and the check that the promise was kept.

Each thread writes its own series, a request after the other, and repeats a request
unchanged until it is acknowledged, as real agents do. What was acknowledged and what was
only sent is kept here, outside the process that gets killed.
"""

import dataclasses
import http.client
import random
import struct
import threading
import time

import wire

METRIC = "durability_probe"
# A thread is of one kind. Late samples lie up to so far behind: within the default window
# of an hour, also after a restart that takes a while.
KINDS = ("live", "late", "histogram")
LATE_SECONDS_MAX = 50 * 60
LATE_PAUSE_SECONDS = 0.05


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


def make_value(rng: random.Random) -> float:
    """Values of all the kinds that are stored differently. None equals another by chance
    often, so that a sample at the wrong place shows."""
    kind = rng.randrange(6)
    if kind == 0:
        return float(rng.randrange(1 << 40))
    if kind == 1:
        return rng.randrange(100_000_000) / 1000
    if kind == 2:
        return -rng.random()
    if kind == 3:
        return rng.randrange(1 << 20) / 256
    if kind == 4:
        return rng.choice([0.0, -0.0, 5e-324, 1.7976931348623157e308, float("inf"), float("-inf")])
    return struct.unpack("<d", struct.pack("<Q", rng.getrandbits(62)))[0]


def histogram_bits(total: float, counts: list[float]) -> bytes:
    return bits(total) + b"".join(map(bits, counts))


@dataclasses.dataclass
class Ledger:
    """By series and timestamp (ms): the value, in bits."""

    sent: dict[tuple[str, int], bytes] = dataclasses.field(default_factory=dict)
    acknowledged: dict[tuple[str, int], bytes] = dataclasses.field(default_factory=dict)


class Sender:
    """start(), then any number of kills and restarts of the server, then stop()."""

    def __init__(self, port: int, threads: int = 4, series_per_thread: int = 25, seed: int = 1,
                 late_threads: int = 0, histogram_threads: int = 0):
        self.port = port
        self.seed = seed
        self.series_per_thread = series_per_thread
        self.requests_acknowledged = 0
        self.requests_repeated = 0
        self.refusals: list[str] = []
        self._ledger = Ledger()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        kinds = ["live"] * threads + ["late"] * late_threads + ["histogram"] * histogram_threads
        self._threads = [threading.Thread(target=self._run, args=(index, kind), daemon=True)
                         for index, kind in enumerate(kinds)]

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def stop(self, seconds: float = 30):
        """Every request is acknowledged by then: the server has to be up."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(seconds)
            assert not thread.is_alive(), "a request is repeated without end"

    def snapshot(self) -> Ledger:
        with self._lock:
            return Ledger(dict(self._ledger.sent), dict(self._ledger.acknowledged))

    def _run(self, index: int, kind: str):
        rng = random.Random(self.seed * 1000 + index)
        connection = None
        timestamp_ms = 0
        used: set[int] = set()  # of a late thread
        while not self._stopping.is_set():
            timestamp_ms = max(timestamp_ms + 1, int(time.time() * 1000))
            at_ms = timestamp_ms
            if kind == "late":
                while at_ms in used or at_ms == timestamp_ms:
                    at_ms = timestamp_ms - rng.randrange(LATE_SECONDS_MAX * 1000)
                used.add(at_ms)
            recorded, series = self._make(rng, index, kind, at_ms)
            with self._lock:
                self._ledger.sent |= recorded
            connection = self._send_until_acknowledged(connection, wire.write_request_of(series))
            with self._lock:
                self._ledger.acknowledged |= recorded
                self.requests_acknowledged += 1
            if kind != "live":
                time.sleep(LATE_PAUSE_SECONDS)
        if connection:
            connection.close()

    def _make(self, rng: random.Random, index: int, kind: str, at_ms: int):
        """What is recorded of a request, and its encoded series."""
        recorded = {}
        encoded = []
        count = self.series_per_thread if kind == "live" else 5
        for number in range(count):
            series = f"{index}-{number}"
            labels = {"__name__": METRIC, "kind": kind, "thread": str(index), "series": series}
            if kind == "histogram":
                total = rng.random() * 1e6
                counts = [rng.randrange(1, 1000) for _ in range(rng.randrange(1, 9))]
                first = rng.randrange(-20, 20)
                recorded[series, at_ms] = histogram_bits(total, [float(one) for one in counts])
                encoded.append(wire.histogram_series(labels, [wire.histogram(at_ms, total, counts, 0, first)]))
            else:
                value = make_value(rng)
                recorded[series, at_ms] = bits(value)
                encoded.append(wire.time_series(labels, [(at_ms, value)]))
        return recorded, encoded

    def _send_until_acknowledged(self, connection, request: bytes):
        while True:
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
                connection.request("POST", "/api/v1/write", body=request, headers=wire.HEADERS)
                response = connection.getresponse()
                text = response.read().decode("utf-8", "replace")
                if response.status // 100 == 2:
                    return connection
                # 503: not ready yet. Anything else is a verdict, which must not happen here.
                if response.status != 503:
                    with self._lock:
                        self.refusals.append(f"{response.status} {text}")
            except (OSError, http.client.HTTPException):
                connection.close()
                connection = None
            with self._lock:
                self.requests_repeated += 1
            time.sleep(0.005)


def stored_samples(server, since: float, kind: str = "") -> dict[tuple[str, int], bytes]:
    """What the server has of the sender's samples from `since` (Unix time) on, of one kind
    of threads or of all. Fails on a timestamp that comes twice."""
    stored = {}
    at = time.time() + 1
    selector = f'{METRIC}{{kind="{kind}"}}' if kind else METRIC
    for one in server.query(f"{selector}[{int(at - since) + 1}s]", at):
        series = one["metric"]["series"]
        for timestamp, text in one.get("values", []):
            key = series, round(timestamp * 1000)
            assert key not in stored, f"{key} is there twice"
            stored[key] = bits(float(text))
        for timestamp, value in one.get("histograms", []):
            key = series, round(timestamp * 1000)
            assert key not in stored, f"{key} is there twice"
            counts = [float(count) for _, _, _, count in value.get("buckets", [])]
            assert float(value["count"]) == sum(counts), f"{key} has another count than its buckets"
            stored[key] = histogram_bits(float(value["sum"]), counts)
    return {key: value for key, value in stored.items() if key[1] >= since * 1000}


def check_kept(before: Ledger, stored: dict[tuple[str, int], bytes], after: Ledger | None = None, since: float = 0):
    """Every acknowledged sample from `since` on is in `stored` with its exact value, and
    nothing is that was not sent. `before` was taken before the server was asked, `after`
    (when writing went on) after it."""
    lost = [key for key in before.acknowledged if key[1] >= since * 1000 and key not in stored]
    assert not lost, f"{len(lost)} acknowledged samples are lost, such as {sorted(lost)[:3]}"
    sent = (after or before).sent
    foreign = [key for key in stored if key not in sent]
    assert not foreign, f"{len(foreign)} samples were never sent, such as {sorted(foreign)[:3]}"
    wrong = [key for key, value in stored.items() if sent[key] != value]
    assert not wrong, f"{len(wrong)} samples have another value, such as {sorted(wrong)[:3]}"
