"""`cloudretry plugin`: what it says. What it puts where is told by the tests of the plugin."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from command_line import CommandLine

from cloudretry.plugin.install import EXECUTABLE as PLUGIN
from cloudretry.version import __version__


def plugin_of(cloudretry: CommandLine) -> Path:
    return cloudretry.home / f"plugins/resource-cloudretry-v{__version__}" / PLUGIN


def test_it_says_what_it_has_put_where_and_what_it_runs(alone: CommandLine) -> None:
    executable = plugin_of(alone)
    runs = f"{executable}, which runs {sys.executable}\n"
    assert alone("plugin", "install").out == f"installed {runs}"
    assert alone("plugin", "install").out == f"installed already: {runs}"
    assert os.access(executable, os.X_OK)
    assert alone("plugin", "uninstall").out == f"removed {executable.parent}\n"
    done = alone("plugin", "uninstall")
    assert (done.code, done.out) == (0, f"there is nothing at {executable.parent}\n")


def test_with_json_it_prints_objects(alone: CommandLine) -> None:
    executable = plugin_of(alone)
    done = alone("plugin", "install", "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json == {
        "ok": True,
        "executable": str(executable),
        "python": sys.executable,
        "changed": True,
        "takenInstead": None,
    }
    assert alone("plugin", "install", "--json").json["changed"] is False
    assert alone("plugin", "uninstall", "--json").json == {"ok": True, "removed": [str(executable.parent)]}


def test_another_installation_is_left_alone_without_force(alone: CommandLine) -> None:
    executable = plugin_of(alone)
    executable.parent.mkdir(parents=True)
    executable.write_text("#!/bin/sh\n")
    done = alone("plugin", "install", "--json")
    assert done.code == 2
    assert f"{executable.parent} holds this version already, installed from elsewhere" in done.problem
    assert "--force" in done.problem
    assert alone("plugin", "install", "--force", "--json").json["changed"] is True


def test_what_the_engine_would_take_instead_is_told_apart_from_the_outcome(alone: CommandLine) -> None:
    folder = alone.folder / "bin"
    folder.mkdir()
    (folder / PLUGIN).write_text("#!/bin/sh\n")
    (folder / PLUGIN).chmod(0o755)
    path = os.pathsep.join([str(folder), alone.environment["PATH"]])
    done = alone("plugin", "install", PATH=path)
    assert done.code == 0
    assert done.err == f"The engine will take {folder / PLUGIN} instead, and warn of it: take {PLUGIN} off PATH.\n"
    assert alone("plugin", "install", "--json", PATH=path).json["takenInstead"] == str(folder / PLUGIN)


def test_a_home_that_cannot_be_used_is_named(alone: CommandLine) -> None:
    alone.home.touch()
    done = alone("plugin", "install")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"Error: {alone.home / 'plugins'}: the plugin cannot be put there")
    assert str(alone.home) in alone("plugin", "install", "--json").problem
