"""Alibaba Cloud's own SDKs against the emulator: tea (ACS3-HMAC-SHA256) and the older core (HMAC-SHA1)."""

from __future__ import annotations

import json

import pytest
from alibabacloud_ehpc20180412 import models
from alibabacloud_ehpc20180412.client import Client
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from alibabacloud_tea_openapi.models import Config
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.auth.credentials import AccessKeyCredential, StsTokenCredential
from aliyunsdkcore.client import AcsClient
from aliyunsdkehpc.request.v20180412.ListJobsRequest import ListJobsRequest
from aliyunsdkehpc.request.v20180412.RerunJobsRequest import RerunJobsRequest

from cloudretry.emulator import CREDENTIALS

CLUSTER = "ehpc-hz-1"

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")


def ids(*job_ids):
    return json.dumps([{"Id": job_id} for job_id in job_ids])


def tea(emulator, **changes):
    keys = {
        "access_key_id": CREDENTIALS.alicloud_access_key,
        "access_key_secret": CREDENTIALS.alicloud_secret_key,
    } | changes
    return Client(Config(endpoint=emulator.url.removeprefix("http://"), protocol="HTTP", **keys))


def older(access=CREDENTIALS.alicloud_access_key, secret=CREDENTIALS.alicloud_secret_key, token=None):
    credential = StsTokenCredential(access, secret, token) if token else AccessKeyCredential(access, secret)
    return AcsClient(region_id=CREDENTIALS.alicloud_region, credential=credential, auto_retry=False)


def ask(client, emulator, request, **parameters):
    for name, value in parameters.items():
        getattr(request, f"set_{name}")(value)
    request.set_endpoint(emulator.url.removeprefix("http://"))
    request.set_protocol_type("http")
    return json.loads(client.do_action_with_exception(request))


def test_tea_reruns_jobs(emulator):
    answer = tea(emulator).rerun_jobs(
        models.RerunJobsRequest(cluster_id=CLUSTER, jobs=ids("1.scheduler", "2.scheduler"), async_=True)
    )
    assert answer.status_code == 200
    assert answer.body.request_id
    assert [emulator.target(f"{CLUSTER}/{n}.scheduler").times_fired for n in (1, 2, 3)] == [1, 1, 0]
    (request,) = emulator.requests()
    assert request.query["Async"] == "True"


def test_tea_lists_ten_jobs_unless_told_otherwise(emulator):
    client = tea(emulator)
    body = client.list_jobs(models.ListJobsRequest(cluster_id=CLUSTER)).body
    assert (body.total_count, body.page_size, len(body.jobs.job_info)) == (13, 10, 10)
    job = body.jobs.job_info[0]
    assert (job.id, job.state, job.resources.cores) == ("1.scheduler", "RUNNING", 1)
    assert job.submit_time < job.start_time <= job.last_modify_time
    body = client.list_jobs(models.ListJobsRequest(cluster_id=CLUSTER, page_size=50)).body
    assert len(body.jobs.job_info) == 13
    body = client.list_jobs(models.ListJobsRequest(cluster_id=CLUSTER, state="finished")).body
    assert [job.id for job in body.jobs.job_info] == ["done.scheduler"]


def test_tea_reads_lists_with_filters_and_descriptions(emulator):
    client = tea(emulator)
    request = models.ListJobsWithFiltersRequest(cluster_id=CLUSTER, users=["root", "other"], job_status="finished")
    body = client.list_jobs_with_filters(request).body
    assert [(job.id, job.rerunable) for job in body.jobs] == [("done.scheduler", True)]
    body = client.describe_job(models.DescribeJobRequest(cluster_id=CLUSTER, job_id="1.scheduler")).body
    assert "1.scheduler" in json.loads(body.message.job_info)


@pytest.mark.parametrize(
    ("cluster", "jobs", "status", "code"),
    [
        (CLUSTER, ids("done.scheduler"), 406, "AgentError.Job.RerunFailure"),
        (CLUSTER, ids("1.scheduler", "done.scheduler"), 409, "PartFailure"),
        (CLUSTER, "1.scheduler", 400, "InvalidParams"),
        ("ehpc-none", ids("1.scheduler"), 404, "ClusterNotFound"),
    ],
)
def test_refusals_reach_both_sdks_with_their_codes(emulator, cluster, jobs, status, code):
    with pytest.raises(AlibabaCloudException) as caught:
        tea(emulator).rerun_jobs(models.RerunJobsRequest(cluster_id=cluster, jobs=jobs))
    assert (caught.value.status_code, caught.value.code) == (status, code)
    assert caught.value.request_id

    with pytest.raises(ServerException) as refused:
        ask(older(), emulator, RerunJobsRequest(), ClusterId=cluster, Jobs=jobs)
    assert (refused.value.get_http_status(), refused.value.get_error_code()) == (status, code)
    assert refused.value.get_request_id()


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"access_key_secret": "wrong"}, "SignatureDoesNotMatch"),
        ({"access_key_id": "LTAInobody"}, "InvalidAccessKeyId.NotFound"),
        (
            {
                "access_key_id": CREDENTIALS.alicloud_temporary_access_key,
                "access_key_secret": CREDENTIALS.alicloud_temporary_secret_key,
                "security_token": "wrong",
            },
            "InvalidSecurityToken.Malformed",
        ),
    ],
)
def test_tea_is_refused_with_wrong_keys(emulator, keys, code):
    with pytest.raises(AlibabaCloudException) as caught:
        tea(emulator, **keys).list_jobs(models.ListJobsRequest(cluster_id=CLUSTER))
    assert caught.value.code == code


def test_temporary_keys_serve_both_sdks(emulator):
    access, secret, token = (
        CREDENTIALS.alicloud_temporary_access_key,
        CREDENTIALS.alicloud_temporary_secret_key,
        CREDENTIALS.alicloud_security_token,
    )
    client = tea(emulator, access_key_id=access, access_key_secret=secret, security_token=token)
    assert client.list_jobs(models.ListJobsRequest(cluster_id=CLUSTER)).body.total_count == 13
    answer = ask(older(access, secret, token), emulator, ListJobsRequest(), ClusterId=CLUSTER)
    assert answer["TotalCount"] == 13


def test_the_older_sdk_reruns_and_lists_jobs(emulator):
    client = older()
    answer = ask(client, emulator, RerunJobsRequest(), ClusterId=CLUSTER, Jobs=ids("1.scheduler"), Async=True)
    assert list(answer) == ["RequestId"]
    answer = ask(client, emulator, ListJobsRequest(), ClusterId=CLUSTER)
    assert (answer["TotalCount"], len(answer["Jobs"]["JobInfo"])) == (13, 10)
    assert answer["Jobs"]["JobInfo"][0]["State"] == "QUEUED"
    assert emulator.requests()[0].query["SignatureMethod"] == "HMAC-SHA1"


def test_the_older_sdk_is_refused_with_wrong_keys(emulator):
    with pytest.raises(ServerException) as refused:
        ask(older(access="LTAInobody"), emulator, ListJobsRequest(), ClusterId=CLUSTER)
    assert refused.value.get_error_code() == "InvalidAccessKeyId.NotFound"
    with pytest.raises(ServerException) as refused:
        ask(older(secret="wrong"), emulator, ListJobsRequest(), ClusterId=CLUSTER)
    # The SDK compares what both sides signed, and finds that only the secret can be wrong.
    assert refused.value.get_error_code() == "InvalidAccessKeySecret"


def test_throttling_reaches_tea_with_its_code(emulator):
    body = {"Code": "Throttling.User", "Message": "Request was denied due to user flow control.", "RequestId": "r"}
    emulator.add_fault("RerunJobs", status=400, body=body)
    with pytest.raises(AlibabaCloudException) as caught:
        tea(emulator).rerun_jobs(models.RerunJobsRequest(cluster_id=CLUSTER, jobs=ids("1.scheduler")))
    assert caught.value.code == "Throttling.User"
    assert emulator.target(f"{CLUSTER}/1.scheduler").times_fired == 0
