"""`cloudretry actions`: what there is to fire, and how it is named."""

from __future__ import annotations

import re

import pytest
from command_line import CommandLine

from cloudretry.actions import ACTIONS
from cloudretry.cli.parameters import by_hand, target_form
from cloudretry.inputs import check
from cloudretry.schema import schema

each_action = pytest.mark.parametrize("action", ACTIONS.values(), ids=lambda action: action.name)


def test_every_action_is_on_a_line_of_its_own(alone: CommandLine) -> None:
    done = alone("actions")
    assert (done.code, done.err) == (0, "")
    heads, *rows = (re.split(" {2,}", line) for line in done.out.splitlines())
    assert heads == ["ACTION", "FIRES", "TARGET", "WAITING ENDS WHEN"]
    assert [row[0] for row in rows] == [token.removeprefix("cloudretry:") for token in ACTIONS]
    assert ["drs:JobBatchRetry", "DRS batch retry", "jobId", "the transfer runs or is complete"] in rows


def test_with_json_every_action_has_the_inputs_of_the_schema(alone: CommandLine) -> None:
    told = {action["token"]: action for action in alone("actions", "--json").json}
    assert told.keys() == ACTIONS.keys()
    for token, action in told.items():
        described = schema()["resources"][token]
        named = {item["name"]: item for item in action["inputs"] if "[]" not in item["name"]}
        assert named.keys() == described["inputProperties"].keys()
        assert {name for name, item in named.items() if item["required"]} == set(described["requiredInputs"])
        assert action["fires"]["name"] == ACTIONS[token].fires.name


@pytest.mark.parametrize("name", ["drs:JobBatchRetry", "cloudretry:drs:jobbatchretry", "JOBBATCHRETRY"])
def test_an_action_is_shown_by_any_form_of_its_name(alone: CommandLine, name: str) -> None:
    done = alone.inside("actions", name)
    assert done.code == 0
    assert done.out.startswith("cloudretry:drs:JobBatchRetry: DRS batch retry\n")
    for words in (
        "Fires BatchRestoreTask: POST /v3/{project_id}/jobs/batch-retry-task, up to 10 in one request\n",
        "TARGET is jobId (any number)\n",
        "Note: Huawei Cloud no longer promotes this v3 call.",
    ):
        assert words in done.out
    assert re.search(r"^jobs\[\]\.jobId +string +\(required\) +Id of the task\.$", done.out, re.MULTILINE)
    assert re.search(r"^fireWhen +always or retryable +always ", done.out, re.MULTILINE)


def test_an_unknown_action_is_answered_with_the_nearest_or_with_all(alone: CommandLine) -> None:
    assert "did you mean ehpc:JobRerun?" in alone.inside("actions", "ehpc:JobRerunn", "--json").problem
    done = alone("actions", "something")
    assert (done.code, done.out) == (2, "")
    assert all(token.removeprefix("cloudretry:") in done.err for token in ACTIONS)


def test_on_a_narrow_terminal_nothing_is_left_out(alone: CommandLine) -> None:
    for columns in (70, 50):
        terminal = alone.terminal("actions", columns=columns)
        assert terminal.end() == 0
        heads = next(line for line in terminal.screen.splitlines() if line.startswith(" action"))
        first_column = "".join(line[: heads.index("fires")].strip() for line in terminal.screen.splitlines())
        for token in ACTIONS:
            assert token.removeprefix("cloudretry:") in first_column
        assert "…" not in terminal.screen
        whole = "modelarts:VisualizationJobRestart" in terminal.screen
        assert whole == (columns == 70)


@each_action
def test_the_form_of_a_target_is_what_the_inputs_are_named(action) -> None:  # type: ignore[no-untyped-def]
    typed = target_form(action)
    container, _, key = typed.rpartition(":")
    named = by_hand(action, ["pool-a:Infer" if container == "poolName" else typed.replace(key, "1")])
    assert (action.container_property or "") == container
    assert check(action, named) == []
