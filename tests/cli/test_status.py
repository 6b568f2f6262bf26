"""`cloudretry status`: what the targets show, once or until nothing moves any more. It fires nothing."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Iterator

import pytest
from command_line import DRS, CommandLine, Done

from cloudretry.actions import ACTIONS
from cloudretry.emulator import Emulator

LOOK = "BatchListJobStatus"
FIRES = {action.fires.name for action in ACTIONS.values()}


@pytest.fixture(autouse=True)
def _nothing_is_fired(emulator: Emulator) -> Iterator[None]:
    yield
    assert not [request for request in emulator.requests() if request.operation in FIRES]


@pytest.mark.parametrize(
    ("action", "target", "row"),
    [
        ("modelarts:PoolScopeRetry", "pool-a:Infer", r"Infer +EnableFailed +Failed +yes"),
        ("modelarts:VisualizationJobRestart", "10", r"10 +FAILED +Failed +yes"),
        ("workspace:JobRetry", "task-1", r"task-1 +FAILED +Failed +yes"),
        (DRS, "jb1", r"jb1 +FULL_TRANSFER_FAILED +Failed +yes +The source database closed the connection\."),
        ("ehpc:JobRerun", "ehpc-1:1.scheduler", r"1\.scheduler +RUNNING +Idle +yes"),
    ],
)
def test_each_action_can_be_looked_at(cloudretry: CommandLine, action: str, target: str, row: str) -> None:
    done = cloudretry("status", action, target)
    assert done.code == (0 if "Idle" in row else 1)
    heads, seen = done.out.splitlines()
    assert heads.split("  ")[0] == "TARGET"
    assert re.match(row, seen)
    assert done.err.startswith("the emulator (no cloud is called), region ")


@pytest.mark.parametrize(
    ("targets", "code"),
    [(["healthy"], 0), (["healthy", "jb1"], 1), (["nobody"], 1), (["moving"], 3), (["moving", "jb1"], 3)],
    ids=str,
)
def test_its_exit_code_tells_the_worst(
    cloudretry: CommandLine, emulator: Emulator, targets: list[str], code: int
) -> None:
    emulator.set_state("jb2", "STARTJOBING")
    done = cloudretry("status", DRS, *(target.replace("moving", "jb2") for target in targets), "--json")
    assert done.code == code


def test_with_json_it_tells_all_that_was_seen(cloudretry: CommandLine) -> None:
    seen = cloudretry("status", DRS, "jb1", "nobody", "--json").json
    assert (seen["action"], seen["region"], seen["emulator"]) == ("cloudretry:drs:JobBatchRetry", "eu-de", True)
    failed, missing = seen["targets"]
    assert failed == {
        "target": "jb1",
        "class": "Failed",
        "cloudStatus": "FULL_TRANSFER_FAILED",
        "retryable": True,
        "message": "The source database closed the connection.",
        "errorCode": "",
    }
    assert (missing["target"], missing["class"], missing["cloudStatus"]) == ("nobody", "NotFound", "")
    job = cloudretry("status", "ehpc:JobRerun", "ehpc-1:1.scheduler", "--json").json
    assert (job["clusterId"], [target["target"] for target in job["targets"]]) == ("ehpc-1", ["1.scheduler"])


def test_the_cloud_s_words_are_shown_as_they_are_on_one_line(cloudretry: CommandLine, emulator: Emulator) -> None:
    words = "[red]a\nb[/red] \x1b[2J:smile:"
    emulator.set_scenario({"drsJobs": [{"id": "jb1", "state": "FULL_TRANSFER_FAILED", "failedReason": words}]})
    done = cloudretry("status", DRS, "jb1")
    assert done.out.splitlines()[1].endswith("[red]a b[/red] [2J:smile:")
    terminal = cloudretry.terminal("status", DRS, "jb1")
    assert terminal.end() == 1
    assert "[red]a b[/red] [2J:smile:" in terminal.screen


def test_a_cloud_that_is_away_is_told(cloudretry: CommandLine) -> None:
    for watching in ([], ["--watch"]):
        done = cloudretry("status", DRS, "jb1", "--json", *watching, CLOUDRETRY_EMULATOR="http://127.0.0.1:9")
        assert done.code == 2
        assert "No connection to 127.0.0.1:9 could be made" in done.problem


def test_a_refused_look_is_told_in_the_cloud_s_words(cloudretry: CommandLine, emulator: Emulator) -> None:
    refusal = {"error_code": "APIGW.0302", "error_msg": "The IAM user is not authorized."}
    emulator.add_fault(LOOK, status=403, body=refusal)
    done = cloudretry("status", DRS, "jb1")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Error: APIGW.0302: The IAM user is not authorized")


@pytest.mark.parametrize("watching", [[], ["--watch"]], ids=["once", "watching"])
def test_interrupted_before_anything_was_seen_it_says_so(alone: CommandLine, watching: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = alone.start("status", DRS, "jb1", "--json", *watching, CLOUDRETRY_EMULATOR=url)
        connection, _ = silent.accept()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=10)
        connection.close()
    assert process.returncode == -signal.SIGTERM
    assert Done(process.returncode, out, err).problem.startswith("interrupted")


# --- watching ---


def test_watching_ends_when_nothing_moves(cloudretry: CommandLine, emulator: Emulator) -> None:
    emulator.set_state("jb1", "STARTJOBING")
    process = cloudretry.start("status", DRS, "jb1", "healthy", "--watch", "--interval", "100ms")
    assert process.stdout is not None
    seen = [process.stdout.readline() for _ in range(3)]
    emulator.set_state("jb1", "FULL_TRANSFER_STARTED")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    # A line for each target that has changed, and for no other.
    assert [re.split(" {2,}", line)[:2] for line in [*seen[1:], *out.splitlines()]] == [
        ["jb1", "STARTJOBING"],
        ["healthy", "INCRE_TRANSFER_STARTED"],
        ["jb1", "FULL_TRANSFER_STARTED"],
    ]


def test_watching_with_json_prints_an_object_for_each_change(cloudretry: CommandLine, emulator: Emulator) -> None:
    emulator.set_state("jb1", "STARTJOBING")
    process = cloudretry.start("status", DRS, "jb1", "--watch", "--interval", "100ms", "--json")
    assert process.stdout is not None
    first = process.stdout.readline()
    emulator.set_state("jb1", "FULL_TRANSFER_FAILED")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    states = [json.loads(line)["targets"][0]["cloudStatus"] for line in [first, *out.splitlines()]]
    assert states == ["STARTJOBING", "FULL_TRANSFER_FAILED"]


def test_watching_shows_a_live_table(cloudretry: CommandLine, emulator: Emulator) -> None:
    emulator.set_state("jb1", "STARTJOBING")
    terminal = cloudretry.terminal("status", DRS, "jb1", "--watch", "--interval", "100ms")
    terminal.expect("STARTJOBING")
    assert not terminal.shows_cursor
    emulator.set_state("jb1", "FULL_TRANSFER_STARTED")
    assert terminal.end() == 0
    # The table has been drawn anew in its place, and stays.
    assert "STARTJOBING" not in terminal.screen
    assert re.search(r"jb1 +FULL_TRANSFER_STARTED +Succeeded", terminal.screen)
    assert terminal.screen.count("can be retried") == 1
    assert terminal.shows_cursor


def test_ctrl_c_ends_watching_and_leaves_the_last_table(cloudretry: CommandLine, emulator: Emulator) -> None:
    emulator.set_state("jb1", "STARTJOBING")
    terminal = cloudretry.terminal("status", DRS, "jb1", "--watch", "--interval", "1h")
    terminal.expect("STARTJOBING")
    terminal.type("\x03")
    assert terminal.end() == 3
    assert re.search(r"jb1 +STARTJOBING +InProgress", terminal.screen)
    assert terminal.shows_cursor


def test_watching_outlasts_a_look_that_fails(cloudretry: CommandLine, emulator: Emulator) -> None:
    emulator.set_state("jb1", "STARTJOBING")
    emulator.add_fault(LOOK, skip=1, times=2, status=500, body={"error_code": "DRS.M00001", "error_msg": "Not now."})
    process = cloudretry.start("status", DRS, "jb1", "--watch", "--interval", "50ms")
    assert process.stderr is not None
    told = [process.stderr.readline() for _ in range(2)]
    emulator.set_state("jb1", "FULL_TRANSFER_STARTED")
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert all(line.startswith("cannot look now: DRS.M00001: Not now") for line in told)


def test_watching_gives_up_after_three_looks_that_fail(cloudretry: CommandLine, emulator: Emulator) -> None:
    emulator.set_state("jb1", "STARTJOBING")
    emulator.add_fault(LOOK, skip=1, times=None, status=500, body={"error_code": "DRS.M00001", "error_msg": "Not now."})
    done = cloudretry("status", DRS, "jb1", "--watch", "--interval", "50ms")
    assert done.code == 2
    assert re.findall("^(.*?): DRS.M00001", done.err, re.MULTILINE) == ["cannot look now", "cannot look now", "Error"]
