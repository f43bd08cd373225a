"""Targets registered in real stores, etcd and ZooKeeper: found, changed, removed, kept while
the store is dead and while Petrel restarts, and written by `petrel agent register`."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess

import pytest

from conftest import BINARY, Server, free_port, program, run_petrel, wait_for
from targets import Targets

PREFIX = "/petrel/sd"
ZOOKEEPER_JAR = "/usr/share/java/zookeeper.jar"


class Etcd(Server):
    name = "etcd"
    ready_path = "/health"
    ready_seconds = 60.0
    mechanism = "etcd"

    def command(self) -> list[str]:
        peer = getattr(self, "peer", None) or f"http://127.0.0.1:{free_port()}"
        self.peer = peer
        return [program("etcd"), "--name=one", "--data-dir=data", f"--listen-client-urls={self.url}",
                f"--advertise-client-urls={self.url}", f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=one={peer}", "--log-level=error"]

    def environment(self) -> dict[str, str]:
        return super().environment() | {"ETCD_UNSUPPORTED_ARCH": os.uname().machine}

    @property
    def config(self) -> str:
        return f"etcd_sd_configs: [{{endpoints: ['{self.url}']}}]"

    @property
    def register_flags(self) -> list[str]:
        return [f"--etcd.endpoint={self.url}"]

    def ctl(self, *arguments: str) -> str:
        return subprocess.run([program("etcdctl"), f"--endpoints={self.url}", *arguments], check=True, text=True,
                              capture_output=True, timeout=60, env=os.environ | {"ETCDCTL_API": "3"}).stdout

    def put(self, path: str, value: str):
        self.ctl("put", f"{PREFIX}/{path}", value)

    def delete(self, path: str):
        self.ctl("del", f"{PREFIX}/{path}")

    def get(self, path: str) -> str | None:
        return self.ctl("get", "--print-value-only", f"{PREFIX}/{path}").strip() or None


class Zookeeper(Server):
    name = "zookeeper"
    ready_seconds = 120.0
    mechanism = "zookeeper"

    def command(self) -> list[str]:
        (self.folder / "zoo.cfg").write_text(
            f"tickTime=500\ninitLimit=10\nsyncLimit=5\ndataDir={self.folder}/data\nclientPort={self.port}\n"
            "clientPortAddress=127.0.0.1\nadmin.enableServer=false\n4lw.commands.whitelist=ruok\n")
        return [program("java"), "-Xmx128m", "-cp", f"{self.folder}:{ZOOKEEPER_JAR}",
                "org.apache.zookeeper.server.quorum.QuorumPeerMain", str(self.folder / "zoo.cfg")]

    def is_ready(self) -> bool:
        if self.process.poll() is not None:
            pytest.fail(f"zookeeper ended with status {self.process.returncode}:\n{self.log()}")
        with socket.create_connection(("127.0.0.1", self.port), 2) as connection:
            connection.sendall(b"ruok")
            return connection.recv(16) == b"imok"

    @property
    def config(self) -> str:
        return f"zookeeper_sd_configs: [{{servers: ['127.0.0.1:{self.port}'], session_timeout: 4s}}]"

    @property
    def register_flags(self) -> list[str]:
        return [f"--zookeeper.server=127.0.0.1:{self.port}", "--zookeeper.session-timeout=4s"]

    def cli(self, *commands: str) -> str:
        outcome = subprocess.run([program("java"), "-cp", f"{self.folder}:{ZOOKEEPER_JAR}",
                                  "org.apache.zookeeper.ZooKeeperMain", "-waitforconnection",
                                  "-server", f"127.0.0.1:{self.port}"],
                                 input="\n".join(commands) + "\n", capture_output=True, text=True, timeout=120,
                                 check=False)
        return outcome.stdout + outcome.stderr

    def put(self, path: str, value: str):
        parts = f"{PREFIX}/{path}".split("/")[1:]
        parents = ["/" + "/".join(parts[:i]) for i in range(1, len(parts) + 1)]
        answer = self.cli(*(f"create {node}" for node in parents), f"set {PREFIX}/{path} {value}", f"get {PREFIX}/{path}")
        assert value in answer.splitlines(), answer

    def delete(self, path: str):
        self.cli(f"delete {PREFIX}/{path}")

    def get(self, path: str) -> str | None:
        lines = self.cli(f"get {PREFIX}/{path}").splitlines()
        return next((line for line in lines if line.startswith("{")), None)


@pytest.fixture(params=[Etcd, Zookeeper], ids=["etcd", "zookeeper"])
def store(request, start, tmp_path):
    return start(request.param(tmp_path / "store"))


@pytest.fixture
def targets():
    one = Targets()
    one.paths["/metrics"] = one.paths["/other"] = lambda n, h: f"m {n}\n"
    yield one
    one.stop()


@pytest.fixture
def watching(petrel, tmp_path):
    """Starts Petrel in a folder of its own, with the store's targets as the pool `reg`."""

    def start_watching(store, **options):
        path = tmp_path / "prometheus.yml"
        path.write_text("global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
                        f"scrape_configs:\n  - job_name: reg\n    {store.config}\n")
        return petrel(f"--config.file={path}", folder=tmp_path / "petrel", **options)

    return start_watching


@pytest.fixture
def register(store):
    """register(*flags) runs `petrel agent register` until the end of the test."""
    running = []

    def start_one(*flags: str) -> subprocess.Popen:
        running.append(subprocess.Popen([str(BINARY), "agent", "register", *store.register_flags, *flags]))
        return running[-1]

    yield start_one
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()


def active(server) -> dict[str, dict]:
    """Active targets by their address."""
    return {target["discoveredLabels"]["__address__"]: target
            for target in server.get("/api/v1/targets", state="active")["activeTargets"]}


def addresses(server) -> set[str]:
    return set(active(server))


def discovery(server) -> dict:
    (pool,) = server.get("/api/v1/scrape_pools")["pools"]
    (one,) = pool["discoveries"]
    return one


def metric(server, name: str) -> float:
    lines = [line for line in server.call("/metrics").text.splitlines()
             if line.startswith(name + "{") and 'config="reg/' in line]
    assert len(lines) == 1, lines
    return float(lines[0].rsplit(" ", 1)[1])


def value(address: str, **fields) -> str:
    return json.dumps({"targets": [address]} | fields, separators=(",", ":"))


def test_registered_targets_are_scraped_as_they_say(store, watching, targets):
    server = watching(store)
    wait_for(lambda: discovery(server)["lastSuccess"] > "2000", 30, "the store read")
    assert addresses(server) == set()

    store.put("default/node/a", value(targets.address, labels={"env": "prod"}, interval="2s", timeout="1s",
                                      metrics_path="/other", params={"module": "x"}))
    one = wait_for(lambda: active(server).get(targets.address), 10, "the target")
    assert one["scrapePool"] == "reg"
    assert one["scrapeUrl"] == f"http://{targets.address}/other?module=x"
    assert (one["scrapeInterval"], one["scrapeTimeout"]) == ("2s", "1s")
    meta = f"__meta_{store.mechanism}"
    found = one["discoveredLabels"]
    assert found[meta + ("_key" if store.mechanism == "etcd" else "_path")] == f"{PREFIX}/default/node/a"
    assert (found[meta + "_tenant"], found[meta + "_job"]) == ("default", "node")
    assert one["labels"] == {"env": "prod", "instance": targets.address, "job": "node"}
    wait_for(lambda: server.query('m{env="prod",job="node"}'), 15, "samples")

    store.put("default/node/a", value(targets.address, scheme="http"))
    wait_for(lambda: active(server)[targets.address]["scrapeUrl"] == f"http://{targets.address}/metrics", 10, "a change")
    store.put("default/node/b", value("127.0.0.1:1", state="up"))
    wait_for(lambda: addresses(server) == {targets.address, "127.0.0.1:1"}, 10, "another")
    store.put("default/node/b", value("127.0.0.1:1", state="paused"))
    wait_for(lambda: addresses(server) == {targets.address}, 10, "paused")
    assert discovery(server)["invalid"] == []
    store.delete("default/node/a")
    wait_for(lambda: addresses(server) == set(), 10, "removed")
    wait_for(lambda: server.query('m{job="node"}') == [], 10, "stale")


def test_an_unreadable_entry_is_named_and_keeps_its_last_value(store, watching):
    store.put("default/node/a", value("127.0.0.1:1"))
    store.put("default/node/b", value("127.0.0.1:2", auth_ref="key"))
    server = watching(store)
    wait_for(lambda: addresses(server) == {"127.0.0.1:1"}, 30, "the readable one")
    store.put("default/node/a", value("127.0.0.1"))
    expected = {f"{PREFIX}/default/node/a: targets[0]: \"127.0.0.1\": expected \"host:port\"",
                f"{PREFIX}/default/node/b: auth_ref: \"key\": expected \"\": credentials are set for the whole job, "
                "in scrape_configs"}
    wait_for(lambda: set(discovery(server)["invalid"]) == expected, 10, "both named")
    assert addresses(server) == {"127.0.0.1:1"}
    assert metric(server, "petrel_sd_invalid_entries") == 2
    store.put("default/node/a", value("127.0.0.1:3"))
    store.delete("default/node/b")
    wait_for(lambda: addresses(server) == {"127.0.0.1:3"} and discovery(server)["invalid"] == [], 10, "all is well")
    assert metric(server, "petrel_sd_invalid_entries") == 0


def test_targets_outlive_the_store_and_a_restart_without_it(store, watching, targets):
    store.put("default/node/a", value(targets.address))
    server = watching(store)
    wait_for(lambda: addresses(server) == {targets.address}, 30, "the target")
    assert metric(server, "petrel_sd_stale_seconds") == 0

    store.kill()
    wait_for(lambda: discovery(server)["lastError"], 30, "the loss noticed")
    wait_for(lambda: metric(server, "petrel_sd_stale_seconds") >= 2, 20, "staleness counted")
    before = targets.count("/metrics")
    wait_for(lambda: targets.count("/metrics") > before + 1, 10, "scrapes go on")
    assert addresses(server) == {targets.address}

    server.stop()
    server.start()
    wait_for(lambda: addresses(server) == {targets.address}, 20, "the target known from disk")
    before = targets.count("/metrics")
    wait_for(lambda: targets.count("/metrics") > before, 10, "it is scraped")

    store.start()
    store.put("default/node/b", value("127.0.0.1:1"))
    wait_for(lambda: addresses(server) == {targets.address, "127.0.0.1:1"}, 20, "the change after the return")
    wait_for(lambda: metric(server, "petrel_sd_stale_seconds") == 0, 10, "fresh again")
    assert discovery(server)["lastError"] == ""
    store.delete("default/node/a")
    wait_for(lambda: addresses(server) == {"127.0.0.1:1"}, 10, "the watch works")


def test_what_changed_while_the_store_was_away_from_petrel_is_taken_over(store, watching, tmp_path):
    store.put("default/node/a", value("127.0.0.1:1"))
    server = watching(store)
    wait_for(lambda: addresses(server) == {"127.0.0.1:1"}, 30, "the target")
    server.kill()
    store.delete("default/node/a")
    store.put("default/node/b", value("127.0.0.1:2"))
    assert list((pathlib.Path(tmp_path) / "petrel" / "data" / "sd").glob("reg%2F0.json"))
    server.start()
    wait_for(lambda: addresses(server) == {"127.0.0.1:2"}, 20, "the store's content, not the file's")


def test_register_keeps_its_entry_over_the_death_of_the_store(store, watching, register):
    process = register("--job=node", "--target=127.0.0.1:1", "--label=env=prod", "--interval=5s", "--ttl=6s")
    server = watching(store)
    wait_for(lambda: addresses(server) == {"127.0.0.1:1"}, 30, "registered")
    assert active(server)["127.0.0.1:1"]["labels"]["env"] == "prod"
    assert json.loads(store.get("default/node/127.0.0.1:1")) == {
        "v": 1, "targets": ["127.0.0.1:1"], "labels": {"env": "prod"}, "interval": "5s"}
    store.kill()
    wait_for(lambda: discovery(server)["lastError"], 30, "the loss noticed")
    store.start()
    wait_for(lambda: discovery(server)["lastError"] == "", 30, "the return noticed")
    wait_for(lambda: store.get("default/node/127.0.0.1:1"), 30, "still registered")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    wait_for(lambda: addresses(server) == set(), 10, "taken away")


def test_an_entry_goes_with_a_process_that_was_killed(store, watching, register):
    process = register("--job=node", "--instance=web", "--target=127.0.0.1:1", "--ttl=5s")
    server = watching(store)
    wait_for(lambda: addresses(server) == {"127.0.0.1:1"}, 30, "registered")
    process.kill()
    wait_for(lambda: addresses(server) == set(), 30, "gone with its lease or session")


def test_an_entry_written_once_stays_until_it_is_removed(store, tmp_path):
    flags = [*store.register_flags, "--job=node", "--instance=web"]
    written = run_petrel(tmp_path, "agent", "register", *flags, "--target=h:1", "--once", seconds=60)
    assert written.returncode == 0, written.stderr
    assert written.stdout == f'{PREFIX}/default/node/web\n{{"v":1,"targets":["h:1"]}}\n'
    assert store.get("default/node/web") == '{"v":1,"targets":["h:1"]}'
    removed = run_petrel(tmp_path, "agent", "register", *flags, "--remove", seconds=60)
    assert removed.returncode == 0, removed.stderr
    assert store.get("default/node/web") is None


def test_register_refuses_what_petrel_would_not_read(tmp_path):
    def refused(*flags: str) -> str:
        outcome = run_petrel(tmp_path, "agent", "register", "--print", "--job=node", *flags)
        assert outcome.returncode == 2
        return outcome.stderr.strip().removeprefix("petrel agent register: ")

    assert refused("--target=h") == 'targets[0]: "h": expected "host:port"'
    assert refused("--target=h:1", "--interval=10") == \
        'interval: "10": expected a duration from 1s to 10m, as in "10s"'
    assert refused("--target=h:1", "--retry.max=9") == "retry.max: 9: expected 0 to 3"
    assert refused("--target=h:1", "--label=x") == '--label: "x": expected NAME=VALUE'
    assert refused("--target=h:1", "--tenant=a/b").endswith(
        "expected /petrel/sd/<tenant>/<job>/<instance>")
    outcome = run_petrel(tmp_path, "agent", "register", "--job=node", "--target=h:1")
    assert outcome.returncode == 2
    assert "one of --etcd.endpoint and --zookeeper.server" in outcome.stderr


def test_etcd_with_users_and_a_password_file(start, watching, tmp_path):
    store = start(Etcd(tmp_path / "store"))
    store.put("default/node/a", value("127.0.0.1:1"))
    for command in ("user add root:r", "user add petrel:secret", "role add reader",
                    f"role grant-permission reader --prefix=true read {PREFIX}/", "user grant-role petrel reader",
                    "user grant-role root root", "auth enable"):
        store.ctl(*command.split())
    password = tmp_path / "password"
    password.write_text("wrong\n")

    class WithUser:
        config = f"etcd_sd_configs: [{{endpoints: ['{store.url}'], username: petrel, password_file: '{password}'}}]"

    server = watching(WithUser)
    wait_for(lambda: "authentication failed" in discovery(server)["lastError"], 20, "refused")
    assert addresses(server) == set()
    password.write_text("secret\n")
    wait_for(lambda: addresses(server) == {"127.0.0.1:1"}, 20, "the password read again")
    assert "secret" not in server.log() + server.call("/api/v1/status/config").text


def test_etcd_endpoints_are_tried_in_turn_and_compaction_loses_nothing(start, watching, tmp_path):
    store = start(Etcd(tmp_path / "store"))
    store.put("default/node/a", value("127.0.0.1:1"))

    class Several:
        config = (f"etcd_sd_configs: [{{endpoints: ['http://127.0.0.1:{free_port()}', '{store.url}'], "
                  "refresh_interval: 2s}]")

    server = watching(Several)
    wait_for(lambda: addresses(server) == {"127.0.0.1:1"}, 20, "found at the second endpoint")
    for port in range(2, 7):
        store.put("default/node/a", value(f"127.0.0.1:{port}"))
    revision = json.loads(store.ctl("endpoint", "status", "--write-out=json"))[0]["Status"]["header"]["revision"]
    store.ctl("compaction", str(revision))
    wait_for(lambda: addresses(server) == {"127.0.0.1:6"}, 10, "the newest value")
    store.put("default/node/b", value("127.0.0.1:9"))
    wait_for(lambda: addresses(server) == {"127.0.0.1:6", "127.0.0.1:9"}, 10, "the watch after it")
