"""Canonical JSON, and reading JSON."""

import json
from typing import Any

import canonicaljson
import pytest
from hypothesis import given

from protocol.errors import NotCanonical, NotJson
from protocol.json import MAX_INTEGER, MAX_NESTING, canonical, canonical_lenient, parse, parse_exact
from tests.protocol.strategies import any_json, old_json, strict_json


@given(strict_json)
def test_canonical_is_what_the_canonicaljson_package_makes(value: Any) -> None:
    assert canonical(value) == canonicaljson.encode_canonical_json(value)
    assert canonical_lenient(value) == canonical(value)
    assert parse(canonical(value)) == value


@given(old_json)
def test_lenient_is_what_the_canonicaljson_package_makes(value: Any) -> None:
    assert canonical_lenient(value) == canonicaljson.encode_canonical_json(value)
    assert parse_exact(canonical_lenient(value)) == value


@given(any_json)
def test_nothing_but_our_own_error(value: Any) -> None:
    for encode in (canonical, canonical_lenient):
        try:
            encoded = encode(value)
        except NotCanonical:
            continue
        assert json.loads(encoded) == value


def test_keys_stand_by_code_point() -> None:
    assert (
        canonical({"\U0001f600": 1, "\uff61": 2, "a": 3, "B": 4})
        == '{"B":4,"a":3,"\uff61":2,"\U0001f600":1}'.encode()
    )


def test_every_character_is_escaped_as_the_specification_says() -> None:
    named = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
    for code in (*range(0x300), 0x2028, 0xFFFD, 0x1F600):
        character = chr(code)
        expected = named.get(character, f"\\u{code:04x}" if code < 0x20 else character)
        assert canonical(character) == f'"{expected}"'.encode()


@pytest.mark.parametrize(
    "value", [1.5, 1.0, float("nan"), MAX_INTEGER + 1, -MAX_INTEGER - 1, {1: 2}, "\ud800", b"x"]
)
def test_what_is_not_canonical(value: Any) -> None:
    for place in (value, [value], {"a": {"b": value}}):
        with pytest.raises(NotCanonical):
            canonical(place)


def test_integers_up_to_53_bits() -> None:
    assert canonical([MAX_INTEGER, -MAX_INTEGER, True]) == b"[9007199254740991,-9007199254740991,true]"


def test_lenient_keeps_what_old_rooms_hold() -> None:
    assert (
        canonical_lenient({"b": 2**70, "a": 1e16, "c": 0.1})
        == b'{"a":1e+16,"b":1180591620717411303424,"c":0.1}'
    )
    with pytest.raises(NotCanonical):
        canonical_lenient(float("inf"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"\xff",
        b'"\\ud800"',
        b'{"\\udc00":1}',
        b"[1,]",
        b"1e999",
        b"'a'",
    ],
)
def test_what_is_not_json(data: bytes) -> None:
    for read in (parse, parse_exact):
        with pytest.raises(NotJson):
            read(data)


def test_huge_integers() -> None:
    data = b'{"a": 123456789012345678901234567890}'
    assert parse_exact(data) == {"a": 123456789012345678901234567890}
    with pytest.raises(NotCanonical):
        canonical(parse(data))
    with pytest.raises(NotJson):
        parse_exact(b"1" * 5000)


def test_the_last_of_equal_keys_counts() -> None:
    assert parse(b'{"a": 1, "a": 2}') == {"a": 2}


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_has_a_limit(opening: bytes, closing: bytes) -> None:
    def nested(depth: int) -> bytes:
        return opening * depth + b"1" + closing * depth

    assert canonical(parse(nested(MAX_NESTING))) == nested(MAX_NESTING)
    for depth in (MAX_NESTING + 1, 900, 5000, 200_000):
        with pytest.raises(NotJson):
            parse(nested(depth))


def test_many_brackets_side_by_side_are_no_nesting() -> None:
    assert parse(b"[" + b",".join([b"[]"] * 1000) + b"]") == [[]] * 1000
    assert parse(b'"' + b"[" * 1000 + b'"') == "[" * 1000
