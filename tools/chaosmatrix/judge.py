"""The verdict on a run: what the emulator counted against what was asked and what the state says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from chaosmatrix.asks import Ask
from chaosmatrix.cases import THROTTLING
from chaosmatrix.cloud import RESOURCES
from chaosmatrix.play import Played, Said
from cloudretry.model import parse_time

__all__ = ["Verdict", "judge"]

_THROTTLED = frozenset(map(int, THROTTLING))
_DEFECT = re.compile(r"Traceback|a defect of cloudretry|panic:|goroutine \d+ \[")
_EXPLAINED = re.compile(
    r"The next `pulumi up`|onUnknown|No attempts are left|nothing was fired|so nothing was sent|"
    r"[Rr]un `pulumi up` again|not fired|Set this machine's clock|gave no answer that can be read|currently locked|"
    r"journal resolve|name it in one of them|update canceled|Run it again when|"
    r"fired on (?:the emulator|a real cloud), and the provider"
)
"""Words that tell a person what happened to the fire, or what to do."""
_SLACK = 2.0
"""Seconds: times in state are whole ones."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was wrong, in words; four empty lists are a good run. ``ended`` says how it ended."""

    duplicates: tuple[str, ...]
    swallowed: tuple[str, ...]
    lost: tuple[str, ...]
    unexplained: tuple[str, ...]
    ended: str

    @property
    def good(self) -> bool:
        return not (self.duplicates or self.swallowed or self.lost or self.unexplained)


def judge(played: Played) -> Verdict:
    """Judge a run."""
    if played.reached:
        return Verdict((), (), (), (played.reached,), "not reached")
    ended = "green" if played.green else "explained failure" if played.told_unknown else "not green"
    lost = _lost_after_change(played) if played.case.change else _lost(played)
    return Verdict(
        tuple(_duplicates(played)), tuple(_swallowed(played)), tuple(lost), tuple(_unexplained(played)), ended
    )


def _by_target(played: Played) -> dict[str, list[Ask]]:
    found: dict[str, list[Ask]] = {}
    for ask in played.asks:
        found.setdefault(ask.target, []).append(ask)
    return found


def _duplicates(played: Played) -> Iterator[str]:
    for target, asks in _by_target(played).items():
        counts = [*(ask.before for ask in asks), played.counted[target]]
        spans = sorted(combinations(range(len(counts)), 2), key=lambda span: span[1] - span[0])
        for first, last in spans:
            effects, asked = counts[last] - counts[first], last - first
            if effects > asked:
                whys = ", ".join(ask.why for ask in asks[first:last])
                yield f"{target}: {effects} effects where {asked} {'was' if asked == 1 else 'were'} asked ({whys})"
                break
    if not played.case.change:
        yield from _sent_again(played)
    if played.idle_posts:
        yield f"an up without a change fired {played.idle_posts} times"


def _swallowed(played: Played) -> Iterator[str]:
    for ask in played.asks:
        if ask.after is not None and ask.after <= ask.before and not ask.shared:
            yield f"{ask.target}: said to be done ({ask.why}), but no retry took hold on it since it was asked"
    for target, asks in _by_target(played).items():
        if all(ask.shared and ask.after == asks[0].before for ask in asks):
            yield f"{target}: said to be done for all who asked, but no retry took hold on it"


def _sent_again(played: Played) -> Iterator[str]:
    """Requests that the cloud may refuse, and that must not be sent all the same."""
    taken: set[str] = set()
    for fire in played.fires:
        targets = _asked(played, fire)
        again = sorted(targets & taken)
        # Of a clock that has jumped over the grace nothing else can be asked: the cloud's refusal keeps the one effect.
        if again and not played.clock_jumped > 0:
            yield f"{', '.join(again)}: asked for again by request {fire.number} after the retry had taken hold"
        if fire.effects == len(targets):
            taken |= targets
        elif fire.effects:
            taken |= targets - {played.refused}


def _asked(played: Played, fire: Any) -> set[str]:
    """The targets that a request names. The log names none where a fault took the handler's place."""
    if len(played.targets) == 1:
        return set(played.targets)
    text = " ".join((fire.body, *fire.query.values()))
    return {target for target in played.targets if f'"{target}"' in text}


def _lost(played: Played) -> Iterator[str]:
    outputs = played.outputs
    if outputs is None:
        if played.green or any(played.effects.values()):
            yield "the resource is not in state"
        return
    if outputs.get("generation") != played.asked:
        yield f"generation {outputs.get('generation')} where {played.asked} were asked"
    if outputs.get("triggers") != played.triggers:
        yield f"triggers {outputs.get('triggers')} where {played.triggers} were fired"
    results = {result["target"]: result for result in outputs.get("results") or ()}
    if set(results) != set(played.targets):
        yield f"results of {sorted(results)} where {sorted(played.targets)} were asked"
        return
    for target, result in results.items():
        yield from _lost_of(played, target, result)
    if played.green:
        yield from _lost_of_all(played, outputs, results)


def _lost_after_change(played: Played) -> Iterator[str]:
    """What the state says in the end, where how often it was fired depends on who asked."""
    outputs = played.outputs
    if outputs is None:
        if played.green:
            yield "the resource is not in state"
        return
    results = {result["target"]: result for result in outputs.get("results") or ()}
    if set(results) != set(played.targets):
        yield f"results of {sorted(results)} where {sorted(played.targets)} were asked"
    if not played.green:
        return
    if outputs.get("triggers") != played.triggers:
        yield f"triggers {outputs.get('triggers')} where {played.triggers} were fired"
    good = {"Succeeded"} if played.wait else {"Succeeded", "Accepted"}
    if any(ask.shared for ask in played.asks):
        # What another one had fired was well by then.
        good.add("Skipped")
    for target, result in results.items():
        if result["status"] not in good:
            yield f"{target}: green, but its status is {result['status']} ({result})"
    if not outputs.get("fireIds") and "Skipped" not in good:
        yield "no fire id is recorded"


def _lost_of(played: Played, target: str, result: Mapping[str, Any]) -> Iterator[str]:
    effects, status, attempts = played.effects[target], result["status"], int(result["attempts"])
    good = {"Succeeded"} if played.wait else {"Succeeded", "Accepted"}
    if played.green and status not in good:
        yield f"{target}: green, but its status is {status} ({result})"
    if played.green and not effects:
        yield f"{target}: green, but no retry took hold on it"
    if not played.green and effects and status in {"Failed", "Unknown", "Skipped"} and not played.told_unknown:
        yield f"{target}: a retry took hold on it, but its status is {status}"
    posts = [fire for fire in played.fires if target in _asked(played, fire)]
    sent = [fire for fire in posts if fire.status not in _THROTTLED]
    most = len(posts) + len(played.kills)
    if not len(sent) <= attempts <= most:
        yield f"{target}: {attempts} attempts recorded, while {len(sent)} requests were sent (at most {most} begun)"
    if not played.kills and attempts != len(sent):
        yield f"{target}: {attempts} attempts recorded for {len(sent)} requests"
    handle = played.new_ids[target]
    # Where the answer was lost nobody can know it.
    if played.case.trouble.kind != "new id" and handle != target and result.get("handle") != handle:
        yield f"{target}: it goes on as {handle}, the state says {result.get('handle')}"
    if "firedAt" not in result:
        yield f"{target}: when it was fired is not recorded"
    elif not played.clock_jumped and parse_time(result["firedAt"]) < played.began - _SLACK:
        yield f"{target}: fired at {result['firedAt']}, before the run began"


def _lost_of_all(played: Played, outputs: Mapping[str, Any], results: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    good = {"Succeeded"} if played.wait else {"Succeeded", "Accepted"}
    if outputs.get("status") not in good:
        yield f"green, but the status is {outputs.get('status')}"
    fire_ids = list(outputs.get("fireIds") or ())
    if not fire_ids:
        yield "no fire id is recorded"
    seen = {entry.fire_id: entry for kill in played.kills for entry in kill.entries}
    if len(seen) == 1 and all(result["attempts"] == 1 for result in results.values()):
        (entry,) = seen.values()
        if fire_ids != [entry.fire_id]:
            yield f"the interrupted fire was {entry.fire_id}, the state says {fire_ids}"
        answered = [entry for kill in played.kills for entry in kill.entries if entry.answered]
        if answered and answered[-1].request_id and outputs.get("requestIds") != [answered[-1].request_id]:
            yield f"the answer's request id was {answered[-1].request_id}, the state says {outputs.get('requestIds')}"
    history = outputs.get("history") or [{}]
    if (history[-1].get("generation"), history[-1].get("status")) != (played.asked, outputs.get("status")):
        yield f"the last run in the history is {history[-1]}"


def _unexplained(played: Played) -> Iterator[str]:
    for number, said in enumerate(played.ups, 1):
        yield from (f"up {number} {words}" for words in _unexplained_in(said))
    last = played.ups[-1].text if played.ups else ""
    if not played.green and not played.told_unknown:
        yield f"not green after {len(played.ups)} ups: {last.strip()[-600:]}"
    if played.told_unknown and not RESOURCES[played.case.action].may_stay_unknown:
        yield "an unknown outcome was left to the user, though the cloud can tell"
    if played.fired_on_full_disk:
        yield f"{played.fired_on_full_disk} requests were fired though the journal could not be written"
    if played.disk_full and played.case.trouble.name.endswith("before the intent"):
        yield from _unexplained_on_full_disk(played)
    if played.idle_code:
        yield f"an up without a change ended with {played.idle_code}"
    yield from played.wrong
    yield from _failed_by_nobody(played)
    if played.left_open and not _leaves_open(played):
        yield f"records are left in the journal: {played.left_open}"
    if played.orphans:
        yield f"{played.orphans} plugin processes outlive their engine"


def _failed_by_nobody(played: Played) -> Iterator[str]:
    """Targets that fail though the cloud lets none fail: what was fired for somebody else was taken for one's own."""
    if played.case.change and not played.case.change.startswith("second"):
        for number, said in enumerate(played.ups, 1):
            if re.search(r"\(status (?:Partially)?Failed\)", said.text) and "not sent" not in said.text:
                yield f"up {number} fails a target that nobody let fail: {said.text.strip()[-400:]}"


def _leaves_open(played: Played) -> bool:
    """Whether somebody asked for a fire, and then for another one in its place: the first stays on the books."""
    return any(ask.after is None for ask in played.asks)


def _unexplained_in(said: Said) -> Iterator[str]:
    if said.code is None:
        yield f"hangs: {said.text.strip()[-300:]}"
    if "was never awaited" in said.text:
        yield f"leaves something half begun: {said.text.strip()[-400:]}"
    # The engine's dynamic provider shows each error of a create with its traceback.
    in_words = "journal resolve" in said.text
    if not said.killed and not in_words and (found := _DEFECT.search(said.text)):
        yield f"shows {found.group()!r}: {said.text[found.start() :][:600]}"
    if said.code and not said.killed and not said.faults and not _EXPLAINED.search(said.text):
        yield f"fails without a reason: {said.text.strip()[-400:]}"


def _unexplained_on_full_disk(played: Played) -> Iterator[str]:
    if played.case.operation == "resume":
        return
    first = played.ups[0]
    if first.code == 0 or "nothing was fired" not in first.text or "the journal at" not in first.text:
        yield f"the up on a full disk ended with {first.code} and said: {first.text.strip()[-400:]}"
