"""Runs the test suites and adds up their cases. Started by ./test.

A part that cannot run counts as one failed case and says why, and so does a case that
was skipped: a green result means that everything ran.
"""

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
REPORTS = ROOT / "build" / "test"
CORES = str(os.cpu_count() or 2)

# One hung test must not hang the run; the slowest suite takes well below a minute.
UNIT_TEST_SECONDS_MAX = 300
# The slowest black-box test waits for real alerts and restarts.
PART_SECONDS_MAX = 1500


@dataclasses.dataclass
class Tally:
    passed: int = 0
    failures: list[str] = dataclasses.field(default_factory=list)

    def add(self, other: "Tally") -> None:
        self.passed += other.passed
        self.failures += other.failures


def failed(reason: str) -> Tally:
    return Tally(failures=[reason])


def run(command: list[str], **options) -> int:
    """The exit status; output goes where ours goes."""
    sys.stdout.flush()
    try:
        return subprocess.run(command, cwd=ROOT, check=False, **options).returncode
    except subprocess.TimeoutExpired as timeout:
        print(f"{command[0]}: stopped after {timeout.timeout:.0f} s", flush=True)
        return 124


def build_dev() -> str | None:
    """What went wrong, if anything did."""
    if not (ROOT / "build/dev/build.ninja").exists():
        if run(["cmake", "--preset", "dev"], stdout=subprocess.DEVNULL):
            return "cmake --preset dev failed"
    log = REPORTS / "build-dev.log"
    with log.open("w") as output:
        status = run(["ninja", "-C", "build/dev", "-j", CORES, "-k", "0"], stdout=output, stderr=output)
    if status:
        lines = [line for line in log.read_text().splitlines() if not line.startswith("[")]
        print("\n".join(lines[-200:]))
        return "the dev build failed"
    return None


def build_release() -> str | None:
    if run(["./run", "--build-only"]):
        return "the release build failed"
    return None


# A doctest program ends with: [doctest] test cases:  4 |  4 passed | 0 failed | 0 skipped
DOCTEST_SUMMARY = re.compile(r"\[doctest\] test cases:\s*(\d+)\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed\s*\|\s*(\d+) skipped")


def count_ctest(report: pathlib.Path) -> Tally:
    tally = Tally()
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name = case.get("name")
        output = case.findtext("system-out") or ""
        ran = case.get("status") == "run"
        summary = DOCTEST_SUMMARY.search(output)
        if summary:
            _, passed, cases_failed, skipped = map(int, summary.groups())
            tally.passed += passed
            tally.failures += [f"unit: {name}: a case failed"] * cases_failed
            # Cases marked skip() are counted by doctest as skipped.
            tally.failures += [f"unit: {name}: a case was skipped"] * skipped
            if not ran and cases_failed == 0:
                tally.failures.append(f"unit: {name}: {case.get('status')} after its cases had passed")
        elif ran:
            tally.passed += 1
        else:
            tally.failures.append(f"unit: {name}: {case.get('status')}")
    return tally


def unit() -> Tally:
    problem = build_dev()
    if problem:
        return failed(f"unit: {problem}")
    report = REPORTS / "unit.xml"
    report.unlink(missing_ok=True)
    environment = dict(os.environ, UBSAN_OPTIONS="print_stacktrace=1", ASAN_OPTIONS="detect_stack_use_after_return=0")
    status = run(
        ["ctest", "--test-dir", "build/dev", "-j", CORES, "--output-on-failure", "--timeout", str(UNIT_TEST_SECONDS_MAX),
         "--output-junit", str(report), "--test-output-size-passed", "4000000", "--test-output-size-failed", "4000000"],
        env=environment, timeout=PART_SECONDS_MAX)
    if not report.exists():
        return failed(f"unit: ctest wrote no report (exit status {status})")
    tally = count_ctest(report)
    if status and not tally.failures:
        tally.failures.append(f"unit: ctest ended with status {status}")
    return tally


def count_pytest(report: pathlib.Path) -> Tally:
    tally = Tally()
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name = f"blackbox: {case.get('classname')}::{case.get('name')}"
        outcome = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        if outcome:
            tally.failures.append(f"{name}: {outcome[0]}")
        else:
            tally.passed += 1
    return tally


# The tests mostly wait for what they have started.
BLACKBOX_WORKERS = 4


def blackbox() -> Tally:
    problem = build_release()
    if problem:
        return failed(f"blackbox: {problem}")
    report = REPORTS / "blackbox.xml"
    report.unlink(missing_ok=True)
    status = run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=5", "-m", "not conformance",
                  "-n", str(BLACKBOX_WORKERS), "--dist", "loadfile",
                  f"--junitxml={report}", "tests"], timeout=PART_SECONDS_MAX)
    if not report.exists():
        return failed(f"blackbox: pytest wrote no report (exit status {status})")
    tally = count_pytest(report)
    if status and not tally.failures:
        tally.failures.append(f"blackbox: pytest ended with status {status}")
    return tally


TAP_COUNT = re.compile(r"^# (pass|fail|cancelled|skipped|todo) (\d+)$", re.MULTILINE)


def node_tests(part: str, files: list[pathlib.Path], cwd: pathlib.Path) -> Tally:
    if not files:
        return failed(f"{part}: there are no test files")
    if not shutil.which("node"):
        return failed(f"{part}: node is not installed")
    report = REPORTS / f"{part}.tap"
    report.unlink(missing_ok=True)
    environment = dict(os.environ)
    environment.setdefault("PETREL_BIN", str(ROOT / "build/release/petrel"))
    sys.stdout.flush()
    try:
        status = subprocess.run(
            ["node", "--test", "--test-reporter=spec", "--test-reporter-destination=stdout",
             "--test-reporter=tap", f"--test-reporter-destination={report}", *map(str, files)],
            cwd=cwd, env=environment, timeout=PART_SECONDS_MAX, check=False).returncode
    except subprocess.TimeoutExpired:
        status = 124
    counts = dict(TAP_COUNT.findall(report.read_text())) if report.exists() else {}
    if "pass" not in counts:
        return failed(f"{part}: node --test wrote no summary (exit status {status})")
    tally = Tally(passed=int(counts.pop("pass")))
    for outcome, count in counts.items():
        tally.failures += [f"{part}: a case ended as `{outcome}`, see above"] * int(count)
    if status and not tally.failures:
        tally.failures.append(f"{part}: node --test ended with status {status}")
    return tally


def find_tests(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path for path in folder.rglob("*.test.*")
                  if path.suffix in (".js", ".mjs", ".cjs") and "node_modules" not in path.parts)


def npm_ci(folder: pathlib.Path) -> str | None:
    """Installs what package-lock.json names, when it has changed since the last time."""
    lock, done = folder / "package-lock.json", folder / "node_modules/.petrel-test-lock"
    if not lock.exists() or done.exists() and done.read_text() == lock.read_text():
        return None
    if run(["npm", "ci", "--prefix", str(folder), "--no-audit", "--no-fund", "--loglevel=error"]):
        return "npm ci failed"
    done.write_text(lock.read_text())
    return None


def web() -> Tally:
    problem = build_release()
    if problem:
        return failed(f"web: {problem}")
    return node_tests("web", find_tests(ROOT / "web"), ROOT / "web")


def browser() -> Tally:
    problem = build_release()
    if problem:
        return failed(f"browser: {problem}")
    problem = npm_ci(ROOT / "tests/browser")
    if problem:
        return failed(f"browser: {problem}")
    return node_tests("browser", find_tests(ROOT / "tests/browser"), ROOT)


PARTS = {"unit": unit, "web": web, "blackbox": blackbox, "browser": browser}


def main() -> int:
    chosen = sys.argv[1:] or list(PARTS)
    unknown = [part for part in chosen if part not in PARTS]
    if unknown:
        print(f"test: unknown part {unknown[0]}; there are: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    REPORTS.mkdir(parents=True, exist_ok=True)
    total = Tally()
    for part in chosen:
        print(f"== {part}", flush=True)
        started = time.monotonic()
        try:
            tally = PARTS[part]()
        except Exception as error:  # a broken part must not hide the others' results
            tally = failed(f"{part}: {type(error).__name__}: {error}")
        total.add(tally)
        seconds = time.monotonic() - started
        print(f"== {part}: {tally.passed} passed, {len(tally.failures)} failed in {seconds:.0f} s", flush=True)
    for failure in total.failures:
        print(f"FAILED {failure}")
    print(f"{total.passed} passed, {len(total.failures)} failed")
    return 1 if total.failures or total.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
