"""``cloudretry emulator`` as people start it."""

from __future__ import annotations

import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
import requests

from cloudretry.emulator import CREDENTIALS

COMMAND = [sys.executable, "-W", "error", "-m", "cloudretry.cli", "emulator"]


@pytest.fixture
def run() -> Iterator[object]:
    """Starts the command and returns it with the URL that it prints."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> tuple[subprocess.Popen[str], str]:
        command = [*COMMAND, "--port", "0", *map(str, arguments)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("listening on http://127.0.0.1:"), (line, process.stderr.read())
        return process, line.removeprefix("listening on ").strip()

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_when_it_says_so_and_ends_quietly_when_told(run, number):
    process, url = run()
    assert len(requests.get(f"{url}/_emulator/targets", timeout=10).json()["targets"]) == 8
    process.send_signal(number)
    output, errors = process.communicate(timeout=10)
    assert (process.returncode, output, errors) == (0, "", "")


def test_it_ends_while_a_request_waits_and_a_client_stays_connected(run):
    process, url = run()
    requests.post(f"{url}/_emulator/faults", json={"operation": "*", "delay": 60}, timeout=10)
    with requests.Session() as session:
        session.get(f"{url}/_emulator/health", timeout=10)
        with pytest.raises(requests.ReadTimeout):
            session.get(f"{url}/v3/projects", timeout=0.2)
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=10) == ("", "")


def test_it_loads_a_scenario_and_keeps_its_state(run, tmp_path):
    (tmp_path / "mine.yaml").write_text("drsJobs: [{id: jb1, state: FULL_TRANSFER_FAILED}]")
    state = tmp_path / "state.db"
    process, _ = run("--scenario", tmp_path / "mine.yaml", "--state", state)
    process.terminate()
    process.communicate(timeout=10)
    _, url = run("--state", state)
    assert [target["id"] for target in requests.get(f"{url}/_emulator/targets", timeout=10).json()["targets"]] == [
        "jb1"
    ]


def failure(*arguments):
    done = subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stderr


def test_a_busy_port_is_one_line_with_the_remedy():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        code, words = failure("--port", port)
    assert code == 1
    assert words == (
        f"Error: port {port} on 127.0.0.1 is in use: "
        "end what listens there, or choose another port (0 takes a free one)\n"
    )


def test_a_wrong_scenario_is_explained_without_a_traceback(tmp_path):
    (tmp_path / "mine.yaml").write_text("drsJobs: [{id: jb1, state: ODD}]")
    code, words = failure("--scenario", tmp_path / "mine.yaml")
    assert code == 1
    assert "drsJobs[0].state: 'ODD' is not a documented state" in words
    assert "Traceback" not in words
    assert failure("--scenario", tmp_path / "none.yaml")[0] == 1


def test_its_credentials_can_be_evaluated_by_a_shell():
    done = subprocess.run([*COMMAND, "--show-credentials"], capture_output=True, text=True, timeout=30, check=True)
    exported = dict(re.fullmatch(r"export (\w+)=(.*)", line).groups() for line in done.stdout.splitlines())
    assert shlex.split(exported["HW_SECRET_KEY"]) == [CREDENTIALS.secret_key]
    assert exported["CLOUDRETRY_EMULATOR"] == "http://127.0.0.1:8400"
    assert exported["ALIBABA_CLOUD_ACCESS_KEY_ID"] == CREDENTIALS.alicloud_access_key
