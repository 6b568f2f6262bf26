"""What happens to the program, the stack or the cloud between a run and the next one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from chaosmatrix.cloud import Cloud
from chaosmatrix.drivers import cloudretry, driver
from cloudretry.emulator import CREDENTIALS

if TYPE_CHECKING:
    from chaosmatrix.play import Stage

__all__ = ["CHANGES", "change"]

ANOTHER_REGION = {"region": "eu-nl", "projectId": CREDENTIALS.project_id}
FIRED = frozenset({"Succeeded", "Accepted", "InProgress", "Unknown"})
"""Statuses of a target that its own resource has fired."""


def change(stage: Stage) -> None:
    """Make the change of this case, and keep account of what is asked by it."""
    CHANGES[stage.case.change](stage)


def _nothing(stage: Stage) -> None:
    """The same program again."""


def _place(stage: Stage) -> None:
    kind = stage.cloud.kind
    if kind.container:
        stage.container = kind.containers[1]
    else:
        stage.extra |= ANOTHER_REGION
    stage.ask("another place")
    stage.declare()


def _emulator(stage: Stage) -> None:
    if stage.driver.saved() is not None:
        stage.say("it is in the state, so its place is pinned")
        return
    stage.gone_clouds.append(stage.cloud)
    stage.cloud = Cloud(stage.case.action, stage.cloud.behave, "other emulator: ")
    stage.driver.config["emulator"] = stage.cloud.emulator.url
    stage.ask("another emulator")


def _trigger(stage: Stage) -> None:
    stage.release_name += "0"
    stage.ask("trigger")
    stage.declare()


def _trigger_there_and_back(stage: Stage) -> None:
    before = stage.release_name
    _trigger(stage)
    if not stage.until_green():
        return
    stage.played.green = False
    stage.release_name = before
    stage.ask("trigger as it was")
    stage.declare()


def _targets_added(stage: Stage) -> None:
    stage.keys, known = stage.cloud.kind.targets, stage.keys
    stage.ask("a target more", only=[key for key in stage.keys if key not in known])
    stage.declare()


def _targets_exchanged(stage: Stage) -> None:
    stage.keys = stage.cloud.kind.targets[1:]
    stage.ask("another target")
    stage.declare()


def _renamed(stage: Stage) -> None:
    stage.formerly, stage.name = stage.name, "renamed"
    stage.declare()


def _replaced(stage: Stage) -> None:
    if stage.driver.saved() is None:
        return
    stage.replaces = True
    stage.ask("--replace")
    if stage.dice.random() < 0.4:
        stage.up(strike=stage.strike("both", "effect"))
        # Without the option the replacement that died is taken up as an update.
        stage.replaces = stage.replaces and stage.dice.random() < 0.5
        stage.say(f"--replace again: {stage.replaces}")


def _tainted(stage: Stage) -> None:
    if stage.driver.saved() is not None:
        stage.driver.taint()
        stage.ask("taint")


def _destroyed(stage: Stage) -> None:
    if stage.driver.saved() is None:
        return
    said = stage.up(destroy=True)
    if said.code == 0:
        stage.ask("destroyed and created")


def _deleted_from_state(stage: Stage) -> None:
    if stage.driver.saved() is not None:
        stage.driver.forget()
        stage.ask("deleted from the state and created")


def _by_hand(stage: Stage) -> None:
    kind = stage.cloud.kind
    met = not any(stage.asks.unmet(stage.cloud, target) for target in stage.ids)
    if met and stage.dice.random() < 0.5:
        # What the run that died has fired is going on, or well: there is nothing left to fire.
        stage.asks.add(stage.cloud, stage.ids, "by hand", shared=True)
    elif stage.until_green():
        stage.played.green = False
        stage.ask("by hand")
    else:
        return
    typed = [f"{stage.container}:{key}" if stage.container else key for key in stage.keys]
    with stage.letting_go():
        done = cloudretry(stage.driver, "fire", kind.token.partition(":")[2], *typed, "--yes", "--timeout", "100s")
    stage.say(f"cloudretry fire {' '.join(typed)}: {done.returncode}\n{done.stdout}{done.stderr}")
    if done.returncode == 0:
        stage.asks.done(stage.cloud, stage.ids)
    else:
        stage.played.wrong.append(f"cloudretry fire ended with {done.returncode}: {done.stdout}{done.stderr}")


def _second_resource(stage: Stage) -> None:
    stage.others = [replace(stage.declared(), name="second")]
    _two_on_one_target(stage)


def _second_provider(stage: Stage) -> None:
    stage.providers["explicit"] = stage.driver.config
    stage.others = [replace(stage.declared(), name="second", provider="explicit")]
    _two_on_one_target(stage)


def _two_on_one_target(stage: Stage) -> None:
    """Both are refused in words before the target is sent to a second time; then the second one goes."""
    stage.declare()
    said = stage.up()
    if said.code == 0 or "in one of them" not in said.text:
        stage.played.wrong.append(f"two resources on one target: {said.code}, {said.text.strip()[-400:]}")
    stage.others = []
    stage.declare()
    results = (stage.driver.saved() or {}).get("results") or [{"status": ""}]
    if not all(result["status"] in FIRED for result in results):
        stage.ask("without the second one")


def _second_stack(stage: Stage) -> None:
    other = driver(
        stage.case.driver,
        stage.case.front,
        stage.folder / "second",
        stage.cloud.emulator.url,
        stage.template,
        stage.version,
    )
    stage.other_drivers.append(other)
    other.home, other.config, other.program = stage.driver.home, stage.driver.config, stage.driver.program
    first = None
    if not stage.driver.ups:
        first = stage.driver.up({})
        deadline = time.monotonic() + 60
        while not stage.cloud.fires() and first.is_running and time.monotonic() < deadline:
            time.sleep(0.02)
    stage.asks.add(stage.cloud, stage.ids, "second stack", shared=True)
    second = other.up({})
    began = time.monotonic()
    running = [up for up in (first, second) if up is not None]
    while any(up.is_running for up in running) and time.monotonic() < began + 150:
        if time.monotonic() > began + 1.5:
            stage.cloud.release()
        time.sleep(0.1)
    stage.releasing = True
    for up in running:
        stage.note(up)
    if first is not None:
        stage.played.wrong += [f"of two stacks one is not green: {up.text[-400:]}" for up in running if up.wait(0.1)]
    else:
        # What it says in doubt is for the first one: nobody has told it.
        stage.clear_doubt(stage.played.ups[-1])
    if any(stage.asks.unmet(stage.cloud, target) for target in stage.ids):
        stage.say("nothing has had an effect yet")


def _older_state(stage: Stage) -> None:
    if stage.until_green():
        stage.played.green = False
        stage.driver.state_file.write_bytes(stage.older)


CHANGES: Mapping[str, Callable[[Stage], None]] = {
    "nothing": _nothing,
    "another place": _place,
    "another emulator": _emulator,
    "trigger changed": _trigger,
    "trigger there and back": _trigger_there_and_back,
    "targets added": _targets_added,
    "targets exchanged": _targets_exchanged,
    "renamed": _renamed,
    "stack renamed": lambda stage: stage.driver.rename_stack(),
    "backend respelt": lambda stage: stage.driver.respell_backend(),
    "--replace": _replaced,
    "taint": _tainted,
    "destroyed": _destroyed,
    "state delete": _deleted_from_state,
    "fired by hand": _by_hand,
    "second resource": _second_resource,
    "second provider": _second_provider,
    "second stack": _second_stack,
    "older state": _older_state,
}
