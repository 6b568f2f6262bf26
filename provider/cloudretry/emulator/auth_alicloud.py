"""Alibaba Cloud's RPC gateway: ACS3-HMAC-SHA256 and signature version 1.0 (HMAC-SHA1), JSON and XML envelopes.

As with Huawei Cloud, signatures are worked out here and from the request as it arrived.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from cloudretry.emulator import sessions
from cloudretry.emulator.exchange import Answer, Call, Refusal
from cloudretry.emulator.store import Transaction

__all__ = ["authenticate", "refusal", "render", "requested_action", "signed_with_sha1", "signed_with_sha256"]

_V3 = "ACS3-HMAC-SHA256"
_TOLERANCE = 900.0
_AUTHORIZATION = re.compile(
    rf"{_V3} Credential=(?P<access>[^,]+),SignedHeaders=(?P<names>[^,]+),Signature=(?P<signature>[0-9a-f]{{64}})"
)
_NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_COMMON = ("AccessKeyId", "Signature", "SignatureMethod", "SignatureVersion", "SignatureNonce", "Timestamp")


def refusal(status: int, code: str, message: str) -> Refusal:
    """An error as the RPC gateway words it."""
    return Refusal(status, {"Code": code, "Message": message})


def requested_action(headers: Mapping[str, str], parameters: Mapping[str, str]) -> str:
    """The operation that an RPC request names, or an empty text."""
    return headers.get("x-acs-action") or parameters.get("Action", "")


def authenticate(call: Call, tx: Transaction) -> None:
    """Check the signature, its date and its nonce.

    :raises Refusal: one of them is not good.
    """
    if call.header("authorization").startswith(_V3):
        _check_v3(call, tx)
    else:
        _check_v1(call, tx)


def render(call: Call, answer: Answer) -> tuple[bytes, str]:
    """The answer's bytes and media type: what ``Format`` asks for, else XML under signature 1.0 and JSON under V3."""
    body: dict[str, Any] = dict(answer.body)
    is_error = "Code" in body
    if is_error:
        recommend = f"https://api.aliyun.com/troubleshoot?q={body['Code']}&product=EHPC&requestId={call.request_id}"
        body = {"RequestId": call.request_id, "HostId": call.host, **body, "Recommend": recommend}
    else:
        body = {**body, "RequestId": call.request_id}
    default = "JSON" if call.header("authorization").startswith(_V3) else "XML"
    if call.parameters().get("Format", default).upper() == "JSON":
        return _json(body), "application/json;charset=utf-8"
    root = "Error" if is_error else f"{call.operation}Response"
    text = f"<?xml version='1.0' encoding='UTF-8'?><{root}>{_xml(body)}</{root}>"
    return text.encode(), "text/xml;charset=utf-8"


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _xml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "".join(_xml_element(name, inner) for name, inner in value.items())
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(_NOT_IN_XML.sub("?", str(value)))


def _xml_element(name: str, value: Any) -> str:
    items = value if isinstance(value, list) else [value]
    return "".join(f"<{name}>{_xml(item)}</{name}>" for item in items)


def _check_v3(call: Call, tx: Transaction) -> None:
    parts = _AUTHORIZATION.fullmatch(call.header("authorization"))
    if parts is None:
        raise refusal(400, "IncompleteSignature", "The request signature does not conform to Aliyun standards.")
    names = parts["names"].lower().split(";")
    must_sign = {"host"} | {name for name in call.headers if name.startswith("x-acs-")}
    for name in ("x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"):
        if not call.header(name):
            raise _missing(name)
    if not must_sign <= set(names):
        unsigned = ", ".join(sorted(must_sign - set(names)))
        raise refusal(400, "IncompleteSignature", f"These headers must be signed: {unsigned}.")
    pair = _key(tx, parts["access"])
    _check_date(call.header("x-acs-date"))
    expected, to_sign = signed_with_sha256(pair.secret_key, names, call)
    if not hmac.compare_digest(expected, parts["signature"]):
        raise _mismatch(403, to_sign)
    if call.header("x-acs-content-sha256") != hashlib.sha256(call.body).hexdigest():
        raise _mismatch(403, to_sign)
    _check_security_token(tx, pair, call.header("x-acs-security-token"))
    _claim(tx, call.header("x-acs-signature-nonce"))


def _check_v1(call: Call, tx: Transaction) -> None:
    parameters = call.parameters()
    for name in _COMMON:
        if not parameters.get(name):
            raise _missing(name)
    if (parameters["SignatureMethod"], parameters["SignatureVersion"]) != ("HMAC-SHA1", "1.0"):
        raise refusal(400, "InvalidParameter", "Use SignatureMethod HMAC-SHA1 with SignatureVersion 1.0.")
    pair = _key(tx, parameters["AccessKeyId"])
    _check_date(parameters["Timestamp"])
    expected, to_sign = signed_with_sha1(pair.secret_key, call)
    if not hmac.compare_digest(expected.encode(), parameters["Signature"].encode()):
        # The older SDK expects this status: it then compares what was signed and blames the secret.
        raise _mismatch(400, to_sign)
    _check_security_token(tx, pair, parameters.get("SecurityToken", ""))
    _claim(tx, parameters["SignatureNonce"])


def signed_with_sha256(secret_key: str, names: list[str], call: Call) -> tuple[str, str]:
    """The V3 signature that the owner of the secret key would have put on this request, and what it signs."""
    signed = sorted(names)
    canonical = "\n".join(
        (
            call.method.upper(),
            call.raw_path or "/",
            _canonical_query(call.query_pairs()),
            "".join(f"{name}:{call.header(name).strip()}\n" for name in signed),
            ";".join(signed),
            call.header("x-acs-content-sha256"),
        )
    )
    to_sign = f"{_V3}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    return hmac.new(secret_key.encode(), to_sign.encode(), hashlib.sha256).hexdigest(), to_sign


def signed_with_sha1(secret_key: str, call: Call) -> tuple[str, str]:
    """The same for signature version 1.0, which covers query and form together."""
    pairs = [pair for pair in call.query_pairs() + call.form_pairs() if pair[0] != "Signature"]
    to_sign = f"{call.method.upper()}&{_encode('/')}&{_encode(_canonical_query(pairs))}"
    digest = hmac.new(f"{secret_key}&".encode(), to_sign.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode(), to_sign


def _key(tx: Transaction, access_key: str) -> sessions.KeyPair:
    pair = sessions.find_key(tx, "alicloud", access_key)
    if pair is None:
        raise refusal(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
    return pair


def _check_date(text: str) -> None:
    try:
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise refusal(400, "IllegalTimestamp", f"The timestamp {text!r} is not in UTC yyyy-MM-ddTHH:mm:ssZ.") from None
    # Clients sign by real time, whatever clock the scenario runs on.
    if abs(time.time() - moment) > _TOLERANCE:
        raise refusal(400, "IllegalTimestamp", "Specified time stamp or date value is expired.")


def _check_security_token(tx: Transaction, pair: sessions.KeyPair, sent: str) -> None:
    if pair.security_token is None and not sent:
        return
    if not sent:
        raise refusal(400, "MissingSecurityToken", "SecurityToken is mandatory for this action.")
    if not hmac.compare_digest(sent.encode(), (pair.security_token or "").encode()):
        raise refusal(400, "InvalidSecurityToken.Malformed", "Specified SecurityToken is malformed.")
    if pair.expires_at <= tx.now:
        raise refusal(403, "InvalidSecurityToken.Expired", "Specified SecurityToken is expired.")


def _claim(tx: Transaction, nonce: str) -> None:
    if not sessions.claim_nonce(tx, nonce):
        raise refusal(400, "SignatureNonceUsed", "Specified signature nonce was used already.")


def _missing(name: str) -> Refusal:
    return refusal(
        400,
        "MissingParameter",
        f'The input parameter "{name}" that is mandatory for processing this request is not supplied.',
    )


def _mismatch(status: int, to_sign: str) -> Refusal:
    return refusal(
        status,
        "SignatureDoesNotMatch",
        f"Specified signature is not matched with our calculation. server string to sign is:{to_sign}",
    )


def _canonical_query(pairs: list[tuple[str, str]]) -> str:
    return "&".join(f"{_encode(name)}={_encode(value)}" for name, value in sorted(pairs))


def _encode(text: str) -> str:
    return quote(text, safe="-_.~")
