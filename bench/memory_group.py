"""A control group for one server: its peak includes the page cache of its files."""

import contextlib
import os
import pathlib


class MemoryGroup:
    ROOTS = [("/sys/fs/cgroup/memory", "memory.max_usage_in_bytes", "memory.usage_in_bytes"),
             ("/sys/fs/cgroup", "memory.peak", "memory.current")]

    def __init__(self, name: str):
        self.path, self.peak_file, self.now_file = None, None, None
        for root, peak_file, now_file in self.ROOTS:
            path = pathlib.Path(root) / f"petrel-bench-{os.getpid()}-{name}"
            with contextlib.suppress(OSError):
                path.mkdir()
                if (path / peak_file).exists():
                    self.path, self.peak_file, self.now_file = path, path / peak_file, path / now_file
                    return
                path.rmdir()

    def enter(self) -> None:
        """Called in the child before it becomes the server."""
        if self.path:
            (self.path / "cgroup.procs").write_text("0")

    def peak_bytes(self) -> int | None:
        return int(self.peak_file.read_text()) if self.path else None

    def take_peak(self) -> int | None:
        """The peak since the call before. Version 2 keeps one peak for ever: there it is what is used now."""
        if self.path is None or self.peak_file.name == "memory.peak":
            return int(self.now_file.read_text()) if self.path else None
        peak = self.peak_bytes()
        self.peak_file.write_text("0")
        return peak

    def remove(self) -> None:
        if self.path:
            with contextlib.suppress(OSError):
                self.path.rmdir()
