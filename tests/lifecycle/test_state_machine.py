"""Programs that change at random on a cloud that breaks at random: what "when it fires" promises always holds."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cloudretry.model import Status
from cloudretry.record import UNFINISHED
from support import Broken, World
from support.cloud import Timeline
from support.engine import Step
from support.samples import DRS, EHPC

KEYS = ["a1", "b2", "c3", "d4"]

FAULTS: dict[str, dict[str, Any]] = {
    "not sent": {"how": "not sent"},
    "not sent for long": {"how": "not sent", "times": 9},
    "no credentials": {"how": "no credentials"},
    "lost before": {"how": "lost before"},
    "lost after": {"how": "lost after"},
    "500 before": {"status": 500},
    "504 after": {"status": 504, "effect": True},
    "throttled": {"status": 429, "throttled": True, "times": 2},
    "throttled for long": {"status": 503, "throttled": True, "times": 9},
    "refused": {"status": 403, "code": "X.403"},
    "redirect": {"status": 302},
    "nonsense": {"status": 200, "body": ["?"]},
    "nonsense after": {"status": 200, "body": None, "effect": True},
}
LOOK_FAULTS = ["lost before", "500 before", "throttled", "refused", "nonsense"]

KNOBS = st.sampled_from(
    [
        {"maxAttempts": 1},
        {"maxAttempts": 2},
        {"maxAttempts": None},
        {"fireWhen": "retryable"},
        {"fireWhen": None},
        {"wait": False},
        {"wait": None},
        {"successPolicy": "any"},
        {"successPolicy": None},
        {"retryInRun": True},
        {"retryInRun": None},
        {"cooldown": "5m"},
        {"cooldown": None},
        {"onUnknown": "fire"},
        {"onUnknown": None},
    ]
)


class Lifecycle(RuleBasedStateMachine):
    token: ClassVar[str]
    timelines: ClassVar[list[Timeline]]
    healthy: ClassVar[str]
    broken: ClassVar[str]

    @initialize(keys=st.sets(st.sampled_from(KEYS), min_size=1), legal=st.booleans())
    def begin(self, keys: set[str], legal: bool) -> None:
        self.world = World(self.token, triggers={"release": 0}, **self.naming(sorted(keys)))
        for key in KEYS:
            self.world.cloud.add(key, self.broken, self.timelines[0])
        self.world.cloud.legal = legal
        self.asked = Counter[str]()
        self.most_attempts = 3
        self.changed = True

    def naming(self, keys: list[str]) -> dict[str, Any]:
        raise NotImplementedError

    # --- what a user does ---

    @rule(release=st.integers(0, 2))
    def change_a_trigger(self, release: int) -> None:
        self.world.program["triggers"] = {"release": release}
        self.changed = True

    @rule(keys=st.lists(st.sampled_from(KEYS), min_size=1, unique=True))
    def change_the_targets(self, keys: list[str]) -> None:
        self.world.program |= self.naming(keys)
        self.changed = True

    @rule(knob=KNOBS)
    def change_a_knob(self, knob: dict[str, Any]) -> None:
        self.world.program |= knob
        self.world.program = {name: value for name, value in self.world.program.items() if value is not None}
        self.changed = True

    @rule()
    def destroy(self) -> None:
        self.world.destroy()
        self.asked.clear()
        self.changed = True

    @precondition(lambda self: self.world.state is not None)
    @rule()
    def refresh(self) -> None:
        step = self.world.refresh()
        assert step.posts == 0
        self.changed = True

    @rule(
        timeout=st.sampled_from([20.0, 120.0]),
        cancel_after=st.sampled_from([None, None, None, 0.0, 3.0]),
        replace=st.sampled_from([False, False, False, True]),
    )
    def up(self, timeout: float, cancel_after: float | None, replace: bool) -> None:
        self.run(timeout=timeout, cancel_after=cancel_after, replace=replace)

    @rule()
    def up_twice(self) -> None:
        self.run()
        if self.world.error is None and Status(self.world["status"]) not in UNFINISHED:
            assert self.run().kind == "same"

    # --- what happens to the cloud ---

    @rule(key=st.sampled_from(KEYS), which=st.integers(0, 9), lag=st.sampled_from([0.0, 0.0, 10.0, 25.0]))
    def the_next_retry_goes_otherwise(self, key: str, which: int, lag: float) -> None:
        thing = self.world.cloud.things[key]
        thing.state = thing.shown(self.world.clock.now())
        before, thing.lag = thing.timelines[: thing.effects], lag
        thing.timelines = [*(before or []), self.timelines[which % len(self.timelines)]]

    @rule(key=st.sampled_from(KEYS), heals=st.booleans())
    def a_target_changes_by_itself(self, key: str, heals: bool) -> None:
        thing = self.world.cloud.things[key]
        thing.set(self.healthy if heals else self.broken)
        thing.timelines = [[(thing.state, 0.0)]] * max(1, thing.effects) + [self.timelines[0]]

    @rule(name=st.sampled_from(list(FAULTS)), skip=st.integers(0, 1))
    def a_fire_will_break(self, name: str, skip: int) -> None:
        self.world.cloud.faults.append(Broken(skip=skip, **FAULTS[name]))

    @rule(name=st.sampled_from(LOOK_FAULTS), skip=st.integers(0, 4), times=st.sampled_from([1, 5, 100]))
    def looks_will_break(self, name: str, skip: int, times: int) -> None:
        self.world.cloud.faults.append(Broken(looks=True, skip=skip, **(FAULTS[name] | {"times": times})))

    @rule()
    def the_cloud_is_mended(self) -> None:
        self.world.cloud.faults.clear()

    @rule(seconds=st.sampled_from([10.0, 100.0, 1000.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    # --- what is promised ---

    def run(self, **how: Any) -> Step:
        world = self.world
        old = json.loads(json.dumps(world.state))
        old_results = {result["target"]: result for result in (old or {}).get("results", ())}
        before = len(world.cloud.requests)
        step = world.up(**how)
        posted = [key for request in world.cloud.requests[before:] for key in self.keys_of(request)]
        program = world.program
        targets = self.named()

        if step.kind == "error":
            assert world.state == old
            assert posted == []
            return step
        if step.kind == "same":
            assert (step.posts, step.looks) == (0, 0)
            assert Status(world["status"]) not in UNFINISHED
            return step

        begins = step.kind in ("create", "replace")
        asks_for_all = begins or old["triggers"] != program["triggers"]
        if asks_for_all:
            self.most_attempts = 0
            self.asked.clear()
        self.most_attempts = max(self.most_attempts, program.get("maxAttempts", 3))
        assert world["generation"] == (1 if begins else old["generation"] + asks_for_all)

        # Who is fired: everybody when it was asked for, else only what is new, failed or unknown.
        if not asks_for_all:
            may_fire = {
                key for key in targets if key not in old_results or old_results[key]["status"] in ("Failed", "Unknown")
            }
            assert set(posted) <= may_fire
            waits = any(old_results.get(key, {}).get("status") == "InProgress" for key in targets)
            if waits:
                assert set(posted) <= {key for key in may_fire if key not in old_results} | {
                    key for key in targets if old_results.get(key, {}).get("status") == "Unknown"
                }
        # How often: once in a run, and over all runs as often as attempts are recorded.
        for key in targets:
            result = world.result(key)
            if not program.get("retryInRun"):
                assert step.effects[key] <= 1
            self.asked[key] = step.effects[key] + (self.asked[key] if not asks_for_all and key in old_results else 0)
            assert self.asked[key] <= result["attempts"] <= self.most_attempts
            # A cloud that also retries what is healthy may show the health from before.
            if result["status"] == "Succeeded" and step.effects[key] and world.cloud.legal:
                assert self.has_taken_hold(key)
            if result["status"] == "Failed":
                assert result.get("errorMessage")
                assert not (step.effects[key] and self.ends_well(key))
            if result["status"] == "Skipped":
                assert result["skippedReason"]
        # What is said of it.
        assert bool(step.failure) == (Status(world["status"]) in UNFINISHED)
        if world["status"] == "Succeeded" and program.get("successPolicy") != "any":
            assert {world.result(key)["status"] for key in targets} <= {"Succeeded", "Skipped"}
        assert [result["target"] for result in world["results"]] == targets
        assert world["triggers"] == program["triggers"]
        return step

    @invariant()
    def the_diff_never_shows_a_trigger_that_was_fired(self) -> None:
        if getattr(self, "world", None) is not None and self.world.state is not None:
            paths = [change.path for change in self.world.preview(triggers=self.world["triggers"]).changes]
            assert not any(path.startswith("triggers") for path in paths)

    def teardown(self) -> None:
        """Once the cloud is well and nobody changes anything, it comes to rest after the attempts that are left."""
        if getattr(self, "world", None) is None:
            return
        world = self.world
        world.cloud.faults.clear()
        for thing in world.cloud.things.values():
            thing.lag = 0.0
        posts = []
        for _ in range(8):
            world.clock.advance(1000)
            posts.append(self.run().posts)
        assert posts[-1] == 0
        assert world.error is not None or world["status"] != "InProgress"

    def named(self) -> list[str]:
        raise NotImplementedError

    def keys_of(self, request: Any) -> list[str]:
        raise NotImplementedError

    def has_taken_hold(self, key: str) -> bool:
        raise NotImplementedError

    def ends_well(self, key: str) -> bool:
        """Whether the retry that the cloud took up last comes to a good end."""
        thing = self.world.cloud.things[key]
        end, _ = thing.timelines[min(thing.effects, len(thing.timelines)) - 1][-1]
        return self.world.action.states[end].means == "Succeeded"


class DrsLifecycle(Lifecycle):
    token = DRS
    broken = "FULL_TRANSFER_FAILED"
    healthy = "INCRE_TRANSFER_STARTED"
    timelines: ClassVar[list[Timeline]] = [
        [("STARTJOBING", 0), ("INCRE_TRANSFER_STARTED", 5)],
        [("INCRE_TRANSFER_STARTED", 0)],
        [("STARTJOBING", 0), ("START_JOB_FAILED", 5)],
        [("STARTJOBING", 0), ("FULL_TRANSFER_STARTED", 300)],
        [("FULL_TRANSFER_FAILED", 0)],
        [("PAUSING", 0)],
        [("RELEASE_RESOURCE_STARTED", 0)],
    ]

    def naming(self, keys: list[str]) -> dict[str, Any]:
        return {"jobs": [{"jobId": key} for key in keys]}

    def named(self) -> list[str]:
        return [job["jobId"] for job in self.world.program["jobs"]]

    def keys_of(self, request: Any) -> list[str]:
        return [job["job_id"] for job in request.body["jobs"]] if request.operation is self.world.action.fires else []

    def has_taken_hold(self, key: str) -> bool:
        word = self.world.cloud.things[key].shown(self.world.clock.now())
        return self.world.action.states[word].means == "Succeeded"

    @rule(on=st.booleans())
    def reconcile(self, on: bool) -> None:
        self.change_a_knob({"reconcile": on or None})


class EhpcLifecycle(Lifecycle):
    token = EHPC
    broken = "RUNNING"
    healthy = "FINISHED"
    timelines: ClassVar[list[Timeline]] = [
        [("QUEUED", 0)],
        [("QUEUED", 0), ("RUNNING", 5), ("FINISHED", 50)],
        [("FINISHED", 0)],
    ]

    def naming(self, keys: list[str]) -> dict[str, Any]:
        return {"clusterId": "c", "jobIds": list(keys)}

    def named(self) -> list[str]:
        named: list[str] = self.world.program["jobIds"]
        return named

    def keys_of(self, request: Any) -> list[str]:
        if request.operation is not self.world.action.fires:
            return []
        return [job["Id"] for job in json.loads(request.query["Jobs"])]

    def has_taken_hold(self, key: str) -> bool:
        return self.world.cloud.things[key].effects > 0


SETTINGS = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)
TestDrsLifecycle = DrsLifecycle.TestCase
TestDrsLifecycle.settings = SETTINGS
TestEhpcLifecycle = EhpcLifecycle.TestCase
TestEhpcLifecycle.settings = SETTINGS
