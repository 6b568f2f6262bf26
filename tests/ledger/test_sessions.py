"""Whether a process lives is told by the lock that it holds, and by nothing that it has said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock
import pytest

from cloudretry.errors import JournalError
from cloudretry.ledger.sessions import LockedSessions

BEGINS = """
import sys
from pathlib import Path
from cloudretry.ledger.sessions import LockedSessions
sessions = LockedSessions(Path(sys.argv[1]))
sessions.begin()
print(sessions.holder.session, flush=True)
sys.stdin.readline()
sessions.end()
print("ended", flush=True)
sys.stdin.readline()
"""


class Process(subprocess.Popen[str]):
    def __init__(self, folder: Path) -> None:
        super().__init__(
            [sys.executable, "-c", BEGINS, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.session = self.line()

    def line(self) -> str:
        assert self.stdout is not None
        return self.stdout.readline().strip()


@pytest.fixture
def sessions(tmp_path: Path) -> LockedSessions:
    return LockedSessions(tmp_path / "journal/sessions", {})


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    with Process(tmp_path / "journal/sessions") as one:
        yield one
        one.kill()


def test_a_process_lives_until_it_is_killed(sessions: LockedSessions, process: Process) -> None:
    for _ in range(2):
        assert sessions.lives(process.session)
    process.kill()
    process.wait()
    for _ in range(2):
        assert not sessions.lives(process.session)


def test_a_stopped_process_lives(sessions: LockedSessions, process: Process) -> None:
    process.send_signal(signal.SIGSTOP)
    assert sessions.lives(process.session)


def test_a_session_that_was_ended_is_over_though_its_process_lives(sessions: LockedSessions, process: Process) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.line() == "ended"
    assert not sessions.lives(process.session)
    assert process.poll() is None


def test_ones_own_session_lives_and_one_that_nobody_knows_does_not(sessions: LockedSessions) -> None:
    assert sessions.lives(sessions.holder.session)
    assert not sessions.lives("0123456789abcdef")


def test_a_session_may_be_begun_and_ended_twice(sessions: LockedSessions, tmp_path: Path) -> None:
    other = LockedSessions(tmp_path / "journal/sessions", {})
    for call, lives in ((sessions.begin, True), (sessions.begin, True), (sessions.end, False), (sessions.end, False)):
        call()
        assert other.lives(sessions.holder.session) is lives


def test_what_dead_processes_left_is_removed_after_a_day_and_the_living_are_spared(
    sessions: LockedSessions, process: Process, tmp_path: Path
) -> None:
    folder = tmp_path / "journal/sessions"
    for name in ("old", "young"):
        (folder / f"{name}.lock").touch()
    for name in ("old", process.session):
        os.utime(folder / f"{name}.lock", (0, 0))
    sessions.begin()
    assert {path.stem for path in folder.iterdir()} == {"young", process.session, sessions.holder.session}


def _no_locks(*_arguments: object, **_named: object) -> None:
    raise OSError(37, "No locks available")


def _not_implemented(*_arguments: object, **_named: object) -> None:
    raise NotImplementedError("FileSystem does not appear to support flock")


@pytest.mark.parametrize(
    ("refuses", "why"), [(_no_locks, "No locks available"), (_not_implemented, "the file system has no locks")]
)
def test_a_lock_that_cannot_be_had_is_told_in_words(
    sessions: LockedSessions, monkeypatch: pytest.MonkeyPatch, refuses: Callable[..., None], why: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(filelock.FileLock, "_acquire", refuses)
        with pytest.raises(JournalError, match=why) as caught:
            sessions.begin()
    assert "nothing was fired" in str(caught.value)
    assert "a local disk" in str(caught.value)


def test_who_cannot_be_asked_counts_as_living(
    sessions: LockedSessions, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    process.kill()
    process.wait()
    with monkeypatch.context() as patch:
        patch.setattr(filelock.FileLock, "_acquire", _no_locks)
        assert sessions.lives(process.session)
    assert not sessions.lives(process.session)


def test_a_folder_of_sessions_that_is_a_link_is_refused(sessions: LockedSessions, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "journal").mkdir(mode=0o700)
    (tmp_path / "journal/sessions").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(JournalError, match="is a link"):
        sessions.begin()
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(
    ("environ", "job"),
    [
        ({}, ""),
        (
            {"GITHUB_SERVER_URL": "https://h", "GITHUB_REPOSITORY": "o/r", "GITHUB_RUN_ID": "7"},
            " (https://h/o/r/actions/runs/7)",
        ),
        ({"CI_JOB_URL": "https://ci/1"}, " (https://ci/1)"),
    ],
)
def test_a_session_says_where_it_runs(tmp_path: Path, environ: dict[str, str], job: str) -> None:
    where = LockedSessions(tmp_path, environ).holder.where
    assert where.startswith(f"process {os.getpid()} on ")
    assert where.endswith(job)
