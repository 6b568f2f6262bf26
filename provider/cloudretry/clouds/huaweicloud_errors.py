"""The words of Huawei Cloud's gateway, and what to do about each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from cloudretry.clouds import envelope
from cloudretry.http import HttpAnswer
from cloudretry.model import Meaning, Reply

__all__ = ["GATEWAY_ERRORS", "is_throttling", "read"]

_CHECK_KEYS = "Check accessKey and secretKey, or the token, and that they are of this region's cloud."
_ASK_SUPPORT = "The gateway failed; try again later, and give the request id to the cloud's support."
_CHECK_ADDRESS = "Check the region, and that the service offers this API there."
_ASK_PERMISSION = "Give the IAM user or agency the permission that the action's page lists."
_SLOWER = "It is sent again after a while; requestsPerSecond keeps requests below the limit."

GATEWAY_ERRORS: Mapping[str, Meaning] = {
    "APIGW.0101": Meaning("The API does not exist here, or is not published.", _CHECK_ADDRESS),
    "APIGW.0103": Meaning("The backend of the API does not exist.", _CHECK_ADDRESS),
    "APIGW.0104": Meaning("A plug-in of the API is missing.", _ASK_SUPPORT),
    "APIGW.0105": Meaning("The backend's configuration is missing.", _ASK_SUPPORT),
    "APIGW.0106": Meaning("The API's orchestration is wrong.", _ASK_SUPPORT),
    "APIGW.0201": Meaning(
        "The request is malformed or too large, or the backend cannot be reached or is too slow.", _ASK_SUPPORT
    ),
    "APIGW.0301": Meaning("The credentials are not good.", _CHECK_KEYS),
    "APIGW.0302": Meaning("The IAM user may not call this API.", _ASK_PERMISSION),
    "APIGW.0303": Meaning("The app's credentials are not good.", _CHECK_KEYS),
    "APIGW.0304": Meaning("The app may not call this API.", _ASK_PERMISSION),
    "APIGW.0305": Meaning("The authentication information is wrong.", _CHECK_KEYS),
    "APIGW.0306": Meaning("Access to the API is denied.", _ASK_PERMISSION),
    "APIGW.0307": Meaning(
        "The token must be renewed, or is of another region.", "Get a new token for this region's project."
    ),
    "APIGW.0308": Meaning("Too many requests.", _SLOWER),
    "APIGW.0310": Meaning(
        "The project cannot be used.", "Check projectId: it must be a project of this region that the user can see."
    ),
    "APIGW.0401": Meaning("This IP address may not call the API.", "Allow the address in the cloud, or use another."),
    "APIGW.0402": Meaning("This IP address is not authorized.", "Allow the address in the cloud, or use another."),
    "APIGW.0404": Meaning("Access to the backend's address is denied.", _ASK_SUPPORT),
    "APIGW.0501": Meaning("The app has used up its quota.", "Raise the quota, or wait until it is counted anew."),
    "APIGW.0502": Meaning("The app is frozen.", "Check the account's balance."),
    "APIGW.0601": Meaning("Internal error of the gateway.", _ASK_SUPPORT),
    "APIGW.0602": Meaning("The request is malformed.", _ASK_SUPPORT),
    "APIGW.0605": Meaning("The backend's name cannot be resolved.", _ASK_SUPPORT),
    "APIGW.0606": Meaning("The API's settings could not be loaded.", _ASK_SUPPORT),
    "APIGW.0607": Meaning("The protocol is not supported by this API.", "Use https:// in the endpoint."),
    "APIGW.0608": Meaning("The administrator's token could not be got.", _ASK_SUPPORT),
    "APIGW.0609": Meaning("The VPC backend cannot be found.", _ASK_SUPPORT),
    "APIGW.0610": Meaning("No backend can be connected.", _ASK_SUPPORT),
    "APIGW.0611": Meaning("The backend's port cannot be found.", _ASK_SUPPORT),
    "APIGW.0612": Meaning("An API call failed inside the gateway.", _ASK_SUPPORT),
    "APIGW.0613": Meaning("IAM cannot be used now.", "Try again later."),
    "APIGW.0705": Meaning("The backend's signature could not be made.", _ASK_SUPPORT),
    "APIGW.0801": Meaning("The service is not allowed in this region.", _CHECK_ADDRESS),
    "APIGW.0802": Meaning("The IAM user is not allowed in this region.", "Use a region that the account may use."),
}
"""The shared gateway's codes. They also come with the prefix ``APIG.``."""

_REFUSED_SIGNATURES = (
    (r"signature expired", "Set this machine's clock: the gateway allows 15 minutes."),
    (r"reach(ed)? the limit|,forbidden", "Wait five minutes: after five wrong tries the gateway locks the access key."),
    (r"ak not exist", "There is no such accessKey in this cloud; it may belong to another site."),
    (r"verify aksk signature fail", "The secretKey is not that of the accessKey."),
    (r"security token", "The securityToken is wrong or has ended; get new temporary keys."),
    (r"decrypt token fail", "The token is wrong or has ended; get a new one."),
)
"""What APIGW.0301 means, by its message."""

_THROTTLING = frozenset({"APIGW.0308", "APIG.0308", "DRS.M01503"})


def is_throttling(code: str) -> bool:
    """Whether this error code says "too many requests", whatever the HTTP status."""
    return code in _THROTTLING


def read(answer: HttpAnswer, *, now: float, redact: Callable[[str], str]) -> Reply:
    """The reply in an answer, its gateway errors explained. ``now`` is seconds since the epoch."""
    reply = envelope.read(answer, table=GATEWAY_ERRORS, is_throttling=is_throttling, now=now, redact=redact)
    if reply.error is not None and reply.error.code in ("APIGW.0301", "APIG.0301"):
        for pattern, remedy in _REFUSED_SIGNATURES:
            if re.search(pattern, reply.error.message, re.IGNORECASE):
                return replace(reply, error=replace(reply.error, remedy=remedy))
    return reply
