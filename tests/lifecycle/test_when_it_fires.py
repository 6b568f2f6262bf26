"""The table "when it fires", row by row, with the effects in the cloud counted."""

from __future__ import annotations

import itertools

import pytest

from cloudretry.errors import PinnedPlaceChanged
from cloudretry.model import Place
from support import World
from support.samples import BAD, GOOD, SAMPLES, STUCK, VISUALIZATION, Sample, drs

# --- the same for every action ---


def test_a_create_fires_once(sample: Sample) -> None:
    world = sample.world()
    step = world.up()
    assert step.kind == "create"
    assert step.fired == [sample.key]
    assert step.failure == ""
    assert (world["status"], world["generation"]) == ("Succeeded", 1)
    assert world["firedAt"] == "2027-01-15T08:00:00Z"
    assert len(world["requestIds"]) == 1


def test_a_second_up_fires_nothing_and_asks_nothing(sample: Sample) -> None:
    world = sample.world()
    world.up()
    step = world.up()
    assert (step.kind, step.posts, step.looks) == ("same", 0, 0)


def test_a_changed_trigger_fires_once_and_the_diff_names_it(sample: Sample) -> None:
    world = sample.world()
    world.up()
    world.cloud.things[sample.key].state = sample.failed
    world.cloud.legal = False
    step = world.up(triggers={"release": "2"})
    assert (step.kind, step.changes) == ("update", ["triggers.release"])
    assert step.fired == [sample.key]
    assert world["generation"] == 2


@pytest.mark.parametrize(
    ("triggers", "path"),
    [
        ({"release": "1", "extra": 1}, "triggers.extra"),
        ({}, "triggers.release"),
        ({"release": {"deep": [1]}}, "triggers.release"),
        ({"release": True}, "triggers.release"),
    ],
)
def test_any_change_of_a_trigger_counts(triggers: dict[str, object], path: str) -> None:
    world = drs(jb1=[GOOD])
    world.cloud.legal = False
    world.up()
    step = world.up(triggers=triggers)
    assert (step.changes, step.fired) == ([path], ["jb1"])


def test_true_and_1_are_different_triggers_and_1_and_a_null_beside_it_are_not() -> None:
    world = drs(jb1=[GOOD])
    world.cloud.legal = False
    world.up(triggers={"release": True})
    assert world.up(triggers={"release": 1}).fired == ["jb1"]
    assert world.up(triggers={"release": 1.0, "none": None}).kind == "same"


def test_another_identity_replaces_and_fires_in_the_new_one(sample: Sample) -> None:
    world = sample.world()
    world.up()
    for key in ("Train", "11", "ws-2"):
        world.cloud.add(key, sample.failed, sample.good)
    world.cloud.legal = False
    step = world.up(**sample.elsewhere)
    assert step.kind == "replace"
    assert step.changes == list(sample.elsewhere)
    assert sum(step.effects.values()) == 1


def test_destroy_and_up_fires_again(sample: Sample) -> None:
    world = sample.world()
    world.cloud.legal = False
    world.up()
    world.destroy()
    assert world.up().fired == [sample.key]


def test_a_forced_replace_fires_again(sample: Sample) -> None:
    world = sample.world()
    world.cloud.legal = False
    world.up()
    assert world.up(replace=True).fired == [sample.key]


def test_a_refresh_fires_nothing_whatever_it_sees(sample: Sample) -> None:
    world = sample.world(reconcile=True) if sample.bad else sample.world()
    world.up()
    for state in world.action.states:
        world.cloud.things[sample.key].set(state)
        assert world.refresh().posts == 0


def test_a_plain_refresh_and_an_up_fire_nothing(sample: Sample) -> None:
    world = sample.world()
    world.up()
    world.cloud.things[sample.key].set(sample.failed)
    world.refresh()
    assert world.result(sample.key)["cloudStatus"] == sample.failed
    assert world.result(sample.key)["status"] == "Succeeded"
    assert world.up().kind == "same"


@pytest.mark.parametrize(
    "knob",
    [
        {"wait": False},
        {"fireWhen": "retryable"},
        {"maxAttempts": 7},
        {"retryInRun": True},
        {"cooldown": "1h"},
        {"successPolicy": "any"},
        {"onUnknown": "fire"},
    ],
    ids=lambda knob: next(iter(knob)),
)
def test_a_knob_is_updated_in_place_and_fires_nothing(sample: Sample, knob: dict[str, object]) -> None:
    world = sample.world()
    world.up()
    step = world.up(**knob)
    assert (step.kind, step.changes, step.posts) == ("update", list(knob), 0)
    assert world["generation"] == 1
    assert world.up().kind == "same"
    step = world.up(**dict.fromkeys(knob))
    assert (step.kind, step.posts) == ("update", 0)


@pytest.mark.parametrize("sample", [one for one in SAMPLES if one.bad], ids=lambda one: one.token)
def test_a_failed_retry_fails_the_up_stays_in_state_and_is_fired_by_the_next_up(sample: Sample) -> None:
    assert sample.bad
    world = sample.world(sample.bad, sample.good)
    step = world.up()
    assert (step.fired, world["status"]) == ([sample.key], "Failed")
    assert sample.bad[-1][0] in step.failure
    assert "The next `pulumi up` fires the failed targets again, and only those (2 attempts left)." in step.failure
    step = world.up()
    assert (step.changes, step.fired, step.failure) == (["status"], [sample.key], "")
    assert (world["status"], world["generation"]) == ("Succeeded", 1)
    assert world.result(sample.key)["attempts"] == 2


def test_a_triggers_way_there_and_back_fires_twice() -> None:
    world = drs(jb1=[GOOD])
    world.cloud.legal = False
    world.up(triggers={"release": "A"})
    assert world.up(triggers={"release": "B"}).fired == ["jb1"]
    assert world.up(triggers={"release": "A"}).fired == ["jb1"]
    assert world["generation"] == 3


# --- batches ---


def test_a_target_that_is_added_is_fired_alone() -> None:
    world = drs(jb1=[GOOD], jb2=[GOOD])
    world.up(jobs=[{"jobId": "jb1"}])
    step = world.up(jobs=[{"jobId": "jb2"}, {"jobId": "jb1"}])
    assert (step.changes, step.fired) == (["jobs[0].jobId"], ["jb2"])
    assert world["generation"] == 1
    assert world["history"][-1]["reason"] == "targets added"


def test_a_target_that_is_removed_calls_nothing() -> None:
    world = drs(jb1=[GOOD], jb2=[GOOD])
    world.up()
    step = world.up(jobs=[{"jobId": "jb2"}])
    assert (step.kind, step.changes, step.posts, step.looks) == ("update", ["jobs[0].jobId"], 0, 0)
    assert [result["target"] for result in world["results"]] == ["jb2"]


def test_removing_the_failed_target_heals_the_resource() -> None:
    world = drs(jb1=[GOOD], jb2=[BAD])
    world.up()
    step = world.up(jobs=[{"jobId": "jb1"}])
    assert (step.posts, step.failure, world["status"]) == (0, "", "Succeeded")


def test_another_order_of_the_targets_is_no_change() -> None:
    world = drs(jb1=[GOOD], jb2=[GOOD])
    world.up()
    assert world.up(jobs=[{"jobId": "jb2"}, {"jobId": "jb1"}]).kind == "same"


def test_a_changed_option_of_a_target_fires_nothing() -> None:
    world = drs(jb1=[GOOD])
    world.up()
    step = world.up(jobs=[{"jobId": "jb1", "isSyncReEdit": True}])
    assert (step.kind, step.changes, step.posts) == ("update", ["jobs[0]"], 0)
    assert world.up().kind == "same"


def test_the_next_up_fires_the_failed_targets_only() -> None:
    world = drs(jb1=[GOOD], jb2=[BAD, GOOD], jb3=[GOOD])
    step = world.up()
    assert (step.fired, world["status"]) == (["jb1", "jb2", "jb3"], "PartiallyFailed")
    assert "of 3 targets, 1 failed" in step.failure
    assert "- jb2: it is INCRE_TRANSFER_FAILED (incremental transfer failed)." in step.failure
    step = world.up()
    assert (step.fired, step.failure) == (["jb2"], "")
    assert [entry["reason"] for entry in world["history"]] == ["create", "failed targets"]
    assert world["history"][0]["failedTargets"] == ["jb2"]


def test_a_trigger_change_that_failed_in_part_is_not_fired_whole_again() -> None:
    world = drs(jb1=[GOOD], jb2=[GOOD, BAD, GOOD])
    world.cloud.legal = False
    world.up()
    step = world.up(triggers={"release": "2"})
    assert (step.fired, world["status"]) == (["jb1", "jb2"], "PartiallyFailed")
    # The engine keeps the old inputs now; the outputs know better.
    assert world["triggers"] == {"release": "2"}
    step = world.up()
    assert (step.changes, step.fired) == (["status"], ["jb2"])
    assert world["generation"] == 2


def test_a_new_trigger_counts_attempts_anew() -> None:
    world = drs(jb1=[BAD])
    world.up(maxAttempts=1)
    assert world.up().posts == 0
    step = world.up(triggers={"release": "2"})
    assert step.fired == ["jb1"]
    assert world.result("jb1")["attempts"] == 1


def test_when_the_attempts_are_spent_the_up_fails_fires_nothing_and_says_what_to_do() -> None:
    world = drs(jb1=[BAD])
    fired = [len(world.up().fired) for _ in range(60)]
    assert fired == [1, 1, 1] + [0] * 57
    step = world.up()
    assert step.failure.startswith("DRS batch retry: of 1 target, 1 failed (status Failed)")
    assert "It is not fired now: its 3 attempts are spent." in step.failure
    assert "change a trigger or raise maxAttempts" in step.failure
    assert len(world["history"]) == 3


def test_raising_max_attempts_fires_again() -> None:
    world = drs(jb1=[BAD])
    for _ in range(4):
        world.up()
    assert world.up(maxAttempts=4).fired == ["jb1"]
    assert world.up().posts == 0


# --- cut off ---


def test_after_a_timeout_the_next_up_goes_on_waiting_and_fires_nothing() -> None:
    world = drs(jb1=[STUCK], jb2=[GOOD])
    step = world.up(timeout=60)
    assert (step.fired, world["status"]) == (["jb1", "jb2"], "InProgress")
    assert "timed out while waiting until the transfer runs or is complete; last seen STARTJOBING" in step.failure
    assert "The next `pulumi up` goes on waiting and fires nothing." in step.failure
    world.cloud.things["jb1"].set("INCRE_TRANSFER_STARTED")
    step = world.up()
    assert (step.changes, step.posts, step.failure, world["status"]) == (["status"], 0, "", "Succeeded")
    assert world["history"][-1]["reason"] == "resume"


def test_after_a_cancel_the_next_up_goes_on_waiting_and_fires_nothing(sample: Sample) -> None:
    world = sample.world()
    world.cloud.things[sample.key].lag = 40
    step = world.up(cancel_after=10)
    assert (step.fired, world["status"]) == ([sample.key], "InProgress")
    assert "cancelled while waiting" in step.failure
    world.clock.advance(60)
    step = world.up()
    assert (step.posts, step.failure, world["status"]) == (0, "", "Succeeded")


def test_while_a_target_is_in_progress_failed_ones_wait_as_well() -> None:
    world = drs(jb1=[STUCK], jb2=[BAD, GOOD])
    world.up(timeout=60)
    assert {world.result(key)["status"] for key in ("jb1", "jb2")} == {"InProgress", "Failed"}
    world.cloud.things["jb1"].set("INCRE_TRANSFER_STARTED")
    step = world.up()
    assert (step.posts, world["status"]) == (0, "PartiallyFailed")
    assert world.up().fired == ["jb2"]
    assert world["status"] == "Succeeded"


def test_a_trigger_change_fires_what_is_in_progress_too() -> None:
    world = drs(jb1=[STUCK, GOOD])
    world.cloud.legal = False
    world.up(timeout=60)
    assert world.up(triggers={"release": "2"}).fired == ["jb1"]
    assert world["status"] == "Succeeded"


def test_what_was_never_sent_is_fired_by_the_next_up() -> None:
    world = drs(jb1=[GOOD])
    fault = world.cloud.breaks("not sent", times=100)
    step = world.up()
    assert (step.fired, world["status"], world.result("jb1")["attempts"]) == ([], "Failed", 0)
    assert "not sent: no connection to the cloud" in step.failure
    assert "firedAt" not in world.state
    assert "firedAt" not in world.result("jb1")
    assert world["history"][-1]["fired"] == 0
    fault.times = 0
    assert world.up().fired == ["jb1"]
    assert world.result("jb1")["attempts"] == 1


# --- place ---


def test_an_inherited_region_is_pinned_and_a_mismatch_names_both() -> None:
    world = drs(jb1=[GOOD])
    world.up()
    world.backend.configured = Place("eu-nl", "p1")
    step = world.up()
    assert isinstance(world.error, PinnedPlaceChanged)
    assert (step.posts, step.kind) == (0, "error")
    assert "'eu-de'" in str(world.error)
    assert "'eu-nl'" in str(world.error)
    assert world.up(region="eu-de").kind == "same"


def test_an_inherited_project_is_pinned_and_a_mismatch_names_both() -> None:
    world = drs(jb1=[GOOD])
    world.up()
    world.backend.configured = Place("eu-de", "p2")
    world.up()
    assert isinstance(world.error, PinnedPlaceChanged)
    assert "'p1'" in str(world.error)
    assert "'p2'" in str(world.error)


def test_a_pinned_place_is_what_later_runs_call() -> None:
    world = drs(jb1=[GOOD])
    world.up()
    world.backend.configured = Place("", "")
    world.up(triggers={"release": "2"})
    assert world.backend.connected == [(None, None), ("eu-de", "p1")]


def test_setting_the_region_that_was_inherited_is_no_change() -> None:
    world = drs(jb1=[GOOD])
    world.up()
    assert world.up(region="eu-de", projectId="p1").kind == "same"


def test_setting_another_project_replaces() -> None:
    world = drs(jb1=[GOOD])
    world.up()
    assert world.preview(projectId="p2").replaces == ("projectId",)


# --- import ---


def test_an_import_is_generation_0_and_the_first_up_adopts_without_a_fire(sample: Sample) -> None:
    world = sample.world()
    step = world.import_(f"eu-de/p1/{sample.import_id}" if "clusterId" not in sample.inputs else sample.import_id)
    assert step.posts == 0
    assert (world["generation"], world["status"]) == (0, "Skipped")
    assert world.result(sample.key)["skippedReason"] == "Imported"
    assert world.result(sample.key)["cloudStatus"] == sample.failed
    step = world.up()
    assert (step.kind, step.posts, world["generation"]) == ("update", 0, 0)
    assert "adopted as imported: nothing is fired until a trigger changes" in step.lines
    assert world["history"][-1]["reason"] == "import adopted"
    assert world.up().kind == "same"
    step = world.up(triggers={"release": "2"})
    assert (step.fired, world["generation"]) == ([sample.key], 1)


def test_an_import_without_triggers_is_adopted_so_that_the_first_trigger_later_fires() -> None:
    world = drs(jb1=[GOOD])
    world.import_("jb1")
    assert world.up(triggers=None).posts == 0
    assert world.up().kind == "same"
    assert world.up(triggers={"release": "1"}).fired == ["jb1"]


def test_targets_that_the_program_adds_to_an_import_are_adopted() -> None:
    world = drs(jb1=[GOOD], jb2=[GOOD], jb3=[GOOD])
    world.import_("jb1")
    assert world.up(jobs=[{"jobId": "jb1"}, {"jobId": "jb2"}]).posts == 0
    assert world.up(jobs=[{"jobId": key} for key in ("jb1", "jb2", "jb3")]).fired == ["jb3"]


@pytest.mark.parametrize(
    ("identifier", "words"),
    [
        ("eu-de/jb1", "does not have the form [region/project/]target[,target...]"),
        ("jb1,,jb2", "does not have the form"),
        (":jb1", "does not have the form"),
        ("pool:jb1", "is a list of task ids"),
        ("jb1,jb1", "listed before"),
        ("jb9", "the task jb9 does not exist; nothing was imported"),
    ],
)
def test_an_import_id_that_cannot_be_used_says_what_an_id_is(identifier: str, words: str) -> None:
    world = drs(jb1=[GOOD])
    world.import_(identifier)
    assert words in str(world.error)


def test_the_id_of_a_resource_is_one_that_an_import_takes(sample: Sample) -> None:
    world = sample.world()
    world.up()
    other = sample.world()
    assert other.import_(world.id).kind == "import"
    assert other.import_(world.id.rsplit("/", 1)[1]).kind == "import"


def test_the_id_of_a_large_batch_is_short_and_its_own() -> None:
    worlds = [drs(**{f"job-{number:04}": [GOOD] for number in range(100)}) for _ in range(2)]
    for world in worlds:
        world.up()
        assert len(world.id) <= 200
    assert worlds[0].id != worlds[1].id


# --- reconcile ---


def test_reconcile_fires_a_target_that_was_seen_failed_and_nothing_else() -> None:
    world = drs(jb1=[GOOD], jb2=[GOOD])
    world.up(reconcile=True)
    world.cloud.things["jb1"].state = "INCRE_TRANSFER_FAILED"
    world.cloud.things["jb1"].timelines = [[("INCRE_TRANSFER_FAILED", 0)], GOOD]
    world.refresh()
    assert (world["status"], world.result("jb1")["status"]) == ("PartiallyFailed", "Failed")
    step = world.up()
    assert (step.fired, step.failure) == (["jb1"], "")


def test_reconcile_that_could_not_look_lets_the_update_look_and_heal() -> None:
    world = drs(jb1=[GOOD], jb2=[GOOD])
    world.up(reconcile=True)
    world.cloud.things["jb1"].state = "INCRE_TRANSFER_FAILED"
    world.cloud.things["jb1"].timelines = [[("INCRE_TRANSFER_FAILED", 0)], GOOD]
    world.cloud.breaks(looks=True, status=401, code="APIGW.0301", times=1)
    before = dict(world.state or {})
    step = world.refresh()
    assert step.failure == ""
    assert "could not be looked at" in step.lines[-1]
    assert world.state == {**before, "__unseen": True}
    assert [change.path for change in world.preview().changes] == ["status"]
    step = world.up()
    assert (step.fired, step.failure) == (["jb1"], "")
    assert "__unseen" not in (world.state or {})
    assert world.preview().changes == ()


def test_a_look_that_cannot_be_made_fails_the_update_that_has_to_make_it() -> None:
    world = drs(jb1=[GOOD])
    world.up(reconcile=True)
    world.cloud.breaks(looks=True, status=401, code="APIGW.0301", times=2)
    world.refresh()
    assert world.up().fired == []
    assert "APIGW.0301" in str(world.error)


def test_without_reconcile_a_refresh_that_cannot_look_fails() -> None:
    world = drs(jb1=[GOOD])
    world.up()
    world.cloud.breaks(looks=True, status=401, code="APIGW.0301", times=1)
    world.refresh()
    assert "APIGW.0301" in str(world.error)


def test_reconcile_is_bounded_by_max_attempts() -> None:
    world = drs(jb1=[GOOD])
    world.up(reconcile=True)
    fires = 1
    for _ in range(10):
        world.cloud.things["jb1"].set("INCRE_TRANSFER_FAILED")
        world.refresh()
        world.cloud.things["jb1"].timelines = [GOOD]
        world.cloud.things["jb1"].fired_at = world.clock.now()
        world.cloud.legal = False
        fires += len(world.up().fired)
    assert fires == 3


def test_reconcile_sees_a_target_fail_that_nobody_waits_for() -> None:
    world = drs(jb1=[GOOD])
    world.up(reconcile=True, wait=False)
    world.cloud.things["jb1"].set("INCRE_TRANSFER_FAILED")
    world.refresh()
    assert world["status"] == "Accepted"  # it may still be the state from before the fire
    world.clock.advance(60)
    world.refresh()
    assert world["status"] == "Failed"
    assert world.up().fired == ["jb1"]


def test_a_target_that_vanished_is_reported_and_not_fired() -> None:
    world = drs(jb1=[GOOD], jb2=[GOOD])
    world.up(reconcile=True)
    del world.cloud.things["jb1"]
    world.refresh()
    assert world.result("jb1")["cloudStatus"] == "NotFound"
    assert world.up().kind == "same"


def test_a_refresh_settles_what_was_in_progress_and_has_succeeded(sample: Sample) -> None:
    world = sample.world()
    world.cloud.things[sample.key].lag = 40
    world.up(cancel_after=10)
    assert world["status"] == "InProgress"
    world.clock.advance(100)
    step = world.refresh()
    assert (step.posts, world["status"]) == (0, "Succeeded")
    assert world.up().kind == "same"


def test_a_refresh_leaves_to_the_next_up_what_failed_while_nobody_waited() -> None:
    world = drs(jb1=[STUCK])
    world.up(timeout=60)
    world.cloud.things["jb1"].set("START_JOB_FAILED")
    world.refresh()
    assert (world["status"], world.result("jb1")["cloudStatus"]) == ("InProgress", "START_JOB_FAILED")
    assert world.up().posts == 0
    assert world["status"] == "Failed"


def test_a_refresh_that_cannot_ask_changes_nothing() -> None:
    world = drs(jb1=[GOOD])
    world.up()
    before = dict(world.state or {})
    world.cloud.breaks(looks=True, status=403, code="DRS.M00102", message="no rights")
    world.refresh()
    assert "DRS.M00102: no rights" in str(world.error)
    assert "Grant the user the rights to operate DRS tasks." in str(world.error)
    assert world.state == before


def test_an_alias_from_an_earlier_state_without_history_is_no_change(sample: Sample) -> None:
    world: World = sample.world()
    world.up()
    assert world.state is not None
    world.state = {name: value for name, value in world.state.items() if name not in ("history", "fireIds")}
    assert world.up().kind == "same"


@pytest.mark.parametrize("refreshed", [False, True], ids=["", "after a refresh"])
def test_a_job_that_was_seen_moving_and_ended_by_itself_between_two_runs_is_not_fired_again(refreshed: bool) -> None:
    sample = next(sample for sample in SAMPLES if sample.token == VISUALIZATION)
    world = sample.world([("WAITING", 0), ("COMPLETED", 100)])
    assert "timed out" in world.up(timeout=40.0).failure
    world.clock.advance(100)
    if refreshed:
        world.refresh()
    assert world.up().posts == 0
    assert world["status"] == "Succeeded"
    assert world.up().kind == "same"


# --- an operator that runs a stack again and again ---


def test_an_operator_that_runs_a_failing_stack_every_minute_for_an_hour_causes_max_attempts_fires() -> None:
    world = drs(jb1=[BAD])
    fires, steps = 0, []
    for _minute in range(60):
        steps.append(world.up())
        fires += steps[-1].posts
        world.clock.advance(60)
    assert fires == 3
    assert all("No attempts are left, so nothing is fired" in step.failure for step in steps[3:])


def test_a_job_that_keeps_failing_is_reconciled_as_often_as_attempts_and_cooldown_allow() -> None:
    world = drs(jb1=[[*GOOD, ("INCRE_TRANSFER_FAILED", 30)]])
    world.up(reconcile=True, maxAttempts=4, cooldown="10m")
    fired_at = [world.clock.now()]
    for _minute in range(60):
        world.clock.advance(60)
        world.refresh()
        if world.up().fired:
            fired_at.append(world.clock.now())
    assert world.cloud.effects == {"jb1": 4}
    assert len(fired_at) == 4
    assert all(later - one >= 600 for one, later in itertools.pairwise(fired_at))


@pytest.mark.parametrize("was", [True, False], ids=["the emulator, then a cloud", "a cloud, then the emulator"])
def test_what_was_fired_on_the_emulator_is_neither_the_same_on_a_cloud_nor_fired_there(was: bool) -> None:
    world = drs(jb1=[GOOD])
    world.cloud.emulator = was
    world.up()
    world.cloud.emulator = not was
    with pytest.raises(PinnedPlaceChanged, match="where nothing was fired for it"):
        world.preview()
    step = world.up()
    assert (step.kind, step.posts) == ("error", 0)
    assert "pulumi up --replace URN" in step.failure
