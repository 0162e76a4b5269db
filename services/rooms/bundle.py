"""Aggregations that are told with their events (§Aggregations of child events): the newest edit, threads, references.

Found for many events at once: one statement says what relates to them, and a second one, where anything does, fetches
the events that are shown in bundles. Whether children may be seen is only asked where the reader has not been joined
ever since the event.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import asyncpg
import orjson
from orjson import Fragment

from services.rooms.relation import REFERENCE, REPLACE, THREAD
from services.rooms.tail import TailEvent, stored_tail_event
from services.rooms.visibility import Asked, hidden_from
from storage.aggregations import Parent, aggregates, other_children
from storage.database import Tx
from storage.timeline import shown_events

_ASKED_ONE_BY_ONE = 100  # children of an event

Bundles = Mapping[str, bytes]
"""Members of `unsigned` that follow others (`,"m.relations":{...}`), by event ID; only of events that have any."""

NO_BUNDLES: Bundles = {}


@dataclass(frozen=True, slots=True)
class Audience:
    """Events of a room as a reader asks for them; `show` makes an event's JSON, with what follows in its `unsigned`."""

    room_id: str
    asked: Asked
    show: Callable[[TailEvent, bytes], bytes]


@dataclass(slots=True)
class _Children:
    """What relates to an event: those that may be its newest edit, or the last of its thread, and all references."""

    edits: list[str] = field(default_factory=list)
    thread: list[str] = field(default_factory=list)
    count: int = 0
    participated: bool = False
    references: list[str] = field(default_factory=list)


async def bundles(
    tx: Tx, user_id: str, ignored: Collection[str], audiences: Sequence[Audience], *, nested: bool = True
) -> Bundles:
    """What is bundled with the events for this reader; where `nested`, also with the events in bundles."""
    asked = {
        event.event_id: (event, audience)
        for audience in audiences
        for event in audience.asked.events
        if event.state_key is None
    }
    if not asked:
        return NO_BUNDLES
    found = await _children(tx, user_id, ignored, asked)
    if not found:
        return NO_BUNDLES
    shown = await _shown(tx, found)
    more = NO_BUNDLES
    if nested:
        latest = {parent: _latest(children, shown) for parent, children in found.items()}
        more = await bundles(tx, user_id, ignored, list(_inner(asked, latest)), nested=False)
    told: dict[str, bytes] = {}
    for parent, children in found.items():
        bundle = _bundle(asked[parent], children, shown, more, user_id)
        if bundle:
            told[parent] = b',"m.relations":' + orjson.dumps(bundle)
    return told


_Asked = Mapping[str, tuple[TailEvent, Audience]]
_Shown = Mapping[str, TailEvent]


async def _children(tx: Tx, user_id: str, ignored: Collection[str], asked: _Asked) -> dict[str, _Children]:
    found: dict[str, _Children] = {}
    for row in await aggregates(tx, [_parent(*one) for one in asked.values()], user_id, ignored):
        children = found.setdefault(row["parent"], _Children())
        if row["rel_type"] == REPLACE:
            children.edits = list(row["newest"])
        elif row["rel_type"] == REFERENCE:
            children.references = list(row["newest"])
        else:
            children.count, children.participated = row["count"], row["participated"]
            children.thread = list(row["newest"])
    for row in await _visible_others(tx, user_id, ignored, asked):
        children = found.setdefault(row["parent"], _Children())
        if row["rel_type"] == REPLACE:
            children.edits.append(row["child"])
        elif row["rel_type"] == REFERENCE:
            children.references.append(row["child"])
        else:
            children.count += 1
            children.participated |= row["sender"] == user_id
            children.thread.append(row["child"])
    return found


def _parent(event: TailEvent, audience: Audience) -> Parent:
    asked = audience.asked
    return event.event_id, audience.room_id, event.sender, event.type, asked.joined_from, asked.joined_until


async def _visible_others(
    tx: Tx, user_id: str, ignored: Collection[str], asked: _Asked
) -> list[asyncpg.Record]:
    """The children of events from before the reader joined, or after, that may be seen all the same."""
    doubtful = {
        event.event_id: audience
        for audience in {id(audience): audience for _, audience in asked.values()}.values()
        for event in audience.asked.doubtful()
        if event.event_id in asked
    }
    if not doubtful:
        return []
    parents = [_parent(asked[parent][0], audience) for parent, audience in doubtful.items()]
    rows = await other_children(tx, parents, ignored, _ASKED_ONE_BY_ONE)
    questions = [
        replace(audience.asked, events=[_outline(row) for row in rows if row["parent"] == parent])
        for parent, audience in doubtful.items()
    ]
    hidden = await hidden_from(tx, user_id, questions)
    return [row for row in rows if row["child"] not in hidden]


def _outline(row: asyncpg.Record) -> TailEvent:
    """What must be known of a child to say whether it may be seen."""
    return TailEvent(
        row["position"],
        row["child"],
        row["type"],
        row["state_key"],
        row["sender"],
        row["origin_server_ts"],
        b"",
        snapshot=row["snapshot"],
        replaces_state=row["replaces_state"],
    )


async def _shown(tx: Tx, found: Mapping[str, _Children]) -> _Shown:
    """The events that are told whole."""
    wanted = [event_id for children in found.values() for event_id in (*children.edits, *children.thread)]
    if not wanted:
        return {}
    return {row["event_id"]: stored_tail_event(row) for row in await shown_events(tx, wanted)}


def _inner(asked: _Asked, latest: Mapping[str, TailEvent | None]) -> Iterable[Audience]:
    for parent, event in latest.items():
        if event is not None:
            audience = asked[parent][1]
            yield replace(audience, asked=replace(audience.asked, events=[event]))


def _latest(children: _Children, shown: _Shown) -> TailEvent | None:
    events = [shown[event_id] for event_id in children.thread if event_id in shown]
    return max(events, key=lambda event: event.position, default=None)


def _bundle(
    parent: tuple[TailEvent, Audience], children: _Children, shown: _Shown, more: Bundles, user_id: str
) -> dict[str, Any]:
    event, audience = parent
    bundle: dict[str, Any] = {}
    edits = [shown[event_id] for event_id in children.edits if event_id in shown]
    edit = _newest_edit(edits) if _may_be_edited(event) else None
    if edit is not None:
        bundle[REPLACE] = Fragment(audience.show(edit, b""))
    latest = _latest(children, shown)
    if latest is not None:
        bundle[THREAD] = {
            "latest_event": Fragment(audience.show(latest, more.get(latest.event_id, b""))),
            "count": children.count,
            "current_user_participated": children.participated or event.sender == user_id,
        }
    if children.references:
        bundle[REFERENCE] = {"chunk": [{"event_id": event_id} for event_id in children.references]}
    return bundle


def _may_be_edited(event: TailEvent) -> bool:
    # What is not a state event has nothing fixed in `unsigned` but its redaction.
    # «The original event must not, itself, have a rel_type of m.replace», and a redacted one has no edits to show.
    return event.rel_type != REPLACE and not event.fixed


def _newest_edit(edits: Iterable[TailEvent]) -> TailEvent | None:
    """«the one with the most recent origin_server_ts [...], falling back to lexicographic ordering by event_id»"""
    valid = [edit for edit in edits if _is_valid(edit)]
    return max(valid, key=lambda edit: (edit.origin_server_ts, edit.event_id), default=None)


def _is_valid(edit: TailEvent) -> bool:
    # «The replacement event (once decrypted, if appropriate) must have an m.new_content property.»
    return edit.type == "m.room.encrypted" or isinstance(
        orjson.loads(edit.json)["content"].get("m.new_content"), dict
    )
