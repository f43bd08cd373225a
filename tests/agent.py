"""`petrel agent` and a remote write receiver, for the tests of both."""

import functools
import http.server
import re
import struct
import threading
import time

from conftest import BINARY, ROOT, HttpReceiver, Server


class Agent(Server):
    name = "agent"
    ready_path = "/-/ready"

    def __init__(self, folder, *flags: str, port: int | None = None):
        super().__init__(folder, port)
        self.flags = list(flags)

    def command(self):
        return [str(BINARY), "agent", f"--web.listen-address=127.0.0.1:{self.port}", *self.flags]


@functools.cache
def accepted_differences() -> list[tuple[re.Pattern, str]]:
    """Rows "| `pattern` | only Petrel | why |" of docs/agent.md."""
    text = (ROOT / "docs/agent.md").read_text()
    section = text.split("## Differences", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `([^`]+)` \| (only Petrel|only node_exporter|value) \| \S", section, re.M)
    assert 3 <= len(rows) <= 20, "the list is short"
    return [(re.compile(pattern.replace(r"\|", "|")), kind) for pattern, kind in rows]


def is_accepted(name: str, labels: frozenset, kind: str) -> bool:
    shown = name + "{" + ",".join(f'{key}="{value}"' for key, value in sorted(labels)) + "}"
    return any(allowed == kind and (pattern.fullmatch(name) or pattern.fullmatch(shown))
               for pattern, allowed in accepted_differences())


def take_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def unsnappy(data: bytes) -> bytes:
    """Snappy's block format (format_description.txt of the library)."""
    size, at = take_varint(data, 0)
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        if tag & 3 == 0:
            length = (tag >> 2) + 1
            if length > 60:
                extra = length - 60
                length = int.from_bytes(data[at:at + extra], "little") + 1
                at += extra
            out += data[at:at + length]
            at += length
            continue
        if tag & 3 == 1:
            length = (tag >> 2 & 7) + 4
            offset = (tag >> 5) << 8 | data[at]
            at += 1
        else:
            length = (tag >> 2) + 1
            width = 2 if tag & 3 == 2 else 4
            offset = int.from_bytes(data[at:at + width], "little")
            at += width
        for _ in range(length):
            out.append(out[-offset])
    assert len(out) == size
    return bytes(out)


def fields(data: bytes):
    at = 0
    while at < len(data):
        tag, at = take_varint(data, at)
        if tag & 7 == 0:
            value, at = take_varint(data, at)
        elif tag & 7 == 1:
            value, at = data[at:at + 8], at + 8
        else:
            assert tag & 7 == 2, tag
            length, at = take_varint(data, at)
            value, at = data[at:at + length], at + length
        yield tag >> 3, value


def decode_write(body: bytes) -> list[tuple[dict, list[tuple[int, float]]]]:
    series = []
    for number, message in fields(unsnappy(body)):
        if number != 1:
            continue
        labels, samples = {}, []
        for inner, content in fields(message):
            parts = dict(fields(content))
            if inner == 1:
                labels[parts[1].decode()] = parts[2].decode()
            elif inner == 2:
                samples.append((parts.get(2, 0), struct.unpack("<d", parts.get(1, bytes(8)))[0]))
        series.append((labels, samples))
    return series


class Receiver(HttpReceiver):
    """Takes remote write requests, or answers with `status`, or is down."""

    def __init__(self):
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}/api/v1/write"
        self.status = 204
        self.headers = {}
        self.requests = []  # (time, status answered, headers, decoded body)
        self.lock = threading.Lock()

    def up(self):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with receiver.lock:
                    status = receiver.status
                    receiver.requests.append((time.time(), status, dict(self.headers), decode_write(body)))
                self.send_response(status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        return self.serve(Handler)

    def taken(self, metric: str) -> list[tuple[int, float]]:
        """(timestamp_ms, value) of the metric's samples, in the order in which they were taken."""
        with self.lock:
            return [sample for _, status, _, series in self.requests if status < 300
                    for labels, samples in series if labels["__name__"] == metric for sample in samples]
