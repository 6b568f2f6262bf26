"""From what ``pulumi stack export`` prints to a report. Nothing is decrypted, and no secret gets out of here."""

from __future__ import annotations

import itertools
import json
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from cloudretry.actions import ACTIONS, Action
from cloudretry.actions.base import ActionInputs
from cloudretry.bounds import LONGEST_EXPORT, LONGEST_MESSAGE
from cloudretry.errors import CloudRetryError, ExportError
from cloudretry.folders import read_bytes
from cloudretry.lifecycle import failure
from cloudretry.model import Result, Status, parse_time, rfc3339
from cloudretry.plugin.marshal import OUTPUT, SECRET, SIGNATURE
from cloudretry.plugin.secrecy import Secrecy
from cloudretry.record import PLACE, Record
from cloudretry.report.summary import HIDDEN, OPEN, Report, Retry, Run, Unreadable
from cloudretry.text import one_line, shortened

__all__ = ["from_file", "from_stack", "read"]

DYNAMIC = "pulumi-python:dynamic/cloudretry/"
PLUGIN = "cloudretry:"
EXPORT_TIMEOUT = 120.0
"""Seconds that the Pulumi CLI has for an export."""

_LISTS = ("results", "history", "fireIds", "requestIds")
_KNOBS = ("maxAttempts", "onUnknown", "cooldown")


# --- where exports come from ---


def from_stack(name: str | None, folder: Path | None = None) -> Report:
    """The report of a stack of the project in ``folder`` (default: here); without a name, of the selected one.

    :raises ExportError: the Pulumi CLI does not give the state, or gives something else.
    """
    which = f"stack {name}" if name else "the selected stack"
    command = ["pulumi", "stack", "export", "--non-interactive", *(["--stack", name] if name else [])]
    try:
        done = subprocess.run(  # noqa: S603
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=EXPORT_TIMEOUT,
        )
    except FileNotFoundError:
        raise ExportError(
            f"{which} cannot be exported: there is no `pulumi` on PATH; install the Pulumi CLI, or give what "
            "`pulumi stack export` printed elsewhere with --file"
        ) from None
    except OSError as error:
        raise ExportError(f"{which} cannot be exported: pulumi cannot be run: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise ExportError(f"{which} cannot be exported: pulumi gave no answer in {EXPORT_TIMEOUT:.0f} s") from None
    if done.returncode:
        said = one_line(done.stderr.decode("utf-8", "replace")).removeprefix("error: ").rstrip(".")
        words = shortened(said, LONGEST_MESSAGE)
        hint = "`pulumi stack ls` lists the stacks of this folder's project; --stack names one, --file an export"
        raise ExportError(f"{which} cannot be exported: {words or f'pulumi ended with {done.returncode}'}. {hint}")
    return read(done.stdout, f"what `pulumi stack export` prints of {which}", stack=name or "")


def from_file(path: Path) -> Report:
    """The report of a stack from a file that ``pulumi stack export`` made; ``-`` is standard input.

    :raises ExportError: it cannot be read, or is something else.
    """
    where = "standard input" if str(path) == "-" else str(path)
    try:
        content = read_bytes(path, LONGEST_EXPORT)
    except OSError as error:
        raise ExportError(f"{where} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ExportError(f"{where} cannot be read: {error}") from None
    return read(content, where, stack="" if str(path) == "-" else path.stem)


# --- an export, as it comes ---


class _Resource(BaseModel):
    urn: str
    type: str
    inputs: dict[str, Any] | None = None
    outputs: dict[str, Any] | None = None
    delete: bool = False


class _Operation(BaseModel):
    resource: _Resource
    type: str


class _Manifest(BaseModel):
    time: str = ""


class _Deployment(BaseModel):
    manifest: _Manifest = _Manifest()
    resources: list[_Resource] | None = None
    pending_operations: list[_Operation] | None = None


class _Export(BaseModel):
    version: int
    deployment: _Deployment | None


class _HistoryEntry(BaseModel):
    at: str
    reason: str
    generation: int
    fired: int
    status: str
    outcomes: dict[str, int] = {}
    triggers: list[str] = []
    failed_targets: Annotated[list[str], Field(alias="failedTargets")] = []
    request_ids: Annotated[list[str], Field(alias="requestIds")] = []


_HISTORY = TypeAdapter(list[_HistoryEntry])


def read(content: bytes, where: str, *, stack: str = "") -> Report:
    """The report of an export. ``where`` is what it was read from, ``stack`` its name if it does not say so itself.

    :raises ExportError: it is something else.
    """
    try:
        # Halves of surrogate pairs can stand in JSON, and in nothing that is made of it.
        whole = json.dumps(json.loads(content.decode("utf-8-sig")), ensure_ascii=False).encode("utf-8", "replace")
        exported = _Export.model_validate_json(whole)
    except ValidationError as error:
        (first, *_) = error.errors(include_input=False, include_url=False, include_context=False)
        path = ".".join(map(str, first["loc"]))
        raise _no_export(where, f"{path}: {first['msg']}" if path else first["msg"]) from None
    except (ValueError, RecursionError):
        raise _no_export(where, "it is not JSON") from None
    deployment = exported.deployment or _Deployment()
    resources = [resource for resource in deployment.resources or () if not resource.delete]
    name, project = next((_stack_of(resource.urn) for resource in resources), (stack, ""))
    retries: list[Retry] = []
    unreadable: list[Unreadable] = []
    for resource in resources:
        if (token := _token(resource.type)) is None:
            continue
        if (action := ACTIONS.get(token)) is None:
            words = f"{token} is not an action of this version"
            unreadable.append(Unreadable(_name(resource.urn), one_line(words)))
            continue
        try:
            retries.append(_retry(resource, action))
        except _Concealed:
            unreadable.append(Unreadable(_name(resource.urn), "its status is a secret"))
        except (CloudRetryError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
            words = "its outputs are not what this version of the provider writes"
            unreadable.append(Unreadable(_name(resource.urn), words))
    return Report(
        stack=one_line(name),
        project=one_line(project),
        at=_at(deployment.manifest.time),
        retries=tuple(retries),
        unreadable=tuple(unreadable),
        interrupted=tuple(
            _name(operation.resource.urn)
            for operation in deployment.pending_operations or ()
            if _token(operation.resource.type) and not _is_done(operation, resources)
        ),
    )


def _is_done(operation: _Operation, resources: Sequence[_Resource]) -> bool:
    """Whether a create that was cut off has been done since: the engine keeps the note of it all the same.

    Then the resource is in the state, and it is not the one that the create was to replace.
    """
    action = ACTIONS.get(_token(operation.resource.type) or "")
    if operation.type != "creating" or action is None:
        return False
    wanted, *found = (
        [_masked((resource.inputs or {}).get(name)) for name in (*action.identity, *PLACE)]
        for resource in (operation.resource, *(one for one in resources if one.urn == operation.resource.urn))
    )
    return wanted in found


def _no_export(where: str, words: str) -> ExportError:
    remedy = "make one with: pulumi stack export --file FILE"
    return ExportError(f"{where} is not an export of a stack ({one_line(words)}); {remedy}")


def _stack_of(urn: str) -> tuple[str, str]:
    """The stack and the project in a URN."""
    parts = urn.removeprefix("urn:pulumi:").split("::", 2)
    return parts[0], parts[1] if len(parts) > 1 else ""


def _name(urn: str) -> str:
    """The name at the end of a URN, which may hold anything."""
    return one_line(urn.split("::", 3)[-1])


def _token(kind: str) -> str | None:
    """The token of an action, of either front; ``None`` for any other resource."""
    if kind.startswith(DYNAMIC):
        return PLUGIN + kind.removeprefix(DYNAMIC)
    return kind if kind.startswith(PLUGIN) else None


def _at(text: str) -> str:
    try:
        return rfc3339(parse_time(text))
    except (ValueError, ArithmeticError):
        return ""


def _seconds(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time.

    :raises ValueError: it is no such time, or none that can be written in UTC.
    """
    return parse_time(rfc3339(parse_time(text)))


# --- one resource ---


class _Concealed(Exception):
    """The status itself is a secret, so there is nothing to tell."""


def _retry(resource: _Resource, action: Action[Any]) -> Retry:
    outputs = resource.outputs or {}
    secrecy = Secrecy(_hidden_texts(resource, action))
    visible: dict[str, Any] = _masked(outputs)
    is_hidden = visible.get("results") == HIDDEN
    if visible.get("status") == HIDDEN:
        raise _Concealed
    visible |= {name: [] for name in _LISTS if visible.get(name) == HIDDEN}
    results = _numbered([_clean(Result.from_state(item), secrecy) for item in visible.get("results") or ()])
    # A record has its results by target, and those that are secret all have one name.
    record = Record.from_outputs(action, {**visible, "results": []})
    return Retry(
        urn=one_line(resource.urn),
        name=_name(resource.urn),
        action=action,
        front="dynamic" if resource.type.startswith(DYNAMIC) else "plugin",
        status=record.status,
        generation=record.generation,
        results=tuple(results),
        runs=tuple(_runs(visible.get("history") or [], secrecy)),
        fired_at=one_line(record.fired_at) if record.fired_at else None,
        fire_ids=tuple(map(one_line, record.fire_ids)),
        request_ids=tuple(map(one_line, record.request_ids)),
        emulator=record.emulator,
        steps=_steps(action, record, results) if record.unfinished else {},
        hidden=is_hidden,
        problem="" if record.unfinished else _shown(str(visible.get("failure") or ""), secrecy),
    )


def _runs(history: Sequence[Any], secrecy: Secrecy) -> Iterator[Run]:
    for entry in _HISTORY.validate_python(history):
        yield Run(
            at=_seconds(entry.at),
            reason=one_line(entry.reason),
            generation=entry.generation,
            fired=entry.fired,
            status=Status(entry.status),
            outcomes={one_line(name): count for name, count in entry.outcomes.items()},
            triggers=tuple(map(one_line, entry.triggers)),
            failed_targets=tuple(_shown(target, secrecy) for target in entry.failed_targets),
            request_ids=tuple(map(one_line, entry.request_ids)),
        )


def _steps(action: Action[Any], record: Record, results: Sequence[Result]) -> dict[int, str]:
    """What comes next for each target that is not well, by its place."""
    knobs = {name: record.inputs[name] for name in _KNOBS if record.inputs.get(name) not in (None, HIDDEN)}
    inputs = ActionInputs.model_validate(knobs)
    now = time.time()
    return {
        place: f"{failure.remedy(action, result)} {failure.next_step([result], inputs, now)}".strip()
        for place, result in enumerate(results)
        if result.status in OPEN
    }


# --- secrets ---


def _masked(value: Any) -> Any:
    """The value with a blot for everything in it that is secret."""
    if isinstance(value, Mapping):
        return HIDDEN if _is_secret(value) else {name: _masked(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return value


def _is_secret(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    signature = value.get(SIGNATURE)
    return signature == SECRET or (signature == OUTPUT and bool(value.get("secret")))


def _hidden_texts(resource: _Resource, action: Action[Any]) -> Iterator[str]:
    """What must not be shown of a resource although it stands in clear in its outputs.

    The dynamic front is not told which inputs are secret, so it records the targets in clear. Where the input that
    names them is a secret, so are they. And an export that was made with ``--show-secrets`` tells what its secrets are.
    """
    sides = [side for side in (resource.inputs, resource.outputs) if side]
    naming = [*action.identity, *([action.target_list[0]] if action.target_list else [])]
    if any(_is_secret(side.get(name)) for side in sides for name in naming):
        for item in (resource.outputs or {}).get("results") or ():
            if isinstance(item, Mapping) and isinstance(target := item.get("target"), str):
                yield target
                if isinstance(handle := item.get("handle"), str):
                    yield handle
    for side in sides:
        yield from _plain_texts(side)


def _plain_texts(value: Any) -> Iterator[str]:
    """The texts in secrets that an export holds in clear."""
    if isinstance(value, Mapping):
        if _is_secret(value):
            yield from _texts(_revealed(value))
        else:
            for item in value.values():
                yield from _plain_texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _plain_texts(item)


def _revealed(secret: Mapping[str, Any]) -> Any:
    if isinstance(plaintext := secret.get("plaintext"), str):
        try:
            return json.loads(plaintext)
        except ValueError:
            return plaintext
    return secret.get("value")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _clean(result: Result, secrecy: Secrecy) -> Result:
    """The result without secrets, each of its texts on one line."""
    return replace(
        result,
        target=_shown(result.target, secrecy),
        fired_at=None if result.fired_at is None else _seconds(rfc3339(result.fired_at)),
        cloud_status=_shown(result.cloud_status, secrecy),
        error_code=_shown(result.error_code, secrecy),
        error_message=_shown(result.error_message, secrecy),
        skipped_reason=one_line(result.skipped_reason),
        handle=_shown(result.handle, secrecy),
        before="",
    )


def _shown(text: str, secrecy: Secrecy) -> str:
    return one_line(secrecy.redact(text))


def _numbered(results: Sequence[Result]) -> list[Result]:
    """The results with names that tell them apart: of several secret targets, all but the first get a number."""
    taken: set[str] = set()
    numbered = []
    for result in results:
        names = itertools.chain([result.target], (f"{result.target} {number}" for number in itertools.count(2)))
        name = next(name for name in names if name not in taken)
        taken.add(name)
        numbered.append(replace(result, target=name))
    return numbered
