#!/usr/bin/env python3
"""Style as a test: what add_module() in cmake/module.cmake cannot see.

add_module() already makes an include of a higher layer fail to compile. This reports
relative includes, headers banned from the tree, and libraries outside the folder that
wraps them; any of these fails. Functions over 70 lines and files over 800 are printed as
notes and fail nothing.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Library header prefix -> the folders of src/ that may include it, in .cc files only.
# One folder per library keeps it replaceable and its compile time paid once.
HOMES = {
    "boost/": {"net"},
    "openssl/": {"net", "alerting", "core", "model", "config"},
    "curl/": {"net"},
    "zlib.h": {"net", "ingest"},
    "brotli/": {"net"},
    "libdeflate.h": {"net"},
    "sqlite3.h": {"alertstore"},
    "simdjson.h": {"core"},
    "yaml-cpp/": {"core"},
    "re2/": {"model", "promql", "templates", "config", "agent"},
    "snappy": {"ingest", "agent", "promtsdb"},
    "zstd.h": {"ingest", "pipeline", "promtsdb", "tsdb"},
    "xxhash.h": {"model", "pipeline", "promql", "scrape", "tsdb"},
    "CLI/": {"app"},
    "jemalloc/": {"app"},
    "mimalloc": {"app"},
    "doctest/": set(),
    "google/protobuf/": set(),
    "librdkafka/": {"pipeline"},
    "zookeeper/": {"discovery"},
}
# Cheap to include and inlined on hot paths: allowed in the home folder's headers too.
HEADER_ONLY = {"xxhash.h"}

BANNED = {
    "regex": "RE2, through model/matcher.h",
    "iostream": "core/log.h",
    "format": "fmt",
    "coroutine": "the fibers of net: g++ 12 miscompiles coroutines",
}
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')
TEST_SUFFIXES = ("_test.cc", "_fuzz.cc", "_bench.cc")

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 800


def is_test(path: pathlib.Path) -> bool:
    return path.name.endswith(TEST_SUFFIXES) or "testing" in path.parts


def include_problems(path: pathlib.Path, text: str):
    module = path.relative_to(ROOT / "src").parts[0]
    for number, line in enumerate(text.splitlines(), start=1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quote, header = match.groups()
        where = f"{path.relative_to(ROOT)}:{number}"
        if quote == '"' and ("/" not in header or header.startswith(".")):
            yield f'{where}: "{header}": write the full path, as in "{module}/{pathlib.PurePath(header).name}"'
        if quote == "<" and header in BANNED:
            yield f"{where}: <{header}> is not used here; use {BANNED[header]}"
        for prefix, homes in HOMES.items():
            if not header.startswith(prefix):
                continue
            if prefix == "doctest/" and is_test(path):
                continue
            if module not in homes:
                names = ", ".join(f"src/{home}" for home in sorted(homes)) or "tests"
                yield f"{where}: <{header}> belongs in {names}"
            elif path.suffix == ".h" and prefix not in HEADER_ONLY and not is_private_header(path):
                yield f"{where}: <{header}> belongs in a .cc file: headers stay light"


def is_private_header(path: pathlib.Path) -> bool:
    """A header that no other folder includes may name its library."""
    return path.stem.endswith("_impl")


# A definition starts in the first column and ends at the first line that is "}". Good
# enough for code that clang-format has laid out.
DEFINITION = re.compile(r"^[A-Za-z_~].*[({,]$|^[A-Za-z_~].*\) .*\{$")


def notes(path: pathlib.Path, text: str):
    lines = text.splitlines()
    name = path.relative_to(ROOT)
    if len(lines) > FILE_LINES_MAX:
        yield f"{name}: {len(lines)} lines"
    start = None
    for number, line in enumerate(lines, start=1):
        if start is None and DEFINITION.match(line) and not line.startswith(("namespace", "class", "struct", "enum", "TEST_CASE")):
            start = number
        if line in ("}", "};") and start is not None:
            length = number - start + 1
            if line == "}" and length > FUNCTION_LINES_MAX:
                yield f"{name}:{start}: function of {length} lines"
            start = None
        elif line.startswith("}") or (start is not None and line.endswith(";") and not line.startswith((" ", "\t"))):
            start = None


def main() -> int:
    problems, remarks = [], []
    for path in sorted((ROOT / "src").rglob("*")):
        if path.suffix not in {".h", ".cc"}:
            continue
        text = path.read_text(encoding="utf-8")
        problems += include_problems(path, text)
        remarks += notes(path, text)
    for remark in remarks:
        print(f"note: {remark}")
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
