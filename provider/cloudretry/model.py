"""The words of this package, as values: target, fire, observation, answer, result.

Everything here is immutable and knows neither HTTP nor gRPC. Times are seconds since the epoch (UTC) unless a
name says otherwise; in state they are RFC 3339.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from cloudretry.operation import Operation

__all__ = [
    "Answer",
    "Call",
    "Cloud",
    "CloudClient",
    "CloudError",
    "FireOutcome",
    "Meaning",
    "Observation",
    "Place",
    "Reply",
    "Request",
    "Result",
    "State",
    "StateClass",
    "Status",
    "Target",
    "chunked",
    "parse_time",
    "rfc3339",
    "same_value",
]


T = TypeVar("T")


class Cloud(StrEnum):
    """The clouds, spelled as their own Pulumi and Terraform providers spell them."""

    HUAWEICLOUD = "huaweicloud"
    ALICLOUD = "alicloud"


class StateClass(StrEnum):
    """What a cloud's own word for a state means for a retry."""

    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    IDLE = "Idle"


class Status(StrEnum):
    """The verdict on one target, or on a whole run."""

    ACCEPTED = "Accepted"
    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    PARTIALLY_FAILED = "PartiallyFailed"
    SKIPPED = "Skipped"
    UNKNOWN = "Unknown"


class FireOutcome(StrEnum):
    """How one fire ended. Only ``NOT_SENT`` and throttled ``REJECTED`` are ever sent again."""

    NOT_SENT = "not sent"
    REJECTED = "rejected"
    ACCEPTED = "accepted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class State:
    """A row of an action's state table.

    ``retryable`` says that a retry may start from this state. It also marks what a late status call can still
    show right after a fire, so such an observation is not judged at once.
    """

    means: StateClass
    retryable: bool
    text: str


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an error code means, and what the user can do."""

    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where targets live: a region, the project in it, and the pool or cluster that holds them."""

    region: str
    project_id: str = ""
    container: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that an action retries.

    ``key`` is its name in results and messages. ``handle`` is what status calls ask for; it differs from the key
    where a retry returned an id of its own. ``options`` are the target's own request fields.
    """

    key: str
    handle: str = ""
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def watched(self) -> str:
        return self.handle or self.key


@dataclass(frozen=True, slots=True)
class Observation:
    """What a status call says of a target.

    ``stamp`` tells one execution of a job from the next where the state alone cannot (E-HPC: its times); it is
    empty elsewhere. ``missing`` means that the cloud does not know the target.
    """

    means: StateClass
    cloud_status: str
    retryable: bool
    message: str = ""
    error_code: str = ""
    stamp: str = ""
    missing: bool = False


@dataclass(frozen=True, slots=True)
class CloudError:
    """An error in the cloud's own words. ``http_status`` is 0 when no HTTP answer came."""

    code: str
    message: str
    http_status: int = 0
    request_id: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        words = f"{self.code}: {self.message}" if self.code else self.message
        details = [f"HTTP {self.http_status}"] if self.http_status else []
        if self.request_id:
            details.append(f"request id {self.request_id}")
        if details:
            words = f"{words.rstrip('.')} ({', '.join(details)})"
        return f"{words}. {self.remedy}" if self.remedy else words


@dataclass(frozen=True, slots=True)
class Request:
    """A call before it has an endpoint and a signature.

    ``path`` fills the operation's template (each value is percent-encoded as one segment). ``body`` is sent as JSON;
    ``None`` sends no body.
    """

    operation: Operation
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer. ``body`` is the parsed JSON (or XML error) object, or ``None`` when it cannot be read as one.

    ``excerpt`` is how it begins, for messages. ``throttled`` says that the cloud turned the request away because it is
    too busy: nothing was done, and it may be sent again. ``retry_after`` is in seconds.
    """

    status: int
    body: Any
    excerpt: str = ""
    request_id: str = ""
    retry_after: float | None = None
    error: CloudError | None = None
    throttled: bool = False

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300 and self.error is None


Call = Callable[[Request], Reply]


class CloudClient(Protocol):
    """A signed connection to one cloud, in one region and project. Blocking; safe to call from many threads."""

    @property
    def region(self) -> str: ...

    @property
    def project_id(self) -> str:
        """The project; empty where the cloud has none. The first use may ask the cloud.

        :raises CloudRetryError: it cannot be found.
        """

    @property
    def emulator(self) -> bool:
        """Whether no real cloud is called."""

    def close(self) -> None:
        """Let go of the connections."""

    def send(self, request: Request, leaving: Callable[[], None] | None = None) -> Reply:
        """Send once and return the answer, errors included: a reply whose ``error`` is set is still an answer.

        ``leaving`` is called when the request's turn has come and it is signed, so that nothing but the connection is
        missing; again should it be sent a second time. What that raises keeps it from being sent.

        :raises RequestNotSent: no connection could be made.
        :raises NoAnswer: the request went out and no answer could be read.
        :raises CredentialsError: the request could not be signed.
        """


@dataclass(frozen=True, slots=True)
class Answer:
    """What one fire's answer says of one target."""

    outcome: FireOutcome
    handle: str = ""
    error: CloudError | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """The verdict on one target, as kept in the outputs.

    ``attempts`` counts its fires in this generation. ``handle`` is the id that the last fire returned, if it returned
    one. ``before`` is the job's stamp before the fire, kept while it is needed to go on.
    """

    target: str
    status: Status
    cloud_status: str = ""
    attempts: int = 0
    fired_at: float | None = None
    error_code: str = ""
    error_message: str = ""
    skipped_reason: str = ""
    handle: str = ""
    before: str = ""

    _FIELDS = (
        ("cloudStatus", "cloud_status"),
        ("errorCode", "error_code"),
        ("errorMessage", "error_message"),
        ("skippedReason", "skipped_reason"),
        ("handle", "handle"),
        ("before", "before"),
    )

    @property
    def pending(self) -> bool:
        return self.status in (Status.IN_PROGRESS, Status.ACCEPTED, Status.UNKNOWN)

    def to_state(self) -> dict[str, Any]:
        """The compact form: fields that say nothing are left out."""
        state: dict[str, Any] = {
            "target": self.target,
            "status": self.status.value,
            "attempts": self.attempts,
        }
        for name, attribute in self._FIELDS:
            if value := getattr(self, attribute):
                state[name] = value
        if self.fired_at is not None:
            state["firedAt"] = rfc3339(self.fired_at)
        return state

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Result:
        fired_at = state.get("firedAt")
        return cls(
            target=str(state["target"]),
            status=Status(state["status"]),
            attempts=int(state.get("attempts", 0)),
            fired_at=parse_time(fired_at) if fired_at else None,
            **{attribute: str(state.get(name) or "") for name, attribute in cls._FIELDS},
        )


def rfc3339(seconds: float) -> str:
    """UTC, whole seconds: ``2026-01-31T23:59:59Z``."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time.

    :raises ValueError: the text is not such a time.
    """
    return datetime.fromisoformat(text).timestamp()


def same_value(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same. Unlike ``==``, ``true`` is not 1; like it, 1 is 1.0."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same_value(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same_value, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def chunked(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """The items in groups of at most ``size``, in order."""
    return [items[start : start + size] for start in range(0, len(items), size)]
