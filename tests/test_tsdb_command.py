"""petrel tsdb on a data directory: looks, checks, copies out, repairs, merges."""

import json
import pathlib
import re

import pytest

from conftest import run_petrel
from stored import QUIET, SERIES, STEP_MS, admin, fill, labels, later, value

ADMIN = (*QUIET, "--web.enable-admin-api", "--query.lookback-delta=1s")
SAMPLES = SERIES * (8 * 12 + 1)


@pytest.fixture
def stored(petrel, tmp_path):
    """A data directory with blocks and, in the log only, two samples more; first and last time."""
    server = petrel(*ADMIN)
    begin, end = fill(server)
    assert admin(server, "flush").status == 200
    assert server.write([({"__name__": "odd.name", "path": 'a"b\\c\nd'}, [(later(end), 1e6), (later(end) + 1, -0.25)])]
                        ).status in (200, 204)
    server.stop()
    return server.folder / "data", begin, end


def tsdb(tmp_path: pathlib.Path, *arguments):
    return run_petrel(tmp_path, "tsdb", *map(str, arguments))


def test_usage_and_wrong_directories(tmp_path):
    assert tsdb(tmp_path).returncode == 2
    outcome = tsdb(tmp_path, "nothing")
    assert outcome.returncode == 2 and 'nothing is called "nothing"' in outcome.stderr
    for command in ("list", "analyze", "verify", "dump", "dump-openmetrics", "repair", "compact"):
        assert tsdb(tmp_path, command, "--help").returncode == 0
        outcome = tsdb(tmp_path, command, "none")
        assert outcome.returncode == 1 and "none: no such directory" in outcome.stderr
        assert tsdb(tmp_path, command, "--wrong").returncode == 2
        outcome = tsdb(tmp_path, command, __file__)
        assert outcome.returncode == 1 and f"{__file__}: not a directory" in outcome.stderr
        outcome = tsdb(tmp_path, command, ".", "one", "two")
        assert outcome.returncode == 2 and f"see petrel tsdb {command} --help" in outcome.stderr
        assert "[DIR]" in tsdb(tmp_path, command, "--help").stdout
    for arguments, text in [(("dump", "--min-time=x"), "--min-time: x: expected milliseconds since 1970"),
                            (("dump", "--min-time=10", "--max-time=5"), "--min-time 10 is after --max-time 5"),
                            (("analyze", "--limit=-1"), "--limit: -1: expected a number of items")]:
        outcome = tsdb(tmp_path, *arguments, ".")
        assert outcome.returncode == 2 and text in outcome.stderr, outcome.stderr
    (tmp_path / "wal").mkdir()
    outcome = tsdb(tmp_path, "list", ".")
    assert outcome.returncode == 1 and "it looks like data of Prometheus" in outcome.stderr
    assert not (tmp_path / "lock").exists(), "a directory without data is left alone"


def test_list_shows_every_block(tmp_path, stored):
    data, begin, end = stored
    outcome = tsdb(tmp_path, "list", "--json", data)
    assert outcome.returncode == 0, outcome.stderr
    blocks = json.loads(outcome.stdout)
    assert sum(one["numSamples"] for one in blocks) == SAMPLES
    for one in blocks:
        assert one["tenant"] == "default" and one["level"] == 1 and one["damage"] == "" and one["tombstones"] == 0
        assert one["size"] == (data / "blocks" / (one["block"] + ".block")).stat().st_size
    lines = tsdb(tmp_path, "list", data).stdout.splitlines()
    assert lines[0].split() == ["BLOCK", "TENANT", "LEVEL", "MIN", "TIME", "MAX", "TIME", "DURATION", "NUM", "SAMPLES",
                                "NUM", "SERIES", "SIZE", "BYTES/SAMPLE", "TOMBSTONES", "STATE"]
    assert len(lines) == len(blocks) + 1 and all(line.endswith("ok") for line in lines[1:])
    human = tsdb(tmp_path, "list", "-r", data).stdout.splitlines()
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d .* (B|KiB) ", human[1])


def test_analyze_shows_cardinality_and_bytes(tmp_path, stored):
    data, *_ = stored
    outcome = tsdb(tmp_path, "analyze", data)
    assert outcome.returncode == 0, outcome.stderr
    for line in ("Total Series: 6", "Label names: 3", "Postings (unique label pairs): 6",
                 "Postings entries (total label pairs): 18"):
        assert f"\n{line}\n" in outcome.stdout
    assert "\nHighest cardinality labels:\n3 host\n2 __name__\n1 job\n" in outcome.stdout
    assert "\nHighest cardinality metric names:\n3 cpu_load\n3 mem_used\n" in outcome.stdout
    assert "\nMost common label pairs:\n6 job=node\n" in outcome.stdout
    assert re.search(r"^Bytes per sample: \d+\.\d+ \(samples \d+\.\d+, index and the rest \d+\.\d+\)$",
                     outcome.stdout, re.M)
    assert re.search(r"^Bytes per timestamp: \d+\.\d+ \(in chunks \d+\.\d+, columns that series share \d+\.\d+\)$",
                     outcome.stdout, re.M)
    assert re.search(r"^Bytes per value: \d+\.\d+$", outcome.stdout, re.M)
    assert "\nValues stored as raw bits (fallback): 0.0% of the samples, 0.0% of the bytes of values\n" in outcome.stdout
    kinds = outcome.stdout.split("\nValues by kind", 1)[1].splitlines()[1:]
    assert kinds[0].split()[:5] == ["KIND", "SERIES", "CHUNKS", "SAMPLES", "BYTES"]
    rows = [re.match(r"(\D+?) +(\d+) +(\d+) +(\d+) +(\d+) ", line) for line in kinds[1:]]
    assert all(row[1].startswith("decimal ") for row in rows) and sum(int(row[2]) for row in rows) >= SERIES
    found = int(re.search(r"^Samples: (\d+),", outcome.stdout, re.M)[1])
    assert sum(int(row[4]) for row in rows) == found
    first = sorted((data / "blocks").glob("*.block"))[0].stem
    one = tsdb(tmp_path, "analyze", "--match=cpu_load", "--limit=1", data, first).stdout
    assert one.startswith(f"Block ID: {first}\n") and "Total Series: 3" in one
    assert "Most common label pairs:\n3 __name__=cpu_load\n\n" in one
    outcome = tsdb(tmp_path, "analyze", data, "77")
    assert outcome.returncode == 1 and "there is no block 77" in outcome.stderr


def test_list_and_verify_work_beside_a_server_and_dump_says_what_to_do(petrel, tmp_path):
    server = petrel(*ADMIN)
    fill(server)
    admin(server, "flush")
    data = server.folder / "data"
    assert tsdb(tmp_path, "list", data).returncode == 0
    verified = tsdb(tmp_path, "verify", data)
    assert verified.returncode == 0 and "the log is left out" in verified.stdout
    for command in ("dump", "compact"):
        outcome = tsdb(tmp_path, command, data)
        assert outcome.returncode == 1 and outcome.stdout == ""
        assert str(server.pid) in outcome.stderr and "has to be stopped first" in outcome.stderr
    name = admin(server, "snapshot").json()["data"]["name"]
    dumped = tsdb(tmp_path, "dump", data / "snapshots" / name)
    assert dumped.returncode == 0 and len(dumped.stdout.splitlines()) == SAMPLES


def test_dump_writes_every_sample(tmp_path, stored):
    data, begin, end = stored
    before = sorted(one.name for one in data.rglob("*"))
    outcome = tsdb(tmp_path, "dump", data)
    assert outcome.returncode == 0 and outcome.stderr == ""
    expected = []
    for i in range(SERIES):
        text = ", ".join(f'{name}="{text}"' for name, text in sorted(labels(i).items()))
        expected += [f"{{{text}}} {value(i, t):g} {t}" for t in range(begin, end + 1, STEP_MS)]
    odd = '{__name__="odd.name", path="a\\"b\\\\c\\nd"}'
    expected += [f"{odd} 1e+06 {later(end)}", f"{odd} -0.25 {later(end) + 1}"]
    assert sorted(outcome.stdout.splitlines()) == sorted(expected)
    assert sorted(one.name for one in data.rglob("*")) == before, "a dump changes nothing"

    one = tsdb(tmp_path, "dump", "--match", 'cpu_load{host="host1"}', f"--min-time={begin}",
               f"--max-time={begin + STEP_MS}", "--match={host=~'host[12]',__name__='cpu_load'}", data)
    assert len(one.stdout.splitlines()) == 4, "two series, each once, two samples each"
    outcome = tsdb(tmp_path, "dump", "--tenant=nobody", data)
    assert outcome.returncode == 1 and "there is no data of tenant nobody; there is of: default" in outcome.stderr
    outcome = tsdb(tmp_path, "dump", "--match=up{", data)
    assert outcome.returncode == 2 and "unexpected end of input inside braces" in outcome.stderr


def test_dump_says_what_is_damaged(tmp_path, stored):
    data, *_ = stored
    whole = tsdb(tmp_path, "dump", data).stdout
    flip(data / "manifest", 40)
    outcome = tsdb(tmp_path, "dump", data)
    assert outcome.returncode == 1 and outcome.stdout == whole
    assert outcome.stderr.splitlines()[0].startswith(f"warning: {data}/manifest: manifest of ")
    assert all(line.startswith("warning: ") for line in outcome.stderr.splitlines())


def test_dump_as_openmetrics_and_json(tmp_path, stored):
    data, begin, end = stored
    text = tsdb(tmp_path, "dump-openmetrics", "--match=cpu_load", data).stdout
    assert text.endswith("# EOF\n")
    assert f'cpu_load{{host="host0", job="node"}} {value(1, begin):g} {begin // 1000}.{begin % 1000:03}' in text
    assert text == tsdb(tmp_path, "dump", "--format=openmetrics", "--match=cpu_load", data).stdout
    lines = tsdb(tmp_path, "dump", "--format=json", data).stdout.splitlines()
    series = [json.loads(line) for line in lines]
    assert len(series) == SERIES + 1
    assert sum(len(one["values"]) for one in series) == SAMPLES + 2
    odd = [one for one in series if one["metric"]["__name__"] == "odd.name"]
    assert odd == [{"metric": {"__name__": "odd.name", "path": 'a"b\\c\nd'}, "values": ["1000000", "-0.25"],
                    "timestamps": [later(end), later(end) + 1]}]


def test_verify_is_content_with_what_a_server_left(tmp_path, stored):
    outcome = tsdb(tmp_path, "verify", stored[0])
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert f"{SAMPLES} samples" in outcome.stdout and outcome.stdout.endswith("all good\n")


def flip(path: pathlib.Path, offset: int):
    content = bytearray(path.read_bytes())
    content[offset] ^= 0x10
    path.write_bytes(content)


def damages(tmp_path, data) -> list[dict]:
    outcome = tsdb(tmp_path, "verify", "--json", data)
    assert outcome.returncode == 1, outcome.stdout
    found = json.loads(outcome.stdout)["damages"]
    text = tsdb(tmp_path, "verify", data).stdout
    for one in found:
        assert f"DAMAGED: {one['file']}: byte {one['offset']}: {one['what']}\n  costs: {one['cost']}\n" in text
    return found


def test_verify_names_a_damaged_block_by_file_and_byte(tmp_path, stored):
    data, *_ = stored
    block = sorted((data / "blocks").glob("*.block"))[1]
    size = block.stat().st_size
    flip(block, 100)
    found = damages(tmp_path, data)
    assert [one["file"] for one in found] == [str(block)]
    assert found[0]["offset"] <= 100 and "tenant default" in found[0]["cost"]
    flip(block, 100)
    flip(block, size - 1)
    assert [one["file"] for one in damages(tmp_path, data)] == [str(block)]
    flip(block, size - 1)
    with block.open("r+b") as file:
        file.truncate(size - 5)
    found = damages(tmp_path, data)
    assert (found[0]["file"], found[0]["offset"]) == (str(block), size - 5)
    assert f"the file has {size - 5} bytes, the manifest says {size}" in found[0]["what"]
    block.unlink()
    assert "the file is missing" in damages(tmp_path, data)[0]["what"]
    kept = tsdb(tmp_path, "repair", data)
    assert f"{block}: the file is missing; it stays in the manifest" in kept.stdout
    assert "the file is missing" in damages(tmp_path, data)[0]["what"]


def test_damage_that_costs_nothing_says_so(tmp_path, stored):
    data, *_ = stored
    block = sorted((data / "blocks").glob("*.block"))[1]
    flip(block, block.stat().st_size - 48 - 5)  # what the block says of itself
    [found] = damages(tmp_path, data)
    assert "meta of" in found["what"] and found["cost"].startswith("nothing: the manifest")


def test_a_log_that_is_gone_is_missed(tmp_path, stored):
    data, *_ = stored
    for segment in (data / "log").glob("*.log"):
        segment.unlink()
    assert any(one["file"] == str(data / "log") for one in damages(tmp_path, data))


def test_blocks_without_a_manifest_are_not_an_empty_directory(tmp_path, stored):
    data, *_ = stored
    (data / "manifest").unlink()
    for command in ("list", "analyze", "compact"):
        outcome = tsdb(tmp_path, command, data)
        assert outcome.returncode == 1 and f"{data}/manifest: the file is missing" in outcome.stderr
        assert "petrel tsdb repair makes a new one" in outcome.stderr


def test_verify_names_other_damaged_files(tmp_path, stored):
    data, *_ = stored
    manifest = data / "manifest"
    for path in (next(data.glob("series_snapshot-*")), manifest):
        flip(path, path.stat().st_size // 2)
        found = damages(tmp_path, data)
        assert str(path) in [one["file"] for one in found]
        flip(path, path.stat().st_size // 2)
    # The first record of the segment with the samples that are in the log only.
    for segment in sorted((data / "log").glob("*.log")):
        content = segment.read_bytes()
        at = content.find(b"odd.name")
        if at < 0:
            continue
        flip(segment, at)
        found = damages(tmp_path, data)
        assert found[0]["file"] == str(segment) and 24 <= found[0]["offset"] <= at
        flip(segment, at)
        flip(segment, 3)
        found = damages(tmp_path, data)
        assert (found[0]["file"], found[0]["offset"]) == (str(segment), 0)
        break
    else:
        pytest.fail("no segment has the late samples")


def test_repair_sets_aside_and_makes_anew(petrel, tmp_path, stored):
    data, begin, end = stored
    before = sorted(tsdb(tmp_path, "dump", data).stdout.splitlines())
    assert tsdb(tmp_path, "repair", data).stdout == "nothing to repair\n"
    # A block whose index cannot be read.
    block = sorted((data / "blocks").glob("*.block"))[1]
    content = block.read_bytes()
    flip(block, len(content) - 1)
    told = tsdb(tmp_path, "repair", "--dry-run", data)
    assert told.returncode == 0 and f"{block}: set aside: " in told.stdout and block.exists()
    assert tsdb(tmp_path, "repair", data).stdout == told.stdout
    assert not block.exists() and block.with_name(block.name + ".damaged").stat().st_size == len(content)
    assert tsdb(tmp_path, "verify", data).returncode == 0
    server = petrel(*ADMIN, f"--storage.tsdb.path={data}")
    answer = server.call("/api/v1/query_range", query="cpu_load", start=begin / 1000, end=end / 1000, step=300).json()
    assert any(f"{block.name} was damaged and set aside" in one for one in answer["warnings"])
    server.stop()
    left = sorted(tsdb(tmp_path, "dump", data).stdout.splitlines())
    assert left and len(left) < len(before) and set(left) < set(before)
    # Neither the manifest nor its copy.
    for path in (data / "manifest", data / "manifest.copy"):
        flip(path, 40)
    outcome = tsdb(tmp_path, "repair", data)
    assert outcome.returncode == 0 and "manifest: made anew with" in outcome.stdout
    assert tsdb(tmp_path, "verify", data).returncode == 0
    # Without a manifest the log is read from its beginning, which may know more.
    assert set(left) <= set(tsdb(tmp_path, "dump", data).stdout.splitlines()) <= set(before)


def test_compact_merges_and_keeps_every_sample(petrel, tmp_path, stored):
    data, begin, end = stored
    before = sorted(tsdb(tmp_path, "dump", data).stdout.splitlines())
    outcome = tsdb(tmp_path, "compact", "--max-block-duration=4h", data)
    if "not built" in outcome.stderr:
        pytest.skip(outcome.stderr)
    assert outcome.returncode == 0, outcome.stderr
    assert int(re.match(r"(\d+) merges: ", outcome.stdout)[1]) > 0
    assert sorted(tsdb(tmp_path, "dump", data).stdout.splitlines()) == before
    assert tsdb(tmp_path, "verify", data).returncode == 0
    assert tsdb(tmp_path, "compact", "--max-block-duration=4h", data).stdout.startswith("0 merges")
