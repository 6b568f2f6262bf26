"""What a status call's answer says of a target."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudretry.actions import ACTIONS
from cloudretry.actions.ehpc_job import EhpcJobRerunInputs
from cloudretry.bounds import LONGEST_REQUEST_LINE, MOST_LISTED
from cloudretry.errors import CloudRefused, NoAnswer
from cloudretry.model import CloudError, FireOutcome, Observation, Place, Reply, Request, Target
from support import World
from support.samples import DRS, EHPC, POOL, SAMPLES, VISUALIZATION, WORKSPACE

PLACE = Place("eu-de", "p1", "holder")


def reply(body: Any, status: int = 200, code: str = "") -> Reply:
    error = CloudError(code, "words", status) if code or status >= 300 else None
    return Reply(status, body, json.dumps(body), "r-1", error=error)


def observe(token: str, key: str, *replies: Reply, handle: str = "") -> tuple[Observation, list[Request]]:
    asked: list[Request] = []

    def call(request: Request) -> Reply:
        asked.append(request)
        return replies[len(asked) - 1]

    return ACTIONS[token].observe(call, PLACE, [Target(key, handle)])[key], asked


# --- the state tables, as the clouds' documents have them ---

GOES_ON, GOOD, BAD, BAD_IF_IT_STAYS = "InProgress", "Succeeded", "Failed", "Failed after the grace"

STATES: dict[str, dict[str, str]] = {
    POOL: {
        "Enabling": GOES_ON,
        "Enabled": GOOD,
        "EnableFailed": BAD_IF_IT_STAYS,
        "Disabling": BAD,
        "Disabled": BAD,
    },
    VISUALIZATION: {
        "UNKNOWN": GOES_ON,
        "INIT": GOES_ON,
        "IMAGE_CREATING": GOES_ON,
        "IMAGE_FAILED": BAD_IF_IT_STAYS,
        "SUBMIT_TRYING": GOES_ON,
        "SUBMIT_FAILED": BAD_IF_IT_STAYS,
        "DELETE_FAILED": BAD,
        "WAITING": GOES_ON,
        "RUNNING": GOOD,
        "KILLING": BAD,
        "COMPLETED": BAD_IF_IT_STAYS,
        "FAILED": BAD_IF_IT_STAYS,
        "KILLED": BAD_IF_IT_STAYS,
        "CANCELED": BAD_IF_IT_STAYS,
        "LOST": BAD_IF_IT_STAYS,
        "SCALING": GOES_ON,
        "SUBMIT_MODEL_FAILED": BAD,
        "DEPLOY_SERVICE_FAILED": BAD,
        "CHECK_INIT": GOES_ON,
        "CHECK_RUNNING": GOES_ON,
        "CHECK_RUNNING_COMPLETED": GOES_ON,
        "CHECK_FAILED": BAD,
    },
    WORKSPACE: {
        "INIT": GOES_ON,
        "WAITING": GOES_ON,
        "RUNNING": GOES_ON,
        "SUCCESS": GOOD,
        "COMPLETE": GOOD,
        "FAIL": BAD_IF_IT_STAYS,
        "FAILED": BAD_IF_IT_STAYS,
    },
    DRS: {
        "CREATING": GOES_ON,
        "CREATE_FAILED": BAD,
        "CONFIGURATION": GOES_ON,
        "STARTJOBING": GOES_ON,
        "WAITING_FOR_START": GOES_ON,
        "START_JOB_FAILED": BAD_IF_IT_STAYS,
        "PAUSING": BAD_IF_IT_STAYS,
        "PAUSEING": BAD_IF_IT_STAYS,
        "FULL_TRANSFER_STARTED": GOOD,
        "FULL_TRANSFER_FAILED": BAD_IF_IT_STAYS,
        "FULL_TRANSFER_COMPLETE": GOOD,
        "INCRE_TRANSFER_STARTED": GOOD,
        "INCRE_TRANSFER_FAILED": BAD_IF_IT_STAYS,
        "RELEASE_RESOURCE_STARTED": BAD,
        "RELEASE_RESOURCE_FAILED": BAD,
        "RELEASE_RESOURCE_COMPLETE": BAD,
        "REBUILD_NODE_STARTED": GOES_ON,
        "REBUILD_NODE_FAILED": BAD,
        "CHANGE_JOB_STARTED": GOES_ON,
        "CHANGE_JOB_FAILED": BAD,
        "DELETED": BAD,
        "CHILD_TRANSFER_STARTING": GOES_ON,
        "CHILD_TRANSFER_STARTED": GOES_ON,
        "CHILD_TRANSFER_COMPLETE": GOES_ON,
        "CHILD_TRANSFER_FAILED": BAD_IF_IT_STAYS,
        "RELEASE_CHILD_TRANSFER_STARTED": GOES_ON,
        "RELEASE_CHILD_TRANSFER_COMPLETE": GOOD,
        "NODE_UPGRADE_START": GOES_ON,
        "NODE_UPGRADE_COMPLETE": BAD,
        "NODE_UPGRADE_FAILED": BAD,
    },
}

ROWS = [(token, word, verdict) for token, table in STATES.items() for word, verdict in table.items()]


@pytest.mark.parametrize(("token", "word", "verdict"), ROWS, ids=[f"{row[1]}-{row[2]}" for row in ROWS])
def test_a_state_after_a_fire_means_what_the_document_says(token: str, word: str, verdict: str) -> None:
    sample = next(sample for sample in SAMPLES if sample.token == token)
    world = sample.world([(word, 0)])
    started = world.clock.now()
    world.up(timeout=100)
    waited = world.clock.now() - started
    assert world["status"] == verdict.split()[0]
    assert {GOES_ON: waited >= 100, BAD_IF_IT_STAYS: 30 <= waited < 60}.get(verdict, waited < 1)


def test_every_state_of_the_tables_is_tried() -> None:
    for token, table in STATES.items():
        assert list(table) == list(ACTIONS[token].states)
    assert list(ACTIONS[EHPC].states) == ["QUEUED", "RUNNING", "FINISHED"]


RETRYABLE = {
    POOL: "EnableFailed",
    VISUALIZATION: "IMAGE_FAILED SUBMIT_FAILED COMPLETED FAILED KILLED CANCELED LOST",
    WORKSPACE: "FAIL FAILED",
    DRS: "START_JOB_FAILED PAUSING PAUSEING FULL_TRANSFER_FAILED INCRE_TRANSFER_FAILED CHILD_TRANSFER_FAILED",
    EHPC: "QUEUED RUNNING",
}


@pytest.mark.parametrize("token", list(RETRYABLE))
def test_a_retry_may_start_from_the_documented_states_only(token: str) -> None:
    retryable = [word for word, state in ACTIONS[token].states.items() if state.retryable]
    assert retryable == RETRYABLE[token].split()


# --- ModelArts ---


@pytest.mark.parametrize(("number", "word"), list(enumerate(ACTIONS[VISUALIZATION].states)))
def test_a_visualization_job_tells_its_state_by_number(number: int, word: str) -> None:
    seen, asked = observe(VISUALIZATION, "10", reply({"job_id": 10, "status": number}))
    assert seen.cloud_status == word
    assert asked[0].path == {"job_id": "10"}


def test_a_number_beyond_the_table_goes_on() -> None:
    seen, _ = observe(VISUALIZATION, "10", reply({"status": 99}))
    assert (seen.cloud_status, seen.means) == ("99", "InProgress")


def test_a_scope_is_read_from_its_pool_with_the_cause() -> None:
    scopes = [
        {"scopeType": "Train", "state": "Enabled"},
        {"scopeType": "Infer", "state": "EnableFailed", "message": "no quota"},
    ]
    seen, asked = observe(POOL, "Infer", reply({"status": {"scope": scopes}}))
    assert (seen.cloud_status, seen.message, seen.retryable) == ("EnableFailed", "no quota", True)
    assert asked[0].path == {"pool_name": "holder"}


def test_a_pool_without_the_scope_has_no_such_target() -> None:
    seen, _ = observe(POOL, "Infer", reply({"status": {"scope": []}}))
    assert seen.missing
    assert "does not offer this job type" in seen.message


@pytest.mark.parametrize("token", [POOL, VISUALIZATION, WORKSPACE])
def test_a_404_is_a_missing_target_unless_the_api_itself_is_missing(token: str) -> None:
    seen, _ = observe(token, "10", reply({}, 404, "ModelArts.50015001"))
    assert seen.missing
    with pytest.raises(CloudRefused, match=r"APIGW\.0101"):
        observe(token, "10", reply({}, 404, "APIGW.0101"))


# --- Workspace ---


def test_the_returned_task_is_asked_first_and_then_the_requested_one() -> None:
    seen, asked = observe(WORKSPACE, "old", reply({}, 404), reply({"status": "SUCCESS"}), handle="new")
    assert seen.cloud_status == "SUCCESS"
    assert [request.path["job_id"] for request in asked] == ["new", "old"]


def test_a_complete_task_with_a_failed_sub_task_has_failed() -> None:
    subs = [{"status": "SUCCESS"}, {"status": "FAILED", "fail_reason": "no address left"}]
    seen, _ = observe(WORKSPACE, "t", reply({"status": "COMPLETE", "sub_jobs": subs}))
    assert (seen.cloud_status, seen.message) == ("FAILED", "1 sub-task failed: no address left")


def test_a_failed_task_says_why() -> None:
    body = {"status": "FAIL", "fail_reason": "no AD", "job_error_code": "WKS.0042", "job_type": "applyWorkspace"}
    seen, _ = observe(WORKSPACE, "t", reply(body))
    assert (seen.message, seen.error_code, seen.retryable) == ("no AD", "WKS.0042", True)


@pytest.mark.parametrize(
    ("job_type", "retryable"), [("applyWorkspace", True), ("cancelWorkspace", True), ("createDesktops", False)]
)
def test_only_registration_and_deregistration_tasks_can_be_retried(job_type: str, retryable: bool) -> None:
    seen, _ = observe(WORKSPACE, "t", reply({"status": "FAILED", "job_type": job_type}))
    assert seen.retryable is retryable


def test_a_task_without_a_status_is_no_answer() -> None:
    with pytest.raises(NoAnswer):
        observe(WORKSPACE, "t", reply({"status": ""}))


# --- DRS ---


def test_a_status_call_asks_for_as_many_tasks_as_it_names() -> None:
    asked: list[Request] = []

    def call(request: Request) -> Reply:
        asked.append(request)
        return reply({"results": [{"id": f"jb{number}", "status": "STARTJOBING"} for number in range(7)]})

    targets = [Target(f"jb{number}") for number in range(7)]
    seen = ACTIONS[DRS].observe(call, PLACE, targets)
    assert len(seen) == 7
    assert asked[0].body == {"jobs": [target.key for target in targets], "page_req": {"cur_page": 1, "per_page": 7}}


def test_a_status_is_found_by_its_id_in_any_order_and_says_why() -> None:
    results = [
        {"id": "other", "status": "STARTJOBING"},
        {"id": "jb1", "status": "INCRE_TRANSFER_FAILED", "error_code": "DRS.1", "error_message": "source gone"},
    ]
    seen, _ = observe(DRS, "jb1", reply({"results": results}))
    assert (seen.cloud_status, seen.error_code, seen.message) == ("INCRE_TRANSFER_FAILED", "DRS.1", "source gone")


@pytest.mark.parametrize(
    "results", [[], [{"id": "jb1", "error_code": "DRS.M05003", "error_message": "does not exist"}]]
)
def test_a_task_without_a_status_is_missing(results: list[Any]) -> None:
    seen, _ = observe(DRS, "jb1", reply({"results": results}))
    assert seen.missing


@pytest.mark.parametrize(
    ("item", "outcome"),
    [
        ({"status": "success"}, FireOutcome.ACCEPTED),
        ({"status": "SUCCESS"}, FireOutcome.ACCEPTED),
        ({"status": "failed"}, FireOutcome.REJECTED),
        ({"error_code": "DRS.M00304"}, FireOutcome.REJECTED),
        ({}, FireOutcome.UNKNOWN),
        ({"status": "perhaps"}, FireOutcome.UNKNOWN),
    ],
)
def test_each_result_of_a_batch_has_its_own_outcome(item: dict[str, str], outcome: FireOutcome) -> None:
    answers = ACTIONS[DRS].read_reply(reply({"results": [{"id": "jb1", **item}]}), [Target("jb1")])
    assert answers["jb1"].outcome is outcome


# --- E-HPC ---


def job(number: int, **fields: str) -> dict[str, str]:
    return {
        "Id": f"{number}.s",
        "State": "RUNNING",
        "SubmitTime": "s",
        "StartTime": "b",
        "LastModifyTime": "l",
    } | fields


def jobs(*items: dict[str, str], total: int | None = None) -> Reply:
    return reply({"TotalCount": len(items) if total is None else total, "Jobs": {"JobInfo": list(items)}})


def test_jobs_are_paged_through_until_all_are_found() -> None:
    pages = [jobs(*(job(n) for n in range(50)), total=120), jobs(*(job(n) for n in range(50, 100)), total=120)]
    seen, asked = observe(EHPC, "70.s", *pages)
    assert seen.stamp == "s/b/l"
    assert [request.query for request in asked] == [
        {"ClusterId": "holder", "PageNumber": "1", "PageSize": "50"},
        {"ClusterId": "holder", "PageNumber": "2", "PageSize": "50"},
    ]


def test_paging_ends_at_the_last_page_or_at_an_empty_one() -> None:
    seen, asked = observe(EHPC, "999.s", jobs(job(1), total=2), jobs(job(2), total=2))
    assert (seen.missing, len(asked)) == (True, 2)
    seen, asked = observe(EHPC, "999.s", jobs(job(1), total=1000), jobs(total=1000))
    assert (seen.missing, len(asked)) == (True, 2)


@pytest.mark.parametrize("changed", ["SubmitTime", "StartTime", "LastModifyTime"])
def test_any_of_its_times_tells_a_rerun(changed: str) -> None:
    before, _ = observe(EHPC, "1.s", jobs(job(1)))
    after, _ = observe(EHPC, "1.s", jobs(job(1, **{changed: "new"})))
    assert before.stamp != after.stamp


def test_the_flat_form_of_a_job_list_is_read_as_well() -> None:
    seen, _ = observe(EHPC, "1.s", reply({"TotalCount": 1, "Jobs": [job(1)]}))
    assert seen.cloud_status == "RUNNING"


def test_a_list_without_a_count_is_no_answer_lest_later_pages_look_missing() -> None:
    with pytest.raises(NoAnswer):
        observe(EHPC, "1.s", reply({"Jobs": {"JobInfo": [job(2)]}}))


def test_ten_thousand_jobs_are_paged_through_once() -> None:
    world = World(EHPC, clusterId="c", jobIds=[f"{number}.s" for number in range(1000)])
    for number in range(1000):
        world.cloud.add(f"{number}.s", "RUNNING")
    world.up(wait=False)
    assert len(world.cloud.looks) == 20


# --- many visualization jobs ---


def visualization_jobs(*job_ids: int) -> Reply:
    return reply({"is_success": True, "jobs": [{"job_id": job_id, "status": 8} for job_id in job_ids]})


def observe_jobs(*job_ids: int, answers: Iterator[Reply]) -> tuple[dict[str, Observation], list[Request]]:
    asked: list[Request] = []

    def call(request: Request) -> Reply:
        asked.append(request)
        return next(answers)

    return ACTIONS[VISUALIZATION].observe(call, PLACE, [Target(str(job_id)) for job_id in job_ids]), asked


def test_many_visualization_jobs_are_looked_up_in_the_list_page_by_page_until_all_are_found() -> None:
    pages = (visualization_jobs(*range(first, first + 1000)) for first in itertools.count(0, 1000))
    seen, asked = observe_jobs(1, 2, 3, 1500, 1501, answers=pages)
    assert {one.cloud_status for one in seen.values()} == {"RUNNING"}
    assert [(request.operation.name, request.query["page"]) for request in asked] == [
        ("ListVisualizationJobs", "1"),
        ("ListVisualizationJobs", "2"),
    ]


def test_a_visualization_job_that_is_not_in_the_list_does_not_exist() -> None:
    seen, asked = observe_jobs(1, 2, 3, 4, 5, answers=iter([visualization_jobs(1, 2, 3, 5)]))
    assert [key for key, one in seen.items() if one.missing] == ["4"]
    assert len(asked) == 1


def test_a_few_visualization_jobs_are_looked_up_one_by_one() -> None:
    seen, asked = observe_jobs(1, 2, answers=itertools.repeat(reply({"job_id": 1, "status": 8})))
    assert [request.operation.name for request in asked] == ["ShowVisualizationJob"] * 2
    assert {one.cloud_status for one in seen.values()} == {"RUNNING"}


def test_where_the_list_is_forbidden_each_visualization_job_is_looked_up() -> None:
    answers = itertools.chain([reply({}, 403, "APIGW.0302")], itertools.repeat(reply({"job_id": 1, "status": 8})))
    seen, asked = observe_jobs(1, 2, 3, 4, 5, answers=answers)
    assert len(asked) == 1 + 5
    assert {one.cloud_status for one in seen.values()} == {"RUNNING"}


# --- anything at all ---

WORDS = st.sampled_from(
    [
        "status",
        "scope",
        "results",
        "Jobs",
        "JobInfo",
        "TotalCount",
        "scopeType",
        "state",
        "id",
        "job_id",
        "sub_jobs",
        "Id",
        "is_success",
        "RequestId",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers(-5, 100) | st.text(max_size=8) | st.sampled_from(["Infer", "10"])
BODIES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4))


def _only_no_answer(call: Callable[[], object]) -> None:
    with contextlib.suppress(NoAnswer, CloudRefused):
        call()


@settings(max_examples=300, deadline=None)
@given(token=st.sampled_from(list(ACTIONS)), body=BODIES)
def test_whatever_an_answer_holds_it_is_read_or_is_no_answer(token: str, body: Any) -> None:
    key = next(sample.key for sample in SAMPLES if sample.token == token)
    targets = [Target(key)]
    _only_no_answer(lambda: ACTIONS[token].observe(lambda _request: reply(body), PLACE, targets))
    _only_no_answer(lambda: ACTIONS[token].read_reply(reply(body), targets))


# --- lists that do not end, and words that do not ---


def asked_for_ever(token: str, key: str, page: Callable[[int], Any], status: int = 200) -> int:
    """How many pages are asked for before there is no answer."""
    numbers = itertools.count(1)

    with pytest.raises(NoAnswer):
        ACTIONS[token].observe(
            lambda _request: reply(page(next(numbers)), status), PLACE, [Target(key), *map(Target, "12345")]
        )
    return next(numbers) - 1


def ehpc_page(ids: Iterable[str], total: int = 10**9) -> dict[str, Any]:
    return {"TotalCount": total, "Jobs": {"JobInfo": [{"Id": one, "State": "RUNNING"} for one in ids]}}


def visualization_page(ids: Iterable[int]) -> dict[str, Any]:
    return {"jobs": [{"job_id": one, "status": 8} for one in ids]}


def test_a_list_that_ignores_the_page_number_is_asked_for_twice() -> None:
    assert asked_for_ever(EHPC, "9.s", lambda _page: ehpc_page(f"{n}.x" for n in range(50))) == 2
    assert asked_for_ever(VISUALIZATION, "9", lambda _page: visualization_page(range(100, 1100))) == 2


def test_a_list_without_end_is_left_after_fifty_thousand_entries() -> None:
    assert asked_for_ever(EHPC, "9.s", lambda page: ehpc_page([f"{page}.x"])) == MOST_LISTED / 50
    pages = asked_for_ever(VISUALIZATION, "9", lambda page: visualization_page(range(1000 * page, 1000 * page + 1000)))
    assert pages == MOST_LISTED / 1000


def test_a_list_that_says_a_number_of_jobs_and_has_none_ends() -> None:
    seen, asked = observe(EHPC, "9.s", reply(ehpc_page(["1.x"])), reply(ehpc_page([])))
    assert (seen.missing, len(asked)) == (True, 2)


def test_a_list_that_is_out_of_order_is_not_replaced_by_a_thousand_single_calls() -> None:
    asked: list[Request] = []

    def down(request: Request) -> Reply:
        asked.append(request)
        return reply({}, 503)

    with pytest.raises(CloudRefused):
        ACTIONS[VISUALIZATION].observe(down, PLACE, [Target(str(number)) for number in range(1000)])
    assert len(asked) == 1


ENDLESS = "word " * 100_000
OBSERVED: dict[str, Any] = {
    POOL: {"status": {"scope": [{"scopeType": "Infer", "state": ENDLESS, "message": ENDLESS}]}},
    VISUALIZATION: {"status": 11, "error_message": ENDLESS},
    WORKSPACE: {"status": "COMPLETE", "sub_jobs": [{"status": "FAILED", "fail_reason": ENDLESS}], "job_type": ENDLESS},
    DRS: {"results": [{"id": "jb1", "status": ENDLESS, "error_message": ENDLESS, "error_code": ENDLESS}]},
    EHPC: {"TotalCount": 1, "Jobs": {"JobInfo": [{"Id": "1.s", "State": ENDLESS, "SubmitTime": ENDLESS}]}},
}


@pytest.mark.parametrize("token", OBSERVED)
def test_an_observation_is_bounded(token: str) -> None:
    key = {POOL: "Infer", VISUALIZATION: "10", WORKSPACE: "ws", DRS: "jb1", EHPC: "1.s"}[token]
    seen, _ = observe(token, key, reply(OBSERVED[token]))
    assert len(seen.cloud_status) <= 128
    assert len(seen.error_code) <= 128
    assert len(seen.stamp) <= 400
    assert len(seen.message) <= 700


def test_an_answer_on_a_target_is_bounded() -> None:
    item = {"id": "jb1", "status": "failed", "error_code": ENDLESS, "error_msg": ENDLESS}
    answer = ACTIONS[DRS].read_reply(reply({"results": [item]}), [Target("jb1")])["jb1"]
    assert answer.error is not None
    assert (len(answer.error.code), len(answer.error.message)) == (128, 500)


@pytest.mark.parametrize("job_id", ["a" * 65, "a/b", "", " ", None, 7, ["a"], "é"])
def test_a_returned_job_id_that_is_none_leaves_a_workspace_fire_unknown(job_id: Any) -> None:
    with pytest.raises(NoAnswer, match="without a job_id"):
        ACTIONS[WORKSPACE].read_reply(reply({"job_id": job_id}), [Target("ws-1")])


def test_e_hpc_jobs_are_fired_in_groups_whose_request_line_is_not_too_long() -> None:
    action = ACTIONS[EHPC]

    def sizes(*keys: str) -> list[int]:
        groups = action.groups([Target(key) for key in keys])
        assert [target.key for group in groups for target in group] == list(keys)
        for group in groups:
            request = action.request(PLACE, group, EhpcJobRerunInputs(clusterId="c", jobIds=list(keys)))
            assert len(quote(request.query["Jobs"])) <= LONGEST_REQUEST_LINE + 10
        return [len(group) for group in groups]

    assert sizes(*(f"{number}.s" for number in range(201))) == [100, 100, 1]
    assert len(sizes(*(f"{number:03}{'x' * 125}" for number in range(100)))) == 3
    assert max(sizes(*(f"{number:03}{chr(0x1F600) * 125}" for number in range(7)))) == 2
    assert sizes() == []
