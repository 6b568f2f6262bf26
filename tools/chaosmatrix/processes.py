"""The processes of a command: all that share its session, whatever process groups they made for themselves."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Session"]

PROVIDERS = ("cloudretry.plugin.main", "pulumi-resource-cloudretry", "pulumi.dynamic", "pulumi-resource-pulumi-python")
"""What the command line of a provider process holds, in either front."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session that this program started; its id is that of its first process."""

    leader: int

    def members(self) -> list[int]:
        """The processes that live."""
        found = []
        for entry in os.scandir("/proc"):
            if entry.name.isdecimal():
                with contextlib.suppress(OSError):
                    # What stands in parentheses, the program's name, may hold anything.
                    fields = Path(entry.path, "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                    if int(fields[3]) == self.leader and fields[0] not in "ZX":
                        found.append(int(entry.name))
        return found

    def providers(self) -> list[int]:
        """The processes of the plugin, or of the engine's dynamic provider."""
        return [pid for pid in self.members() if any(name in _command(pid) for name in PROVIDERS)]

    def kill(self, victim: str) -> None:
        """`kill -9` the engine, the provider, or both."""
        providers = self.providers() if victim != "engine" else []
        if victim != "plugin":
            _send(self.leader, signal.SIGKILL)
        for pid in providers:
            _send(pid, signal.SIGKILL)
        if victim != "engine":
            # One that was just being started.
            for pid in self.providers():
                _send(pid, signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to all that live."""
        for pid in self.members():
            _send(pid, number)

    def end(self) -> None:
        """Kill what is left, and wait until it is gone."""
        while members := self.members():
            for pid in members:
                _send(pid, signal.SIGKILL)
            time.sleep(0.01)


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    return ""


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
