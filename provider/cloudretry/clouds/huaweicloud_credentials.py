"""How a request to Huawei Cloud proves who sends it.

Sources, in this order; what is given in the configuration comes before what the environment says:

1. ``accessKey`` and ``secretKey``, with ``securityToken`` if they are temporary: each request is signed
2. ``token``: sent as it is, and not renewed
3. ``userName``, ``password`` and ``domainName``: a token of the identity service, renewed before it ends
4. ``profile`` or ``sharedConfigFile``: the keys in that file

With ``assumeRole``, the one that is found is used to take on an agency, whose temporary keys sign the requests.
"""

from __future__ import annotations

import configparser
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import quote, urlsplit

from cloudretry.clouds.huaweicloud_errors import read
from cloudretry.clouds.redaction import Redaction
from cloudretry.config import GIVEN, AssumeRole, HuaweicloudConfig, ProviderConfig
from cloudretry.errors import CredentialsError, NoAnswer, RequestNotSent
from cloudretry.http import USER_AGENT, Transport
from cloudretry.model import CloudError, Reply, parse_time

__all__ = ["AccessKey", "Credential", "IdentityService", "Outgoing", "Profile", "chosen_kind", "read_profile"]

_T = TypeVar("_T")

_RENEW_BEFORE = 300.0
_PROFILE_FILES = ("~/.hcloud/config.json", "~/.huaweicloud/credentials")

_NONE_FOUND = (
    "No credentials for Huawei Cloud were found. The quickest ways to give some: set HW_ACCESS_KEY and HW_SECRET_KEY; "
    "set HW_AUTH_TOKEN to a token; or name a profile of ~/.hcloud/config.json with HW_PROFILE. "
    "To try without an account: pulumi config set cloudretry:emulator embedded"
)


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


class PasswordToken:
    """A Keystone v3 token for user name and password, scoped to a project or, without one, to the domain."""

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
    does not answer, the request that needed it was not sent, so that is a ``RequestNotSent``.
    """

    def __init__(self, url: str, transport: Transport, *, clock: Callable[[], float], redaction: Redaction) -> None:
        self._url = url.rstrip("/").removesuffix("/v3")
        self._transport = transport
        self._clock = clock
        self._redaction = redaction

    def password_token(
        self, *, user_name: str, password: str, domain_name: str, project_id: str = "", project_name: str = ""
    ) -> PasswordToken:
        """A token for user name and password: for that project, or without one for the whole domain."""
        by_name = project_name and not project_id
        scope = {
            "project_id": project_id or None,
            "project_name": project_name if by_name else None,
            "project_domain_name": domain_name if by_name else None,
            "domain_name": None if project_id or project_name else domain_name,
        }

        def fetch() -> tuple[_ScopedToken, float]:
            from keystoneauth1.identity import v3

            auth = v3.Password(
                auth_url=f"{self._url}/v3",
                username=user_name,
                password=password,
                user_domain_name=domain_name,
                **scope,  # type: ignore[arg-type]
            )
            access = self._authenticated(auth, user_name)
            self._redaction.add(access.auth_token)
            return _ScopedToken(access.auth_token, access.project_id or ""), access.expires.timestamp()

        return PasswordToken(fetch, self._clock)

    def _authenticated(self, auth: Any, user_name: str) -> Any:
        from keystoneauth1 import exceptions, session

        keystone = session.Session(
            session=self._transport.session, timeout=self._transport.timeout[1], user_agent=USER_AGENT, redirect=False
        )
        try:
            return auth.get_auth_ref(keystone)
        except exceptions.HttpError as error:
            said = CloudError("", error.message or "", error.http_status, error.request_id or "")
            words = self._redaction(str(said))
            if error.http_status == 429 or error.http_status >= 500:
                raise self._not_now(words) from None
            raise CredentialsError(
                f"{self._url} gave no token for huaweicloud.userName {user_name!r}: {words}. "
                "Check userName, password, domainName, and the project's name or id."
            ) from None
        except exceptions.ConnectionError as error:
            raise self._not_now(self._transport.reason(error)) from None
        except exceptions.ClientException as error:
            raise CredentialsError(f"{self._url} gave no token: {self._redaction(str(error))}") from None

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
            reply = self._call(own, "POST", "/v3.0/OS-CREDENTIAL/securitytokens", body=wanted)
            try:
                key = reply.body["credential"]
                self._redaction.add(key["secret"], key["securitytoken"])
                ends_at = parse_time(key["expires_at"].replace("Z", "+00:00"))
                return AccessKey(key["access"], key["secret"], key["securitytoken"], clock=self._clock), ends_at
            except (TypeError, KeyError, AttributeError, ValueError):
                raise CredentialsError(
                    f"{self._url} gave no keys for the agency {role.agency_name!r}: its answer has no credential in it."
                ) from None

        return AgencyKey(fetch, self._clock)

    def project_id(self, name: str, credential: Credential) -> str:
        """The id of the project of that name."""
        reply = self._call(credential, "GET", "/v3/projects", query=(("name", name),))
        listed = reply.body.get("projects") if isinstance(reply.body, Mapping) else None
        ids = [
            str(project["id"])
            for project in listed or ()
            if isinstance(project, Mapping) and project.get("id") and project.get("name", name) == name
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
    ) -> Reply:
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
        reply = read(answer, now=self._clock(), redact=self._redaction)
        if reply.throttled or reply.status >= 500:
            raise self._not_now(str(reply.error))
        if reply.error is not None:
            raise CredentialsError(f"{self._url} refused {method} {path}: {reply.error}")
        return reply

    def _not_now(self, words: str) -> RequestNotSent:
        return RequestNotSent(f"{self._url} is needed to sign in and cannot be used now, so nothing was sent: {words}")


@dataclass(frozen=True, slots=True)
class Profile:
    """What a profile file says. Empty fields are not in it."""

    ak: str
    sk: str = field(repr=False)
    security_token: str = field(default="", repr=False)
    region: str = ""
    project_id: str = ""
    role: AssumeRole | None = None


def chosen_kind(config: ProviderConfig) -> str:
    """The credential that is used: ``accessKey``, ``token``, ``userName`` or ``profile``.

    :raises CredentialsError: none is complete; the text says what is missing.
    """
    cloud = config.huaweicloud
    kinds: Mapping[str, Mapping[str, object]] = {
        "accessKey": {"accessKey": cloud.access_key, "secretKey": cloud.secret_key},
        "token": {"token": cloud.token},
        "userName": {"userName": cloud.user_name, "password": cloud.password, "domainName": cloud.domain_name},
        "profile": {"profile": cloud.profile or cloud.shared_config_file},
    }
    complete = [kind for kind, values in kinds.items() if all(values.values())]
    if complete:
        return min(complete, key=lambda kind: not _is_given(config, kinds[kind]))
    for values in kinds.values():
        there = [key for key, value in values.items() if value]
        lacking = [key for key, value in values.items() if not value]
        if there and there != ["domainName"]:
            raise CredentialsError(
                f"huaweicloud.{' and '.join(there)} cannot be used without {' and '.join(lacking)}. {_NONE_FOUND}"
            )
    raise CredentialsError(_NONE_FOUND)


def _is_given(config: ProviderConfig, keys: Mapping[str, object]) -> bool:
    names = [*keys, "sharedConfigFile"] if "profile" in keys else keys
    return any(config.sources.get(f"huaweicloud.{key}") == GIVEN for key in names)


def read_profile(cloud: HuaweicloudConfig) -> Profile:
    """The profile that the configuration names, from the KooCLI's JSON file or the SDKs' INI file.

    :raises CredentialsError: the file or the profile is not there, or it holds no keys.
    """
    files = (cloud.shared_config_file,) if cloud.shared_config_file else _PROFILE_FILES
    path = next((found for name in files if (found := Path(name).expanduser()).is_file()), None)
    if path is None:
        raise CredentialsError(
            f"There is no profile file {' or '.join(files)}. Name one with huaweicloud.sharedConfigFile."
        )
    try:
        text = path.read_text(encoding="utf-8")
        profile = _from_json(text, cloud.profile) if text.lstrip().startswith("{") else _from_ini(text, cloud.profile)
    except (OSError, ValueError, TypeError, AttributeError, configparser.Error) as error:
        # A parser quotes the line that it cannot read, and the line may hold a key.
        words = error.strerror if isinstance(error, OSError) else "it is neither the KooCLI's JSON nor the SDKs' INI"
        raise CredentialsError(f"The profile file {path} cannot be read: {words}") from None
    if profile is None:
        raise CredentialsError(f"{path} has no profile {cloud.profile or 'that is current'!r}.")
    if not (profile.ak and profile.sk):
        raise CredentialsError(
            f"The profile {cloud.profile or 'that is current'!r} in {path} holds no access key pair."
        )
    return profile


def _from_json(text: str, name: str | None) -> Profile | None:
    content = json.loads(text)
    wanted = name or content.get("current")
    found = next((entry for entry in content.get("profiles") or () if entry.get("name") == wanted), None)
    if found is None:
        return None
    keys = (found.get("ssoAuth") or {}).get("stsToken") or {} if found.get("mode") == "SSO" else found
    agency = found.get("agencyName")
    return Profile(
        ak=keys.get("accessKeyId") or "",
        sk=keys.get("secretAccessKey") or "",
        security_token=keys.get("securityToken") or "",
        region=found.get("region") or "",
        project_id=found.get("projectId") or "",
        role=AssumeRole.model_validate(
            {
                "agencyName": agency,
                "domainName": found.get("agencyDomainName") or None,
                "domainId": found.get("agencyDomainId") or None,
            }
        )
        if agency
        else None,
    )


def _from_ini(text: str, name: str | None) -> Profile | None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    section = name or "basic"
    if not parser.has_section(section):
        return None
    found = parser[section]
    return Profile(
        ak=found.get("ak", ""),
        sk=found.get("sk", ""),
        security_token=found.get("security_token", ""),
        region=found.get("region", ""),
        project_id=found.get("project_id", ""),
    )


def _encode(text: str) -> str:
    return quote(text, safe="-_.~")
