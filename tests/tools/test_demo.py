"""The demo says what it does and fails when the emulator has counted something else."""

from __future__ import annotations

import queue
import subprocess
import sys
from collections import Counter

import demo
import pytest

from cloudretry.actions import ACTIONS
from cloudretry.emulator import Emulator

from .conftest import ROOT


class Counted(demo.Emulator):
    """An emulator that has counted what the test says."""

    def __init__(self, *fired: str) -> None:
        super().__init__("")
        self._fired = Counter(fired)

    def newly_fired(self) -> Counter[str]:
        return self._fired


def test_a_count_as_expected_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    demo.expect(Counted("cloudretry:drs:JobBatchRetry"), Counter(["cloudretry:drs:JobBatchRetry"]), "it")
    assert capsys.readouterr().out == "   Fired: cloudretry:drs:JobBatchRetry 1x.\n"


@pytest.mark.parametrize(
    ("fired", "words"),
    [
        ([], "it should have fired cloudretry:drs:JobBatchRetry 1x; the emulator counted nothing"),
        (
            ["cloudretry:drs:JobBatchRetry"] * 2,
            "it should have fired cloudretry:drs:JobBatchRetry 1x; "
            "the emulator counted cloudretry:drs:JobBatchRetry 2x",
        ),
    ],
)
def test_any_other_count_fails_the_demo(fired: list[str], words: str) -> None:
    with pytest.raises(demo.DemoError) as caught:
        demo.expect(Counted(*fired), Counter(["cloudretry:drs:JobBatchRetry"]), "it")
    assert str(caught.value) == words


def test_an_emulator_that_ends_is_told_with_its_last_words() -> None:
    lines: queue.Queue[str] = queue.Queue()
    lines.put("Error: 127.0.0.1:80: not allowed\n")
    lines.put("")
    with pytest.raises(demo.DemoError, match="has ended:\n    Error: 127"):
        demo.listening_url(lines)


def test_a_target_is_put_back_into_the_state_in_which_it_was_listed() -> None:
    with Emulator() as running:
        cloud = demo.Emulator(running.url)
        job = next(target for target in cloud.get("targets") if target["kind"] == "drsJob")
        running.set_state(job["id"], "FULL_TRANSFER_COMPLETE")
        cloud.put_back(job)
        assert running.target(job["id"]).state == job["state"]


@pytest.mark.engine
def test_the_demo_fires_five_then_one_then_none() -> None:
    subprocess.run([sys.executable, ROOT / "tools/setup.py"], check=True)
    ended = subprocess.run(
        [ROOT / ".venv/bin/python", ROOT / "tools/demo.py"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    fired = [line.strip() for line in ended.stdout.splitlines() if line.strip().startswith("Fired: ")]
    assert fired == [
        f"Fired: {', '.join(f'{token} 1x' for token in ACTIONS)}.",
        "Fired: cloudretry:drs:JobBatchRetry 1x.",
        "Fired: nothing.",
    ]
