"""What a client asks of a search, and the place in the results where it goes on."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

import orjson

from protocol.filters import ALL_EVENTS, EventFilter
from protocol.json import MAX_INTEGER
from protocol.matrix_error import InvalidParam
from storage.search.find import Place
from storage.search.lexemes import BODY, NAME, TOPIC
from storage.timeline import NEWEST, OLDEST

KEYS = {"content.body": BODY, "content.name": NAME, "content.topic": TOPIC}
ROOM_ID, SENDER = "room_id", "sender"
_MAX_TOKEN = 1_000
Group = tuple[str, str]
"""A key (`room_id` or `sender`) and its value."""


@dataclass(frozen=True, slots=True)
class ContextAsked:
    """How much of what stands around each result is wanted, and whether who its senders were then."""

    before: int
    after: int
    profiles: bool


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search; `marks` say in which keys."""

    term: str
    marks: tuple[str, ...] = tuple(KEYS.values())
    filter: EventFilter = ALL_EVENTS
    by_rank: bool = True
    context: ContextAsked | None = None
    with_state: bool = False
    group_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """Where a page begins: so far (`offset`) into what is found before a place, in one group or in all. `count` is what the
    first page said.
    """

    before: Place = (NEWEST, OLDEST)
    offset: int = 0
    count: int | None = None
    group: Group | None = None

    def token(self) -> str:
        """For the client, who gives it back."""
        return base64.urlsafe_b64encode(
            orjson.dumps([*self.before, self.offset, self.count, self.group])
        ).decode()


BEGINNING = Start()


def start_of(token: str) -> Start:
    """The place that the token stands for; raises InvalidParam."""
    try:
        value = orjson.loads(base64.urlsafe_b64decode(token[:_MAX_TOKEN]))
    except (ValueError, binascii.Error, UnicodeEncodeError):
        value = None
    if not (isinstance(value, list) and len(value) == 5 and _is_place(*value)):
        raise InvalidParam("next_batch is not a token that this server has given out")
    at, position, offset, count, group = value
    return Start((at, position), offset, count, tuple(group) if group is not None else None)


def _is_place(at: Any, position: Any, offset: Any, count: Any, group: Any) -> bool:
    numbers = all(type(one) is int and OLDEST <= one <= NEWEST for one in (at, position))
    counts = all(type(one) is int and 0 <= one <= MAX_INTEGER for one in (offset, count or 0))
    return (
        numbers
        and counts
        and (
            group is None
            or (
                isinstance(group, list)
                and len(group) == 2
                and group[0] in (ROOM_ID, SENDER)
                and _is_text(group[1])
            )
        )
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value
