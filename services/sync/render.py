"""Room events as a reader gets them: with the reader's `unsigned`, in the format and with the fields that the filter asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson
from orjson import Fragment

from protocol.filters import prune_fields
from services.rooms.client_event import splice, unsigned_member
from services.rooms.tail import TailEvent
from services.sync.look import Look, Window
from services.sync.streams.state import StateEvent
from services.sync.streams.timeline import Timeline
from storage.state_reading import state_events


async def rendered_timeline(
    look: Look, windows: Sequence[Window], timelines: Mapping[str, Timeline]
) -> dict[str, list[Fragment]]:
    """The timeline events of each room."""
    raw = await _raw(look, [event.event_id for t in timelines.values() for event in t.events])
    return {
        window.room_id: [
            _finished(look, event.event_id, event.json, _unsigned(look, window, event), raw)
            for event in timelines[window.room_id].events
        ]
        for window in windows
    }


def rendered_state(look: Look, room_id: str, events: Sequence[StateEvent]) -> list[Fragment]:
    """The state events of a room."""
    if look.filter.event_fields is None:
        return [Fragment(event.json) for event in events]
    return [Fragment(_pruned(look, event.json)) for event in events]


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
    return {row["event_id"]: row["json"] for row in await state_events(await look.connection.tx(), event_ids)}


def _finished(
    look: Look, event_id: str, shared: bytes, unsigned: bytes, raw: Mapping[str, bytes]
) -> Fragment:
    json = splice(raw.get(event_id, shared), unsigned)
    return Fragment(json if look.filter.event_fields is None else _pruned(look, json))


def _pruned(look: Look, json: bytes) -> bytes:
    return orjson.dumps(prune_fields(orjson.loads(json), look.filter.event_fields or ()))
