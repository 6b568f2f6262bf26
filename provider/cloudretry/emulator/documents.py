"""How scenarios and faults are written in Python: for editors and type checkers.

The keys are those of a YAML scenario; ``docs/emulator.md`` tells what each means. Whether a document holds together is
found out when it is loaded.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Required, TypedDict, TypeVar

__all__ = [
    "Cluster",
    "ClusterJob",
    "DrsJob",
    "DrsState",
    "EhpcState",
    "Fault",
    "Pool",
    "PoolScopeState",
    "Project",
    "Refusal",
    "Scenario",
    "Scope",
    "VisualizationJob",
    "VisualizationState",
    "WorkspaceJob",
    "WorkspaceState",
]

PoolScopeState = Literal["Enabling", "Enabled", "EnableFailed", "Disabling", "Disabled"]
WorkspaceState = Literal["INIT", "WAITING", "RUNNING", "SUCCESS", "COMPLETE", "FAIL", "FAILED"]
EhpcState = Literal["QUEUED", "RUNNING", "FINISHED"]
VisualizationState = Literal[
    "UNKNOWN",
    "INIT",
    "IMAGE_CREATING",
    "IMAGE_FAILED",
    "SUBMIT_TRYING",
    "SUBMIT_FAILED",
    "DELETE_FAILED",
    "WAITING",
    "RUNNING",
    "KILLING",
    "COMPLETED",
    "FAILED",
    "KILLED",
    "CANCELED",
    "LOST",
    "SCALING",
    "SUBMIT_MODEL_FAILED",
    "DEPLOY_SERVICE_FAILED",
    "CHECK_INIT",
    "CHECK_RUNNING",
    "CHECK_RUNNING_COMPLETED",
    "CHECK_FAILED",
]
"""In the order of the numbers that the API shows."""
DrsState = Literal[
    "CREATING",
    "CREATE_FAILED",
    "CONFIGURATION",
    "STARTJOBING",
    "WAITING_FOR_START",
    "START_JOB_FAILED",
    "PAUSING",
    "PAUSEING",
    "FULL_TRANSFER_STARTED",
    "FULL_TRANSFER_FAILED",
    "FULL_TRANSFER_COMPLETE",
    "INCRE_TRANSFER_STARTED",
    "INCRE_TRANSFER_FAILED",
    "RELEASE_RESOURCE_STARTED",
    "RELEASE_RESOURCE_FAILED",
    "RELEASE_RESOURCE_COMPLETE",
    "REBUILD_NODE_STARTED",
    "REBUILD_NODE_FAILED",
    "CHANGE_JOB_STARTED",
    "CHANGE_JOB_FAILED",
    "DELETED",
    "CHILD_TRANSFER_STARTING",
    "CHILD_TRANSFER_STARTED",
    "CHILD_TRANSFER_COMPLETE",
    "CHILD_TRANSFER_FAILED",
    "RELEASE_CHILD_TRANSFER_STARTED",
    "RELEASE_CHILD_TRANSFER_COMPLETE",
    "NODE_UPGRADE_START",
    "NODE_UPGRADE_COMPLETE",
    "NODE_UPGRADE_FAILED",
]

_S = TypeVar("_S")
_Timeline = Sequence[Sequence[_S | float]]
"""``[[state, seconds after the retry], …]``."""
_Timelines = Sequence[Sequence[_S | float | Sequence[_S | float]]]
"""A timeline, or one for each retry; the last one stays in force. Not a union of both: of that mypy finds no part."""


class Project(TypedDict):
    id: str
    name: str


class Refusal(TypedDict, total=False):
    """What a retry is answered with: the first ``times``, or all."""

    code: Required[str]
    message: str
    http: int
    times: int
    encodedAuthorizationMessage: str


class _Target(TypedDict, total=False):
    staleSeconds: float
    refuse: Refusal


class _Job(_Target, total=False):
    """A job by its ``id``, or ``count`` of them."""

    id: str | int
    count: int
    first: int
    idFormat: str
    name: str


class Scope(_Target, total=False):
    scope: Required[str]
    state: Required[PoolScopeState]
    afterRetry: _Timelines[PoolScopeState]
    drift: _Timeline[PoolScopeState]
    message: str


class Pool(TypedDict, total=False):
    name: Required[str]
    project: str
    displayName: str
    phase: Literal["Creating", "Running", "Abnormal", "Deleting", "Error"]
    message: str
    scopes: Sequence[Scope]


class VisualizationJob(_Job, total=False):
    """Its state is a word or its number."""

    state: Required[VisualizationState | int]
    afterRetry: _Timelines[VisualizationState]
    drift: _Timeline[VisualizationState]
    project: str
    description: str
    trainUrl: str


class WorkspaceJob(_Target, total=False):
    id: str
    count: int
    first: int
    idFormat: str
    state: Required[WorkspaceState]
    afterRetry: _Timelines[WorkspaceState]
    drift: _Timeline[WorkspaceState]
    project: str
    jobType: str
    newJobId: bool | str
    errorCode: str
    failReason: str
    subJobs: int


class DrsJob(_Job, total=False):
    state: Required[DrsState]
    afterRetry: _Timelines[DrsState]
    drift: _Timeline[DrsState]
    project: str
    dbUseType: Literal["migration", "sync", "cloudDataGuard"]
    taskType: Literal["FULL_TRANS", "INCR_TRANS", "FULL_INCR_TRANS"]
    dualActiveParent: bool
    failedReason: str


class ClusterJob(_Job, total=False):
    state: Required[EhpcState]
    afterRetry: _Timelines[EhpcState]
    drift: _Timeline[EhpcState]
    owner: str
    queue: str
    rerunable: bool
    submittedSecondsAgo: float


class Cluster(TypedDict, total=False):
    id: Required[str]
    name: str
    status: str
    refuse: Refusal
    jobs: Sequence[ClusterJob]


class Scenario(TypedDict, total=False):
    """The targets that there are, and what becomes of them."""

    projects: Sequence[Project]
    pools: Sequence[Pool]
    visualizationJobs: Sequence[VisualizationJob]
    workspaceJobs: Sequence[WorkspaceJob]
    drsJobs: Sequence[DrsJob]
    clusters: Sequence[Cluster]
    visualizationRefusalStatus: Literal[200, 400]
    tokenSeconds: float
    unknownStates: bool


class Fault(TypedDict, total=False):
    """What goes wrong with the next ``times`` requests of an operation, after ``skip`` untouched ones."""

    times: int | None
    skip: int
    status: int
    body: Any
    headers: Mapping[str, str]
    after: bool
    drop: Literal["before", "after"]
    delay: float
    truncate: bool
