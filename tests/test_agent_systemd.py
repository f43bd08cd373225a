"""The systemd collector beside node_exporter's, both on a real bus."""

import os

import pytest

from agent import Agent
from conftest import NodeExporter, program
from fake_systemd import FakeSystemd
from test_host_collector import parse_exposition

FLAGS = ["--collector.disable-defaults", "--collector.systemd", "--web.disable-exporter-metrics",
         r"--collector.systemd.unit-exclude=.+\.(automount|device|mount|scope|slice)",
         "--collector.systemd.enable-task-metrics", "--collector.systemd.enable-restarts-metrics",
         "--collector.systemd.enable-start-time-metrics"]


class Exporter(NodeExporter):
    def __init__(self, folder, address):
        super().__init__(folder)
        self.address = address

    def environment(self):
        return dict(os.environ) | {"DBUS_SYSTEM_BUS_ADDRESS": self.address}

    def command(self):
        return [program("prometheus-node-exporter"), f"--web.listen-address=127.0.0.1:{self.port}", *FLAGS]


@pytest.fixture
def systemd(tmp_path):
    one = FakeSystemd(tmp_path)
    yield one
    one.stop()


def test_units(start, tmp_path, systemd):
    agent = start(Agent(tmp_path / "a", f"--path.rootfs={tmp_path}", *FLAGS))
    exporter = start(Exporter(tmp_path / "e", systemd.address))

    def scrape(server):
        samples, descriptions = parse_exposition(server.call("/metrics").text)
        return ({key: value for key, value in samples.items() if key[0].startswith("node_systemd_")},
                {name: about for name, about in descriptions.items() if name.startswith("node_systemd_")})

    ours, our_descriptions = scrape(agent)
    theirs, their_descriptions = scrape(exporter)
    assert len(theirs) > 25
    assert ours == theirs
    assert our_descriptions == their_descriptions
