"""Where the services of Huawei Cloud are, and those of clouds of the same make: one site for all that is asked.

A site is what the names of its hosts end with, as in ``drs.{region}.{site}``. It is ``cloud``, else that of the
identity service, which an openrc names, else Huawei Cloud's own. A credential of one site is never sent to another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from cloudretry.config import GIVEN, ProviderConfig
from cloudretry.errors import ConfigurationError

__all__ = ["SERVICES", "endpoints", "site"]

SERVICES = ("modelarts", "workspace", "drs", "iam")
"""The services that have an endpoint of their own, as they are named in host names."""

_USUAL = "myhuaweicloud.com"
_EUROPE = ("eu-west-1", "myhuaweicloud.eu")

_IDENTITY = re.compile(r"iam(?:-[a-z0-9]+)?\.(?P<rest>.+)")
_REGION = re.compile(r"[a-z]{2}-[a-z0-9-]+")
"""A region as it stands in host names: two letters for the part of the world, then where it is there."""


def endpoints(config: ProviderConfig, region: str) -> Mapping[str, str]:
    """The URL of each service in a region, that of the identity service without the version of its API.

    :raises ConfigurationError: the identity service is of another site than the others would be.
    """
    cloud = config.huaweicloud
    usual = {service: f"https://{service}.{region}.{site(config, region)}" for service in SERVICES}
    named = {service: url for service in SERVICES if (url := getattr(cloud.endpoints, service))}
    if cloud.auth_url and "iam" not in named:
        _require_one_site(config, region, [url for service, url in usual.items() if service not in {"iam", *named}])
        named["iam"] = cloud.auth_url
    found = usual | named
    return found | {"iam": found["iam"].rstrip("/").removesuffix("/v3").rstrip("/")}


def site(config: ProviderConfig, region: str) -> str:
    """What the names of the services' hosts end with."""
    cloud = config.huaweicloud
    if cloud.cloud:
        return cloud.cloud
    identity = cloud.endpoints.iam or cloud.auth_url
    return (identity and _site_of(identity, region)) or (_EUROPE[1] if region.startswith(_EUROPE[0]) else _USUAL)


def _site_of(identity: str, region: str) -> str:
    """The site of an identity service; empty if its host's name does not say it."""
    found = _IDENTITY.fullmatch(urlsplit(identity).hostname or "")
    if not found:
        return ""
    first, _, others = found["rest"].partition(".")
    return others if others and (first == region or _REGION.fullmatch(first)) else found["rest"]


def _require_one_site(config: ProviderConfig, region: str, others: list[str]) -> None:
    identity = urlsplit(config.huaweicloud.auth_url or "").hostname or ""
    ours = site(config, region).partition(":")[0]
    if not others or identity == ours or identity.endswith(f".{ours}"):
        return
    source = config.sources.get("huaweicloud.authUrl", GIVEN)
    raise ConfigurationError(
        f"huaweicloud.authUrl{'' if source == GIVEN else f' (from {source})'} is at {identity}, and services would be "
        f"asked at {urlsplit(others[-1]).hostname}: credentials of one site are not sent to another. Set "
        "huaweicloud.cloud (HW_CLOUD) to what the hosts of that site end with, or take authUrl away; if both are "
        "meant, name the identity service in huaweicloud.endpoints.iam"
    )
