"""The catalogue: one file per cloud API, and the tables that everything else is derived from."""

from __future__ import annotations

from typing import Any

from cloudretry.actions.base import Action
from cloudretry.actions.drs_job import DrsJobBatchRetry
from cloudretry.actions.ehpc_job import EhpcJobRerun
from cloudretry.actions.modelarts_pool_scope import PoolScopeRetry
from cloudretry.actions.modelarts_visualization_job import VisualizationJobRestart
from cloudretry.actions.workspace_job import WorkspaceJobRetry
from cloudretry.operation import Operation

__all__ = ["ACTIONS", "OPERATIONS", "Action", "Operation"]

ACTIONS: dict[str, Action[Any]] = {
    action.token: action
    for action in (
        PoolScopeRetry(),
        VisualizationJobRestart(),
        WorkspaceJobRetry(),
        DrsJobBatchRetry(),
        EhpcJobRerun(),
    )
}
"""The actions by their Pulumi type token."""

OPERATIONS: dict[str, Operation] = {
    operation.name: operation for action in ACTIONS.values() for operation in action.operations
}
"""Every API call that the actions make, by its name."""
