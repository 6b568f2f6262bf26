"""Property values on the wire: nothing that tells two values apart is lost, in either direction."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pulumi
import pytest
from google.protobuf import json_format, struct_pb2
from hypothesis import given, settings
from hypothesis import strategies as st
from pulumi.provider.experimental.property_value import PropertyValue, PropertyValueType
from pulumi.runtime import rpc

from cloudretry.inputs import UNKNOWN, property_path
from cloudretry.plugin.marshal import (
    ARCHIVE,
    ASSET,
    OUTPUT,
    RESOURCE,
    SECRET,
    SIGNATURE,
    UNKNOWN_TEXTS,
    Secret,
    from_struct,
    plain,
    rewrap,
    secret_paths,
    to_struct,
    wire_text,
)

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
NAMES = TEXTS.filter(lambda name: name != SIGNATURE)
WHOLE = st.integers(-(2**53) + 1, 2**53 - 1)
PARTS = st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: not number.is_integer())
LARGE = st.floats(min_value=2.0**53, allow_infinity=False)
KNOWN = st.none() | st.booleans() | WHOLE | PARTS | LARGE | TEXTS


def tree(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
    )


def hidden(value: Any) -> Secret:
    """The value as a secret: one in another is the same as one."""
    return value if isinstance(value, Secret) else Secret(value)


CLEAR = tree(KNOWN)
VALUES = st.recursive(
    KNOWN | st.just(UNKNOWN),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4) | inner.map(hidden),
    max_leaves=12,
)
"""Any tree of values: unknown and secret ones in every place."""
PROPERTIES = st.dictionaries(NAMES, VALUES, max_size=5).map(
    lambda properties: {name: value for name, value in properties.items() if value is not None}
)


@given(PROPERTIES)
def test_what_is_written_is_read_back_the_same(properties: dict[str, Any]) -> None:
    read = from_struct(to_struct(properties))
    assert read == properties
    assert kinds(read) == kinds(properties)


@given(PROPERTIES)
def test_a_message_survives_the_wire(properties: dict[str, Any]) -> None:
    message = to_struct(properties)
    assert from_struct(struct_pb2.Struct.FromString(message.SerializeToString())) == properties


@given(st.dictionaries(NAMES, CLEAR, max_size=5))
def test_a_property_without_a_value_is_left_out(properties: dict[str, Any]) -> None:
    assert from_struct(to_struct(properties)) == {
        name: value for name, value in properties.items() if value is not None
    }


def kinds(value: Any) -> Any:
    """The types in a tree: ``1``, ``1.0`` and ``True`` are equal, and not the same."""
    if isinstance(value, Secret):
        return ("secret", kinds(value.value))
    if isinstance(value, dict):
        return {name: kinds(item) for name, item in value.items()}
    return [kinds(item) for item in value] if isinstance(value, list) else type(value)


# --- the laws of plain, rewrap and secret_paths -----------------------------------------------------------------------


@given(VALUES)
def test_plain_leaves_no_secret_and_is_done_once(value: Any) -> None:
    assert list(secret_paths(plain(value))) == []
    assert plain(plain(value)) == plain(value)


@given(VALUES)
def test_a_value_is_wrapped_again_as_it_was(value: Any) -> None:
    wrapped = rewrap(plain(value), value)
    assert plain(wrapped) == plain(value)
    assert outermost(wrapped) == outermost(value, nulls=False)


def outermost(value: Any, *, nulls: bool = True) -> set[str]:
    """The paths at which a value is secret, but for a null: there is nothing in it to hide."""
    paths = set(secret_paths(value))
    if nulls:
        return paths
    return {path for path in paths if plain(found(value, path)) is not None}


def found(value: Any, wanted: str) -> Any:
    def walk(value: Any, location: tuple[str | int, ...]) -> Any:
        if isinstance(value, Secret):
            return value if property_path(location) == wanted else None
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        return next((hit for key, item in items if (hit := walk(item, (*location, key))) is not None), None)

    return walk(value, ())


@given(VALUES, VALUES)
def test_wrapping_changes_no_value(value: Any, like: Any) -> None:
    assert plain(rewrap(value, like)) == plain(value)


@given(VALUES, VALUES)
def test_wrapping_twice_is_wrapping_once(value: Any, like: Any) -> None:
    assert rewrap(rewrap(value, like), like) == rewrap(value, like)


@given(CLEAR)
def test_nothing_gets_secret_by_a_likeness_without_secrets(value: Any) -> None:
    assert rewrap(value, value) == value


def test_a_secret_does_not_show_when_it_is_printed() -> None:
    assert "hidden" not in repr({"a": Secret("hidden")})


# --- what only the wire knows -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", sorted(UNKNOWN_TEXTS))
def test_every_kind_of_unknown_is_unknown(text: str) -> None:
    assert from_struct(struct({"a": [text], "b": {"c": text}})) == {"a": [UNKNOWN], "b": {"c": UNKNOWN}}


@pytest.mark.parametrize(
    ("members", "value"),
    [
        ({"value": 1}, 1),
        ({"value": 1, "secret": False, "dependencies": ["urn"]}, 1),
        ({"value": "x", "secret": True}, Secret("x")),
        ({}, UNKNOWN),
        ({"secret": True}, Secret(UNKNOWN)),
        ({"value": None}, None),
        ({"value": {"a": {SIGNATURE: OUTPUT, "value": 2, "secret": True}}}, {"a": Secret(2)}),
    ],
)
def test_an_output_value_is_what_it_holds(members: dict[str, Any], value: Any) -> None:
    assert from_struct(struct({"a": {SIGNATURE: OUTPUT, **members}})) == {"a": value}


def test_a_secret_without_a_value_is_a_secret_nothing() -> None:
    assert from_struct(struct({"a": {SIGNATURE: SECRET}})) == {"a": Secret(None)}


def test_an_object_with_a_signature_that_nobody_knows_stays_as_it_is() -> None:
    strange = {SIGNATURE: "of a later version", "value": 1}
    assert from_struct(struct({"a": strange})) == {"a": strange}
    assert from_struct(to_struct({"a": strange})) == {"a": strange}


REFERENCE = {SIGNATURE: RESOURCE, "urn": "u", "id": "1", "packageVersion": "1.2.3", "name": "n", "type": "t"}
FILE = {SIGNATURE: ASSET, "hash": "h", "path": "./a"}


@pytest.mark.parametrize(
    ("special", "reduced"),
    [
        (REFERENCE, {SIGNATURE: RESOURCE, "urn": "u", "id": "1"}),
        ({SIGNATURE: RESOURCE, "urn": "u", "packageVersion": ""}, {SIGNATURE: RESOURCE, "urn": "u"}),
        ({**REFERENCE, "id": ""}, {SIGNATURE: RESOURCE, "urn": "u", "id": UNKNOWN}),
        (FILE, {SIGNATURE: ASSET, "hash": "h"}),
        ({SIGNATURE: ARCHIVE, "hash": "h", "assets": {"a": FILE}}, {SIGNATURE: ARCHIVE, "hash": "h"}),
        ({SIGNATURE: ASSET, "path": "./a"}, {SIGNATURE: ASSET, "path": "./a"}),
    ],
)
def test_a_special_object_is_compared_by_what_it_stands_for_and_written_whole(special: Any, reduced: Any) -> None:
    given = {"a": [special, Secret(special)], "b": Secret({"c": special})}
    assert from_struct(to_struct(given)) == given
    assert plain(given) == {"a": [reduced, reduced], "b": {"c": reduced}}
    assert rewrap(plain(given), given) == given
    assert plain(rewrap(plain(given), given)) == plain(given)


def test_a_special_object_is_not_made_whole_from_another() -> None:
    other = {SIGNATURE: ASSET, "hash": "other"}
    assert rewrap({"a": other}, {"a": FILE}) == {"a": other}


@pytest.mark.parametrize(("number", "kind"), [(3.0, int), (3.5, float), (-0.0, int), (2.0**53, float), (1e300, float)])
def test_whole_numbers_are_read_as_such_while_they_are_exact(number: float, kind: type) -> None:
    value = from_struct(struct({"a": number}))["a"]
    assert value == number
    assert type(value) is kind


@given(st.text(max_size=20))
def test_any_text_can_be_written(text: str) -> None:
    written = from_struct(to_struct({"a": text, "b": {text: [text]}}))
    assert written["a"] == wire_text(text)
    assert wire_text(wire_text(text)) == wire_text(text)
    if not any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        assert wire_text(text) == text


def struct(document: dict[str, Any]) -> struct_pb2.Struct:
    message = struct_pb2.Struct()
    json_format.ParseDict(document, message)
    return message


# --- Pulumi's own marshalling as a witness ----------------------------------------------------------------------------


def to_theirs(value: Any) -> PropertyValue:
    if isinstance(value, Secret):
        return to_theirs(value.value).with_secret(True)
    if value is UNKNOWN:
        return PropertyValue.computed()
    if isinstance(value, dict):
        return PropertyValue({name: to_theirs(item) for name, item in value.items()})
    if isinstance(value, list):
        return PropertyValue([to_theirs(item) for item in value])
    if value is None:
        return PropertyValue.null()
    return PropertyValue(float(value) if type(value) is int else value)


def from_theirs(value: PropertyValue) -> Any:
    kind = value.type
    if kind is PropertyValueType.MAP:
        inner: Any = {name: from_theirs(item) for name, item in value.value.items()}  # type: ignore[union-attr]
    elif kind is PropertyValueType.ARRAY:
        inner = [from_theirs(item) for item in value.value]  # type: ignore[union-attr]
    else:
        inner = value.value
    return Secret(inner) if value.is_secret else inner


WITHOUT_UNKNOWN = st.recursive(
    KNOWN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4) | inner.map(hidden),
    max_leaves=10,
)


@given(st.dictionaries(NAMES, WITHOUT_UNKNOWN, max_size=4))
def test_pulumi_s_provider_library_reads_what_is_written(properties: dict[str, Any]) -> None:
    kept = {name: value for name, value in properties.items() if value is not None}
    theirs = PropertyValue.unmarshal_map(to_struct(properties))
    assert {name: from_theirs(value) for name, value in theirs.items()} == kept


@given(st.dictionaries(NAMES, WITHOUT_UNKNOWN, max_size=4))
def test_what_pulumi_s_provider_library_writes_is_read(properties: dict[str, Any]) -> None:
    message = PropertyValue.marshal_map({name: to_theirs(value) for name, value in properties.items()})
    assert from_struct(message) == properties


@settings(max_examples=50)
@given(st.dictionaries(NAMES, tree(st.booleans() | WHOLE | PARTS | TEXTS), max_size=4))
def test_what_a_pulumi_program_writes_is_read(properties: dict[str, Any]) -> None:
    async def write() -> struct_pb2.Struct:
        return await rpc.serialize_properties(properties, {})

    assert from_struct(asyncio.run(write())) == properties


@settings(max_examples=50)
@given(st.dictionaries(NAMES, tree(st.booleans() | WHOLE | PARTS | TEXTS), max_size=4))
def test_a_pulumi_program_reads_what_is_written(properties: dict[str, Any]) -> None:
    assert rpc.deserialize_properties(to_struct(properties)) == properties


def test_a_pulumi_program_and_this_agree_on_every_special_value() -> None:
    written = to_struct({"secret": Secret("x"), "unknown": UNKNOWN, "nested": {"list": [Secret(1)]}})
    read = rpc.deserialize_properties(written, keep_unknowns=True)
    assert rpc.unwrap_rpc_secret(read["secret"]) == "x"
    assert isinstance(read["unknown"], pulumi.output.Unknown)
    # A secret anywhere in a list makes a secret of the list, and of what holds it.
    assert json.loads(json.dumps(rpc.unwrap_rpc_secret(read["nested"]))) == {"list": [1]}
