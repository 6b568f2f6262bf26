"""What can go wrong, as one tree.

::

    CloudRetryError                 anything below; its text is meant for the user
    ├── InvalidInput                an input or a configuration value that cannot be used, by its path
    ├── ConfigurationError          region, project or endpoint missing or contradictory
    │   ├── CredentialsError        no credentials, or they could not be turned into a token
    │   └── PinnedPlaceChanged      project or region is not the one that the resource was created in
    ├── RequestNotSent              no connection could be made: nothing reached the cloud
    ├── NoAnswer                    sent, and no answer came back that can be read
    ├── CloudRefused                the cloud answered, and its answer is an error
    ├── Defect                      an unforeseen failure of this program while it read an answer
    ├── JournalError                the write-ahead record could not be kept, so nothing was fired
    │   └── FireInDoubt             nobody can tell whether a fire was asked for again, or its run died
    └── ExportError                 a stack's state could not be had, or a file is not an export of one

A failed *target* is not an exception: it is a :class:`cloudretry.model.Result`, recorded in the outputs.
"""

from __future__ import annotations

from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING

from cloudretry.version import __version__

if TYPE_CHECKING:
    from cloudretry.model import CloudError

__all__ = [
    "ISSUES",
    "CloudRefused",
    "CloudRetryError",
    "ConfigurationError",
    "CredentialsError",
    "Defect",
    "ExportError",
    "FireInDoubt",
    "InvalidInput",
    "JournalError",
    "NoAnswer",
    "PinnedPlaceChanged",
    "RequestNotSent",
]


ISSUES = "https://github.com/pulumi-cloudretry/pulumi-cloudretry/issues"
"""Where a defect is to be reported."""


class CloudRetryError(Exception):
    """Base of every error of this package. ``str(error)`` is complete and fit to be shown."""


class InvalidInput(CloudRetryError):
    """A value that cannot be used. ``path`` names the property, as in ``jobs[2].jobId``."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class ConfigurationError(CloudRetryError):
    """The provider's configuration does not say where or how to call the cloud."""


class CredentialsError(ConfigurationError):
    """No credentials were found, or the identity service did not accept them."""


class PinnedPlaceChanged(ConfigurationError):
    """The inherited project or region differs from the one that the resource was created in."""


class RequestNotSent(CloudRetryError):
    """No connection: the request did not leave this machine, so sending it again is safe."""


class NoAnswer(CloudRetryError):
    """The request went out and no readable answer came back: what it did is not known."""


class CloudRefused(CloudRetryError):
    """The cloud answered with an error; ``error`` holds its code, message and request id.

    ``throttled`` says that it was too busy, so that asking again later makes sense.
    """

    def __init__(self, error: CloudError, *, throttled: bool = False) -> None:
        super().__init__(str(error))
        self.error = error
        self.throttled = throttled


class Defect(CloudRetryError):
    """A failure that nobody foresaw, of one answer or one look; it fails those alone.

    Its words tell where it came about and not what the exception says, which may quote an answer.
    """

    def __init__(self, error: Exception) -> None:
        package = Path(__file__).parent
        frames = [frame for frame in extract_tb(error.__traceback__) if package in Path(frame.filename).parents]
        where = f" in {Path(frames[-1].filename).relative_to(package)}:{frames[-1].lineno}" if frames else ""
        super().__init__(
            f"a defect of cloudretry {__version__}: {type(error).__name__}{where}. Report it with this line at {ISSUES}"
        )


class JournalError(CloudRetryError):
    """The journal cannot be written, so nothing was fired. The text names the path and the remedy."""


class FireInDoubt(JournalError):
    """An earlier fire may or may not stand in a saved state; the text says how to tell. Nothing was fired."""


class ExportError(CloudRetryError):
    """What ``pulumi stack export`` prints could not be had, or a file is something else. The text has the remedy."""
