"""The five actions as dynamic resources, for Python programs that want no plugin.

Same names, inputs and outputs as the plugin's classes. Inputs are keyword arguments in snake_case; the items of
``jobs`` may be written ``{"job_id": ...}`` or ``{"jobId": ...}``. The provider is configured as the plugin is, by
``cloudretry:*`` keys of the stack and by the environment.

What the engine's dynamic provider cannot do, these classes cannot either: there is no live progress, Ctrl-C does not
end a wait, only four resources run at a time, a resource cannot be imported, and ``reconcile`` needs ``--refresh``.
"""

from pulumi_cloudretry.dynamic.resources import (
    JobBatchRetry,
    JobRerun,
    JobRetry,
    PoolScopeRetry,
    RetryFailed,
    VisualizationJobRestart,
)

__all__ = [
    "JobBatchRetry",
    "JobRerun",
    "JobRetry",
    "PoolScopeRetry",
    "RetryFailed",
    "VisualizationJobRestart",
]
