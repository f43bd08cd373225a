"""`petrel check metrics`: lint with promtool's texts and exit codes, and the verdict of the
OpenMetrics specification."""

import json
import subprocess

import pytest

from conftest import BINARY, ROOT

CASES = ROOT / "src" / "ingest" / "testdata" / "openmetrics"


def check(*arguments, text=b""):
    return subprocess.run([BINARY, "check", "metrics", *arguments], input=text, capture_output=True, timeout=30)


def test_lint_problems_and_exit_codes():
    good = b"# HELP a_total x\n# TYPE a_total counter\na_total 1\n"
    fine = check(text=good)
    assert (fine.returncode, fine.stdout, fine.stderr) == (0, b"", b"")
    lint = check(text=b"# TYPE a counter\na 1\n")
    assert lint.returncode == 3
    assert lint.stderr.decode().splitlines() == [
        'a counter metrics should have "_total" suffix', "a no help text"]
    broken = check(text=b"a 1\nb x\n")
    assert broken.returncode == 1
    assert 'line 2, column 3: expected a number, found "x"' in broken.stderr.decode()
    assert check("--nonsense").returncode == 2
    table = check("--extended", text=good)
    assert table.returncode == 0
    assert [line.split() for line in table.stdout.decode().splitlines()] == [
        ["Metric", "Cardinality", "Percentage"], ["a_total", "1", "100.00%"],
        ["Total", "1", "100%"]]


@pytest.mark.parametrize("verdict", ["good", "bad"])
def test_openmetrics_cases(verdict):
    # All of them are judged by a unit test; this is about the command.
    files = sorted((CASES / verdict).iterdir())[::8]
    assert files
    for file in files:
        result = check("--format=openmetrics", text=file.read_bytes())
        assert result.returncode == (0 if verdict == "good" else 1), (file.name, result.stderr)
        if verdict == "bad":
            assert b"line " in result.stderr and b"column " in result.stderr


@pytest.mark.conformance
def test_openmetrics_cases_beside_the_checkout():
    folder = ROOT.parent / "shared" / "data" / "openmetrics"
    assert folder.is_dir(), f"the public cases are not at {folder}"
    for case in sorted(folder.iterdir()):
        should_parse = json.loads((case / "test.json").read_text())["shouldParse"]
        result = check("--format=openmetrics", str(case / "metrics"))
        assert result.returncode == (0 if should_parse else 1), (case.name, result.stderr)
