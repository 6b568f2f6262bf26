"""What a preview says of the targets that an `up` would fire. It only looks, and fails for nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from driver import DRS, FIVE, EngineLog, Plugin, jobs, outputs
from test_resources import fired

from cloudretry.actions import ACTIONS
from cloudretry.emulator import Emulator
from cloudretry.inputs import UNKNOWN
from cloudretry.plugin.marshal import Secret

Start = Callable[..., Plugin]


@pytest.fixture
def previewing(start: Start, emulator: Emulator, engine: EngineLog) -> Iterator[Plugin]:
    plugin = start(engine=engine)
    plugin.configure(emulator)
    yield plugin
    emulator.clear_faults()


def said(plugin: Plugin, engine: EngineLog, news: dict[str, Any], olds: dict[str, Any] | None = None) -> str:
    """The lines of a preview, and of nothing else."""
    before = len(engine.messages())
    if olds is None:
        plugin.create(news, preview=True)
    else:
        plugin.update(olds, news, preview=True)
    plugin.stop()
    return "\n".join(engine.messages()[before:])


def test_targets_that_can_be_retried_are_told_from_those_that_cannot(
    previewing: Plugin, emulator: Emulator, engine: EngineLog
) -> None:
    emulator.set_scenario(
        {
            "drsJobs": [
                {"count": 2, "idFormat": "jb{n}", "state": "FULL_TRANSFER_FAILED"},
                {"id": "jb3", "state": "INCRE_TRANSFER_STARTED"},
            ]
        }
    )
    line = said(previewing, engine, {"jobs": jobs("jb1", "jb2", "jb3", "nowhere")})
    assert line == (
        "would fire 4 targets; 2 of 4 can be retried; jb3 is INCRE_TRANSFER_STARTED so a retry would be refused; "
        "nowhere was not found"
    )
    assert fired(emulator) == {}


def test_with_look_first_what_cannot_be_retried_would_be_skipped(
    previewing: Plugin, emulator: Emulator, engine: EngineLog
) -> None:
    emulator.set_scenario({"drsJobs": [{"id": "jb1", "state": "INCRE_TRANSFER_STARTED"}]})
    line = said(previewing, engine, {"jobs": jobs("jb1"), "fireWhen": "retryable"})
    assert "0 of 1 can be retried; jb1 is INCRE_TRANSFER_STARTED and would be skipped" in line


@pytest.mark.parametrize("token", FIVE)
def test_every_action_looks_by_its_status_call_and_changes_nothing(
    token: str, previewing: Plugin, emulator: Emulator, engine: EngineLog
) -> None:
    previewing.create(FIVE[token][0], token, preview=True)
    previewing.stop()
    assert any("all can be retried" in line for line in engine.messages())
    operations = {request.operation for request in emulator.requests()}
    assert ACTIONS[token].looks.name in operations
    assert ACTIONS[token].fires.name not in operations
    assert fired(emulator) == {}


def test_an_update_tells_the_trigger_and_what_it_would_meet(
    previewing: Plugin, emulator: Emulator, engine: EngineLog
) -> None:
    olds = outputs(previewing.create({"jobs": jobs("jb1"), "triggers": {"release": "1", "key": Secret("planted-1")}}))
    news = {"jobs": jobs("jb1"), "triggers": {"release": "2", "key": Secret("planted-2")}}
    line = said(previewing, engine, news, olds)
    assert line == (
        'would fire 1 target: triggers key [secret], release "1" -> "2"; '
        "0 of 1 can be retried; jb1 is FULL_TRANSFER_STARTED so a retry would be refused"
    )


def test_where_nothing_would_be_fired_nothing_is_looked_at(
    previewing: Plugin, emulator: Emulator, engine: EngineLog
) -> None:
    news = {"jobs": jobs("jb1")}
    olds = outputs(previewing.create(news))
    before = len(emulator.requests())
    assert said(previewing, engine, {**news, "maxAttempts": 7}, olds) == ""
    assert len(emulator.requests()) == before


def test_it_can_be_switched_off(start: Start, emulator: Emulator, engine: EngineLog) -> None:
    plugin = start(engine=engine)
    plugin.configure(emulator, previewChecks=False)
    assert said(plugin, engine, {"jobs": jobs("jb1")}) == "would fire 1 target"
    assert emulator.requests() == []


def test_a_cloud_that_cannot_be_reached_fails_no_preview_and_is_tried_once(start: Start, engine: EngineLog) -> None:
    plugin = start(engine=engine)
    plugin.configure("http://127.0.0.1:9")
    plugin.create({"jobs": jobs("jb1")}, preview=True)
    plugin.create({"jobs": jobs("jb2")}, preview=True)
    plugin.stop()
    first, second = engine.messages()
    assert first.startswith("would fire 1 target; not looked at: No connection")
    assert second == "would fire 1 target"


def test_credentials_that_are_missing_fail_no_preview(start: Start, engine: EngineLog) -> None:
    plugin = start(engine=engine)
    plugin.configure(huaweicloud={"region": "eu-de"})
    line = said(plugin, engine, {"jobs": jobs("jb1")})
    assert line.startswith("would fire 1 target; not looked at: ")


def test_a_cloud_that_is_slow_to_answer_is_given_up(previewing: Plugin, emulator: Emulator, engine: EngineLog) -> None:
    emulator.add_fault(ACTIONS[DRS].looks.name, delay=20.0)
    line = said(previewing, engine, {"jobs": jobs("jb1")})
    assert line == "would fire 1 target; not looked at: no answer within 3 s"


def test_a_create_that_was_interrupted_would_be_taken_up_unless_it_is_asked_for_anew(
    start: Start, emulator: Emulator, engine: EngineLog
) -> None:
    news = {"jobs": jobs("stuck"), "triggers": {"release": "1"}}
    killed = start()
    killed.configure(emulator, journalEnabled=True)
    creating = killed.create_later(news)
    emulator_saw_a_look(emulator)
    killed.process.kill()
    assert creating.exception() is not None

    def preview(triggers: dict[str, Any]) -> str:
        plugin = start(engine=engine)
        plugin.configure(emulator, journalEnabled=True)
        return said(plugin, engine, {**news, "triggers": triggers})

    assert preview({"release": "1"}) == (
        "would take up a fire that was interrupted, of 1 target; would go on waiting for 1 target"
    )
    assert preview({"release": "2"}).startswith("would fire 1 target")
    assert preview({"release": UNKNOWN}) == "would fire"


def emulator_saw_a_look(emulator: Emulator) -> None:
    deadline = time.monotonic() + 20
    while not emulator.requests("BatchListJobStatus"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
