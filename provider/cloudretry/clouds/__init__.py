"""The clouds: a signed connection to each, and the words of their gateways."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cloudretry.model import Cloud, CloudClient, Place

if TYPE_CHECKING:
    from cloudretry.clouds.limits import ServiceLimits
    from cloudretry.config import ProviderConfig

__all__ = ["connect", "endpoint", "inherited"]


def connect(
    cloud: Cloud,
    config: ProviderConfig,
    *,
    region: str | None = None,
    project_id: str | None = None,
    emulator_url: str | None = None,
    clock: Callable[[], float] = time.time,
    limits: ServiceLimits | None = None,
) -> CloudClient:
    """A client for the region and project, else for the configured ones; with ``emulator_url``, for the emulator.

    Nothing is sent yet. ``clock`` is seconds since the epoch, for signatures and the ends of tokens. Clients of one
    account share its ``limits``, if they are given the same; without, each has its own.

    :raises ConfigurationError: region or credentials are missing or cannot be used; the text says how to give them.
    :raises InvalidInput: the region is not one.
    """
    # Each brings in an HTTP library, and most commands of the engine need neither.
    if cloud is Cloud.HUAWEICLOUD:
        from cloudretry.clouds import huaweicloud

        return huaweicloud.connect(
            config, region=region, project_id=project_id, emulator_url=emulator_url, clock=clock, limits=limits
        )
    from cloudretry.clouds import alicloud

    return alicloud.connect(config, region=region, emulator_url=emulator_url, clock=clock, limits=limits)


def inherited(cloud: Cloud, config: ProviderConfig, *, emulated: bool) -> Place:
    """Where :func:`connect` goes when a resource names neither region nor project, as far as nobody has to be asked.

    A part that is empty is not known without the cloud.

    :raises ConfigurationError: there are no credentials, or their profile cannot be read.
    """
    # Neither brings in an HTTP library: this is part of every diff.
    if cloud is Cloud.HUAWEICLOUD:
        from cloudretry.clouds import huaweicloud_profile

        home = huaweicloud_profile.home(config, emulated=emulated)
        return Place(home.region, home.project_id)
    from cloudretry.clouds import alicloud_profile

    return Place(alicloud_profile.region(config, emulated=emulated))


def endpoint(cloud: Cloud, config: ProviderConfig, service: str, region: str, *, emulator_url: str | None) -> str:
    """Where the requests of a service in this region go: ``host``, or ``host:port`` or ``host/path`` where it is not
    the usual one. Asks nobody.

    :raises ConfigurationError: the configuration names two sites of the cloud.
    """
    if emulator_url is not None:
        return f"emulator {_origin(emulator_url)}"
    if cloud is Cloud.HUAWEICLOUD:
        from cloudretry.clouds import huaweicloud_sites

        return _origin(huaweicloud_sites.endpoints(config, region)[service])
    from cloudretry.clouds import alicloud_profile

    return _origin(alicloud_profile.endpoint_of(config, region))


def _origin(url: str) -> str:
    """The URL as it is the same however it is spelt, without credentials."""
    parts = urlsplit(url)
    if not parts.hostname:
        return url
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    port = f":{parts.port}" if parts.port not in (None, usual) else ""
    return f"{parts.hostname.lower().rstrip('.')}{port}{parts.path.rstrip('/')}"
