"""Huawei Cloud and other clouds of the same make: endpoints, signed requests, the gateway's words."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from urllib.parse import quote

from cloudretry.clouds.huaweicloud_credentials import (
    AccessKey,
    Credential,
    IdentityService,
    KeystoneToken,
    Outgoing,
    Token,
)
from cloudretry.clouds.huaweicloud_errors import GATEWAY_ERRORS, is_throttling, read
from cloudretry.clouds.huaweicloud_profile import Profile, chosen_kind, home, read_profile
from cloudretry.clouds.huaweicloud_sites import SERVICES, endpoints
from cloudretry.clouds.limits import ServiceLimits
from cloudretry.clouds.redaction import Redaction
from cloudretry.config import AssumeRole, ProviderConfig, check_host_label
from cloudretry.errors import ConfigurationError, InvalidInput
from cloudretry.http import Transport
from cloudretry.model import Reply, Request

__all__ = ["GATEWAY_ERRORS", "SERVICES", "HuaweicloudClient", "connect", "is_throttling"]


class HuaweicloudClient:
    """A connection to the services of one region and project."""

    def __init__(
        self,
        *,
        region: str,
        project_id: str,
        project_name: str,
        endpoints: Mapping[str, str],
        credential: Credential,
        identity: IdentityService,
        transport: Transport,
        limits: ServiceLimits,
        redaction: Redaction,
        emulator: bool,
        clock: Callable[[], float],
    ) -> None:
        self.region = region
        self.emulator = emulator
        self.endpoints = endpoints
        self._project_id = project_id
        self._project_name = project_name
        self._credential = credential
        self._identity = identity
        self._transport = transport
        self._limits = limits
        self._redaction = redaction
        self._clock = clock
        self._looking_up = threading.Lock()

    @cached_property
    def project_id(self) -> str:
        """The project's id; the first time, it may have to be asked for.

        :raises CredentialsError: it is not given and cannot be looked up.
        :raises RequestNotSent: the identity service cannot be reached now.
        """
        with self._looking_up:
            if not self._project_id and isinstance(self._credential, KeystoneToken):
                self._project_id = self._credential.project_id
            if not self._project_id:
                with self._limits.of("iam").slot():
                    self._project_id = self._identity.project_id(self._project_name, self._credential)
            return self._project_id

    def send(self, request: Request, leaving: Callable[[], None] | None = None) -> Reply:
        """See :meth:`cloudretry.model.CloudClient.send`. A 401 renews what can be renewed and sends once more:
        the gateway refused, so the request did not reach its service.
        """
        outgoing = self._outgoing(request)
        reply, headers = self._exchange(request, outgoing, leaving)
        if reply.status == 401 and self._credential.renew(headers):
            reply, _ = self._exchange(request, outgoing, leaving)
        return reply

    def close(self) -> None:
        """Close the kept-alive connections."""
        self._transport.close()

    def _outgoing(self, request: Request) -> Outgoing:
        values = {"project_id": self.project_id, **request.path}
        path = re.sub(r"{(\w+)}", lambda name: _segment(name[1], values[name[1]]), request.operation.path)
        body = request.body
        return Outgoing(
            method=request.operation.method,
            endpoint=self.endpoints[request.operation.service],
            path=path,
            query=tuple(request.query.items()),
            headers={"Content-Type": "application/json", **request.headers},
            body=None if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(),
        )

    def _exchange(
        self, request: Request, outgoing: Outgoing, leaving: Callable[[], None] | None
    ) -> tuple[Reply, Mapping[str, str]]:
        """The answer, and the headers that were sent."""
        operation = request.operation
        with self._limits.of(operation.service).slot():
            # In its turn, not before: a signature that has waited for it is refused as too old.
            headers = self._credential.authorized(outgoing, self.project_id)
            if leaving is not None:
                leaving()
            answer = self._transport.send(outgoing.method, outgoing.url, headers, outgoing.body, looks=operation.looks)
        return read(answer, now=self._clock(), redact=self._redaction.beside(headers)), headers


def connect(
    config: ProviderConfig,
    *,
    region: str | None = None,
    project_id: str | None = None,
    emulator_url: str | None = None,
    clock: Callable[[], float] = time.time,
    limits: ServiceLimits | None = None,
) -> HuaweicloudClient:
    """A client for that region and project, else for the configured ones. Nothing is sent yet.

    The configured project belongs to the configured region, if one is: for another region, without a project, the
    region's own project is looked up.

    :raises ConfigurationError: the region or the credentials are missing, or two sites are named; the text has the
        remedy.
    """
    cloud = config.huaweicloud
    own = home(config, emulated=bool(emulator_url))
    where = region or own.region
    if not where:
        raise ConfigurationError(
            "No region for Huawei Cloud. Set HW_REGION_NAME, run "
            "`pulumi config set --path cloudretry:huaweicloud.region ap-southeast-3`, or set region on the resource."
        )
    try:
        check_host_label(where)
    except ValueError as error:
        raise InvalidInput("region", str(error)) from None
    project, project_name = project_id or "", where
    if emulator_url or own.region in ("", where):
        project = project or own.project_id
        project_name = cloud.project_name or where
    redaction = Redaction()
    transport = Transport(
        connect_timeout=config.connect_timeout,
        read_timeout=config.read_timeout,
        ca_file=config.ca_file,
        allow_plain_http=config.allow_plain_http,
        connections=config.max_concurrent_requests,
    )
    hosts = dict.fromkeys(SERVICES, emulator_url.rstrip("/")) if emulator_url else endpoints(config, where)
    identity = IdentityService(hosts["iam"], transport, clock=clock, redaction=redaction)
    if emulator_url:
        from cloudretry.emulator.credentials import CREDENTIALS

        credential: Credential = AccessKey(CREDENTIALS.access_key, CREDENTIALS.secret_key, clock=clock)
    else:
        credential = _credential(config, own.profile, identity, redaction, project, project_name, clock)
    return HuaweicloudClient(
        region=where,
        project_id=project,
        project_name=project_name,
        endpoints=hosts,
        credential=credential,
        identity=identity,
        transport=transport,
        limits=limits or ServiceLimits(config.max_concurrent_requests, config.requests_per_second),
        redaction=redaction,
        emulator=bool(emulator_url),
        clock=clock,
    )


def _credential(
    config: ProviderConfig,
    profile: Profile | None,
    identity: IdentityService,
    redaction: Redaction,
    project_id: str,
    project_name: str,
    clock: Callable[[], float],
) -> Credential:
    cloud = config.huaweicloud
    role: AssumeRole | None = cloud.assume_role or (profile.role if profile else None)
    secrets = (cloud.secret_key, cloud.security_token, cloud.token, cloud.password, cloud.application_credential_secret)
    secret_key, security_token, token, password, application_secret = (
        secret.get_secret_value() if secret else "" for secret in secrets
    )
    redaction.add(secret_key, security_token, token, password, application_secret)
    own: Credential
    match chosen_kind(config):
        case "accessKey":
            own = AccessKey(cloud.access_key or "", secret_key, security_token, clock=clock)
        case "token":
            own = Token(token)
        case "userName":
            own = identity.password_token(
                user_name=cloud.user_name or "",
                password=password,
                domain_name=cloud.domain_name or "",
                # The project is the agency's, and one's own account does not know it.
                project_id="" if role else project_id,
                project_name="" if role else project_name,
            )
        case "applicationCredentialId":
            own = identity.application_token(
                credential_id=cloud.application_credential_id or "", secret=application_secret
            )
        case _:
            found = profile or read_profile(cloud)
            redaction.add(found.sk, found.security_token)
            own = AccessKey(found.ak, found.sk, found.security_token, clock=clock)
    return identity.agency_key(role, own) if role else own


def _segment(name: str, value: str) -> str:
    if value in ("", ".", ".."):
        # The path would be another API's.
        raise InvalidInput(name, f"{value!r} cannot stand in the path of a request")
    return quote(value, safe="-_.~")
