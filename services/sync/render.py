"""Room events as a reader gets them: with the reader's `unsigned`, in the format and with the fields that the filter asks for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson
from orjson import Fragment

from protocol.filters import prune_fields
from services.rooms.bundle import NO_BUNDLES, Audience, Bundles, bundles
from services.rooms.client_event import splice, unsigned_member
from services.rooms.tail import TailEvent
from services.rooms.visibility import Asked
from services.sync.look import Look, Window
from services.sync.streams.state import StateEvent
from services.sync.streams.timeline import Timeline
from storage.state_reading import member_history, state_events
from storage.timeline import OLDEST


@dataclass(frozen=True, slots=True)
class Rendered:
    """The events of timelines and states, by room."""

    timelines: Mapping[str, list[Fragment]]
    states: Mapping[str, list[Fragment]]


@dataclass(frozen=True, slots=True)
class MemberTimes:
    """A user's membership of a room over time: `memberships[i]` from position `positions[i]` on."""

    positions: Sequence[int]
    memberships: Sequence[str]
    at_first: str

    @classmethod
    def of(cls, changes: Sequence[asyncpg.Record]) -> MemberTimes:
        """What the changes, in their order, come to."""
        first = _membership(changes[0]["previous"]) if changes else "leave"
        return cls([c["position"] for c in changes], [_membership(c["json"]) for c in changes], first)

    def at(self, position: int) -> str:
        """The membership after the event at this position."""
        index = bisect_right(self.positions, position)
        return self.memberships[index - 1] if index else self.at_first


def _membership(json: bytes | None) -> str:
    return str(orjson.loads(json)["content"].get("membership")) if json is not None else "leave"


async def rendered(
    look: Look,
    windows: Sequence[Window],
    timelines: Mapping[str, Timeline],
    states: Mapping[str, Sequence[StateEvent]],
) -> Rendered:
    """All that was found, as it is told."""
    shown = [event.event_id for timeline in timelines.values() for event in timeline.events]
    shown += [event.event_id for state in states.values() for event in state]
    raw = await _raw(look, shown)
    before = await _memberships(look, windows, timelines)
    bundled = await _bundled(look, windows, timelines, before)
    return Rendered(
        {
            window.room_id: [
                _finished(
                    look,
                    event.event_id,
                    event.json,
                    _unsigned(look, window, event, before, bundled.get(event.event_id, b"")),
                    raw,
                )
                for event in timelines[window.room_id].events
            ]
            for window in windows
        },
        {
            room_id: [_finished(look, event.event_id, event.json, event.unsigned, raw) for event in state]
            for room_id, state in states.items()
        },
    )


def _is_joined(window: Window, event: TailEvent) -> bool:
    return window.joined_from <= event.position < window.joined_until


async def _memberships(
    look: Look, windows: Sequence[Window], timelines: Mapping[str, Timeline]
) -> Mapping[str, MemberTimes]:
    """The reader's memberships in the rooms of which there are events from a time when the reader was not joined."""
    rooms = [
        window.room_id
        for window in windows
        if any(not _is_joined(window, event) for event in timelines[window.room_id].events)
    ]
    if not rooms:
        return {}
    tx = await look.connection.tx()
    changes = await member_history(tx, look.user_id, [(room_id, OLDEST) for room_id in rooms])
    return {room_id: MemberTimes.of(changes.get(room_id, ())) for room_id in rooms}


async def _bundled(
    look: Look,
    windows: Sequence[Window],
    timelines: Mapping[str, Timeline],
    memberships: Mapping[str, MemberTimes],
) -> Bundles:
    """What others have said of the events of timelines with gaps; in others the reader is told what they say as they say it."""
    audiences = []
    for window in windows:
        timeline = timelines[window.room_id]
        if not timeline.limited or not timeline.events:
            continue

        def show(event: TailEvent, more: bytes, window: Window = window) -> bytes:
            unsigned = _unsigned(look, window, event, memberships, more)
            return splice(event.json, unsigned, window.room_id)

        asked = Asked(timeline.events, window.joined_until, window.joined_from)
        audiences.append(Audience(window.room_id, asked, show))
    if not audiences:
        return NO_BUNDLES
    return await bundles(await look.connection.tx(), look.user_id, look.ignored, audiences)


def _unsigned(
    look: Look,
    window: Window,
    event: TailEvent,
    memberships: Mapping[str, MemberTimes],
    more: bytes = b"",
) -> bytes:
    membership: str | None = "join"
    if not _is_joined(window, event):
        times = memberships.get(window.room_id)
        membership = times.at(event.position) if times is not None else None
    is_own = event.txn_id is not None and event.sender == look.user_id and event.device_id == look.device_id
    return unsigned_member(
        look.now - event.origin_server_ts,
        event.fixed + more,
        membership,
        event.txn_id if is_own else None,
    )


async def _raw(look: Look, event_ids: Sequence[str]) -> Mapping[str, bytes]:
    """The events in the federation format, where the filter wants that."""
    if not look.filter.federation_format or not event_ids:
        return {}
    rows = await state_events(await look.connection.tx(), event_ids)
    # The format has no event ID since room version 3; a client needs it all the same.
    return {
        row["event_id"]: orjson.dumps(orjson.loads(row["json"]) | {"event_id": row["event_id"]})
        for row in rows
    }


def _finished(
    look: Look, event_id: str, shared: bytes, unsigned: bytes, raw: Mapping[str, bytes]
) -> Fragment:
    json = splice(raw.get(event_id, shared) if raw else shared, unsigned)
    return Fragment(json if look.filter.event_fields is None else _pruned(look, json))


# «A server may include more fields than were requested»: these are what an event cannot be without.
_REQUIRED = ("event_id", "type", "sender", "origin_server_ts", "state_key")


def _pruned(look: Look, json: bytes) -> bytes:
    event = orjson.loads(json)
    kept = dict[str, Any](content={}) | prune_fields(event, look.filter.event_fields or ())
    return orjson.dumps({field: event[field] for field in _REQUIRED if field in event} | kept)
