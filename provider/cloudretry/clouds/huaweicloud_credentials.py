"""How a request to Huawei Cloud proves who sends it.

Sources, in this order; what is given in the configuration comes before what the environment says:

1. ``accessKey`` and ``secretKey``, with ``securityToken`` if they are temporary: each request is signed
2. ``token``: sent as it is, and not renewed
3. ``userName``, ``password`` and ``domainName``: a token of the identity service, renewed before it ends
4. ``applicationCredentialId`` and ``applicationCredentialSecret``: likewise, for the project that they are made for
5. ``profile`` or ``sharedConfigFile``: the keys in that file

With ``assumeRole``, the one that is found is used to take on an agency, whose temporary keys sign the requests.

A token is for the project, because that is what all services here ask for; it is for the whole domain where it only
serves to take on an agency, whose project one's own account does not know.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import quote, urlsplit

from cloudretry.bounds import LONGEST_NAME
from cloudretry.clouds.envelope import parsed
from cloudretry.clouds.huaweicloud_errors import read
from cloudretry.clouds.redaction import Redaction
from cloudretry.config import AssumeRole
from cloudretry.errors import CredentialsError, NoAnswer, RequestNotSent
from cloudretry.http import USER_AGENT, HttpAnswer, Transport
from cloudretry.model import parse_time

__all__ = ["AccessKey", "Credential", "IdentityService", "Outgoing", "Token"]

_T = TypeVar("_T")

_RENEW_BEFORE = 300.0

_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What reading an answer raises that is not what it should be."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request that is complete but for its credentials. ``path`` and ``query`` are percent-encoded."""

    method: str
    endpoint: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None

    @property
    def host(self) -> str:
        return urlsplit(self.endpoint).netloc

    @property
    def full_path(self) -> str:
        return urlsplit(self.endpoint).path + self.path

    @property
    def url(self) -> str:
        parts = urlsplit(self.endpoint)
        query = "&".join(f"{_encode(name)}={_encode(value)}" for name, value in sorted(self.query))
        return f"{parts.scheme}://{parts.netloc}{self.full_path}" + (f"?{query}" if query else "")


class Credential(Protocol):
    """One way to prove who sends a request."""

    def authorized(self, request: Outgoing, project_id: str = "") -> dict[str, str]:
        """The request's headers with the proof among them; ``project_id`` is the one that it is for.

        :raises CredentialsError: there is no proof to be had.
        :raises RequestNotSent: the identity service cannot be reached now.
        """

    def renew(self, refused: Mapping[str, str]) -> bool:
        """Forget the proof in these headers, which the gateway refused. False if there is no other to be had."""


@dataclass(frozen=True, slots=True)
class AccessKey:
    """Signs with SDK-HMAC-SHA256, by the official SDK's own signer."""

    ak: str
    sk: str = field(repr=False)
    security_token: str = field(default="", repr=False)
    clock: Callable[[], float] = field(kw_only=True, repr=False)

    def authorized(self, request: Outgoing, project_id: str = "") -> dict[str, str]:
        from huaweicloudsdkcore.sdk_request import SdkRequest  # type: ignore[import-untyped]
        from huaweicloudsdkcore.signer.signer import Signer  # type: ignore[import-untyped]

        headers = dict(request.headers)
        headers["Host"] = request.host
        headers["X-Sdk-Date"] = datetime.fromtimestamp(self.clock(), UTC).strftime("%Y%m%dT%H%M%SZ")
        if project_id:
            headers["X-Project-Id"] = project_id
        if self.security_token:
            headers["X-Security-Token"] = self.security_token
        unsigned = SdkRequest(
            method=request.method,
            host=request.host,
            resource_path=request.full_path,
            query_params=list(request.query),
            header_params=headers,
            body=request.body or b"",
        )
        signed: dict[str, str] = Signer(self).sign(unsigned).header_params
        return signed

    def renew(self, refused: Mapping[str, str]) -> bool:  # noqa: ARG002 - one key pair is all there is
        return False


@dataclass(frozen=True, slots=True)
class Token:
    """A token got elsewhere."""

    token: str = field(repr=False)

    def authorized(self, request: Outgoing, project_id: str = "") -> dict[str, str]:  # noqa: ARG002 - in the token
        return {**request.headers, "X-Auth-Token": self.token}

    def renew(self, refused: Mapping[str, str]) -> bool:  # noqa: ARG002 - nothing to get another one with
        return False


class _Renewing(Generic[_T]):
    """A value that ends: fetched when needed, and again shortly before its end. Times are seconds since the epoch."""

    def __init__(self, fetch: Callable[[], tuple[_T, float]], clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._value: _T | None = None
        self._renew_at = 0.0

    def get(self) -> _T:
        with self._lock:
            if self._value is None or self._clock() >= self._renew_at:
                self._value, ends_at = self._fetch()
                now = self._clock()
                self._renew_at = ends_at - min(_RENEW_BEFORE, max(0.0, ends_at - now) / 2)
            return self._value

    def drop(self, is_refused: Callable[[_T], bool]) -> None:
        """Forget the value if it is the refused one; another thread may have renewed it already."""
        with self._lock:
            if self._value is not None and is_refused(self._value):
                self._value = None


@dataclass(frozen=True, slots=True)
class _ScopedToken:
    token: str = field(repr=False)
    project_id: str


class KeystoneToken:
    """A token of the identity service (Keystone v3), for a project or for the whole domain."""

    def __init__(self, fetch: Callable[[], tuple[_ScopedToken, float]], clock: Callable[[], float]) -> None:
        self._tokens = _Renewing(fetch, clock)

    @property
    def project_id(self) -> str:
        """The project that the token is for; empty if it is for the domain."""
        return self._tokens.get().project_id

    def authorized(self, request: Outgoing, project_id: str = "") -> dict[str, str]:  # noqa: ARG002 - in the token
        return {**request.headers, "X-Auth-Token": self._tokens.get().token}

    def renew(self, refused: Mapping[str, str]) -> bool:
        self._tokens.drop(lambda token: token.token == refused.get("X-Auth-Token"))
        return True


class AgencyKey:
    """The temporary keys of an agency, renewed before they end."""

    def __init__(self, fetch: Callable[[], tuple[AccessKey, float]], clock: Callable[[], float]) -> None:
        self._keys = _Renewing(fetch, clock)

    def authorized(self, request: Outgoing, project_id: str = "") -> dict[str, str]:
        return self._keys.get().authorized(request, project_id)

    def renew(self, refused: Mapping[str, str]) -> bool:
        self._keys.drop(lambda key: key.security_token == refused.get("X-Security-Token"))
        return True


class IdentityService:
    """IAM, for what must be known before a request can be signed.

    Its failures are told by whose they are: what it refuses is a ``CredentialsError``; when it cannot be reached or
    does not answer, the request that needed it was not sent, so that is a ``RequestNotSent``. ``url`` is without the
    version of the API.
    """

    def __init__(self, url: str, transport: Transport, *, clock: Callable[[], float], redaction: Redaction) -> None:
        self._url = url
        self._transport = transport
        self._clock = clock
        self._redaction = redaction

    def password_token(
        self, *, user_name: str, password: str, domain_name: str, project_id: str = "", project_name: str = ""
    ) -> KeystoneToken:
        """A token for user name and password: for that project, or without one for the whole domain."""
        by_name = project_name and not project_id
        scope = {
            "project_id": project_id or None,
            "project_name": project_name if by_name else None,
            "project_domain_name": domain_name if by_name else None,
            "domain_name": None if project_id or project_name else domain_name,
        }

        def sign_in() -> Any:
            from keystoneauth1.identity import v3

            return v3.Password(
                auth_url=f"{self._url}/v3",
                username=user_name,
                password=password,
                user_domain_name=domain_name,
                **scope,  # type: ignore[arg-type]
            )

        return self._token(
            sign_in,
            f"userName {user_name!r}",
            "Check userName, password, domainName, and the project's name or id.",
        )

    def application_token(self, *, credential_id: str, secret: str) -> KeystoneToken:
        """A token for an application credential, which is bound to its project."""

        def sign_in() -> Any:
            from keystoneauth1.identity import v3

            return v3.ApplicationCredential(
                auth_url=f"{self._url}/v3",
                application_credential_id=credential_id,
                application_credential_secret=secret,
            )

        return self._token(
            sign_in,
            f"applicationCredentialId {credential_id!r}",
            "Check applicationCredentialId and applicationCredentialSecret.",
        )

    def _token(self, sign_in: Callable[[], Any], whose: str, remedy: str) -> KeystoneToken:
        def fetch() -> tuple[_ScopedToken, float]:
            token, ends_at = self._signed_in(sign_in(), whose, remedy)
            self._redaction.add(token.token)
            return token, ends_at

        return KeystoneToken(fetch, self._clock)

    def _signed_in(self, auth: Any, whose: str, remedy: str) -> tuple[_ScopedToken, float]:
        """A token, and when it ends."""
        from keystoneauth1 import exceptions, session

        from cloudretry.clouds.carried import carried_by

        keystone = session.Session(session=carried_by(self._transport), user_agent=USER_AGENT, redirect=False)
        try:
            access = auth.get_auth_ref(keystone)
            return _ScopedToken(access.auth_token, access.project_id or ""), access.expires.timestamp()
        except exceptions.HttpError as error:
            words = self._said(error.response)
            if error.http_status == 429 or error.http_status >= 500:
                raise self._not_now(words) from None
            raise CredentialsError(f"{self._url} gave no token for huaweicloud.{whose}: {words}. {remedy}") from None
        except NoAnswer as error:
            raise self._not_now(str(error)) from None
        except (exceptions.ClientException, *_UNREADABLE):
            raise CredentialsError(f"{self._url} gave no token: its answer is not what Keystone says.") from None

    def agency_key(self, role: AssumeRole, own: Credential) -> AgencyKey:
        """The keys of an agency, asked for with one's own credential."""
        if not (role.domain_id or role.domain_name):
            raise CredentialsError(
                f"Whose agency is {role.agency_name!r}? Give huaweicloud.assumeRole.domainName or domainId."
            )
        agency: dict[str, Any] = {"agency_name": role.agency_name, "duration_seconds": int(role.duration)}
        agency |= {"domain_id": role.domain_id} if role.domain_id else {"domain_name": role.domain_name}
        wanted = {"auth": {"identity": {"methods": ["assume_role"], "assume_role": agency}}}

        def fetch() -> tuple[AccessKey, float]:
            answer = self._call(own, "POST", "/v3.0/OS-CREDENTIAL/securitytokens", body=wanted)
            try:
                key = answer["credential"]
                self._redaction.add(key["secret"], key["securitytoken"])
                ends_at = parse_time(key["expires_at"].replace("Z", "+00:00"))
                return AccessKey(key["access"], key["secret"], key["securitytoken"], clock=self._clock), ends_at
            except _UNREADABLE:
                raise CredentialsError(
                    f"{self._url} gave no keys for the agency {role.agency_name!r}: its answer has no credential in it."
                ) from None

        return AgencyKey(fetch, self._clock)

    def project_id(self, name: str, credential: Credential) -> str:
        """The id of the project of that name."""
        answer = self._call(credential, "GET", "/v3/projects", query=(("name", name),))
        listed = answer.get("projects") if isinstance(answer, Mapping) else None
        ids: list[str] = [
            project["id"]
            for project in (listed if isinstance(listed, list) else ())
            if isinstance(project, Mapping) and _is_name(project.get("id")) and project.get("name", name) == name
        ]
        if len(ids) != 1:
            raise CredentialsError(
                f"{self._url} knows {len(ids) or 'no'} projects named {name!r} for these credentials. "
                "Give huaweicloud.projectId (HW_PROJECT_ID), or another projectName."
            )
        return ids[0]

    def _call(
        self,
        credential: Credential,
        method: str,
        path: str,
        *,
        query: tuple[tuple[str, str], ...] = (),
        body: Any = None,
    ) -> Any:
        """What it answers, as it stands: it may hold keys."""
        request = Outgoing(
            method,
            self._url,
            path,
            query,
            {"Content-Type": "application/json"},
            None if body is None else json.dumps(body).encode(),
        )
        headers = credential.authorized(request)
        try:
            answer = self._transport.send(method, request.url, headers, request.body)
        except NoAnswer as error:
            raise self._not_now(str(error)) from None
        reply = read(answer, now=self._clock(), redact=self._redaction.beside(headers))
        if reply.throttled or reply.status >= 500:
            raise self._not_now(str(reply.error))
        if reply.error is not None:
            raise CredentialsError(f"{self._url} refused {method} {path}: {reply.error}")
        return parsed(answer)

    def _said(self, response: Any) -> str:
        """An answer's error, in the words in which any other is told."""
        answer = HttpAnswer(response.status_code, response.headers, response.content)
        return str(read(answer, now=self._clock(), redact=self._redaction).error).rstrip(".")

    def _not_now(self, words: str) -> RequestNotSent:
        return RequestNotSent(f"{self._url} is needed to sign in and cannot be used now, so nothing was sent: {words}")


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_NAME


def _encode(text: str) -> str:
    return quote(text, safe="-_.~")
