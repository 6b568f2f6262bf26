"""ModelArts: retry a job type of a resource pool that failed to be enabled (RetryPoolScope)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import Field

from cloudretry.actions.base import (
    Action,
    HuaweicloudInputs,
    Permission,
    answered,
    message_of,
    name_of,
    read_object,
)
from cloudretry.errors import NoAnswer
from cloudretry.model import (
    Answer,
    Call,
    Cloud,
    FireOutcome,
    Meaning,
    Observation,
    Place,
    Reply,
    Request,
    State,
    StateClass,
    Target,
)
from cloudretry.operation import Operation

__all__ = ["PoolScopeRetry", "PoolScopeRetryInputs", "Scope"]


class Scope(StrEnum):
    """A job type of a resource pool."""

    TRAIN = "Train"
    INFER = "Infer"
    NOTEBOOK = "Notebook"


class PoolScopeRetryInputs(HuaweicloudInputs):
    """Inputs of a pool scope retry."""

    pool_name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")] = Field(
        description="Id of the resource pool: `metadata.name` of its details, not the display name. Lower-case "
        "letters, digits and hyphens."
    )
    scope: Scope = Field(strict=False, description="The job type to retry: `Train`, `Infer` or `Notebook`.")


class PoolScopeRetry(Action[PoolScopeRetryInputs]):
    """Retry a job type of a ModelArts resource pool that failed to be enabled.

    The request answers with an empty object, so the pool itself is asked what came of it.

    Where the sources differ: the SDK's list of scope states lacks ``EnableFailed``, which the API documentation of
    the pool has; it is the one state that can be retried. The request takes one job type, not a list. That a retry
    from any other state is refused is inferred from the error example of the API text.
    """

    token = "cloudretry:modelarts:PoolScopeRetry"  # noqa: S105
    title = "ModelArts pool scope retry"
    cloud = Cloud.HUAWEICLOUD
    source = "ModelArts API reference, Retrying the Job Type That Fails to Be Enabled (RetryPoolScope)"
    inputs = PoolScopeRetryInputs
    fires = Operation("RetryPoolScope", "modelarts", "POST", "/v2/{project_id}/pools/{pool_name}/retry-scope")
    looks = Operation("ShowPool", "modelarts", "GET", "/v2/{project_id}/pools/{pool_name}")
    permissions: ClassVar[Mapping[str, Permission]] = {
        "ShowPool": Permission(
            "modelarts:pool:get",
            "ModelArts API reference, Permissions Policies and Supported Actions, Dedicated Resource Pool",
            "5.0",
        )
    }
    identity = ("poolName", "scope")
    container_property = "poolName"
    look_size = len(Scope)
    nothing = ("pool-cloudretry-nothing-0000000000000000", "Infer")
    done_when = "the job type is Enabled"
    states: ClassVar[Mapping[str, State]] = {
        "Enabling": State(StateClass.IN_PROGRESS, retryable=False, text="being enabled"),
        "Enabled": State(StateClass.SUCCEEDED, retryable=False, text="enabled"),
        "EnableFailed": State(StateClass.FAILED, retryable=True, text="could not be enabled"),
        "Disabling": State(StateClass.IDLE, retryable=False, text="being disabled"),
        "Disabled": State(StateClass.IDLE, retryable=False, text="disabled"),
    }
    errors: ClassVar[Mapping[str, Meaning]] = {
        "ModelArts.50004000": Meaning(
            "The job type cannot be enabled in its present state.",
            "Only a job type in state EnableFailed can be retried; look at the pool's details.",
        ),
        "ModelArts.50015001": Meaning(
            "There is no such resource pool.",
            "Give poolName the pool's id (metadata.name), not its display name, and check region and project.",
        ),
    }

    def targets(self, inputs: PoolScopeRetryInputs) -> tuple[Target, ...]:
        return (Target(inputs.scope.value),)

    def imported(self, container: str, keys: Sequence[str]) -> dict[str, Any]:
        if not container or len(keys) != 1:
            raise ValueError("the id of a pool scope is poolName:Scope, such as pool-a1b2:Infer")
        return {"poolName": container, "scope": keys[0]}

    def request(self, place: Place, targets: Sequence[Target], inputs: PoolScopeRetryInputs) -> Request:  # noqa: ARG002
        (target,) = targets
        return Request(self.fires, path={"pool_name": place.container}, body={"scope": target.key})

    def read_reply(self, reply: Reply, targets: Sequence[Target]) -> dict[str, Answer]:
        read_object(reply)
        return {target.key: Answer(FireOutcome.ACCEPTED) for target in targets}

    def observe(self, call: Call, place: Place, targets: Sequence[Target]) -> dict[str, Observation]:
        pool = answered(call(Request(self.looks, path={"pool_name": place.container})), missing={404})
        if pool is None:
            return {target.key: self.absent(f"the pool {place.container} does not exist") for target in targets}
        status = pool.get("status")
        scopes = status.get("scope", []) if isinstance(status, Mapping) else None
        if not isinstance(scopes, list):
            raise NoAnswer(f"the details of pool {place.container} have no status.scope")
        seen = {
            name_of(scope, "scopeType"): self.observation(name_of(scope, "state"), message=message_of(scope, "message"))
            for scope in scopes
            if isinstance(scope, Mapping)
        }
        absent = self.absent(f"the pool {place.container} does not offer this job type")
        return {target.key: seen.get(target.key, absent) for target in targets}
