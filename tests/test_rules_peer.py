"""Rule files: what promtool accepts Petrel accepts, what it refuses Petrel refuses."""

import pathlib
import random
import re
import subprocess

from conftest import BINARY, ROOT, program

# Values that a key of a rule file may be given, the good and the bad ones.
NAMES = ["A", "a:b", "x_1", "''", "5", "yes", "null", "'r{a=\"b\"}'", "[a]", "{a: b}"]
# (null is the metric of that name for promtool 2.42 and missing for Prometheus 3.)
EXPRESSIONS = ["up", "sum(rate(x[5m])) by (job)", "up ==", "'1 +'", "1", "''", "[up]", "up{a=~\"(\"}"]
DURATIONS = ["5m", "1h30m", "0s", "'0'", "5", "''", "null", "-5m", "1.5h", "5 m", "1m1h", "soon", "[5m]"]
# Promtool 2.42 does not know names in UTF-8 yet, which Prometheus 3 accepts.
LABELS = ["{}", "{a: b}", "{__name__: x}", "{a: 5}", "{a: null}", "[a]", "null", "{'': x}", "{a: [b]}", "x",
          "{a: '{{ $labels.x }}'}", "{a: '{{ $x }}'}", "{a: '{{ if }}'}", "{a: '{{ $value | humanize }}'}",
          "{a: '{{ $labels.x'}", "{a: '{{ nosuch $value }}'}", "{a: b, a: c}"]
LIMITS = ["10", "0", "-1", "'5'", "many", "1.5", "null", "0x10", "[1]"]
GROUP_KEYS = {"name": NAMES, "interval": DURATIONS, "limit": LIMITS}
RULE_KEYS = {"for": DURATIONS, "keep_firing_for": DURATIONS, "labels": LABELS, "annotations": LABELS}


def random_rule(rng: random.Random) -> str:
    members = {}
    kind = rng.random()
    if kind < 0.6:
        members["alert"] = rng.choice(NAMES[:3])
    elif kind < 0.9:
        members["record"] = rng.choice(NAMES[:3])
    elif kind < 0.95:
        members["alert"], members["record"] = "A", "r"
    members["expr"] = "up" if rng.random() < 0.8 else rng.choice(EXPRESSIONS)
    for key, values in RULE_KEYS.items():
        # Most recordings have none of the keys of alerts.
        wanted = 0.3 if "alert" in members or key == "labels" else 0.08
        if rng.random() < wanted:
            members[key] = values[0] if rng.random() < 0.75 else rng.choice(values)
    if rng.random() < 0.03:
        members[rng.choice(["fro", "expression", "severity"])] = "x"
    if rng.random() < 0.05:
        members.pop("expr")
    return "{" + ", ".join(f"{key}: {value}" for key, value in members.items()) + "}"


def random_file(rng: random.Random) -> str:
    text = "groups:\n"
    for i in range(rng.randint(1, 3)):
        text += f"- name: {f'g{i}' if rng.random() < 0.95 else rng.choice(NAMES)}\n"
        for key, values in GROUP_KEYS.items():
            if key != "name" and rng.random() < 0.15:
                text += f"  {key}: {values[0] if rng.random() < 0.6 else rng.choice(values)}\n"
        text += "  rules:\n" + "".join(f"  - {random_rule(rng)}\n" for _ in range(rng.randint(1, 2)))
    return text


def verdicts(folder: pathlib.Path, path: pathlib.Path):
    theirs = subprocess.run([program("promtool"), "check", "rules", "--lint=none", str(path)], cwd=folder,
                            capture_output=True, text=True, check=False)
    ours = subprocess.run([str(BINARY), "check", "rules", "--lint=none", str(path)], cwd=folder, capture_output=True,
                          text=True, check=False)
    return theirs, ours


def test_generated_rule_files_get_promtools_verdict(tmp_path):
    rng = random.Random(20261120)
    good = 0
    differences = []
    for _ in range(250):
        text = random_file(rng)
        (tmp_path / "rules.yml").write_text(text)
        theirs, ours = verdicts(tmp_path, tmp_path / "rules.yml")
        good += theirs.returncode == 0
        if (theirs.returncode == 0) != (ours.returncode == 0):
            differences.append(f"{text}promtool: {theirs.stderr}\npetrel: {ours.stderr}")
        if ours.returncode != 0:
            assert re.search(r"rules\.yml:\d+:\d+: ", ours.stderr), ours.stderr
    assert 30 < good < 220, "both kinds are generated"
    assert not differences, f"{len(differences)} differ\n" + "\n----\n".join(differences)


# Good for Prometheus 3, not yet for promtool 2.42.
LATER = {"utf-8_annotation.good.yaml", "utf-8_lname.good.yaml"}


def test_prometheus_own_fixtures_get_promtools_verdict(tmp_path):
    paths = sorted((ROOT / "src/rules/testdata/rules").iterdir())
    assert len(paths) > 20
    for path in paths:
        theirs, ours = verdicts(tmp_path, path)
        expected = 0 if path.name in LATER else theirs.returncode
        assert (expected == 0) == (ours.returncode == 0), f"{path.name}: {theirs.stderr} {ours.stderr}"
