"""What a configuration makes possible: clients of the clouds, and the emulator that a program runs by itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from cloudretry.clock import Clock, SystemClock
from cloudretry.clouds import connect
from cloudretry.config import EMBEDDED, ProviderConfig
from cloudretry.model import Cloud, CloudClient, Place

if TYPE_CHECKING:
    from cloudretry.emulator import Emulator

__all__ = ["ConfiguredBackend", "pulumi_home"]


def pulumi_home(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of the Pulumi CLI: ``PULUMI_HOME``, or ``~/.pulumi``."""
    return Path(environ.get("PULUMI_HOME") or Path.home() / ".pulumi")


class ConfiguredBackend:
    """The :class:`cloudretry.lifecycle.Backend` of one provider configuration. Opens nothing until it is asked."""

    def __init__(self, config: ProviderConfig, clock: Clock | None = None) -> None:
        self.config = config
        self.clock: Clock = clock or SystemClock()
        self.poll_interval = config.poll_interval
        self.executor: Executor = ThreadPoolExecutor(
            max_workers=config.max_concurrent_requests, thread_name_prefix="cloudretry"
        )
        self._clients: dict[tuple[Cloud, str | None, str | None], CloudClient] = {}
        self._emulator: Emulator | None = None
        self._lock = RLock()

    def connect(self, cloud: Cloud, *, region: str | None, project_id: str | None) -> CloudClient:
        """A client for this place, one for all who ask for the same.

        :raises ConfigurationError: something is missing; the text says how to give it.
        """
        key = (cloud, region, project_id)
        with self._lock:
            client = self._clients.get(key)
            if client is None:
                client = connect(
                    cloud, self.config, region=region, project_id=project_id, emulator_url=self._emulator_url()
                )
                self._clients[key] = client
            return client

    def inherited(self, cloud: Cloud) -> Place:
        """The region and project that the configuration names, empty where it names none."""
        if cloud is Cloud.HUAWEICLOUD:
            settings = self.config.huaweicloud
            return Place(settings.region or "", settings.project_id or "")
        return Place(self.config.alicloud.region or "")

    def close(self) -> None:
        """Stop what was started."""
        self.executor.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            if self._emulator is not None:
                self._emulator.stop()
                self._emulator = None

    def _emulator_url(self) -> str | None:
        if self.config.emulator != EMBEDDED:
            return self.config.emulator
        if self._emulator is None:
            from cloudretry.emulator import Emulator

            state = pulumi_home() / "cloudretry" / "emulator.sqlite"
            state.parent.mkdir(parents=True, exist_ok=True)
            self._emulator = Emulator(state=state)
            self._emulator.start()
        return self._emulator.url
