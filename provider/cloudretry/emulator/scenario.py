"""Scenarios: the pools, jobs and clusters that an emulator starts with, and what becomes of them.

A scenario is YAML (or JSON). Each target has a ``state`` and says what follows a retry::

    drsJobs:
      - id: 140b5236-88ad-43c8-811c-1268453jb101
        state: FULL_TRANSFER_FAILED
        afterRetry: [[STARTJOBING, 0], [FULL_TRANSFER_STARTED, 2]]   # state, seconds after the retry
        drift: [[INCRE_TRANSFER_FAILED, 3600]]                       # state, seconds after loading

``afterRetry`` may also be a list of such timelines, for the first, second, ... retry; the last one stays in force.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from cloudretry.emulator import documents
from cloudretry.emulator.credentials import CREDENTIALS
from cloudretry.emulator.errors import ScenarioError
from cloudretry.folders import read_text

__all__ = ["BULK_FORMATS", "Scenario", "StrictModel", "explain", "parse_document"]

POOL_SCOPE_STATES: tuple[str, ...] = get_args(documents.PoolScopeState)
WORKSPACE_STATES: tuple[str, ...] = get_args(documents.WorkspaceState)
EHPC_STATES: tuple[str, ...] = get_args(documents.EhpcState)
VISUALIZATION_STATES: tuple[str, ...] = get_args(documents.VisualizationState)
DRS_STATES: tuple[str, ...] = get_args(documents.DrsState)

BULK_FORMATS: Mapping[str, str] = {
    "visualizationJobs": "{n}",
    "workspaceJobs": "6783cecb-0e5c-4521-a3ea-{n:012d}",
    "drsJobs": "140b5236-88ad-43c8-811c-{n:07d}jb101",
    "jobs": "{n}.scheduler",
}
"""The ids of jobs that a scenario asks for by ``count``, where it gives no ``idFormat``."""


class StrictModel(BaseModel):
    """Camel-case outside, and no field that is not known: a misspelt key is an error."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, validate_by_alias=True, validate_by_name=True
    )


def _in_order(steps: tuple[tuple[str, float], ...]) -> tuple[tuple[str, float], ...]:
    if any(later[1] < earlier[1] for earlier, later in pairwise(steps)):
        raise ValueError("the seconds must not go backwards")
    return steps


def _one_or_many(value: Any) -> Any:
    """A single timeline is a list of one."""
    if not isinstance(value, list | tuple):
        return value
    first = value[0] if value else None
    is_one = not value or (isinstance(first, list | tuple) and bool(first) and not isinstance(first[0], list | tuple))
    return [value] if is_one else value


Name = Annotated[str, StringConstraints(min_length=1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
State = Annotated[str, Field(min_length=1), BeforeValidator(lambda state: str(state) if type(state) is int else state)]
Timeline = Annotated[tuple[tuple[State, Seconds], ...], AfterValidator(_in_order)]
Timelines = Annotated[tuple[Timeline, ...], Field(min_length=1), BeforeValidator(_one_or_many)]


class ProjectSpec(StrictModel):
    id: Name
    name: Name


class Refuse(StrictModel):
    """A refusal that a target answers every retry with, or only the first ``times``."""

    code: Name
    message: str | None = None
    http: Annotated[int, Field(ge=200, le=599)] | None = None
    times: PositiveInt | None = None
    encoded_authorization_message: str | None = None


class TargetSpec(StrictModel):
    """What all targets have. ``stale_seconds``: how long status calls show the old state after a retry."""

    states: ClassVar[tuple[str, ...]] = ()
    retried: ClassVar[Timelines] = ((),)

    state: State
    after_retry: Timelines | None = None
    drift: Timeline = ()
    stale_seconds: Seconds = 0.0
    refuse: Refuse | None = None

    def word(self, state: str) -> str:
        """The state as the cloud spells it."""
        return state

    def named_states(self) -> Iterator[tuple[str, str]]:
        yield "state", self.state
        for turn, timeline in enumerate(self.after_retry or ()):
            yield from ((f"afterRetry[{turn}][{step}]", state) for step, (state, _) in enumerate(timeline))
        yield from ((f"drift[{step}]", state) for step, (state, _) in enumerate(self.drift))

    def details(self) -> dict[str, Any]:
        """The target as it is stored: its own fields, and its timelines in the cloud's words."""
        skipped = {"id", "count", "id_format", "first", "project", "state", "after_retry", "drift", "scope"}
        details = self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=skipped)
        details["afterRetry"] = [self._timeline(steps) for steps in self.after_retry or self.retried]
        if self.drift:
            details["drift"] = self._timeline(self.drift)
        return details

    def _timeline(self, steps: Timeline) -> list[tuple[str, float]]:
        return [(self.word(state), after) for state, after in steps]


class JobSpec(TargetSpec):
    """A job by its ``id``, or ``count`` of them, numbered from ``first`` and named by ``idFormat``."""

    id: Annotated[str, BeforeValidator(lambda value: str(value) if type(value) is int else value)] | None = None
    count: PositiveInt | None = None
    first: int = 1
    id_format: str | None = None

    @model_validator(mode="after")
    def _is_one_or_many(self) -> JobSpec:
        if (self.id is None) == (self.count is None):
            raise ValueError("give either an id, or a count (with an idFormat like 'job-{n}')")
        if self.count is None and self.id_format is not None:
            raise ValueError("idFormat goes with count")
        if self.id_format is not None:
            try:
                if self.id_format.format(n=0) == self.id_format.format(n=1):
                    raise ValueError(f"idFormat {self.id_format!r} gives every job the same id; write {{n}} in it")
            except (KeyError, IndexError, AttributeError) as error:
                raise ValueError(f"idFormat {self.id_format!r} may only name {{n}}") from error
        return self

    def ids(self, bulk_format: str) -> list[str]:
        if self.id is not None:
            return [self.id]
        count = self.count or 0
        return [(self.id_format or bulk_format).format(n=n) for n in range(self.first, self.first + count)]


class ScopeSpec(TargetSpec):
    states = POOL_SCOPE_STATES
    retried = ((("Enabling", 0.0), ("Enabled", 1.0)),)

    scope: Name
    message: str = ""


class PoolSpec(StrictModel):
    """A resource pool: ``name`` is its id (``metadata.name``), ``displayName`` what people see."""

    name: Name
    project: str | None = None
    display_name: str | None = None
    phase: Literal["Creating", "Running", "Abnormal", "Deleting", "Error"] = "Running"
    message: str = ""
    scopes: tuple[ScopeSpec, ...] = ()


class VisualizationJobSpec(JobSpec):
    states = tuple(str(number) for number in range(len(VISUALIZATION_STATES)))
    retried = ((("4", 0.0), ("8", 1.0)),)

    project: str | None = None
    name: str | None = None
    description: str = ""
    train_url: str = "/obs-bucket/train/"

    def word(self, state: str) -> str:
        return str(VISUALIZATION_STATES.index(state)) if state in VISUALIZATION_STATES else state


class WorkspaceJobSpec(JobSpec):
    """A Workspace task. ``newJobId``: whether a retry goes on under another id, and which."""

    states = WORKSPACE_STATES
    retried = ((("RUNNING", 0.0), ("SUCCESS", 1.0)),)

    project: str | None = None
    job_type: Name = "applyWorkspace"
    new_job_id: bool | Name = False
    error_code: str = "WKS.0500"
    fail_reason: str = "The task has failed."
    sub_jobs: Annotated[int, Field(ge=0, le=1000)] = 0


class DrsJobSpec(JobSpec):
    """A DRS task. ``dualActiveParent`` marks the parent task of dual-active disaster recovery."""

    states = DRS_STATES
    retried = ((("STARTJOBING", 0.0), ("FULL_TRANSFER_STARTED", 1.0)),)

    project: str | None = None
    name: str | None = None
    db_use_type: Literal["migration", "sync", "cloudDataGuard"] = "sync"
    task_type: Literal["FULL_TRANS", "INCR_TRANS", "FULL_INCR_TRANS"] = "FULL_INCR_TRANS"
    dual_active_parent: bool = False
    failed_reason: str = "The transfer has failed."


class EhpcJobSpec(JobSpec):
    """A job of a cluster. ``submittedSecondsAgo`` is counted from the loading of the scenario."""

    states = EHPC_STATES
    retried = ((("QUEUED", 0.0), ("RUNNING", 1.0)),)

    name: str | None = None
    owner: str = "root"
    queue: str = "workq"
    rerunable: bool = True
    submitted_seconds_ago: Seconds = 3600.0


class ClusterSpec(StrictModel):
    """An E-HPC cluster; ``refuse`` makes each of its operations answer with that error."""

    id: Name
    name: str | None = None
    status: Name = "running"
    refuse: Refuse | None = None
    jobs: tuple[EhpcJobSpec, ...] = ()


class Scenario(StrictModel):
    """Everything that an emulator starts with.

    The default project is always there; ``projects`` adds others, and a target's ``project`` names one by id or by
    name. ``visualizationRefusalStatus`` is the HTTP status of a refused restart, which no document states.
    ``tokenSeconds`` is the lifetime of issued tokens. ``unknownStates`` admits words that no document lists.
    """

    projects: tuple[ProjectSpec, ...] = ()
    pools: tuple[PoolSpec, ...] = ()
    visualization_jobs: tuple[VisualizationJobSpec, ...] = ()
    workspace_jobs: tuple[WorkspaceJobSpec, ...] = ()
    drs_jobs: tuple[DrsJobSpec, ...] = ()
    clusters: tuple[ClusterSpec, ...] = ()
    visualization_refusal_status: Literal[200, 400] = 400
    token_seconds: Annotated[float, Field(gt=0)] = 86_400.0
    unknown_states: bool = False

    @classmethod
    def quickstart(cls) -> Scenario:
        """The built-in scenario: one target of each API, named as in the API's own examples."""
        text = (files("cloudretry.emulator") / "quickstart.yaml").read_text(encoding="utf-8")
        return cls.parse(parse_document(text, "quickstart.yaml"), "quickstart.yaml")

    @classmethod
    def read(cls, path: Path) -> Scenario:
        """The scenario in a YAML or JSON file.

        :raises ScenarioError: the file cannot be read, or is not a scenario.
        """
        try:
            text = read_text(path)
        except (OSError, ValueError) as error:
            raise ScenarioError(f"scenario {path}: cannot be read ({error})") from error
        return cls.parse(parse_document(text, str(path)), str(path))

    @classmethod
    def parse(cls, document: Mapping[str, Any] | None, source: str = "scenario") -> Scenario:
        """A scenario from parsed YAML or JSON. ``source`` names it in errors.

        :raises ScenarioError: it is not one; the text lists each problem by its path.
        """
        try:
            return cls.model_validate({} if document is None else document)
        except ValidationError as error:
            raise ScenarioError(explain(error, source)) from error

    def all_projects(self) -> dict[str, str]:
        """Names of projects by id, the default project first."""
        default = {CREDENTIALS.project_id: CREDENTIALS.project_name}
        return default | {project.id: project.name for project in self.projects}

    def project_id(self, wanted: str | None) -> str:
        """The id of a project given by id or name; the default one if none is given.

        :raises KeyError: there is no such project.
        """
        projects = self.all_projects()
        if wanted is None:
            return CREDENTIALS.project_id
        if wanted in projects:
            return wanted
        for project_id, name in projects.items():
            if name == wanted:
                return project_id
        raise KeyError(wanted)

    def groups(self) -> Iterator[tuple[str, str | None, TargetSpec, list[str]]]:
        """Each entry with targets: its path, its project, the entry, and the full ids that it stands for."""
        for at, pool in enumerate(self.pools):
            for index, scope in enumerate(pool.scopes):
                yield f"pools[{at}].scopes[{index}]", pool.project, scope, [f"{pool.name}:{scope.scope}"]
        for index, visualization_job in enumerate(self.visualization_jobs):
            ids = visualization_job.ids(BULK_FORMATS["visualizationJobs"])
            yield f"visualizationJobs[{index}]", visualization_job.project, visualization_job, ids
        for index, workspace_job in enumerate(self.workspace_jobs):
            ids = workspace_job.ids(BULK_FORMATS["workspaceJobs"])
            yield f"workspaceJobs[{index}]", workspace_job.project, workspace_job, ids
        for index, drs_job in enumerate(self.drs_jobs):
            yield f"drsJobs[{index}]", drs_job.project, drs_job, drs_job.ids(BULK_FORMATS["drsJobs"])
        for at, cluster in enumerate(self.clusters):
            for index, job in enumerate(cluster.jobs):
                ids = [f"{cluster.id}/{job_id}" for job_id in job.ids(BULK_FORMATS["jobs"])]
                yield f"clusters[{at}].jobs[{index}]", None, job, ids

    @model_validator(mode="after")
    def _holds_together(self) -> Scenario:
        problems = [*self._misplaced(), *self._unknown_words(), *self._repeated()]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _misplaced(self) -> Iterator[str]:
        known = self.all_projects()
        entries = [(f"pools[{at}]", pool.project) for at, pool in enumerate(self.pools)]
        entries += [(path, project) for path, project, spec, _ in self.groups() if not isinstance(spec, ScopeSpec)]
        for path, project in entries:
            if project is not None and project not in known and project not in known.values():
                yield f"{path}.project: {project!r} is none of the projects {', '.join(known.values())}"

    def _unknown_words(self) -> Iterator[str]:
        if self.unknown_states:
            return
        for path, _, spec, _ in self.groups():
            for place, state in spec.named_states():
                if spec.word(state) not in spec.states:
                    known = VISUALIZATION_STATES if isinstance(spec, VisualizationJobSpec) else spec.states
                    yield (
                        f"{path}.{place}: {state!r} is not a documented state; use one of {', '.join(known)}, "
                        "or set unknownStates: true"
                    )

    def _repeated(self) -> Iterator[str]:
        seen: set[tuple[str, ...]] = set()
        for path, key in self._keys():
            if key in seen:
                yield f"{path}: {key[-1]} is there twice"
            seen.add(key)
        for path, _, spec, ids in self.groups():
            if isinstance(spec, VisualizationJobSpec):
                yield from (f"{path}.id: {name!r} is not a number" for name in ids if not name.isdecimal())

    def _keys(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        ids = {name: project_id for project_id, name in reversed(self.all_projects().items())}
        for at, project in enumerate(self.projects):
            yield f"projects[{at}]", ("project", project.id)
        for at, pool in enumerate(self.pools):
            place = pool.project or CREDENTIALS.project_id
            yield f"pools[{at}]", ("pool", ids.get(place, place), pool.name)
        for at, cluster in enumerate(self.clusters):
            yield f"clusters[{at}]", ("cluster", cluster.id)
        for path, owner, spec, target_ids in self.groups():
            place = owner or CREDENTIALS.project_id
            yield from ((path, (type(spec).__name__, ids.get(place, place), name)) for name in target_ids)


def parse_document(text: str, source: str) -> Mapping[str, Any]:
    """YAML or JSON text as a mapping.

    :raises ScenarioError: it is neither, or not a mapping.
    """
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ScenarioError(f"{source}: not YAML: {error}") from error
    except RecursionError:
        raise ScenarioError(f"{source}: nested too deep") from None
    if document is None:
        return {}
    if not isinstance(document, Mapping):
        raise ScenarioError(f"{source}: must be a mapping with keys like drsJobs, not a {type(document).__name__}")
    return document


def explain(error: ValidationError, source: str) -> str:
    """One line for each problem, by its path in the document."""
    lines = []
    for problem in error.errors(include_url=False):
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"]).lstrip(".")
        words = problem["msg"].removeprefix("Value error, ")
        lines += [f"{source}: {path}: {line}" if path else f"{source}: {line}" for line in words.splitlines()]
    return "\n".join(lines)
