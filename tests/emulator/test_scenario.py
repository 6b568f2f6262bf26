from __future__ import annotations

import pytest

from cloudretry.emulator import CREDENTIALS, Emulator, ScenarioError
from cloudretry.emulator.scenario import Scenario, parse_document


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"drsjobs": []}, "scenario: drsjobs: Extra inputs are not permitted"),
        ({"drsJobs": [{"id": "a"}]}, "scenario: drsJobs[0].state: Field required"),
        (
            {"drsJobs": [{"id": "a", "state": "BROKEN"}]},
            "scenario: drsJobs[0].state: 'BROKEN' is not a documented state; use one of CREATING,",
        ),
        (
            {"drsJobs": [{"id": "a", "state": "CREATING", "afterRetry": [[["DONE", 1]]]}]},
            "scenario: drsJobs[0].afterRetry[0][0]: 'DONE' is not a documented state",
        ),
        (
            {"drsJobs": [{"id": "a", "state": "CREATING", "drift": [["DONE", 1]]}]},
            "scenario: drsJobs[0].drift[0]: 'DONE' is not a documented state",
        ),
        (
            {"visualizationJobs": [{"id": 1, "state": 22}]},
            "scenario: visualizationJobs[0].state: '22' is not a documented state; use one of UNKNOWN,",
        ),
        (
            {"drsJobs": [{"id": "a", "state": "CREATING", "afterRetry": [["CREATING", 2], ["CREATING", 1]]}]},
            "afterRetry[0]: the seconds must not go backwards",
        ),
        (
            {"drsJobs": [{"id": "a", "state": "CREATING", "afterRetry": [["CREATING", -1]]}]},
            "greater than or equal to 0",
        ),
        ({"drsJobs": [{"state": "CREATING"}]}, "give either an id, or a count"),
        ({"drsJobs": [{"state": "CREATING", "id": "a", "count": 2}]}, "give either an id, or a count"),
        ({"drsJobs": [{"state": "CREATING", "id": "a", "idFormat": "{n}"}]}, "idFormat goes with count"),
        (
            {"drsJobs": [{"state": "CREATING", "count": 2, "idFormat": "jb"}]},
            "idFormat 'jb' gives every job the same id",
        ),
        ({"drsJobs": [{"state": "CREATING", "count": 2, "idFormat": "{x}"}]}, "idFormat '{x}' may only name {n}"),
        (
            {"drsJobs": [{"state": "CREATING", "id": "jb2"}, {"state": "CREATING", "count": 2, "idFormat": "jb{n}"}]},
            "scenario: drsJobs[1]: jb2 is there twice",
        ),
        (
            {"pools": [{"name": "p"}, {"name": "p", "project": CREDENTIALS.project_name}]},
            "scenario: pools[1]: p is there twice",
        ),
        ({"clusters": [{"id": "c"}, {"id": "c"}]}, "scenario: clusters[1]: c is there twice"),
        ({"visualizationJobs": [{"id": "ten", "state": 11}]}, "visualizationJobs[0].id: 'ten' is not a number"),
        (
            {"drsJobs": [{"id": "a", "state": "CREATING", "project": "none"}]},
            "scenario: drsJobs[0].project: 'none' is none of the projects eu-de",
        ),
        ({"visualizationRefusalStatus": 404}, "scenario: visualizationRefusalStatus: Input should be 200 or 400"),
    ],
)
def test_a_wrong_scenario_is_explained_by_its_path(document, words):
    with pytest.raises(ScenarioError) as caught:
        Emulator(document)
    assert words in str(caught.value)


def test_every_problem_is_told_at_once():
    with pytest.raises(ScenarioError) as caught:
        Scenario.parse({"drsJobs": [{"id": "a", "state": "ODD"}, {"id": "b", "state": "ODDER"}]}, "mine.yaml")
    first, second = str(caught.value).splitlines()
    assert first.startswith("mine.yaml: drsJobs[0].state: 'ODD'")
    assert second.startswith("mine.yaml: drsJobs[1].state: 'ODDER'")


@pytest.mark.parametrize(("text", "words"), [("a: [", "not YAML"), ("- a", "must be a mapping"), ("7", "must be")])
def test_a_document_that_is_no_mapping_is_explained(text, words):
    with pytest.raises(ScenarioError, match=words):
        parse_document(text, "mine.yaml")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ScenarioError, match=r"none\.yaml: cannot be read"):
        Scenario.read(tmp_path / "none.yaml")


def test_states_that_no_document_lists_can_be_allowed(emulator, huaweicloud):
    emulator.set_scenario({"unknownStates": True, "drsJobs": [{"id": "a", "state": "SHINY_NEW"}]})
    assert huaweicloud.drs_states("a") == ["SHINY_NEW"]


def test_a_visualization_state_is_a_name_or_a_number(emulator):
    emulator.set_scenario({"visualizationJobs": [{"id": 1, "state": 11}, {"id": "2", "state": "FAILED"}]})
    assert [(target.id, target.state) for target in emulator.targets()] == [("1", "11"), ("2", "11")]


def test_one_entry_can_stand_for_ten_thousand_jobs(emulator, huaweicloud):
    emulator.set_scenario({"drsJobs": [{"count": 10_000, "first": 5, "idFormat": "jb{n:05d}", "state": "CREATING"}]})
    assert len(emulator.targets()) == 10_000
    assert huaweicloud.drs_states("jb00004", "jb00005", "jb10004", "jb10005") == [None, "CREATING", "CREATING", None]


def test_each_kind_of_job_has_ids_of_its_own_form(emulator):
    emulator.set_scenario(
        {
            "visualizationJobs": [{"count": 1, "state": 11}],
            "workspaceJobs": [{"count": 1, "state": "FAILED"}],
            "drsJobs": [{"count": 1, "state": "CREATING"}],
            "clusters": [{"id": "c", "jobs": [{"count": 1, "state": "RUNNING"}]}],
        }
    )
    assert {target.kind: target.id for target in emulator.targets()} == {
        "visualizationJob": "1",
        "workspaceJob": "6783cecb-0e5c-4521-a3ea-000000000001",
        "drsJob": "140b5236-88ad-43c8-811c-0000001jb101",
        "ehpcJob": "c/1.scheduler",
    }


def test_the_same_id_in_two_projects_is_two_targets(emulator, huaweicloud):
    job = {"id": "jb1", "state": "FULL_TRANSFER_FAILED"}
    emulator.set_scenario(
        {"projects": [{"id": "f" * 32, "name": "other"}], "drsJobs": [job, job | {"project": "other"}]}
    )
    assert huaweicloud.retry_drs("jb1").ok
    assert {target.project: target.times_fired for target in emulator.targets()} == {
        CREDENTIALS.project_id: 1,
        "f" * 32: 0,
    }
    assert emulator.target("jb1", project="f" * 32).times_fired == 0


def test_an_empty_scenario_has_no_targets(emulator):
    emulator.set_scenario({})
    assert emulator.targets() == []
