from __future__ import annotations

import hashlib
import hmac
import time
import uuid
from urllib.parse import urlencode

import pytest
import requests

from cloudretry.emulator import CREDENTIALS

CLUSTER = "ehpc-sh-3VeFyR7kQm"
QUERY = {"ClusterId": CLUSTER}


def v3(emulator, *, secret=CREDENTIALS.alicloud_secret_key, access=CREDENTIALS.alicloud_access_key, drop=(), **changes):
    """The headers of a V3 request for ListJobs; ``drop`` leaves headers out of what is signed."""
    headers = {
        "host": emulator.url.removeprefix("http://"),
        "x-acs-action": "ListJobs",
        "x-acs-version": "2018-04-12",
        "x-acs-date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "x-acs-signature-nonce": uuid.uuid4().hex,
        "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
    } | {name.replace("_", "-"): value for name, value in changes.items()}
    names = sorted(headers.keys() - set(drop))
    block = "".join(f"{name}:{headers[name]}\n" for name in names)
    canonical = "\n".join(("GET", "/", urlencode(QUERY), block, ";".join(names), headers["x-acs-content-sha256"]))
    to_sign = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
    signature = hmac.new(secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    parts = f"Credential={access},SignedHeaders={';'.join(names)},Signature={signature}"
    return headers | {"authorization": f"ACS3-HMAC-SHA256 {parts}"}


def send(emulator, headers, query=QUERY, data=b""):
    return requests.get(emulator.url, params=query, headers=headers, data=data, timeout=10)


def refusal(answer):
    return answer.status_code, answer.json()["Code"]


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def test_a_v3_signature_is_accepted_and_answered_in_json(emulator):
    answer = send(emulator, v3(emulator))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json()["TotalCount"] == 2


def test_a_v3_signature_covers_query_headers_and_body(emulator):
    assert refusal(send(emulator, v3(emulator), QUERY | {"PageSize": "50"})) == (403, "SignatureDoesNotMatch")
    changed = v3(emulator) | {"x-acs-date": stamp(5)}
    assert refusal(send(emulator, changed)) == (403, "SignatureDoesNotMatch")
    assert refusal(send(emulator, v3(emulator), data=b"{}")) == (403, "SignatureDoesNotMatch")
    assert refusal(send(emulator, v3(emulator, secret="wrong"))) == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize("header", ["host", "x-acs-action", "x-acs-content-sha256"])
def test_host_and_every_acs_header_must_be_signed(emulator, header):
    assert refusal(send(emulator, v3(emulator, drop=[header]))) == (400, "IncompleteSignature")


def test_a_v3_header_that_is_missing_is_named(emulator):
    headers = v3(emulator)
    del headers["x-acs-signature-nonce"]
    answer = send(emulator, headers)
    assert refusal(answer) == (400, "MissingParameter")
    assert "x-acs-signature-nonce" in answer.json()["Message"]


def test_a_malformed_authorization_is_incomplete(emulator):
    headers = v3(emulator) | {"authorization": "ACS3-HMAC-SHA256 Credential=x"}
    assert refusal(send(emulator, headers)) == (400, "IncompleteSignature")


@pytest.mark.parametrize("age", [-1000, 1000, None], ids=["past", "future", "malformed"])
def test_a_stale_date_is_refused(emulator, alicloud, age):
    date = "20260101T000000Z" if age is None else stamp(age)
    assert refusal(send(emulator, v3(emulator, x_acs_date=date))) == (400, "IllegalTimestamp")
    assert refusal(alicloud("ListJobs", ClusterId=CLUSTER, Timestamp=date)) == (400, "IllegalTimestamp")


def test_a_nonce_is_good_once(emulator, alicloud):
    headers = v3(emulator)
    assert send(emulator, headers).status_code == 200
    assert refusal(send(emulator, headers)) == (400, "SignatureNonceUsed")

    signed = alicloud.sign(alicloud.parameters("ListJobs", ClusterId=CLUSTER))
    assert alicloud.send(signed).status_code == 200
    assert refusal(alicloud.send(signed)) == (400, "SignatureNonceUsed")


def test_a_wrong_signature_does_not_use_up_its_nonce(alicloud):
    parameters = alicloud.parameters("ListJobs", ClusterId=CLUSTER)
    assert refusal(alicloud.send(alicloud.sign(parameters, secret="wrong"))) == (400, "SignatureDoesNotMatch")
    assert alicloud.send(alicloud.sign(parameters)).status_code == 200


def test_a_wrong_signature_is_answered_with_what_should_have_been_signed(alicloud):
    answer = alicloud.send(alicloud.sign(alicloud.parameters("ListJobs"), secret="wrong"))
    assert "server string to sign is:GET&%2F&AccessKeyId" in answer.json()["Message"]


def test_version_one_covers_every_parameter(alicloud):
    signed = alicloud.sign(alicloud.parameters("ListJobs", ClusterId=CLUSTER, Owner="a b*c~ä"))
    assert alicloud.send(signed).status_code == 200
    signed = alicloud.sign(alicloud.parameters("ListJobs", ClusterId=CLUSTER))
    assert refusal(alicloud.send(signed | {"Owner": "root"})) == (400, "SignatureDoesNotMatch")


@pytest.mark.parametrize("name", ["AccessKeyId", "Signature", "SignatureNonce", "SignatureMethod", "Timestamp"])
def test_version_one_needs_its_common_parameters(alicloud, name):
    signed = alicloud.sign(alicloud.parameters("ListJobs", ClusterId=CLUSTER))
    del signed[name]
    answer = alicloud.send(signed)
    assert refusal(answer) == (400, "MissingParameter")
    assert f'"{name}"' in answer.json()["Message"]


def test_no_other_signature_method_is_known(alicloud):
    answer = alicloud("ListJobs", ClusterId=CLUSTER, SignatureMethod="HMAC-MD5")
    assert refusal(answer) == (400, "InvalidParameter")


@pytest.mark.parametrize("access", ["LTAInobody", CREDENTIALS.access_key])
def test_an_access_key_that_this_cloud_does_not_know_is_not_found(emulator, alicloud, access):
    assert refusal(send(emulator, v3(emulator, access=access))) == (404, "InvalidAccessKeyId.NotFound")
    assert refusal(alicloud("ListJobs", AccessKeyId=access)) == (404, "InvalidAccessKeyId.NotFound")


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (CREDENTIALS.alicloud_security_token, None),
        ("wrong", "InvalidSecurityToken.Malformed"),
        (None, "MissingSecurityToken"),
    ],
)
def test_a_temporary_key_needs_its_security_token(emulator, alicloud, token, code):
    access, secret = CREDENTIALS.alicloud_temporary_access_key, CREDENTIALS.alicloud_temporary_secret_key
    header = {} if token is None else {"x_acs_security_token": token}
    parameter = {} if token is None else {"SecurityToken": token}
    parameters = alicloud.parameters("ListJobs", ClusterId=CLUSTER, AccessKeyId=access, **parameter)

    assert send(emulator, v3(emulator, access=access, secret=secret, **header)).json().get("Code") == code
    assert alicloud.send(alicloud.sign(parameters, secret=secret)).json().get("Code") == code


def test_an_assumed_role_gives_a_key_that_expires(alicloud, clock):
    parameters = {"RoleArn": CREDENTIALS.alicloud_role_arn, "RoleSessionName": "test", "DurationSeconds": "900"}
    key = alicloud("AssumeRole", version="2015-04-01", **parameters).json()["Credentials"]

    def code():
        query = alicloud.parameters(
            "ListJobs", ClusterId=CLUSTER, AccessKeyId=key["AccessKeyId"], SecurityToken=key["SecurityToken"]
        )
        return alicloud.send(alicloud.sign(query, secret=key["AccessKeySecret"])).json().get("Code")

    assert code() is None
    clock.advance(900)
    assert code() == "InvalidSecurityToken.Expired"


@pytest.mark.parametrize(
    "wrong", [{"RoleArn": "acs:ram::1:role/none"}, {"RoleSessionName": ""}, {"DurationSeconds": "10"}]
)
def test_a_role_is_assumed_only_as_documented(alicloud, wrong):
    parameters = {"RoleArn": CREDENTIALS.alicloud_role_arn, "RoleSessionName": "test"} | wrong
    assert not alicloud("AssumeRole", version="2015-04-01", **parameters).ok
