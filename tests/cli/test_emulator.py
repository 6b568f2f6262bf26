"""`cloudretry emulator` as people and scripts start it."""

from __future__ import annotations

import json
import re
import shlex
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from command_line import DRS, CommandLine

from cloudretry.emulator import CREDENTIALS

Start = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture
def start(alone: CommandLine) -> Start:
    """Starts the command and returns it with the line that it prints when it is ready."""

    def begin(*arguments: object) -> tuple[subprocess.Popen[str], str]:
        process = alone.start("emulator", "--port", "0", *arguments)
        assert process.stdout is not None
        return process, process.stdout.readline()

    return begin


def url_in(line: str) -> str:
    (url,) = re.fullmatch(r"listening on (http://127\.0\.0\.1:\d+)\n", line).groups()  # type: ignore[union-attr]
    return str(url)


def targets(url: str) -> list[str]:
    answer = requests.get(f"{url}/_emulator/targets", timeout=10)
    return [target["id"] for target in answer.json()["targets"]]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_when_it_says_so_and_ends_quietly_when_told(start: Start, number: int) -> None:
    process, line = start()
    assert len(targets(url_in(line))) == 8
    process.send_signal(number)
    output, errors = process.communicate(timeout=10)
    assert (process.returncode, output, errors) == (0, "", "")


def test_it_ends_while_a_request_waits_and_a_client_stays_connected(start: Start) -> None:
    process, line = start()
    url = url_in(line)
    requests.post(f"{url}/_emulator/faults", json={"operation": "*", "delay": 60}, timeout=10)
    with requests.Session() as session:
        session.get(f"{url}/_emulator/health", timeout=10)
        with pytest.raises(requests.ReadTimeout):
            session.get(f"{url}/v3/projects", timeout=0.2)
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=10) == ("", "")


def test_it_loads_a_scenario_and_keeps_its_state(start: Start, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("drsJobs: [{id: jb1, state: FULL_TRANSFER_FAILED}]")
    process, _ = start("--scenario", "mine.yaml", "--state", "state.db")
    process.terminate()
    process.communicate(timeout=10)
    _, line = start("--state", "state.db")
    assert targets(url_in(line)) == ["jb1"]


def test_with_json_the_ready_line_is_all_that_a_script_needs(start: Start, alone: CommandLine) -> None:
    process, line = start("--json")
    ready = json.loads(line)
    assert ready.keys() == {"url", "environment"}
    assert ready["environment"]["CLOUDRETRY_EMULATOR"] == ready["url"]
    job = "140b5236-88ad-43c8-811c-1268453jb101"
    assert alone("fire", DRS, job, "--yes", **ready["environment"]).code == 0
    process.terminate()
    assert process.communicate(timeout=10) == ("", "")


def test_its_credentials_can_be_evaluated_by_a_shell(alone: CommandLine) -> None:
    done = alone("emulator", "--show-credentials")
    assert (done.code, done.err) == (0, "")
    exported = dict(re.fullmatch(r"export (\w+)=(.*)", line).groups() for line in done.out.splitlines())  # type: ignore[union-attr]
    assert shlex.split(exported["HW_SECRET_KEY"]) == [CREDENTIALS.secret_key]
    assert exported["CLOUDRETRY_EMULATOR"] == "http://127.0.0.1:8400"
    assert exported["ALIBABA_CLOUD_ACCESS_KEY_ID"] == CREDENTIALS.alicloud_access_key
    # Of a port that is not known yet it says nothing.
    assert "CLOUDRETRY_EMULATOR" not in alone("emulator", "--show-credentials", "--port", "0", "--json").json


def test_a_busy_port_is_one_line_with_the_remedy(alone: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = alone("emulator", "--port", port)
        told = alone("emulator", "--port", port, "--json")
    assert (done.code, done.out) == (2, "")
    words = f"port {port} on 127.0.0.1 is in use: end what listens there, or choose another port (0 takes a free one)"
    assert done.err == f"Error: {words}\n"
    assert told.problem == words


def test_a_wrong_scenario_is_explained_without_a_traceback(alone: CommandLine) -> None:
    (alone.folder / "mine.yaml").write_text("drsJobs: [{id: jb1, state: ODD}]")
    done = alone("emulator", "--scenario", "mine.yaml")
    assert done.code == 2
    assert "drsJobs[0].state: 'ODD' is not a documented state" in done.err
    assert "Traceback" not in done.err
    assert "none.yaml" in alone("emulator", "--scenario", "none.yaml", "--json").problem


def test_a_port_that_is_none_is_refused(alone: CommandLine) -> None:
    assert "70000 is not in the range" in alone.inside("emulator", "--port", "70000", "--json").problem
