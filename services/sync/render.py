"""Room events as a reader gets them: with the reader's `unsigned`, in the format and with the fields that the filter asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from orjson import Fragment

from protocol.filters import prune_fields
from services.rooms.client_event import splice, unsigned_member
from services.rooms.tail import TailEvent
from services.sync.look import Look, Window
from services.sync.streams.state import StateEvent
from services.sync.streams.timeline import Timeline
from storage.state_reading import state_events


@dataclass(frozen=True, slots=True)
class Rendered:
    """The events of timelines and states, by room."""

    timelines: Mapping[str, list[Fragment]]
    states: Mapping[str, list[Fragment]]


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
    return Rendered(
        {
            window.room_id: [
                _finished(look, event.event_id, event.json, _unsigned(look, window, event), raw)
                for event in timelines[window.room_id].events
            ]
            for window in windows
        },
        {
            room_id: [_finished(look, event.event_id, event.json, event.unsigned, raw) for event in state]
            for room_id, state in states.items()
        },
    )


def _unsigned(look: Look, window: Window, event: TailEvent) -> bytes:
    is_joined = window.joined_from <= event.position < window.joined_until
    is_own = event.txn_id is not None and event.sender == look.user_id and event.device_id == look.device_id
    return unsigned_member(
        look.now - event.origin_server_ts,
        event.fixed,
        "join" if is_joined else None,
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
