"""What of a room another server may see: «full if any user of that server could see it, else redacted»."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import orjson

from protocol.events import HISTORY_VISIBILITY, MEMBER, StateKey
from protocol.ids import RoomID, ServerName, server_of
from protocol.json import JsonObject
from protocol.matrix_error import Unknown
from protocol.redaction import redact
from protocol.visibility import may_see
from storage.database import Tx
from storage.events import StoredEvent
from storage.servers.partial_rooms import is_partial
from storage.servers.serving import erased_among, member_events_at, users_of_server
from storage.state import state_ids_of_keys
from storage.state_reading import state_events

_VISIBILITY: StateKey = (HISTORY_VISIBILITY, "")
# The memberships that any rule of visibility asks for, the most powerful first.
_MEMBERSHIPS = ("join", "invite")


async def shown_to_server(
    tx: Tx, room_id: RoomID, server: ServerName, is_in_room: bool, events: Sequence[StoredEvent]
) -> list[JsonObject]:
    """The events as the server gets them, in the same order: those that none of its users may see are redacted."""
    hidden = await hidden_from_server(tx, room_id, server, is_in_room, events)
    return [
        redact(stored.event.json, stored.event.version)
        if stored.event.event_id in hidden
        else stored.event.json
        for stored in events
    ]


async def hidden_from_server(
    tx: Tx, room_id: RoomID, server: ServerName, is_in_room: bool, events: Sequence[StoredEvent]
) -> frozenset[str]:
    """The IDs of those of the room's events that no user of the server may see, in a few queries however many.

    Raises Unknown (503) where that depends on members whom we do not know yet.
    """
    hidden = await _of_erased(tx, server, events)
    rules = await _rules(tx, events)
    asked = [stored for stored in events if not _is_open(rules[stored.event.event_id], is_in_room)]
    if not asked:
        return hidden
    if await is_partial(tx, room_id):
        # What is redacted now would stay so at the other server.
        raise Unknown("The members of this room are still being fetched", status=503)
    users = await users_of_server(tx, room_id, server)
    members = await _memberships(tx, asked, users)
    return hidden | {
        stored.event.event_id
        for stored in asked
        if not _is_visible(stored, server, rules[stored.event.event_id], members, is_in_room)
    }


def _is_open(rules: Collection[object], is_in_room: bool) -> bool:
    """May the server see the event whatever its users were then?"""
    return any(may_see(rule, None, is_in_room) for rule in rules)


def _is_visible(
    stored: StoredEvent,
    server: ServerName,
    rules: Collection[object],
    members: dict[int, frozenset[str]],
    is_in_room: bool,
) -> bool:
    event = stored.event
    if event.sender.partition(":")[2] == server or _is_of_server(event.key, server):
        return True
    memberships = members.get(stored.snapshot, frozenset()) if stored.snapshot is not None else frozenset()
    return any(
        may_see(rule, membership, is_in_room)
        for rule in rules
        for membership in _MEMBERSHIPS
        if membership in memberships
    )


def _is_of_server(key: StateKey, server: ServerName) -> bool:
    return key[0] == MEMBER and ":" in key[1] and server_of(key[1]) == server


async def _rules(tx: Tx, events: Sequence[StoredEvent]) -> dict[str, set[Any]]:
    """The history visibilities that hold for each event: for one that changes it, that before and that after it."""
    snapshots = {stored.snapshot for stored in events if stored.snapshot is not None}
    states = await state_ids_of_keys(tx, snapshots, (_VISIBILITY,)) if snapshots else {}
    ids: dict[str, set[str | None]] = {}
    for stored in events:
        # Where the state at the event is not known, nobody has promised it to anybody: as if it were for members only.
        named: set[str | None] = set()
        if stored.snapshot is not None:
            named.add(states[stored.snapshot].get(_VISIBILITY))
        if stored.event.is_state and stored.event.key == _VISIBILITY:
            named.add(stored.replaces_state)
        ids[stored.event.event_id] = named
    wanted = {event_id for named in ids.values() for event_id in named if event_id is not None}
    found = {row["event_id"]: _rule(row["json"]) for row in await state_events(tx, wanted)}
    return {
        event_id: {found.get(one) if one is not None else None for one in named} or {"joined"}
        for event_id, named in ids.items()
    }


def _rule(json: bytes) -> str | None:
    rule = orjson.loads(json)["content"].get("history_visibility")
    return rule if isinstance(rule, str) else None


async def _memberships(
    tx: Tx, events: Sequence[StoredEvent], users: Sequence[str]
) -> dict[int, frozenset[str]]:
    """For the state at each of the events, the memberships that any of the users has in it."""
    snapshots = {stored.snapshot for stored in events if stored.snapshot is not None}
    ids = await member_events_at(tx, snapshots, users)
    wanted = {event_id for named in ids.values() for event_id in named}
    found = {
        row["event_id"]: orjson.loads(row["json"])["content"].get("membership")
        for row in await state_events(tx, wanted)
    }
    return {
        snapshot: frozenset(str(found[event_id]) for event_id in named if event_id in found)
        for snapshot, named in ids.items()
    }


async def _of_erased(tx: Tx, server: ServerName, events: Sequence[StoredEvent]) -> frozenset[str]:
    """Messages of users of ours who have asked to be forgotten."""
    senders = {stored.event.sender for stored in events if not stored.event.is_state}
    erased = await erased_among(tx, senders) if senders else frozenset()
    return frozenset(
        stored.event.event_id
        for stored in events
        if stored.event.sender in erased and not stored.event.is_state
    )
