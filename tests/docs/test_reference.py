"""The generated reference: it is fresh, and what it shows is right."""

from __future__ import annotations

import json
import re

import click
import pytest
import yaml
from doc_pages import ROOT, Page
from doc_programs import run
from reference import EXAMPLES, FOLDER, import_id, pages, stale

from cloudretry.actions import ACTIONS
from cloudretry.cli import main
from cloudretry.config import ENVIRONMENT, KEY_PAIRS
from cloudretry.inputs import check
from cloudretry.lifecycle.identifier import split_id
from cloudretry.schema import schema

PAGE_OF = {token: Page(path) for path, text in pages().items() for token in ACTIONS if f"\n\n`{token}`\n" in text}
each_action = pytest.mark.parametrize("action", ACTIONS.values(), ids=lambda action: action.name)


def snippet(action, language):
    (block,) = (block for block in PAGE_OF[action.token].blocks if block.language == language)
    return block


def test_the_reference_is_fresh():
    assert stale() == [], "run `make docs`"


def test_every_action_has_a_page_and_an_example():
    assert PAGE_OF.keys() == EXAMPLES.keys() == ACTIONS.keys()


def test_an_edited_page_is_stale(tmp_path, monkeypatch):
    for path, text in pages().items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    monkeypatch.setattr("reference.ROOT", tmp_path)
    assert stale() == []
    (tmp_path / FOLDER / "outputs.md").write_text("edited", encoding="utf-8")
    (tmp_path / FOLDER / "README.md").unlink()
    (tmp_path / FOLDER / "left-over.md").touch()
    assert [path.name for path in stale()] == ["README.md", "left-over.md", "outputs.md"]


@each_action
def test_the_example_names_what_the_emulator_holds(action):
    scenario = yaml.safe_load((ROOT / "provider/cloudretry/emulator/quickstart.yaml").read_text(encoding="utf-8"))
    text = json.dumps(scenario)
    assert check(action, EXAMPLES[action.token].inputs) == []
    for target in action.targets(action.inputs.model_validate(EXAMPLES[action.token].inputs)):
        assert f'"{target.key}"' in text or f": {target.key}," in text


@each_action
def test_the_python_snippet_declares_the_example(action):
    block = snippet(action, "python")
    declared = run(block.text, str(block))
    assert declared.inputs(action.token) == EXAMPLES[action.token].inputs
    assert declared.resources[0].name == EXAMPLES[action.token].resource


@each_action
def test_the_yaml_snippet_declares_the_example(action):
    (resource,) = yaml.safe_load(snippet(action, "yaml").text)["resources"].values()
    assert resource == {"type": action.token, "properties": EXAMPLES[action.token].inputs}


@each_action
def test_the_typescript_snippet_names_what_the_sdk_has(action):
    text = snippet(action, "typescript").text
    package = json.loads((ROOT / "sdk/nodejs/package.json").read_text(encoding="utf-8"))["name"]
    assert f'from "{package}"' in text
    (module, name) = re.search(r"new cloudretry\.(\w+)\.(\w+)\(", text).groups()
    source = (ROOT / f"sdk/nodejs/{module}/{name[0].lower()}{name[1:]}.ts").read_text(encoding="utf-8")
    arguments = source.split(f"interface {name}Args", 1)[1]
    for key in re.findall(r"^    (\w+):", text, re.MULTILINE):
        assert re.search(rf"^    {key}\??: ", arguments, re.MULTILINE), key


@each_action
def test_the_go_snippet_names_what_the_sdk_has(action):
    text = snippet(action, "go").text
    (module, function) = re.search(r"(\w+)\.(New\w+)\(ctx", text).groups()
    folder = ROOT / "sdk/go/cloudretry" / module
    source = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.go"))
    assert f"func {function}(" in source
    arguments = source.split(f"type {function.removeprefix('New')}Args struct {{", 1)[1].split("}\n")[0]
    for name in re.findall(r"^\t\t\t(\w+): ", text, re.MULTILINE):
        assert re.search(rf"^\t{name} ", arguments, re.MULTILINE), name
    for kind in re.findall(rf"(?<!New){module}\.(\w+)\b", text):
        assert re.search(rf"(type|func|^\t){{1}} *{kind}\b", source, re.MULTILINE), kind


@each_action
@pytest.mark.parametrize("located", [False, True], ids=["bare", "with its place"])
def test_the_import_id_names_the_example_again(action, located):
    shown = import_id(action, located=located)
    assert f"{EXAMPLES[action.token].resource} {shown}\n" in PAGE_OF[action.token].text
    place, container, keys = split_id(action, shown)
    assert bool(place) is located
    assert action.imported(container, keys) == EXAMPLES[action.token].targets


@each_action
def test_every_state_code_input_and_output_is_on_the_page(action):
    text = PAGE_OF[action.token].text
    resource = schema()["resources"][action.token]
    for word, state in action.states.items():
        assert f"| `{word}` | `{state.means.value}` | {'yes' if state.retryable else 'no'} | {state.text} |" in text
    for code, meaning in action.errors.items():
        assert re.search(rf"\| (`{re.escape(code)}`|HTTP {code}) \| {re.escape(meaning.text)} \|", text), code
    for name in resource["properties"]:
        assert f"\n| `{name}` |" in text, name


@each_action
def test_the_policy_grants_what_the_action_declares(action):
    policies = [json.loads(block.text) for block in PAGE_OF[action.token].blocks if block.language == "json"]
    granted = {name for policy in policies for item in policy["Statement"] for name in item["Action"]}
    assert granted == {permission.name for permission in action.permissions.values()}


@each_action
def test_each_call_has_a_permission_with_its_source_or_is_said_to_have_none(action):
    text = PAGE_OF[action.token].text
    _, _, section = text.partition("## Permissions")
    section, _, _ = section.partition("\n## ")
    for operation in (action.fires, action.looks):
        permission = action.permissions.get(operation.name)
        if permission is None:
            assert re.search(rf"name[sd]? (no|a) permission for [^\n]*{operation.name}", section), operation.name
        else:
            assert re.search(
                rf"\| {operation.name}, [^|]+ \| `{permission.name}` \| {re.escape(permission.source)} \|", section
            )


def test_what_is_deprecated_is_told_at_the_top_of_its_page():
    told = {token: PAGE_OF[token].text.partition("## Example")[0] for token in ACTIONS}
    assert "/v5/{project_id}/jobs/{job_id}/action" in told["cloudretry:drs:JobBatchRetry"]
    assert "retired" in told["cloudretry:modelarts:VisualizationJobRestart"]


def test_every_key_and_variable_of_the_configuration_is_on_its_page():
    text = Page(FOLDER / "configuration.md").text
    pairs = [name for rows in KEY_PAIRS.values() for row in rows for name in row.values()]
    for name in [*pairs, *(name for names in ENVIRONMENT.values() for name in names)]:
        assert f"`{name}`" in text
    for key in ENVIRONMENT:
        assert f"\n| `{key}`" in text


def test_exactly_the_secrets_of_the_configuration_are_marked():
    marked = set(re.findall(r"`([\w.]+)` 🔒", Page(FOLDER / "configuration.md").text))
    assert marked == {
        "huaweicloud.secretKey",
        "huaweicloud.securityToken",
        "huaweicloud.token",
        "huaweicloud.password",
        "huaweicloud.applicationCredentialSecret",
        "alicloud.secretKey",
        "alicloud.securityToken",
    }


def test_every_command_argument_and_option_is_on_the_page_of_the_command_line():
    sections = re.split(r"^## ", Page(FOLDER / "command-line.md").text, flags=re.MULTILINE)[1:]
    told = {re.match(r"`cloudretry ([^`]*)`", section)[1]: section for section in sections}

    def commands(group, *path):
        for name, command in group.commands.items():
            if isinstance(command, click.Group):
                yield from commands(command, *path, name)
            else:
                yield " ".join((*path, name)), command

    listed = dict(commands(main))
    assert told.keys() == listed.keys()
    for name, command in listed.items():
        for parameter in command.params:
            names = (
                parameter.opts if isinstance(parameter, click.Option) else [parameter.human_readable_name.strip("[].")]
            )
            assert all(f"`{one}`" in told[name] for one in names), (name, parameter.name)
            assert getattr(parameter, "help", None) is None or parameter.help in told[name]
