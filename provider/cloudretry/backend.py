"""What a configuration makes possible: clients of the clouds, and the emulator that a program runs by itself."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from cloudretry.actions import OPERATIONS, Action
from cloudretry.clock import Clock, SystemClock
from cloudretry.clouds import connect, endpoint, inherited
from cloudretry.clouds.limits import ServiceLimits
from cloudretry.config import EMBEDDED, ProviderConfig
from cloudretry.errors import ConfigurationError
from cloudretry.folders import expanded, pulumi_home
from cloudretry.ledger import Journal, Ledger
from cloudretry.lifecycle.claims import Claims
from cloudretry.model import Cloud, CloudClient, Place

if TYPE_CHECKING:
    from cloudretry.emulator import Emulator

__all__ = ["ConfiguredBackend", "embedded_emulator", "journal_folder", "pulumi_backend"]


def pulumi_backend(environ: Mapping[str, str] = os.environ) -> str:
    """Where the state is kept, as far as this process knows, without credentials: it tells stacks of one name apart."""
    url = environ.get("PULUMI_BACKEND_URL", "")
    if not url:
        try:
            folder = Path(environ.get("PULUMI_CREDENTIALS_PATH") or pulumi_home(environ))
            url = str(json.loads((folder / "credentials.json").read_text(encoding="utf-8"))["current"])
        except (OSError, ValueError, LookupError, TypeError):
            return ""
    return re.sub(r"://[^/]*@", "://", url.partition("?")[0]).rstrip("/")


def journal_folder(config: ProviderConfig) -> Path:
    """Where the journal is kept."""
    return expanded(config.journal_dir) if config.journal_dir else pulumi_home() / "cloudretry" / "journal"


def embedded_emulator() -> Emulator:
    """The emulator that a program runs by itself, started; its state is kept in a file between runs.

    :raises EmulatorError: it cannot be started.
    """
    from cloudretry.emulator import Emulator

    return Emulator(state=pulumi_home() / "cloudretry" / "emulator.sqlite").start()


class ConfiguredBackend:
    """The :class:`cloudretry.lifecycle.Backend` of one provider configuration. Opens nothing until it is asked.

    ``deployment`` names the engine that runs the program, as far as that is known.
    """

    def __init__(self, config: ProviderConfig, clock: Clock | None = None, *, deployment: str = "") -> None:
        self.config = config
        self.deployment = deployment
        self.emulated = config.emulator is not None
        self.clock: Clock = clock or SystemClock()
        self.poll_interval = config.poll_interval
        self.executor: Executor = ThreadPoolExecutor(
            # A thread waits for its service's turn; those of the others must find one free.
            max_workers=config.max_concurrent_requests * len({operation.service for operation in OPERATIONS.values()}),
            thread_name_prefix="cloudretry",
        )
        self.claims = Claims()
        self.state = pulumi_backend()
        self.journal = Journal(journal_folder(config), self.clock) if config.journal_enabled else None
        # A rate belongs to the account, whichever project a request is for.
        self._limits = {
            cloud: ServiceLimits(config.max_concurrent_requests, config.requests_per_second) for cloud in Cloud
        }
        self._clients: dict[tuple[Cloud, str | None, str | None], CloudClient] = {}
        self._connected: dict[tuple[Cloud, str | None, str | None], CloudClient] = {}
        self._inherited: dict[Cloud, Place] = {}
        self._emulator: Emulator | None = None
        self._lock = RLock()

    def connect(self, cloud: Cloud, *, region: str | None, project_id: str | None) -> CloudClient:
        """A client for this place that knows its project, one for all who ask for the same. May ask the cloud.

        :raises ConfigurationError: something is missing; the text says how to give it.
        :raises CloudRetryError: the project cannot be found.
        """
        key = (cloud, region, project_id)
        with self._lock:
            client = self._clients.get(key)
            if client is None:
                client = connect(
                    cloud,
                    self.config,
                    region=region,
                    project_id=project_id,
                    emulator_url=self._emulator_url(),
                    limits=self._limits[cloud],
                )
                self._clients[key] = client
        _ = client.project_id
        self._connected[key] = client
        return client

    def at_hand(self, cloud: Cloud, *, region: str | None, project_id: str | None) -> CloudClient | None:
        """The client for this place, if it was connected before. Asks nobody."""
        return self._connected.get((cloud, region, project_id))

    def inherited(self, cloud: Cloud) -> Place:
        """The region and project that a resource gets which names none: of the configuration, of the profile that the
        credentials come from, or of the emulator. Empty where only the cloud could tell.
        """
        with self._lock:
            if cloud not in self._inherited:
                self._inherited[cloud] = self._find_inherited(cloud)
            return self._inherited[cloud]

    def ledger(self, action: Action[Any], place: Place) -> Ledger | None:
        """The ledger of a place; ``None`` if no journal is kept, or the place is not known well enough. Asks nobody."""
        if self.journal is None or not place.region or (action.cloud is Cloud.HUAWEICLOUD and not place.project_id):
            return None
        try:
            # By its name in the configuration: an embedded emulator has another port in each process, and one state.
            emulator = self.config.emulator
            where = endpoint(action.cloud, self.config, action.fires.service, place.region, emulator_url=emulator)
        except ConfigurationError:
            return None  # The run that needs a connection says why there is none.
        return self.journal.at(
            {
                "endpoint": where,
                "region": place.region,
                "project": place.project_id,
                "action": action.token,
                "container": place.container,
            }
        )

    def close(self) -> None:
        """Stop what was started."""
        self.executor.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()
            self._connected.clear()
            if self._emulator is not None:
                self._emulator.stop()
                self._emulator = None
        if self.journal is not None:
            self.journal.close()

    def _find_inherited(self, cloud: Cloud) -> Place:
        try:
            return inherited(cloud, self.config, emulated=self.config.emulator is not None)
        except ConfigurationError:
            # Credentials that cannot be used stop the run that needs them, and not a diff, which needs none.
            settings = self.config.huaweicloud if cloud is Cloud.HUAWEICLOUD else self.config.alicloud
            return Place(settings.region or "", getattr(settings, "project_id", None) or "")

    def _emulator_url(self) -> str | None:
        if self.config.emulator != EMBEDDED:
            return self.config.emulator
        if self._emulator is None:
            self._emulator = embedded_emulator()
        return self._emulator.url
