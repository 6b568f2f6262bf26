"""Check, diff, create, update, read, delete, over a list of targets. No gRPC and no HTTP in here.

The table "when it fires" is :func:`diff` and :func:`cloudretry.run.decide.decide`: the first says what a change means
before it happens, the second who is fired when it does. Both compare new inputs with what the outputs recorded.
A delete calls nothing; :func:`forget` settles what the journal has of the resource.
"""

from cloudretry.inputs import check
from cloudretry.lifecycle.carry_out import create, not_fired, preview_outputs, update
from cloudretry.lifecycle.circumstances import DEFAULT_TIMEOUT, Backend, Circumstances, Outcome
from cloudretry.lifecycle.claims import Claims
from cloudretry.lifecycle.difference import NOWHERE, Change, ChangeKind, Difference, diff
from cloudretry.lifecycle.forecast import Forecast, forecast
from cloudretry.lifecycle.journaling import forget, found_open, hand_over, note_saved, settle, settle_now
from cloudretry.lifecycle.outlook import Outlook
from cloudretry.lifecycle.reading import read, recorded_inputs

__all__ = [
    "DEFAULT_TIMEOUT",
    "NOWHERE",
    "Backend",
    "Change",
    "ChangeKind",
    "Circumstances",
    "Claims",
    "Difference",
    "Forecast",
    "Outcome",
    "Outlook",
    "check",
    "create",
    "diff",
    "forecast",
    "forget",
    "found_open",
    "hand_over",
    "not_fired",
    "note_saved",
    "preview_outputs",
    "read",
    "recorded_inputs",
    "settle",
    "settle_now",
    "update",
]
