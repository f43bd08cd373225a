"""Kills of the real process at chosen moments, and what was found after each restart.

A campaign runs a sender in the background, brings the server into a phase (load, a
hundred thousand new series just acknowledged, a flush, a merge, a snapshot, a deletion),
kills it, starts it again, and compares at the first moment of readiness: every
acknowledged sample exactly once with its value, nothing that was not sent, what was
deleted still deleted.
"""

import collections
import dataclasses
import http.client
import random
import statistics
import struct
import sys
import threading
import time

import wire
from conftest import wait_for
from durability.sender import LATE_SECONDS_MAX, METRIC, Sender, bits, stored_samples

# How often each phase comes among a hundred kills.
PHASES = {"load": 34, "new series": 6, "flush": 20, "compact": 15, "snapshot": 10, "delete": 15}
NEW_SERIES_METRIC = "durability_new_series"
DOOMED_METRIC = "durability_doomed"
DOOMED_SERIES = 500
CONNECTIONS = 4
SERIES_PER_REQUEST = 2500


@dataclasses.dataclass
class Findings:
    """Of one phase."""

    kills: int = 0
    samples: int = 0  # comparisons of one acknowledged sample
    lost: int = 0
    doubled: int = 0
    altered: int = 0
    unsent: int = 0
    undeleted: int = 0
    restart_seconds: list[float] = dataclasses.field(default_factory=list)
    examples: list[str] = dataclasses.field(default_factory=list)

    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.altered or self.unsent or self.undeleted)

    def note(self, example: str):
        if len(self.examples) < 5:
            self.examples.append(example)


class Campaign:
    def __init__(self, server, kills: int, seed: int, new_series: int = 100_000):
        self.server = server
        self.kills = kills
        self.rng = random.Random(seed)
        self.new_series = new_series
        self.findings: dict[str, Findings] = collections.defaultdict(Findings)
        self.begin = time.time() - 1
        # The series of late samples began before the first of them was sent.
        self.sender = Sender(server.port, threads=3, late_threads=1, histogram_threads=1, seed=seed)
        self.batches: dict[int, tuple[int, dict[str, bytes]]] = {}  # new series: time, value by series
        self.seconds: dict[str, float] = {"flush": 0.2, "compact": 0.2, "snapshot": 0.2, "delete": 0.1}

    def run(self):
        self.sender.start()
        phases = self._plan()
        started = time.monotonic()
        since = self.begin
        for kill, phase in enumerate(phases):
            chapter = time.time()
            requests = self.sender.requests_acknowledged
            wait_for(lambda: self.sender.requests_acknowledged > requests + 20, 30, f"load before kill {kill}")
            self._enter(phase, kill)
            self._restart_and_compare(phase, since)
            since = chapter - 1
            if (kill + 1) % 10 == 0 or kill + 1 == len(phases):
                elapsed = time.monotonic() - started
                left = elapsed / (kill + 1) * (len(phases) - kill - 1)
                print(f"kill {kill + 1} of {len(phases)}, {elapsed:.0f} s, {left:.0f} s left, "
                      f"{sum(one.samples for one in self.findings.values())} samples checked", file=sys.stderr, flush=True)
        self.sender.stop()
        assert self.sender.refusals == [], self.sender.refusals[:3]
        self._compare_everything("after all kills")
        self.server.kill()
        self.server.start()
        self._compare_everything("after all kills")

    def _plan(self) -> list[str]:
        """Every phase at least once, then as its weight says."""
        phases = list(PHASES)
        phases += self.rng.choices(list(PHASES), list(PHASES.values()), k=max(0, self.kills - len(phases)))
        self.rng.shuffle(phases)
        return phases[:self.kills]

    # --- Before the kill

    def _enter(self, phase: str, kill: int):
        if phase == "load":
            time.sleep(self.rng.uniform(0, 0.5))
        elif phase == "new series":
            self._send_new_series(kill)
        elif phase == "delete":
            self._delete(kill)
            return
        else:
            if phase == "compact":
                self._administer("flush")  # so that there are several blocks
            self._administer_and_kill(phase)
            return
        self.server.kill()

    def _send_new_series(self, kill: int):
        """Returns when the last of them is acknowledged."""
        at_ms = int(time.time() * 1000)
        values = {f"{kill}-{number}": self.rng.random() for number in range(self.new_series)}
        self.batches[kill] = at_ms, {series: bits(value) for series, value in values.items()}
        names = list(values)
        parts = [names[at:at + SERIES_PER_REQUEST] for at in range(0, len(names), SERIES_PER_REQUEST)]
        problems = []

        def send(own: list[list[str]]):
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
            for part in own:
                body = wire.write_request([({"__name__": NEW_SERIES_METRIC, "batch": str(kill), "series": series},
                                            [(at_ms, values[series])]) for series in part])
                connection.request("POST", "/api/v1/write", body=body, headers=wire.HEADERS)
                response = connection.getresponse()
                text = response.read()
                if response.status // 100 != 2:
                    problems.append(f"{response.status} {text[:200]}")
            connection.close()

        threads = [threading.Thread(target=send, args=(parts[index::CONNECTIONS],)) for index in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not problems, problems[:3]

    def _administer(self, action: str, **parameters):
        started = time.monotonic()
        answer = self.server.call(f"/api/v1/admin/tsdb/{action}", data=b"", method="POST", timeout=120, **parameters)
        assert answer.status // 100 == 2, f"{action}: {answer.status} {answer.text}"
        self.seconds[action] = (3 * self.seconds.get(action, 0.2) + time.monotonic() - started) / 4

    def _administer_and_kill(self, action: str, **parameters) -> bool:
        """Kills at a random moment of the action. Whether it was answered before."""
        done = threading.Event()

        def run():
            try:
                path = "delete_series" if action == "delete" else action
                answer = self.server.call(f"/api/v1/admin/tsdb/{path}", data=b"", method="POST", timeout=120, **parameters)
                if answer.status // 100 == 2:
                    done.set()
                else:
                    self.findings[action].note(f"{action}: {answer.status} {answer.text[:200]}")
            except (OSError, http.client.HTTPException):
                pass  # killed in the middle

        thread = threading.Thread(target=run)
        thread.start()
        done.wait(self.rng.uniform(0, 1.3 * self.seconds[action]))
        self.server.kill()
        thread.join()
        return done.is_set()

    def _delete(self, kill: int):
        """Writes series, deletes them and kills meanwhile: after the restart they are gone if
        that was answered, and gone all or none if not."""
        at_ms = int(time.time() * 1000)
        series = [({"__name__": DOOMED_METRIC, "batch": str(kill), "series": str(number)}, [(at_ms, float(number))])
                  for number in range(DOOMED_SERIES)]
        assert self.server.write(series).status // 100 == 2
        if self.rng.random() < 0.5:
            self._administer("flush")  # in a block; otherwise in the log
        answered = self._administer_and_kill("delete", **{"match[]": f'{DOOMED_METRIC}{{batch="{kill}"}}'})
        self.doomed = kill, answered

    # --- After it

    def _restart_and_compare(self, phase: str, since: float):
        found = self.findings[phase]
        found.kills += 1
        promised = self.sender.snapshot()
        started = time.monotonic()
        self.server.start(wait=False)
        self.server.wait_ready(60)
        found.restart_seconds.append(time.monotonic() - started)

        self._compare_counts(found, promised, since)
        late_since = max(self.begin - LATE_SECONDS_MAX, time.time() - LATE_SECONDS_MAX - 600)
        for kind, from_time in [("live", since), ("late", late_since), ("histogram", since)]:
            self._compare(found, promised, kind, from_time)
        if phase == "new series":
            self._compare_batch(found, max(self.batches))
        if phase == "delete":
            kill, answered = self.doomed
            left = self._count(f'{DOOMED_METRIC}{{batch="{kill}"}}')
            if left not in ((0,) if answered else (0, DOOMED_SERIES)):
                found.undeleted += left
                found.note(f"{left} of {DOOMED_SERIES} deleted series are there, deletion answered: {answered}")

    def _count(self, selector: str) -> int:
        at = time.time() + 1
        result = self.server.query(f"sum(count_over_time({selector}[{int(at - self.begin) + 2}s]))", at)
        return int(float(result[0]["value"][1])) if result else 0

    def _compare_counts(self, found: Findings, promised, since: float):
        """At the first moment of readiness, not a little later."""
        expected = sum(1 for _, at_ms in promised.acknowledged if at_ms >= since * 1000)
        at = time.time() + 1
        result = self.server.query(f"sum(count_over_time({METRIC}[{int(at - since) + 1}s]))", at)
        counted = int(float(result[0]["value"][1])) if result else 0
        if counted < expected:
            found.lost += expected - counted
            found.note(f"{counted} samples at the first moment of readiness, {expected} were acknowledged")

    def _compare(self, found: Findings, promised, kind: str, since: float):
        try:
            stored = stored_samples(self.server, since, kind)
        except AssertionError as problem:
            found.doubled += 1
            found.note(str(problem))
            return
        sent = self.sender.snapshot().sent
        first = {"live": 0, "late": 3, "histogram": 4}[kind]
        threads = [f"{index}-" for index in range(first, 3 if kind == "live" else first + 1)]
        expected = {key: value for key, value in promised.acknowledged.items()
                    if key[1] >= since * 1000 and key[0].startswith(tuple(threads))}
        found.samples += len(expected)
        for key in expected.keys() - stored.keys():
            found.lost += 1
            found.note(f"lost: {kind} {key}")
        for key, value in stored.items():
            if key not in sent:
                found.unsent += 1
                found.note(f"never sent: {kind} {key}")
            elif sent[key] != value:
                found.altered += 1
                found.note(f"altered: {kind} {key} {struct.unpack('<d', value[:8])}")

    def _compare_batch(self, found: Findings, kill: int):
        at_ms, expected = self.batches[kill]
        at = at_ms / 1000
        found.samples += len(expected)
        seen = set()
        for one in self.server.query(f'{NEW_SERIES_METRIC}{{batch="{kill}"}}[2s]', at + 1):
            series = one["metric"]["series"]
            if series in seen or len(one["values"]) != 1:
                found.doubled += 1
                found.note(f"doubled: new series {series}")
            seen.add(series)
            if round(one["values"][0][0] * 1000) != at_ms or bits(float(one["values"][0][1])) != expected.get(series):
                found.altered += 1
                found.note(f"altered: new series {series}")
        missing = expected.keys() - seen
        found.lost += len(missing)
        if missing:
            found.note(f"lost: {len(missing)} of {len(expected)} new series of kill {kill}")

    def _compare_everything(self, name: str):
        found = self.findings[name]
        final = self.sender.snapshot()
        assert final.acknowledged.keys() == final.sent.keys()
        for kind in ("live", "late", "histogram"):
            self._compare(found, final, kind, self.begin - LATE_SECONDS_MAX - 1)
        for kill in self.batches:
            self._compare_batch(found, kill)

    # --- The table

    def table(self) -> str:
        rows = [("phase", "kills", "samples checked", "lost", "doubled", "altered", "never sent", "undeleted",
                 "restart s (median, longest)")]
        total = Findings()
        for phase, one in sorted(self.findings.items()):
            for column in ("kills", "samples", "lost", "doubled", "altered", "unsent", "undeleted"):
                setattr(total, column, getattr(total, column) + getattr(one, column))
            total.restart_seconds += one.restart_seconds
            rows.append(self._row(phase, one))
        rows.append(self._row("all", total))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        return "\n".join(lines + [f"{phase}: {example}" for phase, one in self.findings.items() for example in one.examples])

    @staticmethod
    def _row(phase: str, one: Findings) -> tuple[str, ...]:
        seconds = one.restart_seconds
        times = f"{statistics.median(seconds):.2f}, {max(seconds):.2f}" if seconds else "-"
        return (phase, str(one.kills), str(one.samples), str(one.lost), str(one.doubled), str(one.altered),
                str(one.unsent), str(one.undeleted), times)

    def is_clean(self) -> bool:
        return all(one.is_clean() for one in self.findings.values())
