"""Programs of the set-up: their words when they fail, their end when another one fails."""

from __future__ import annotations

import io
import sys
import threading
import time
from pathlib import Path

import pytest
from bootstrap.work import Cancelled, ProgramError, Work

ENDLESS = [sys.executable, "-c", "import time; print('started', flush=True); time.sleep(600)"]


@pytest.fixture
def work() -> Work:
    return Work(io.StringIO())


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def test_the_output_of_a_program_is_returned(work: Work) -> None:
    assert work.run("it", python("print('a'); print('b')")) == "a\nb\n"


def test_a_program_that_fails_is_named_with_its_last_words(work: Work) -> None:
    with pytest.raises(ProgramError, match="it failed") as caught:
        work.run("it", python("print('\\n'.join(map(str, range(100)))); raise SystemExit('at the end')"))
    words = str(caught.value).splitlines()
    assert words[-1].strip() == "at the end"
    assert len(words) == 16


def test_a_program_that_does_not_end_in_time_is_ended(work: Work) -> None:
    with pytest.raises(ProgramError, match="no end after"):
        work.run("it", ENDLESS, timeout=0.1)


def test_a_program_reads_nothing_from_the_terminal(work: Work) -> None:
    assert work.run("it", python("import sys; print(repr(sys.stdin.read()))")) == "''\n"


def test_when_one_part_fails_the_others_are_ended_and_its_error_is_told(work: Work) -> None:
    started = time.monotonic()
    with pytest.raises(ProgramError, match="this one"):
        work.together(lambda: work.run("endless", ENDLESS), lambda: work.run("this one", python("raise SystemExit(1)")))
    assert time.monotonic() - started < 60


def test_the_error_of_a_part_within_a_part_is_told(work: Work) -> None:
    def inner() -> None:
        work.together(lambda: work.run("endless", ENDLESS), lambda: work.run("this one", python("raise SystemExit(1)")))

    with pytest.raises(ProgramError, match="this one"):
        work.together(lambda: work.run("other", ENDLESS), inner)


def test_after_a_failure_nothing_is_started(work: Work) -> None:
    work.cancel()
    with pytest.raises(Cancelled):
        work.run("it", python("print()"))


def test_a_wait_for_a_part_that_failed_ends(work: Work) -> None:
    work.cancel()
    with pytest.raises(Cancelled):
        work.wait_for(threading.Event())


def test_who_waits_for_another_set_up_says_so_once(tmp_path: Path) -> None:
    said = io.StringIO()
    first, second = Work(io.StringIO()), Work(said)
    entered = threading.Event()

    def wait() -> None:
        with second.alone(tmp_path / "lock", "waiting"):
            entered.set()

    with first.alone(tmp_path / "lock", ""):
        thread = threading.Thread(target=wait)
        thread.start()
        while "waiting" not in said.getvalue():
            thread.join(0.01)
        assert not entered.is_set()
    thread.join()
    assert entered.is_set()
    assert said.getvalue().count("waiting") == 1
