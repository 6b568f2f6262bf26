"""Alibaba Cloud: endpoint, ACS3-HMAC-SHA256, the RPC gateway's words."""

from __future__ import annotations

import hashlib
import json
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from cloudretry.clouds import alicloud_profile, envelope
from cloudretry.clouds.alicloud_keys import Keys, keys_of
from cloudretry.clouds.limits import ServiceLimits
from cloudretry.clouds.redaction import Redaction
from cloudretry.config import ProviderConfig, check_host_label
from cloudretry.errors import ConfigurationError, InvalidInput
from cloudretry.http import Transport
from cloudretry.model import Meaning, Reply, Request

__all__ = ["GATEWAY_ERRORS", "VERSIONS", "AlicloudClient", "connect", "is_throttling"]

VERSIONS: Mapping[str, str] = {"ehpc": "2018-04-12"}
"""The API version of each service."""

_SCHEME = "ACS3-HMAC-SHA256"
_CHECK_KEYS = "Check accessKey and secretKey."
_RENEW_KEYS = "Get new temporary keys: accessKey, secretKey and securityToken belong together."
_SET_CLOCK = "Set this machine's clock: the gateway allows 15 minutes."
_ASK_PERMISSION = "Give the RAM user or role the permission that the action's page lists."
_SLOWER = "It is sent again after a while; requestsPerSecond keeps requests below the limit."

GATEWAY_ERRORS: Mapping[str, Meaning] = {
    "InvalidAccessKeyId.NotFound": Meaning("There is no such AccessKey ID.", _CHECK_KEYS),
    "InvalidAccessKeyId.Inactive": Meaning("The AccessKey is disabled.", "Enable it in RAM, or use another."),
    "SignatureDoesNotMatch": Meaning("The signature is wrong.", "The secretKey is not that of the accessKey."),
    "IncompleteSignature": Meaning("The signature is incomplete.", _CHECK_KEYS),
    "SignatureNonceUsed": Meaning("The request was sent twice.", "Something between here and the cloud repeats it."),
    "IllegalTimestamp": Meaning("The request's date is too far from now.", _SET_CLOCK),
    "InvalidTimeStamp.Expired": Meaning("The request's date is too far from now.", _SET_CLOCK),
    "MissingSecurityToken": Meaning("The access key is a temporary one.", _RENEW_KEYS),
    "InvalidSecurityToken.Expired": Meaning("The securityToken has ended.", _RENEW_KEYS),
    "InvalidSecurityToken.Malformed": Meaning("The securityToken is wrong.", _RENEW_KEYS),
    "InvalidSecurityToken.MismatchWithAccessKey": Meaning("The securityToken is of another key.", _RENEW_KEYS),
    "MissingParameter": Meaning("A parameter is missing.", "Report it with the request id; the provider sends all."),
    "InvalidAction.NotFound": Meaning("The API does not exist here.", "Check region and endpoint."),
    "InvalidVersion": Meaning("This version of the API does not exist here.", "Check region and endpoint."),
    "InvalidRegionId": Meaning("There is no such region for this service.", "Check region."),
    "Forbidden.RAM": Meaning("The RAM user or role may not call this API.", _ASK_PERMISSION),
    "NoPermission": Meaning("The RAM user or role may not call this API.", _ASK_PERMISSION),
    "Throttling": Meaning("Too many requests.", _SLOWER),
    "Throttling.User": Meaning("Too many requests of this account.", _SLOWER),
    "Throttling.Api": Meaning("Too many requests of this API.", _SLOWER),
    "Rejected.Throttling": Meaning("Too many requests.", _SLOWER),
    "ServiceUnavailable": Meaning("The service cannot be used now.", "It is sent again after a while."),
    "InternalError": Meaning("Internal error of the gateway.", "Try again later; give the request id to support."),
}
"""The RPC gateway's codes, common to all services."""


def is_throttling(code: str) -> bool:
    """Whether this error code says "too many requests" or "not now", whatever the HTTP status."""
    return code.startswith("Throttling") or code in ("Rejected.Throttling", "ServiceUnavailable")


@dataclass(frozen=True, slots=True)
class _SignedParts:
    """A request, in the form that the official signer reads."""

    method: str
    pathname: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


class AlicloudClient:
    """A connection to E-HPC in one region."""

    project_id: str = ""

    def __init__(
        self,
        *,
        region: str,
        endpoint: str,
        keys: Callable[[], Keys],
        transport: Transport,
        limits: ServiceLimits,
        redaction: Redaction,
        emulator: bool,
        clock: Callable[[], float],
    ) -> None:
        self.region = region
        self.emulator = emulator
        self.endpoint = endpoint
        self._keys = keys
        self._transport = transport
        self._limits = limits
        self._redaction = redaction
        self._clock = clock

    def send(self, request: Request, leaving: Callable[[], None] | None = None) -> Reply:
        """See :meth:`cloudretry.model.CloudClient.send`."""
        body = b"" if request.body is None else json.dumps(request.body, separators=(",", ":")).encode()
        parts = urlsplit(self.endpoint)
        path = parts.path + re.sub(
            r"{(\w+)}", lambda name: quote(request.path[name[1]], safe="-_.~"), request.operation.path
        )
        query = "&".join(f"{_encode(name)}={_encode(value)}" for name, value in sorted(request.query.items()))
        url = f"{parts.scheme}://{parts.netloc}{path}" + (f"?{query}" if query else "")
        with self._limits.of(request.operation.service).slot():
            # In its turn, not before: a signature that has waited for it is refused as too old.
            headers = self._signed(request, parts.netloc, path, body)
            if leaving is not None:
                leaving()
            answer = self._transport.send(request.operation.method, url, headers, body or None)
        return envelope.read(
            answer,
            table=GATEWAY_ERRORS,
            is_throttling=is_throttling,
            now=self._clock(),
            redact=self._redaction.beside(headers),
        )

    @property
    def keys_source(self) -> str:
        """Where the keys come from, in words.

        :raises CredentialsError: there are none.
        :raises RequestNotSent: what would give them cannot be used now.
        """
        return self._keys().source

    def close(self) -> None:
        """Close the kept-alive connections."""
        self._transport.close()

    def _signed(self, request: Request, host: str, path: str, body: bytes) -> dict[str, str]:
        from alibabacloud_openapi_util.client import Client as Signer  # type: ignore[import-untyped]

        keys = self._keys()
        self._redaction.add(keys.secret_key, keys.security_token)
        payload = hashlib.sha256(body).hexdigest()
        headers = {
            "host": host,
            "x-acs-action": request.operation.name,
            "x-acs-version": VERSIONS[request.operation.service],
            "x-acs-date": datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x-acs-signature-nonce": uuid.uuid4().hex,
            "x-acs-content-sha256": payload,
        }
        if keys.security_token:
            headers["x-acs-security-token"] = keys.security_token
        if body:
            headers["content-type"] = "application/json"
        to_sign = _SignedParts(request.operation.method, path, request.query, headers)
        proof = Signer.get_authorization(to_sign, _SCHEME, payload, keys.access_key, keys.secret_key)
        return {"accept": "application/json", **request.headers, **headers, "authorization": proof}


def connect(
    config: ProviderConfig,
    *,
    region: str | None = None,
    emulator_url: str | None = None,
    clock: Callable[[], float] = time.time,
    limits: ServiceLimits | None = None,
) -> AlicloudClient:
    """A client for that region, else for the configured one. Nothing is sent yet.

    :raises ConfigurationError: the region or half of a key pair is missing; the text says how to give it.
    """
    where = region or alicloud_profile.region(config, emulated=bool(emulator_url))
    if emulator_url:
        from cloudretry.emulator.credentials import CREDENTIALS

        fixed = Keys(CREDENTIALS.alicloud_access_key, CREDENTIALS.alicloud_secret_key)
    if not where:
        raise ConfigurationError(
            "No region for Alibaba Cloud. Set ALIBABA_CLOUD_REGION_ID, run "
            "`pulumi config set --path cloudretry:alicloud.region cn-shanghai`, or set region on the resource."
        )
    try:
        check_host_label(where)
    except ValueError as error:
        raise InvalidInput("region", str(error)) from None
    return AlicloudClient(
        region=where,
        endpoint=emulator_url.rstrip("/") if emulator_url else alicloud_profile.endpoint_of(config, where),
        keys=(lambda: fixed) if emulator_url else keys_of(config),
        transport=Transport(
            connect_timeout=config.connect_timeout,
            read_timeout=config.read_timeout,
            ca_file=config.ca_file,
            allow_plain_http=config.allow_plain_http,
            connections=config.max_concurrent_requests,
        ),
        limits=limits or ServiceLimits(config.max_concurrent_requests, config.requests_per_second),
        redaction=Redaction(),
        emulator=bool(emulator_url),
        clock=clock,
    )


def _encode(text: str) -> str:
    return quote(text, safe="-_.~")
