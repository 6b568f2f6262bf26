"""Every fire and every status call through the clouds' own clients, with every kind of credential."""

from __future__ import annotations

import json
import warnings

import pytest
from alibabacloud_ehpc20180412 import models
from alibabacloud_ehpc20180412.client import Client as EhpcClient
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from alibabacloud_tea_openapi.models import Config
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.auth.credentials import AccessKeyCredential, StsTokenCredential
from aliyunsdkcore.client import AcsClient
from aliyunsdkehpc.request.v20180412.ListJobsRequest import ListJobsRequest
from aliyunsdkehpc.request.v20180412.RerunJobsRequest import RerunJobsRequest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.client import Client, ClientBuilder
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkdrs.v3 import (
    BatchListJobStatusRequest,
    BatchQueryJobReqPage,
    BatchRestoreTaskRequest,
    BatchRetryReq,
    DrsClient,
    RetryInfo,
)
from huaweicloudsdkmodelarts.v1 import ModelArtsClient, ShowPoolRequest
from huaweicloudsdkworkspace.v2 import (
    JobActionsReq,
    RunActionsOnWorkspaceJobRequest,
    ShowJobRequest,
    WorkspaceClient,
)
from keystoneauth1 import adapter, exceptions, session
from keystoneauth1.identity import v3

from cloudretry.actions import ACTIONS, OPERATIONS
from cloudretry.emulator import CREDENTIALS
from cloudretry.model import Cloud

FIRES = {action.fires.name for action in ACTIONS.values()}
POOL = "pool-dly-op-0c2098ebae80d3e22f31c011e23a97cd"
CLUSTER = "ehpc-hz-1"
JOBS = json.dumps([{"Id": "1.scheduler"}])

pytestmark = [
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Method .* of DrsClient is deprecated:DeprecationWarning"),
]


def huaweicloud_client(client, emulator, credentials):
    return client.new_builder().with_credentials(credentials).with_endpoints([emulator.url]).build()


def generic(method, path, body=None):
    """A call that no class of the SDK knows, through the SDK's own generic route."""

    def call(emulator, credentials):
        client = ClientBuilder(Client).with_credentials(credentials).with_endpoints([emulator.url]).build()
        parameters = {"project_id": CREDENTIALS.project_id}
        headers = {"Content-Type": "application/json"}
        request = client.build_future_request(method, path, parameters, [], headers, body, {}, None, None, {}, None)
        return client.get_http_client().do_request_sync(request.result())

    return call


def typed(client, method, request):
    def call(emulator, credentials):
        return getattr(huaweicloud_client(client, emulator, credentials), method)(request)

    return call


HUAWEICLOUD = {
    "RetryPoolScope": generic("POST", f"/v2/{{project_id}}/pools/{POOL}/retry-scope", {"scope": "Infer"}),
    "ShowPool": typed(ModelArtsClient, "show_pool", ShowPoolRequest(pool_name=POOL)),
    "RestartVisualizationJob": generic("POST", "/v1/{project_id}/visualization-jobs/10/restart"),
    "ShowVisualizationJob": generic("GET", "/v1/{project_id}/visualization-jobs/10"),
    "ListVisualizationJobs": generic("GET", "/v1/{project_id}/visualization-jobs"),
    "RunActionsOnWorkspaceJob": typed(
        WorkspaceClient,
        "run_actions_on_workspace_job",
        RunActionsOnWorkspaceJobRequest(job_id="failed", body=JobActionsReq(op_type="retry")),
    ),
    "ShowJob": typed(WorkspaceClient, "show_job", ShowJobRequest(job_id="failed")),
    "BatchRestoreTask": typed(
        DrsClient,
        "batch_restore_task",
        BatchRestoreTaskRequest(body=BatchRetryReq(jobs=[RetryInfo(job_id="jb1")])),
    ),
    "BatchListJobStatus": typed(
        DrsClient, "batch_list_job_status", BatchListJobStatusRequest(body=BatchQueryJobReqPage(jobs=["jb1"]))
    ),
}


def tea(method, request):
    def call(emulator, access, secret, token):
        keys = {"access_key_id": access, "access_key_secret": secret, "security_token": token}
        config = Config(endpoint=emulator.url.removeprefix("http://"), protocol="HTTP", **keys)
        return getattr(EhpcClient(config), method)(request)

    return call


def older(request_class, **parameters):
    def call(emulator, access, secret, token):
        credential = StsTokenCredential(access, secret, token) if token else AccessKeyCredential(access, secret)
        request = request_class()
        for name, value in parameters.items():
            getattr(request, f"set_{name}")(value)
        request.set_endpoint(emulator.url.removeprefix("http://"))
        request.set_protocol_type("http")
        client = AcsClient(region_id=CREDENTIALS.alicloud_region, credential=credential, auto_retry=False)
        return json.loads(client.do_action_with_exception(request))

    return call


ALICLOUD = {
    "ACS3-HMAC-SHA256": {
        "RerunJobs": tea("rerun_jobs", models.RerunJobsRequest(cluster_id=CLUSTER, jobs=JOBS)),
        "ListJobs": tea("list_jobs", models.ListJobsRequest(cluster_id=CLUSTER)),
    },
    "HMAC-SHA1": {
        "RerunJobs": older(RerunJobsRequest, ClusterId=CLUSTER, Jobs=JOBS),
        "ListJobs": older(ListJobsRequest, ClusterId=CLUSTER),
    },
}


def fired(emulator):
    return sum(target.times_fired for target in emulator.targets())


def test_every_call_that_the_actions_make_is_here():
    assert HUAWEICLOUD.keys() | ALICLOUD["HMAC-SHA1"].keys() == OPERATIONS.keys()
    assert ALICLOUD["HMAC-SHA1"].keys() == ALICLOUD["ACS3-HMAC-SHA256"].keys()


@pytest.mark.parametrize("operation", HUAWEICLOUD)
@pytest.mark.parametrize("kind", ["permanent", "temporary"])
def test_a_good_key_of_huawei_cloud_is_let_in(emulator, operation, kind):
    credentials = BasicCredentials(CREDENTIALS.access_key, CREDENTIALS.secret_key, CREDENTIALS.project_id)
    if kind == "temporary":
        credentials = BasicCredentials(
            CREDENTIALS.temporary_access_key, CREDENTIALS.temporary_secret_key, CREDENTIALS.project_id
        ).with_security_token(CREDENTIALS.security_token)
    assert HUAWEICLOUD[operation](emulator, credentials).status_code == 200
    assert [record.operation for record in emulator.requests()] == [operation]
    assert fired(emulator) == (1 if operation in FIRES else 0)


@pytest.mark.parametrize("operation", HUAWEICLOUD)
@pytest.mark.parametrize(
    ("access", "secret", "token", "words"),
    [
        (CREDENTIALS.access_key, "wrong", None, "verify aksk signature fail"),
        ("NOBODY", CREDENTIALS.secret_key, None, "ak not exist"),
        (CREDENTIALS.temporary_access_key, CREDENTIALS.temporary_secret_key, None, "decrypt security token fail"),
        (CREDENTIALS.temporary_access_key, CREDENTIALS.temporary_secret_key, "wrong", "decrypt security token fail"),
    ],
)
def test_a_wrong_key_of_huawei_cloud_is_refused_without_an_effect(emulator, operation, access, secret, token, words):
    credentials = BasicCredentials(access, secret, CREDENTIALS.project_id)
    if token:
        credentials = credentials.with_security_token(token)
    with pytest.raises(ClientRequestException) as caught:
        HUAWEICLOUD[operation](emulator, credentials)
    assert (caught.value.status_code, caught.value.error_code) == (401, "APIGW.0301")
    assert words in caught.value.error_msg
    assert fired(emulator) == 0


def sample(operation):
    """The call as the documents show it, for a client that knows none of them."""
    paths = {"pool_name": POOL, "job_id": "failed" if operation.service == "workspace" else "10"}
    bodies = {
        "RetryPoolScope": {"scope": "Infer"},
        "RunActionsOnWorkspaceJob": {"op_type": "retry"},
        "BatchRestoreTask": {"jobs": [{"job_id": "jb1"}]},
        "BatchListJobStatus": {"jobs": ["jb1"]},
    }
    return operation.path.format(project_id=CREDENTIALS.project_id, **paths), bodies.get(operation.name)


@pytest.fixture
def keystone(emulator):
    opened = []

    def connect(**changes):
        given = {
            "username": CREDENTIALS.user_name,
            "password": CREDENTIALS.password,
            "user_domain_name": CREDENTIALS.domain_name,
            "project_name": CREDENTIALS.project_name,
            "project_domain_name": CREDENTIALS.domain_name,
        } | changes
        opened.append(session.Session(auth=v3.Password(f"{emulator.url}/v3", **given)))
        return adapter.Adapter(opened[-1], endpoint_override=emulator.url)

    yield connect
    for one in opened:
        one.session.close()


@pytest.mark.parametrize("name", HUAWEICLOUD)
def test_a_token_by_password_is_let_in(emulator, keystone, name):
    operation = OPERATIONS[name]
    path, body = sample(operation)
    assert keystone().request(path, operation.method, json=body).status_code == 200
    assert fired(emulator) == (1 if name in FIRES else 0)


@pytest.mark.parametrize("name", HUAWEICLOUD)
def test_a_token_that_is_not_one_is_refused(emulator, keystone, name):
    operation = OPERATIONS[name]
    path, body = sample(operation)
    with pytest.raises(exceptions.Unauthorized):
        keystone(password="wrong").request(path, operation.method, json=body)
    client = keystone()
    client.auth = None
    answer = client.request(
        path, operation.method, json=body, headers={"X-Auth-Token": "wrong"}, authenticated=False, raise_exc=False
    )
    assert (answer.status_code, answer.json()["error_code"]) == (401, "APIGW.0301")
    assert fired(emulator) == 0


@pytest.mark.parametrize("scheme", ALICLOUD)
@pytest.mark.parametrize("operation", ["RerunJobs", "ListJobs"])
@pytest.mark.parametrize(
    ("access", "secret", "token"),
    [
        (CREDENTIALS.alicloud_access_key, CREDENTIALS.alicloud_secret_key, None),
        (
            CREDENTIALS.alicloud_temporary_access_key,
            CREDENTIALS.alicloud_temporary_secret_key,
            CREDENTIALS.alicloud_security_token,
        ),
    ],
    ids=["permanent", "temporary"],
)
def test_a_good_key_of_alibaba_cloud_is_let_in(emulator, scheme, operation, access, secret, token):
    ALICLOUD[scheme][operation](emulator, access, secret, token)
    assert [(record.operation, record.status) for record in emulator.requests()] == [(operation, 200)]
    assert fired(emulator) == (1 if operation in FIRES else 0)


@pytest.mark.parametrize("scheme", ALICLOUD)
@pytest.mark.parametrize("operation", ["RerunJobs", "ListJobs"])
@pytest.mark.parametrize(
    ("access", "secret", "token", "codes"),
    [
        # The older SDK compares what both sides signed, and blames the secret by itself.
        (
            CREDENTIALS.alicloud_access_key,
            "wrong",
            None,
            {"SignatureDoesNotMatch", "InvalidAccessKeySecret"},
        ),
        ("LTAInobody", CREDENTIALS.alicloud_secret_key, None, {"InvalidAccessKeyId.NotFound"}),
        (
            CREDENTIALS.alicloud_temporary_access_key,
            CREDENTIALS.alicloud_temporary_secret_key,
            None,
            {"MissingSecurityToken"},
        ),
        (
            CREDENTIALS.alicloud_temporary_access_key,
            CREDENTIALS.alicloud_temporary_secret_key,
            "wrong",
            {"InvalidSecurityToken.Malformed"},
        ),
    ],
    ids=["wrong secret", "nobody", "no token", "wrong token"],
)
def test_a_wrong_key_of_alibaba_cloud_is_refused_without_an_effect(
    emulator, scheme, operation, access, secret, token, codes
):
    with pytest.raises((AlibabaCloudException, ServerException)) as caught:
        ALICLOUD[scheme][operation](emulator, access, secret, token)
    refused = caught.value
    assert (refused.get_error_code() if isinstance(refused, ServerException) else refused.code) in codes
    assert fired(emulator) == 0


def test_a_batch_status_shows_five_and_a_list_of_jobs_ten_unless_told_otherwise(emulator):
    credentials = BasicCredentials(CREDENTIALS.access_key, CREDENTIALS.secret_key, CREDENTIALS.project_id)
    ids = [f"jb{n}" for n in range(1, 8)]
    body = BatchQueryJobReqPage(jobs=ids)
    drs = huaweicloud_client(DrsClient, emulator, credentials)
    answer = drs.batch_list_job_status(BatchListJobStatusRequest(body=body))
    assert ([result.id for result in answer.results], answer.count) == (ids[:5], 7)
    keys = (CREDENTIALS.alicloud_access_key, CREDENTIALS.alicloud_secret_key, None)
    jobs = ALICLOUD["ACS3-HMAC-SHA256"]["ListJobs"](emulator, *keys).body
    assert (len(jobs.jobs.job_info), jobs.total_count, jobs.page_number, jobs.page_size) == (10, 13, 1, 10)
    listed = ALICLOUD["HMAC-SHA1"]["ListJobs"](emulator, *keys)
    assert (len(listed["Jobs"]["JobInfo"]), listed["TotalCount"]) == (10, 13)


def test_the_drs_sdk_says_that_the_call_is_deprecated(emulator):
    credentials = BasicCredentials(CREDENTIALS.access_key, CREDENTIALS.secret_key, CREDENTIALS.project_id)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        HUAWEICLOUD["BatchRestoreTask"](emulator, credentials)
    assert any("batch_restore_task" in str(one.message) for one in told)
    (action,) = (one for one in ACTIONS.values() if one.fires.name == "BatchRestoreTask")
    assert action.cloud is Cloud.HUAWEICLOUD
    assert action.deprecation
