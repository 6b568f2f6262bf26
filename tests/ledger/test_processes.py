"""Processes that really run at once, are stopped and are killed: no target is granted while a fire at it is open."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from places import PLACE

from cloudretry.ledger import Books, Journal
from cloudretry.ledger.store import Folder

RUNS = """
import os, random, sys, threading
from pathlib import Path
from cloudretry.clock import SystemClock
from cloudretry.ledger import Ask, Asker, EntryTarget, Journal, TriggerMark, Word, can_be_taken_over
from cloudretry.model import Answer, FireOutcome
folder, place, owner, seed = Path(sys.argv[1]), eval(sys.argv[2]), sys.argv[3], sys.argv[4]
chance, journal, clock = random.Random(seed), Journal(Path(folder)), SystemClock()
OUTCOMES = [Answer(FireOutcome.ACCEPTED), Answer(FireOutcome.REJECTED), None]

def one_run(number):
    asker = Asker(journal.at(place), clock, lambda _key: False)
    asker.ask = Ask(owner, f"{owner} {number}", 1, 1, False, TriggerMark.of({}))
    keys = chance.sample("TUVW", 2)
    granted, blocked = asker.intend([[EntryTarget(key, 1)] for key in keys])
    for fire in granted:
        asker.leave(fire)
        # In one piece: two threads say so, and may be killed.
        os.write(1, f"{fire.fire_id} {fire.targets[0].key}\\n".encode())
        if answer := chance.choice(OUTCOMES):
            asker.answered(fire.fire_id, {fire.targets[0].key: answer}, "", rides=chance.random() < 0.5)
    for fire in asker.take_over(blocked.values()):
        for key in fire.unclear:
            asker.judge(key, Word.VOID)
    asker.end(handed=True)

number = 0
while True:
    number += 1
    runs = [threading.Thread(target=one_run, args=(f"{number}{name}",)) for name in "ab"]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
"""


@pytest.mark.parametrize("seed", [1, 2])
def test_no_target_is_granted_while_a_fire_at_it_is_open(tmp_path: Path, seed: int) -> None:
    folder, chance, begun = tmp_path / "journal", random.Random(seed), 0
    said: list[str] = []

    def begin() -> subprocess.Popen[str]:
        nonlocal begun
        begun += 1
        command = [sys.executable, "-c", RUNS, folder, repr(PLACE), f"owner {begun}", f"{seed}/{begun}"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def kill(process: subprocess.Popen[str]) -> None:
        process.kill()
        said.extend(line for line in process.communicate()[0].splitlines(keepends=True) if line.endswith("\n"))

    def go_on(entries: int) -> None:
        """Let so many entries more be written."""
        upto = len(list(folder.glob("places/*/0*"))) + entries
        while len(list(folder.glob("places/*/0*"))) < upto:
            assert all(process.poll() is None for process in processes)
            time.sleep(0.01)

    processes = [begin() for _ in range(3)]
    for _ in range(6):
        go_on(chance.randrange(10, 20))
        stopped, killed = chance.sample(processes, 2)
        stopped.send_signal(signal.SIGSTOP)
        time.sleep(chance.uniform(0.05, 0.3))
        kill(killed)
        processes[processes.index(killed)] = begin()
        time.sleep(chance.uniform(0.05, 0.3))
        stopped.send_signal(signal.SIGCONT)
    go_on(10)
    for process in processes:
        kill(process)

    granted = _check(folder)
    # What a process was told that it may send is in the ledger.
    assert said
    assert {tuple(line.split()) for line in said} <= granted


def _check(folder: Path) -> set[tuple[str, str]]:
    """Read entry by entry that each intent was of targets that were free; returns all of them."""
    (place,) = folder.glob("places/*")
    store, books = Folder(folder), Books()
    intents: Counter[tuple[str, str]] = Counter()
    names = sorted(name for name in store.names(f"places/{place.name}") if name.isdecimal())
    assert [int(name) for name in names] == list(range(1, len(names) + 1))
    for name in names:
        for record in json.loads(store.read(f"places/{place.name}/{name}"))["records"]:
            for fire_id, targets in record.get("intent", ()):
                for key, *_ in targets:
                    assert [fire for fire in books.at(key) if not fire.is_closed(key)] == [], (name, fire_id)
                    intents[fire_id, key] += 1
            books.add(int(name), [record])
    assert len(intents) > 20
    assert set(intents.values()) == {1}
    assert Journal(folder).at(PLACE).look(lambda found: [*found.fires()]) == [*books.fires()]
    return set(intents)
