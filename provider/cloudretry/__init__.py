"""The cloudretry provider: retry actions of cloud APIs, fired once, waited for, recorded."""

from cloudretry.version import __version__

__all__ = ["__version__"]
