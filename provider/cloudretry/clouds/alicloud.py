"""Alibaba Cloud: endpoint, credentials, ACS3-HMAC-SHA256, the RPC gateway's words.

Sources of credentials, in this order; what is given in the configuration comes before what the environment says:

1. ``accessKey`` and ``secretKey``, with ``securityToken`` if they are temporary
2. ``profile``: of the Alibaba Cloud CLI (``~/.aliyun/config.json``), else of ``~/.alibabacloud/credentials.ini``
3. ``ecsRoleName``: the RAM role of the ECS instance
4. the standard chain of the official credentials library: ``ALIBABA_CLOUD_*`` variables, an OIDC token, the CLI's
   current profile, the credentials file, the ECS instance's role, a credentials URI
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from cloudretry.clouds import envelope
from cloudretry.clouds.limits import Limits
from cloudretry.clouds.redaction import Redaction
from cloudretry.config import GIVEN, ProviderConfig, check_host_label
from cloudretry.errors import ConfigurationError, CredentialsError, InvalidInput
from cloudretry.http import Transport
from cloudretry.model import Meaning, Reply, Request

__all__ = ["GATEWAY_ERRORS", "VERSIONS", "AlicloudClient", "Keys", "chosen_kind", "connect", "is_throttling"]

VERSIONS: Mapping[str, str] = {"ehpc": "2018-04-12"}
"""The API version of each service."""

_SCHEME = "ACS3-HMAC-SHA256"
_STANDARD = "ALIBABA_CLOUD_"

_NONE_FOUND = (
    "No credentials for Alibaba Cloud were found. The quickest ways to give some: set ALIBABA_CLOUD_ACCESS_KEY_ID and "
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET; run `aliyun configure`; or name a profile of ~/.aliyun/config.json with "
    "ALIBABA_CLOUD_PROFILE. To try without an account: pulumi config set cloudretry:emulator embedded"
)

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
class Keys:
    """What signs a request."""

    access_key: str
    secret_key: str = field(repr=False)
    security_token: str = field(default="", repr=False)


class _Provider(Protocol):
    """A credentials provider of the official library."""

    def get_credentials(self) -> Any: ...


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
        limits: Limits,
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

    def send(self, request: Request) -> Reply:
        """See :meth:`cloudretry.model.CloudClient.send`."""
        body = b"" if request.body is None else json.dumps(request.body, separators=(",", ":")).encode()
        parts = urlsplit(self.endpoint)
        path = parts.path + re.sub(
            r"{(\w+)}", lambda name: quote(request.path[name[1]], safe="-_.~"), request.operation.path
        )
        query = "&".join(f"{_encode(name)}={_encode(value)}" for name, value in sorted(request.query.items()))
        url = f"{parts.scheme}://{parts.netloc}{path}" + (f"?{query}" if query else "")
        headers = self._signed(request, parts.netloc, path, body)
        with self._limits.slot():
            answer = self._transport.send(request.operation.method, url, headers, body or None)
        return envelope.read(
            answer,
            table=GATEWAY_ERRORS,
            is_throttling=is_throttling,
            now=self._clock(),
            redact=self._redaction,
        )

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
    limits: Limits | None = None,
) -> AlicloudClient:
    """A client for that region, else for the configured one. Nothing is sent yet.

    :raises ConfigurationError: the region or half of a key pair is missing; the text says how to give it.
    """
    where = region or config.alicloud.region
    if emulator_url:
        from cloudretry.emulator.credentials import CREDENTIALS

        where = where or CREDENTIALS.alicloud_region
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
        endpoint=(emulator_url or config.alicloud.endpoint or f"https://ehpc.{where}.aliyuncs.com").rstrip("/"),
        keys=(lambda: fixed) if emulator_url else _keys(config),
        transport=Transport(
            connect_timeout=config.connect_timeout,
            read_timeout=config.read_timeout,
            ca_file=config.ca_file,
            allow_plain_http=config.allow_plain_http,
            connections=config.max_concurrent_requests,
        ),
        limits=limits or Limits(config.max_concurrent_requests, config.requests_per_second),
        redaction=Redaction(),
        emulator=bool(emulator_url),
        clock=clock,
    )


def chosen_kind(config: ProviderConfig) -> str:
    """The source of keys that is used: ``accessKey``, ``profile``, ``ecsRoleName`` or ``chain``.

    :raises CredentialsError: an access key without its secret.
    """
    cloud = config.alicloud
    source = {key: config.sources.get(f"alicloud.{key}", "") for key in ("accessKey", "profile", "ecsRoleName")}
    named = [key for key in ("profile", "ecsRoleName") if source[key] == GIVEN]
    if cloud.access_key and (source["accessKey"] == GIVEN or not named):
        if not cloud.secret_key:
            raise CredentialsError(f"alicloud.accessKey cannot be used without secretKey. {_NONE_FOUND}")
        return "accessKey"
    # The standard chain reads the standard variables by itself, in its own order.
    named += [key for key in ("profile", "ecsRoleName") if source[key] and not source[key].startswith(_STANDARD)]
    return named[0] if named else "chain"


def _keys(config: ProviderConfig) -> Callable[[], Keys]:
    cloud = config.alicloud
    match chosen_kind(config):
        case "accessKey":
            secret_key, token = (
                secret.get_secret_value() if secret else "" for secret in (cloud.secret_key, cloud.security_token)
            )
            fixed = Keys(cloud.access_key or "", secret_key, token)
            return lambda: fixed
        case "profile":
            name = cloud.profile or ""
            makers = (partial(_cli_profile, name), partial(_file_profile, name))
            return _Library(makers, f"There are no keys in the profile {name!r}.")
        case "ecsRoleName":
            role = cloud.ecs_role_name or ""
            return _Library((partial(_instance_role, role),), f"There are no keys of the ECS role {role!r}.")
        case _:
            return _Library((_standard_chain,), _NONE_FOUND)


class _Library:
    """Keys from the official library, which renews what ends. Asked late: importing it is slow."""

    def __init__(self, makers: Iterable[Callable[[], _Provider]], nothing_found: str) -> None:
        # Made once: a provider of the library may start a thread that renews.
        self._providers = [cache(make) for make in makers]
        self._nothing_found = nothing_found
        self._lock = threading.Lock()

    def __call__(self) -> Keys:
        from alibabacloud_credentials.exceptions import CredentialException  # type: ignore[import-untyped]
        from Tea.exceptions import RetryError, TeaException  # type: ignore[import-untyped]

        said: list[str] = []
        with self._lock:
            for provider in self._providers:
                try:
                    found = provider().get_credentials()
                except (CredentialException, TeaException, RetryError, OSError, ValueError, KeyError) as error:
                    said.append(str(error))
                else:
                    token = found.get_security_token() or ""
                    return Keys(found.get_access_key_id(), found.get_access_key_secret(), token)
        raise CredentialsError(f"{self._nothing_found} The credentials library says: {'; '.join(said)}")


def _cli_profile(name: str) -> _Provider:
    from alibabacloud_credentials.provider import CLIProfileCredentialsProvider  # type: ignore[import-untyped]

    provider: _Provider = CLIProfileCredentialsProvider(profile_name=name)
    return provider


def _file_profile(name: str) -> _Provider:
    from alibabacloud_credentials.provider import ProfileCredentialsProvider

    provider: _Provider = ProfileCredentialsProvider(profile_name=name)
    return provider


def _instance_role(name: str) -> _Provider:
    from alibabacloud_credentials.provider import EcsRamRoleCredentialsProvider

    provider: _Provider = EcsRamRoleCredentialsProvider(role_name=name)
    return provider


def _standard_chain() -> _Provider:
    from alibabacloud_credentials.provider import DefaultCredentialsProvider

    provider: _Provider = DefaultCredentialsProvider()
    return provider


def _encode(text: str) -> str:
    return quote(text, safe="-_.~")
