"""What the outputs remember: nothing is lost on the way through the state, and it stays small."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudretry.actions import ACTIONS
from cloudretry.actions.base import SuccessPolicy
from cloudretry.inputs import UNKNOWN
from cloudretry.lifecycle import NOWHERE, diff, not_fired, preview_outputs
from cloudretry.lifecycle.identifier import new_id
from cloudretry.model import Place, Result, Status
from cloudretry.record import HISTORY_LENGTH, Record, verdict
from support import World
from support.samples import BAD, DRS, GOOD, SAMPLES, Sample, drs

WORDS = st.text(max_size=12)
KEYS = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True)
SECONDS = st.integers(0, 4_000_000_000).map(float)
RESULTS = st.builds(
    Result,
    target=KEYS,
    status=st.sampled_from([one for one in Status if one is not Status.PARTIALLY_FAILED]),
    cloud_status=WORDS,
    attempts=st.integers(0, 1000),
    fired_at=st.none() | SECONDS,
    error_code=WORDS,
    error_message=WORDS,
    skipped_reason=WORDS,
    handle=WORDS,
    before=WORDS,
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | st.integers(-(2**50), 2**50) | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
TRIGGERS = st.dictionaries(st.text(min_size=1, max_size=6), JSON, max_size=4)


def through_state(value: Any) -> Any:
    return json.loads(json.dumps(value))


@given(RESULTS)
def test_a_result_comes_back_from_the_state_as_it_was(result: Result) -> None:
    assert Result.from_state(through_state(result.to_state())) == result


@st.composite
def records(draw: st.DrawFn) -> Record:
    results = {result.target: result for result in draw(st.lists(RESULTS, min_size=1, max_size=4))}
    inputs: dict[str, Any] = {
        "jobs": [{"jobId": key} for key in results],
        "triggers": draw(TRIGGERS),
        **draw(st.fixed_dictionaries({}, optional={"wait": st.booleans(), "maxAttempts": st.integers(1, 9)})),
    }
    return Record(
        inputs=inputs,
        place=Place(draw(WORDS), draw(WORDS)),
        status=draw(st.sampled_from(Status)),
        generation=draw(st.integers(0, 99)),
        results=results,
        fired_at=draw(st.none() | st.just("2026-01-31T23:59:59Z")),
        fire_ids=tuple(draw(st.lists(WORDS, max_size=2))),
        request_ids=tuple(draw(st.lists(WORDS, max_size=2))),
        emulator=draw(st.booleans()),
        history=tuple(draw(st.lists(st.fixed_dictionaries({"at": WORDS, "fired": st.integers(0, 9)}), max_size=2))),
        life=draw(st.from_regex(r"[0-9a-f]{16}", fullmatch=True)),
        run=draw(st.integers(0, 99)),
    )


@given(records())
def test_a_record_comes_back_from_the_state_as_it_was(record: Record) -> None:
    action = ACTIONS[DRS]
    assert Record.from_outputs(action, through_state(record.to_outputs(action))) == record


@given(records())
def test_recorded_inputs_are_no_difference_to_themselves(record: Record) -> None:
    action = ACTIONS[DRS]
    outputs = through_state(record.to_outputs(action))
    inputs = through_state(record.inputs)
    changes = [change.path for change in diff(action, outputs, inputs, NOWHERE).changes]
    assert changes == (["status"] if record.unfinished else [])


@given(records(), st.randoms())
def test_targets_in_another_order_are_no_difference(record: Record, random: Any) -> None:
    action = ACTIONS[DRS]
    jobs = list(record.inputs["jobs"])
    random.shuffle(jobs)
    changes = diff(action, record.to_outputs(action), {**record.inputs, "jobs": jobs}, NOWHERE).changes
    assert not [change for change in changes if not change.of_output]


@given(records(), TRIGGERS)
def test_other_triggers_are_a_difference_by_name_and_nothing_else_is(record: Record, triggers: dict[str, Any]) -> None:
    action = ACTIONS[DRS]
    changes = diff(action, record.to_outputs(action), {**record.inputs, "triggers": triggers}, NOWHERE).changes
    named = [change.path for change in changes if not change.of_output]
    old = record.triggers
    names = {*old, *triggers}
    assert len(named) <= len(names)
    assert all(path.startswith("triggers") for path in named)
    assert bool(named) >= (old.keys() != triggers.keys())
    assert bool(named) >= (old != triggers)


# --- verdicts ---


@pytest.mark.parametrize(
    ("statuses", "whole"),
    [
        ("Succeeded Succeeded", "Succeeded"),
        ("Succeeded Skipped", "Succeeded"),
        ("Skipped Skipped", "Skipped"),
        ("Accepted Succeeded", "Accepted"),
        ("Accepted Skipped", "Accepted"),
        ("Failed Failed", "Failed"),
        ("Failed Succeeded", "PartiallyFailed"),
        ("Failed Skipped", "PartiallyFailed"),
        ("Failed Accepted", "PartiallyFailed"),
        ("Failed InProgress", "InProgress"),
        ("Failed Unknown", "Unknown"),
        ("InProgress Unknown", "InProgress"),
        ("Succeeded Unknown", "Unknown"),
    ],
)
def test_the_verdict_on_all_targets_tells_what_is_open_before_what_failed(statuses: str, whole: str) -> None:
    results = [Result(str(index), Status(word)) for index, word in enumerate(statuses.split())]
    assert verdict(results) == whole
    assert verdict(reversed(results)) == whole
    if "Succeeded" in statuses:
        assert verdict(results, SuccessPolicy.ANY) == "Succeeded"


# --- history ---


def test_the_history_holds_the_last_twenty_runs_and_no_trigger_values() -> None:
    world = drs(jb1=[GOOD])
    world.cloud.legal = False
    for number in range(30):
        world.up(triggers={"release": f"secret-{number}"})
    assert len(world["history"]) == HISTORY_LENGTH
    assert world["history"][-1]["generation"] == 30
    assert world["history"][-1]["triggers"] == ["release"]
    assert "secret" not in json.dumps(world["history"])


def test_a_run_in_the_history_names_at_most_twenty_failed_targets_and_requests() -> None:
    world = drs(**{f"job{number:03}": [BAD] for number in range(250)})
    world.up()
    (entry,) = world["history"]
    assert (entry["fired"], entry["outcomes"]) == (250, {"Failed": 250})
    assert entry["failedTargets"] == [f"job{number:03}" for number in range(20)]
    assert len(entry["requestIds"]) == 20


def test_a_run_that_only_changes_a_knob_is_not_in_the_history() -> None:
    world = drs(jb1=[GOOD])
    world.up()
    world.up(maxAttempts=9)
    assert len(world["history"]) == 1


# --- size ---


def test_a_large_batch_is_fired_whole_read_in_hundreds_and_stays_small_in_state() -> None:
    keys = [f"140b5236-88ad-43c8-811c-12684{number:05}jb101" for number in range(10_000)]
    world = World(DRS, jobs=[{"jobId": key} for key in keys], triggers={"release": "1"})
    for key in keys:
        world.cloud.add(key, "FULL_TRANSFER_FAILED", [("INCRE_TRANSFER_STARTED", 0)])
    step = world.up()
    assert (step.posts, step.looks, step.failure) == (1000, 100, "")
    assert set(world.cloud.effects.values()) == {1}
    kept = {"inputs": world.program, "outputs": world.state, "id": world.id}
    assert len(json.dumps(kept, separators=(",", ":"))) / len(keys) <= 300
    assert world.up().kind == "same"
    assert len(step.lines) < 5


def test_a_failure_of_many_names_five_and_points_to_the_rest() -> None:
    world = drs(**{f"job{number}": [BAD] for number in range(30)})
    failure = world.up().failure
    assert failure.count("\n- ") == 5
    assert "and 25 more; all are in the output `results`" in failure


# --- preview ---


def test_a_preview_of_a_create_knows_the_inputs_and_nothing_else(sample: Sample) -> None:
    outputs = preview_outputs(ACTIONS[sample.token], sample.inputs, None, 0.0)
    assert sample.inputs.items() <= outputs.items()
    assert all(outputs[name] is UNKNOWN for name in ("status", "results", "generation", "requestIds", "firedAt"))
    world = sample.world(triggers={})
    world.up(triggers=None)
    assert set(world.state or {}) <= set(outputs) | {"triggers"}


def test_a_preview_of_a_run_that_fires_nothing_knows_what_the_run_will_leave_behind() -> None:
    world = drs(jb1=[GOOD], jb2=[BAD])
    world.up(language="en-us")
    for changes in ({"maxAttempts": 9, "successPolicy": "any"}, {"jobs": [{"jobId": "jb1"}]}, {"language": None}):
        program = {name: value for name, value in {**world.program, **changes}.items() if value is not None}
        policy = {"successPolicy": "any"}
        outputs = preview_outputs(world.action, program | policy, world.state, world.clock.now())
        world.up(**(changes | policy))  # type: ignore[arg-type]
        assert outputs == world.state


def test_a_preview_of_a_run_that_fires_knows_the_inputs_and_the_place() -> None:
    world = drs(jb1=[GOOD])
    world.up()
    outputs = preview_outputs(world.action, {**world.program, "triggers": {"release": "2"}}, world.state, 0.0)
    assert outputs["status"] is UNKNOWN
    assert (outputs["region"], outputs["projectId"]) == ("eu-de", "p1")


def test_a_preview_with_unknown_inputs_promises_nothing() -> None:
    world = drs(jb1=[GOOD])
    world.up()
    outputs = preview_outputs(world.action, {**world.program, "triggers": {"release": UNKNOWN}}, world.state, 0.0)
    assert outputs["generation"] is UNKNOWN
    assert [change.path for change in world.preview(triggers={"release": UNKNOWN}).changes] == ["triggers.release"]
    assert [change.path for change in world.preview(jobs=[{"jobId": UNKNOWN}]).changes] == ["jobs"]
    assert [change.path for change in world.preview(triggers=UNKNOWN).changes] == ["triggers"]


def test_a_create_that_could_not_start_is_fired_whole_by_the_next_update(sample: Sample) -> None:
    world = sample.world()
    done = not_fired(world.action, world.program, "no credentials", emulated=False)
    world.state, world.id = through_state(done.outputs), done.resource_id
    assert world["status"] == "Failed"
    assert "not fired: no credentials" in world.result(sample.key)["errorMessage"]
    step = world.up()
    assert (step.kind, step.fired, step.failure, world["region"]) == ("update", [sample.key], "", "eu-de")


def test_a_create_that_could_not_start_on_the_emulator_is_fired_there(sample: Sample) -> None:
    world = sample.world()
    world.cloud.emulator = True
    done = not_fired(world.action, world.program, "the journal cannot be written", emulated=world.backend.emulated)
    world.state, world.id = through_state(done.outputs), done.resource_id
    assert world.up().fired == [sample.key]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.token)
def test_an_id_without_a_place_is_the_targets_alone(sample: Sample) -> None:
    world = sample.world()
    done = not_fired(world.action, world.program, "no region", emulated=False)
    assert done.resource_id == sample.import_id
    assert new_id(world.action, Record.from_outputs(world.action, done.outputs)) == sample.import_id
