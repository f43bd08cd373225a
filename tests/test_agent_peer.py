"""`petrel agent` in node_exporter's place: the same flags, the same series, types and help
texts, and values that agree; on this host and on the fixture tree of src/agent/testdata/host,
which has what this host lacks.

Accepted differences stand in docs/agent.md, in the table below "Differences"; the tests read it."""

import gzip
import re
import subprocess

import pytest

from agent import Agent, is_accepted
from conftest import ROOT, NodeExporter, program, run_petrel, wait_for
from test_host_collector import UPSTREAM_MOUNTS, parse_exposition, without_empty_labels

FIXTURE = ROOT / "src/agent/testdata/host"

# What both have; Debian's node_exporter 1.5.0 lacks kernel_hung, softirqs and watchdog.
COLLECTORS = ["arp", "bonding", "btrfs", "buddyinfo", "cgroups", "conntrack", "cpu", "cpufreq", "diskstats", "dmi",
              "edac", "entropy", "filefd", "filesystem", "hwmon", "interrupts", "ksmd", "loadavg", "mdadm",
              "meminfo", "netclass", "netdev", "netstat", "nfs", "nfsd", "nvme", "os", "powersupplyclass",
              "pressure", "processes", "rapl", "schedstat", "selinux", "sockstat", "softnet", "stat", "systemd",
              "tapestats", "tcpstat", "textfile", "thermal_zone", "time", "timex", "udp_queues", "uname", "vmstat",
              "xfs", "zfs"]
# Of the host itself, whatever --path.* says.
HOST_ONLY = {"filesystem", "netdev", "os", "selinux", "systemd", "tcpstat", "time", "timex", "uname"}

# Debian changes these defaults; here both get upstream's.
SETTINGS = [f"--collector.filesystem.mount-points-exclude={UPSTREAM_MOUNTS}", "--collector.netdev.device-exclude=",
            "--collector.cpu.info", "--collector.stat.softirq", "--web.disable-exporter-metrics",
            "--collector.disable-defaults"]


class Exporter(NodeExporter):
    def __init__(self, folder, flags):
        super().__init__(folder)
        self.flags = flags

    def command(self):
        return [program("prometheus-node-exporter"), f"--web.listen-address=127.0.0.1:{self.port}", *self.flags]


def both(start, tmp_path, flags):
    return start(Agent(tmp_path / "agent", *flags)), start(Exporter(tmp_path / "exporter", flags))


def scrape(server):
    samples, descriptions = parse_exposition(server.call("/metrics").text)
    return without_empty_labels(samples), descriptions


def differences_of_series(ours, theirs) -> dict[str, list[str]]:
    def shown(keys, kind):
        return sorted(f"{name}{dict(labels)}" for name, labels in keys if not is_accepted(name, labels, kind))

    return {"only Petrel": shown(set(ours) - set(theirs), "only Petrel"),
            "only node_exporter": shown(set(theirs) - set(ours), "only node_exporter")}


def check_descriptions(ours, theirs):
    wrong = {name: (ours[name], theirs[name]) for name in set(ours) & set(theirs) if ours[name] != theirs[name]}
    assert wrong == {}, "types and help texts"


def test_on_this_host_series_types_help_and_values_agree(start, tmp_path):
    textfiles = tmp_path / "textfiles"
    textfiles.mkdir()
    (textfiles / "backup.prom").write_text("# HELP backup_size_bytes Size.\n# TYPE backup_size_bytes gauge\n"
                                           'backup_size_bytes{db="a"} 12.5\nbackup_untyped 7\n')
    flags = [*SETTINGS, f"--collector.textfile.directory={textfiles}", *(f"--collector.{name}" for name in COLLECTORS)]
    agent, exporter = both(start, tmp_path, flags)
    found, unequal, compared = {}, None, set()
    # Mounts, interfaces and processes come and go between two scrapes, and values move: what
    # differs must differ every time.
    for _ in range(12):
        before, _ = scrape(exporter)
        ours, our_descriptions = scrape(agent)
        after, their_descriptions = scrape(exporter)
        theirs = {key: value for key, value in before.items() if key in after}
        found = differences_of_series({key: value for key, value in ours.items()},
                                      {**theirs, **{key: value for key, value in after.items() if key in ours}})
        wrong = set()
        for key in set(ours) & set(theirs):
            compared.add(key)
            if is_accepted(*key, "value"):
                continue
            low, high = sorted((before[key], after[key]))
            slack = 1e-9 * abs(high)
            if not low - slack <= ours[key] <= high + slack:
                wrong.add(key)
        unequal = wrong if unequal is None else unequal & wrong
        if not unequal and not any(found.values()):
            break
    assert found == {"only Petrel": [], "only node_exporter": []}
    assert unequal == set()
    check_descriptions(our_descriptions, their_descriptions)
    assert len(compared) > 300
    assert len({name for name, _ in compared}) > 150


def test_on_the_fixture_tree_series_types_help_and_values_are_the_same(start, tmp_path):
    names = [name for name in COLLECTORS if name not in HOST_ONLY]
    flags = [*SETTINGS, f"--path.procfs={FIXTURE}/proc", f"--path.sysfs={FIXTURE}/sys",
             f"--path.udev.data={FIXTURE}/udev", f"--collector.textfile.directory={FIXTURE}/textfile",
             *(f"--collector.{name}" for name in names)]
    agent, exporter = both(start, tmp_path, flags)
    ours, our_descriptions = scrape(agent)
    theirs, their_descriptions = scrape(exporter)
    assert differences_of_series(ours, theirs) == {"only Petrel": [], "only node_exporter": []}
    check_descriptions(our_descriptions, their_descriptions)
    wrong = {key: (ours[key], theirs[key]) for key in set(ours) & set(theirs)
             if abs(ours[key] - theirs[key]) > 1e-9 * abs(theirs[key]) and not is_accepted(*key, "value")}
    assert wrong == {}
    successes = {dict(labels)["collector"]: value for (name, labels), value in ours.items()
                 if name == "node_scrape_collector_success"}
    assert {name for name, value in successes.items() if value != 1} == set()
    families = {name.split("_")[1] for name, _ in set(ours) & set(theirs)}
    assert families >= {"arp", "bonding", "btrfs", "cooling", "cpu", "disk", "dmi", "edac", "entropy", "hwmon",
                        "interrupts", "ksmd", "md", "nf", "nfs", "nfsd", "nvme", "power", "pressure", "processes",
                        "rapl", "schedstat", "softnet", "tape", "thermal", "udp", "xfs", "zfs"}


@pytest.fixture
def agent(start, tmp_path):
    return start(Agent(tmp_path / "agent"))


def test_it_serves_a_landing_page_and_both_formats_packed_when_asked(agent):
    page = agent.call("/")
    assert page.status == 200 and 'href="/metrics"' in page.text
    text = agent.call("/metrics")
    assert text.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    for name in ("node_load1", "process_cpu_seconds_total", "process_open_fds", "process_max_fds",
                 "process_virtual_memory_max_bytes", "petrel_build_info{", "node_exporter_build_info{"):
        assert f"\n{name}" in text.text, name
    packed = agent.call("/metrics", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert b"\nnode_load1 " in gzip.decompress(packed.body)
    openly = agent.call("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0,*/*;q=0.1"})
    assert openly.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert openly.text.endswith("# EOF\n")
    assert "\n# TYPE node_forks counter\nnode_forks_total " in openly.text
    assert agent.call("/nothing").status == 404
    assert agent.call("/metrics", data=b"x").status == 405


def test_promtool_finds_its_text_valid(agent):
    done = subprocess.run([program("promtool"), "check", "metrics"], input=agent.call("/metrics").body,
                          capture_output=True, check=False)
    # Lint is about names, which are node_exporter's; a parse error has status 1.
    assert done.returncode in (0, 3), done.stderr


def test_collect_selects_collectors(agent):
    some = agent.call("/metrics?collect[]=loadavg&collect[]=stat").text
    assert "\nnode_load1 " in some and "\nnode_forks_total " in some and "node_memory_" not in some
    assert "node_memory_" not in agent.call("/metrics?exclude[]=meminfo").text
    refused = agent.call("/metrics?collect[]=nonsense")
    assert refused.status == 400 and "nonsense" in refused.text


def test_flags_of_node_exporter_act(start, tmp_path):
    agent = start(Agent(tmp_path / "agent", "--web.telemetry-path=/host", "--no-collector.meminfo",
                        "--collector.ksmd", "--collector.netdev.device-include=^lo$",
                        "--web.disable-exporter-metrics", "--web.max-requests=5", "--collector.ntp",
                        "--collector.ntp.server=127.0.0.1", "--collector.systemd.unit-whitelist=ssh.*"))
    assert agent.call("/metrics").status == 404
    text = agent.call("/host").text
    assert "node_memory_" not in text and "process_" not in text.replace("node_processes", "")
    assert set(re.findall(r'^node_network_receive_bytes_total{device="([^"]+)"}', text, re.M)) == {"lo"}
    assert 'collector="ksmd"' in text
    assert "--collector.ntp: not built" in agent.log()
    assert "--collector.ntp.server: not built" in agent.log()


@pytest.mark.parametrize("flags, message", [
    (["--collector.nonsense"], "unknown flag --collector.nonsense"),
    (["--collector.netdev.device-exclude=("], "--collector.netdev.device-exclude=(: expected a regular expression"),
    (["--collector.netdev.device-exclude=a", "--collector.netdev.device-include=b"], "exclude each other"),
    (["--web.config.file=web.yml"], "--web.config.file=web.yml: TLS and authentication"),
    (["--web.telemetry-path=metrics"], "--web.telemetry-path=metrics: expected a leading slash"),
])
def test_wrong_flags_are_refused_by_name(tmp_path, flags, message):
    done = run_petrel(tmp_path, "agent", "--web.listen-address=127.0.0.1:0", *flags)
    assert done.returncode != 0
    assert message in done.stderr


def test_petrel_scrapes_nothing_it_cannot_read_back(start, tmp_path):
    """A text file that goes bad takes only itself away."""
    folder = tmp_path / "textfiles"
    folder.mkdir()
    (folder / "a.prom").write_text("a_metric 1\n")
    agent = start(Agent(tmp_path / "agent", "--collector.disable-defaults", "--collector.textfile",
                        f"--collector.textfile.directory={folder}"))
    assert "\na_metric 1\n" in agent.call("/metrics").text
    (folder / "b.prom").write_text("b_metric{ 1\n")
    text = wait_for(lambda: agent.call("/metrics").text, 5, "an answer")
    assert "\na_metric 1\n" in text and "b_metric" not in text and "\nnode_textfile_scrape_error 1\n" in text
    assert "b.prom" in agent.log()


def test_every_flag_of_the_documentation_is_one_of_the_program(tmp_path):
    # "--[no-]name" stands for two.
    text = run_petrel(tmp_path, "agent", "--help").stdout
    text = re.sub(r"--\[no-\]([a-z0-9_.-]+)", r"--\1 --no-\1", text)
    known = set(re.findall(r"--[a-z][a-z0-9_.-]+[a-z0-9]", text))
    named = set(re.findall(r"`(--[a-z][a-z0-9_.-]+[a-z0-9])", (ROOT / "docs/agent.md").read_text()))
    assert len(named) > 20
    placeholders = {"--config.file", "--collector", "--no-collector"}
    assert named - known - placeholders == set()
