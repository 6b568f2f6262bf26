"""The pages: links lead somewhere, and every block of code is what it says it is."""

from __future__ import annotations

import ast
import functools
import itertools
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import click
import pytest
import requests
import yaml
from doc_pages import BLOCKS, PAGES, ROOT, Page, blocks
from doc_programs import plain, run

from cloudretry import cli, config
from cloudretry.actions import ACTIONS
from cloudretry.cli import commands
from cloudretry.emulator import Emulator, faults
from cloudretry.emulator.scenario import Scenario
from cloudretry.inputs import UNKNOWN, check
from support.yaml_program import RESOURCES, members, referred, wrong_with

# The clouds' own SDKs, used on a page, warn of what is not ours.
pytestmark = [
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Method .* of DrsClient is deprecated:DeprecationWarning"),
]

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.path))

DIAGRAMS = ("flowchart", "stateDiagram-v2", "sequenceDiagram", "timeline", "gantt")
LANGUAGES = ("python", "nodejs", "go", "yaml")
RESOURCE_OPTIONS = frozenset(
    {"provider", "customTimeouts", "aliases", "dependsOn", "ignoreChanges", "parent", "protect"}
)


OWN_RULES = frozenset({"adding-an-action.md", "comparison.md", "fleets.md", "pipelines.md", "report.md", "testing.md"})
"""Pages whose blocks have rules of their own, in a file of their own."""


def each(*languages):
    found = [block for block in blocks(*languages) if block.page.name not in OWN_RULES]
    assert found, f"no page has a block of {languages}"
    return pytest.mark.parametrize("block", found, ids=str)


# --- links ---


@each_page
def test_every_relative_link_leads_to_a_page_and_a_heading(page):
    for link in page.links:
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        path = (ROOT / page.path).parent / target if target else ROOT / page.path
        assert path.exists(), link
        if anchor:
            assert anchor in Page(path.resolve().relative_to(ROOT)).anchors, link


HOSTS = frozenset(
    {
        "developer.hashicorp.com",
        "docs.pytest.org",
        "github.com",
        "keepachangelog.com",
        "semver.org",
        "www.pulumi.com",
    }
)
"""Where links may lead beyond the repository. Nobody follows them here, so each host is one that is known to last."""


def test_every_link_beyond_the_repository_is_https_and_of_a_host_that_is_meant():
    found = set()
    for path in (*(page.path for page in PAGES), Path("CHANGELOG.md"), *ROOT.glob("examples/**/README.md")):
        if "node_modules" not in path.parts:
            prose = re.sub(r"`[^`\n]*`", "``", Page(path).prose)
            found |= {(str(path), url) for url in re.findall(r"\b[a-z][a-z+.-]*://[^\s)>\]]+", prose)}
    assert {url for _, url in found if not url.startswith("https://")} == set()
    assert {(page, url) for page, url in found if urlsplit(url).hostname not in HOSTS} == set()
    assert {urlsplit(url).hostname for _, url in found} == HOSTS


def test_every_page_of_the_documentation_is_linked_from_its_index():
    for folder in (ROOT / "docs", ROOT / "docs/reference"):
        index = Page((folder / "README.md").relative_to(ROOT))
        linked = {link.partition("#")[0] for link in index.links}
        assert {path.name for path in folder.glob("*.md")} - {"README.md"} <= linked


@each_page
def test_no_page_names_a_path_of_the_machine_it_was_written_on(page):
    assert not re.search(r"(?<![\w.])/(root|work|home)/", page.text)


def test_every_block_is_of_a_kind_that_is_checked():
    known = {"python", "typescript", "go", "yaml", "json", "console", "mermaid", ""}
    assert [str(block) for block in BLOCKS if block.language not in known and block.page.name not in OWN_RULES] == []


# --- python ---


@each("python")
def test_every_python_block_runs(block, tmp_path):
    if "\ndef test_" in block.text:
        (tmp_path / "test_block.py").write_text(block.text, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "test_block.py"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return
    declared = run(block.text, str(block), {f"program:{key}": "given" for key in ("otcAccessKey", "otcSecretKey")})
    for resource in declared.resources:
        if resource.typ in ACTIONS:
            assert check(ACTIONS[resource.typ], plain(resource)) == []
        elif resource.typ.startswith("pulumi-python:dynamic/cloudretry/"):
            token = "cloudretry:" + resource.typ.rpartition("/")[2]
            assert check(ACTIONS[token], plain(resource)) == []
        else:
            assert resource.typ == "pulumi:providers:cloudretry", resource.typ
            assert config.problems(plain(resource)) == []
    imports = {node.module or "" for node in ast.walk(ast.parse(block.text)) if isinstance(node, ast.ImportFrom)}
    if not any(module.startswith("cloudretry.") for module in imports):
        assert declared.resources, "the block declares no resource"


# --- yaml ---


@each("yaml")
def test_every_yaml_block_is_a_program_a_project_a_configuration_or_a_scenario(block):
    document = yaml.safe_load(block.text)
    if "resources" in document:
        assert list(_wrong_with_program(document)) == []
    elif "runtime" in document:
        assert list(_wrong_with_project(document)) == []
    elif "config" in document:
        assert list(_wrong_with_configuration(document["config"])) == []
    else:
        Scenario.parse(document, str(block))


def _wrong_with_project(document) -> Iterator[str]:
    """What is wrong with a Pulumi.yaml, as far as pages use it. The engine itself reads that of getting started."""
    yield from document.keys() - {"name", "description", "runtime", "plugins", "config"}
    yield from document["runtime"].keys() - {"name", "options"}
    if document["runtime"]["name"] not in LANGUAGES:
        yield document["runtime"]["name"]
    yield from _wrong_with_configuration(document.get("config", {}))


def _wrong_with_program(document) -> Iterator[str]:
    yield from wrong_with(document)
    resources = document["resources"]
    for name, resource in resources.items():
        token, properties = resource["type"], _interpolated(resource.get("properties", {}))
        problems = config.problems(properties) if token.startswith("pulumi:") else check(ACTIONS[token], properties)
        yield from (f"{name}.{problem}" for problem in problems)
        yield from (f"{name}: option {option}" for option in resource.get("options", {}).keys() - RESOURCE_OPTIONS)
    for reference in referred([resources, document.get("outputs")]):
        name, _, output = reference.partition(".")
        if name not in resources or (output and output not in RESOURCES[resources[name]["type"]]["properties"]):
            yield f"${{{reference}}} is nothing"


def _interpolated(value):
    if isinstance(value, dict):
        return {key: _interpolated(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_interpolated(item) for item in value]
    return UNKNOWN if isinstance(value, str) and value.startswith("${") else value


def _wrong_with_configuration(values) -> Iterator[str]:
    ours = {key.partition(":")[2]: _revealed(value) for key, value in values.items() if key.startswith("cloudretry:")}
    yield from map(str, config.problems(ours))


def _revealed(value):
    if isinstance(value, dict):
        return "a secret" if value.keys() == {"secure"} else {key: _revealed(item) for key, item in value.items()}
    return value


def test_the_scenario_on_the_emulator_page_has_every_key():
    texts = [
        block.text for block in Page((ROOT / "docs/emulator.md").relative_to(ROOT)).blocks if block.language == "yaml"
    ]
    used = set(re.findall(r"(\w+):(?= |$)", "\n".join(texts), re.MULTILINE))
    page = Page((ROOT / "docs/emulator.md").relative_to(ROOT)).text

    def keys(node):
        for key, value in node.get("properties", {}).items():
            yield key
            yield from keys(value)

    document = Scenario.model_json_schema(by_alias=True)
    wanted = {key for part in (document, *document["$defs"].values()) for key in keys(part)}
    assert {key for key in wanted - used if f"`{key}`" not in page} == set()


# --- json ---


@each("json")
def test_every_json_block_is_a_policy_a_fault_or_outputs(block):
    document = json.loads(block.text)
    if "operation" in document:
        faults.parse(document)
    elif "generation" in document:
        declared = RESOURCES["cloudretry:drs:JobBatchRetry"]
        assert list(members(document, declared["properties"], declared["required"], "outputs")) == []
    else:
        assert document.keys() == {"Version", "Statement"}


# --- console, and commands in the text ---


def _commands() -> Iterator[tuple[str, list[str]]]:
    for page in PAGES:
        for block in page.blocks:
            if block.language == "console":
                for line in block.text.splitlines():
                    if line.startswith("$ "):
                        yield str(block), _words(line[2:])
        for text in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", page.prose):
            if re.match(r"(make|cloudretry|pulumi config) [a-z]", text):
                yield str(page.path), _words(text)


def _words(line: str) -> list[str]:
    inner = re.search(r"\$\(([^)]*)\)", line)
    # In a table a bar is written with a backslash.
    return shlex.split(inner[1] if inner else re.split(r" \\?\| ", line)[0])


COMMANDS = sorted({(where, tuple(words)) for where, words in _commands()})


@pytest.mark.parametrize(
    ("where", "words"), COMMANDS, ids=lambda value: value if isinstance(value, str) else " ".join(value)
)
def test_every_command_names_what_there_is(where, words):
    match words:
        case ("make", *options, target):
            assert set(options) <= {"-s"}
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE)
        case ("cloudretry", *arguments):
            _parse_cli(arguments)
        case ("pulumi", "config", "set" | "rm", *arguments):
            key = next((word for word in arguments if not word.startswith("--")), "")
            if key.startswith("cloudretry:"):
                assert _is_key(key.removeprefix("cloudretry:"))
                assert ("." in key) == ("--path" in arguments)
        case ("pulumi", "import", token, _name, _id):
            assert token in ACTIONS
        case ("python", "examples/fleet/fleet.py", *arguments):
            runpy.run_path(str(ROOT / "examples/fleet/fleet.py"))["main"].make_context("fleet", list(arguments))
        case ("pulumi", "stack", "export", *_) | ("echo", "$?"):
            pass
        case ("pulumi", "up", "--parallel", number):
            assert number.isdecimal()
        case ("pulumi", "refresh", "--clear-pending-creates") | ("pulumi", "stack", "init", _):
            pass
        case ("pulumi", "refresh", *_) | ("cp" | "docker" | "kubectl", *_) | ("mkdir", "-p", *_):
            # tests/pipelines runs them, or test_pipelines_page.py compares them with the files.
            assert where.startswith("docs/pipelines.md")
        case ("pulumi", "up" | "preview" | "config" | "cancel") | ("pulumi", "login", "--local"):
            pass
        case ("pip", "install", "pulumi-cloudretry") | ("pip", "install", "-r", "requirements.txt") | ("curl", *_):
            pass
        case ("find", ".pulumi/stacks", *_):
            assert where.startswith("docs/recovery.md")  # tests/engine/test_recovery.py runs it.
        case ("mkdir", _, "&&", "cd", _) | ("python3", "-m", "venv", _) | (".", "venv/bin/activate"):
            pass
        case ("export", *assignments):
            known = {name for path in config.ENVIRONMENT for name in config.variables(path)}
            known |= {name for rows in config.KEY_PAIRS.values() for row in rows for name in row.values()}
            assert {assignment.partition("=")[0] for assignment in assignments} <= known
        case _:
            raise AssertionError(f"{where}: no rule for {words}")


def _parse_cli(arguments: list[str]) -> None:
    """Let the command line parse the arguments without carrying them out."""
    command: click.Command = cli.main
    context = click.Context(command, info_name="cloudretry")
    while isinstance(command, click.Group) and arguments:
        found = command.get_command(context, arguments[0])
        assert found is not None, f"cloudretry has no command {arguments[0]}"
        command, arguments = found, arguments[1:]
    # A name alone speaks of the command, and calls for none of its arguments.
    if arguments:
        command.make_context(command.name, list(arguments))


COMMAND_LINE = Page((ROOT / "docs/command-line.md").relative_to(ROOT))


def _transcript() -> Iterator[tuple[str, str]]:
    """Each command on the page of the command line, and the output that is shown below it."""
    for block in COMMAND_LINE.blocks:
        if block.language == "console":
            for command in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
                line, _, output = command.partition("\n")
                yield line, output


def _fits(shown: str, printed: str) -> bool:
    """Whether an output is what is shown: an ellipsis stands for the rest of a line, or alone for any lines."""
    pattern = ""
    for line in shown.splitlines(keepends=True):
        words = r"[^\n]*".join(r"\s+".join(map(re.escape, part.split())) for part in line.split("…"))
        pattern += r"(?:[^\n]*\n)*?" if line == "…\n" else rf"\s*{words}\s*\n"
    return re.fullmatch(pattern, printed) is not None


def test_the_examples_on_the_page_of_the_command_line_run_as_they_are_shown(tmp_path):
    transcript = list(_transcript())
    # After each command its end is marked; what it ended with is there for the next one to show.
    script = "".join(f"{line}\n{{ code=$?; printf '\\036'; (exit $code); }} 2>/dev/null\n" for line, _ in transcript)
    done = subprocess.run(
        ["bash", "--norc"],
        input=f"exec 2>&1\n{script}",
        cwd=tmp_path,
        env={
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath]),
            "HOME": str(tmp_path),
            "PULUMI_HOME": str(tmp_path / "pulumi-home"),
            "LANG": "C.UTF-8",
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    outputs = done.stdout.split("\x1e")[:-1]
    assert len(outputs) == len(transcript) > 15, done.stdout
    for (line, shown), printed in zip(transcript, outputs, strict=True):
        assert _fits(shown, printed), f"{line} is shown with\n{shown}\nand prints\n{printed}"


def test_what_an_example_prints_otherwise_than_shown_is_noticed():
    assert _fits("a b … d\n…\nend\n", "a   b  cc d\nx\ny\nend\n")
    assert _fits("…\nend\n", "end\n")
    for shown in ("a\n", "a\n…\n", "b\n", ""):
        assert not _fits(shown, "b\na\n")


def test_every_command_has_a_row_on_the_page_of_the_command_line():
    assert set(re.findall(r"^\| \[`cloudretry (\w+)`\]", COMMAND_LINE.text, re.MULTILINE)) == cli.main.commands.keys()


def test_the_exit_codes_on_the_page_are_those_of_the_commands():
    rows = re.findall(r"^\| ([\d, ]+) \|", COMMAND_LINE.text, re.MULTILINE)
    documented = re.findall(r"^(\d+) ", commands.__doc__, re.MULTILINE)
    assert ", ".join(rows).split(", ") == [*documented, "143"]


def _is_key(path: str) -> bool:
    value = "eu-de" if path.endswith("region") else "x"
    tree: object = value
    for part in reversed(path.split(".")):
        tree = {part: tree}
    assert isinstance(tree, dict)
    return not any("is not a key" in problem.reason for problem in config.problems(tree))


def test_the_control_routes_answer_as_the_emulator_page_asks_them():
    page = Page((ROOT / "docs/emulator.md").relative_to(ROOT))
    (scenario,) = (block.text for block in page.blocks if block.language == "yaml")
    asked = [words for where, words in _commands() if where.startswith(str(page.path)) and words[0] == "curl"]
    with Emulator(Scenario.parse(yaml.safe_load(scenario))) as emulator:
        for words in asked:
            options = dict(itertools.pairwise(words))
            body = options.get("-d") or (scenario if options.get("--data-binary") == "@scenario.yaml" else None)
            method = options.get("-X", "POST" if body else "GET")
            url = emulator.url + words[-1].removeprefix("http://127.0.0.1:8400")
            answer = requests.request(method, url, data=body, timeout=10)
            assert answer.ok, answer.text
        assert len(asked) >= 4
    routes = set(re.findall(r"`(?:GET|POST|PUT|DELETE)[^`]* (/_emulator/\w+)", page.text))
    served = (ROOT / "provider/cloudretry/emulator/control.py").read_text(encoding="utf-8")
    assert routes == set(re.findall(r'"(/_emulator/\w+)"', served))


# --- diagrams ---


@each("mermaid")
def test_every_diagram_says_what_it_is(block):
    assert block.text.split(maxsplit=1)[0] in DIAGRAMS
    for opening, closing in ("()", "[]", "{}"):
        assert block.text.count(opening) == block.text.count(closing)


# --- messages ---


@functools.cache
def _messages() -> str:
    """Every text in the provider, one a line; what differs is an ellipsis."""
    texts = []
    folders = (ROOT / "provider/cloudretry", ROOT / "sdk/python/pulumi_cloudretry/dynamic")
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                texts.append("".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(re.sub(r"{[^}]*}", "…", node.value))
    return "\n".join(texts)


def _said(message: str) -> bool:
    pattern = r"[^\n]*?".join(re.escape(part) for part in message.split("…"))
    return re.search(pattern, _messages()) is not None


def test_every_message_in_troubleshooting_is_one_of_the_provider():
    page = Page((ROOT / "docs/troubleshooting.md").relative_to(ROOT))
    ours, _, _ = page.prose.partition("## Messages of the engine")
    rows = re.findall(r"^\| (.*?`) \|", ours, re.MULTILINE)
    messages = [m[0] or m[1] for row in rows for m in re.findall(r"``(.+?)``|`([^`]+)`", row)]
    assert len(messages) > 50
    assert [message for message in messages if not _said(message)] == []


def test_every_line_of_a_preview_is_one_of_the_provider():
    _, _, section = Page((ROOT / "docs/when-it-fires.md").relative_to(ROOT)).prose.partition("## Preview")
    lines = re.findall(r"`((?:would|not looked at)[^`]*)`", section)
    assert len(lines) >= 8
    assert [line for line in lines if not _said(line)] == []


def test_every_message_in_recovery_is_one_of_the_provider_or_the_engine():
    quoted = re.findall(r"`([^`\n]+)`", Page((ROOT / "docs/recovery.md").relative_to(ROOT)).prose)
    commands = re.compile(r"(pulumi|cloudretry|journal) [a-z]")
    messages = {text for text in quoted if " " in text and not commands.match(text)}
    messages -= {"fireWhen: retryable", "onUnknown: fire"}
    assert len(messages) > 15
    assert {message for message in messages if not _said(message)} == {
        "error reading from server: EOF",
        "exited prematurely",
    }
