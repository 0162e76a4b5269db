"""JSON of many megabytes (a large room's state), parsed a piece at a time: nobody else on the event loop waits for it.

The answer is an object, and what is large in it are arrays. Of these some members are parsed at once. Where a piece may end is
guessed: what was guessed right is proved by its being a whole array when it is put in brackets, for JSON is read from
left to right. When it was guessed wrong (there is an array in an event) the brackets are counted, which takes longer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any, Final

from protocol.errors import NotJson
from protocol.json import JsonObject, parse_exact

Parse = Callable[[bytes], Any]

PIECE: Final = 32 * 1024  # bytes that are parsed at once
LONGEST: Final = (
    512 * 1024
)  # of one value: an event has at most 64 KiB, perhaps more with all its letters escaped
_TOKENS: Final = 20_000  # that are looked at in one go

_SPACE = re.compile(rb"[ \t\r\n]*+")
_NAME = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_BETWEEN = re.compile(rb'[}\]"][ \t\r\n]*+,(?=[ \t\r\n]*+[{\["])')
_BETWEEN_OBJECTS = re.compile(rb"\}[ \t\r\n]*+,(?=[ \t\r\n]*+\{)")
_LAST = re.compile(rb"\}[ \t\r\n]*+(?=\][ \t\r\n]*+[,}])")
# A string that is not closed is a token as well, so that no byte is looked at twice.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?P<end>"?)|[{}\[\],]', re.DOTALL)


async def parse_in_pieces(raw: bytes, parse: Parse = parse_exact) -> Any:
    """As `parse`, while others have their turns. Raises NotJson, also where a large answer is no object, or one value
    in it (but an array) is larger than any event."""
    if len(raw) <= PIECE:
        return parse(raw)
    said: JsonObject = {}
    at = _after(raw, 0, b"{")
    if raw[at : at + 1] == b"}":
        at += 1
    else:
        at = await _members(raw, at, said, parse)
    if at != len(raw):
        raise NotJson("there is more than one value")
    return said


async def _members(raw: bytes, at: int, said: JsonObject, parse: Parse) -> int:
    """Reads an object's members; where the answer goes on behind it."""
    while True:
        name = _NAME.match(raw, at, at + LONGEST)
        if name is None:
            raise NotJson("an object's member has no name")
        at = _after(raw, name.end(), b":")
        if raw[at : at + 1] == b"[":
            value, at = await _array(raw, _after(raw, at, b"["), parse)
        else:
            end, _ = await _end(raw, at, LONGEST)
            value, at = parse(raw[at:end]), end
        said[parse(name.group())] = value
        at = _space(raw, at)
        if raw[at : at + 1] == b"}":
            return _space(raw, at + 1)
        at = _after(raw, at, b",")


async def _array(raw: bytes, at: int, parse: Parse) -> tuple[list[Any], int]:
    """The members of the array that has begun before this place, and where the answer goes on behind it."""
    members: list[Any] = []
    between = _BETWEEN_OBJECTS if raw[at : at + 1] == b"{" else _BETWEEN
    while True:
        await asyncio.sleep(0)
        guess = _LAST.search(raw, at, at + 2 * PIECE)
        if guess is not None and (some := _whole(raw[at : guess.end()], parse)) is not None:
            return members + some, guess.end() + 1
        guess = between.search(raw, at + PIECE, at + 2 * PIECE)
        if guess is not None and (some := _whole(raw[at : guess.start() + 1], parse)) is not None:
            members += some
            at = guess.end()
            continue
        end, is_last = await _end(raw, at, PIECE)
        if is_last and raw[end : end + 1] != b"]":
            raise NotJson("an array ends like an object")
        some = parse(b"[%b]" % raw[at:end])
        if not some and (members or not is_last):
            raise NotJson("nothing beside a comma")
        members += some
        at = end + 1
        if is_last:
            return members, at


def _whole(piece: bytes, parse: Parse) -> list[Any] | None:
    try:
        members: list[Any] = parse(b"[%b]" % piece)
    except NotJson:
        return None
    return members


async def _end(raw: bytes, at: int, enough: int) -> tuple[int, bool]:
    """Where a value ends: before the bracket that closes what it is in (True), or before the first comma behind which there
    was enough (that many bytes, of one value or several). Raises NotJson past LONGEST."""
    depth = 0
    limit = at + max(enough, PIECE) + LONGEST
    last = None
    for number, token in enumerate(_TOKEN.finditer(raw, at, limit)):
        if number % _TOKENS == _TOKENS - 1:
            await asyncio.sleep(0)
        what = token.group()
        if what in b"{[":
            depth += 1
        elif what in b"}]":
            depth -= 1
            if depth < 0:
                return token.start(), True
        elif what == b"," and not depth:
            last = token.start()
            if enough == LONGEST or last - at >= enough:
                return last, False
        elif what[:1] == b'"' and not token["end"]:
            break
    raise NotJson("it does not end, or one value in it is too large")


def _after(raw: bytes, at: int, what: bytes) -> int:
    """Behind this character and the space around it."""
    at = _space(raw, at)
    if raw[at : at + 1] != what:
        raise NotJson(f"no {what.decode()} where one should be")
    return _space(raw, at + 1)


def _space(raw: bytes, at: int) -> int:
    found = _SPACE.match(raw, at)
    assert found is not None
    return found.end()
