"""Windows, pretended: nothing of ours asks for what it does not have. Nobody has run it on a real one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cloudretry.emulator import Emulator
from cloudretry.plugin import machine
from cloudretry.plugin.install import EXECUTABLE, folder_of
from support.windows import COMMAND_LINE, PLUGIN

JOB = {"id": "jb1", "state": "FULL_TRANSFER_FAILED", "afterRetry": [["FULL_TRANSFER_STARTED", 0]]}
STUCK = {"id": "stuck", "state": "FULL_TRANSFER_FAILED", "afterRetry": [["STARTJOBING", 0]]}
LONGEST = 120.0
"""Seconds after which a process hangs."""


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator({"drsJobs": [JOB, STUCK]}) as running:
        yield running


@pytest.fixture
def start(tmp_path: Path, emulator: Emulator) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PULUMI_HOME": str(tmp_path / "home"),
        "CLOUDRETRY_EMULATOR": emulator.url,
    }

    def run(*command: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


def test_every_module_can_be_imported(start: Callable[..., subprocess.Popen[str]]) -> None:
    code = COMMAND_LINE[2].partition("from cloudretry")[0] + (
        "import pkgutil, importlib, cloudretry\n"
        "for found in pkgutil.walk_packages(cloudretry.__path__, 'cloudretry.'):\n"
        "    if '__main__' not in found.name: importlib.import_module(found.name)\n"
        "print('every one')"
    )
    out, err = start(sys.executable, "-c", code).communicate(timeout=LONGEST)
    assert (out, err) == ("every one\n", "")


def test_a_fire_by_hand_is_fired_and_told(start: Callable[..., subprocess.Popen[str]], emulator: Emulator) -> None:
    command = (*COMMAND_LINE, "fire", "drs:JobBatchRetry", "jb1", "--yes", "--json")
    process = start(*command)
    out, err = process.communicate(timeout=LONGEST)
    assert process.returncode == 0, err
    assert json.loads(out)["ok"]
    assert emulator.target("jb1").times_fired == 1


def test_a_fire_by_hand_hears_ctrl_break(start: Callable[..., subprocess.Popen[str]], emulator: Emulator) -> None:
    process = start(*COMMAND_LINE, "fire", "drs:JobBatchRetry", "stuck", "--yes", "--json")
    _until(lambda: emulator.requests("BatchRestoreTask"))
    process.send_signal(signal.SIGUSR1)
    out, err = process.communicate(timeout=LONGEST)
    assert (process.returncode, json.loads(out)["ok"]) == (3, False), err


def test_the_plugin_is_put_there_as_a_command_file(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    out, err = start(*COMMAND_LINE, "plugin", "install", "--json").communicate(timeout=LONGEST)
    executable = Path(json.loads(out)["executable"])
    assert executable == folder_of(tmp_path / "home") / f"{EXECUTABLE}.cmd", err
    assert executable.read_bytes().startswith(b"@echo off\r\n")


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM], ids=["Ctrl-Break", "SIGTERM"])
def test_the_plugin_serves_until_it_is_told_to_end(
    start: Callable[..., subprocess.Popen[str]], number: signal.Signals
) -> None:
    process = start(*PLUGIN)
    assert process.stdout is not None
    assert int(process.stdout.readline()) > 0
    process.send_signal(number)
    assert process.wait(LONGEST) == 0


@pytest.mark.parametrize("shell", ["", "cmd.exe"], ids=["by the engine", "by a command file"])
def test_the_plugin_ends_when_its_engine_has(monkeypatch: pytest.MonkeyPatch, shell: str) -> None:
    engine = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    parents = [psutil.Process(engine.pid), psutil.Process()]
    if shell:
        parents.reverse()
        monkeypatch.setattr(parents[0], "name", lambda: shell)
    monkeypatch.setattr(machine, "sys", type("Windows", (), {"platform": "win32"}))
    monkeypatch.setattr(psutil.Process, "parents", lambda _self: parents)
    engine_lives = machine.starter()
    assert engine_lives()
    engine.kill()
    engine.communicate()
    assert not engine_lives()


def _until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + LONGEST
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
