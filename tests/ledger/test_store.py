"""The folder that a ledger is kept in: whole or not at all, once for all, and nobody else's."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cloudretry.errors import JournalError
from cloudretry.ledger.store import Folder


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "journal")


def test_what_was_created_is_read_and_listed(store: Folder) -> None:
    assert store.create("places/p/1", b"one")
    assert store.read("places/p/1") == b"one"
    (name, at), *others = store.names("places/p").items()
    assert (name, others) == ("1", [])
    assert at == pytest.approx(time.time(), abs=60)


def test_a_second_create_is_refused_and_changes_nothing(store: Folder) -> None:
    store.create("p/1", b"one")
    assert not store.create("p/1", b"two")
    assert store.read("p/1") == b"one"
    assert os.listdir(store.path / "p") == ["1"]


def test_what_is_not_there_is_not_found_and_lists_as_nothing(store: Folder) -> None:
    assert store.names("p") == {}
    with pytest.raises(FileNotFoundError):
        store.read("p/1")


def test_what_was_removed_is_gone_and_may_be_removed_again(store: Folder) -> None:
    store.create("p/1", b"one")
    for _ in range(2):
        store.remove("p/1")
    assert store.names("p") == {}


def test_a_draft_that_goes_while_the_folder_is_listed_hides_nothing_else(
    store: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create("p/1", b"one")
    draft = store.path / "p" / ".another-process.draft"
    draft.write_bytes(b"two")
    scandir = os.scandir

    @contextlib.contextmanager
    def listed_before_it_went(path: Path) -> Iterator[list[os.DirEntry[str]]]:
        with scandir(path) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        draft.unlink()
        yield found

    monkeypatch.setattr(os, "scandir", listed_before_it_went)
    assert list(store.names("p")) == ["1"]


def test_of_many_threads_one_creates_each_name(store: Folder) -> None:
    def create_all(thread: int) -> list[int]:
        return [number for number in range(20) if store.create(f"p/{number}", str(thread).encode(), durable=False)]

    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(create_all, range(8)))
    assert Counter(number for numbers in won for number in numbers) == Counter(range(20))
    for thread, numbers in enumerate(won):
        assert {store.read(f"p/{number}") for number in numbers} <= {str(thread).encode()}


CREATES = """
import sys
from pathlib import Path
from cloudretry.ledger.store import Folder
store = Folder(Path(sys.argv[1]))
sys.stdin.readline()
for number in range(40):
    if store.create(f"p/{number}", sys.argv[2].encode()):
        print(number)
"""


def test_of_many_processes_one_creates_each_name(store: Folder) -> None:
    names = ["a", "b", "c"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CREATES, store.path, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in names
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    won = [[int(line) for line in process.communicate()[0].splitlines()] for process in processes]
    assert Counter(number for numbers in won for number in numbers) == Counter(range(40))
    for name, numbers in zip(names, won, strict=True):
        assert {store.read(f"p/{number}") for number in numbers} <= {name.encode()}


WRITES = """
import sys
from pathlib import Path
from cloudretry.ledger.store import Folder
store = Folder(Path(sys.argv[1]))
for number in range(1_000_000):
    store.create(f"p/{number}", bytes([number % 256]) * 300_000)
    print(number, flush=True)
"""


def test_what_is_there_is_whole_after_kill_9_at_any_instant(tmp_path: Path) -> None:
    chance = random.Random(20260131)
    for attempt in range(6):
        store = Folder(tmp_path / str(attempt))
        process = subprocess.Popen([sys.executable, "-c", WRITES, store.path], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        with process:
            said = [process.stdout.readline()]
            time.sleep(chance.uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
            said += process.stdout.readlines()
        found = store.names("p")
        for name in found:
            assert store.read(f"p/{name}") == bytes([int(name) % 256]) * 300_000
        assert {line.strip() for line in said if line.endswith("\n")} <= set(found)


def test_a_disk_that_takes_only_a_part_is_an_error_and_leaves_nothing(store: Folder) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(JournalError, match="cannot be written"):
            store.create("p/1", bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(store.path / "p") == []


def _refusing(code: int) -> Callable[..., None]:
    def refuse(*_arguments: object) -> None:
        raise OSError(code, os.strerror(code))

    return refuse


@pytest.mark.parametrize(
    ("call", "code", "remedy"),
    [
        ("write", errno.ENOSPC, "Free some space"),
        ("fsync", errno.EDQUOT, "Free some space"),
        ("open", errno.EROFS, "a folder that can be written"),
        ("link", errno.EPERM, "a disk with hard links"),
        ("link", errno.ENOTSUP, "a disk with hard links"),
    ],
)
def test_what_cannot_be_written_is_refused_with_a_remedy_and_leaves_nothing(
    store: Folder, monkeypatch: pytest.MonkeyPatch, call: str, code: int, remedy: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, call, _refusing(code))
        with pytest.raises(JournalError, match=remedy) as caught:
            store.create("p/1", b"one")
    for words in (os.strerror(code), str(store.path), "nothing was fired", "journalEnabled: false"):
        assert words in str(caught.value)
    assert os.listdir(store.path / "p") == []


def test_a_file_in_the_place_of_the_folder_is_refused(store: Folder) -> None:
    store.path.write_text("in the way")
    with pytest.raises(JournalError, match="cannot be written"):
        store.create("p/1", b"one")


def test_a_folder_that_goes_while_it_is_written_to_is_refused(store: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Folder, "own", lambda *_: None)
    with pytest.raises(JournalError, match="cannot be written"):
        store.create("p/1", b"one")


@pytest.mark.skipif(os.name != "posix", reason="modes")
def test_folders_and_files_are_for_their_owner_only_whatever_the_umask(store: Folder) -> None:
    before = os.umask(0)
    try:
        store.create("places/p/1", b"one")
    finally:
        os.umask(before)
    made = [store.path, *store.path.rglob("*")]
    assert len(made) == 4
    assert [path for path in made if path.stat().st_mode & 0o077] == []


LEVELS = ["", "places", "places/p"]


def _refused(store: Folder, why: str) -> None:
    for call in (lambda: store.create("places/p/2", b"two"), lambda: store.names("places/p")):
        with pytest.raises(JournalError, match=why) as caught:
            call()
        assert "nothing was fired" in str(caught.value)
        assert "a folder of your own" in str(caught.value)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_a_folder_that_others_can_write_to_is_not_believed(store: Folder, level: str, mode: int) -> None:
    store.create("places/p/1", b"one")
    (store.path / level).chmod(mode)
    _refused(store, "can be written by other users")


@pytest.mark.parametrize("level", LEVELS)
def test_a_link_in_the_place_of_a_folder_is_not_believed(store: Folder, tmp_path: Path, level: str) -> None:
    store.create("places/p/1", b"one")
    elsewhere = tmp_path / "elsewhere"
    (store.path / level).rename(elsewhere)
    (store.path / level).symlink_to(elsewhere)
    _refused(store, "is a link")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("level", LEVELS)
def test_a_folder_of_somebody_else_is_not_believed(store: Folder, level: str) -> None:
    store.create("places/p/1", b"one")
    os.chown(store.path / level, 12345, -1)
    _refused(store, "belongs to another user .uid 12345.")


def test_a_link_in_the_place_of_an_entry_is_not_followed(store: Folder, tmp_path: Path) -> None:
    store.create("p/1", b"one")
    (tmp_path / "secret").write_text("of somebody else")
    (store.path / "p/2").symlink_to(tmp_path / "secret")
    with pytest.raises(JournalError, match="cannot be read"):
        store.read("p/2")
    assert not store.create("p/2", b"two")
    assert (tmp_path / "secret").read_text() == "of somebody else"
