"""Property values on the wire, as Pulumi's ``proto`` documentation defines them, and as Python values.

A secret becomes :class:`Secret`, a value that is not known yet :data:`cloudretry.inputs.UNKNOWN`, and whole numbers
become ``int``: the wire knows only doubles. An asset, archive or resource reference stays the mapping that it is on the
wire; :func:`plain` reduces it to what tells it from another, and :func:`rewrap` makes it whole again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import struct_pb2

from cloudretry.inputs import KNOWN_LEAVES, UNKNOWN, Unknown, property_path

__all__ = ["SIGNATURE", "Secret", "from_struct", "plain", "rewrap", "secret_paths", "to_struct", "wire_text"]

SIGNATURE = "4dabf18193072939515e22adb298388d"
"""The key that marks a special object."""

SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - the mark of a secret
OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
ASSET = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"
RESOURCE = "5cf8f73096256a8f31e491e813e4eb8e"
UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""An unknown value; other texts that begin alike mark unknown numbers, lists and so on, and are unknown as well."""

_LEAVES = KNOWN_LEAVES | {Unknown}

UNKNOWN_TEXTS = frozenset(
    {
        UNKNOWN_TEXT,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # bool
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that must never be shown."""

    value: Any

    def __repr__(self) -> str:
        return "Secret(...)"


def from_struct(struct: struct_pb2.Struct) -> dict[str, Any]:
    """The properties in a message."""
    fields = struct.fields
    # The view of `items()` is not written in C.
    return {name: _from_value(fields[name]) for name in fields}


def _from_value(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        text = value.string_value
        return UNKNOWN if text in UNKNOWN_TEXTS else text
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return list(map(_from_value, value.list_value.values))
    if kind == "struct_value":
        return _from_object(from_struct(value.struct_value))
    return None


def _from_object(members: dict[str, Any]) -> Any:
    signature = members.get(SIGNATURE)
    if signature == SECRET:
        return Secret(members.get("value"))
    if signature == OUTPUT:
        value = members.get("value", UNKNOWN)
        return Secret(value) if members.get("secret") else value
    return members


def to_struct(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    """A message of the properties. A ``None`` property is left out."""
    struct = struct_pb2.Struct()
    for name, value in properties.items():
        if value is not None:
            _to_value(value, struct.fields[wire_text(name)])
    return struct


def wire_text(text: str) -> str:
    """The text as the wire can carry it.

    JSON from a cloud may hold half of a surrogate pair, which UTF-8 cannot write; a record must not be lost for it.
    """
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _to_value(value: Any, into: struct_pb2.Value) -> None:
    if isinstance(value, str):
        into.string_value = wire_text(value)
    elif value is None:
        into.null_value = struct_pb2.NULL_VALUE
    elif isinstance(value, bool):
        into.bool_value = value
    elif isinstance(value, int | float):
        into.number_value = value
    elif isinstance(value, Secret):
        into.struct_value.fields[SIGNATURE].string_value = SECRET
        _to_value(value.value, into.struct_value.fields["value"])
    elif isinstance(value, Unknown):
        into.string_value = UNKNOWN_TEXT
    elif isinstance(value, Mapping):
        into.struct_value.SetInParent()
        fields = into.struct_value.fields
        for name, item in value.items():
            _to_value(item, fields[wire_text(name)])
    else:
        into.list_value.SetInParent()
        values = into.list_value.values
        for item in value:
            _to_value(item, values.add())


def plain(value: Any) -> Any:
    """The value to compare and to work with: without its secret marks, and special objects by what they stand for.

    Of a file's contents only the hash counts, of a resource the URN and the id. So neither a file that was moved nor a
    newer version of another provider looks like a change.
    """
    if type(value) in _LEAVES:
        return value
    if isinstance(value, Secret):
        return plain(value.value)
    if isinstance(value, Mapping):
        signature = value.get(SIGNATURE)
        if signature in (ASSET, ARCHIVE) and value.get("hash"):
            return {SIGNATURE: signature, "hash": value["hash"]}
        if signature == RESOURCE:
            # The engine writes an id that is not known yet as an empty text; a component has none at all.
            known = {name: value[name] for name in (SIGNATURE, "urn", "id") if name in value}
            return {name: UNKNOWN if text == "" else text for name, text in known.items()}
        return {name: item if type(item) in _LEAVES else plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [item if type(item) in _LEAVES else plain(item) for item in value]
    return value


def rewrap(value: Any, like: Any) -> Any:
    """The value, secret wherever ``like`` is secret at the same path, its special objects as whole as in ``like``."""
    if type(like) in _LEAVES:
        return value
    if isinstance(like, Secret):
        return value if isinstance(value, Secret) or value is None else Secret(rewrap(value, like.value))
    if isinstance(value, Mapping) and isinstance(like, Mapping):
        if SIGNATURE in value and plain(like) == value:
            return like
        return {name: rewrap(item, like.get(name)) for name, item in value.items()}
    if isinstance(value, list) and isinstance(like, list):
        return [rewrap(item, like[index] if index < len(like) else None) for index, item in enumerate(value)]
    return value


def secret_paths(value: Any, location: tuple[str | int, ...] = ()) -> Iterator[str]:
    """The paths at which the value is secret."""
    if type(value) in _LEAVES:
        return
    if isinstance(value, Secret):
        yield property_path(location)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if type(item) not in _LEAVES:
                yield from secret_paths(item, (*location, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if type(item) not in _LEAVES:
                yield from secret_paths(item, (*location, index))
