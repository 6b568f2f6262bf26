"""Make everything that tests and the demo need: a virtual environment in .venv, the Pulumi engine in .engine.

Only the standard library is used: nothing is installed yet when this runs.
"""

import sys

OLDEST = (3, 11)

if sys.version_info < OLDEST:
    # Before any import of ours: an older Python cannot even read those files.
    sys.exit(
        "setup: Python {}.{} is too old: {}.{} or newer is needed. Name one with `make PYTHON=python3.12 ...`.".format(
            *(sys.version_info[:2] + OLDEST)
        )
    )

from bootstrap.main import main  # noqa: E402  (the version is looked at first)

if __name__ == "__main__":
    sys.exit(main())
