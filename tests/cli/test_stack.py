"""The command line beside a stack: its configuration with `--stack`, and the fires that its runs left open."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import DRS, CommandLine

from cloudretry.emulator import Emulator
from cloudretry.plugin.install import install
from support.pulumi_cli import Stack

pytestmark = pytest.mark.engine

FIRE = "BatchRestoreTask"
PROGRAM = """
import pulumi_cloudretry as cloudretry

cloudretry.drs.JobBatchRetry("orders", jobs=[{"job_id": "jb1"}])
"""


@pytest.fixture
def stack(tmp_path: Path, emulator: Emulator) -> Stack:
    program = tmp_path / "program"
    program.mkdir()
    (program / "Pulumi.yaml").write_text("name: shop\nruntime: python\n", encoding="utf-8")
    (program / "__main__.py").write_text(PROGRAM, encoding="utf-8")
    stack = Stack(tmp_path, program)
    stack.configure(emulator=emulator.url)
    return stack


@pytest.fixture
def cloudretry(command_line: Callable[..., CommandLine], stack: Stack) -> CommandLine:
    """The command line in the folder of the stack's program."""
    made = command_line()
    made.folder, made.home = stack.program, stack.home
    made.environment |= stack.environment
    return made


def test_the_configuration_of_a_stack_is_used_and_its_secrets_are_not_told(
    cloudretry: CommandLine, stack: Stack, emulator: Emulator
) -> None:
    stack.run("config", "set", "--path", "cloudretry:huaweicloud.accessKey", "AKPLANTED")
    stack.run("config", "set", "--path", "--secret", "cloudretry:huaweicloud.secretKey", "planted-secret")
    doctor = cloudretry("doctor", "--stack", "dev")
    assert doctor.code == 0
    assert re.search(rf"^  emulator +{emulator.url} +stack dev$", doctor.out, re.MULTILINE)
    done = cloudretry("fire", DRS, "jb1", "--yes", "--json", "--stack", "dev")
    assert (done.code, emulator.target("jb1").times_fired) == (0, 1)
    assert "planted" not in doctor.out + doctor.err + done.out + done.err

    done = cloudretry("status", DRS, "jb1", "--json", "--stack", "none")
    assert done.code == 2
    assert done.problem.startswith("The configuration of stack none cannot be read: error: no stack named 'none' found")


def test_an_operator_settles_what_a_killed_up_left_open(
    cloudretry: CommandLine, stack: Stack, emulator: Emulator
) -> None:
    install(stack.home)
    emulator.add_fault(FIRE, delay=60, after=True)
    command = ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive"]
    with subprocess.Popen(
        command,
        cwd=stack.program,
        env=stack.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as running:
        deadline = time.monotonic() + 120
        while not emulator.target("jb1").times_fired:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGKILL)
    # The plugin ends by itself, when it sees that its engine has gone.
    while (fire := cloudretry("journal", "list", "--json").json["fires"][0])["held"]:
        assert time.monotonic() < deadline
    assert fire["resource"] == "urn:pulumi:dev::shop::cloudretry:drs:JobBatchRetry::orders"
    assert (fire["creating"], fire["answered"], fire["adoptable"]) == (True, False, True)
    warned = cloudretry("fire", DRS, "jb1", "--yes", "--set", "fireWhen=retryable", "--stack", "dev")
    assert f"cloudretry journal show {fire['fire']}" in warned.err

    done = cloudretry("journal", "resolve", fire["fire"], "--outcome", "fired", "--yes", "--stack", "dev")
    assert done.out == f"{fire['fire']} was fired: its next run looks what came of it\n"
    stack.run("cancel", "--yes")
    assert "taken up again, not fired again" in stack.up()
    assert stack.statuses() == {"orders": "Succeeded"}
    assert len(emulator.requests(FIRE)) == 1
    assert cloudretry("journal", "list", "--json").json["fires"] == []
