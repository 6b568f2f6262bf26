"""Huawei Cloud's gateway: X-Auth-Token and SDK-HMAC-SHA256, and the words it refuses with.

The signature is worked out here from the request as it arrived and from the header list that the client itself says
it signed, in lines of the emulator's own: the clouds' SDKs are to be witnesses of it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from datetime import UTC, datetime
from urllib.parse import quote, unquote

from cloudretry.emulator import sessions
from cloudretry.emulator.exchange import Call, Identity, Refusal
from cloudretry.emulator.store import Transaction

__all__ = ["authenticate", "authenticate_for_project", "gateway_refusal", "signed_by"]

_ALGORITHM = "SDK-HMAC-SHA256"
_UNSIGNED = "UNSIGNED-PAYLOAD"
_TOLERANCE = 900.0
"""Seconds that a signature's date may differ from the emulator's real time."""
_AUTHORIZATION = re.compile(
    rf"{_ALGORITHM} Access=(?P<access>[^,]+), *SignedHeaders=(?P<names>[^,]+), *Signature=(?P<signature>[0-9a-f]{{64}})"
)
_WRONG = "Incorrect IAM authentication information: "


def gateway_refusal(call: Call, status: int, code: str, message: str) -> Refusal:
    """An error of the gateway itself, in its own envelope."""
    return Refusal(status, {"error_code": code, "error_msg": message, "request_id": call.request_id})


def authenticate(call: Call, tx: Transaction) -> Identity:
    """Who calls.

    :raises Refusal: by no credential that is good here.
    """
    if call.header("x-auth-token"):
        return _by_token(call, tx)
    if call.header("authorization").startswith(_ALGORITHM):
        return _by_signature(call, tx)
    raise gateway_refusal(call, 401, "APIGW.0301", _WRONG + "x-auth-token not found")


def authenticate_for_project(call: Call, tx: Transaction) -> Identity:
    """Who calls, where the path names a project that the credential must be good for.

    :raises Refusal: the credential is not good, or not for this project.
    """
    identity = authenticate(call, tx)
    project_id = call.path["project_id"]
    exists = tx.execute("SELECT 1 FROM projects WHERE id = ?", (project_id,)).fetchone() is not None
    meant = call.header("x-project-id") or project_id
    is_allowed = identity.project_id in (None, project_id) and not identity.is_domain_scoped
    if exists and is_allowed and meant == project_id:
        return identity
    if call.raw_path.startswith("/v3/"):
        raise Refusal(403, {"error_code": "DRS.M00261", "error_msg": "Invalid project ID."})
    raise gateway_refusal(call, 403, "APIGW.0310", "The project is unavailable.")


def _by_token(call: Call, tx: Transaction) -> Identity:
    token = sessions.find_token(tx, call.header("x-auth-token"))
    if token is None:
        raise gateway_refusal(call, 401, "APIGW.0301", _WRONG + "decrypt token fail")
    if token.expires_at <= tx.now:
        raise gateway_refusal(call, 401, "APIGW.0307", "The token must be updated.")
    return Identity(token.project_id, is_domain_scoped=token.project_id is None)


def _by_signature(call: Call, tx: Transaction) -> Identity:
    parts = _AUTHORIZATION.fullmatch(call.header("authorization"))
    if parts is None:
        raise gateway_refusal(call, 401, "APIGW.0301", _WRONG + "Authorization format is incorrect")
    pair = sessions.find_key(tx, "huaweicloud", parts["access"])
    if pair is None:
        raise gateway_refusal(
            call, 401, "APIGW.0301", f"{_WRONG}Get secretKey failed,ak:{parts['access']},err:ak not exist"
        )
    names = parts["names"].split(";")
    if not {"host", "x-sdk-date"} <= {name.lower() for name in names}:
        raise gateway_refusal(call, 401, "APIGW.0301", _WRONG + "host and x-sdk-date must be signed")
    if not _is_recent(call.header("x-sdk-date")):
        raise gateway_refusal(call, 401, "APIGW.0301", _WRONG + "verify aksk signature fail, signature expired")
    if not hmac.compare_digest(signed_by(pair.secret_key, names, call), parts["signature"]):
        raise gateway_refusal(call, 401, "APIGW.0301", _WRONG + "verify aksk signature fail")
    sent = call.header("x-security-token")
    if not hmac.compare_digest(sent.encode(), (pair.security_token or "").encode()):
        raise gateway_refusal(call, 401, "APIGW.0301", _WRONG + "decrypt security token fail")
    if pair.expires_at <= tx.now:
        raise gateway_refusal(call, 401, "APIGW.0301", _WRONG + "security token expired")
    return Identity(pair.project_id)


def _is_recent(text: str) -> bool:
    try:
        moment = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return False
    # Clients sign by real time, whatever clock the scenario runs on.
    return abs(time.time() - moment) <= _TOLERANCE


def signed_by(secret_key: str, names: list[str], call: Call) -> str:
    """The signature that the owner of the secret key would have put on this request."""
    signed = sorted(name.lower() for name in names)
    canonical = "\n".join(
        (
            call.method.upper(),
            _canonical_path(call.raw_path),
            "&".join(f"{_encode(k)}={_encode(v)}" for k, v in sorted(call.query_pairs())),
            "".join(f"{name}:{call.header(name).strip()}\n" for name in signed),
            ";".join(signed),
            _payload_hash(call),
        )
    )
    to_sign = "\n".join((_ALGORITHM, call.header("x-sdk-date"), hashlib.sha256(canonical.encode()).hexdigest()))
    return hmac.new(secret_key.encode(), to_sign.encode(), hashlib.sha256).hexdigest()


def _canonical_path(raw_path: str) -> str:
    path = "/".join(_encode(segment) for segment in unquote(raw_path).split("/"))
    return path if path.endswith("/") else path + "/"


def _payload_hash(call: Call) -> str:
    # A declared hash counts only if it says that the body is unsigned; an empty body is signed even then.
    if call.body and call.header("x-sdk-content-sha256") == _UNSIGNED:
        return _UNSIGNED
    return hashlib.sha256(call.body).hexdigest()


def _encode(text: str) -> str:
    return quote(text, safe="-_.~")
