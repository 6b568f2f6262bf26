"""The newcomer's page, played from its top to the real account: its files written, its commands run on the engine."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from doc_pages import ROOT, Block, Page

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

PAGE = Page(Path("docs/getting-started.md"))
LAST = "## A real account"
UNATTENDED = {"pulumi up": ["--yes", "--non-interactive", "--color=never"], "pulumi preview": ["--non-interactive"]}


def test_the_page_leads_from_nothing_to_a_healed_job(tmp_path: Path) -> None:
    with Newcomer(tmp_path) as newcomer:
        for block in played():
            if block.language == "console":
                for command, shown in commands(block):
                    newcomer.type(command, shown)
            elif name := file_name(block):
                newcomer.write(name, block.text)
        assert {"Pulumi.yaml", "__main__.py", "cloud.yaml", "requirements.txt"} <= newcomer.written
        assert newcomer.ups == 4


def played() -> Iterator[Block]:
    last = PAGE.text.partition(LAST)[0].count("\n")
    return (block for block in PAGE.blocks if block.line < last)


def file_name(block: Block) -> str:
    """The file that the paragraph before the block names, if it is one."""
    before = "\n".join(PAGE.text.splitlines()[: block.line - 1])
    found = re.findall(r"`([\w.]+\.(?:yaml|txt|py))`", before.rpartition("```")[2].rpartition("\n\n")[2])
    return found[0] if found else ""


def commands(block: Block) -> Iterator[tuple[str, list[str]]]:
    """Each command with the lines that are shown below it."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, *shown = part.splitlines()
        yield command, shown


class Newcomer:
    """Somebody with a terminal, Python and the Pulumi CLI, who does as the page says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: set[str] = set()
        self.ups = 0
        self._emulator: subprocess.Popen[str] | None = None
        self._port = free_port()
        self._environment = {
            "PATH": os.pathsep.join([str(ROOT / ".venv/bin"), str(ROOT / ".engine/bin"), os.environ["PATH"]]),
            "HOME": str(folder),
            "PULUMI_HOME": str(folder / "pulumi"),
            # `login --local` would leave the state in the home of the person who runs this.
            "PULUMI_BACKEND_URL": folder.as_uri(),
            "LANG": "C.UTF-8",
            "PULUMI_CONFIG_PASSPHRASE": "passphrase",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }

    def __enter__(self) -> Newcomer:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._emulator is not None:
            self._emulator.terminate()
            self._emulator.communicate(timeout=30)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")
        self.written.add(name)

    def type(self, command: str, shown: list[str]) -> None:
        if command == "mkdir heal && cd heal":
            self.folder = self.folder / "heal"
            self.folder.mkdir()
        elif command == "python3 -m venv venv":
            (self.folder / "venv").symlink_to(ROOT / ".venv")
        elif command == ". venv/bin/activate":
            assert (self.folder / "venv/bin/activate").exists()
        elif command == "pulumi login --local":
            assert self._environment["PULUMI_BACKEND_URL"].startswith("file://")
        elif command.startswith("cloudretry emulator "):
            self._start(command, shown)
        elif command.startswith("pip install "):
            # From no index: everything is there already, if it is what the file asks for.
            self._run(command.replace("install", "install --no-index"), shown)
        else:
            self.ups += command == "pulumi up"
            self._run(" ".join([command, *UNATTENDED.get(command, [])]), shown)

    def _run(self, command: str, shown: list[str]) -> None:
        done = subprocess.run(
            ["bash", "-c", command.replace("127.0.0.1:8400", f"127.0.0.1:{self._port}")],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )
        assert (done.returncode != 0) == any("error:" in line for line in shown), f"{command}\n{done.stdout}"
        wanted = [re.escape(" ".join(line.split())).replace("…", ".*") for line in shown if line.strip() != "…"]
        found = re.search(r"(.|\n)*?".join(wanted), re.sub(r"[ \t]+", " ", done.stdout))
        assert found, f"{command}\n{done.stdout}"

    def _start(self, command: str, shown: list[str]) -> None:
        self._emulator = subprocess.Popen(
            ["bash", "-c", f"exec {command} --port {self._port}"],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._emulator.stdout is not None
        assert shown == ["listening on http://127.0.0.1:8400"]
        assert self._emulator.stdout.readline() == f"listening on http://127.0.0.1:{self._port}\n"


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
