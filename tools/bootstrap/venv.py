"""The virtual environment: the package, editable, with what its developers and tests need."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tomllib
from pathlib import Path

from bootstrap.work import ProgramError, SetupError, Work, replace_text

_EXTRAS = ("dev", "witness")
_UNREACHABLE = (
    "NewConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ProxyError",
    "name resolution",
    "Connection refused",
    "Network is unreachable",
    "Could not find a version that satisfies the requirement hatchling",
)


class Venv:
    """`.venv` of a working copy; made again only when what it is made from has changed.

    ``more`` names extras of the package that are wanted beside those of developers and tests. Those that were installed
    once are kept up to date.
    """

    def __init__(self, root: Path, more: tuple[str, ...] = ()) -> None:
        self.root = root
        self._more = more
        self.path = root / ".venv"
        self.python = self.path / "bin" / "python"
        self._stamp = self.path / "made-from.json"

    def is_fresh(self) -> bool:
        """Whether it holds what pyproject.toml asks for now."""
        return self._recorded() == self._wanted() and os.access(self.python, os.X_OK)

    @property
    def _extras(self) -> list[str]:
        kept = (self._recorded() or {}).get("extras", "").split(",")
        return [*_EXTRAS, *sorted({*filter(None, kept), *self._more} - {*_EXTRAS})]

    def make(self, work: Work) -> None:
        """Create it or bring it up to date. Raises SetupError."""
        if self.is_fresh():
            return
        with work.alone(self.root / ".engine" / "venv.lock", "another set-up fills .venv; waiting for it"):
            if self.is_fresh():
                return
            self._require_venv_module()
            recorded, wanted = self._recorded(), self._wanted()
            self._stamp.unlink(missing_ok=True)
            moved = recorded is not None and recorded.get("root") != str(self.root)
            if moved or not self._has_pip():
                work.say("creating the virtual environment .venv")
                work.run("python -m venv", [sys.executable, "-m", "venv", "--clear", self.path])
            work.say("installing the package and its tools into .venv, about a minute when nothing is cached")
            self._install(work, wanted["extras"])
            replace_text(self._stamp, json.dumps(wanted))
            work.say(".venv is ready")

    def _install(self, work: Work, extras: str) -> None:
        pip = [str(self.python), "-m", "pip", "--no-input", "--disable-pip-version-check"]
        try:
            work.run(
                "pip install",
                [*pip, "install", "--editable", f"{self.root}[{extras}]"],
                cwd=self.root,
                progress=lambda lines: f"{lines} lines so far",
            )
        except ProgramError as error:
            if any(sign in error.output for sign in _UNREACHABLE):
                raise SetupError(
                    "pip cannot reach a package index. Connect to the network, or name an index or a proxy "
                    "that can be reached (PIP_INDEX_URL, HTTPS_PROXY), and run it again."
                ) from error
            raise

    def _wanted(self) -> dict[str, str]:
        with (self.root / "pyproject.toml").open("rb") as file:
            described = tomllib.load(file)
        # The settings of lint, types and tests change nothing in what is installed.
        described["tool"] = described["tool"]["hatch"]
        version = self.root / described["tool"]["version"]["path"]
        text = json.dumps(described, sort_keys=True) + version.read_text(encoding="utf-8")
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        return {"root": str(self.root), "extras": ",".join(self._extras), "sha256": sha256}

    def _recorded(self) -> dict[str, str] | None:
        try:
            recorded = json.loads(self._stamp.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        is_ours = isinstance(recorded, dict) and all(isinstance(value, str) for value in recorded.values())
        return recorded if is_ours else None

    def _has_pip(self) -> bool:
        pip = self.path.glob("lib/python*/site-packages/pip/__main__.py")
        return os.access(self.python, os.X_OK) and any(pip)

    @staticmethod
    def _require_venv_module() -> None:
        try:
            import ensurepip  # noqa: F401
            import venv  # noqa: F401
        except ImportError as error:
            raise SetupError(
                f"{sys.executable} has no {error.name} module. Install it "
                f"(Debian, Ubuntu: apt install python3-venv), or name another with `make PYTHON=... `."
            ) from error
