"""The black-box harness: starts real programs, talks HTTP, and cleans up after itself.

Every program runs in a temporary folder on a free loopback port and is stopped by its
own process id. When a test fails, the logs of the programs it started are printed.
"""

import contextlib
import dataclasses
import http.server
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

import wire

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARY = pathlib.Path(os.environ.get("PETREL_BIN", ROOT / "build/release/petrel"))

# Ports are taken from here up, below the range that the kernel hands out to clients. Test
# processes that run side by side have a share each.
PORTS_BEGIN, PORTS_END = 21000, 32000
_workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_share = (PORTS_END - PORTS_BEGIN) // _workers
FIRST_PORT = PORTS_BEGIN + _worker * _share
LAST_PORT = FIRST_PORT + _share - 1
_next_port = FIRST_PORT + os.getpid() * 17 % _share


def pytest_configure(config):
    config.addinivalue_line("markers", "conformance: needs current peers or public test data beside the checkout; "
                                       "./gates conformance runs it, ./test does not")


def free_port() -> int:
    global _next_port
    for _ in range(LAST_PORT - FIRST_PORT):
        port = _next_port
        _next_port = _next_port + 1 if _next_port < LAST_PORT else FIRST_PORT
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free loopback port")


def wait_for(condition, seconds: float, what: str, interval: float = 0.05):
    """The first true value of `condition()`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    last_error = None
    while True:
        try:
            value = condition()
            if value:
                return value
        except (OSError, KeyError, IndexError, json.JSONDecodeError) as error:
            last_error = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}" + (f" (last: {last_error})" if last_error else ""))
        time.sleep(interval)


@dataclasses.dataclass
class Answer:
    status: int
    body: bytes
    headers: dict

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.body)


def http_call(url: str, data: bytes | None = None, headers: dict | None = None, method: str | None = None,
              timeout: float = 30) -> Answer:
    """Any HTTP status is an answer; only a broken connection raises (OSError)."""
    request = urllib.request.Request(url, data=data, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return Answer(response.status, response.read(), dict(response.headers))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read(), dict(error.headers))


class Server:
    """A program with an HTTP address. Subclasses say how it is started and when it is ready."""

    name = "server"
    ready_path = "/-/ready"
    ready_seconds = 15.0

    def __init__(self, folder: pathlib.Path, port: int | None = None):
        self.folder = folder
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = folder / f"{self.name}.log"
        self.process: subprocess.Popen | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def start(self, wait: bool = True):
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(self.command(), cwd=self.folder, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, env=self.environment())
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, seconds: float | None = None) -> float:
        """Seconds until the server said that it is ready."""
        started = time.monotonic()
        wait_for(self.is_ready, seconds or self.ready_seconds, f"{self.name} ready", interval=0.01)
        return time.monotonic() - started

    def is_ready(self) -> bool:
        if self.process.poll() is not None:
            pytest.fail(f"{self.name} ended with status {self.process.returncode}:\n{self.log()}")
        return http_call(self.url + self.ready_path, timeout=2).status == 200

    @property
    def pid(self) -> int:
        return self.process.pid

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self, seconds: float = 20) -> int | None:
        """SIGTERM, and SIGKILL where that is not enough. The exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()

    def kill(self):
        """Power loss, as far as a process can tell."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def call(self, path: str, data: bytes | None = None, headers: dict | None = None, method: str | None = None,
             timeout: float = 30, **parameters) -> Answer:
        query = "?" + urllib.parse.urlencode(parameters, doseq=True) if parameters else ""
        return http_call(self.url + path + query, data, headers, method, timeout)

    def get(self, path: str, **parameters):
        """The `data` of a successful API answer."""
        answer = self.call(path, **parameters)
        assert answer.status == 200, f"{path} {parameters}: {answer.status} {answer.text}"
        document = answer.json()
        assert document["status"] == "success", document
        return document["data"]

    def query(self, expression: str, at: float | None = None) -> list[dict]:
        parameters = {"query": expression} | ({"time": f"{at:.3f}"} if at is not None else {})
        return self.get("/api/v1/query", **parameters)["result"]

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[dict]:
        return self.get("/api/v1/query_range", query=expression, start=f"{start:.3f}", end=f"{end:.3f}",
                        step=step)["result"]

    def value(self, expression: str, at: float | None = None) -> float:
        """The one value of an instant query."""
        result = self.query(expression, at)
        assert len(result) == 1, f"{expression}: expected one series, got {result}"
        return float(result[0]["value"][1])

    def alerts(self) -> list[dict]:
        return self.get("/api/v1/alerts")["alerts"]


class Petrel(Server):
    name = "petrel"

    def __init__(self, folder: pathlib.Path, *flags: str, port: int | None = None, env: dict[str, str] | None = None):
        super().__init__(folder, port)
        self.flags = list(flags)
        self.extra_environment = env or {}

    def command(self) -> list[str]:
        return [str(BINARY), f"--web.listen-address=127.0.0.1:{self.port}", *self.flags]

    def environment(self) -> dict[str, str]:
        return super().environment() | self.extra_environment

    def write(self, series, timeout: float = 30) -> Answer:
        """Remote write of [({labels}, [(timestamp_ms, value), ...]), ...]."""
        return self.call("/api/v1/write", data=wire.write_request(series), headers=wire.HEADERS, timeout=timeout)


class Prometheus(Server):
    name = "prometheus"
    ready_seconds = 30.0

    def __init__(self, folder: pathlib.Path, config: str, *flags: str):
        super().__init__(folder)
        self.flags = list(flags)
        (folder / "prometheus.yml").write_text(config)

    def command(self) -> list[str]:
        return [program("prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data",
                f"--web.listen-address=127.0.0.1:{self.port}", *self.flags]


class NodeExporter(Server):
    name = "node_exporter"
    ready_path = "/metrics"

    def command(self) -> list[str]:
        return [program("prometheus-node-exporter"), f"--web.listen-address=127.0.0.1:{self.port}"]


def program(name: str) -> str:
    path = shutil.which(name)
    assert path, f"{name} is not installed (./test installs it)"
    return path


class Listener(http.server.ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True


class HttpReceiver:
    """An HTTP server of the tests on a port of its own. It can be down: then the port refuses connections."""

    def __init__(self):
        self.port = free_port()
        self._server: Listener | None = None

    def serve(self, handler: type[http.server.BaseHTTPRequestHandler]):
        self._server = Listener(("127.0.0.1", self.port), handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def down(self):
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class Webhook(HttpReceiver):
    """A webhook receiver. It records what it accepted and what it refused, can answer
    with an error, and can be down: then its port refuses connections."""

    def __init__(self):
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}/page"
        self.answer_status = 200
        self.accepted: list[dict] = []
        self.refused: list[dict] = []
        self._lock = threading.Lock()

    def up(self):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                receiver._record(dict(self.headers), body)
                self.send_response(receiver.answer_status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        return self.serve(Handler)

    def _record(self, headers: dict, body: bytes):
        request = {"headers": headers, "body": json.loads(body), "time": time.time()}
        with self._lock:
            (self.accepted if self.answer_status < 300 else self.refused).append(request)

    def alerts(self, status: str | None = None, name: str | None = None) -> list[dict]:
        """The alerts of all accepted requests, in order of arrival."""
        with self._lock:
            found = [alert for request in self.accepted for alert in request["body"]["alerts"]]
        return [alert for alert in found
                if status in (None, alert["status"]) and name in (None, alert["labels"]["alertname"])]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call":
        item.call_failed = report.failed


@pytest.fixture
def start(request, tmp_path):
    """start(server) starts it, waits until it is ready, and stops it after the test."""
    servers: list[Server] = []

    def start_one(server: Server, wait: bool = True):
        servers.append(server)
        return server.start(wait)

    yield start_one
    for server in reversed(servers):
        with contextlib.suppress(ProcessLookupError):
            server.stop()
    if getattr(request.node, "call_failed", True):
        for server in servers:
            print(f"---- log of {server.name} ({server.url})\n{server.log()[-20000:]}")


@pytest.fixture
def petrel(start, tmp_path):
    """petrel(*flags) starts Petrel in an empty folder; petrel(..., folder=...) in that one."""
    assert BINARY.exists(), f"{BINARY} is not built (./run --build-only builds it)"
    count = 0

    def start_petrel(*flags: str, folder: pathlib.Path | None = None, wait: bool = True, **options) -> Petrel:
        nonlocal count
        count += 1
        return start(Petrel(folder or tmp_path / f"petrel{count}", *flags, **options), wait)

    return start_petrel


@pytest.fixture
def webhook():
    receiver = Webhook()
    yield receiver
    receiver.down()


def run_petrel(folder: pathlib.Path, *arguments: str, seconds: float = 20, env: dict | None = None):
    """Runs the program to its end: for --help and for starts that must fail."""
    folder.mkdir(parents=True, exist_ok=True)
    return subprocess.run([str(BINARY), *arguments], cwd=folder, capture_output=True, text=True, timeout=seconds,
                          stdin=subprocess.DEVNULL, env=dict(os.environ) | (env or {}), check=False)
