"""A step of the index: what has happened at the next positions is written to it, and how far it is, in one transaction.

So a process may be killed at any point, and whoever comes next goes on; the row that says how far the index is, is locked
meanwhile, so that there is one at a time. Nobody waits for this: not those who send, and those who search only a moment.

An event is indexed as it is when the step looks, with its newest edit. What a redaction took away is not there to be read
any more; an edit, or the end of one, makes the index look at the edited event again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import asyncpg
import orjson

from protocol.events import REDACTION
from protocol.filters import has_url
from protocol.json import JsonObject
from protocol.search.words import Kind, kind_of, words
from services.rooms.relation import REPLACE
from services.rooms.tail import rel_type_of
from services.tenant import Tenant
from storage.database import Tx
from storage.search.follow import (
    Document,
    mark_followed,
    news_after,
    numbered_rooms,
    redacted_by,
    sources,
    take_history,
    take_index,
    write_documents,
)
from storage.search.lexemes import BODY, NAME, TOPIC, Text, vector
from storage.search.words import PART, add_words

WINDOW = 500  # positions of one step
MESSAGE, ROOM_NAME, ROOM_TOPIC = "m.room.message", "m.room.name", "m.room.topic"
_LONGEST_WORD = 32  # that is found by a part of it


@dataclass(frozen=True, slots=True)
class Step:
    """The index is true up to `position`; there is more to do where that is before `newest`, or `more` history waits."""

    position: int
    newest: int
    more: bool

    @property
    def is_last(self) -> bool:
        """Is there nothing more to do for now?"""
        return self.position >= self.newest and not self.more


async def index_step(tenant: Tenant) -> Step | None:
    """Does the next step; None where somebody else is at one."""
    async with tenant.database.background() as tx:
        position = await take_index(tx)
        if position is None:
            return None
        newest, events = await news_after(tx, position, WINDOW)
        history, more = await take_history(tx, WINDOW)
        found = await sources(tx, await _concerned(tx, [*events, *history]))
        numbers = await numbered_rooms(tx, {row["room_id"] for row in found}) if found else {}
        made = (
            await tenant.compute.run(_make, found, numbers, tenant.clock.now())
            if found
            else _Made([], [], set())
        )
        await write_documents(tx, made.documents, made.gone)
        new = tenant.search.new_words(made.words)
        await add_words(tx, new)
        reached = min(position + WINDOW, newest)
        if reached > position:
            await mark_followed(tx, reached)
    tenant.search.know_words(new)
    return Step(reached, newest, more)


async def _concerned(tx: Tx, events: Sequence[asyncpg.Record]) -> set[str]:
    """The events that are to be looked at because of these."""
    redactions = [row["event_id"] for row in events if row["type"] == REDACTION]
    concerned = {row["edited"] or row["event_id"] for row in events if row["type"] != REDACTION}
    for row in await redacted_by(tx, redactions):
        concerned |= {row["event_id"], row["edited"] or row["event_id"]}
    return concerned


@dataclass(frozen=True, slots=True)
class _Made:
    """What was made of events: documents; the positions of those that are not to be found; and all words."""

    documents: list[Document]
    gone: list[int]
    words: set[str]


def _make(found: Iterable[asyncpg.Record], numbers: Mapping[str, int], now: int) -> _Made:
    made = _Made([], [], set())
    for row in found:
        text = _text(row)
        if text is None or not text.words:
            made.gone.append(row["position"])
            continue
        made.words.update(word for word in text.words if _is_known_by_parts(word))
        event_type = row["type"] if row["type"] != MESSAGE else None
        number, url = numbers[row["room_id"]], has_url(_content(row["json"]))
        made.documents.append(
            Document(
                row["position"],
                min(row["origin_server_ts"], now),
                row["edit"],
                number,
                vector(number, text, row["sender"], event_type, url),
            )
        )
    return made


def _is_known_by_parts(word: str) -> bool:
    return PART <= len(word) <= _LONGEST_WORD and kind_of(word[0]) is Kind.LETTER


def _text(row: asyncpg.Record) -> Text | None:
    """What the event is found by; None where it is not found at all."""
    content = _content(row["json"])
    if rel_type_of(content) == REPLACE:
        return None
    if row["type"] == ROOM_NAME:
        return _words(NAME, content.get("name"))
    if row["type"] == ROOM_TOPIC:
        return _words(TOPIC, content.get("topic"))
    if row["edit_json"] is not None:
        return _words(BODY, _content(row["edit_json"])["m.new_content"].get("body"))
    return _words(BODY, _without_quotation(content))


def _words(mark: str, text: object) -> Text | None:
    return Text(mark, words(text)) if isinstance(text, str) else None


def _without_quotation(content: JsonObject) -> object:
    """The body, without what old clients put before a reply: the text that is replied to."""
    body, relation = content.get("body"), content.get("m.relates_to")
    if not isinstance(body, str) or not isinstance(relation, dict) or "m.in_reply_to" not in relation:
        return body
    lines = body.split("\n")
    quoted = next((n for n, line in enumerate(lines) if not line.startswith("> ")), len(lines))
    return "\n".join(lines[quoted:])


def _content(json: bytes) -> JsonObject:
    content: JsonObject = orjson.loads(json)["content"]
    return content
