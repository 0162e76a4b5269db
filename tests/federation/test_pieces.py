"""Large answers are parsed a piece at a time, to the same as in one piece."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.client import pieces
from federation.client.pieces import parse_in_pieces
from protocol.errors import NotJson
from protocol.json import parse_exact

_TEXTS = st.text(st.sampled_from('ab"\\{}[],: \n\u00e9\U0001f600'), max_size=12)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=12,
)
_ANSWERS = st.dictionaries(_TEXTS, st.lists(_VALUES, max_size=30) | _VALUES, max_size=6)


SMALL = {"PIECE": 20, "LONGEST": 2000, "_TOKENS": 5}


def parsed(raw: bytes) -> Any:
    """In very small pieces."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SMALL.items():
            patch.setattr(pieces, name, value)
        return asyncio.run(parse_in_pieces(raw))


@settings(max_examples=200, deadline=None)
@given(_ANSWERS, st.sampled_from([(",", ":"), (", ", " : "), ("\n,\t", ":\r\n")]), st.booleans())
def test_pieces_are_the_whole(answer: dict[str, Any], separators: tuple[str, str], ascii: bool) -> None:
    raw = json.dumps(answer, separators=separators, ensure_ascii=ascii).encode()

    assert parsed(raw) == parse_exact(raw)


@settings(max_examples=200, deadline=None)
@given(_ANSWERS, st.integers(0, 10_000), st.sampled_from([b"", b",", b"]", b'"', b"}", b"[", b"x", b"\\"]))
def test_what_is_no_json_is_none_in_pieces(answer: dict[str, Any], place: int, instead: bytes) -> None:
    raw = json.dumps(answer, separators=(",", ":")).encode()
    place %= len(raw)
    spoilt = raw[:place] + instead + raw[place + 1 :]
    try:
        whole = parse_exact(spoilt)
    except NotJson:
        whole = NotJson
    if len(spoilt) > SMALL["PIECE"] and not isinstance(whole, dict):
        whole = NotJson  # a large answer must be an object

    try:
        said = parsed(spoilt)
    except NotJson:
        said = NotJson

    assert said == whole


@pytest.mark.parametrize(
    "raw",
    [
        b'{"state":[' + b'"' + b"},{" * 2000 + b'"]}',
        b'{"state":[' + b"[" * 5000,
        b'{"state":["' + b'\\"' * 5000,
        b'{"' + b"a" * 5000 + b'":1}',
        b'{"event":{"a":"' + b"b" * 5000 + b'"}}',
        b"[" + b"1," * 3000 + b"1]",
    ],
)
def test_one_value_is_not_larger_than_an_event(raw: bytes) -> None:
    with pytest.raises(NotJson):
        parsed(raw)


def test_the_loop_is_not_held_up() -> None:
    """20 MB of members: others have their turns meanwhile."""
    member = {
        "type": "m.room.member",
        "content": {"displayname": "x" * 600, "a": [{"b": 1}, {"c": "},{"}]},
        "depth": 7,
    }
    raw = orjson.dumps({"state": [{**member, "n": n} for n in range(25_000)], "members_omitted": False})
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async def both() -> Any:
        counting = asyncio.create_task(count())
        try:
            return await parse_in_pieces(raw)
        finally:
            counting.cancel()

    said = asyncio.run(both())

    assert len(said["state"]) == 25_000
    assert said["state"][-1]["n"] == 24_999
    # A piece at least every other time: where its end was guessed wrong, the brackets are counted.
    assert turns > len(raw) / pieces.PIECE / 4


def test_the_brackets_of_a_rooms_events_are_not_counted_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    event = {
        "auth_events": ["$create", "$power"],
        "content": {"displayname": "Alice", "membership": "join"},
        "hashes": {"sha256": "abc"},
        "prev_events": ["$last"],
        "type": "m.room.member",
    }
    answer = {
        "state": [event | {"depth": depth} for depth in range(2000)],
        "auth_chain": [event | {"depth": depth} for depth in range(600)],
        "auth_chain_ids": [f"$event{number}" for number in range(9000)],
        "event": event,
    }
    raw = orjson.dumps(answer)
    counted: list[int] = []
    count = pieces._end

    async def counting(raw: bytes, at: int, enough: int) -> tuple[int, bool]:
        end, is_last = await count(raw, at, enough)
        counted.append(end - at)
        return end, is_last

    monkeypatch.setattr(pieces, "_end", counting)
    assert asyncio.run(parse_in_pieces(raw)) == answer
    assert sum(counted) < 3 * pieces.PIECE < len(raw) / 5  # `event`, and the end of the array of strings
