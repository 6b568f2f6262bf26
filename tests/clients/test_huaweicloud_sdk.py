"""huaweicloudsdk* against the emulator: these SDKs sign, build and read everything by themselves."""

from __future__ import annotations

import json

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials, GlobalCredentials
from huaweicloudsdkcore.client import Client, ClientBuilder
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkdrs.v3 import (
    BatchListJobDetailsRequest,
    BatchListJobStatusRequest,
    BatchQueryJobReqPage,
    BatchRestoreTaskRequest,
    BatchRetryReq,
    DrsClient,
    PageReq,
    RetryInfo,
)
from huaweicloudsdkiam.v3 import (
    AuthScope,
    AuthScopeProject,
    CreateTemporaryAccessKeyByTokenRequest,
    CreateTemporaryAccessKeyByTokenRequestBody,
    IamClient,
    IdentityToken,
    KeystoneCreateUserTokenByPasswordRequest,
    KeystoneCreateUserTokenByPasswordRequestBody,
    KeystoneListAuthDomainsRequest,
    KeystoneListProjectsRequest,
    PwdAuth,
    PwdIdentity,
    PwdPassword,
    PwdPasswordUser,
    PwdPasswordUserDomain,
    TokenAuth,
    TokenAuthIdentity,
)
from huaweicloudsdkmodelarts.v1 import ListPoolsRequest, ModelArtsClient, ShowPoolRequest
from huaweicloudsdkworkspace.v2 import (
    JobActionsReq,
    ListItaSubJobsRequest,
    RunActionsOnWorkspaceJobRequest,
    ShowJobRequest,
    WorkspaceClient,
)

from cloudretry.emulator import CREDENTIALS

POOL = "pool-dly-op-0c2098ebae80d3e22f31c011e23a97cd"

pytestmark = [
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Method .* of DrsClient is deprecated:DeprecationWarning"),
]


def permanent():
    return BasicCredentials(CREDENTIALS.access_key, CREDENTIALS.secret_key, CREDENTIALS.project_id)


def connect(client, emulator, credentials=None):
    builder = client.new_builder().with_credentials(credentials or permanent())
    return builder.with_endpoints([emulator.url]).build()


def retry(drs, *jobs, language=None):
    body = BatchRetryReq(jobs=[RetryInfo(job_id=job, is_sync_re_edit=re_edit) for job, re_edit in jobs])
    return drs.batch_restore_task(BatchRestoreTaskRequest(x_language=language, body=body))


def status(drs, *ids, page=None):
    body = BatchQueryJobReqPage(jobs=list(ids), page_req=page)
    return drs.batch_list_job_status(BatchListJobStatusRequest(body=body))


def call_any(emulator, method, path, body=None):
    """A call that no SDK class knows, through the SDK's own generic route."""
    client = ClientBuilder(Client).with_credentials(permanent()).with_endpoints([emulator.url]).build()
    path_params = {"project_id": CREDENTIALS.project_id}
    headers = {"Content-Type": "application/json"}
    future = client.build_future_request(method, path, path_params, [], headers, body, {}, None, None, {}, None)
    return client.get_http_client().do_request_sync(future.result())


def test_drs_retries_report_each_job(emulator):
    answer = retry(
        connect(DrsClient, emulator), ("jb1", None), ("jb2", True), ("paused", None), ("started", None), ("x", None)
    )

    assert answer.status_code == 200
    assert answer.count == 5
    assert [(result.id, result.status, result.error_code) for result in answer.results] == [
        ("jb1", "success", None),
        ("jb2", "success", None),
        ("paused", "success", None),
        ("started", "failed", "DRS.M00304"),
        ("x", "failed", "DRS.M05003"),
    ]
    assert answer.results[4].error_msg == "The task x does not exist."
    assert sum(record.effects for record in emulator.requests()) == 3


def test_drs_answers_in_the_language_that_the_sdk_asks_for(emulator):
    answer = retry(connect(DrsClient, emulator), ("x", None), language="zh-cn")
    assert answer.results[0].error_msg == "任务x不存在。"


def test_drs_refuses_a_bad_batch_with_its_own_code(emulator):
    with pytest.raises(ClientRequestException) as caught:
        retry(connect(DrsClient, emulator), ("jb1", None), ("jb1", None))
    assert (caught.value.status_code, caught.value.error_code) == (400, "DRS.M00301")
    assert caught.value.request_id


def test_drs_status_shows_five_jobs_unless_a_page_is_asked_for(emulator):
    drs = connect(DrsClient, emulator)
    ids = [f"jb{n}" for n in range(1, 8)]
    answer = status(drs, *ids)
    assert (answer.count, len(answer.results)) == (7, 5)
    assert {result.status for result in answer.results} == {"FULL_TRANSFER_FAILED"}
    assert len(status(drs, *ids, page=PageReq(cur_page=2, per_page=5)).results) == 2
    assert len(status(drs, *ids, page=PageReq(cur_page=1, per_page=0)).results) == 7


def test_drs_details_are_what_the_sdk_expects(emulator):
    body = BatchQueryJobReqPage(jobs=["jb1"])
    (job,) = connect(DrsClient, emulator).batch_list_job_details(BatchListJobDetailsRequest(body=body)).results
    assert (job.id, job.status, job.db_use_type) == ("jb1", "FULL_TRANSFER_FAILED", "sync")
    assert job.failed_reason == "The transfer has failed."


def test_workspace_retries_under_another_id(emulator):
    workspace = connect(WorkspaceClient, emulator)
    request = RunActionsOnWorkspaceJobRequest(job_id="failed", body=JobActionsReq(op_type="retry"))

    assert workspace.run_actions_on_workspace_job(request).job_id == "retried"

    job = workspace.show_job(ShowJobRequest(job_id="retried"))
    assert (job.id, job.job_type, job.status) == ("retried", "applyWorkspace", "RUNNING")
    failed = workspace.show_job(ShowJobRequest(job_id="failed"))
    assert (failed.status, failed.job_error_code, failed.sub_jobs_total) == ("FAILED", "WKS.0500", 1)
    listed = workspace.list_ita_sub_jobs(ListItaSubJobsRequest(job_id="failed", status="FAILED", limit=100, offset=0))
    assert (listed.total_count, listed.jobs[0].job_id) == (1, "failed")


@pytest.mark.parametrize(
    ("job", "status_code", "code"),
    [("running", 400, "WKS.0003"), ("none", 404, "WKS.0404"), ("denied", 403, "WKS.0403")],
)
def test_workspace_refusals_reach_the_sdk_with_their_code(emulator, job, status_code, code):
    request = RunActionsOnWorkspaceJobRequest(job_id=job, body=JobActionsReq(op_type="retry"))
    with pytest.raises(ClientRequestException) as caught:
        connect(WorkspaceClient, emulator).run_actions_on_workspace_job(request)
    assert (caught.value.status_code, caught.value.error_code) == (status_code, code)
    if job == "denied":
        assert caught.value.encoded_auth_msg == "encoded"


def test_modelarts_shows_pools_and_retries_a_scope(emulator):
    modelarts = connect(ModelArtsClient, emulator)
    pool = modelarts.show_pool(ShowPoolRequest(pool_name=POOL))
    assert (pool.metadata.name, pool.status.phase) == (POOL, "Running")
    assert {scope.scope_type: scope.state for scope in pool.status.scope} == {
        "Train": "Enabled",
        "Infer": "EnableFailed",
    }
    assert [item.metadata.name for item in modelarts.list_pools(ListPoolsRequest()).items] == [POOL]

    answer = call_any(emulator, "POST", f"/v2/{{project_id}}/pools/{POOL}/retry-scope", {"scope": "Infer"})

    assert (answer.status_code, answer.json()) == (200, {})
    assert modelarts.show_pool(ShowPoolRequest(pool_name=POOL)).status.scope[1].state == "Enabling"
    with pytest.raises(ClientRequestException) as caught:
        call_any(emulator, "POST", f"/v2/{{project_id}}/pools/{POOL}/retry-scope", {"scope": "Train"})
    assert caught.value.error_code == "ModelArts.50004000"
    with pytest.raises(ClientRequestException) as caught:
        modelarts.show_pool(ShowPoolRequest(pool_name="pool-none"))
    assert (caught.value.status_code, caught.value.error_code) == (404, "ModelArts.50015001")


def test_a_visualization_job_is_restarted_without_a_body(emulator):
    assert call_any(emulator, "POST", "/v1/{project_id}/visualization-jobs/10/restart").json() == {"is_success": True}
    assert call_any(emulator, "GET", "/v1/{project_id}/visualization-jobs/10").json()["status"] == 4
    with pytest.raises(ClientRequestException) as caught:
        call_any(emulator, "POST", "/v1/{project_id}/visualization-jobs/11/restart")
    assert caught.value.status_code == 400
    assert json.loads(caught.value.error_msg)["error_code"] == "ModelArts.0105"


@pytest.mark.parametrize(
    ("credentials", "words"),
    [
        (BasicCredentials(CREDENTIALS.access_key, "wrong", CREDENTIALS.project_id), "verify aksk signature fail"),
        (BasicCredentials("NOBODY", CREDENTIALS.secret_key, CREDENTIALS.project_id), "ak not exist"),
        (
            BasicCredentials(
                CREDENTIALS.temporary_access_key, CREDENTIALS.temporary_secret_key, CREDENTIALS.project_id
            ),
            "decrypt security token fail",
        ),
    ],
)
def test_wrong_keys_are_refused_at_the_gateway(emulator, credentials, words):
    with pytest.raises(ClientRequestException) as caught:
        status(connect(DrsClient, emulator, credentials), "jb1")
    assert (caught.value.status_code, caught.value.error_code) == (401, "APIGW.0301")
    assert words in caught.value.error_msg


def test_a_temporary_key_with_its_token_is_accepted(emulator):
    credentials = BasicCredentials(
        CREDENTIALS.temporary_access_key, CREDENTIALS.temporary_secret_key, CREDENTIALS.project_id
    ).with_security_token(CREDENTIALS.security_token)
    assert status(connect(DrsClient, emulator, credentials), "jb1").count == 1


def test_a_wrong_project_is_refused_in_the_services_words(emulator):
    credentials = BasicCredentials(CREDENTIALS.access_key, CREDENTIALS.secret_key, "0" * 32)
    with pytest.raises(ClientRequestException) as caught:
        status(connect(DrsClient, emulator, credentials), "jb1")
    assert (caught.value.status_code, caught.value.error_code) == (403, "DRS.M00261")


def test_iam_lists_projects_and_domains(emulator):
    account = GlobalCredentials(CREDENTIALS.access_key, CREDENTIALS.secret_key, CREDENTIALS.domain_id)
    iam = connect(IamClient, emulator, account)
    (project,) = iam.keystone_list_projects(KeystoneListProjectsRequest(name=CREDENTIALS.project_name)).projects
    assert project.id == CREDENTIALS.project_id
    (domain,) = iam.keystone_list_auth_domains(KeystoneListAuthDomainsRequest()).domains
    assert domain.id == CREDENTIALS.domain_id


def sign_in(emulator, password):
    user = PwdPasswordUser(
        domain=PwdPasswordUserDomain(name=CREDENTIALS.domain_name), name=CREDENTIALS.user_name, password=password
    )
    identity = PwdIdentity(methods=["password"], password=PwdPassword(user=user))
    scope = AuthScope(project=AuthScopeProject(name=CREDENTIALS.project_name))
    body = KeystoneCreateUserTokenByPasswordRequestBody(auth=PwdAuth(identity=identity, scope=scope))
    account = GlobalCredentials(CREDENTIALS.access_key, CREDENTIALS.secret_key, CREDENTIALS.domain_id)
    iam = connect(IamClient, emulator, account)
    request = KeystoneCreateUserTokenByPasswordRequest(body=body)
    return iam, iam.keystone_create_user_token_by_password(request)


def test_iam_gives_a_token_for_a_password_and_a_temporary_key_for_the_token(emulator):
    iam, answer = sign_in(emulator, CREDENTIALS.password)
    assert answer.token.project.id == CREDENTIALS.project_id
    assert answer.token.user.name == CREDENTIALS.user_name

    token = IdentityToken(id=answer.x_subject_token, duration_seconds=900)
    auth = TokenAuth(identity=TokenAuthIdentity(methods=["token"], token=token))
    body = CreateTemporaryAccessKeyByTokenRequestBody(auth=auth)
    key = iam.create_temporary_access_key_by_token(CreateTemporaryAccessKeyByTokenRequest(body=body)).credential

    credentials = BasicCredentials(key.access, key.secret, CREDENTIALS.project_id).with_security_token(
        key.securitytoken
    )
    assert status(connect(DrsClient, emulator, credentials), "jb1").count == 1


def test_iam_gives_no_token_for_a_wrong_password(emulator):
    with pytest.raises(ClientRequestException) as caught:
        sign_in(emulator, "wrong")
    assert caught.value.status_code == 401
    assert "The username or password is wrong." in caught.value.error_msg


def test_throttling_reaches_the_sdk_as_it_would_from_the_cloud(emulator):
    body = {"error_code": "APIGW.0308", "error_msg": "policy user over ratelimit,limit:1,time:1 second"}
    emulator.add_fault("BatchRestoreTask", status=429, body=body)
    with pytest.raises(ClientRequestException) as caught:
        retry(connect(DrsClient, emulator), ("jb1", None))
    assert (caught.value.status_code, caught.value.error_code) == (429, "APIGW.0308")
    assert emulator.target("jb1").times_fired == 0
