"""Filters as requests name them: the number of one that was uploaded, or JSON."""

from __future__ import annotations

from functools import lru_cache

import orjson

from client_api import ClientCall
from protocol.filters import (
    ALL_EVENTS,
    NO_FILTER,
    EventFilter,
    Filter,
    InvalidFilter,
    parse_filter,
    parse_room_event_filter,
)
from protocol.matrix_error import InvalidParam, NotFound
from storage.filters import get_filter

MAX_FILTER_ID = 2**63 - 1


async def filter_named(call: ClientCall, name: str) -> Filter:
    """The filter of a /sync: inline JSON, or the number of an uploaded one; raises InvalidParam, NotFound."""
    if not name:
        return NO_FILTER
    # «The server will detect whether it is an ID or a JSON object by whether the first character is a "{" open brace.»
    if name.startswith("{"):
        return _parsed(name.encode())
    if not name.isascii() or not name.isdecimal() or int(name[:20]) > MAX_FILTER_ID:
        raise NotFound("There is no such filter")
    async with call.tenant.database.read() as tx:
        json = await get_filter(tx, call.requester.user_id, int(name[:20]))
    if json is None:
        raise NotFound("There is no such filter")
    return _parsed(json)


def room_event_filter(text: str) -> EventFilter:
    """The filter of /messages or /context, which is always JSON; raises InvalidParam."""
    if not text:
        return ALL_EVENTS
    try:
        return parse_room_event_filter(orjson.loads(text))
    except (orjson.JSONDecodeError, InvalidFilter) as error:
        raise InvalidParam(f"filter: {error}") from None


@lru_cache(1000)
def _parsed(json: bytes) -> Filter:
    try:
        return parse_filter(orjson.loads(json))
    except (orjson.JSONDecodeError, InvalidFilter) as error:
        raise InvalidParam(f"filter: {error}") from None
