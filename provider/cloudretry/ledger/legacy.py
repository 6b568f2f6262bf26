"""The journal of version 0.1.0, read for one release: a folder for each resource, with a file for each fire.

The first line of a file is the intent, the second one the answer, which counts only when it is whole. The files of
fires that the next run goes on from are moved into the ledger.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Mapping
from typing import Any

from filelock import FileLock, Timeout

from cloudretry.clock import Moment
from cloudretry.errors import ConfigurationError
from cloudretry.folders import pulumi_home
from cloudretry.ledger.fires import Ask, EntryTarget, Fire, Holder, TriggerMark, conceal
from cloudretry.ledger.ledger import Ledger
from cloudretry.ledger.store import Folder
from cloudretry.model import Answer, CloudError, FireOutcome

__all__ = ["OldRecords"]

_RECORD = ".fire"
_HOLDER = Holder("0.1.0", "version 0.1.0")


class OldRecords:
    """The records that 0.1.0 left of the resource with this name. Blocking.

    :raises JournalError: by each call; the folder cannot be read or written.
    """

    def __init__(self, ledger: Ledger, owner: str, environ: Mapping[str, str] = os.environ) -> None:
        self._store = ledger.store
        # Hardly a journal has any, and this is asked for each resource.
        there = ledger.beside
        # What was fired by hand had no backend before its name.
        names = (f"{_backend(environ)} {owner}", owner) if there else ()
        digests = {hashlib.sha256(name.encode()).hexdigest()[:32]: name for name in names}
        self._folders = {digest: name for digest, name in digests.items() if digest in there}
        self._owner = owner

    @property
    def are_held(self) -> bool:
        """Whether a process of 0.1.0 works on the resource."""
        if isinstance(self._store, Folder):
            for path in (self._store.path / folder / "lock" for folder in self._folders):
                if path.exists():
                    try:
                        with FileLock(path, timeout=0):
                            pass
                    except (Timeout, OSError, NotImplementedError):
                        return True
        return False

    def fires(self) -> list[Fire]:
        """The fires that were open, oldest first. ``life`` and ``run`` are not those of the resource's state.

        What cannot be read was set aside by 0.1.0, and is not trusted.
        """
        found = []
        for folder, resource in self._folders.items():
            for name in self._store.names(folder):
                if name.endswith(_RECORD):
                    try:
                        found.append(self._fire(self._store.read(f"{folder}/{name}"), resource))
                    except (ValueError, LookupError, TypeError, AttributeError, FileNotFoundError):
                        continue
        return sorted(found, key=lambda fire: fire.began.at)

    def remove(self, fire_ids: Collection[str] | None = None) -> None:
        """These are settled, or in the ledger; all of them, if none is named."""
        for folder in self._folders:
            for name in self._store.names(folder):
                fire_id, suffix = os.path.splitext(name)
                if suffix == _RECORD and (fire_ids is None or fire_id in fire_ids):
                    self._store.remove(f"{folder}/{name}")

    def _fire(self, written: bytes, resource: str) -> Fire:
        intent, *rest = written.decode().splitlines(keepends=True)
        said, told = json.loads(intent), json.loads(rest[0]) if rest and rest[0].endswith("\n") else {}
        if (said["version"], said["resource"]) != (1, resource):
            raise ValueError("a record of another resource, or of another version")
        mark = TriggerMark(str(said["triggers"]["salt"]), str(said["triggers"]["digest"]))
        fire_id, began = str(said["fire"]), Moment(float(said["at"]), "", 0.0)
        keys = [str(target["key"]) for target in said["targets"]]
        concealed = any(key.startswith("sha256:") for key in keys)

        def named(key: str) -> str:
            # All of them or none: 0.1.0 left those of a fire in clear that are not secret.
            return conceal(mark.salt, key) if concealed and not key.startswith("sha256:") else key

        return Fire(
            number=0,
            fire_id=fire_id,
            ask=Ask(self._owner, fire_id, 1, int(said["generation"]), bool(said["creating"]), mark),
            targets=tuple(
                EntryTarget(named(str(target["key"])), int(target["attempts"]), str(target["before"]))
                for target in said["targets"]
            ),
            session=_HOLDER.session,
            began=began,
            leaves_by=began,
            holder=_HOLDER,
            answers={named(str(key)): _answer(one) for key, one in told.get("answers", {}).items()},
            request_id=str(told.get("requestId", "")),
            over=True,
            concealed=concealed,
        )


def _answer(said: Mapping[str, Any]) -> Answer:
    code, message, http_status, request_id = said.get("error", ("", "", 0, ""))
    error = CloudError(str(code), str(message), int(http_status), str(request_id)) if "error" in said else None
    return Answer(FireOutcome(said["outcome"]), str(said.get("handle", "")), error)


def _backend(environ: Mapping[str, str]) -> str:
    """The backend as 0.1.0 spelt it."""
    if url := environ.get("PULUMI_BACKEND_URL"):
        return url
    try:
        return str(json.loads((pulumi_home(environ) / "credentials.json").read_text(encoding="utf-8"))["current"])
    except (OSError, ValueError, LookupError, TypeError, ConfigurationError):
        return ""
