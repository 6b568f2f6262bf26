"""The quickstart on the real Pulumi engine: fire, change one trigger, change nothing; then count what was fired.

Everything happens in a folder that is thrown away: the engine's home, the state and a copy of the program. Ends
non-zero if the emulator did not count what this says.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from bootstrap.engine import Engine
from bootstrap.main import ROOT, VALUES, path_folders
from bootstrap.venv import Venv

from cloudretry.actions import ACTIONS

STACK = "demo"
CHANGED = ("cloudretry:drs:JobBatchRetry", "triggers.drs")
# What the engine says of the stack as it goes is said again at the end, under Diagnostics.
_STACK_PROGRESS = re.compile(r"pulumi:pulumi:Stack \S+ ")
_START = 30.0  # seconds for the emulator to listen
_ANSWER = 10.0  # seconds for the emulator to answer


class DemoError(Exception):
    """The demo did not go as it says, in one line."""


class Emulator:
    """The emulator of the demo, by its control routes."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._seen = 0

    def get(self, what: str) -> list[dict[str, Any]]:
        """What one of its lists holds: requests or targets."""
        with urllib.request.urlopen(f"{self.url}/_emulator/{what}", timeout=_ANSWER) as answer:
            listed: list[dict[str, Any]] = json.load(answer)[what]
        return listed

    def put_back(self, target: Mapping[str, Any]) -> None:
        """Put a target into the state that it had when it was listed."""
        body = json.dumps({name: target[name] for name in ("id", "kind", "project", "state")}).encode()
        with urllib.request.urlopen(f"{self.url}/_emulator/targets", data=body, timeout=_ANSWER):
            pass

    def newly_fired(self) -> Counter[str]:
        """How many requests for a retry came since the last question, by the action that sends them."""
        requests = [request for request in self.get("requests") if request["number"] > self._seen]
        self._seen = max((request["number"] for request in requests), default=self._seen)
        senders = {action.fires.name: token for token, action in ACTIONS.items()}
        return Counter(senders[request["operation"]] for request in requests if request["operation"] in senders)


class Pulumi:
    """The CLI on one throw-away stack."""

    def __init__(self, program: Path, environment: Mapping[str, str]) -> None:
        self._program = program
        self._environment = environment

    def run(self, *arguments: str) -> str:
        """Run a command to its end and return what it printed. Raises DemoError with its words if it fails."""
        ended = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self._program,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if ended.returncode != 0:
            raise DemoError(f"`pulumi {' '.join(arguments)}` failed:\n{indent(ended.stdout)}")
        return ended.stdout

    def up(self) -> None:
        """`pulumi up`, with its output shown as it comes."""
        arguments = ["up", "--yes", "--skip-preview", "--suppress-progress", "--non-interactive", "--color", "never"]
        with subprocess.Popen(
            ["pulumi", *arguments],
            cwd=self._program,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.strip() and not _STACK_PROGRESS.search(line):
                    print(indent(line), flush=True)
        if process.returncode != 0:
            raise DemoError("`pulumi up` failed; its words are above")


def main() -> int:
    """Run the demo. Returns the exit code."""
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="cloudretry-demo-") as folder:
            play(Path(folder))
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130
    say(f"As it should be, in {time.monotonic() - started:.0f} s. The same by hand: see README.md.")
    return 0


def play(folder: Path) -> None:
    """The demo itself, with all that it makes in folder."""
    environment = surroundings(folder)
    with emulator(environment) as cloud:
        say(f"1. An emulator of both clouds listens on {cloud.url}: no account is needed and no cloud is called.")
        pulumi = Pulumi(copy_of_quickstart(folder), environment)
        pulumi.run("stack", "init", STACK)
        pulumi.run("config", "set", "cloudretry:emulator", cloud.url)
        at_first = cloud.get("targets")

        say("2. `pulumi up` declares the five retries. Each of them fires:")
        pulumi.up()
        expect(cloud, Counter(list(ACTIONS)), "the first `up`")

        token, trigger = CHANGED
        say(f"3. A day later the DRS tasks fail again. `{trigger}` is changed, and `up` fires that retry only:")
        for target in at_first:
            if target["kind"] == "drsJob":
                cloud.put_back(target)
        pulumi.run("config", "set", "--path", trigger, "the next day")
        pulumi.up()
        expect(cloud, Counter([token]), "the `up` after a changed trigger")

        say("4. Nothing is changed. The third `up` fires nothing:")
        pulumi.up()
        expect(cloud, Counter(), "the third `up`")

        size = len(pulumi.run("stack", "export"))
        say(f"5. What the emulator counted, while the state grew to {size:,} bytes:")
        show_count(cloud)

        before = len(cloud.get("requests"))
        pulumi.run("destroy", "--yes", "--skip-preview")
        calls = len(cloud.get("requests")) - before
        if calls:
            raise DemoError(f"`destroy` should have called no cloud; the emulator counted {calls} calls")
        say("6. `pulumi destroy` called no cloud: a retry that happened stays happened.")


def surroundings(folder: Path) -> dict[str, str]:
    """The environment of the demo: the person's own, but for the clouds', the engine's home and its state."""
    venv = Venv(ROOT)
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PULUMI_", "HW_", "OS_", "HUAWEICLOUD_", "ALIBABA_CLOUD_", "ALICLOUD_", "CLOUDRETRY_"))
    }
    state = folder / "state"
    state.mkdir()
    return {
        **own,
        **VALUES,
        "PATH": os.pathsep.join([*path_folders(venv, Engine(ROOT, venv)), os.environ.get("PATH", "")]),
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_BACKEND_URL": state.as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": secrets.token_hex(),
    }


def copy_of_quickstart(folder: Path) -> Path:
    """A copy of the program in the root of the repository, so that the stack's config is not written there."""
    program = folder / "quickstart"
    program.mkdir()
    # Pulumi.yaml names the plugin and the virtual environment by their paths from the root.
    for name in ("provider", ".venv"):
        (program / name).symlink_to(ROOT / name)
    for source in (ROOT / "Pulumi.yaml", *ROOT.glob("*.py")):
        shutil.copyfile(source, program / source.name)
    return program


@contextlib.contextmanager
def emulator(environment: Mapping[str, str]) -> Iterator[Emulator]:
    """An emulator on a free port, ended with the block. Raises DemoError if it does not start."""
    with subprocess.Popen(
        ["cloudretry", "emulator", "--port", "0"],
        executable=Venv(ROOT).path / "bin" / "cloudretry",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines: queue.Queue[str] = queue.Queue()
        reader = threading.Thread(target=read_lines, args=(process.stdout, lines), daemon=True)
        reader.start()
        try:
            yield Emulator(listening_url(lines))
        except urllib.error.URLError as error:
            raise DemoError(f"the emulator does not answer: {error}") from error
        finally:
            process.terminate()
            process.wait()
            reader.join()


def read_lines(output: IO[str], lines: queue.Queue[str]) -> None:
    """Pass on each line, and an empty one at the end."""
    for line in output:
        lines.put(line)
    lines.put("")


def listening_url(lines: queue.Queue[str]) -> str:
    """The URL of the line that says that the emulator is ready."""
    said: list[str] = []
    deadline = time.monotonic() + _START
    while True:
        try:
            line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise DemoError(f"the emulator is not ready after {_START:.0f} s:\n{indent(''.join(said))}") from None
        if line.startswith("listening on "):
            return line.removeprefix("listening on ").strip()
        if not line:
            raise DemoError(f"the emulator has ended:\n{indent(''.join(said))}")
        said.append(line)


def expect(cloud: Emulator, expected: Counter[str], when: str) -> None:
    """Compare what was fired with what should have been. Raises DemoError with both if they differ."""
    fired = cloud.newly_fired()
    if fired != expected:
        raise DemoError(f"{when} should have fired {in_words(expected)}; the emulator counted {in_words(fired)}")
    say(f"   Fired: {in_words(fired)}.")


def in_words(fired: Counter[str]) -> str:
    """Each token in the order of the catalogue, or that there was nothing."""
    return ", ".join(f"{token} {fired[token]}x" for token in ACTIONS if fired[token]) or "nothing"


def show_count(cloud: Emulator) -> None:
    """Print how often each target was fired and each call was made."""
    for target in cloud.get("targets"):
        if target["timesFired"]:
            print(indent(f"{target['kind']:16}  {target['id']:54}  fired {target['timesFired']}x"))
    calls = Counter(request["operation"] for request in cloud.get("requests"))
    print(indent("calls: " + ", ".join(f"{operation} {times}" for operation, times in calls.items())))


def say(line: str) -> None:
    """Print a line of the demo's own."""
    print(line, flush=True)


def indent(text: str) -> str:
    """Set the words of another program apart from the demo's."""
    return "\n".join(f"    {line}" for line in text.rstrip().splitlines())


if __name__ == "__main__":
    sys.exit(main())
