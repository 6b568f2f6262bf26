"""`cloudretry fire`: the guards, the journal and the outcome of a resource, for somebody at a keyboard or a script."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import DRS, CommandLine, Done
from open_fires import fires, open_fires
from stack_run import URN

from cloudretry.actions import ACTIONS
from cloudretry.emulator import Emulator
from cloudretry.ledger import Fire
from cloudretry.schema import schema

FIRE = "BatchRestoreTask"
TARGETS = {
    "modelarts:PoolScopeRetry": ("pool-a:Infer", "pool-a:Infer"),
    "modelarts:VisualizationJobRestart": ("10", "10"),
    "workspace:JobRetry": ("task-1", "task-1"),
    DRS: ("jb1", "jb1"),
    "ehpc:JobRerun": ("ehpc-1:1.scheduler", "ehpc-1/1.scheduler"),
}


def records(cloudretry: CommandLine) -> list[Fire]:
    """What the journal holds of open fires."""
    return open_fires(cloudretry.journal)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def fired(emulator: Emulator, target: str) -> int:
    return emulator.target(target).times_fired


# --- what it does ---


@pytest.mark.parametrize("action", TARGETS)
def test_each_action_fires_its_target_once_and_waits(cloudretry: CommandLine, emulator: Emulator, action: str) -> None:
    typed, target = TARGETS[action]
    done = cloudretry("fire", action, typed, "--yes", "--json")
    assert done.code == 0, done
    assert fired(emulator, target) == 1
    outputs = done.json["outputs"]
    assert (outputs["status"], outputs["generation"], outputs["emulator"]) == ("Succeeded", 1, True)
    described = schema()["resources"][f"cloudretry:{action}"]
    assert set(described["required"]) - {"failure"} <= outputs.keys() <= described["properties"].keys()
    assert records(cloudretry) == []


def test_without_a_terminal_it_tells_in_plain_lines(cloudretry: CommandLine) -> None:
    done = cloudretry("fire", "jobbatchretry", "jb1", "jb2", "--yes")
    assert done.code == 0
    heads, *rows = (re.split(r" {2,}", line) for line in done.out.splitlines())
    assert heads == ["TARGET", "STATUS", "STATE", "FIRED", "REASON"]
    assert [row[:3] for row in rows] == [[key, "Succeeded", "FULL_TRANSFER_STARTED"] for key in ("jb1", "jb2")]
    where, _, seen, *_ = done.err.splitlines()
    assert where.startswith("DRS batch retry at the emulator (no cloud is called), region eu-de, project ")
    assert re.split(r" {2,}", seen) == [
        *("jb1", "FULL_TRANSFER_FAILED", "Failed", "yes", "The source database closed the connection.")
    ]
    assert "\x1b" not in done.out + done.err


def test_a_batch_goes_out_in_as_few_requests_as_the_api_allows(cloudretry: CommandLine, emulator: Emulator) -> None:
    done = cloudretry("fire", DRS, *(f"jb{number}" for number in range(1, 13)), "--yes")
    assert done.code == 0
    assert sorted(request.effects for request in emulator.requests(FIRE)) == [2, 10]


def test_the_id_of_the_task_that_goes_on_is_told(cloudretry: CommandLine) -> None:
    done = cloudretry("fire", "workspace:JobRetry", "task-1", "-y")
    assert re.search(r"^retryJobId: (?!task-1$)\S+$", done.out, re.MULTILINE)


def test_a_failed_retry_is_explained_and_ends_with_1(cloudretry: CommandLine) -> None:
    done = cloudretry("fire", DRS, "lost", "jb1", "--yes")
    assert done.code == 1
    assert re.search(r"^lost +Failed +START_JOB_FAILED", done.out, re.MULTILINE)
    assert "DRS batch retry: of 2 targets, 1 failed (status PartiallyFailed)\n- lost: " in done.err
    assert "pulumi up" not in done.err
    assert "The same command fires all of these targets again" in done.err
    # It was told, so it is settled: the next one is asked for anew.
    assert records(cloudretry) == []


def test_a_refusal_is_told_in_the_cloud_s_words_with_the_remedy(cloudretry: CommandLine) -> None:
    done = cloudretry("fire", DRS, "refused", "--yes", "--json")
    assert done.code == 1
    assert done.json["ok"] is False
    assert done.json["outputs"]["results"][0]["errorCode"] == "DRS.M00304"
    remedy = ACTIONS["cloudretry:drs:JobBatchRetry"].errors["DRS.M00304"].remedy
    assert "Not so" in done.json["problem"]
    assert remedy in done.json["problem"]
    assert "pulumi up" not in done.json["problem"]


def test_what_needs_no_retry_is_no_failure(cloudretry: CommandLine, emulator: Emulator) -> None:
    done = cloudretry("fire", DRS, "healthy", "--yes")
    assert done.code == 0
    assert re.search(r"^healthy +Skipped +INCRE_TRANSFER_STARTED .* AlreadyRunning$", done.out, re.MULTILINE)
    before = len(emulator.requests(FIRE))
    done = cloudretry("fire", DRS, "healthy", "--yes", "--set", "fireWhen=retryable")
    assert done.code == 0
    assert len(emulator.requests(FIRE)) == before


def test_a_target_that_is_not_there_is_not_fired_when_it_looks_first(
    cloudretry: CommandLine, emulator: Emulator
) -> None:
    done = cloudretry("fire", DRS, "nobody", "--yes", "--set", "fireWhen=retryable")
    assert done.code == 2
    assert "not fired: " in done.err
    assert emulator.requests(FIRE) == []


def test_without_waiting_it_ends_with_the_cloud_s_answer(cloudretry: CommandLine) -> None:
    done = cloudretry("fire", DRS, "stuck", "--yes", "--set", "wait=false", "--json")
    assert (done.code, done.json["outputs"]["status"]) == (0, "Accepted")
    assert records(cloudretry) == []


def test_inputs_come_from_a_file_or_from_standard_input(cloudretry: CommandLine, emulator: Emulator) -> None:
    (cloudretry.folder / "retry.yaml").write_text("jobs: [{jobId: jb1, isSyncReEdit: true}]\ntriggers: {release: 7}")
    done = cloudretry("fire", DRS, "--inputs", "retry.yaml", "--yes", "--set", "language=zh-cn", "--json")
    assert done.code == 0
    assert done.err.startswith("triggers is left out: it says when a resource fires, and this fires now\n")
    assert done.json["outputs"]["triggers"] == {}
    (request,) = emulator.requests(FIRE)
    assert json.loads(request.body) == {"jobs": [{"job_id": "jb1", "is_sync_re_edit": True}]}
    assert {name.lower(): value for name, value in request.headers.items()}["x-language"] == "zh-cn"
    done = cloudretry("fire", DRS, "--inputs", "-", "--yes", stdin='{"jobs": [{"jobId": "jb2"}]}')
    assert (done.code, fired(emulator, "jb2")) == (0, 1)


def test_the_emulator_can_be_the_embedded_one(alone: CommandLine) -> None:
    job = "140b5236-88ad-43c8-811c-1268453jb101"
    assert alone("status", DRS, job, CLOUDRETRY_EMULATOR="embedded").code == 1
    done = alone("fire", DRS, job, "--yes", CLOUDRETRY_EMULATOR="embedded")
    assert (done.code, "Succeeded" in done.out) == (0, True), done
    assert alone("status", DRS, job, CLOUDRETRY_EMULATOR="embedded").code == 0


# --- what keeps it from firing ---


def test_it_does_not_fire_where_nobody_can_be_asked(cloudretry: CommandLine, emulator: Emulator) -> None:
    done = cloudretry("fire", DRS, "jb1", stdin="y\n")
    assert (done.code, done.out) == (2, "")
    assert "standard input is not a terminal, so nobody can be asked: nothing was fired. Give --yes" in done.err
    told = cloudretry("fire", DRS, "jb1", "--json")
    assert told.code == 2
    assert "nothing was fired" in told.problem
    assert emulator.requests("*") == []


def test_it_does_not_ask_where_the_question_would_not_be_seen(cloudretry: CommandLine, emulator: Emulator) -> None:
    terminal = cloudretry.terminal("-c", f"cloudretry fire {DRS} jb1 2> said", program=Path("/bin/sh"))
    assert terminal.end() == 2
    assert "standard error is not a terminal" in (cloudretry.folder / "said").read_text()
    assert emulator.requests("*") == []


WRONG: dict[str, tuple[list[str], str]] = {
    "no action": ([], "Missing argument 'ACTION'"),
    "an unknown action": (["drs:JobBatchRety", "jb1"], "did you mean drs:JobBatchRetry?"),
    "no target": ([DRS], "give at least one TARGET (jobId)"),
    "a target of another form": (["ehpc:JobRerun", "1.scheduler"], "clusterId:jobId"),
    "a target twice": ([DRS, "jb1", "jb1"], "'jb1' is listed before; name each target once"),
    "two for an action that takes one": (["workspace:JobRetry", "a", "b"], "one job"),
    "targets at two places": (["ehpc:JobRerun", "a:1", "b:2"], "'b:2' is not at the place of 'a:1'"),
    "a scope that does not exist": (["modelarts:PoolScopeRetry", "pool-a:Sleep"], "scope: must be one of"),
    "an unknown input": ([DRS, "jb1", "--set", "maxAtempts=2"], "did you mean maxAttempts?"),
    "a value of another type": ([DRS, "jb1", "--set", "maxAttempts=two"], "maxAttempts: must be a whole number"),
    "a setting without a value": ([DRS, "jb1", "--set", "wait"], "'wait' does not have the form name=value"),
    "targets given twice": ([DRS, "jb1", "--set", "jobs=[{jobId: jb1}]"], "jobs is given by TARGET already"),
    "a file that is not there": ([DRS, "--inputs", "none.yaml"], "none.yaml cannot be read: No such file"),
    "a duration without a unit": ([DRS, "jb1", "--timeout", "30"], "'30' is not a duration"),
    "no time at all": ([DRS, "jb1", "--timeout", "0s"], "must be more than nothing"),
    "two configurations": ([DRS, "jb1", "--stack", "dev", "--config", "x"], "give --stack or --config, not both"),
    "a configuration that is not there": ([DRS, "jb1", "--config", "none.yaml"], "none.yaml cannot be read"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_named_and_nothing_is_asked(cloudretry: CommandLine, emulator: Emulator, case: str) -> None:
    arguments, words = WRONG[case]
    done = cloudretry.inside("fire", *arguments, "--yes", "--json")
    assert done.code == 2
    assert words in done.problem
    assert emulator.requests("*") == []


def test_a_wrong_command_is_told_without_a_traceback(cloudretry: CommandLine) -> None:
    done = cloudretry("fire", DRS, "jb1", "--yes", "--set", "maxAttempts=0", "--set", "fireWhen=later")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "Error: DRS batch retry cannot be asked like this:\n"
        "  fireWhen: must be one of 'always' or 'retryable', got 'later'\n"
        "  maxAttempts: must be at least 1, got 0\n"
    )


def test_a_cloud_that_is_away_is_told_and_nothing_is_fired(cloudretry: CommandLine) -> None:
    done = cloudretry("fire", DRS, "jb1", "--yes", "--json", CLOUDRETRY_EMULATOR="http://127.0.0.1:9")
    assert done.code == 2
    assert "No connection to 127.0.0.1:9 could be made, so nothing was sent" in done.problem


def test_without_credentials_it_says_how_to_give_some(alone: CommandLine) -> None:
    done = alone("fire", DRS, "jb1", "--yes")
    assert done.code == 2
    assert "set HW_ACCESS_KEY and HW_SECRET_KEY" in done.err


def test_no_journal_no_fire(cloudretry: CommandLine, emulator: Emulator) -> None:
    (cloudretry.folder / "provider.yaml").write_text("journalDir: /dev/null/journal")
    done = cloudretry("fire", DRS, "jb1", "--yes", "--config", "provider.yaml")
    assert done.code == 2
    assert "so nothing was fired" in done.err
    assert emulator.requests(FIRE) == []


def test_a_fire_without_a_journal_is_warned_of(cloudretry: CommandLine) -> None:
    (cloudretry.folder / "provider.yaml").write_text("journalEnabled: false")
    done = cloudretry("fire", DRS, "jb1", "--yes", "--config", "provider.yaml")
    assert done.code == 0
    assert "Warning: the journal is switched off" in done.err


# --- cut off ---


def test_a_fire_that_was_killed_before_the_answer_is_taken_up_and_has_one_effect(
    cloudretry: CommandLine, emulator: Emulator
) -> None:
    emulator.add_fault(FIRE, delay=60, after=True)
    process = cloudretry.start("fire", DRS, "jb1", "--yes")
    wait_for(lambda: fired(emulator, "jb1"))
    process.kill()
    process.wait()
    (record,) = records(cloudretry)
    assert record.answers == {}

    done = cloudretry("fire", DRS, "jb1", "--yes")
    assert done.code == 0
    assert "and that fire is open: it is taken up, not fired again" in done.err
    assert re.search(r"^jb1 +Succeeded", done.out, re.MULTILINE)
    assert fired(emulator, "jb1") == len(emulator.requests(FIRE)) == 1
    assert records(cloudretry) == []
    # That one is settled, so this one is a new wish.
    emulator.set_state("jb1", "FULL_TRANSFER_FAILED")
    assert cloudretry("fire", DRS, "jb1", "--yes").code == 0
    assert len(emulator.requests(FIRE)) == 2


def test_when_the_time_is_over_the_next_one_goes_on(cloudretry: CommandLine, emulator: Emulator) -> None:
    done = cloudretry("fire", DRS, "stuck", "--timeout", "300ms", "--yes")
    assert done.code == 3
    assert "timed out while waiting until the transfer runs or is complete; last seen STARTJOBING" in done.err
    assert "The journal keeps it: the same command goes on from here" in done.err
    emulator.set_state("stuck", "FULL_TRANSFER_STARTED")
    done = cloudretry("fire", DRS, "stuck", "--yes", "--json")
    assert (done.code, done.json["outputs"]["status"]) == (0, "Succeeded")
    assert len(emulator.requests(FIRE)) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_it_waits_it_tells_what_is_known(
    cloudretry: CommandLine, emulator: Emulator, number: int
) -> None:
    process = cloudretry.start("fire", DRS, "stuck", "--yes", "--json")
    wait_for(lambda: any(record.answers for record in records(cloudretry)))
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    done = Done(process.returncode, out, err)
    assert done.code == 3
    assert done.json["outputs"]["status"] == "InProgress"
    assert "cancelled while waiting" in done.json["problem"]
    assert len(records(cloudretry)) == 1


def test_interrupted_while_it_fires_it_waits_for_the_answer(cloudretry: CommandLine, emulator: Emulator) -> None:
    emulator.add_fault(FIRE, delay=1, after=True)
    process = cloudretry.start("fire", DRS, "stuck", "--yes", "--json")
    wait_for(lambda: fired(emulator, "stuck"))
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 3
    assert json.loads(out)["outputs"]["requestIds"]


def test_interrupted_twice_it_ends_at_once_and_the_journal_knows(cloudretry: CommandLine, emulator: Emulator) -> None:
    emulator.add_fault(FIRE, delay=60, after=True)
    process = cloudretry.start("fire", DRS, "jb1", "--yes")
    wait_for(lambda: fired(emulator, "jb1"))
    process.send_signal(signal.SIGINT)
    # The second one counts from when the first one was heard, which shows nowhere: so it is sent until it is.
    began = time.monotonic()
    while process.poll() is None:
        process.send_signal(signal.SIGTERM)
        time.sleep(0.05)
    assert time.monotonic() - began < 4
    _, err = process.communicate(timeout=30)
    assert process.returncode in (-signal.SIGINT, -signal.SIGTERM)
    assert err.endswith("Error: interrupted twice\n")
    assert len(records(cloudretry)) == 1


@pytest.mark.parametrize("as_json", [False, True], ids=["words", "json"])
def test_interrupted_while_it_looks_it_ends_at_once_and_has_fired_nothing(alone: CommandLine, as_json: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = alone.start("fire", DRS, "jb1", "--yes", *["--json"] * as_json, CLOUDRETRY_EMULATOR=url)
        connection, _ = silent.accept()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
        connection.close()
    assert process.returncode == -signal.SIGINT
    if as_json:
        assert Done(process.returncode, out, err).problem == "interrupted; nothing was fired"
    else:
        assert (out, err) == ("", "Error: interrupted; nothing was fired\n")
    assert records(alone) == []


def test_an_outcome_that_cannot_be_written_is_kept_for_the_next_one(
    cloudretry: CommandLine, emulator: Emulator
) -> None:
    terminal = cloudretry.terminal("-c", f"cloudretry fire {DRS} jb1 --yes > /dev/full", program=Path("/bin/sh"))
    assert terminal.end() == 3
    assert "Error: the outcome cannot be written (No space left on device); the journal keeps it" in terminal.screen
    assert len(records(cloudretry)) == 1
    done = cloudretry("fire", DRS, "jb1", "--yes")
    assert (done.code, "taken up again, not fired again" in done.err) == (0, True)
    assert len(emulator.requests(FIRE)) == 1


# --- with others ---


def stack_run(cloudretry: CommandLine, emulator: Emulator, *jobs: str) -> subprocess.Popen[str]:
    """A stack's run, at work."""
    config = json.dumps({"emulator": emulator.url, "pollInterval": "100ms"})
    script = Path(__file__).with_name("stack_run.py")
    return cloudretry.start(script, config, *jobs, program=Path(sys.executable))


def test_two_at_the_same_time_fire_once(cloudretry: CommandLine, emulator: Emulator) -> None:
    first = cloudretry.start("fire", DRS, "stuck", "--yes", "--json")
    wait_for(lambda: records(cloudretry))
    second = cloudretry.start("fire", DRS, "stuck", "--yes", "--json")
    assert second.stderr is not None
    waits = re.compile(rf"another run works on this resource \(process {first.pid} on .*\); waiting for it")
    assert any(waits.search(line) for line in second.stderr)
    emulator.set_state("stuck", "FULL_TRANSFER_STARTED")
    ends = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert [process.returncode for process in (first, second)] == [0, 0]
    assert [json.loads(out)["outputs"]["status"] for out in ends] == ["Succeeded", "Succeeded"]
    assert len(emulator.requests(FIRE)) == 1
    assert records(cloudretry) == []


def test_a_target_that_a_stack_s_run_has_is_waited_for_and_adopted(cloudretry: CommandLine, emulator: Emulator) -> None:
    run = stack_run(cloudretry, emulator, "stuck")
    wait_for(lambda: any(record.answers for record in records(cloudretry)))
    by_hand = cloudretry.start("fire", DRS, "stuck", "jb1", "--yes", "--json")
    wait_for(lambda: fired(emulator, "jb1"))
    emulator.set_state("stuck", "FULL_TRANSFER_STARTED")
    out, err = by_hand.communicate(timeout=60)
    assert f"for {URN}, and a run is at work on it: this one waits, and fires only what came to nothing" in err
    assert re.search(
        rf"^stuck is fired for {URN} since \S+Z by process {run.pid} on .*: not fired again, but adopted$",
        err,
        re.MULTILINE,
    )
    assert by_hand.returncode == 0, err
    attempts = {result["target"]: result["attempts"] for result in json.loads(out)["outputs"]["results"]}
    assert attempts == {"stuck": 0, "jb1": 1}
    assert run.wait(60) == 0
    assert fired(emulator, "stuck") == 1


def test_a_target_whose_request_is_on_its_way_for_a_stack_is_waited_for(
    cloudretry: CommandLine, emulator: Emulator
) -> None:
    terminal = cloudretry.terminal("fire", DRS, "jb1")
    terminal.expect("Fire 1 target? [y/N]:")
    emulator.add_fault(FIRE, delay=8, after=True)
    run = stack_run(cloudretry, emulator, "jb1")
    wait_for(lambda: fired(emulator, "jb1"))
    terminal.type("y\n")
    terminal.expect("waiting for 1: jb1 is fired for urn:")
    assert (terminal.end(), run.wait(60)) == (0, 0)
    assert "not fired again, but adopted" in " ".join(terminal.screen.split())
    assert fired(emulator, "jb1") == len(emulator.requests(FIRE)) == 1


def test_what_a_dead_run_of_a_stack_fired_is_looked_at_first(cloudretry: CommandLine, emulator: Emulator) -> None:
    emulator.add_fault(FIRE, delay=60, after=True)
    run = stack_run(cloudretry, emulator, "jb1")
    wait_for(lambda: fired(emulator, "jb1"))
    run.kill()
    run.wait()
    emulator.clear_faults()
    done = cloudretry("fire", DRS, "jb1", "--yes", "--json")
    assert f"for {URN}, and its run has ended without an answer: this one looks first" in done.err
    assert "which has ended: looking for what became of it" in done.err
    assert (done.code, done.json["outputs"]["status"]) == (0, "Succeeded"), done.err
    assert fired(emulator, "jb1") == 1
    # The stack's next run goes on from its own fire, and harms nothing.
    out, err = stack_run(cloudretry, emulator, "jb1").communicate(timeout=60)
    assert "taken up again, not fired again" in err
    assert json.loads(out)["status"] == "Succeeded"
    assert fired(emulator, "jb1") == 1
    assert records(cloudretry) == []


def test_what_the_cloud_accepted_for_a_dead_run_is_told_before_it_is_fired_once_more(
    cloudretry: CommandLine, emulator: Emulator
) -> None:
    run = stack_run(cloudretry, emulator, "stuck")
    wait_for(lambda: any(record.answers for record in records(cloudretry)))
    run.kill()
    run.wait()
    emulator.set_state("stuck", "FULL_TRANSFER_STARTED")
    done = cloudretry("fire", DRS, "stuck", "--yes", "--set", "fireWhen=retryable")
    (fire,) = fires(cloudretry.journal)
    words = "the cloud has taken it: its next `pulumi up` goes on from there, and this one fires once more"
    assert f"for {URN}, and {words}. See: cloudretry journal show {fire.fire_id}\n" in done.err
    assert done.code == 0
    assert len(emulator.requests(FIRE)) == 1


def test_an_open_fire_on_other_targets_as_well_is_to_be_taken_up_first(
    cloudretry: CommandLine, emulator: Emulator
) -> None:
    assert cloudretry("fire", DRS, "stuck", "jb1", "--timeout", "300ms", "--yes").code == 3
    done = cloudretry("fire", DRS, "stuck", "--yes", "--json")
    assert done.code == 2
    problem = json.loads(done.out)["problem"]
    assert "by `cloudretry fire drs:JobBatchRetry jb1 stuck`, and what became of it is open" in problem
    assert len(emulator.requests(FIRE)) == 1
    # Others are not concerned.
    assert cloudretry("fire", DRS, "jb2", "--yes").code == 0
    emulator.set_state("stuck", "FULL_TRANSFER_STARTED")
    (then,) = re.findall(r"`cloudretry (.*?)`", problem)
    assert cloudretry(*then.split(), "--yes").code == 0
    assert len(emulator.requests(FIRE)) == 2


def test_a_fire_that_begins_while_somebody_is_asked_is_noticed(cloudretry: CommandLine, emulator: Emulator) -> None:
    terminal = cloudretry.terminal("fire", DRS, "stuck")
    terminal.expect("Fire 1 target? [y/N]:")
    assert cloudretry("fire", DRS, "stuck", "jb1", "--timeout", "300ms", "--yes").code == 3
    terminal.type("y\n")
    assert terminal.end() == 2
    assert "and what became of it is open; nothing was" in terminal.screen
    assert len(emulator.requests(FIRE)) == 1


# --- on a terminal ---


def test_it_shows_what_it_would_fire_and_asks(cloudretry: CommandLine, emulator: Emulator) -> None:
    terminal = cloudretry.terminal("fire", DRS, "jb1", "healthy")
    terminal.expect("Fire 2 targets? Of these, 1 cannot be retried now, so a retry may be refused [y/N]:")
    assert re.search(r"jb1 +FULL_TRANSFER_FAILED +Failed +yes +The source database closed", terminal.screen)
    assert emulator.requests(FIRE) == []
    terminal.type("y\n")
    assert terminal.end() == 0
    assert re.search(r"jb1 +Succeeded +FULL_TRANSFER_STARTED", terminal.screen)
    assert re.search(r"healthy +Skipped +INCRE_TRANSFER_STARTED .*AlreadyRunning", terminal.screen)
    assert fired(emulator, "jb1") == 1


@pytest.mark.parametrize("answer", ["n\n", "\n", "\x04"], ids=["no", "nothing", "end of input"])
def test_it_fires_only_on_a_clear_yes(cloudretry: CommandLine, emulator: Emulator, answer: str) -> None:
    terminal = cloudretry.terminal("fire", DRS, "jb1")
    terminal.expect("Fire 1 target? [y/N]:")
    terminal.type(answer)
    assert terminal.end() == 2
    assert terminal.screen.endswith("\nError: nothing was fired")
    assert emulator.requests(FIRE) == []


def test_ctrl_c_at_the_question_fires_nothing(cloudretry: CommandLine, emulator: Emulator) -> None:
    terminal = cloudretry.terminal("fire", DRS, "jb1")
    terminal.expect("Fire 1 target? [y/N]:")
    terminal.type("\x03")
    assert terminal.end() == -signal.SIGINT
    assert terminal.screen.endswith("\nError: interrupted; nothing was fired")
    assert emulator.requests(FIRE) == []


def test_what_was_typed_before_the_question_is_no_answer(cloudretry: CommandLine, emulator: Emulator) -> None:
    terminal = cloudretry.terminal("fire", DRS, "jb1")
    terminal.type("y\n")
    terminal.expect("Fire 1 target? [y/N]:")
    assert terminal.process.poll() is None
    terminal.type("n\n")
    assert terminal.end() == 2
    assert emulator.requests(FIRE) == []


def test_a_live_table_shows_how_it_goes(cloudretry: CommandLine, emulator: Emulator) -> None:
    terminal = cloudretry.terminal("fire", DRS, "stuck", "jb1", "--yes")
    terminal.expect("1 of 2 done, waiting for stuck: STARTJOBING")
    assert re.search(r"stuck +STARTJOBING +InProgress +no +starting", terminal.screen)
    assert re.search(r"jb1 +FULL_TRANSFER_STARTED +Succeeded", terminal.screen)
    assert not terminal.shows_cursor
    emulator.set_state("stuck", "FULL_TRANSFER_STARTED")
    assert terminal.end() == 0
    # The outcome has taken the place of the table.
    assert "InProgress" not in terminal.screen
    assert re.search(r"stuck +Succeeded +FULL_TRANSFER_STARTED", terminal.screen)
    assert terminal.shows_cursor
    assert b"\x1b[1A" in terminal.written


def test_ctrl_c_while_it_waits_leaves_an_orderly_terminal(cloudretry: CommandLine) -> None:
    terminal = cloudretry.terminal("fire", DRS, "stuck", "--yes")
    terminal.expect("0 of 1 done, waiting for stuck: STARTJOBING")
    terminal.type("\x03")
    assert terminal.end() == 3
    assert re.search(r"stuck +InProgress +STARTJOBING", terminal.screen)
    assert "The journal keeps it" in terminal.screen
    assert terminal.shows_cursor


def test_a_terminal_that_cannot_draw_gets_plain_lines(cloudretry: CommandLine) -> None:
    terminal = cloudretry.terminal("fire", DRS, "stuck", "--yes", "--timeout", "3s", TERM="dumb")
    assert terminal.end() == 3
    assert "0 of 1 done, waiting for stuck: STARTJOBING" in terminal.screen
    assert b"\x1b" not in terminal.written


def test_on_a_terminal_the_outcome_alone_goes_elsewhere(cloudretry: CommandLine) -> None:
    with open(cloudretry.folder / "outcome.json", "wb") as outcome:
        terminal = cloudretry.terminal("fire", DRS, "jb1", "--json", stdout=outcome)
        terminal.expect("Fire 1 target? [y/N]:")
        terminal.type("y\n")
        assert terminal.end() == 0
    assert json.loads((cloudretry.folder / "outcome.json").read_text())["outputs"]["status"] == "Succeeded"


def test_taking_up_is_asked_for_as_well(cloudretry: CommandLine, emulator: Emulator) -> None:
    assert cloudretry("fire", DRS, "stuck", "--timeout", "300ms", "--yes").code == 3
    emulator.set_state("stuck", "FULL_TRANSFER_STARTED")
    terminal = cloudretry.terminal("fire", DRS, "stuck")
    terminal.expect("Take it up? It is fired again only if the cloud shows that the first fire had no effect [y/N]:")
    terminal.type("y\n")
    assert terminal.end() == 0
    assert len(emulator.requests(FIRE)) == 1
