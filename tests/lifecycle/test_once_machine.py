"""Runs that die anywhere, in any order with what a user asks for: each ask has one effect, and never a second one."""

from __future__ import annotations

import contextlib
import re
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cloudretry.clock import Moment
from cloudretry.ledger import BY_HAND, Books, Journal
from cloudretry.ledger.books import Record, over, saved
from cloudretry.model import Reply, Request
from support import World
from support.cloud import BY_OPERATION
from support.samples import DRS

DEATHS = ("before the effect", "after the effect", "after the answer", "handed over", "saved, not acknowledged")


class Death(BaseException):
    """The process is gone."""


class Once(RuleBasedStateMachine):
    """One resource with one target, at a cloud that takes every retry and soon is done with it."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.world = World(DRS, jobs=[{"jobId": "jb1"}], triggers={"release": 0})
        self.world.cloud.legal = False
        self.world.cloud.add("jb1", "FULL_TRANSFER_FAILED", [("STARTJOBING", 0.0), ("FULL_TRANSFER_STARTED", 5.0)])
        self.world.resource = "urn:r"
        self.journal: Journal | None = None
        self.asked = 0
        self.is_settled = True
        """Whether the last ask has ended well."""
        self.create_is_open = False
        """Whether the run that died was a create whose state was not saved."""

    # --- what a user asks for, while nothing is open ---

    @precondition(lambda self: self.is_settled)
    @rule(how=st.sampled_from(["trigger", "replace", "state delete", "destroy"]))
    def ask(self, how: str) -> None:
        self.replaces = False
        if self.world.state is None or how == "trigger":
            self.world.program["triggers"] = {"release": self.asked + 1}
        elif how == "replace":
            self.replaces = True
        elif how == "destroy":
            self.process()
            self.world.destroy()
        else:
            self.world.state = None
        self.asked += 1
        self.is_settled = False
        self.is_new_create = self.world.state is None or self.replaces
        self.died = False

    # --- what happens to the run of an ask ---

    @precondition(lambda self: not self.is_settled)
    @rule(when=st.sampled_from(DEATHS))
    def dies(self, when: str) -> None:
        before, identifier = self.world.state, self.world.id
        self.process()
        self.world.acknowledges, self.world.dies = False, when == "after the answer"
        send = self.world.cloud.send

        def mortal(request: Request, leaving: Any = None) -> Reply:
            fires = BY_OPERATION[request.operation.name][1]
            if leaving is not None:
                leaving()
            if fires and when == "before the effect":
                raise Death
            reply = send(request)
            if fires and when == "after the effect":
                raise Death
            return reply

        self.world.cloud.send = mortal  # type: ignore[method-assign]
        with contextlib.suppress(Death):
            self.world.up(replace=self.replaces)
        self.world.cloud.send = send  # type: ignore[method-assign]
        self.world.acknowledges, self.world.dies = True, False
        self.died = True
        if when != "saved, not acknowledged":
            self.world.state, self.world.id = before, identifier
        elif self.world.error is None:
            # The state holds it: that a later create asks anew, only a word can tell.
            self.replaces = False

    @precondition(lambda self: not self.is_settled)
    @rule(name=st.sampled_from(["urn:r", "urn:renamed"]))
    def is_renamed(self, name: str) -> None:
        # A replacement that died is found by its name alone: an update of another name does not know it.
        if not self.replaces:
            self.world.resource = name

    @rule(seconds=st.sampled_from([1.0, 40.0, 1000.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    @rule(seconds=st.sampled_from([-7200.0, -30.0, 30.0, 7200.0]))
    def the_clock_is_set(self, seconds: float) -> None:
        self.world.clock.jump(seconds)
        # Not the cloud's.
        self.world.cloud.things["jb1"].fired_at += seconds

    @rule(boot=st.sampled_from(["boot-1", "boot-2"]))
    def another_boot(self, boot: str) -> None:
        self.world.clock.boot = boot

    @precondition(lambda self: not self.is_settled)
    @rule()
    def up_until_it_is_well(self) -> None:
        for _ in range(6):
            self.process()
            step = self.world.up(replace=self.replaces)
            if words := re.search(r"journal resolve (\w+) --taken-up", step.failure):
                # Somebody knows: this ask's own run was cut off, or it is asked for anew.
                self.say(words[1], anew=self.world.cloud.things["jb1"].effects < self.asked)
            elif not step.failure:
                self.is_settled, self.replaces = True, False
                break
            self.world.clock.advance(60)
        assert self.is_settled, step.failure
        assert self.world["status"] in ("Succeeded", "Skipped")
        assert self.world.cloud.things["jb1"].effects == self.asked

    # --- what is promised ---

    @invariant()
    def no_ask_has_a_second_effect(self) -> None:
        if hasattr(self, "world"):
            assert self.world.cloud.things["jb1"].effects <= self.asked

    @precondition(lambda self: self.is_settled and self.world.state is not None)
    @rule()
    def a_second_up_does_nothing(self) -> None:
        self.process()
        assert self.world.up().kind == "same"

    def process(self) -> None:
        """Another process, which knows only what is on disk."""
        if self.journal is not None:
            self.journal.close()
        self.journal = Journal(Path(self.folder.name) / "journal", self.world.clock)
        self.world.backend.journal = self.journal

    def say(self, fire_id: str, *, anew: bool) -> None:
        assert self.journal is not None

        def conclude(_books: Books, _listed: Moment) -> tuple[list[Record], None]:
            return [saved([fire_id]) if anew else over([fire_id], BY_HAND, handed=False)], None

        for ledger in self.journal.places():
            if ledger.look(_knows(fire_id)):
                ledger.write(conclude)

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            if self.journal is not None:
                self.journal.close()
            self.folder.cleanup()


def _knows(fire_id: str) -> Any:
    return lambda books: books.get(fire_id)


TestOnce = Once.TestCase
TestOnce.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
