"""Where the keys of Alibaba Cloud come from: given ones, else the official credentials library.

Sources, in this order; what is given in the configuration comes before what the environment says:

1. ``accessKey`` and ``secretKey``, with ``securityToken`` if they are temporary
2. ``profile``: of the Alibaba Cloud CLI (``~/.aliyun/config.json``), else of ``~/.alibabacloud/credentials.ini``
3. ``ecsRoleName``: the RAM role of the ECS instance
4. that library's standard chain: ``ALIBABA_CLOUD_*`` variables, an OIDC token, the CLI's current profile, the
   credentials file, the ECS instance's role, a credentials URI
"""

from __future__ import annotations

import configparser
import json
import logging
import os
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol

from cloudretry.clouds.alicloud_profile import CLI_FILE, NONE_FOUND, chosen_kind
from cloudretry.config import ProviderConfig
from cloudretry.errors import CredentialsError, RequestNotSent
from cloudretry.folders import begins_with_mark

__all__ = ["Keys", "keys_of"]

_FOR_NOW = re.compile(r"http_?code\s*[:=]\s*(429|5\d\d)", re.IGNORECASE)
"""How the library words an answer that says "not now"."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What signs a request. ``source`` names where they came from."""

    access_key: str
    secret_key: str = field(repr=False)
    security_token: str = field(default="", repr=False)
    source: str = "accessKey"


class _Provider(Protocol):
    """A credentials provider of the official library."""

    def get_credentials(self) -> Any: ...

    def get_provider_name(self) -> str: ...


@dataclass(frozen=True, slots=True)
class _Source:
    """One place to ask. ``is_meant`` says that the user named it, so that its silence is a failure of its own."""

    name: str
    make: Callable[[], _Provider]
    is_meant: bool = True


def keys_of(config: ProviderConfig) -> Callable[[], Keys]:
    """What gives the keys for a request, renewed where they end.

    It raises ``CredentialsError`` if there are none, and ``RequestNotSent`` if what would give them cannot be used now.

    :raises CredentialsError: an access key without its secret.
    """
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
            sources = (
                _Source("the CLI's profile", partial(_cli_profile, name)),
                _Source("the credentials file", partial(_file_profile, name)),
            )
            return _Library(lambda: sources, f"There are no keys in the profile {name!r}.")
        case "ecsRoleName":
            role = _Source("the instance's role", partial(_instance_role, cloud.ecs_role_name))
            return _Library(lambda: (role,), f"There are no keys of the ECS role {cloud.ecs_role_name!r}.")
        case _:
            return _Library(_standard_chain, NONE_FOUND)


class _Library:
    """Keys from the official library, which renews what ends. Asked late: importing it is slow."""

    def __init__(self, sources: Callable[[], Sequence[_Source]], nothing_found: str) -> None:
        self._sources = sources
        self._nothing_found = nothing_found
        self._lock = threading.Lock()
        self._made: list[tuple[_Source, Callable[[], _Provider]]] | None = None

    def __call__(self) -> Keys:
        with self._lock:
            if self._made is None:
                _silence()
                # Each is made once: a provider of the library may start a thread that renews.
                self._made = [(source, cache(source.make)) for source in self._sources()]
            return self._first()

    def _first(self) -> Keys:
        from alibabacloud_credentials.exceptions import CredentialException  # type: ignore[import-untyped]
        from Tea.exceptions import RetryError, TeaException  # type: ignore[import-untyped]

        failures = (CredentialException, TeaException, RetryError, OSError, ValueError, LookupError)
        said: list[str] = []
        for source, provider in self._made or ():
            try:
                found = provider().get_credentials()
            except (*failures, TypeError, AttributeError, configparser.Error) as error:
                is_out_of_reach = isinstance(error, RetryError)
                if source.is_meant and (is_out_of_reach or _FOR_NOW.search(str(error))):
                    raise RequestNotSent(
                        f"{source.name} is needed to sign in to Alibaba Cloud and cannot be used now, so nothing was "
                        f"sent: {'no answer' if is_out_of_reach else _without_secrets(error)}"
                    ) from None
                said.append(f"{source.name}: {'no answer' if is_out_of_reach else _without_secrets(error)}")
            else:
                self._made = [(source, provider)]
                token = found.get_security_token() or ""
                return Keys(found.get_access_key_id(), found.get_access_key_secret(), token, source.name)
        raise CredentialsError(f"{self._nothing_found} What was tried: {'; '.join(said)}")


def _without_secrets(error: Exception) -> str:
    """What the library says of a failure, without what it quotes: whole answers with keys in them, and queries."""
    if isinstance(error, configparser.Error):
        return "it cannot be read"
    if isinstance(error, OSError):
        return f"{error.strerror or 'it cannot be read'}{f': {error.filename}' if error.filename else ''}"
    words, _, answer = str(error).partition("result:")
    words = re.sub(r"\?\S*", "", words).strip().rstrip(",:")
    try:
        refused = json.loads(answer)
        code, message = str(refused["Code"]), str(refused.get("Message", ""))
    except (ValueError, TypeError, LookupError, AttributeError):
        return words
    message = message.partition("server string to sign")[0].strip()
    return f"{words}: {code}: {message}".rstrip(": ")


@cache
def _silence() -> None:
    """Keep secrets out of the log, whoever listens to it and at whatever level.

    The libraries print on stderr by themselves: answers that hold keys, and with DEBUG=sdk whole requests. Theirs are
    also the only requests with a secret in the URL (an OIDC token), which urllib3 writes down at debug level.
    """
    import alibabacloud_credentials.provider  # type: ignore[import-untyped]  # noqa: F401 - it adds the handlers

    for name in ("credentials", "alibabacloud-tea"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = False
        logger.addHandler(logging.NullHandler())
    logging.getLogger("urllib3.connectionpool").addFilter(_without_query)


def _without_query(record: logging.LogRecord) -> bool:
    if isinstance(record.args, tuple):
        record.args = tuple(word.partition("?")[0] if isinstance(word, str) else word for word in record.args)
    return True


def _cli_profile(name: str | None = None) -> _Provider:
    from alibabacloud_credentials.provider import CLIProfileCredentialsProvider

    _refuse_mark(CLI_FILE)
    provider: _Provider = CLIProfileCredentialsProvider(profile_name=name)
    return provider


def _file_profile(name: str | None = None) -> _Provider:
    from alibabacloud_credentials.provider import ProfileCredentialsProvider

    _refuse_mark(os.environ.get("ALIBABA_CLOUD_CREDENTIALS_FILE") or "~/.alibabacloud/credentials.ini")
    provider: _Provider = ProfileCredentialsProvider(profile_name=name)
    return provider


def _refuse_mark(file: str) -> None:
    """Say what the library and the Alibaba Cloud CLI cannot read, and do not name."""
    path = Path(os.path.expanduser(file))
    if begins_with_mark(path):
        raise ValueError(f"{path} begins with a byte order mark: save it as UTF-8 without one")


def _instance_role(name: str | None = None) -> _Provider:
    from alibabacloud_credentials.provider import EcsRamRoleCredentialsProvider

    provider: _Provider = EcsRamRoleCredentialsProvider(role_name=name)
    return provider


def _standard_chain() -> list[_Source]:
    """The sources of the library's own ``DefaultCredentialsProvider``, which does not tell how each of them failed."""
    from alibabacloud_credentials import provider
    from alibabacloud_credentials.utils import auth_util  # type: ignore[import-untyped]

    sources = [_Source("the environment's keys", provider.EnvironmentVariableCredentialsProvider)]
    if auth_util.enable_oidc_credential:
        sources.append(_Source("the OIDC role", provider.OIDCRoleArnCredentialsProvider))
    sources += [_Source("the CLI's profile", _cli_profile), _Source("the credentials file", _file_profile)]
    if auth_util.environment_ecs_metadata_disabled.lower() != "true":
        is_meant = bool(auth_util.environment_ecs_metadata)
        sources.append(_Source("the instance's role", _instance_role, is_meant))
    if auth_util.environment_credentials_uri:
        sources.append(_Source("the credentials URI", provider.URLCredentialsProvider))
    return sources
