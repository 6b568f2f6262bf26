"""Every envelope in which a cloud, a gateway or a proxy words an error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import quote

import pytest
from requests.structures import CaseInsensitiveDict

from cloudretry.clouds import alicloud, envelope, huaweicloud_errors
from cloudretry.clouds.redaction import Redaction
from cloudretry.http import HttpAnswer
from cloudretry.model import CloudError, Meaning, Reply

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z


def answer(status: int, body: Any, headers: Mapping[str, str] | None = None) -> HttpAnswer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpAnswer(status, CaseInsensitiveDict(headers or {}), content)


def huawei(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
    return huaweicloud_errors.read(answer(status, body, headers), now=NOW, redact=str)


def ali(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
    return envelope.read(
        answer(status, body, headers),
        table=alicloud.GATEWAY_ERRORS,
        is_throttling=alicloud.is_throttling,
        now=NOW,
        redact=str,
    )


def words(reply: Reply) -> tuple[str, str]:
    assert reply.error is not None
    return reply.error.code, reply.error.message


@pytest.mark.parametrize(
    ("status", "body", "code", "message"),
    [
        (400, {"error_code": "ModelArts.50004000", "error_msg": "Bad request."}, "ModelArts.50004000", "Bad request."),
        (
            400,
            {"is_success": False, "error_code": "ModelArts.0105", "error_message": "job status: 8"},
            "ModelArts.0105",
            "job status: 8",
        ),
        (
            200,
            {"is_success": False, "error_code": "ModelArts.0105", "error_message": "job status: 8"},
            "ModelArts.0105",
            "job status: 8",
        ),
        (200, {"is_success": False, "error_message": "no code"}, "", "no code"),
        (202, {"error_code": "DRS.M01504", "error_msg": "Another operation."}, "DRS.M01504", "Another operation."),
        (200, {"error_code": "DRS.M05066", "error_msg": "Not now."}, "DRS.M05066", "Not now."),
        (400, {"errorCode": "X.1", "errorMsg": "older"}, "X.1", "older"),
        (400, {"code": "X.2", "message": "plain"}, "X.2", "plain"),
        (400, {"error": {"code": "X.3", "message": "nested"}}, "X.3", "nested"),
        (401, {"error": {"code": 401, "message": "No.", "title": "Unauthorized"}}, "", "No."),
        (500, {"error_code": "DRS.M00004"}, "DRS.M00004", '{"error_code": "DRS.M00004"}'),
        (404, {"reason": "odd"}, "", 'the answer is not the API\'s: {"reason": "odd"}'),
        (404, {"error_code": "WKS.0404", "error_msg": None, "error_message": "gone"}, "WKS.0404", "gone"),
    ],
)
def test_huawei_clouds_envelopes(status: int, body: dict[str, Any], code: str, message: str) -> None:
    reply = huawei(status, body)
    assert words(reply) == (code, message)
    assert reply.error is not None
    assert reply.error.http_status == status
    assert not reply.ok
    assert reply.body == body


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"is_success": True},
        {"results": [{"id": "jb1", "status": "failed", "error_code": "DRS.M05003"}], "count": 1},
        {"error_code": None, "error_msg": None},
        {"error_code": "", "error_msg": ""},
        {"job_error_code": "WKS.1", "status": "FAIL"},
        {"job_id": 10, "status": 11, "error_code": "ModelArts.0105", "error_message": "The job has failed."},
        {"message": "all is well", "code": "x"},
    ],
)
def test_a_success_without_an_error_is_no_error(body: dict[str, Any]) -> None:
    reply = huawei(200, body)
    assert reply.error is None
    assert reply.ok
    assert not reply.throttled


def test_a_success_that_cannot_be_read_is_no_error_and_has_no_body() -> None:
    reply = huawei(200, b"<html>login</html>")
    assert (reply.ok, reply.body, reply.excerpt) == (True, None, "login")


@pytest.mark.parametrize(
    ("status", "code", "remedy"),
    [
        (401, "APIGW.0307", "Get a new token"),
        (403, "APIG.0302", "Give the IAM user or agency the permission"),
        (404, "APIGW.0101", "Check the region"),
    ],
)
def test_a_gateway_code_has_a_remedy_under_both_prefixes(status: int, code: str, remedy: str) -> None:
    reply = huawei(status, {"error_code": code, "error_msg": "m", "request_id": "r1"})
    assert reply.error is not None
    assert reply.error.remedy.startswith(remedy)
    assert (reply.error.code, reply.request_id, reply.error.request_id) == (code, "r1", "r1")


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        ("verify aksk signature fail", "secretKey is not that of"),
        ("verify aksk signature fail, signature expired", "clock"),
        ("Get secretKey failed,ak:X,err:ak not exist", "no such accessKey"),
        ("AK access failed to reach the limit,forbidden", "Wait five minutes"),
        ("decrypt token fail", "get a new one"),
        ("something else", "Check accessKey and secretKey, or the token"),
    ],
)
def test_a_refused_signature_is_explained_by_its_message(message: str, remedy: str) -> None:
    reply = huawei(
        401, {"error_code": "APIGW.0301", "error_msg": f"Incorrect IAM authentication information: {message}"}
    )
    assert reply.error is not None
    assert remedy in reply.error.remedy


def test_a_code_of_a_service_has_no_remedy_until_its_own_table_gives_one() -> None:
    error = huawei(400, {"error_code": "DRS.M05003", "error_msg": "The task is not found."}).error
    assert error is not None
    assert error.remedy == ""
    explained = envelope.explain(error, {"DRS.M05003": Meaning("not found", "Check the job id.")})
    assert explained.remedy == "Check the job id."
    assert envelope.explain(explained, {"DRS.M05003": Meaning("not found", "Check the job id.")}) == explained


def test_an_encoded_reason_is_kept_whole_with_the_way_to_decode_it() -> None:
    encoded = "XYZ" * 300
    error = huawei(
        403, {"error_code": "WKS.0403", "error_msg": "Forbidden.", "encoded_authorization_message": encoded}
    ).error
    assert error is not None
    assert "STS API decode-authorization-message" in error.remedy
    assert encoded in error.remedy


def test_alibaba_clouds_encoded_reason_is_found_in_its_access_denied_detail() -> None:
    body = {
        "Code": "NoPermission",
        "Message": "You are not authorized.",
        "AccessDeniedDetail": {"EncodedDiagnosticMessage": "AQEAAA", "AuthAction": "ehpc:RerunJobs"},
    }
    error = ali(403, body).error
    assert error is not None
    assert "`aliyun ram DecodeDiagnosticMessage`: AQEAAA" in error.remedy
    assert "Give the RAM user or role the permission" in error.remedy


ALIBABA = {
    "RequestId": "R-1",
    "HostId": "ehpc.cn-shanghai.aliyuncs.com",
    "Code": "ClusterNotFound",
    "Message": "The specified cluster does not exist.",
    "Recommend": "https://api.example/troubleshoot",
}


@pytest.mark.parametrize("form", ["JSON", "XML"])
def test_alibaba_clouds_envelope_in_both_forms(form: str) -> None:
    xml = "".join(f"<{name}>{value}</{name}>" for name, value in ALIBABA.items())
    content = json.dumps(ALIBABA) if form == "JSON" else f"<?xml version='1.0'?><Error>{xml}</Error>"
    reply = ali(404, content.encode())
    assert words(reply) == ("ClusterNotFound", "The specified cluster does not exist.")
    assert reply.request_id == "R-1"
    assert reply.body == ALIBABA
    assert reply.error is not None
    assert reply.error.remedy == "More: https://api.example/troubleshoot"


def test_the_clouds_own_page_on_an_error_stands_behind_the_remedy() -> None:
    error = ali(403, json.dumps({**ALIBABA, "Code": "Forbidden.RAM"}).encode()).error
    assert error is not None
    assert error.remedy.startswith("Give the RAM user or role the permission")
    assert error.remedy.endswith(" More: https://api.example/troubleshoot")


@pytest.mark.parametrize("recommend", ["", "try again", "http://api.example/", "javascript:alert(1)", ["https://a"]])
def test_what_is_no_address_is_not_recommended(recommend: object) -> None:
    error = ali(404, json.dumps({**ALIBABA, "Recommend": recommend}).encode()).error
    assert error is not None
    assert error.remedy == ""


def test_xml_with_a_document_type_is_not_read() -> None:
    bomb = b'<?xml version="1.0"?><!DOCTYPE Error [<!ENTITY a "b">]><Error><Code>&a;</Code></Error>'
    assert words(ali(400, bomb))[0] == ""


@pytest.mark.parametrize(
    ("status", "body", "headers", "message"),
    [
        (
            502,
            b"<html><head><title>502</title><style>p {x: y}</style></head><h1>Bad&nbsp;Gateway</h1></html>",
            {},
            "the answer is not the API's: 502 Bad Gateway",
        ),
        (503, b"", {}, "the answer is empty"),
        (504, b"upstream timed out", {}, "the answer is not the API's: upstream timed out"),
        (
            302,
            b"",
            {"Location": "https://login.example/"},
            "a redirect, which is not followed: https://login.example/",
        ),
    ],
)
def test_what_a_proxy_says_is_told_in_short(status: int, body: bytes, headers: dict[str, str], message: str) -> None:
    assert words(huawei(status, body, headers)) == ("", message)


def test_a_long_page_is_cut() -> None:
    assert len(words(huawei(500, b"<p>" + b"word " * 10_000))[1]) < 300


def test_bytes_that_are_no_text_do_no_harm() -> None:
    assert words(huawei(500, b"\xff\xfe\x00"))[0] == ""


@pytest.mark.parametrize(
    ("status", "code", "throttled"),
    [
        (429, "APIGW.0308", True),
        (400, "DRS.M01503", True),
        (429, "", True),
        (503, "APIGW.0613", True),
        (503, "", False),
        (400, "DRS.M00202", False),
        (500, "APIGW.0601", False),
        (502, "", False),
    ],
)
def test_huawei_clouds_throttling_is_known_by_status_or_code(status: int, code: str, throttled: bool) -> None:
    body = {"error_code": code, "error_msg": "m"} if code else b""
    assert huawei(status, body).throttled is throttled


@pytest.mark.parametrize(
    ("status", "code", "throttled"),
    [
        (400, "Throttling", True),
        (400, "Throttling.User", True),
        (400, "Throttling.Api", True),
        (400, "Rejected.Throttling", True),
        (503, "ServiceUnavailable", True),
        (406, "AgentResponseTimeout", False),
        (400, "InvalidParams", False),
    ],
)
def test_alibaba_clouds_throttling_is_known_by_status_or_code(status: int, code: str, throttled: bool) -> None:
    assert ali(status, {"Code": code, "Message": "m"}).throttled is throttled


@pytest.mark.parametrize(
    ("body", "headers", "throttled"),
    [
        (b"upstream connect error or disconnect/reset before headers", {"server": "envoy"}, False),
        (b"<html><h1>503 Service Temporarily Unavailable</h1><hr>nginx</html>", {}, False),
        (b"", {}, False),
        ({"code": 503, "message": "no healthy upstream"}, {}, False),
        ({"message": "failure to get a peer from the ring-balancer"}, {}, False),
        ({"error": {"code": "unavailable", "message": "try another"}}, {}, False),
        ({"error_code": "", "error_msg": "m"}, {}, False),
        ({"error_code": "WKS.0503", "error_msg": "m"}, {}, True),
        ({"Code": "ServiceUnavailable", "Message": "m"}, {}, True),
        (b"busy", {"Retry-After": "3"}, True),
    ],
)
def test_a_503_is_a_refusal_only_in_the_apis_own_words_or_if_it_says_when_to_come_back(
    body: Any, headers: dict[str, str], throttled: bool
) -> None:
    assert huawei(503, body, headers).throttled is throttled
    assert ali(503, body, headers).throttled is throttled


DAY = 86_400


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:30 GMT"}, 30),
        ({"Retry-After": "Wed, 31 Dec 2025 23:59:00 GMT"}, 0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"x-acs-retry-after": "1500"}, 1.5),
        ({"x-acs-retry-after": "nonsense", "Retry-After": "2"}, 2),
        ({"x-acs-retry-after": "9" * 400}, DAY),
        ({"Retry-After": "9" * 400}, DAY),
        ({"Retry-After": "31536000"}, DAY),
        ({"Retry-After": "Thu, 01 Jan 2099 00:00:00 GMT"}, DAY),
        ({"Retry-After": "Thu, 01 Jan 2026 00:00:00 +99999999999999"}, None),
        ({"Retry-After": "Thu, 01 Jan 0001 00:00:00 GMT"}, 0),
        ({"Retry-After": "Thu, 01 Jan 99999 00:00:00 GMT"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "1e3"}, None),
        ({"Retry-After": "\u0663"}, None),
        ({"Retry-After": " " * 100 + "5"}, 5),
        ({"Retry-After": "1, 2"}, None),
    ],
)
def test_when_to_come_back_is_read_as_seconds(headers: dict[str, str], seconds: float | None) -> None:
    assert huawei(429, {"error_code": "APIGW.0308", "error_msg": "m"}, headers).retry_after == seconds


DEEP = 100_000


@pytest.mark.parametrize(
    "body",
    [
        b"[" * DEEP + b"]" * DEEP,
        b'{"a":' * DEEP + b"1" + b"}" * DEEP,
        b'{"a":' * 65 + b"1" + b"}" * 65,
        b"<a>" * DEEP + b"</a>" * DEEP,
        b"<Error><Code>x</Code>" + b"<a>" * 3000 + b"</a>" * 3000 + b"</Error>",
        b'{"results": [], "results": [1]}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": ',
        b"\x00" * 100,
        b"<" * 100_000,
        b"<script" * 20_000,
    ],
    ids=range(13),
)
@pytest.mark.parametrize("status", [200, 400, 500])
def test_what_cannot_be_read_in_one_way_only_is_no_body_and_no_exception(status: int, body: bytes) -> None:
    for reply in (huawei(status, body), ali(status, body)):
        assert reply.body is None
        assert len(reply.excerpt) <= 200


def test_sixty_four_levels_can_be_read() -> None:
    assert huawei(200, b'{"a":' * 64 + b"1" + b"}" * 64).body is not None


def test_a_byte_order_mark_and_bytes_that_are_no_text_leave_the_rest_readable() -> None:
    assert huawei(200, b'\xef\xbb\xbf{"job_id": "a\xff"}').body == {"job_id": "a\ufffd"}
    assert huawei(200, b'{"far": 1e999}').body == {"far": float("inf")}


def test_half_a_surrogate_pair_goes_no_further() -> None:
    reply = huawei(400, b'{"error_code": "X\\ud800", "error_msg": "\\udfff half", "list": ["\\ud83d"]}')
    assert words(reply) == ("X?", "? half")
    json.dumps(reply.body, ensure_ascii=False).encode()
    assert huawei(200, b'{"pair": "\\ud83d\\ude00"}').body == {"pair": "\U0001f600"}


def test_a_clouds_words_are_bounded_where_they_enter() -> None:
    long = "long " * 2_000_000
    reply = huawei(
        400,
        {"error_code": long, "error_msg": long, "request_id": long, "encoded_authorization_message": long},
        {"X-Request-Id": "r" * 60_000, "Location": "https://" + "l" * 60_000},
    )
    assert reply.error is not None
    lengths = [len(word) for word in (reply.error.code, reply.error.message, reply.request_id, reply.excerpt)]
    assert lengths == [128, 500, 128, 200]
    assert len(reply.error.remedy) < 4_300
    assert len(json.dumps(reply.body)) < 20_000
    assert len(words(huawei(302, b"", {"Location": "https://" + "l" * 60_000}))[1]) < 300
    assert len(huawei(200, b"{}", {"X-Request-Id": "r" * 60_000}).request_id) == 128


SECRET = 'to"ken/with + é<&>' + "abcdefghijklmnopqrstuvwxyz" * 10
SHAPES = [
    SECRET,
    json.dumps(SECRET)[1:-1],
    json.dumps(SECRET, ensure_ascii=False)[1:-1],
    quote(SECRET, safe=""),
    escape(SECRET),
]


@pytest.mark.parametrize("status", [200, 302, 400, 503])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("before", [0, 150, 199, 490, 4_090])
def test_no_part_of_a_secret_remains_where_words_are_cut(status: int, shape: str, before: int) -> None:
    """A 2xx may repeat the request as well, and what is cut first keeps most of a secret."""
    redaction = Redaction()
    redaction.add(SECRET)
    padded = "x" * before + " " + shape
    fields = {"error_code": padded, "error_msg": padded, "job_id": padded, "request_id": padded}
    for body in (padded.encode(), json.dumps(fields).encode()):
        reply = huaweicloud_errors.read(
            answer(status, body, {"Location": padded, "X-Request-Id": padded}), now=NOW, redact=redaction
        )
        assert "abcdefgh" not in repr(reply)


@pytest.mark.parametrize(
    ("header", "secret"),
    [
        ("X-Auth-Token", "MIIabcdefghijkl"),
        ("X-Security-Token", "MIIabcdefghijkl"),
        ("x-acs-security-token", "MIIabcdefghijkl"),
        ("Authorization", "SDK-HMAC-SHA256 Access=AK, SignedHeaders=host, Signature=abcdefghijkl"),
        ("authorization", "ACS3-HMAC-SHA256 Credential=AK,SignedHeaders=host,Signature=abcdefghijkl"),
    ],
)
def test_what_a_requests_headers_prove_with_is_a_secret_of_its_answer(header: str, secret: str) -> None:
    redaction = Redaction().beside({header: secret, "Host": "drs.eu-de.example"})
    text = redaction(f"you sent {header}: {secret} to drs.eu-de.example")
    assert "abcdefgh" not in text
    assert "drs.eu-de.example" in text


@pytest.mark.parametrize("header", ["X-Request-Id", "x-acs-request-id"])
def test_the_request_id_may_be_in_a_header(header: str) -> None:
    reply = huawei(400, {"error_code": "X", "error_msg": "m"}, {header: "h1"})
    assert (reply.request_id, reply.error and reply.error.request_id) == ("h1", "h1")


def test_a_secret_that_the_cloud_repeats_is_blotted_out() -> None:
    redaction = Redaction()
    redaction.add("the-secret", "the-secret-token", None, "")
    reply = huaweicloud_errors.read(
        answer(403, {"error_code": "X", "error_msg": "signed: the-secret-token, the-secret"}), now=NOW, redact=redaction
    )
    assert reply.error == CloudError("X", "signed: ***, ***", 403)
    assert "secret" not in reply.excerpt


@pytest.mark.parametrize("table", [huaweicloud_errors.GATEWAY_ERRORS, alicloud.GATEWAY_ERRORS])
def test_every_gateway_code_is_explained(table: Mapping[str, Meaning]) -> None:
    for meaning in table.values():
        assert meaning.text.endswith(".")
        assert meaning.remedy.endswith(".")
