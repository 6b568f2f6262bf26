"""Two resources of one program on one target are reported before anything is fired."""

from __future__ import annotations

from typing import Any

import pytest

from cloudretry.actions import ACTIONS
from cloudretry.inputs import UNKNOWN
from cloudretry.lifecycle import NOWHERE, Claims
from cloudretry.model import Place

DRS = ACTIONS["cloudretry:drs:JobBatchRetry"]
EHPC = ACTIONS["cloudretry:ehpc:JobRerun"]
POOL = ACTIONS["cloudretry:modelarts:PoolScopeRetry"]


def jobs(*keys: Any, **others: Any) -> dict[str, Any]:
    return {"jobs": [{"jobId": key} for key in keys], **others}


def test_a_target_of_two_resources_is_reported_with_its_path_and_the_other_one() -> None:
    claims = Claims()
    assert claims.take("urn:a", DRS, jobs("jb1", "jb2"), NOWHERE) == []
    (problem,) = claims.take("urn:b", DRS, jobs("jb3", "jb2"), NOWHERE)
    assert problem.path == "jobs[1].jobId"
    assert "urn:a" in problem.reason


def test_a_resource_may_name_its_own_targets_again() -> None:
    claims = Claims()
    for _ in range(2):
        assert claims.take("urn:a", DRS, jobs("jb1"), NOWHERE) == []


def test_a_target_that_a_resource_gave_up_is_free() -> None:
    claims = Claims()
    claims.take("urn:a", DRS, jobs("jb1"), NOWHERE)
    claims.take("urn:a", DRS, jobs("jb2"), NOWHERE)
    assert claims.take("urn:b", DRS, jobs("jb1"), NOWHERE) == []


@pytest.mark.parametrize(
    ("action", "first", "second"),
    [
        (DRS, jobs("jb1", region="eu-de"), jobs("jb1", region="eu-nl")),
        (DRS, jobs("jb1", projectId="p1"), jobs("jb1", projectId="p2")),
        (EHPC, {"clusterId": "c1", "jobIds": ["1"]}, {"clusterId": "c2", "jobIds": ["1"]}),
        (POOL, {"poolName": "pool-a", "scope": "Infer"}, {"poolName": "pool-a", "scope": "Train"}),
        (POOL, {"poolName": "pool-a", "scope": "Infer"}, {"poolName": "pool-b", "scope": "Infer"}),
        (POOL, {"poolName": "pool-a", "scope": "Infer"}, {"poolName": UNKNOWN, "scope": "Infer"}),
        (DRS, jobs("jb1"), jobs(UNKNOWN)),
    ],
)
def test_targets_that_differ_in_anything_are_not_the_same(
    action: Any, first: dict[str, Any], second: dict[str, Any]
) -> None:
    claims = Claims()
    assert claims.take("urn:a", action, first, NOWHERE) == []
    assert claims.take("urn:b", action, second, NOWHERE) == []


def test_the_same_scope_of_the_same_pool_is_one_target() -> None:
    claims = Claims()
    scope = {"poolName": "pool-a", "scope": "Infer"}
    claims.take("urn:a", POOL, scope, NOWHERE)
    assert [problem.path for problem in claims.take("urn:b", POOL, scope, NOWHERE)] == ["scope"]


@pytest.mark.parametrize(
    "written", [{}, {"region": "eu-nl"}, {"region": "eu-nl", "projectId": "p1"}, {"projectId": "p1"}]
)
def test_a_place_that_is_written_out_here_and_inherited_there_is_the_same(written: dict[str, str]) -> None:
    claims, inherited = Claims(), Place("eu-nl", "p1")
    assert claims.take("urn:a", DRS, jobs("jb1"), inherited) == []
    assert [problem.path for problem in claims.take("urn:b", DRS, jobs("jb1", **written), inherited)] == [
        "jobs[0].jobId"
    ]


def test_the_inherited_project_is_not_that_of_another_region() -> None:
    claims, inherited = Claims(), Place("eu-nl", "p1")
    assert claims.take("urn:a", DRS, jobs("jb1"), inherited) == []
    assert claims.take("urn:b", DRS, jobs("jb1", region="eu-de"), inherited) == []
