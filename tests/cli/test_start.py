"""What all commands have in common: a quick start, help, and errors that scripts can read."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from command_line import CommandLine

from cloudretry.cli import main
from cloudretry.version import __version__

HEAVY = {
    *("asyncio", "google", "grpc", "huaweicloudsdkcore", "keystoneauth1", "pulumi", "pydantic", "requests", "rich"),
    *("ssl", "starlette", "uvicorn", "yaml"),
}
WITHOUT_JSON = {"completion"}


def commands(group: click.Group = main, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands())


def imported_by(*arguments: str) -> set[str]:
    program = (
        "import sys, json, cloudretry.cli\n"
        f"try: cloudretry.cli.main({list(arguments)!r})\n"
        "except SystemExit: print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stderr.splitlines()[-1])}


@pytest.mark.parametrize("arguments", [["--help"], ["fire", "--help"], ["completion", "bash"]], ids=" ".join)
def test_what_needs_nothing_heavy_imports_nothing_heavy(arguments: list[str]) -> None:
    assert imported_by(*arguments) & HEAVY == set()


def test_the_command_that_needs_them_imports_them() -> None:
    # So that the test above can fail.
    assert {"pydantic", "urllib3", "asyncio"} <= imported_by("status", "JobRetry", "x")


def test_its_version_is_that_of_the_package(alone: CommandLine) -> None:
    assert alone("--version").out == f"cloudretry, version {__version__}\n"


GROUPS = [(), *sorted({path[:-1] for path in COMMANDS if path[:-1]})]


@pytest.mark.parametrize("path", GROUPS, ids=lambda path: " ".join(("cloudretry", *path)))
def test_help_names_every_command_in_a_whole_sentence(alone: CommandLine, path: tuple[str, ...]) -> None:
    done = alone(*path, "--help")
    assert (done.code, done.err) == (0, "")
    listed = dict(re.findall(r"^  (\w+) +(\S.*)$", done.out.partition("Commands:")[2], re.MULTILINE))
    assert listed.keys() == {command[len(path)] for command in COMMANDS if command[: len(path)] == path}
    assert [words for words in listed.values() if not words.endswith(".") or words.endswith("...")] == []


def test_without_a_command_the_help_is_shown_as_an_error(alone: CommandLine) -> None:
    help_ = alone("-h").out
    done = alone()
    assert (done.code, done.out, done.err) == (2, "", help_)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_that_prints_something_prints_json_when_asked_to(path: tuple[str, ...]) -> None:
    options = {name for parameter in COMMANDS[path].params for name in parameter.opts}
    assert ("--json" in options) != (path[0] in WITHOUT_JSON)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_and_option_says_what_it_is_for(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert parameter.help.rstrip(")]").endswith("."), parameter.name


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fyre"], "No such command 'fyre'"),
        (["journal", "lst"], "No such command 'lst'"),
        (["status", "--nothing"], "No such option"),
        (["journal", "show"], "Missing argument 'FIRE'"),
    ],
    ids=str,
)
def test_wrong_usage_is_one_json_object_when_json_is_asked_for(
    alone: CommandLine, arguments: list[str], words: str
) -> None:
    done = alone.inside(*arguments, "--json")
    assert done.code == 2
    assert words in done.problem


def test_output_that_nobody_takes_ends_the_command_without_a_traceback(alone: CommandLine) -> None:
    with open("/dev/full", "wb") as full:
        terminal = alone.terminal("actions", stdout=full)
        assert terminal.end() == 2
    assert terminal.screen == "Error: standard output: No space left on device"
    piped = alone.terminal("-c", "cloudretry actions --json | :; echo ${PIPESTATUS[0]}", program=Path("/bin/bash"))
    assert piped.end() == 0
    assert piped.screen == "141"


def test_wrong_usage_is_told_with_the_way_to_the_help(alone: CommandLine) -> None:
    done = alone("status", "--nothing")
    assert (done.code, done.out) == (2, "")
    assert "Try 'cloudretry status --help' for help." in done.err
