"""The Pulumi engine: the one on PATH, else from Pulumi's installer, else built from pinned Go modules."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bootstrap.venv import Venv
from bootstrap.work import ProgramError, SetupError, Work, replace_text

OLDEST_CLI = (3, 230, 0)
"""The oldest CLI that is supported, and so taken from PATH: the one that tools/engine/oldest pins, on which the core of
the engine's tests runs."""

_INSTALLER = "https://get.pulumi.com/install.sh"
_PROBE = 4.0  # seconds until the installer's host counts as out of reach
_DOWNLOAD = 600.0  # seconds for the installer to fetch the CLI, about 200 MB
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")
_GO_UNREACHABLE = (
    "dial tcp",
    "no such host",
    "i/o timeout",
    "proxyconnect",
    "TLS handshake timeout",
    "module lookup disabled",
    "connection reset",
)


@dataclass(frozen=True)
class GoModule:
    """A module of tools/engine and the programs that are built from it."""

    folder: str
    programs: tuple[str, ...]


_ENGINE = "the Pulumi engine"
_SDK = "github.com/pulumi/pulumi/sdk/v3"
_GENSDK = GoModule("cli", ("./gensdk",))
_PULUMI = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_CLI = GoModule("cli", (_PULUMI, *_GENSDK.programs))
_OLDEST = GoModule("oldest", (_PULUMI,))
_HOSTS = GoModule(
    "hosts",
    (f"{_SDK}/python/cmd/pulumi-language-python", f"{_SDK}/nodejs/cmd/pulumi-language-nodejs"),
)
# Scripts that language hosts and the engine start; they come with the SDK's module and are not built.
_SCRIPTS = (
    "python/cmd/pulumi-language-python-exec",
    "python/dist/pulumi-resource-pulumi-python",
    "nodejs/dist/pulumi-resource-pulumi-nodejs",
)


class Engine:
    """`.engine` of a working copy: `bin/` with the programs, and a record of where they are from.

    For tests, `oldest/` has the programs of the oldest supported release.
    """

    def __init__(self, root: Path, venv: Venv) -> None:
        self.path = root / ".engine"
        self.bin = self.path / "bin"
        self.oldest = self.path / "oldest"
        self._sources = root / "tools" / "engine"
        self._venv = venv
        self._stamp = self.path / "made-from.json"
        self._gensdk_stamp = self.path / "gensdk.json"
        self._oldest_stamp = self.path / "oldest.json"

    def is_fresh(self) -> bool:
        """Whether a CLI is there that is still the one that was chosen."""
        recorded = _read(self._stamp)
        if recorded.get("kind") == "path":
            return recorded == _on_path_record(Path(recorded["cli"]), recorded["version"])
        return recorded.get("sources") == self._hash(_CLI, _HOSTS) and os.access(self.bin / "pulumi", os.X_OK)

    def make(self, work: Work, venv_is_made: threading.Event) -> None:
        """Find, fetch or build it. Raises SetupError."""
        if self.is_fresh():
            return
        with self._alone(work):
            if self.is_fresh():
                return
            self._stamp.unlink(missing_ok=True)
            for stage in self.path.glob("stage-*"):
                shutil.rmtree(stage)
            record = self._from_path(work) or self._from_installer(work, venv_is_made) or self._from_source(work)
            replace_text(self._stamp, json.dumps(record))

    def require_a_way(self) -> None:
        """Fail at once, before anything slow, if no way to an engine is open. Raises SetupError."""
        if self.is_fresh() or _good_cli_on_path(self.path)[0] is not None:
            return
        fault = _fault_of_go(self._go_version_needed(), _ENGINE, or_cli=True)
        if fault is not None and not _installer_is_reachable():
            raise SetupError(fault)

    def make_gensdk(self, work: Work) -> Path:
        """Build the SDK generator, whichever way the CLI came, and return its path. Raises SetupError."""
        gensdk = self.bin / "gensdk"
        if self._gensdk_is_fresh(gensdk):
            return gensdk
        with self._alone(work):
            if self._gensdk_is_fresh(gensdk):
                return gensdk
            self._require_go("the SDK generator")
            work.say("building the SDK generator from source, once")
            self._build(work, "SDK generator", _GENSDK, self.bin, self._pinned_version(_CLI))
            self._record_gensdk()
        return gensdk

    def _gensdk_is_fresh(self, gensdk: Path) -> bool:
        return _read(self._gensdk_stamp).get("sources") == self._hash(_CLI, _HOSTS) and os.access(gensdk, os.X_OK)

    def _record_gensdk(self) -> None:
        replace_text(self._gensdk_stamp, json.dumps({"sources": self._hash(_CLI, _HOSTS)}))

    def make_oldest(self, work: Work) -> None:
        """Build the oldest supported release, whichever way the CLI came. Raises SetupError."""
        if self._oldest_is_fresh():
            return
        with self._alone(work):
            if self._oldest_is_fresh():
                return
            self._require_go("the oldest supported Pulumi engine")
            version = self._pinned_version(_OLDEST)
            work.say(f"building Pulumi {version} too, the oldest that is supported, once: about three minutes more")
            shutil.rmtree(self.oldest, ignore_errors=True)
            self._build_release(work, _OLDEST, self.oldest)
            replace_text(self._oldest_stamp, json.dumps({"sources": self._hash(_OLDEST, _HOSTS)}))

    def _oldest_is_fresh(self) -> bool:
        recorded = _read(self._oldest_stamp).get("sources")
        return recorded == self._hash(_OLDEST, _HOSTS) and os.access(self.oldest / "pulumi", os.X_OK)

    def _require_go(self, what: str, *, or_cli: bool = False) -> None:
        fault = _fault_of_go(self._go_version_needed(), what, or_cli=or_cli)
        if fault is not None:
            raise SetupError(fault)

    def _alone(self, work: Work) -> AbstractContextManager[None]:
        return work.alone(self.path / "engine.lock", "another set-up makes the Pulumi engine; waiting for it")

    def _from_path(self, work: Work) -> dict[str, Any] | None:
        cli, why_not = _good_cli_on_path(self.path)
        if cli is None:
            if why_not:
                work.say(why_not)
            return None
        # What an earlier set-up put into bin would come first on PATH.
        shutil.rmtree(self.bin, ignore_errors=True)
        version = ".".join(map(str, _cli_version(cli) or ()))
        work.say(f"using Pulumi {version} from {cli}")
        return _on_path_record(cli, version)

    def _from_installer(self, work: Work, venv_is_made: threading.Event) -> dict[str, Any] | None:
        if not _installer_is_reachable():
            return None
        work.wait_for(venv_is_made)
        work.say("downloading the Pulumi CLI with Pulumi's own installer")
        stage = self._new_stage()
        program = "import sys, pulumi.automation as auto; auto.PulumiCommand.install(root=sys.argv[1])"
        try:
            work.run("Pulumi's installer", [self._venv.python, "-c", program, stage], timeout=_DOWNLOAD)
        except ProgramError:
            work.say("Pulumi's installer did not work here; building from source instead")
            return None
        _move_in(stage / "bin", self.bin)
        shutil.rmtree(stage)
        return {"kind": "installer", "sources": self._hash(_CLI, _HOSTS)}

    def _from_source(self, work: Work) -> dict[str, Any]:
        self._require_go(_ENGINE, or_cli=True)
        work.say("building the Pulumi engine from source, once: about three minutes on two cores")
        self._build_release(work, _CLI, self.bin)
        self._record_gensdk()
        work.say("the Pulumi engine is ready")
        return {"kind": "source", "sources": self._hash(_CLI, _HOSTS)}

    def _build_release(self, work: Work, cli: GoModule, target: Path) -> None:
        """Put a CLI, the language hosts and the scripts that they start into a folder."""
        version = self._pinned_version(cli)
        work.together(
            lambda: self._build(work, "Pulumi engine", cli, target, version),
            lambda: self._build(work, "language hosts", _HOSTS, target, version),
        )
        where = ["go", "list", "-m", "-f", "{{.Dir}}", _SDK]
        module = work.run("go list", where, cwd=self._sources / cli.folder, env=_go_environment()).strip()
        stage = self._new_stage()
        for script in _SCRIPTS:
            copy = stage / Path(script).name
            shutil.copyfile(Path(module) / script, copy)
            copy.chmod(0o755)
        _move_in(stage, target)

    def _build(self, work: Work, what: str, module: GoModule, target: Path, version: str) -> None:
        stage = self._new_stage()
        named = f"-X {_SDK}/go/common/version.Version=v{version}"
        build = ["go", "build", "-v", "-ldflags", f"-s -w {named}", "-o", f"{stage}{os.sep}"]
        try:
            work.run(
                what,
                [*build, *module.programs],
                cwd=self._sources / module.folder,
                env=_go_environment(),
                progress=lambda lines: f"{lines} packages fetched or compiled",
            )
        except ProgramError as error:
            if any(sign in error.output for sign in _GO_UNREACHABLE):
                raise SetupError(
                    "Go cannot fetch modules. Connect to the network, or name a module proxy or an HTTP "
                    "proxy that can be reached (GOPROXY, HTTPS_PROXY), and run it again; "
                    "what is built is kept."
                ) from error
            raise
        _move_in(stage, target)

    def _new_stage(self) -> Path:
        stage = self.path / f"stage-{os.getpid()}-{threading.get_ident()}"
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir(parents=True)
        return stage

    def _hash(self, *modules: GoModule) -> str:
        sources = hashlib.sha256()
        for module in modules:
            for path in sorted((self._sources / module.folder).rglob("*")):
                if path.is_file():
                    sources.update(path.relative_to(self._sources).as_posix().encode() + b"\0")
                    sources.update(path.read_bytes() + b"\0")
        return sources.hexdigest()

    def _go_version_needed(self) -> tuple[int, ...]:
        found = re.search(r"^go (\S+)$", self._go_mod(_CLI), re.MULTILINE)
        return _version(found.group(1)) if found else ()

    def _pinned_version(self, module: GoModule) -> str:
        found = re.search(rf"{re.escape(_SDK)} v(\S+)", self._go_mod(module))
        if found is None:
            raise SetupError(f"{self._sources / module.folder / 'go.mod'} names no version of {_SDK}")
        return found.group(1)

    def _go_mod(self, module: GoModule) -> str:
        return (self._sources / module.folder / "go.mod").read_text(encoding="utf-8")


def _move_in(stage: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for program in stage.iterdir():
        program.replace(target / program.name)
    shutil.rmtree(stage)


def _good_cli_on_path(engine: Path) -> tuple[Path | None, str]:
    """The CLI on PATH, or why the one that is there is not taken."""
    folders = [f for f in os.environ.get("PATH", "").split(os.pathsep) if f and engine not in Path(f).parents]
    path = os.pathsep.join(folders)
    found = shutil.which("pulumi", path=path)
    if found is None:
        return None, ""
    cli = Path(found)
    version = _cli_version(cli)
    if version is None:
        return None, f"{cli} does not tell its version; it is not used"
    if version < OLDEST_CLI:
        oldest = ".".join(map(str, OLDEST_CLI))
        return None, f"{cli} is version {'.'.join(map(str, version))}, older than {oldest}; it is not used"
    host = "pulumi-language-python"
    if not (cli.resolve().parent / host).exists() and shutil.which(host, path=path) is None:
        return None, f"{cli} comes without {host}; it is not used"
    return cli, ""


def _cli_version(cli: Path) -> tuple[int, ...] | None:
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        answer = subprocess.run(
            [cli, "version"], env=environment, capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return _version(answer.stdout) or None


def _version(text: str) -> tuple[int, ...]:
    found = _VERSION.search(text)
    return tuple(int(part) for part in found.groups()) if found else ()


def _on_path_record(cli: Path, version: str) -> dict[str, Any]:
    try:
        about = cli.stat()
    except OSError:
        return {}
    return {
        "kind": "path",
        "cli": str(cli),
        "version": version,
        "size": about.st_size,
        "mtime": about.st_mtime_ns,
    }


def _installer_is_reachable() -> bool:
    reachable = threading.Event()
    asked = threading.Event()

    def ask() -> None:
        try:
            with urllib.request.urlopen(urllib.request.Request(_INSTALLER, method="HEAD"), timeout=_PROBE):
                reachable.set()
        except OSError:
            pass
        asked.set()

    # Looking a name up can take longer than any time-out of the socket, hence the thread.
    threading.Thread(target=ask, daemon=True).start()
    asked.wait(_PROBE)
    return reachable.is_set()


def _fault_of_go(needed: tuple[int, ...], what: str, *, or_cli: bool) -> str | None:
    """Why this cannot be built with the Go of this machine, with the remedy; None if it can.

    ``or_cli`` says that a Pulumi CLI would do as well.
    """
    remedy = f"Install Go {'.'.join(map(str, needed))} or newer"
    if or_cli:
        remedy += f", or the Pulumi CLI {'.'.join(map(str, OLDEST_CLI))} or newer"
    remedy += ", and run it again."
    if shutil.which("go") is None:
        if or_cli:
            return f"there is no Pulumi CLI to use, none can be downloaded here, and no Go to build one. {remedy}"
        return f"{what} is built from source, and there is no Go. {remedy}"
    try:
        answer = subprocess.run(
            ["go", "env", "GOVERSION", "GOTOOLCHAIN"],
            env=_go_environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"`go env` does not work ({error}). {remedy}"
    version_line, _, toolchain = answer.stdout.strip().partition("\n")
    version = _version(f"{version_line.removeprefix('go')}.0")
    fetches_newer = version >= (1, 21, 0) and toolchain.strip() not in ("local", "path")
    if version >= needed or fetches_newer:
        return None
    return f"Go {version_line.removeprefix('go')} is too old to build {what}. {remedy}"


def _go_environment() -> Mapping[str, str]:
    # No C compiler, no git, and the same build whatever the person's own settings are.
    own = {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false"}
    return {**os.environ, **own}


def _read(stamp: Path) -> dict[str, Any]:
    try:
        recorded = json.loads(stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return recorded if isinstance(recorded, dict) else {}
