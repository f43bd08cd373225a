"""Random relabel configurations: Petrel decides about each target as Prometheus does.

One Prometheus gets all jobs in one file and shows on its targets page what it made of
them; `petrel check service-discovery` says what Petrel makes of each.
"""

import collections
import concurrent.futures
import json
import os
import pathlib
import random
import shutil

import pytest

from conftest import BINARY, ROOT, Prometheus, run_petrel, wait_for

SEED = int(os.environ.get("PETREL_TEST_SEED", "20260"))
JOBS = int(os.environ.get("PETREL_TEST_RELABEL_JOBS", "300"))
CURRENT_PROMETHEUS = ROOT / "peers/prometheus/usr/bin/prometheus"

# Nothing is scraped in ten years.
GLOBAL = {"scrape_interval": "10y", "scrape_timeout": "10s"}

NAMES = ["a", "b", "env", "zone_1", "__meta_a", "__meta_b_c", "__meta_zone", "__tmp", "__address__", "job", "instance"]
VALUES = ["", "x", "prod", "eu-west-1", "a;b", "10.0.0.7:9100", "Ünïcode Ωmega", "MiXed", "a.b.c", "1", "$1", "x=y,z"]
REGEXES = ["(.*)", ".*", ".+", "(.+)", "x|prod", "(x|prod|1)", "eu-.*", "([^:]+)(?::\\d+)?", "([a-z]+)-([a-z]+)-(\\d)",
           "(?P<first>[^.]*)\\.(?P<rest>.*)", "", "a;.*", ".*;.*", "(?i)mixed", "[A-Z].*", "a\\.b\\.c", ".*o.*", "prod.+",
           "(.*);(.*)", "(x)?.*", "\\d+", "(a)|(b)", "$", "^x"]
REPLACEMENTS = ["$1", "${1}", "$2", "v", "", "${1}-${2}", "$1x", "$$1", "${first}.${rest}", "pre $1", "$0", "${", "é$1", "$"]
NAME_REGEXES = ["__meta_(.+)", "a|b", ".*", "__meta_.*", "(.*)_(.*)", "z.*", "env|zone_1", ".+a.*", "__meta_([a-z])(.*)"]


class Generator:
    """With `strict` only what Prometheus 2.42 does in the same way as Prometheus 3: names
    of the old kind, one label to one name, and no empty result under a computed name."""

    def __init__(self, seed: int, strict: bool):
        self.random = random.Random(seed)
        self.strict = strict

    def job(self, index: int) -> dict:
        job = {
            "job_name": f"job {index}",
            "static_configs": [self.group() for _ in range(self.random.randint(1, 3))],
            "relabel_configs": [self.rule() for _ in range(self.random.randint(1, 6))],
        }
        if self.random.random() < 0.2:
            job["params"] = {"module": ["http 2xx", "second"], "q": ["ä&b"]}
        if self.random.random() < 0.2:
            job["metrics_path"] = "/some/path"
        if self.random.random() < 0.2:
            job["scheme"] = "https"
        return job

    def group(self) -> dict:
        labels = {}
        for name in self.random.sample(NAMES, self.random.randint(0, 6)):
            if name not in ("__address__", "instance"):
                labels[name] = self.random.choice(VALUES)
        if self.random.random() < 0.1:
            labels["__scrape_interval__"] = self.random.choice(["1y", "bad", "0s", "5s", "3w"])
        if self.random.random() < 0.1:
            labels["__scrape_timeout__"] = self.random.choice(["1s", "x", "0", "20y", "1m30s"])
        if self.random.random() < 0.1:
            labels["__metrics_path__"] = self.random.choice(["relative", "/a b", "/x?y=z"])
        return {"targets": self.random.sample(
            ["10.0.0.1:9100", "10.0.0.2:9100", "db-1:9187", "[::1]:9100", "node.example:1234", "x"],
            self.random.randint(1, 4)), "labels": labels}

    def rule(self) -> dict:
        action = self.random.choice(["replace"] * 6 + ["keep", "drop", "hashmod", "labelmap", "labeldrop", "labelkeep",
                                     "lowercase", "uppercase", "keepequal", "dropequal"])
        if action in ("labeldrop", "labelkeep"):
            # Keeping nothing but some names would leave no address most of the time.
            extra = "|__.*|job" if action == "labelkeep" else ""
            return {"action": action, "regex": self.random.choice(NAME_REGEXES) + extra}
        if action == "labelmap":
            return self.label_map()
        rule = {"source_labels": self.random.sample(NAMES, self.random.choice([1, 1, 2, 3])),
                "action": self.random.choice([action, action.upper()])}
        if action in ("keepequal", "dropequal"):
            return rule | {"target_label": self.random.choice(NAMES)}
        if self.random.random() < 0.3:
            rule["separator"] = self.random.choice(["", "-", "::", ";"])
        if action in ("lowercase", "uppercase"):
            return rule | {"target_label": self.random.choice(NAMES)}
        if action == "hashmod":
            return rule | {"target_label": self.random.choice(["shard", "a"]), "modulus": self.random.randint(1, 1000)}
        if action in ("keep", "drop"):
            if self.random.random() < 0.9:
                rule["regex"] = self.random.choice(REGEXES)
            return rule
        return self.replacement(rule)

    def replacement(self, rule: dict) -> dict:
        if self.random.random() < 0.8:
            rule["regex"] = self.random.choice(REGEXES)
        if self.random.random() < 0.8:
            rule["replacement"] = self.random.choice(REPLACEMENTS)
        rule["target_label"] = self.random.choice(NAMES + ["new", "__scheme__", "__param_module", "__param_t"])
        if self.random.random() < 0.15:
            rule["target_label"] = self.random.choice(["p_${1}", "${1}", "n$1"])
            if self.strict:
                rule |= {"regex": "(x|prod)", "replacement": "v"}
        elif not self.strict and self.random.random() < 0.1:
            rule["target_label"] = self.random.choice(["a.b", "ключ", "with space"])
        if self.random.random() < 0.2:
            del rule["source_labels"]
        return rule

    def label_map(self) -> dict:
        """No two labels become one: Prometheus would choose one of them by chance."""
        if self.strict or self.random.random() < 0.3:
            return {"action": "labelmap", "regex": "__meta_(.+)",
                    "replacement": self.random.choice(["$1", "p_${1}", "p_$1"])}
        if self.random.random() < 0.3:
            return {"action": "labelmap", "regex": "(.*)_(.*)", "replacement": "${2}_$1"}
        return {"action": "labelmap", "regex": self.random.choice(NAME_REGEXES),
                "replacement": self.random.choice(["m_$0", "x.$0", "${0} é", "$0$$"])}


def frozen(labels: dict) -> frozenset:
    return frozenset(labels.items())


class Decisions:
    """Of one program about one job."""

    def __init__(self):
        # By discovered labels: public labels, interval and timeout of what is scraped.
        self.scraped: dict[frozenset, set] = collections.defaultdict(set)
        # Discovered labels of what relabelling has dropped.
        self.dropped: list[frozenset] = []


def of_prometheus(page: dict, shows_discovered: bool) -> dict[str, Decisions]:
    """By job. Prometheus 2 relabels in place, which spoils the discovered labels it shows."""
    found: dict[str, Decisions] = collections.defaultdict(Decisions)
    for target in page["activeTargets"]:
        discovered = frozen(target["discoveredLabels"]) if shows_discovered else frozenset()
        found[target["scrapePool"]].scraped[discovered].add(
            (frozen(target["labels"]), target["scrapeInterval"], target["scrapeTimeout"]))
    if shows_discovered:
        for target in page["droppedTargets"]:
            found[target["scrapePool"]].dropped.append(frozen(target["discoveredLabels"]))
    return found


def of_petrel(folder: pathlib.Path, job: dict, shows_discovered: bool) -> Decisions:
    path = folder / f"{job['job_name']}.yml"
    path.write_text(json.dumps({"global": GLOBAL, "scrape_configs": [job]}))
    outcome = run_petrel(folder, "check", "service-discovery", path.name, job["job_name"], seconds=60)
    assert outcome.returncode == 0, outcome.stderr
    decisions = Decisions()
    for target in json.loads(outcome.stdout):
        discovered = frozen(target["discoveredLabels"])
        labels = target["labels"]
        if labels:
            decisions.scraped[discovered if shows_discovered else frozenset()].add(
                (frozen({name: value for name, value in labels.items() if not name.startswith("__")}),
                 labels["__scrape_interval__"], labels["__scrape_timeout__"]))
        elif "error" not in target:
            decisions.dropped.append(discovered)
    return decisions


def differences(peer: Decisions, own: Decisions) -> list[str]:
    def shown(targets) -> str:
        return "\n    ".join(f"{sorted(labels)} every {interval} within {timeout}" for labels, interval, timeout in targets)

    found = []
    # Of targets that become the same one Prometheus shows one only.
    known = set().union(*peer.scraped.values())
    for discovered in peer.scraped.keys() | own.scraped.keys():
        theirs, ours = peer.scraped.get(discovered, set()), own.scraped.get(discovered, set())
        if theirs != ours and not (theirs <= ours and ours <= known):
            found.append(f"of {sorted(discovered)}\n  only Prometheus: {shown(theirs - ours)}\n"
                         f"  only Petrel: {shown(ours - theirs)}")
    for discovered in set(own.dropped) ^ set(peer.dropped):
        by = "Petrel" if discovered in own.dropped else "Prometheus"
        found.append(f"dropped by {by} only: {sorted(discovered)}")
    return found


class ChosenPrometheus(Prometheus):
    def __init__(self, binary: str, folder: pathlib.Path, config: str, *flags: str):
        super().__init__(folder, config, *flags)
        self.binary = binary

    def command(self) -> list[str]:
        return [self.binary, *super().command()[1:]]


PEERS = [
    # Addresses keep their ports as they are, which is how Prometheus 3 always does it.
    pytest.param("prometheus", True, ["--enable-feature=no-default-scrape-port"], id="installed"),
    pytest.param(str(CURRENT_PROMETHEUS), False, [], id="current",
                 marks=pytest.mark.conformance),
]


@pytest.mark.parametrize("binary, strict, flags", PEERS)
def test_random_relabelling_decides_as_prometheus(start, tmp_path, binary, strict, flags):
    assert BINARY.exists(), f"{BINARY} is not built (./run --build-only builds it)"
    path = shutil.which(binary)
    assert path, f"{binary} is not installed (./test installs it)"
    print(f"seed {SEED}: PETREL_TEST_SEED sets it")
    generator = Generator(SEED, strict)
    jobs = [generator.job(index) for index in range(JOBS)]
    # JSON is YAML.
    configuration = json.dumps({"global": GLOBAL, "scrape_configs": jobs})
    prometheus = start(ChosenPrometheus(path, tmp_path / "prometheus", configuration, *flags))

    def page():
        targets = prometheus.get("/api/v1/targets", state="any")
        size = len(targets["activeTargets"]) + len(targets["droppedTargets"])
        return targets if size and size == page.size else setattr(page, "size", size)

    # Complete once it has not grown for a while: discovery tells its targets every five seconds.
    page.size = 0
    targets = wait_for(page, 60, "a targets page that stays the same", interval=6)
    peer = of_prometheus(targets, shows_discovered=not strict)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        own = list(pool.map(lambda job: of_petrel(tmp_path, job, not strict), jobs))
    scraped = sum(len(group) for decisions in own for group in decisions.scraped.values())
    dropped = sum(len(decisions.dropped) for decisions in own)
    print(f"{JOBS} jobs: {scraped} targets scraped, {dropped} dropped")
    assert scraped > JOBS / 2 and dropped > JOBS / 10, "the generator makes too few decisions"

    failures = []
    if strict:
        if dropped != len(targets["droppedTargets"]):
            failures.append(f"{dropped} targets dropped, by Prometheus {len(targets['droppedTargets'])}")
        for decisions in own:
            decisions.dropped.clear()
    for job, decisions in zip(jobs, own):
        for difference in differences(peer[job["job_name"]], decisions):
            failures.append(f"{job['job_name']}: {json.dumps(job['relabel_configs'], ensure_ascii=False)}\n{difference}")
    assert not failures, f"{len(failures)} differences, seed {SEED}:\n" + "\n".join(failures[:10])
