"""A throw-away Pulumi project on the real engine, and what the engine said of a command."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudretry.actions import ACTIONS
from cloudretry.emulator import CREDENTIALS, Emulator

ROOT = Path(__file__).parents[2]
PINNED, OLDEST = ROOT / ".engine/bin", ROOT / ".engine/oldest"
"""The programs of the engine that all tests run on, and of the oldest that is supported."""

STACK = "dev"
FRAME_OF_OURS = re.compile(r'File "[^"]*/(?:provider/cloudretry|sdk/python/pulumi_cloudretry)/')
"""A line of a traceback that leads through the provider."""

LOGS = "engine-logs"
"""The folder for temporary files, where the engine writes a log that it is asked for."""

LONGEST_COMMAND = 120.0
"""Seconds after which a command hangs."""

FIVE: Mapping[str, Mapping[str, Any]] = {
    "pool": {"type": "modelarts:PoolScopeRetry", "inputs": {"poolName": "pool-a", "scope": "Infer"}},
    "visualization": {"type": "modelarts:VisualizationJobRestart", "inputs": {"jobId": "10"}},
    "desktop": {"type": "workspace:JobRetry", "inputs": {"jobId": "task-1"}},
    "replication": {"type": "drs:JobBatchRetry", "inputs": {"jobs": [{"jobId": "jb1"}, {"jobId": "jb2"}]}},
    "simulation": {
        "type": "ehpc:JobRerun",
        "inputs": {"clusterId": "ehpc-1", "jobIds": ["1.scheduler", "2.scheduler"]},
    },
}
"""A resource of each action, by name."""

SCENARIO: Mapping[str, Any] = {
    "pools": [
        {
            "name": "pool-a",
            "scopes": [
                {"scope": "Infer", "state": "EnableFailed", "afterRetry": [["Enabling", 0], ["Enabled", 0.15]]},
                {"scope": "Train", "state": "EnableFailed", "afterRetry": [["Enabling", 0], ["Enabled", 0.15]]},
            ],
        }
    ],
    "visualizationJobs": [
        {"count": 1, "first": 10, "state": "FAILED", "afterRetry": [["SUBMIT_TRYING", 0], ["RUNNING", 0.15]]},
    ],
    "workspaceJobs": [
        {"count": 3, "idFormat": "task-{n}", "state": "FAILED", "afterRetry": [["RUNNING", 0], ["SUCCESS", 0.15]]},
    ],
    "drsJobs": [
        {
            "count": 4,
            "idFormat": "jb{n}",
            "state": "FULL_TRANSFER_FAILED",
            "afterRetry": [["STARTJOBING", 0], ["FULL_TRANSFER_STARTED", 0.15]],
        },
    ],
    "clusters": [
        {
            "id": "ehpc-1",
            "jobs": [{"count": 4, "state": "RUNNING", "afterRetry": [["QUEUED", 0], ["RUNNING", 0.15]]}],
        }
    ],
}
"""What :data:`FIVE` names, and some more, ready to be retried and soon well."""

FIRED_ONCE = Counter({"pool-a:Infer": 1, "10": 1, "task-1": 1, "jb1": 1, "jb2": 1, "1.scheduler": 1, "2.scheduler": 1})
"""What one fire of each of :data:`FIVE` comes to."""

_AT_FIRST = {
    "poolScope": "EnableFailed",
    "visualizationJob": "11",
    "workspaceJob": "FAILED",
    "drsJob": "FULL_TRANSFER_FAILED",
    "ehpcJob": "RUNNING",
}
_CHANGES = frozenset(action.fires.name for action in ACTIONS.values())
_HALVES = ("create-replacement", "delete-replaced")


@dataclass(frozen=True)
class Step:
    """What the engine did, or in a preview would do, with one resource."""

    op: str
    diff: Mapping[str, str]
    """The detailed diff: how each path differs."""
    keys: tuple[str, ...]
    """The properties that make it a replace."""


@dataclass(frozen=True)
class Ran:
    """A command that has ended: its exit code, what stood on the screen, and the engine's events."""

    code: int
    text: str
    events: tuple[Mapping[str, Any], ...]
    seconds: float

    @property
    def steps(self) -> dict[str, Step]:
        """What happened to each resource, by name. A replacement is one step here."""
        steps: dict[str, Step] = {}
        for event in self.events:
            metadata = event.get("resourcePreEvent", {}).get("metadata")
            if metadata and not metadata["type"].startswith("pulumi:") and metadata["op"] not in _HALVES:
                diff = {path: change["diffKind"] for path, change in (metadata.get("detailedDiff") or {}).items()}
                steps[name_of(metadata["urn"])] = Step(metadata["op"], diff, tuple(metadata.get("keys") or ()))
        return steps

    @property
    def ops(self) -> dict[str, str]:
        """The operation on each resource, by name."""
        return {name: step.op for name, step in self.steps.items()}

    def words(self, severity: str, name: str | None = None) -> list[str]:
        """What was said at this severity, of this resource or of all."""
        return [
            diagnostic["message"].strip()
            for event in self.events
            if (diagnostic := event.get("diagnosticEvent"))
            and diagnostic["severity"] == severity
            and name in (None, name_of(diagnostic.get("urn", "")))
        ]

    def errors(self, name: str | None = None) -> str:
        """The errors, as one text."""
        return "\n".join(self.words("error", name))


def name_of(urn: str) -> str:
    """The name at the end of a URN."""
    return urn.rpartition("::")[2]


class Project:
    """A project folder with the program, a backend and a home of its own, and an emulator."""

    def __init__(self, folder: Path, template: Template, front: str, emulator: Emulator) -> None:
        self.folder = folder / "project"
        self.front = front
        self.emulator = emulator
        self._template = template
        self.environment = template.environment(folder)
        self._commands = 0
        self._counted: Counter[str] = Counter()
        self._asked = 0
        self._config: dict[str, Any] = {"cloudretry:emulator": emulator.url, "cloudretry:pollInterval": "100ms"}
        shutil.copytree(template.folder, folder, dirs_exist_ok=True)
        self.configure({})

    # --- what is declared ---

    def declare(
        self,
        resources: Mapping[str, Mapping[str, Any]],
        *,
        providers: Mapping[str, Mapping[str, Any]] | None = None,
        components: tuple[str, ...] = (),
    ) -> None:
        """Let the program declare these resources from now on."""
        document = {
            "front": self.front,
            "providers": providers or {},
            "components": components,
            "resources": resources,
        }
        (self.folder / "resources.json").write_text(json.dumps(document), encoding="utf-8")

    def configure(self, config: Mapping[str, Any]) -> None:
        """Add to the stack's configuration; ``None`` takes a key out."""
        self._config = {key: value for key, value in {**self._config, **config}.items() if value is not None}
        document = {"encryptionsalt": self._template.salt, "config": self._config}
        # JSON is YAML.
        (self.folder / f"Pulumi.{STACK}.yaml").write_text(json.dumps(document), encoding="utf-8")

    def move(self, name: str) -> None:
        """Put the program into another folder."""
        self.folder = self.folder.rename(self.folder.with_name(name))

    # --- commands ---

    def up(self, *arguments: str, fails: bool = False) -> Ran:
        """`pulumi up` without the preview."""
        return self.run("up", "--yes", "--skip-preview", *arguments, fails=fails)

    def preview(self, *arguments: str, fails: bool = False) -> Ran:
        return self.run("preview", "--diff", *arguments, fails=fails)

    def refresh(self, *arguments: str, fails: bool = False, traceback: bool = False) -> Ran:
        return self.run("refresh", "--yes", "--skip-preview", *arguments, fails=fails, traceback=traceback)

    def destroy(self, *arguments: str, fails: bool = False) -> Ran:
        return self.run("destroy", "--yes", "--skip-preview", *arguments, fails=fails)

    def import_(self, ids: Mapping[str, tuple[str, str]], *, fails: bool = False) -> Ran:
        """`pulumi import` of several resources: their names, types and ids."""
        listed = [{"name": name, "type": f"cloudretry:{kind}", "id": key} for name, (kind, key) in ids.items()]
        file = self.folder / "import.json"
        file.write_text(json.dumps({"resources": listed}), encoding="utf-8")
        chosen = ("--yes", "--skip-preview", "--protect=false", "--generate-code=false")
        return self.run("import", "--file", str(file), *chosen, fails=fails)

    def taint(self, name: str) -> None:
        """`pulumi state taint`."""
        self._plainly("state", "taint", self.urn(name), "--yes")

    def select(self) -> None:
        """Make the stack the selected one of the folder."""
        self._plainly("stack", "select")

    def forget(self, name: str) -> None:
        """`pulumi state delete`."""
        self._plainly("state", "delete", self.urn(name), "--yes")

    def cancel(self) -> None:
        """`pulumi cancel`."""
        self._plainly("cancel", "--yes")

    def set_secret(self, path: str, value: str) -> None:
        """Put a secret into the stack's configuration, until :meth:`configure` is called."""
        self._plainly("config", "set", "--secret", "--path", path, value)

    def run(self, *arguments: str, fails: bool = False, traceback: bool = False) -> Ran:
        """Run a command that has events to its end, and check its exit code and that it shows no traceback of ours.

        The engine interrupts a program when a resource has failed, and its language host may show a traceback of that.
        """
        with self.started(*arguments) as running:
            ran = running.ended()
        assert (ran.code != 0) == fails, f"pulumi {' '.join(arguments)}: exit code {ran.code}\n{ran.text}"
        assert bool(FRAME_OF_OURS.search(ran.text)) == traceback, ran.text
        return ran

    def started(self, *arguments: str) -> Running:
        """A command that has events, on its way."""
        self._commands += 1
        events = self.folder.parent / f"events-{self._commands}.json"
        command = ["pulumi", *arguments, "--stack", STACK, "--non-interactive", "--color=never"]
        return Running([*command, "--event-log", str(events)], self.folder, self.environment, events)

    def _plainly(self, *arguments: str) -> str:
        ended = subprocess.run(
            ["pulumi", *arguments, "--stack", STACK, "--non-interactive"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LONGEST_COMMAND,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, f"pulumi {' '.join(arguments)}\n{ended.stdout}"
        return ended.stdout

    def said_of(self, ran: Ran, name: str) -> str:
        """The error that failed a resource. A dynamic resource cannot fail by itself, so its program does."""
        if self.front == "plugin":
            (error,) = ran.words("error", name)
            return error.removeprefix("1 error occurred:\n\t* ").replace("\n\t  ", "\n")
        (error,) = [word for word in ran.words("error") if word.startswith(f"{name}: ")]
        return error.removeprefix(f"{name}: ")

    # --- the state ---

    @property
    def state_file(self) -> Path:
        return self.folder.parent / "backend/.pulumi/stacks/engine-test" / f"{STACK}.json"

    @property
    def resources(self) -> dict[str, Mapping[str, Any]]:
        """The resources in state, by name, without the stack and the providers."""
        latest = json.loads(self.state_file.read_text(encoding="utf-8"))["checkpoint"]["latest"]
        return {
            name_of(resource["urn"]): resource
            for resource in latest.get("resources") or ()
            if not resource["type"].startswith("pulumi:")
        }

    def outputs(self, name: str) -> Mapping[str, Any]:
        """The outputs of a resource in state; secrets are encrypted in there."""
        outputs: Mapping[str, Any] = self.resources[name]["outputs"]
        return outputs

    def urn(self, name: str) -> str:
        urn: str = self.resources[name]["urn"]
        return urn

    def statuses(self) -> dict[str, str]:
        """The status of every resource in state."""
        return {name: self.outputs(name)["status"] for name in self.resources}

    def result(self, name: str, target: str) -> Mapping[str, Any]:
        """What is recorded of one target of a resource."""
        (found,) = [result for result in self.outputs(name)["results"] if result["target"] == target]
        result: Mapping[str, Any] = found
        return result

    def places_of(self, planted: str) -> list[str]:
        """Where a text stands in clear, in the program, the state and all that was said; not where it is declared.

        The engine's own log is left out: it writes each property that it is handed, secret or not.
        """
        files = [path for path in self.folder.parent.rglob("*") if path.is_file() and path.name != "resources.json"]
        lines = ((path, line) for path in files if path.parent.name != LOGS for line in path.read_bytes().splitlines())
        return [f"{path.name}: {line!r}" for path, line in lines if planted.encode() in line]

    # --- what the emulator counted ---

    def newly_fired(self) -> Counter[str]:
        """How often each target was really retried since the last question, by the emulator's count."""
        counted = Counter({target.id.rpartition("/")[2]: target.times_fired for target in self.emulator.targets()})
        newly = counted - self._counted
        self._counted = counted
        return newly

    def newly_asked(self) -> list[str]:
        """The operations of the requests since the last question that change something in a cloud."""
        return [operation for operation in self.newly_called() if operation in _CHANGES]

    def newly_called(self) -> list[str]:
        """The operations of all requests since the last question."""
        requests = self.emulator.requests()
        newly = [request.operation for request in requests if request.number > self._asked]
        self._asked = max((request.number for request in requests), default=0)
        return newly

    def fail_again(self, *names: str) -> None:
        """Put targets, or all of them, back into a state from which they can be retried."""
        for target in self.emulator.targets():
            name = target.id.rpartition("/")[2]
            if not names or name in names:
                self.emulator.set_state(target.id, _AT_FIRST[target.kind], kind=target.kind)


class Running:
    """A command on its way, in a process group of its own."""

    def __init__(self, command: list[str], folder: Path, environment: Mapping[str, str], events: Path) -> None:
        self._events = events
        self._begun = time.monotonic()
        self._screen = events.with_suffix(".txt").open("w+", encoding="utf-8")
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._screen,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_heed_ctrl_c,
        )

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._screen.close()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for something to be so while the command runs."""
        deadline = time.monotonic() + LONGEST_COMMAND
        while not condition():
            assert self.process.poll() is None, f"it has ended before:\n{self.text}"
            assert time.monotonic() < deadline, f"waited in vain:\n{self.text}"
            time.sleep(0.02)

    def ended(self) -> Ran:
        """Wait for its end."""
        code = self.process.wait(LONGEST_COMMAND)
        return Ran(code, self.text, tuple(self._read_events()), time.monotonic() - self._begun)

    @property
    def text(self) -> str:
        """What stands on the screen by now."""
        return Path(self._screen.name).read_text(encoding="utf-8")

    def _read_events(self) -> Iterator[Mapping[str, Any]]:
        if self._events.exists():
            yield from map(json.loads, self._events.read_text(encoding="utf-8").splitlines())


def _heed_ctrl_c() -> None:
    # A job in the background of a script hands on to its children that Ctrl-C is ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Template:
    """A project with an empty stack, made once: `stack init` costs half a second."""

    def __init__(self, folder: Path, path: str) -> None:
        self.folder = folder
        self._path = path
        project = folder / "project"
        project.mkdir(parents=True)
        (folder / "backend").mkdir()
        (folder / LOGS).mkdir()
        shutil.copyfile(Path(__file__).with_name("program.py"), project / "__main__.py")
        plugin = {"name": "cloudretry", "path": str(ROOT / "provider")}
        document = {"name": "engine-test", "runtime": "python", "plugins": {"providers": [plugin]}}
        (project / "Pulumi.yaml").write_text(json.dumps(document), encoding="utf-8")
        (project / "resources.json").write_text("{}", encoding="utf-8")
        subprocess.run(
            ["pulumi", "stack", "init", STACK, "--non-interactive"],
            cwd=project,
            env=self.environment(folder),
            stdin=subprocess.DEVNULL,
            check=True,
            capture_output=True,
            timeout=LONGEST_COMMAND,
        )
        settings = (project / f"Pulumi.{STACK}.yaml").read_text(encoding="utf-8")
        self.salt = re.findall(r"^encryptionsalt: (\S+)$", settings, re.MULTILINE)[0]

    def environment(self, folder: Path) -> dict[str, str]:
        """All that a command sees: nothing of the person's own environment but the PATH behind ours."""
        return {
            "PATH": self._path,
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / LOGS),
            "LANG": "C.UTF-8",
            "PULUMI_HOME": str(folder / "home/pulumi"),
            "PULUMI_BACKEND_URL": (folder / "backend").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "passphrase",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            # `--event-log` is there only with this.
            "PULUMI_DEBUG_COMMANDS": "true",
        }


def path_to_engine(folder: Path, engine: Path = PINNED) -> str:
    """The PATH of the tests: the environment, the engine, and a Python that answers a known question faster.

    For each program the language host asks Pip for all packages, to find plugins in them. Ours is named by its path in
    Pulumi.yaml, so the answer is "none", a second earlier.
    """
    folder.mkdir(parents=True)
    python = folder / "python3"
    real = ROOT / ".venv/bin/python"
    python.write_text(
        f'#!/bin/sh\ncase "$*" in "-m pip list "*) echo "[]" ;; *) exec "{real}" "$@" ;; esac\n', encoding="utf-8"
    )
    python.chmod(0o755)
    if engine == OLDEST and not (OLDEST / "pulumi").exists():
        raise RuntimeError("the oldest engine is not built: `python3 tools/setup.py --oldest-engine` does it")
    path = os.pathsep.join(map(str, (folder, ROOT / ".venv/bin", engine, os.environ["PATH"])))
    if shutil.which("pulumi", path=path) is None:
        raise RuntimeError("these tests need the Pulumi CLI: `make setup` puts it into .engine/bin")
    return path


def with_triggers(resources: Mapping[str, Mapping[str, Any]], **triggers: Any) -> dict[str, Any]:
    """The resources, each with these triggers."""
    return with_inputs(resources, triggers=triggers)


def with_inputs(resources: Mapping[str, Mapping[str, Any]], **inputs: Any) -> dict[str, Any]:
    """The resources, each with these inputs beside its own."""
    return {name: {**resource, "inputs": {**resource["inputs"], **inputs}} for name, resource in resources.items()}


PROJECT_ID = CREDENTIALS.project_id
