"""The client of Huawei Cloud against the emulator, which checks tokens and signatures in code of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from cloudretry.actions import OPERATIONS
from cloudretry.clouds import connect
from cloudretry.config import load
from cloudretry.emulator import CREDENTIALS, Emulator
from cloudretry.errors import ConfigurationError, CredentialsError, InvalidInput, NoAnswer, RequestNotSent
from cloudretry.model import Cloud, CloudClient, Request
from cloudretry.operation import Operation

Connect = Callable[..., CloudClient]

POOL = "pool-dly-op-0c2098ebae80d3e22f31c011e23a97cd"
SHOW_POOL = Request(OPERATIONS["ShowPool"], path={"pool_name": POOL})
FIRE = Request(OPERATIONS["RetryPoolScope"], path={"pool_name": POOL}, body={"scope": "Infer"})
REQUESTS = [
    SHOW_POOL,
    FIRE,
    Request(OPERATIONS["ShowVisualizationJob"], path={"job_id": "10"}),
    Request(OPERATIONS["RestartVisualizationJob"], path={"job_id": "10"}),
    Request(OPERATIONS["ShowJob"], path={"job_id": "6783cecb-0e5c-4521-a3ea-825f551c1ba9"}),
    Request(
        OPERATIONS["RunActionsOnWorkspaceJob"],
        path={"job_id": "6783cecb-0e5c-4521-a3ea-825f551c1ba9"},
        body={"op_type": "retry"},
    ),
    Request(
        OPERATIONS["BatchListJobStatus"],
        body={"jobs": ["140b5236-88ad-43c8-811c-1268453jb101"], "page_req": {"cur_page": 1, "per_page": 100}},
    ),
    Request(
        OPERATIONS["BatchRestoreTask"],
        headers={"X-Language": "en-us"},
        body={"jobs": [{"job_id": "140b5236-88ad-43c8-811c-1268453jb101", "is_sync_re_edit": False}]},
    ),
]
KEYS = {"accessKey": CREDENTIALS.access_key, "secretKey": CREDENTIALS.secret_key}
TEMPORARY = {
    "accessKey": CREDENTIALS.temporary_access_key,
    "secretKey": CREDENTIALS.temporary_secret_key,
    "securityToken": CREDENTIALS.security_token,
}
USER = {
    "userName": CREDENTIALS.user_name,
    "password": CREDENTIALS.password,
    "domainName": CREDENTIALS.domain_name,
}
APPLICATION = {
    "applicationCredentialId": CREDENTIALS.application_credential_id,
    "applicationCredentialSecret": CREDENTIALS.application_credential_secret,
}
ROLE = {"agencyName": CREDENTIALS.agency_name, "domainName": CREDENTIALS.domain_name}
WAYS: dict[str, dict[str, Any]] = {
    "access key": KEYS,
    "temporary access key": TEMPORARY,
    "token": {"token": CREDENTIALS.token},
    "password": USER,
    "application credential": APPLICATION,
    "agency by access key": {**KEYS, "assumeRole": ROLE},
    "agency by password": {**USER, "assumeRole": ROLE},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.operation.name)
def test_every_call_is_let_in_by_every_credential(
    huaweicloud: Connect, emulator: Emulator, way: str, request_: Request
) -> None:
    client = huaweicloud(emulator.url, **WAYS[way])
    reply = client.send(request_)
    assert reply.error is None
    assert reply.status == 200
    assert client.project_id == CREDENTIALS.project_id
    assert (client.region, client.emulator) == ("eu-de", False)


@pytest.mark.parametrize("way", ["access key", "temporary access key", "agency by access key"])
@pytest.mark.parametrize("name", ["a b", "a/b", "100%", "ä€😀", "~-_.", "a+b&c=d?e#f", "%2F"])
def test_a_signature_holds_for_any_path_and_query(
    huaweicloud: Connect, emulator: Emulator, way: str, name: str
) -> None:
    client = huaweicloud(emulator.url, projectId=CREDENTIALS.project_id, **WAYS[way])
    reply = client.send(Request(OPERATIONS["ShowPool"], path={"pool_name": name}, query={name: name, "a": "b"}))
    # Let in, and then there is no such pool; a slash in a name makes a path that nobody serves.
    assert reply.error is not None
    assert reply.error.code == ("APIGW.0101" if "/" in name else "ModelArts.50015001"), reply.error


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        ({"secretKey": "wrong-secret"}, "The secretKey is not that of the accessKey."),
        ({"accessKey": "NOBODY"}, "There is no such accessKey"),
        ({"securityToken": "wrong-secret"}, "The securityToken is wrong"),
    ],
)
def test_a_refused_key_is_explained(
    huaweicloud: Connect, emulator: Emulator, change: dict[str, str], remedy: str
) -> None:
    client = huaweicloud(emulator.url, projectId=CREDENTIALS.project_id, **{**TEMPORARY, **change})
    reply = client.send(SHOW_POOL)
    assert (reply.status, reply.error and reply.error.code) == (401, "APIGW.0301")
    assert reply.error is not None
    assert remedy in reply.error.remedy


def test_a_clock_that_is_wrong_is_named(huaweicloud: Connect, emulator: Emulator) -> None:
    client = huaweicloud(emulator.url, projectId=CREDENTIALS.project_id, clock=lambda: time.time() - 3600, **KEYS)
    error = client.send(SHOW_POOL).error
    assert error is not None
    assert "clock" in error.remedy


class TestWhatIsSent:
    def test_a_fire_by_access_key(self, huaweicloud: Connect, cloudlike: Any) -> None:
        huaweicloud(cloudlike.url, projectId="p1", **TEMPORARY).send(FIRE)
        (seen,) = cloudlike.seen
        assert (seen.method, seen.target) == ("POST", f"/v2/p1/pools/{POOL}/retry-scope")
        assert seen.body == b'{"scope":"Infer"}'
        assert seen.headers["content-type"] == "application/json"
        assert seen.headers["x-project-id"] == "p1"
        assert seen.headers["x-security-token"] == CREDENTIALS.security_token
        signed = seen.headers["authorization"].split("SignedHeaders=")[1].split(",")[0]
        assert signed == "content-type;host;x-project-id;x-sdk-date;x-security-token"
        assert "x-auth-token" not in seen.headers

    def test_a_call_by_token(self, huaweicloud: Connect, cloudlike: Any) -> None:
        huaweicloud(cloudlike.url, projectId="p1", token="t1").send(
            Request(OPERATIONS["RestartVisualizationJob"], path={"job_id": "10"})
        )
        (seen,) = cloudlike.seen
        assert (seen.headers["x-auth-token"], seen.body) == ("t1", b"")
        assert "authorization" not in seen.headers

    def test_an_endpoint_may_have_a_path_in_front(self, huaweicloud: Connect, cloudlike: Any) -> None:
        huaweicloud(f"{cloudlike.url}/behind/proxy", projectId="p1", token="t1").send(SHOW_POOL)
        assert cloudlike.seen[0].target == f"/behind/proxy/v2/p1/pools/{POOL}"

    @pytest.mark.parametrize("name", ["", ".", ".."])
    def test_a_name_that_would_make_another_apis_path_is_not_sent(
        self, huaweicloud: Connect, cloudlike: Any, name: str
    ) -> None:
        client = huaweicloud(cloudlike.url, projectId="p1", token="t1")
        with pytest.raises(InvalidInput, match="pool_name"):
            client.send(Request(OPERATIONS["RetryPoolScope"], path={"pool_name": name}, body={"scope": "Infer"}))
        assert cloudlike.seen == []


class TestWhichCredentialIsUsed:
    @pytest.mark.parametrize(
        ("given", "environ", "header", "value"),
        [
            ({**KEYS, "token": "t1"}, {}, "authorization", f"Access={CREDENTIALS.access_key},"),
            ({"token": "t1"}, {"HW_ACCESS_KEY": "ak", "HW_SECRET_KEY": "sk"}, "x-auth-token", "t1"),
            ({}, {"HW_ACCESS_KEY": "ak", "HW_SECRET_KEY": "sk", "HW_AUTH_TOKEN": "t1"}, "authorization", "Access=ak,"),
            ({}, {"HW_ACCESS_KEY": "ak", "HW_AUTH_TOKEN": "t1"}, "x-auth-token", "t1"),
            ({"token": "t1", **USER}, {}, "x-auth-token", "t1"),
            ({"token": "t1", **APPLICATION}, {}, "x-auth-token", "t1"),
        ],
        ids=[
            "keys before a token",
            "what is given before the environment",
            "the same order in the environment",
            "what is complete before what is not",
            "a token before a password",
            "a token before an application credential",
        ],
    )
    def test_the_order_is_the_documented_one(
        self,
        huaweicloud: Connect,
        cloudlike: Any,
        given: dict[str, str],
        environ: dict[str, str],
        header: str,
        value: str,
    ) -> None:
        huaweicloud(cloudlike.url, environ, projectId="p1", **given).send(SHOW_POOL)
        assert value in cloudlike.seen[0].headers[header]

    def test_without_any_the_error_names_the_quickest_ways_to_give_some(self, huaweicloud: Connect) -> None:
        with pytest.raises(CredentialsError) as refused:
            huaweicloud("http://127.0.0.1:1")
        for way in ("HW_ACCESS_KEY and HW_SECRET_KEY", "HW_AUTH_TOKEN", "HW_PROFILE", "cloudretry:emulator embedded"):
            assert way in str(refused.value)

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"accessKey": "ak"}, "huaweicloud.accessKey cannot be used without secretKey"),
            ({"applicationCredentialId": "a"}, "cannot be used without applicationCredentialSecret"),
            (
                {"userName": "u", "domainName": "d"},
                "huaweicloud.userName and domainName cannot be used without password",
            ),
        ],
    )
    def test_half_of_one_is_told_what_it_lacks(self, huaweicloud: Connect, given: dict[str, str], words: str) -> None:
        with pytest.raises(CredentialsError, match=words):
            huaweicloud("http://127.0.0.1:1", **given)


class TestTokens:
    def test_one_token_serves_until_shortly_before_its_end(self, huaweicloud: Connect, emulator_clock: Any) -> None:
        clock, emulator = emulator_clock
        client = huaweicloud(emulator.url, clock=clock, **USER)
        for _ in range(3):
            assert client.send(SHOW_POOL).ok
        assert tokens_issued(emulator) == 1
        clock.now += 24 * 3600 - 200
        assert client.send(SHOW_POOL).ok
        assert tokens_issued(emulator) == 2

    def test_after_a_401_it_is_renewed_once_and_the_request_sent_once_more(
        self, huaweicloud: Connect, emulator: Emulator
    ) -> None:
        client = huaweicloud(emulator.url, **USER)
        assert client.send(SHOW_POOL).ok
        refusal = {"error_code": "APIGW.0307", "error_msg": "The token must be updated."}
        emulator.add_fault("RetryPoolScope", status=401, body=refusal)
        left: list[int] = []
        assert client.send(FIRE, lambda: left.append(len(emulator.requests("RetryPoolScope")))).ok
        assert left == [0, 1]
        assert [(record.status, record.effects) for record in emulator.requests("RetryPoolScope")] == [
            (401, 0),
            (200, 1),
        ]
        assert tokens_issued(emulator) == 2

    def test_a_second_401_is_the_answer(self, huaweicloud: Connect, cloudlike: Any) -> None:
        refusal = {"error_code": "APIGW.0307", "error_msg": "The token must be updated."}

        def script(request: Any) -> Any:
            if request.target == "/v3/auth/tokens":
                return answered(201, keystone_token(), {"X-Subject-Token": f"token-{len(cloudlike.seen)}"})
            return answered(401, refusal)

        cloudlike.script = script
        reply = huaweicloud(cloudlike.url, **USER).send(FIRE)
        assert (reply.status, reply.error and reply.error.code) == (401, "APIGW.0307")
        sent = [request for request in cloudlike.seen if request.target != "/v3/auth/tokens"]
        assert [request.headers["x-auth-token"] for request in sent] == ["token-1", "token-3"]

    @pytest.mark.parametrize("way", ["access key", "token"])
    def test_what_cannot_be_renewed_is_not_sent_again(self, huaweicloud: Connect, cloudlike: Any, way: str) -> None:
        cloudlike.script = lambda _request: answered(401, {"error_code": "APIGW.0301", "error_msg": "no"})
        assert huaweicloud(cloudlike.url, projectId="p1", **WAYS[way]).send(FIRE).status == 401
        assert len(cloudlike.seen) == 1

    @pytest.mark.parametrize(
        ("given", "scope"),
        [
            ({"projectId": "p1"}, {"project": {"id": "p1"}}),
            ({"projectName": "eu-de_web"}, {"project": {"name": "eu-de_web", "domain": {"name": "cloudretry"}}}),
            ({}, {"project": {"name": "eu-de", "domain": {"name": "cloudretry"}}}),
            ({"assumeRole": ROLE}, {"domain": {"name": "cloudretry"}}),
        ],
        ids=["project id", "project name", "the region's own project", "the domain, to take on an agency"],
    )
    def test_the_scope_of_a_token(
        self, huaweicloud: Connect, cloudlike: Any, given: dict[str, Any], scope: dict[str, Any]
    ) -> None:
        cloudlike.script = lambda _request: answered(201, keystone_token(), {"X-Subject-Token": "t"})
        client = huaweicloud(cloudlike.url, **USER, **given)
        try:
            client.send(SHOW_POOL)
        except CredentialsError:
            assert "assumeRole" in given
        asked = json.loads(cloudlike.seen[0].body)["auth"]
        assert cloudlike.seen[0].target == "/v3/auth/tokens"
        assert asked["scope"] == scope
        assert asked["identity"]["password"]["user"]["domain"] == {"name": "cloudretry"}

    def test_an_application_credential_brings_its_project(self, huaweicloud: Connect, cloudlike: Any) -> None:
        cloudlike.script = lambda _request: answered(201, keystone_token(), {"X-Subject-Token": "t"})
        assert huaweicloud(cloudlike.url, **APPLICATION).project_id == "p1"
        asked = json.loads(cloudlike.seen[0].body)["auth"]
        assert asked == {
            "identity": {
                "methods": ["application_credential"],
                "application_credential": {
                    "id": CREDENTIALS.application_credential_id,
                    "secret": CREDENTIALS.application_credential_secret,
                },
            }
        }

    @pytest.mark.parametrize("suffix", ["", "/", "/v3", "/v3/"])
    def test_the_auth_url_may_end_in_v3(self, huaweicloud: Connect, emulator: Emulator, suffix: str) -> None:
        url, services = f"{emulator.url}{suffix}", dict.fromkeys(("modelarts", "workspace", "drs"), emulator.url)
        assert huaweicloud(url, authUrl=url, **USER, endpoints=services).send(SHOW_POOL).ok
        assert huaweicloud(url, **USER, endpoints={**services, "iam": url}).send(SHOW_POOL).ok

    def test_temporary_keys_of_an_agency_are_renewed_before_they_end(
        self, huaweicloud: Connect, cloudlike: Any
    ) -> None:
        clock = Clock()
        keys_given = 0

        def script(request: Any) -> Any:
            nonlocal keys_given
            if request.target == "/v3.0/OS-CREDENTIAL/securitytokens":
                keys_given += 1
                return answered(
                    201,
                    {
                        "credential": {
                            "access": f"AK{keys_given}",
                            "secret": "agency-secret",
                            "securitytoken": "agency-token",
                            "expires_at": time.strftime("%Y-%m-%dT%H:%M:%S.123000Z", time.gmtime(clock.now + 3600)),
                        }
                    },
                )
            return answered(200, {})

        cloudlike.script = script
        role = {**ROLE, "duration": "1h"}
        client = huaweicloud(cloudlike.url, projectId="p1", clock=clock, assumeRole=role, **KEYS)
        client.send(SHOW_POOL)
        client.send(SHOW_POOL)
        clock.now += 3400
        client.send(SHOW_POOL)
        calls = [request for request in cloudlike.seen if request.method == "GET"]
        used = [call.headers["authorization"].split("Access=")[1].split(",")[0] for call in calls]
        assert used == ["AK1", "AK1", "AK2"]
        asked = json.loads(cloudlike.seen[0].body)["auth"]["identity"]
        assert asked == {
            "methods": ["assume_role"],
            "assume_role": {"agency_name": "emulator-agency", "domain_name": "cloudretry", "duration_seconds": 3600},
        }

    def test_an_agency_needs_an_owner(self, huaweicloud: Connect) -> None:
        with pytest.raises(CredentialsError, match="Whose agency is 'ops'"):
            huaweicloud("http://127.0.0.1:1", **KEYS, assumeRole={"agencyName": "ops"})


class TestSigningInFails:
    def test_a_wrong_password_is_refused_in_one_line_without_it(self, huaweicloud: Connect, emulator: Emulator) -> None:
        client = huaweicloud(emulator.url, **{**USER, "password": "not-the-password"})
        with pytest.raises(CredentialsError, match=r"userName 'emulator'.*HTTP 401.*Check userName") as refused:
            client.send(FIRE)
        assert "not-the-password" not in str(refused.value)
        assert fires(emulator) == 0

    def test_a_wrong_application_credential_is_refused_in_one_line_without_it(
        self, huaweicloud: Connect, emulator: Emulator
    ) -> None:
        client = huaweicloud(emulator.url, **{**APPLICATION, "applicationCredentialSecret": "not-the-secret"})
        words = r"applicationCredentialId 'emulator-application-credential'.*HTTP 401.*Check applicationCredentialId"
        with pytest.raises(CredentialsError, match=words) as refused:
            client.send(FIRE)
        assert "not-the-secret" not in str(refused.value)
        assert fires(emulator) == 0

    @pytest.mark.parametrize("way", ["password", "access key", "agency by access key"])
    @pytest.mark.parametrize("status", [429, 500, 503])
    def test_an_identity_service_that_is_down_means_that_nothing_was_sent(
        self, huaweicloud: Connect, cloudlike: Any, way: str, status: int
    ) -> None:
        cloudlike.script = lambda _request: answered(status, {"error_msg": "down"})
        with pytest.raises(RequestNotSent, match="needed to sign in and cannot be used now, so nothing was sent"):
            huaweicloud(cloudlike.url, **WAYS[way]).send(FIRE)

    @pytest.mark.parametrize("way", ["password", "access key", "agency by access key"])
    def test_an_identity_service_that_gives_no_answer_means_that_nothing_was_sent(
        self, huaweicloud: Connect, emulator: Emulator, way: str
    ) -> None:
        # Not NoAnswer: the fire itself never left.
        for operation in ("KeystoneCreateToken", "KeystoneListProjects", "CreateTemporaryAccessKey"):
            drop_connections(emulator, operation)
        with pytest.raises(RequestNotSent, match="nothing was sent"):
            huaweicloud(emulator.url, **WAYS[way]).send(FIRE)
        assert fires(emulator) == 0

    def test_an_identity_service_that_cannot_be_connected_means_that_nothing_was_sent(
        self, huaweicloud: Connect
    ) -> None:
        with pytest.raises(RequestNotSent):
            huaweicloud("http://127.0.0.1:1", **USER).send(FIRE)

    def test_a_service_that_gives_no_answer_is_told_apart(self, huaweicloud: Connect, emulator: Emulator) -> None:
        drop_connections(emulator, "RetryPoolScope")
        with pytest.raises(NoAnswer):
            huaweicloud(emulator.url, **KEYS).send(FIRE)


NOT_KEYSTONE: dict[str, tuple[int, bytes, dict[str, str]]] = {
    "endless": (201, b'{"token": "' + b"x" * 9 * 1024 * 1024 + b'"}', {}),
    "deep": (201, b'{"token":' * 50_000 + b"1" + b"}" * 50_000, {}),
    "deep in an error": (401, b'{"error":' * 50_000 + b"1" + b"}" * 50_000, {"Content-Type": "application/json"}),
    "a list": (201, b"[1]", {}),
    "nothing": (201, b"", {}),
    "no object": (201, b'{"token": 7}', {"X-Subject-Token": "t"}),
    "no end": (201, b'{"token": {}}', {"X-Subject-Token": "t"}),
    "an end that is no time": (201, b'{"token": {"expires_at": 7}}', {"X-Subject-Token": "t"}),
    "no header": (201, b'{"token": {"expires_at": "2099-01-01T00:00:00Z"}}', {}),
}


@pytest.mark.parametrize("what", NOT_KEYSTONE)
def test_a_token_answer_that_is_not_keystones_ends_in_words(huaweicloud: Connect, cloudlike: Any, what: str) -> None:
    status, body, headers = NOT_KEYSTONE[what]
    answer = answered(status, {}, headers)
    answer.body = body
    cloudlike.script = lambda _request: answer
    with pytest.raises((CredentialsError, RequestNotSent), match=r"gave no token|so nothing was sent"):
        huaweicloud(cloudlike.url, **USER).send(FIRE)
    assert all(request.target == "/v3/auth/tokens" for request in cloudlike.seen)


@pytest.mark.parametrize(
    "body", [b'{"projects": 7}', b'{"projects": [7, {"id": {}}]}', b'{"a":' * 9000 + b"1" + b"}" * 9000, b"null"]
)
def test_a_project_answer_that_is_not_keystones_is_told(huaweicloud: Connect, cloudlike: Any, body: bytes) -> None:
    answer = answered(200, {})
    answer.body = body
    cloudlike.script = lambda _request: answer
    with pytest.raises(CredentialsError, match="knows no projects named"):
        huaweicloud(cloudlike.url, **KEYS).send(FIRE)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", [200, 202, 400, 503])
def test_an_answer_that_repeats_the_request_leaves_no_secret(
    huaweicloud: Connect, cloudlike: Any, emulator: Emulator, way: str, status: int
) -> None:
    """Whatever proves who asks is taken out, in a success as well, and before anything is cut."""
    cloudlike.script = lambda request: answered(
        status,
        {
            "error_code": "X",
            "error_msg": request.headers,
            "all": [str(request.headers), *request.headers.values()],
            "job_id": str(request.headers),
        },
    )
    client = huaweicloud(
        emulator.url,
        **WAYS[way],
        projectId=CREDENTIALS.project_id,
        endpoints={"iam": emulator.url, "modelarts": cloudlike.url},
    )
    reply = client.send(FIRE)
    sent = cloudlike.seen[-1].headers
    proofs = [sent.get(name, "") for name in ("x-auth-token", "x-security-token")]
    proofs.append(sent.get("authorization", "").rpartition("Signature=")[2])
    assert any(proofs)
    for proof in filter(None, proofs):
        assert proof not in repr(reply)
        assert proof[:20] not in repr(reply)


class TestProject:
    def test_it_is_looked_up_once_by_the_regions_name(self, huaweicloud: Connect, cloudlike: Any) -> None:
        cloudlike.script = projects({"id": "p9", "name": "eu-de"})
        client = huaweicloud(cloudlike.url, **KEYS)
        assert client.project_id == "p9"
        client.send(SHOW_POOL)
        assert [request.target for request in cloudlike.seen] == ["/v3/projects?name=eu-de", f"/v2/p9/pools/{POOL}"]
        assert "authorization" in cloudlike.seen[0].headers

    def test_it_is_looked_up_by_its_own_name(self, huaweicloud: Connect, cloudlike: Any) -> None:
        cloudlike.script = projects({"id": "p9", "name": "eu-de_web"})
        assert huaweicloud(cloudlike.url, projectName="eu-de_web", **KEYS).project_id == "p9"

    def test_connecting_asks_nothing(self, huaweicloud: Connect, cloudlike: Any) -> None:
        huaweicloud(cloudlike.url, **KEYS)
        assert cloudlike.seen == []

    def test_the_configured_project_is_not_that_of_another_region(self, huaweicloud: Connect, cloudlike: Any) -> None:
        cloudlike.script = projects({"id": "p-nl", "name": "eu-nl"})
        client = huaweicloud(cloudlike.url, where="eu-nl", projectId="p-de", projectName="eu-de_web", **KEYS)
        assert (client.region, client.project_id) == ("eu-nl", "p-nl")

    @pytest.mark.parametrize(
        ("listed", "words"),
        [([], "knows no projects named 'eu-de'"), ([{"id": "1"}, {"id": "2"}], "knows 2 projects named 'eu-de'")],
    )
    def test_none_or_several_is_an_error_that_says_what_to_give(
        self, huaweicloud: Connect, cloudlike: Any, listed: list[dict[str, str]], words: str
    ) -> None:
        cloudlike.script = projects(*listed)
        with pytest.raises(CredentialsError, match=rf"{words}.*HW_PROJECT_ID"):
            huaweicloud(cloudlike.url, **KEYS).send(FIRE)


class TestProfiles:
    CONTENT: ClassVar[dict[str, Any]] = {
        "current": "work",
        "profiles": [
            {
                "name": "work",
                "mode": "AKSK",
                "accessKeyId": CREDENTIALS.access_key,
                "secretAccessKey": CREDENTIALS.secret_key,
                "securityToken": "",
                "region": "eu-nl",
                "projectId": "p-nl",
            },
            {
                "name": "sso",
                "mode": "SSO",
                "region": "eu-de",
                "ssoAuth": {
                    "stsToken": {
                        "accessKeyId": CREDENTIALS.temporary_access_key,
                        "secretAccessKey": CREDENTIALS.temporary_secret_key,
                        "securityToken": CREDENTIALS.security_token,
                    }
                },
            },
            {
                "name": "agency",
                "accessKeyId": CREDENTIALS.access_key,
                "secretAccessKey": CREDENTIALS.secret_key,
                "agencyName": CREDENTIALS.agency_name,
                "agencyDomainName": CREDENTIALS.domain_name,
            },
            {"name": "empty", "mode": "AKSK"},
        ],
    }

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        path = tmp_path / "config.json"
        path.write_text(json.dumps(self.CONTENT))
        return path

    def test_the_current_one_gives_keys_region_and_project(self, file: Path) -> None:
        client = connect(Cloud.HUAWEICLOUD, load({"huaweicloud": {"sharedConfigFile": str(file)}}, {}))
        assert (client.region, client.project_id) == ("eu-nl", "p-nl")

    @pytest.mark.parametrize("name", ["sso", "agency", "work"])
    def test_its_keys_are_let_in(self, huaweicloud: Connect, emulator: Emulator, file: Path, name: str) -> None:
        client = huaweicloud(
            emulator.url, {"HW_SHARED_CONFIG_FILE": str(file)}, profile=name, projectId=CREDENTIALS.project_id
        )
        assert client.send(SHOW_POOL).ok

    def test_the_sdks_file_is_read_too(
        self, huaweicloud: Connect, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        (tmp_path / ".huaweicloud").mkdir()
        (tmp_path / ".huaweicloud/credentials").write_text(
            f"[basic]\nak = {CREDENTIALS.access_key}\nsk = {CREDENTIALS.secret_key}\n"
        )
        assert huaweicloud(emulator.url, {"HW_PROFILE": "basic"}).send(SHOW_POOL).ok

    @pytest.mark.parametrize(
        ("name", "words"), [("nobody", "has no profile 'nobody'"), ("empty", "'empty' in .* holds no access key pair")]
    )
    def test_one_without_keys_is_named(self, huaweicloud: Connect, file: Path, name: str, words: str) -> None:
        with pytest.raises(CredentialsError, match=words):
            huaweicloud("http://127.0.0.1:1", sharedConfigFile=str(file), profile=name)

    @pytest.mark.parametrize("content", ["{broken hidden-key", "sk = hidden-key", '{"profiles": ["hidden-key"]}'])
    def test_a_file_that_cannot_be_read_is_named_without_what_is_in_it(
        self, huaweicloud: Connect, tmp_path: Path, content: str
    ) -> None:
        path = tmp_path / "config"
        path.write_text(content)
        with pytest.raises(CredentialsError, match="cannot be read") as refused:
            huaweicloud("http://127.0.0.1:1", sharedConfigFile=str(path))
        assert "hidden-key" not in str(refused.value)
        assert str(path) in str(refused.value)

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ('{"profiles": [{"name": "one"}, {"name": "two"}]}', r"no profile ''; it has 'one', 'two'; name one with"),
            ("[default]\nak = a\nsk = s\n", r"no profile 'basic'; it has 'default'; name one with huaweicloud.profile"),
            ("{}", "it has none"),
            (json.dumps({"profiles": [{"name": f"n{n}"} for n in range(9)]}), "'n0', 'n1', 'n2', 'n3', 'n4', …; name"),
        ],
        ids=["KooCLI's", "SDKs'", "empty", "many"],
    )
    def test_what_there_is_in_the_place_of_the_missing_one_is_told(
        self, huaweicloud: Connect, tmp_path: Path, content: str, words: str
    ) -> None:
        path = tmp_path / "config"
        path.write_text(content)
        with pytest.raises(CredentialsError, match=words):
            huaweicloud("http://127.0.0.1:1", sharedConfigFile=str(path))

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
    @pytest.mark.parametrize("form", ["KooCLI's", "SDKs'"])
    def test_a_file_with_a_byte_order_mark_is_read(self, tmp_path: Path, encoding: str, form: str) -> None:
        path = tmp_path / "config"
        profile = {"region": "eu-nl", "projectId": "p-nl", "name": "x", "accessKeyId": "a", "secretAccessKey": "s"}
        ini = "[basic]\r\nak = a\r\nsk = s\r\nregion = eu-nl\r\nproject_id = p-nl\r\n"
        text = json.dumps({"current": "x", "profiles": [profile]}) if form == "KooCLI's" else ini
        path.write_text(text, encoding=encoding, newline="")
        client = connect(Cloud.HUAWEICLOUD, load({"huaweicloud": {"sharedConfigFile": str(path)}}, {}))
        assert (client.region, client.project_id) == ("eu-nl", "p-nl")

    def test_a_file_that_is_nested_without_end_is_named(self, huaweicloud: Connect, tmp_path: Path) -> None:
        path = tmp_path / "config"
        path.write_text('{"profiles":' + "[" * 100_000)
        with pytest.raises(CredentialsError, match="cannot be read: it is neither"):
            huaweicloud("http://127.0.0.1:1", sharedConfigFile=str(path))

    def test_a_file_that_is_not_there_is_named(self, huaweicloud: Connect, tmp_path: Path) -> None:
        with pytest.raises(CredentialsError, match=r"There is no profile file .*nothing-here"):
            huaweicloud("http://127.0.0.1:1", sharedConfigFile=str(tmp_path / "nothing-here"))


class TestPlaces:
    @pytest.mark.parametrize(
        ("given", "service", "url"),
        [
            ({"region": "eu-de"}, "drs", "https://drs.eu-de.myhuaweicloud.com"),
            ({"region": "eu-west-101"}, "modelarts", "https://modelarts.eu-west-101.myhuaweicloud.eu"),
            ({"region": "eu-de", "cloud": "otc.t-systems.com"}, "iam", "https://iam.eu-de.otc.t-systems.com"),
            ({"region": "eu-de", "authUrl": "https://iam.example/v3"}, "iam", "https://iam.example"),
            ({"region": "eu-de", "endpoints": {"drs": "https://d.example"}}, "drs", "https://d.example"),
        ],
    )
    def test_endpoints_follow_from_region_and_cloud(self, given: dict[str, Any], service: str, url: str) -> None:
        client: Any = connect(Cloud.HUAWEICLOUD, load({"huaweicloud": {"token": "t1", **given}}, {}))
        assert client.endpoints[service] == url

    @pytest.mark.parametrize(
        ("auth_url", "region", "host"),
        [
            ("https://iam.eu-de.otc.t-systems.com:443/v3", "eu-de", "drs.eu-de.otc.t-systems.com"),
            ("https://iam.eu-de.otc.t-systems.com/v3", "eu-nl", "drs.eu-nl.otc.t-systems.com"),
            ("https://iam-pub.eu-ch2.sc.otc.t-systems.com/v3", "eu-ch2", "drs.eu-ch2.sc.otc.t-systems.com"),
            ("https://iam.cn-north-4.myhuaweicloud.com/v3", "cn-north-4", "drs.cn-north-4.myhuaweicloud.com"),
            ("https://iam.myhuaweicloud.com:443/v3", "ap-southeast-3", "drs.ap-southeast-3.myhuaweicloud.com"),
            ("https://iam.eu-west-101.myhuaweicloud.eu/v3", "eu-west-101", "drs.eu-west-101.myhuaweicloud.eu"),
        ],
    )
    def test_the_services_are_at_the_site_of_the_identity_service(self, auth_url: str, region: str, host: str) -> None:
        environ = {"OS_AUTH_URL": auth_url, "OS_REGION_NAME": region, "OS_TOKEN": "t1"}
        client: Any = connect(Cloud.HUAWEICLOUD, load({}, environ))
        assert client.endpoints["drs"] == f"https://{host}"
        given = {"region": region, "token": "t1", "endpoints": {"iam": auth_url}}
        client = connect(Cloud.HUAWEICLOUD, load({"huaweicloud": given}, {}))
        assert client.endpoints["drs"] == f"https://{host}"

    @pytest.mark.parametrize(
        ("auth_url", "cloud", "host"),
        [
            ("https://identity.example/v3", None, "identity.example"),
            ("http://127.0.0.1:1/v3", None, "127.0.0.1"),
            ("https://iam.eu-de.otc.t-systems.com/v3", "myhuaweicloud.com", "iam.eu-de.otc.t-systems.com"),
            ("https://iam.eu-de.evilmyhuaweicloud.com/v3", "myhuaweicloud.com", "iam.eu-de.evilmyhuaweicloud.com"),
        ],
    )
    def test_two_sites_are_refused_with_both_named(self, auth_url: str, cloud: str | None, host: str) -> None:
        environ = {"OS_AUTH_URL": auth_url, "OS_TOKEN": "t1", **({"HW_CLOUD": cloud} if cloud else {})}
        words = rf"authUrl \(from OS_AUTH_URL\) is at {host}, and .* at drs\.eu-de\.myhuaweicloud\.com.*HW_CLOUD"
        with pytest.raises(ConfigurationError, match=words):
            connect(Cloud.HUAWEICLOUD, load({"huaweicloud": {"region": "eu-de"}}, environ))

    def test_an_identity_service_of_one_s_own_is_named_as_an_endpoint(self) -> None:
        given = {"region": "eu-de", "token": "t1", "endpoints": {"iam": "https://identity.example/v3"}}
        client: Any = connect(Cloud.HUAWEICLOUD, load({"huaweicloud": given}, {}))
        assert client.endpoints["iam"] == "https://identity.example"
        assert client.endpoints["drs"] == "https://drs.eu-de.myhuaweicloud.com"

    def test_a_missing_region_is_told_how_to_be_given(self) -> None:
        with pytest.raises(ConfigurationError, match=r"No region for Huawei Cloud\. Set HW_REGION_NAME"):
            connect(Cloud.HUAWEICLOUD, load({"huaweicloud": {"token": "t1"}}, {}))

    def test_a_region_that_would_make_up_another_host_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match="region: is not a region"):
            connect(Cloud.HUAWEICLOUD, load({"huaweicloud": {"token": "t1"}}, {}), region="evil.example/#")

    def test_the_emulator_takes_the_place_of_every_endpoint_and_credential(self, emulator: Emulator) -> None:
        config = load({"huaweicloud": {"token": "a real one", "endpoints": {"modelarts": "https://real.example"}}}, {})
        client = connect(Cloud.HUAWEICLOUD, config, emulator_url=emulator.url)
        assert client.send(SHOW_POOL).ok
        assert (client.region, client.project_id, client.emulator) == ("eu-de", CREDENTIALS.project_id, True)


def test_no_secret_shows_in_what_is_printed(huaweicloud: Connect) -> None:
    client: Any = huaweicloud("http://127.0.0.1:1", projectId="p1", **TEMPORARY)
    shown = repr(client) + repr(vars(client)) + str(client._credential)
    assert CREDENTIALS.temporary_access_key in shown
    assert CREDENTIALS.temporary_secret_key not in shown
    assert CREDENTIALS.security_token not in shown


def test_requests_are_limited(cloudlike: Any) -> None:
    config = load(
        {
            "requestsPerSecond": 20,
            "huaweicloud": {
                "region": "eu-de",
                "projectId": "p1",
                "token": "t1",
                "endpoints": {"modelarts": cloudlike.url},
            },
        },
        {},
    )
    client = connect(Cloud.HUAWEICLOUD, config)
    began = time.monotonic()
    for _ in range(3):
        client.send(SHOW_POOL)
    assert time.monotonic() - began >= 0.1


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def emulator_clock() -> Any:
    clock = Clock()
    with Emulator(clock=clock) as emulator:
        yield clock, emulator


def answered(status: int, body: Any, headers: dict[str, str] | None = None) -> Any:
    return SimpleNamespace(status=status, body=json.dumps(body).encode(), headers=headers or {})


def projects(*listed: dict[str, str]) -> Callable[[Any], Any]:
    return lambda request: answered(200, {"projects": list(listed)} if "/v3/projects" in request.target else {})


def keystone_token() -> dict[str, Any]:
    ends_at = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() + 86_400))
    project = {"id": "p1", "name": "eu-de", "domain": {"id": "d1", "name": "cloudretry"}}
    return {"token": {"expires_at": ends_at, "issued_at": ends_at, "methods": ["password"], "project": project}}


def tokens_issued(emulator: Emulator) -> int:
    return len(emulator.requests("KeystoneCreateToken"))


def fires(emulator: Emulator) -> int:
    return len(emulator.requests(FIRE.operation.name))


def drop_connections(emulator: Emulator, operation: str) -> None:
    emulator.add_fault(operation, drop="before", times=None)


def test_an_operation_that_is_declared_elsewhere_can_be_sent(huaweicloud: Connect, emulator: Emulator) -> None:
    detail = Operation("BatchListJobDetails", "drs", "POST", "/v3/{project_id}/jobs/batch-detail")
    reply = huaweicloud(emulator.url, **KEYS).send(Request(detail, body={"jobs": ["x"]}))
    assert reply.status != 401
