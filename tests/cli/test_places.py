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

from cloudretry.plugin.install import folder_of

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
