"""The room as it is shown to a server that has just joined it (the answer to send_join), or knocked upon it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import orjson

from protocol.events import MEMBER, Event, StateKey
from protocol.ids import EventID, RoomID, ServerName
from protocol.json import JsonObject
from services.rooms.membership.stripped import pdus_of
from services.rooms.receive_state import state_before
from services.rooms.serving.auth_chain import auth_chain_ids
from services.tenant import Tenant
from storage.database import Tx
from storage.servers.handshakes import servers_in_room
from storage.servers.serving import pdus
from storage.state import state_ids_at
from storage.state_reading import first_members

HEROES = 5
FEW = 200  # members, that are sent along at once also to who could do without
_NAMES = (("m.room.name", ""), ("m.room.canonical_alias", ""))


@dataclass(frozen=True, slots=True)
class RoomShown:
    """The state before a join and what it rests on, as the JSON of whole events; `servers` only where members are left out."""

    state: list[orjson.Fragment]
    auth_chain: list[orjson.Fragment]
    members_omitted: bool
    servers: list[ServerName]


async def show_room(tenant: Tenant, join: Event, *, omit_members: bool) -> RoomShown:
    """The room before the join. With `omit_members` nothing twice, and of many members only those who give the room its name,
    where it has none."""
    before = await state_before(tenant, join.version, join.prev_events)
    async with tenant.database.snapshot() as tx:
        whole: dict[StateKey, EventID | None] = {
            **await state_ids_at(tx, before.base.snapshot),
            **before.changes,
        }
        state = {key: event_id for key, event_id in whole.items() if event_id is not None}
        servers: list[ServerName] = []
        are_many = omit_members and sum(key[0] == MEMBER for key in state) > FEW
        if are_many:
            servers = await servers_in_room(tx, join.room_id, join.sender)
            state = await _without_members(tx, join.room_id, state)
        ids = set(state.values())
        chain = await auth_chain_ids(tx, join.version, join.room_id, [*ids, *join.auth_events])
        chain.update(join.auth_events)
        # With `omit_members` «any events that are returned in state may be omitted from auth_chain, whether or not
        # membership events are omitted from state».
        found = await pdus(tx, chain | ids)
    rest = chain - ids if omit_members else chain
    return RoomShown(_fragments(found, ids), _fragments(found, rest), are_many, servers)


async def knock_room_state(tenant: Tenant, room_id: RoomID) -> list[JsonObject]:
    """What one who has knocked gets to see of the room, as whole events."""
    async with tenant.heads.locked(room_id) as head:
        return await pdus_of(tenant, head)


async def _without_members(
    tx: Tx, room_id: RoomID, state: Mapping[StateKey, EventID]
) -> dict[StateKey, EventID]:
    kept = {key: event_id for key, event_id in state.items() if key[0] != MEMBER}
    if not any(name in state for name in _NAMES):
        heroes = (await first_members(tx, [room_id], HEROES)).get(room_id, ())
        keys = [(MEMBER, user_id) for user_id in heroes]
        kept |= {key: state[key] for key in keys if key in state}
    return kept


def _fragments(events: Mapping[str, bytes], ids: Collection[str]) -> list[orjson.Fragment]:
    return [orjson.Fragment(events[event_id]) for event_id in ids if event_id in events]
