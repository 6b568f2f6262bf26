"""`cloudretry completion`: the shells themselves, with the script that they are given."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from command_line import CommandLine, Terminal
from open_fires import ID, interrupted

SHELLS = ("bash", "zsh", "fish")
CLEAR_LINE = "\x15"


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"there is no {shell}")


def complete(terminal: Terminal, *steps: tuple[str, str]) -> None:
    """Type a part of a line, press Tab, and wait for what the line becomes; once for each step."""
    for typed, becomes in steps:
        terminal.type(f"{typed}\t")
        terminal.expect(becomes.rstrip())
        terminal.type(CLEAR_LINE)


STEPS = (
    ("cloudretry fi", "cloudretry fire "),
    ("cloudretry fire drs", "cloudretry fire drs:JobBatchRetry "),
    ("cloudretry status cloudretry:eh", "cloudretry status cloudretry:ehpc:JobRerun "),
    ("cloudretry fire drs:JobBatchRetry jb1 --time", "jb1 --timeout "),
    ("cloudretry fire drs:JobBatchRetry --set fireWhen=r", "--set fireWhen=retryable "),
    ("cloudretry journal show 01", f"cloudretry journal show {ID} "),
)


def test_bash_completes_commands_actions_options_inputs_and_fires(alone: CommandLine) -> None:
    interrupted(alone.journal)
    bash = alone.terminal("--norc", "--noprofile", "-i", program=Path("/bin/bash"), PS1="$ ")
    bash.type('eval "$(cloudretry completion bash)" && echo rea""dy\n')
    bash.expect("ready\n")
    complete(bash, *STEPS)
    # An input without a list of values is to be typed on, right behind the equals sign.
    bash.type("cloudretry fire drs:JobBatchRetry --set maxA\t2")
    bash.expect("--set maxAttempts=2")
    # What can be several things is listed.
    bash.type(f"{CLEAR_LINE}cloudretry journal \t\t")
    bash.expect("list", "show", "resolve")
    bash.type(f"{CLEAR_LINE}exit\n")
    assert bash.end() == 0


def test_bash_completes_files(alone: CommandLine) -> None:
    (alone.folder / "retry.yaml").touch()
    bash = alone.terminal("--norc", "--noprofile", "-i", program=Path("/bin/bash"), PS1="$ ")
    bash.type('eval "$(cloudretry completion bash)" && echo rea""dy\n')
    bash.expect("ready\n")
    complete(bash, ("cloudretry fire drs:JobBatchRetry --inputs ret", "--inputs retry.yaml"))
    bash.type("exit\n")
    assert bash.end() == 0


@needs("zsh")
def test_zsh_completes_the_same(alone: CommandLine) -> None:
    interrupted(alone.journal)
    zsh = alone.terminal("-f", "-i", program=Path(shutil.which("zsh") or ""), PS1="$ ")
    zsh.type('autoload -U compinit && compinit -D -u && eval "$(cloudretry completion zsh)" && echo rea""dy\n')
    zsh.expect("ready\n")
    complete(zsh, *STEPS)
    zsh.type("exit\n")
    assert zsh.end() == 0


@needs("fish")
@pytest.mark.parametrize(("typed", "becomes"), STEPS, ids=lambda words: words)
def test_fish_completes_the_same(alone: CommandLine, typed: str, becomes: str) -> None:
    interrupted(alone.journal)
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"cloudretry completion fish | source; complete -C '{typed}'"],
        env={**alone.environment, "PATH": f"{alone.environment['PATH']}:/usr/local/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.partition("\t")[0] == becomes.split()[-1]


@pytest.mark.parametrize(
    ("shell", "line", "position", "found"),
    [
        ("zsh", "cloudretry fire drs", 2, ["plain", r"drs\:JobBatchRetry", "DRS batch retry"]),
        ("zsh", "cloudretry fire drs:JobBatchRetry --set wait=t", 4, ["plain", "wait=true"]),
        ("fish", "cloudretry fire drs", "drs", ["plain,drs:JobBatchRetry\tDRS batch retry"]),
    ],
)
def test_the_scripts_of_all_shells_are_answered(
    alone: CommandLine, shell: str, line: str, position: object, found: list[str]
) -> None:
    variables = {"COMP_WORDS": line, "COMP_CWORD": str(position), "_CLOUDRETRY_COMPLETE": f"{shell}_complete"}
    done = alone(**variables)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[: len(found)] == found


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_names_the_command_that_it_completes(alone: CommandLine, shell: str) -> None:
    done = alone("completion", shell)
    assert (done.code, done.err) == (0, "")
    assert f"_CLOUDRETRY_COMPLETE={shell}_complete" in done.out


def test_a_shell_that_is_not_known_is_refused(alone: CommandLine) -> None:
    done = alone("completion", "tcsh")
    assert (done.code, done.out) == (2, "")
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in done.err
