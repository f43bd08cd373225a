"""The documents point at things that exist."""

import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
# A path from the root or from the page's folder, as in `src/tsdb/engine.h`.
PATH = re.compile(r"`((?:src|docs|tests|tools|bench|web|cmake)/[A-Za-z0-9_./-]+)`")


def documents() -> list[pathlib.Path]:
    names = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=ROOT,
                           capture_output=True, text=True, check=True).stdout.split()
    return [ROOT / name for name in names if (ROOT / name).exists()]


def test_every_link_leads_somewhere():
    broken = [f"{page.relative_to(ROOT)}: {target}" for page in documents()
              for target in LINK.findall(page.read_text()) if not (page.parent / target).exists()]
    assert broken == []


def test_every_path_that_is_named_exists():
    missing = [f"{page.relative_to(ROOT)}: {path}" for page in documents()
               for path in PATH.findall(page.read_text())
               if not (ROOT / path).exists() and not (page.parent / path).exists()]
    assert missing == []


def test_the_folder_table_is_the_layer_order():
    layers = re.findall(r"add_subdirectory\((\w+)\)", (ROOT / "src/CMakeLists.txt").read_text())
    table = re.findall(r"^\| `(\w+)` \|", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE)
    assert table == layers


def test_every_flag_in_the_documents_is_one_of_the_program(tmp_path):
    from conftest import run_petrel

    # A switch is shown as --[no-]name.
    shown = run_petrel(tmp_path, "--help").stdout.replace("[no-]", "")
    known = set(re.findall(r"--[a-z][a-z.-]+[a-z]", shown))
    pages = [ROOT / "README.md", ROOT / "docs/operations.md", ROOT / "docs/api.md"]
    named = {flag for page in pages for flag in re.findall(r"`?(--(?:web|storage|query|rules|config|alerting|alertmanager"
                                                           r"|collector|log|roles)[a-z.-]*[a-z])", page.read_text())}
    assert named - known == set()
