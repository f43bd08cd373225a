"""alertmanager.yml: what amtool accepts Petrel accepts, and routes alerts the same way."""

import json
import pathlib
import random
import re
import subprocess

import pytest

from conftest import ROOT, program, run_petrel

PEER = ROOT / "peers/prometheus-alertmanager/usr/bin/amtool"
DATA = pathlib.Path(__file__).parent / "data"


def amtool(folder: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([program("amtool"), *arguments], cwd=folder, capture_output=True, text=True, check=False)


def current_amtool(folder: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess:
    """It knows keys and rules that came with Alertmanager 0.33 or shortly before."""
    assert PEER.exists(), f"{PEER} is missing: PEERS=prometheus-alertmanager tools/fetch_peers.sh"
    return subprocess.run([PEER, *arguments], cwd=folder, capture_output=True, text=True, check=False)


def channel_configurations() -> list[str]:
    texts = []
    for line in (DATA / "alertmanager_channels.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        channel, mapping, members = line.split("|")
        if channel == "global":
            texts.append(f"route: {{receiver: r}}\nglobal: {{{mapping}}}\nreceivers:\n- name: r\n")
        else:
            texts.append(f"route: {{receiver: r}}\nglobal: {{{members}}}\nreceivers:\n- name: r\n"
                         f"  {channel}_configs:\n  - {mapping}\n")
    return texts


def file_configurations() -> list[str]:
    lines = (DATA / "alertmanager_files.txt").read_text().splitlines()
    return [json.loads(line) for line in lines if not line.startswith("#")]


def compare(tmp_path: pathlib.Path, texts: list[str]):
    names = [f"{i}.yml" for i in range(len(texts))]
    for name, text in zip(names, texts, strict=True):
        (tmp_path / name).write_text(text)
    ours = run_petrel(tmp_path, "check", "alertmanager", *names, seconds=120)
    assert ours.returncode == 1, ours.stderr
    accepted = set(re.findall(r"Checking (\S+)\n(?:  WARNING.*\n)*  SUCCESS", ours.stdout))
    refusals = dict(re.findall(r"FAILED: (\d+\.yml)(:\d+:\d+: .*)", ours.stderr))
    differences = []
    for name, text in zip(names, texts, strict=True):
        theirs = current_amtool(tmp_path, "check-config", name)
        if (theirs.returncode == 0) != (name in accepted):
            differences.append(f"{text}amtool: {theirs.stdout}{theirs.stderr}\npetrel: {refusals.get(name)}")
        # What is wrong with a template stands in its own file.
        assert name in accepted or name in refusals or "bad.tmpl" in text, f"no place in the error about {text}"
    assert not differences, f"{len(differences)} of {len(texts)} differ\n" + "\n----\n".join(differences)


@pytest.mark.conformance
def test_every_channel_is_judged_as_amtool_does(tmp_path):
    texts = channel_configurations()
    assert len(texts) > 200
    compare(tmp_path, texts)


@pytest.mark.conformance
def test_routes_matchers_and_intervals_are_judged_as_amtool_does(tmp_path):
    texts = file_configurations()
    assert len(texts) > 120
    (tmp_path / "bad.tmpl").write_text('{{ define "x" }}{{ .a }')
    compare(tmp_path, texts)


LABELS = {"team": ["a", "b", ""], "severity": ["page", "warn", "info"], "env": ["prod", "test", "a b"]}


def random_matcher(rng: random.Random) -> str:
    name = rng.choice(list(LABELS))
    value = rng.choice(LABELS[name])
    if rng.random() < 0.3:
        value = "|".join(rng.sample(LABELS[name], 2))
        return f'{name}{rng.choice(["=~", "!~"])}"{value}"'
    return f'{name}{rng.choice(["=", "!="])}"{value}"'


def random_routes(rng: random.Random, depth: int, names: list[str]) -> list[dict]:
    routes = []
    for _ in range(rng.randint(1, 3)):
        route = {"matchers": [random_matcher(rng) for _ in range(rng.randint(1, 2))]}
        if rng.random() < 0.7:
            names.append(f"r{len(names)}")
            route["receiver"] = names[-1]
        if rng.random() < 0.3:
            route["continue"] = True
        if depth > 0 and rng.random() < 0.5:
            route["routes"] = random_routes(rng, depth - 1, names)
        routes.append(route)
    return routes


def test_alerts_are_routed_as_amtool_routes_them(tmp_path):
    rng = random.Random(20261120)
    for _ in range(12):
        names = ["root"]
        tree = {"receiver": "root", "routes": random_routes(rng, 2, names)}
        config = {"route": tree, "receivers": [{"name": name} for name in names]}
        (tmp_path / "am.yml").write_text(json.dumps(config))
        for _ in range(8):
            labels = [f"{name}={value}" for name, values in LABELS.items() if (value := rng.choice(values))]
            arguments = ["test", "--config.file=am.yml", *labels]
            theirs = amtool(tmp_path, "config", "routes", *arguments)
            ours = run_petrel(tmp_path, "route", *arguments)
            assert ours.returncode == 0, ours.stderr
            # amtool has its log on stdout as well.
            expected = theirs.stdout.strip().splitlines()[-1]
            assert ours.stdout.strip() == expected, f"{json.dumps(config)}\n{labels}"


def test_the_routing_tree_prints_and_receivers_are_verified(tmp_path):
    (tmp_path / "am.yml").write_text(
        "route: {receiver: a, routes: [{matchers: [x=y], receiver: b, continue: true}, {match_re: {x: y|z}}]}\n"
        "receivers: [{name: a}, {name: b}]\n")
    theirs = amtool(tmp_path, "config", "routes", "show", "--config.file=am.yml").stdout
    assert run_petrel(tmp_path, "route", "show", "--config.file=am.yml").stdout.strip() == theirs.strip()
    good = run_petrel(tmp_path, "route", "test", "--config.file=am.yml", "--verify.receivers=b,a", "x=y")
    assert good.returncode == 0 and good.stdout == "b,a\n"
    bad = run_petrel(tmp_path, "route", "test", "--config.file=am.yml", "--verify.receivers=a", "x=y")
    assert bad.returncode == 1 and "did not match" in bad.stderr
    assert run_petrel(tmp_path, "route", "test", "x=y").returncode == 2


def test_a_receiver_that_petrel_cannot_reach_yet_is_refused_by_name(tmp_path):
    (tmp_path / "am.yml").write_text(
        "route: {receiver: chat}\nreceivers:\n- name: chat\n  slack_configs: [{api_url: 'http://s/', channel: c}]\n")
    checked = run_petrel(tmp_path, "check", "alertmanager", "am.yml")
    assert checked.returncode == 3
    assert 'receiver "chat" has only channels that are not built yet (slack_configs)' in checked.stderr
    started = run_petrel(tmp_path, "--alertmanager.config.file=am.yml", "--web.listen-address=127.0.0.1:1")
    assert started.returncode == 1 and "chat" in started.stderr and "slack_configs" in started.stderr
