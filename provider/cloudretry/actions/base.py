"""What an action declares, and the inputs that all actions share.

An action is data and four small functions: which targets the inputs name, the request that fires some of them, what
the reply says of each, and what a status call says of each. Everything else (deciding, firing once, waiting,
recording, the schema, the reference page, the emulator's routing) is derived from that declaration.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from cloudretry import durations
from cloudretry.bounds import LONGEST_MESSAGE, LONGEST_NAME, MOST_LISTED
from cloudretry.errors import CloudRefused, NoAnswer
from cloudretry.model import (
    Answer,
    Call,
    Cloud,
    CloudError,
    Meaning,
    Observation,
    Place,
    Reply,
    Request,
    State,
    StateClass,
    Target,
    chunked,
)
from cloudretry.operation import Operation
from cloudretry.text import said

__all__ = [
    "Action",
    "ActionInputs",
    "AlicloudInputs",
    "FireWhen",
    "HuaweicloudInputs",
    "OnUnknown",
    "Permission",
    "SuccessPolicy",
    "answered",
    "message_of",
    "name_of",
    "pages",
    "read_object",
    "unlike",
]


class FireWhen(StrEnum):
    """Whether a target is looked at before it is fired."""

    ALWAYS = "always"
    RETRYABLE = "retryable"


class SuccessPolicy(StrEnum):
    """How many targets must succeed."""

    ALL = "all"
    ANY = "any"


class OnUnknown(StrEnum):
    """What the next run does with a fire whose outcome even the cloud's state does not tell."""

    FAIL = "fail"
    FIRE = "fire"


def _duration(text: str) -> str:
    durations.parse(text)
    return text


Duration = Annotated[str, AfterValidator(_duration)]


class ActionInputs(BaseModel):
    """The inputs that every action has beside its targets."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=False,
        validate_by_alias=True,
        extra="forbid",
        strict=True,
        frozen=True,
        hide_input_in_errors=True,
    )

    region: Annotated[str, Field(min_length=1)] | None = Field(
        None,
        description="Region of the targets. Taken from the provider's configuration when it is not set, and then "
        "fixed at create. Setting another one replaces the resource, which fires.",
    )
    triggers: dict[str, Any] = Field(
        default_factory=dict,
        description="Any values. A change of one of them fires all targets again, once; nothing else does.",
    )
    fire_when: FireWhen = Field(
        FireWhen.ALWAYS,
        strict=False,
        description="`always` fires without looking. `retryable` looks at each target first, fires only those that "
        "can be retried and records the others as skipped, with the reason.",
    )
    wait: bool = Field(
        True,
        description="Wait until the retry has taken hold (not until the work is done). The time allowed is that of "
        "`customTimeouts`, 30 minutes by default.",
    )
    max_attempts: Annotated[int, Field(ge=1, le=1000)] = Field(
        3,
        description="How often one target may be fired in one generation, over all runs. When the attempts are spent, "
        "`up` fails and fires nothing.",
    )
    retry_in_run: bool = Field(
        False,
        description="Fire failed targets again within the same run, with a random pause between, while attempts are "
        "left. By default one run fires a target once.",
    )
    cooldown: Duration | None = Field(
        None,
        description="Least time between two fires of the same target, such as `10m`. A target that is still cooling "
        "down is not fired.",
    )
    success_policy: SuccessPolicy = Field(
        SuccessPolicy.ALL,
        strict=False,
        description="`all` targets must succeed, or `any` one of them.",
    )
    reconcile: bool = Field(
        False,
        description="Look at the targets before each `up`, and fire those that the cloud shows failed. Takes effect "
        "from the `up` after it is switched on.",
    )
    on_unknown: OnUnknown = Field(
        OnUnknown.FAIL,
        strict=False,
        description="What to do with a target whose fire got no answer, when its state does not tell either: `fail` "
        "and fire nothing, or `fire` it again.",
    )

    @property
    def cooldown_seconds(self) -> float:
        return durations.parse(self.cooldown) if self.cooldown else 0.0


class HuaweicloudInputs(ActionInputs):
    """Inputs of the actions on Huawei Cloud."""

    project_id: Annotated[str, Field(min_length=1)] | None = Field(
        None,
        description="Project of the targets. Taken from the provider's configuration when it is not set, and then "
        "fixed at create. Setting another one replaces the resource, which fires.",
    )


class AlicloudInputs(ActionInputs):
    """Inputs of the actions on Alibaba Cloud."""


@dataclass(frozen=True, slots=True)
class Permission:
    """A permission as it stands in a policy of that ``version``, and the text that names it."""

    name: str
    source: str
    version: str


InputsT = TypeVar("InputsT", bound=ActionInputs)

UNKNOWN_STATE = State(StateClass.IN_PROGRESS, retryable=False, text="a state that this version does not know")


class Action(ABC, Generic[InputsT]):
    """One cloud retry API.

    The class attributes are the declaration; an instance holds no state.
    """

    token: ClassVar[str]
    title: ClassVar[str]
    cloud: ClassVar[Cloud]
    source: ClassVar[str]
    """The API text that the action follows."""
    deprecation: ClassVar[str] = ""
    inputs: ClassVar[type[Any]]
    fires: ClassVar[Operation]
    looks: ClassVar[Operation]
    looks_at_many: ClassVar[Operation | None] = None
    """The status call for several targets, where it is another one."""
    permissions: ClassVar[Mapping[str, Permission]] = {}
    """What IAM or RAM asks for, by operation name, where a source names it."""
    nothing: ClassVar[tuple[str, str]] = ("cloudretry-nothing", "cloudretry-nothing")
    """A container and a target in it that do not exist, well-formed: asking for them does no harm."""
    states: ClassVar[Mapping[str, State]]
    errors: ClassVar[Mapping[str, Meaning]]
    unclear_errors: ClassVar[frozenset[str]] = frozenset()
    """Error codes after which the request may have had an effect on some targets."""
    identity: ClassVar[tuple[str, ...]]
    """Properties that make another resource of it when they change."""
    target_list: ClassVar[tuple[str, str | None] | None] = None
    """The property that lists the targets, and the key in each item (``None``: the item itself)."""
    container_property: ClassVar[str] = ""
    """The property that names the pool or cluster which holds the targets; empty where they stand alone."""
    fire_size: ClassVar[int] = 1
    """Most targets in one fire."""
    fires_at_once: ClassVar[int] = 1
    """Most fires of one run under way at the same time."""
    look_size: ClassVar[int] = 1
    """Most targets in one status call."""
    stamped: ClassVar[bool] = False
    """True where only a change of the job's times tells that a retry took hold."""
    returns_handle: ClassVar[bool] = False
    """True where a retry may go on under an id of its own, which only its answer tells."""
    done_when: ClassVar[str]
    """Where waiting ends, in words."""

    @property
    def operations(self) -> tuple[Operation, ...]:
        """The API calls that it makes, the fire first."""
        return tuple(filter(None, (self.fires, self.looks, self.looks_at_many)))

    @property
    def name(self) -> str:
        return self.token.rsplit(":", 1)[1]

    @property
    def module(self) -> str:
        return self.token.split(":")[1]

    @abstractmethod
    def targets(self, inputs: InputsT) -> tuple[Target, ...]:
        """The targets that the inputs name, in order, each once."""

    @abstractmethod
    def imported(self, container: str, keys: Sequence[str]) -> dict[str, Any]:
        """The inputs that name these targets, for an import.

        :raises ValueError: the id does not fit this action.
        """

    @abstractmethod
    def request(self, place: Place, targets: Sequence[Target], inputs: InputsT) -> Request:
        """The one request that fires these targets."""

    def groups(self, targets: Sequence[Target]) -> list[Sequence[Target]]:
        """The targets as they are fired together, in order: at most ``fire_size`` in one request."""
        return chunked(targets, self.fire_size)

    @abstractmethod
    def read_reply(self, reply: Reply, targets: Sequence[Target]) -> dict[str, Answer]:
        """What a reply without an error envelope says of each target, by key.

        :raises NoAnswer: the reply is not what the API says, so what happened is not known.
        """

    @abstractmethod
    def observe(self, call: Call, place: Place, targets: Sequence[Target]) -> dict[str, Observation]:
        """Look at up to ``look_size`` targets, by key. Changes nothing.

        :raises CloudRefused: the cloud does not answer the status call.
        :raises NoAnswer: the answer is not what the API says.
        :raises RequestNotSent: no connection.
        """

    def outputs(self, results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:  # noqa: ARG002
        """Outputs of this action beside those that all have, from its results as kept in state."""
        return {}

    def explain(self, error: CloudError) -> CloudError:
        """The error with the meaning and remedy that the action's table has for its code or HTTP status."""
        meaning = self.errors.get(error.code) or self.errors.get(str(error.http_status))
        if meaning is None:
            return error
        return replace(error, remedy=" ".join(filter(None, (meaning.text, meaning.remedy, error.remedy))))

    def observation(self, word: str, *, message: str = "", error_code: str = "", stamp: str = "") -> Observation:
        """An observation of a state by the cloud's own word for it, judged by the state table."""
        state = self.states.get(word, UNKNOWN_STATE)
        return Observation(
            means=state.means,
            cloud_status=word,
            retryable=state.retryable,
            message=message,
            error_code=error_code,
            stamp=stamp,
        )

    @staticmethod
    def absent(message: str) -> Observation:
        """The observation of a target that the cloud does not know."""
        return Observation(StateClass.FAILED, "", retryable=False, message=message, missing=True)


def name_of(fields: Mapping[str, Any], *names: str) -> str:
    """The first of these fields that names something: a state, a code, an id, a time. Bounded; empty without one."""
    return said(fields, *names, length=LONGEST_NAME)


def message_of(fields: Mapping[str, Any], *names: str) -> str:
    """The first of these fields that holds words for people. Bounded; empty without any."""
    return said(fields, *names, length=LONGEST_MESSAGE)


def pages(size: int) -> Iterator[int]:
    """The numbers of the pages of a list, from one on; each has so many things on it.

    :raises NoAnswer: there are more than anybody can have meant; what was not found so far may stand on another.
    """
    yield from range(1, MOST_LISTED // size + 1)
    raise NoAnswer(f"the list has not ended after {MOST_LISTED} entries")


def answered(reply: Reply, *, missing: frozenset[int] | set[int] = frozenset()) -> Mapping[str, Any] | None:
    """The object in a status call's reply, or ``None`` when its HTTP status is one that means "no such target".

    :raises CloudRefused: another error, such as the gateway's own 404 (no such API).
    :raises NoAnswer: not a JSON object.
    """
    if reply.status in missing and not (reply.error and reply.error.code.startswith("APIG")):
        return None
    if reply.error is not None:
        raise CloudRefused(reply.error, throttled=reply.throttled)
    return read_object(reply)


def read_object(reply: Reply) -> Mapping[str, Any]:
    """The JSON object in a reply.

    :raises NoAnswer: it is something else.
    """
    if not isinstance(reply.body, Mapping):
        raise unlike(reply, "with a body that is not a JSON object")
    return reply.body


def unlike(reply: Reply, why: str) -> NoAnswer:
    """The error of a reply that is not what the API says."""
    return NoAnswer(f"HTTP {reply.status} {why}: {reply.excerpt!r}")
