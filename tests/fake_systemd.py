"""A real message bus, and on it what answers for systemd's manager."""

import subprocess
import threading

from jeepney import DBusAddress, HeaderFields, MessageType, new_error, new_method_call, new_method_return
from jeepney.io.blocking import open_dbus_connection

from conftest import program, wait_for

MANAGER = "org.freedesktop.systemd1.Manager"
UNITS = {
    # name: (load state, active state, {(interface, property): (type, value)})
    "ssh.service": ("loaded", "active", {("Service", "Type"): ("s", "notify"), ("Service", "NRestarts"): ("u", 3),
                                         ("Service", "TasksCurrent"): ("t", 4), ("Service", "TasksMax"): ("t", 99),
                                         ("Unit", "ActiveEnterTimestamp"): ("t", 1_700_000_000_250_000)}),
    "a-b@c.service": ("loaded", "failed", {("Service", "Type"): ("s", "simple"), ("Service", "NRestarts"): ("u", 0),
                                           ("Service", "TasksCurrent"): ("t", 1), ("Service", "TasksMax"): ("t", 9),
                                           ("Unit", "ActiveEnterTimestamp"): ("t", 0)}),
    "gone.service": ("not-found", "inactive", {}),
    "dev-sda.device": ("loaded", "active", {}),
    "ssh.socket": ("loaded", "inactive", {("Socket", "NAccepted"): ("u", 7), ("Socket", "NConnections"): ("u", 2),
                                          ("Socket", "NRefused"): ("u", 1)}),
    "apt.timer": ("loaded", "activating", {("Timer", "LastTriggerUSec"): ("t", 1_700_000_000_500_000)}),
}
PROPERTIES = {"SystemState": ("s", "running"), "Version": ("s", "252.38-1~deb12u1")}


def path_of(unit: str) -> str:
    escaped = "".join(c if c.isalnum() else f"_{ord(c):02x}" for c in unit)
    return f"/org/freedesktop/systemd1/unit/{escaped}"


class FakeSystemd:
    """Listens at <root>/run/dbus/system_bus_socket."""

    def __init__(self, root):
        folder = root / "run/dbus"
        folder.mkdir(parents=True)
        self.address = f"unix:path={folder / 'system_bus_socket'}"
        (root / "bus.conf").write_text(
            f"<busconfig><type>custom</type><listen>{self.address}</listen><auth>EXTERNAL</auth>"
            '<policy context="default"><allow user="*"/><allow own="*"/><allow eavesdrop="true"/>'
            '<allow send_destination="*" eavesdrop="true"/>'
            "</policy></busconfig>")
        self.daemon = subprocess.Popen([program("dbus-daemon"), f"--config-file={root / 'bus.conf'}", "--nofork",
                                        "--nopidfile"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for((folder / "system_bus_socket").exists, 10, "the bus")
        self.connection = open_dbus_connection(self.address)
        bus = DBusAddress("/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus")
        self.connection.send_and_get_reply(
            new_method_call(bus, "RequestName", "su", ("org.freedesktop.systemd1", 0)))
        self.stopping = False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while not self.stopping:
            try:
                message = self.connection.receive(timeout=0.2)
            except TimeoutError:
                continue
            if message.header.message_type == MessageType.method_call:
                self.connection.send(self.answer(message))

    def answer(self, message):
        fields = message.header.fields
        member = fields[HeaderFields.member]
        if member == "ListUnits":
            units = [(name, "What it is", load, active, "sub", "", path_of(name), 0, "", "/")
                     for name, (load, active, _) in UNITS.items()]
            return new_method_return(message, "a(ssssssouso)", (units,))
        if member == "Get":
            interface, name = message.body
            if interface == MANAGER and name in PROPERTIES:
                return new_method_return(message, "v", (PROPERTIES[name],))
            for unit, (_, _, values) in UNITS.items():
                key = (interface.rsplit(".", 1)[1], name)
                if path_of(unit) == fields[HeaderFields.path] and key in values:
                    return new_method_return(message, "v", (values[key],))
        return new_error(message, "org.freedesktop.DBus.Error.UnknownProperty", "s", ("no such thing",))

    def stop(self):
        self.stopping = True
        self.thread.join()
        self.connection.close()
        self.daemon.terminate()
        self.daemon.wait()
