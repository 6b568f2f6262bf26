"""Machines that are not like ours: no home, another home than the account's, a home that cannot be written."""

from __future__ import annotations

import json
import pwd
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from command_line import DRS, EXECUTABLE, CommandLine

from cloudretry.emulator import Emulator
from cloudretry.plugin.install import folder_of
from cloudretry.report import reading

COMMANDS = (
    ("plugin", "install"),
    ("plugin", "uninstall"),
    ("journal", "list"),
    ("doctor",),
    ("status", DRS, "jb1"),
    ("fire", DRS, "jb1", "--yes"),
)


@pytest.fixture
def without_home(alone: CommandLine, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """No account, no HOME, no PULUMI_HOME: cron, `env -i`, a container's random user."""

    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "PULUMI_HOME"):
        monkeypatch.delenv(name, raising=False)
        del alone.environment[name]
    return alone


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_without_any_home_a_command_does_nothing_and_says_what_to_set(
    without_home: CommandLine, command: tuple[str, ...]
) -> None:
    done = without_home.inside(*command, "--json")
    assert done.code == 2
    assert "this user has no home. Set PULUMI_HOME to a folder that can be written, or HOME" in done.out


def test_the_plugin_goes_where_the_engine_looks_when_home_is_another(
    alone: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: SimpleNamespace(pw_dir=str(tmp_path / "account")))
    monkeypatch.delenv("PULUMI_HOME", raising=False)
    del alone.environment["PULUMI_HOME"]
    alone.environment["HOME"] = str(tmp_path / "github-home")
    put = json.loads(alone.inside("plugin", "install", "--json").out)["executable"]
    assert Path(put).parent == folder_of(tmp_path / "account/.pulumi")
    assert not (tmp_path / "github-home").exists()


def test_an_emulator_that_cannot_keep_its_state_is_named_with_a_remedy(alone: CommandLine) -> None:
    alone.home.write_text("a file, where a folder is meant to be")
    alone.environment["CLOUDRETRY_EMULATOR"] = "embedded"
    done = alone.inside("status", DRS, "jb1", "--json")
    assert done.code == 2
    assert "emulator.sqlite: cannot be opened" in done.out
    assert "or another PULUMI_HOME" in done.out


@pytest.mark.parametrize("command", [(), ("-m", "cloudretry")], ids=["the script", "the module"])
def test_modules_on_the_shell_s_pythonpath_are_not_taken_for_ours(
    cloudretry: CommandLine, tmp_path: Path, command: tuple[str, ...]
) -> None:
    shadows = tmp_path / "shadows"
    shadows.mkdir()
    for name in ("click", "pydantic", "secrets"):
        (shadows / f"{name}.py").write_text("raise SystemExit('the wrong module')\n", encoding="utf-8")
    start = [sys.executable, *command] if command else [EXECUTABLE]
    done = subprocess.run(
        [*start, "fire", DRS, "jb1", "--yes", "--json"],
        env={**cloudretry.environment, "PYTHONPATH": str(shadows)},
        cwd=cloudretry.folder,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, json.loads(done.stdout)["ok"]) == (0, True), done.stderr


CHINESE = "数据源连接失败"


@pytest.fixture
def talking(cloudretry: CommandLine, emulator: Emulator) -> CommandLine:
    """A command line whose cloud speaks Chinese."""
    job = {"id": "jbu", "state": "FULL_TRANSFER_FAILED", "failedReason": f"{CHINESE} é"}
    emulator.set_scenario({"drsJobs": [job | {"afterRetry": [["FULL_TRANSFER_STARTED", 0]]}]})
    return cloudretry


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "gbk", "utf-8", "utf-16"])
def test_what_a_terminal_cannot_show_is_written_as_its_number(talking: CommandLine, encoding: str) -> None:
    talking.environment["PYTHONIOENCODING"] = encoding
    shown, told = talking.bytes("status", DRS, "jbu"), talking.bytes("status", DRS, "jbu", "--json")
    assert (shown.returncode, shown.stderr.count(b"Traceback"), told.returncode) == (1, 0, 1)
    words = CHINESE if encoding in ("gbk", "utf-8", "utf-16") else CHINESE.encode("ascii", "backslashreplace").decode()
    assert words in shown.stdout.decode(encoding)
    (target,) = json.loads(told.stdout.decode(encoding))["targets"]
    assert target["message"] == f"{CHINESE} é"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_the_outcome_of_a_fire_is_told_in_any_encoding(talking: CommandLine, encoding: str) -> None:
    talking.environment["PYTHONIOENCODING"] = encoding
    done = talking.bytes("fire", DRS, "jbu", "--yes", "--json")
    assert (done.returncode, json.loads(done.stdout.decode(encoding))["ok"]) == (0, True)
    assert CHINESE.encode() not in done.stdout


def test_a_closed_standard_output_is_nowhere_and_no_traceback(talking: CommandLine) -> None:
    command = f"exec {EXECUTABLE} fire {DRS} jbu --yes --json <&- >&- 2>&-"
    done = subprocess.run(["/bin/sh", "-c", command], env=talking.environment, cwd=talking.folder, check=False)
    assert done.returncode == 0
    left = talking("status", DRS, "jbu", "--json").json
    assert left["targets"][0]["cloudStatus"] == "FULL_TRANSFER_STARTED"


def test_nothing_that_is_opened_gets_the_place_of_a_closed_stream(talking: CommandLine) -> None:
    program = (
        "import os, sys; from cloudretry.cli.commands import _ready_streams; _ready_streams(); "
        "number = os.open(os.devnull, os.O_RDONLY); print(number); os._exit(number)"
    )
    command = f"exec {sys.executable} -c '{program}' >&- 2>&-"
    done = subprocess.run(["/bin/sh", "-c", command], check=False)
    assert done.returncode > 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[" * 100_000, "is neither YAML nor JSON"),
        ("a: 2024-99-99", "is neither YAML nor JSON"),
        ("\0", "is neither YAML nor JSON"),
    ],
    ids=["nested without end", "no date", "no text"],
)
def test_inputs_that_cannot_be_read_are_told(alone: CommandLine, content: str, words: str) -> None:
    path = alone.folder / "inputs"
    path.write_text(content)
    for options in (("--inputs", path), ("jb1", "--config", path)):
        done = alone.inside("status", DRS, *options, "--json")
        assert done.code == 2
        assert words in done.out


def test_inputs_with_a_byte_order_mark_are_read(alone: CommandLine) -> None:
    path = alone.folder / "inputs"
    path.write_text("jobs: nonsense", encoding="utf-8-sig")
    assert "jobs: " in alone.inside("status", DRS, "--inputs", path, "--json").out


@pytest.mark.parametrize("value", ["2024-99-99", "[" * 100_000], ids=["no date", "nested without end"])
def test_a_setting_that_cannot_be_read_is_told(alone: CommandLine, value: str) -> None:
    done = alone.inside("status", DRS, "jb1", "--set", f"maxAttempts={value}", "--json")
    assert done.code == 2
    assert "is not YAML" in done.out
    assert len(done.out) < 300


def test_a_file_without_an_end_is_not_read_to_it(alone: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "it has more than" not in alone.inside("report", "--file", "/dev/null", "--json").out
    monkeypatch.setattr(reading, "LONGEST_EXPORT", 1_000_000)
    done = alone.inside("report", "--file", "/dev/zero", "--json")
    assert (done.code, "it has more than 1000000 bytes" in done.out) == (2, True)
    assert "is neither YAML nor JSON" in alone.inside("status", DRS, "--inputs", "/dev/zero", "--json").out
