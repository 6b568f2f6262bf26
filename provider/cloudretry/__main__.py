"""The command line as a process: ``cloudretry``, or ``python -m cloudretry``."""

from __future__ import annotations

import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command that was typed."""
    if listed := os.environ.get("PYTHONPATH"):
        # What a shell has there is for its own programs: none of it may take the place of a module of ours.
        theirs = {os.path.abspath(entry) for entry in listed.split(os.pathsep)}
        sys.path.sort(key=theirs.__contains__)
    from cloudretry.cli import main as run

    run()


if __name__ == "__main__":
    main()
