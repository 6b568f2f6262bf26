"""The ids of resources, which are what an import takes."""

from __future__ import annotations

import secrets
from typing import Any

from cloudretry.actions import Action
from cloudretry.errors import InvalidInput
from cloudretry.model import Cloud
from cloudretry.record import Record

__all__ = ["new_id", "split_id"]

LONGEST_ID = 200


def new_id(action: Action[Any], record: Record) -> str:
    """The id that an import would take, or a short one of its own where that would be too long."""
    place = [record.place.region, record.place.project_id] if _has_projects(action) else [record.place.region]
    keys = list(record.results)
    prefix = f"{record.place.container}:" if record.place.container else ""
    located = place if all(place) else []
    identifier = "/".join([*located, prefix + ",".join(keys)])
    if len(identifier) <= LONGEST_ID:
        return identifier
    return "/".join([*located, f"{prefix}{keys[0]}+{len(keys) - 1}-{secrets.token_hex(4)}"])


def split_id(action: Action[Any], identifier: str) -> tuple[list[str], str, list[str]]:
    """Place, container and targets of an import id ``[region/project/]target[,target...]``.

    A pool is ``name:Scope`` and an E-HPC job ``cluster:job``; Alibaba Cloud has no project.

    :raises InvalidInput: it has another form.
    """
    *place, last = identifier.split("/")
    form = "[region/project/]" if _has_projects(action) else "[region/]"
    container, colon, keys = last.rpartition(":")
    targets = [key.strip() for key in keys.split(",")]
    if len(place) not in (0, form.count("/")) or not all(targets) or not all(place) or (colon and not container):
        raise InvalidInput("id", f"{identifier!r} does not have the form {form}target[,target...]")
    try:
        action.imported(container, targets)
    except ValueError as error:
        raise InvalidInput("id", f"{identifier!r}: {error}, with {form} before it where needed") from None
    return place, container, targets


def _has_projects(action: Action[Any]) -> bool:
    return action.cloud is Cloud.HUAWEICLOUD
