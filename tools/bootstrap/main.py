"""The command line of the set-up."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from bootstrap.engine import Engine
from bootstrap.venv import Venv
from bootstrap.work import SetupError, Work

ROOT = Path(__file__).resolve().parents[2]

VALUES = {"PULUMI_SKIP_UPDATE_CHECK": "true"}
"""Variables for the CLI, beside PATH. Login and passphrase are the person's own."""


def main() -> int:
    """Make what is asked for; print the shell's lines when asked. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="setup", description=__doc__)
    parser.add_argument("--no-engine", action="store_true", help="make the virtual environment only")
    parser.add_argument("--docs", action="store_true", help="install what builds the site too")
    parser.add_argument("--bench", action="store_true", help="install what the benchmark needs too")
    parser.add_argument("--gensdk", action="store_true", help="make sure of the SDK generator too")
    parser.add_argument("--oldest-engine", action="store_true", help="build the oldest supported engine too, for tests")
    parser.add_argument(
        "--print-env",
        choices=("sh", "json"),
        nargs="?",
        const="sh",
        help="then print what a shell needs: export lines, or JSON with the folders for PATH and the values",
    )
    options = parser.parse_args()
    work = Work()
    venv = Venv(ROOT, tuple(extra for extra in ("docs", "bench") if getattr(options, extra)))
    engine = Engine(ROOT, venv)
    signal.signal(signal.SIGTERM, _end)
    try:
        _make(work, venv, None if options.no_engine else engine)
        if options.gensdk:
            engine.make_gensdk(work)
        if options.oldest_engine:
            engine.make_oldest(work)
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup: interrupted; the next run goes on from here", file=sys.stderr)
        return 130
    if options.print_env:
        print(_shell_text(venv, engine, options.print_env))
    return 0


def _make(work: Work, venv: Venv, engine: Engine | None) -> None:
    venv_is_made = threading.Event()

    def make_venv() -> None:
        venv.make(work)
        venv_is_made.set()

    if engine is None:
        make_venv()
        return
    engine.require_a_way()
    work.together(make_venv, lambda: engine.make(work, venv_is_made))


def path_folders(venv: Venv, engine: Engine) -> list[str]:
    """The folders that come first on the PATH of a shell or program that uses what was set up."""
    # The language host ignores the `virtualenv` option: a program runs with the first Python on PATH.
    return [str(venv.path / "bin"), str(engine.bin)]


def _shell_text(venv: Venv, engine: Engine, form: str) -> str:
    folders = path_folders(venv, engine)
    if form == "json":
        return json.dumps({"path": folders, "values": VALUES})
    exports = [f"export {name}={shlex.quote(value)}" for name, value in VALUES.items()]
    # The plugin comes last: a project that names its path needs no look at PATH, which the engine warns of.
    plugin = shlex.quote(str(ROOT / "provider"))
    return "\n".join([f'export PATH={shlex.quote(os.pathsep.join(folders))}:"$PATH":{plugin}', *exports])


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
