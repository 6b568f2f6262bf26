"""The browser, Mermaid and GitHub's style, got ready once; and pages drawn with them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cmarkgfm
from cmarkgfm.cmark import Options

__all__ = ["Diagram", "Studio", "StudioError", "browser_on_path", "html"]

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent

ON_PATH = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome-headless-shell")
"""What a browser that can draw is called, where the machine has one."""

BUNDLED = "@sparticuz/chromium"
"""The package that brings a browser for Linux on x86-64, with the libraries and fonts that it needs."""

_FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <dir>{fonts}</dir>
  <cachedir>{cache}</cachedir>
</fontconfig>
"""


class StudioError(Exception):
    """Nothing can be drawn here. The text says why, in one line."""


@dataclass(frozen=True)
class Diagram:
    """A diagram as it was drawn: its source, the picture, the texts in it, and what Mermaid had against it."""

    text: str
    svg: str
    words: tuple[str, ...]
    error: str


def html(markdown: str) -> str:
    """Markdown as GitHub's own parser reads it, before GitHub takes out the tags that it does not allow."""
    options = Options.CMARK_OPT_UNSAFE | Options.CMARK_OPT_GITHUB_PRE_LANG
    return str(cmarkgfm.github_flavored_markdown_to_html(markdown, options))


class Studio:
    """Draws pages. What it needs is fetched into a folder that git ignores, and kept there."""

    def __init__(self, folder: Path = ROOT / ".cloudretry/drawing") -> None:
        self.folder = folder
        self._browser: Path | None = None
        self._environment: Mapping[str, str] = {}

    def prepare(self) -> None:
        """Fetch what is missing: a few minutes once, then nothing.

        :raises StudioError: this machine has no Node.js or no browser, or the packages cannot be fetched.
        """
        if shutil.which("npm") is None or shutil.which("node") is None:
            raise StudioError("needs Node.js with npm")
        found = browser_on_path()
        if found is None and (platform.system(), platform.machine()) != ("Linux", "x86_64"):
            raise StudioError(f"needs a browser on PATH, such as {ON_PATH[0]}")
        with self._alone():
            self._fetch(with_browser=found is None)
            if found is None:
                self._unpack()
                self._environment = {
                    "LD_LIBRARY_PATH": str(self.folder / "browser/al2023/lib"),
                    "FONTCONFIG_FILE": str(self.folder / "browser/fonts.conf"),
                }
        self._browser = found or self.folder / "browser/chromium"

    def draw(
        self, markdown: str, *, picture: Path | None = None, width: int = 1012, scale: float = 1.0
    ) -> list[Diagram]:
        """Draw Markdown as GitHub does, in a page so many pixels wide; its diagrams, in order.

        A picture of the page has ``scale`` times as many pixels.

        :raises StudioError: the page wanted something from elsewhere, or the browser failed.
        """
        if self._browser is None:
            self.prepare()
        order = {
            "modules": str(self.folder),
            "browser": str(self._browser),
            "environment": {"HOME": str(self.folder / "home"), **self._environment},
            "html": html(markdown),
            "width": width,
            "scale": scale,
            "picture": str(picture) if picture else None,
        }
        answer: dict[str, Any] = json.loads(_run(["node", HERE / "draw.mjs"], self.folder, given=json.dumps(order)))
        if answer["asked"]:
            raise StudioError(f"the page asks for {', '.join(answer['asked'])}")
        return [Diagram(**{**drawn, "words": tuple(drawn["words"])}) for drawn in answer["diagrams"]]

    def _fetch(self, *, with_browser: bool) -> None:
        manifest = json.loads((HERE / "package.json").read_text(encoding="utf-8"))
        if not with_browser:
            del manifest["dependencies"][BUNDLED]
        wanted = json.dumps(manifest)
        stamp = self.folder / "fetched"
        if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
            return
        (self.folder / "package.json").write_text(wanted, encoding="utf-8")
        quiet = ["--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        _run(["npm", "install", *quiet], self.folder)
        shutil.rmtree(self.folder / "browser", ignore_errors=True)
        stamp.write_text(wanted, encoding="utf-8")

    def _unpack(self) -> None:
        """Unpack the browser of the package, which is packed for a service whose environment it looks for."""
        browser = self.folder / "browser"
        if (browser / "fonts.conf").exists():
            return
        shutil.rmtree(browser, ignore_errors=True)
        browser.mkdir()
        program = f"import('{BUNDLED}').then((module) => module.default.executablePath())"
        service = {"TMPDIR": str(browser), "AWS_EXECUTION_ENV": "AWS_Lambda_nodejs22.x"}
        _run(["node", "--eval", program], self.folder, environment=service)
        described = _FONTS.format(fonts=browser / "fonts", cache=browser / "fonts-cache")
        (browser / "fonts.conf").write_text(described, encoding="utf-8")

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def browser_on_path() -> Path | None:
    """A browser of this machine that starts; some distributions put a program of that name there that does not."""
    for name in ON_PATH:
        if found := shutil.which(name):
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                subprocess.run([found, "--version"], capture_output=True, check=True, timeout=30)
                return Path(found)
    return None


def _run(
    command: Sequence[str | Path], folder: Path, *, given: str = "", environment: Mapping[str, str] | None = None
) -> str:
    ended = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        input=given,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    if ended.returncode != 0:
        raise StudioError(f"{command[0]} failed: {' '.join((ended.stderr or ended.stdout).split())[-600:]}")
    return ended.stdout
