from __future__ import annotations

import hashlib
import re
import time
from datetime import datetime

import pytest
import requests
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer

from cloudretry.emulator import CREDENTIALS

# The cloud's own signer asks for the time in a way that Python 3.12 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning:huaweicloudsdkcore")

POOL = f"/v2/{CREDENTIALS.project_id}/pools/pool-dly-op-0c2098ebae80d3e22f31c011e23a97cd"


def password(**changes):
    user = {
        "name": CREDENTIALS.user_name,
        "password": CREDENTIALS.password,
        "domain": {"name": CREDENTIALS.domain_name},
    } | changes
    return {"methods": ["password"], "password": {"user": user}}


def sign_in(emulator, identity, scope=None, **options):
    auth = {"identity": identity} | ({} if scope is None else {"scope": scope})
    return requests.post(f"{emulator.url}/v3/auth/tokens", json={"auth": auth}, timeout=10, **options)


def get(emulator, path, token):
    return requests.get(emulator.url + path, headers={"X-Auth-Token": token}, timeout=10)


def signed(
    emulator, path=POOL, *, query=(), body="", access=CREDENTIALS.access_key, secret=CREDENTIALS.secret_key, **headers
):
    """The headers that the cloud's own signer puts on a GET."""
    host = emulator.url.removeprefix("http://")
    request = SdkRequest(
        method="GET",
        schema="http",
        host=host,
        resource_path=path,
        uri=path,
        query_params=list(query),
        header_params={"Host": host, **headers},
        body=body,
    )
    return Signer(BasicCredentials(access, secret, CREDENTIALS.project_id)).sign(request).header_params


def refusal(answer):
    return answer.status_code, answer.json()["error_code"], answer.json()["error_msg"].partition(": ")[2]


def test_a_password_gives_a_token_for_a_project(emulator):
    answer = sign_in(emulator, password(), {"project": {"name": CREDENTIALS.project_name}})

    assert answer.status_code == 201
    token = answer.json()["token"]
    assert token["project"]["id"] == CREDENTIALS.project_id
    assert {service["name"] for service in token["catalog"]} == {"iam", "drs", "workspace", "modelarts"}
    lifetime = datetime.fromisoformat(token["expires_at"]) - datetime.fromisoformat(token["issued_at"])
    assert lifetime.total_seconds() == 86_400
    assert get(emulator, POOL, answer.headers["X-Subject-Token"]).status_code == 200


@pytest.mark.parametrize(
    "identity",
    [
        password(password="wrong"),
        password(name="nobody"),
        password(domain={"name": "elsewhere"}),
        {"methods": ["token"], "token": {"id": "wrong"}},
        {
            "methods": ["application_credential"],
            "application_credential": {"id": CREDENTIALS.application_credential_id, "secret": "wrong"},
        },
    ],
)
def test_a_wrong_secret_gives_no_token(emulator, identity):
    answer = sign_in(emulator, identity, {"project": {"id": CREDENTIALS.project_id}})
    assert (answer.status_code, answer.json()["error"]["title"]) == (401, "Unauthorized")
    assert "X-Subject-Token" not in answer.headers


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"{}", b'{"auth": {}}', b'{"auth": {"identity": {"methods": ["totp"], "totp": {}}}}']
)
def test_a_malformed_sign_in_is_a_bad_request(emulator, body):
    answer = requests.post(f"{emulator.url}/v3/auth/tokens", data=body, timeout=10)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 400)


@pytest.mark.parametrize(
    "scope", [{"project": {"id": "none"}}, {"project": {"name": "none"}}, {"domain": {"id": "none"}}]
)
def test_a_token_for_a_scope_that_is_not_there_is_refused(emulator, scope):
    assert sign_in(emulator, password(), scope).status_code == 401


def test_an_application_credential_is_bound_to_its_project(emulator):
    section = {"id": CREDENTIALS.application_credential_id, "secret": CREDENTIALS.application_credential_secret}
    answer = sign_in(emulator, {"methods": ["application_credential"], "application_credential": section})
    assert answer.json()["token"]["project"]["id"] == CREDENTIALS.project_id
    assert get(emulator, POOL, answer.headers["X-Subject-Token"]).status_code == 200


def test_a_token_gives_another_token(emulator):
    identity = {"methods": ["token"], "token": {"id": CREDENTIALS.token}}
    answer = sign_in(emulator, identity, {"project": {"id": CREDENTIALS.project_id}})
    assert get(emulator, POOL, answer.headers["X-Subject-Token"]).status_code == 200


def test_a_token_for_the_domain_is_no_good_for_a_project(emulator):
    for scope in ({"domain": {"name": CREDENTIALS.domain_name}}, None):
        token = sign_in(emulator, password(), scope).headers["X-Subject-Token"]
        assert get(emulator, POOL, token).status_code == 403
        assert get(emulator, "/v3/projects", token).status_code == 200


def test_a_token_expires(emulator, clock):
    token = sign_in(emulator, password(), {"project": {"id": CREDENTIALS.project_id}}).headers["X-Subject-Token"]
    clock.advance(86_399)
    assert get(emulator, POOL, token).status_code == 200
    clock.advance(1)
    answer = get(emulator, POOL, token)
    assert (answer.status_code, answer.json()["error_code"]) == (401, "APIGW.0307")


def test_an_agency_gives_a_temporary_key_and_a_token(emulator):
    agency = {"agency_name": CREDENTIALS.agency_name, "domain_name": CREDENTIALS.domain_name}
    identity = {"methods": ["assume_role"], "assume_role": agency}
    as_user = {"X-Auth-Token": CREDENTIALS.token}
    url = f"{emulator.url}/v3.0/OS-CREDENTIAL/securitytokens"

    answer = requests.post(url, json={"auth": {"identity": identity}}, headers=as_user, timeout=10)
    key = answer.json()["credential"]

    assert answer.status_code == 201
    headers = {"X-Security-Token": key["securitytoken"]}
    headers = signed(emulator, access=key["access"], secret=key["secret"], **headers)
    assert requests.get(emulator.url + POOL, headers=headers, timeout=10).status_code == 200
    assert sign_in(emulator, identity, {"project": {"id": CREDENTIALS.project_id}}, headers=as_user).status_code == 201
    assert sign_in(emulator, identity).status_code == 401
    agency["agency_name"] = "none"
    assert sign_in(emulator, identity, headers=as_user).status_code == 404


def test_a_temporary_key_of_a_token_expires(emulator, clock):
    identity = {"methods": ["token"], "token": {"id": CREDENTIALS.token, "duration_seconds": 900}}
    url = f"{emulator.url}/v3.0/OS-CREDENTIAL/securitytokens"
    key = requests.post(url, json={"auth": {"identity": identity}}, timeout=10).json()["credential"]

    def status():
        headers = {"X-Security-Token": key["securitytoken"]}
        headers = signed(emulator, access=key["access"], secret=key["secret"], **headers)
        return requests.get(emulator.url + POOL, headers=headers, timeout=10).status_code

    assert status() == 200
    clock.advance(900)
    assert status() == 401
    identity["token"]["duration_seconds"] = 10
    assert requests.post(url, json={"auth": {"identity": identity}}, timeout=10).status_code == 400


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "x-auth-token not found"),
        ({"Authorization": "Basic eDp5"}, "x-auth-token not found"),
        ({"X-Auth-Token": "wrong"}, "decrypt token fail"),
        ({"Authorization": "SDK-HMAC-SHA256 nonsense"}, "Authorization format is incorrect"),
    ],
)
def test_without_good_credentials_the_gateway_refuses(emulator, headers, words):
    answer = requests.get(emulator.url + POOL, headers=headers, timeout=10)
    assert refusal(answer) == (401, "APIGW.0301", words)
    assert answer.json()["request_id"] == answer.headers["X-Request-Id"]


def test_the_clouds_own_signature_is_accepted_with_any_query(emulator):
    query = [("limit", "2"), ("status", "FAILED"), ("odd name", "a b+c/ä*~")]
    path = f"/v2/{CREDENTIALS.project_id}/workspace-sub-jobs"
    headers = signed(emulator, path, query=query)
    assert requests.get(emulator.url + path, params=query, headers=headers, timeout=10).status_code == 200
    other = [*query[:2], ("odd name", "another")]
    assert requests.get(emulator.url + path, params=other, headers=headers, timeout=10).status_code == 401


def test_what_was_signed_must_be_what_arrives(emulator):
    headers = signed(emulator, **{"X-Language": "en-us"})
    assert requests.get(emulator.url + POOL, headers=headers, timeout=10).status_code == 200

    spoilt = {
        "another header value": (emulator.url + POOL, headers | {"X-Language": "zh-cn"}, b""),
        "another path": (emulator.url + POOL + "x", headers, b""),
        "another body": (emulator.url + POOL, headers, b"{}"),
        "another signature": (
            emulator.url + POOL,
            headers | {"Authorization": re.sub("Signature=.*", "Signature=" + "0" * 64, headers["Authorization"])},
            b"",
        ),
    }
    for url, its_headers, body in spoilt.values():
        answer = requests.get(url, headers=its_headers, data=body, timeout=10)
        assert refusal(answer) == (401, "APIGW.0301", "verify aksk signature fail")


def test_a_body_that_is_not_json_goes_unsigned(emulator):
    text = {"Content-Type": "text/plain"}
    headers = signed(emulator, body="one", **text)
    assert headers["X-Sdk-Content-Sha256"] == "UNSIGNED-PAYLOAD"
    assert requests.get(emulator.url + POOL, headers=headers, data=b"another", timeout=10).status_code == 200
    headers = signed(emulator, **text)
    assert requests.get(emulator.url + POOL, headers=headers, timeout=10).status_code == 200


def test_a_declared_hash_is_no_substitute_for_the_bodys_own(emulator):
    headers = signed(emulator, body="one", **{"X-Sdk-Content-Sha256": hashlib.sha256(b"one").hexdigest()})
    assert requests.get(emulator.url + POOL, headers=headers, data=b"one", timeout=10).status_code == 200
    assert requests.get(emulator.url + POOL, headers=headers, data=b"two", timeout=10).status_code == 401


def test_host_and_date_must_be_signed(emulator):
    headers = signed(emulator)
    headers["Authorization"] = re.sub("SignedHeaders=[^,]+", "SignedHeaders=x-sdk-date", headers["Authorization"])
    answer = requests.get(emulator.url + POOL, headers=headers, timeout=10)
    assert refusal(answer) == (401, "APIGW.0301", "host and x-sdk-date must be signed")


@pytest.mark.parametrize("seconds", [-1000, 1000])
def test_a_stale_signature_is_refused(emulator, seconds):
    date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + seconds))
    answer = requests.get(emulator.url + POOL, headers=signed(emulator, **{"X-Sdk-Date": date}), timeout=10)
    assert refusal(answer) == (401, "APIGW.0301", "verify aksk signature fail, signature expired")


def test_an_unknown_access_key_is_named(emulator):
    answer = requests.get(emulator.url + POOL, headers=signed(emulator, access="NOBODY"), timeout=10)
    assert refusal(answer) == (401, "APIGW.0301", "Get secretKey failed,ak:NOBODY,err:ak not exist")


def test_a_key_of_the_other_cloud_is_unknown_here(emulator):
    keys = {"access": CREDENTIALS.alicloud_access_key, "secret": CREDENTIALS.alicloud_secret_key}
    assert requests.get(emulator.url + POOL, headers=signed(emulator, **keys), timeout=10).status_code == 401


@pytest.mark.parametrize(
    ("token", "status"),
    [(CREDENTIALS.security_token, 200), ("wrong", 401), (None, 401)],
    ids=["right", "wrong", "none"],
)
def test_a_temporary_key_needs_its_security_token(emulator, token, status):
    keys = {"access": CREDENTIALS.temporary_access_key, "secret": CREDENTIALS.temporary_secret_key}
    headers = signed(emulator, **keys, **({"X-Security-Token": token} if token else {}))
    assert requests.get(emulator.url + POOL, headers=headers, timeout=10).status_code == status


def test_a_credential_is_good_for_its_own_projects_only(emulator):
    emulator.set_scenario(
        {"projects": [{"id": "f" * 32, "name": "other"}], "pools": [{"name": "p", "project": "other"}]}
    )
    pool = f"/v2/{'f' * 32}/pools/p"
    own = sign_in(emulator, password(), {"project": {"name": "other"}}).headers["X-Subject-Token"]

    assert get(emulator, pool, own).status_code == 200
    answer = get(emulator, pool, CREDENTIALS.token)
    assert (answer.status_code, answer.json()["error_code"]) == (403, "APIGW.0310")
    assert requests.get(emulator.url + pool, headers=signed(emulator, pool), timeout=10).status_code == 200
    elsewhere = signed(emulator, pool, **{"X-Project-Id": CREDENTIALS.project_id})
    assert requests.get(emulator.url + pool, headers=elsewhere, timeout=10).status_code == 403


def test_drs_says_in_its_own_words_that_a_project_is_not_there(emulator):
    url = f"{emulator.url}/v3/{'0' * 32}/jobs/batch-status"
    answer = requests.post(url, json={"jobs": ["jb1"]}, headers={"X-Auth-Token": CREDENTIALS.token}, timeout=10)
    assert (answer.status_code, answer.json()["error_code"]) == (403, "DRS.M00261")


def test_projects_are_found_by_name(emulator):
    emulator.set_scenario({"projects": [{"id": "a", "name": "twin"}, {"id": "b", "name": "twin"}]})

    def found(query):
        return [
            project["id"] for project in get(emulator, f"/v3/projects{query}", CREDENTIALS.token).json()["projects"]
        ]

    assert found(f"?name={CREDENTIALS.project_name}") == [CREDENTIALS.project_id]
    assert found("?name=twin") == ["a", "b"]
    assert found("?name=none") == []
    assert found("") == [CREDENTIALS.project_id, "a", "b"]
    assert requests.get(f"{emulator.url}/v3/projects", timeout=10).status_code == 401


def test_discovery_is_open_and_names_version_three(emulator):
    version = requests.get(f"{emulator.url}/v3", timeout=10).json()["version"]
    assert version["id"].startswith("v3.")
    assert version["links"][0]["href"] == f"{emulator.url}/v3/"


@pytest.mark.parametrize(("method", "path"), [("GET", "/v2/none"), ("DELETE", POOL), ("GET", f"{POOL}/retry-scope")])
def test_an_api_that_is_not_published_is_said_to_be_so(emulator, method, path):
    answer = requests.request(method, emulator.url + path, timeout=10)
    assert (answer.status_code, answer.json()["error_code"]) == (404, "APIGW.0101")
    assert answer.headers["X-Request-Id"]
