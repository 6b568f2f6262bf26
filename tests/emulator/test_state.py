"""State that outlives the emulator, and that several emulators share."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading

import pytest
import requests

from cloudretry.actions import OPERATIONS
from cloudretry.emulator import CREDENTIALS, Emulator, EmulatorError
from cloudretry.operation import Operation

JOBS = {"drsJobs": [{"count": 200, "idFormat": "jb{n}", "state": "FULL_TRANSFER_FAILED"}]}


def retry(emulator, *ids):
    return requests.post(
        f"{emulator.url}/v3/{CREDENTIALS.project_id}/jobs/batch-retry-task",
        json={"jobs": [{"job_id": job_id} for job_id in ids]},
        headers={"X-Auth-Token": CREDENTIALS.token},
        timeout=30,
    ).json()["results"]


def test_state_survives_a_restart(start, tmp_path, clock):
    first = start(JOBS, state=tmp_path / "deep" / "state.db")
    retry(first, "jb1")
    first.add_fault("ShowPool", status=500)
    first.stop()
    clock.advance(5)

    second = start(state=tmp_path / "deep" / "state.db")

    assert len(second.targets()) == 200
    assert (second.target("jb1").state, second.target("jb1").times_fired) == ("FULL_TRANSFER_STARTED", 1)
    assert [record.operation for record in second.requests()] == ["BatchRestoreTask"]


def test_the_state_is_for_its_user_alone(start, tmp_path):
    path = tmp_path / "deep" / "state.db"
    start(JOBS, state=path)
    made = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (path.parent, *path.parent.iterdir())}
    assert made == {"deep": 0o700, "state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}


def test_the_state_is_not_kept_behind_a_link(start, tmp_path):
    (tmp_path / "state.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EmulatorError, match="it is a link; name the file itself"):
        start(JOBS, state=tmp_path / "state.db")


def test_a_scenario_that_is_given_replaces_what_was_kept(start, tmp_path):
    start(JOBS, state=tmp_path / "state.db").stop()
    emulator = start({"drsJobs": [{"id": "new", "state": "CREATING"}]}, state=tmp_path / "state.db")
    assert [target.id for target in emulator.targets()] == ["new"]


def test_an_empty_scenario_is_kept_too(start, tmp_path):
    start({}, state=tmp_path / "state.db").stop()
    assert start(state=tmp_path / "state.db").targets() == []


def test_the_built_in_scenario_is_loaded_into_a_new_state(start, tmp_path):
    assert len(start(state=tmp_path / "state.db").targets()) == 8


def test_a_job_is_fired_once_however_many_emulators_share_the_state(start, tmp_path):
    emulators = [start(JOBS if n == 0 else None, state=tmp_path / "state.db") for n in range(3)]
    accepted: list[str] = []

    def fire_all(emulator):
        for n in range(1, 201, 10):
            results = retry(emulator, *(f"jb{m}" for m in range(n, n + 10)))
            accepted.extend(result["id"] for result in results if result["status"] == "success")

    threads = [threading.Thread(target=fire_all, args=(emulator,)) for emulator in emulators]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(accepted) == len(set(accepted)) == 200
    assert {target.times_fired for target in emulators[0].targets()} == {1}
    assert len(emulators[0].requests()) == 60


def test_processes_that_start_on_one_new_file_at_the_same_time_all_come_up(tmp_path):
    program = (
        "import sys, pathlib\n"
        "from cloudretry.emulator import Emulator\n"
        "with Emulator(state=pathlib.Path(sys.argv[1])) as emulator:\n"
        "    emulator.set_state('10', '12')\n"
        "    print(len(emulator.targets()), emulator.target('10').state)\n"
    )
    command = [sys.executable, "-W", "error", "-c", program, str(tmp_path / "state.db")]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(3)
    ]
    assert [process.communicate(timeout=60)[0].strip() for process in processes] == ["8 12"] * 3


def test_a_file_that_is_no_state_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("not a database, and long enough to be sure of it" * 50)
    with pytest.raises(EmulatorError, match=r"notes\.txt: cannot be used .*; delete the file or name another"):
        Emulator(state=tmp_path / "notes.txt").start()


def test_a_state_of_another_version_is_refused(tmp_path):
    connection = sqlite3.connect(tmp_path / "state.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(EmulatorError, match=r"written by another version .* delete the file to start afresh"):
        Emulator(state=tmp_path / "state.db").start()


def test_a_state_that_cannot_be_opened_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EmulatorError, match="cannot be opened"):
        Emulator(state=tmp_path / "file" / "state.db").start()


def test_an_emulator_can_be_started_again(start):
    emulator = start()
    with pytest.raises(EmulatorError, match="started already"):
        emulator.start()
    emulator.stop()
    emulator.stop()
    with pytest.raises(EmulatorError, match="not started"):
        _ = emulator.url
    with pytest.raises(EmulatorError, match="not started"):
        emulator.targets()
    assert requests.get(f"{emulator.start().url}/_emulator/health", timeout=10).ok


def test_a_busy_port_is_named(start):
    port = int(start().url.rpartition(":")[2])
    with pytest.raises(EmulatorError, match=rf"port {port} on 127\.0\.0\.1 is in use"):
        Emulator(port=port).start()


def test_an_address_that_is_not_here_is_named():
    with pytest.raises(EmulatorError, match="cannot listen on"):
        Emulator(host="203.0.113.1").start()


def test_an_operation_without_a_handler_fails_at_the_start(monkeypatch):
    operation = Operation("TeleportPool", "modelarts", "POST", "/v9/teleport")
    monkeypatch.setitem(OPERATIONS, "TeleportPool", operation)
    with pytest.raises(EmulatorError, match="no handler for modelarts:TeleportPool"):
        Emulator().start()


def test_an_operation_is_served_where_its_action_says(monkeypatch, start):
    monkeypatch.setitem(
        OPERATIONS, "ShowPool", Operation("ShowPool", "modelarts", "GET", "/v9/{project_id}/{pool_name}")
    )
    url = f"{start().url}/v9/{CREDENTIALS.project_id}/pool-dly-op-0c2098ebae80d3e22f31c011e23a97cd"
    assert requests.get(url, headers={"X-Auth-Token": CREDENTIALS.token}, timeout=10).status_code == 200
