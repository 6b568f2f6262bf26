"""The classes that a program declares."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypedDict, cast

import pulumi
from pulumi import Input, Output
from typing_extensions import Unpack

from cloudretry import durations
from pulumi_cloudretry.dynamic.provider import FAILURE, JOURNAL_KEY, SECRETS, TIMEOUTS, ActionProvider

__all__ = [
    "JobBatchRetry",
    "JobRerun",
    "JobRetry",
    "PoolScopeRetry",
    "RetryFailed",
    "VisualizationJobRestart",
]

_OUTPUTS = (
    "status",
    "generation",
    "firedAt",
    "fireIds",
    "requestIds",
    "emulator",
    "results",
    "history",
    FAILURE,
)


class RetryFailed(pulumi.RunError):
    """The retry did not end well. Its outcome is kept in the resource's outputs."""


class _Inputs(TypedDict, total=False):
    """Inputs that every action has; the reference pages describe them."""

    region: Input[str]
    triggers: Input[Mapping[str, Input[Any]]]
    fire_when: Input[str]
    wait: Input[bool]
    max_attempts: Input[int]
    retry_in_run: Input[bool]
    cooldown: Input[str]
    success_policy: Input[str]
    reconcile: Input[bool]
    on_unknown: Input[str]


class _HuaweicloudInputs(_Inputs, total=False):
    project_id: Input[str]


class _PoolScopeRetryInputs(_HuaweicloudInputs, total=False):
    pool_name: Input[str]
    scope: Input[str]


class _JobInputs(_HuaweicloudInputs, total=False):
    job_id: Input[str]


class _JobBatchRetryInputs(_HuaweicloudInputs, total=False):
    jobs: Input[Sequence[Input[Mapping[str, Any]]]]
    language: Input[str]


class _JobRerunInputs(_Inputs, total=False):
    cluster_id: Input[str]
    job_ids: Input[Sequence[Input[str]]]
    run_async: Input[bool]


def _property(name: str) -> Any:
    """A property that reads an output by the name it has in state."""
    return property(lambda self: pulumi.get(self, name), doc=f"The output ``{name}``.")


class _Retry(pulumi.dynamic.Resource):
    _token: ClassVar[str]

    region: Output[str]
    triggers: Output[Mapping[str, Any]]
    wait: Output[bool | None]
    cooldown: Output[str | None]
    reconcile: Output[bool | None]
    status: Output[str]
    generation: Output[int]
    emulator: Output[bool]
    results: Output[Sequence[Mapping[str, Any]]]
    history: Output[Sequence[Mapping[str, Any]]]

    fire_when = _property("fireWhen")
    max_attempts = _property("maxAttempts")
    retry_in_run = _property("retryInRun")
    success_policy = _property("successPolicy")
    on_unknown = _property("onUnknown")
    fired_at = _property("firedAt")
    fire_ids = _property("fireIds")
    request_ids = _property("requestIds")

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None, inputs: Mapping[str, Any]) -> None:
        _warn_of_emulator()
        props = {_camel(key): value for key, value in inputs.items()}
        secrets = _secret_names(props)
        props |= dict.fromkeys((*_OUTPUTS, *self._extra_outputs()))
        # Under mocks an organization need not be set.
        stack = (pulumi.get_organization() or "", pulumi.get_project(), pulumi.get_stack())
        props[JOURNAL_KEY] = "/".join((*stack, self._token, name))
        props[TIMEOUTS] = _timeouts(opts)
        props[SECRETS] = secrets
        super().__init__(ActionProvider(self._token), name, props, opts)
        if not pulumi.runtime.is_dry_run():
            pulumi.get(self, FAILURE).apply(lambda failure: _raise(name, failure))

    @classmethod
    def _extra_outputs(cls) -> tuple[str, ...]:
        return ("projectId",)


class PoolScopeRetry(_Retry, module="cloudretry/modelarts", name="PoolScopeRetry"):
    """Retry a job type of a ModelArts resource pool that failed to be enabled."""

    _token = "cloudretry:modelarts:PoolScopeRetry"  # noqa: S105 - a Pulumi type token
    scope: Output[str]
    pool_name = _property("poolName")
    project_id = _property("projectId")

    def __init__(
        self, name: str, opts: pulumi.ResourceOptions | None = None, **inputs: Unpack[_PoolScopeRetryInputs]
    ) -> None:
        super().__init__(name, opts, inputs)


class VisualizationJobRestart(_Retry, module="cloudretry/modelarts", name="VisualizationJobRestart"):
    """Restart a ModelArts visualization job."""

    _token = "cloudretry:modelarts:VisualizationJobRestart"  # noqa: S105 - a Pulumi type token
    job_id = _property("jobId")
    project_id = _property("projectId")

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None, **inputs: Unpack[_JobInputs]) -> None:
        super().__init__(name, opts, inputs)


class JobRetry(_Retry, module="cloudretry/workspace", name="JobRetry"):
    """Retry a failed Workspace registration or deregistration task."""

    _token = "cloudretry:workspace:JobRetry"  # noqa: S105 - a Pulumi type token
    job_id = _property("jobId")
    project_id = _property("projectId")
    retry_job_id = _property("retryJobId")

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None, **inputs: Unpack[_JobInputs]) -> None:
        super().__init__(name, opts, inputs)

    @classmethod
    def _extra_outputs(cls) -> tuple[str, ...]:
        return ("projectId", "retryJobId")


class JobBatchRetry(_Retry, module="cloudretry/drs", name="JobBatchRetry"):
    """Retry failed DRS tasks, or resume paused ones, in batches."""

    _token = "cloudretry:drs:JobBatchRetry"  # noqa: S105 - a Pulumi type token
    jobs: Output[Sequence[Mapping[str, Any]]]
    language: Output[str | None]
    project_id = _property("projectId")

    def __init__(
        self, name: str, opts: pulumi.ResourceOptions | None = None, **inputs: Unpack[_JobBatchRetryInputs]
    ) -> None:
        if "jobs" in inputs:
            inputs["jobs"] = Output.from_input(cast(Any, inputs["jobs"])).apply(_camel_items)
        super().__init__(name, opts, inputs)


class JobRerun(_Retry, module="cloudretry/ehpc", name="JobRerun"):
    """Rerun RUNNING or QUEUED jobs of an E-HPC cluster."""

    _token = "cloudretry:ehpc:JobRerun"  # noqa: S105 - a Pulumi type token
    cluster_id = _property("clusterId")
    job_ids = _property("jobIds")
    run_async = _property("runAsync")

    def __init__(
        self, name: str, opts: pulumi.ResourceOptions | None = None, **inputs: Unpack[_JobRerunInputs]
    ) -> None:
        super().__init__(name, opts, inputs)

    @classmethod
    def _extra_outputs(cls) -> tuple[str, ...]:
        return ()


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _camel_items(items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{_camel(key): value for key, value in item.items()} for item in items]


def _secret_names(props: Mapping[str, Any]) -> Output[list[str]]:
    """The names of the properties that are secret, in whole or in part."""
    flags = {name: Output.from_input(value).is_secret() for name, value in props.items()}
    return Output.all(**flags).apply(lambda found: [name for name, is_secret in found.items() if is_secret])


def _timeouts(opts: pulumi.ResourceOptions | None) -> dict[str, float]:
    """The custom time-outs in seconds: the engine does not hand them to a dynamic provider."""
    custom = opts.custom_timeouts if opts else None
    if custom is None:
        return {}
    given = {name: getattr(custom, name) for name in ("create", "update")}
    return {name: _seconds(name, cast(str, text)) for name, text in given.items() if text}


def _seconds(name: str, text: str) -> float:
    try:
        return durations.parse(text)
    except ValueError as error:
        raise pulumi.RunError(f"custom_timeouts.{name}: {text!r} {error}") from None


def _raise(name: str, failure: str | None) -> None:
    if failure:
        raise RetryFailed(f"{name}: {failure}")


_warned: set[str] = set()


def _warn_of_emulator() -> None:
    emulator = pulumi.Config("cloudretry").get("emulator") or os.environ.get("CLOUDRETRY_EMULATOR")
    if emulator and emulator not in _warned:
        _warned.add(emulator)
        pulumi.log.warn(f"cloudretry:emulator is set ({emulator}): no real cloud is called.")
