"""The room's state before an event, with all that it rests on, as other servers ask for it."""

from __future__ import annotations

from dataclasses import dataclass

from orjson import Fragment

from protocol.events import StateKey
from protocol.ids import EventID, RoomID, ServerName
from protocol.matrix_error import NotFound
from services.rooms.membership.whole import until_whole
from services.rooms.serving.access import room_for_server
from services.rooms.serving.auth_chain import auth_chain_ids
from services.tenant import Tenant
from storage.database import Tx
from storage.events import Standing, StoredEvent, event_by_id, events_by_id
from storage.servers.serving import pdus
from storage.state import state_ids_at

_PATIENCE = 10.0  # seconds
_NOT_FOUND = "There is no such event in this room, or its state is not known here"


@dataclass(frozen=True, slots=True)
class ServedStateIds:
    """The state before an event, and the auth chain below it."""

    state: list[EventID]
    chain: list[EventID]


@dataclass(frozen=True, slots=True)
class ServedState:
    """The same in the federation format."""

    state: list[Fragment]
    chain: list[Fragment]


async def state_ids_for_server(
    tenant: Tenant, server: ServerName, room_id: RoomID, event_id: EventID
) -> ServedStateIds:
    """The state before the event. Raises Forbidden where the server may not ask, NotFound for events without a state,
    Unknown (503) where we do not know the room's members yet.
    """
    await _admitted(tenant, server, room_id)
    async with tenant.database.snapshot() as tx:
        return await _state_ids(tx, server, room_id, event_id)


async def state_for_server(
    tenant: Tenant, server: ServerName, room_id: RoomID, event_id: EventID
) -> ServedState:
    """The same with the events; raises the same."""
    await _admitted(tenant, server, room_id)
    async with tenant.database.snapshot() as tx:
        ids = await _state_ids(tx, server, room_id, event_id)
        found = await pdus(tx, {*ids.state, *ids.chain})
    return ServedState(_written(found, ids.state), _written(found, ids.chain))


async def event_auth_for_server(
    tenant: Tenant, server: ServerName, room_id: RoomID, event_id: EventID
) -> list[Fragment]:
    """The auth chain of an event; raises Forbidden where the server may not ask, NotFound for events of elsewhere."""
    async with tenant.database.snapshot() as tx:
        version = await room_for_server(tx, room_id, server)
        stored = await event_by_id(tx, event_id)
        if stored is None or stored.event.room_id != room_id:
            raise NotFound(_NOT_FOUND)
        named = stored.event.auth_events
        ids = {*named, *await auth_chain_ids(tx, version, room_id, named)} - {event_id}
        found = await pdus(tx, ids)
    return _written(found, sorted(ids))


async def state_ids_before(tx: Tx, stored: StoredEvent) -> dict[StateKey, EventID]:
    """The state before an event; raises NotFound where it is not known."""
    event = stored.event
    before = await events_by_id(tx, event.prev_events)
    snapshots = {parent.snapshot for parent in before.values()}
    if len(before) == len(event.prev_events) and len(snapshots) == 1:
        (snapshot,) = snapshots
        if snapshot is not None:
            return await state_ids_at(tx, snapshot)
    if stored.snapshot is None:
        raise NotFound(_NOT_FOUND)
    # The state after it, with what the event itself has changed undone.
    state = await state_ids_at(tx, stored.snapshot)
    if event.is_state and state.get(event.key) == event.event_id:
        del state[event.key]
        if stored.replaces_state is not None:
            state[event.key] = stored.replaces_state
    return state


async def _admitted(tenant: Tenant, server: ServerName, room_id: RoomID) -> None:
    """Who may ask waits a little where the state is only known in part."""
    async with tenant.database.read() as tx:
        await room_for_server(tx, room_id, server)
    await until_whole(tenant, room_id, _PATIENCE)


async def _state_ids(tx: Tx, server: ServerName, room_id: RoomID, event_id: EventID) -> ServedStateIds:
    version = await room_for_server(tx, room_id, server)
    stored = await event_by_id(tx, event_id)
    if stored is None or stored.event.room_id != room_id or stored.standing is Standing.OUTLIER:
        raise NotFound(_NOT_FOUND)
    state = list((await state_ids_before(tx, stored)).values())
    chain = await auth_chain_ids(tx, version, room_id, state) if state else set()
    return ServedStateIds(state, [EventID(one) for one in sorted(chain)])


def _written(found: dict[str, bytes], ids: list[EventID] | list[str]) -> list[Fragment]:
    return [Fragment(found[event_id]) for event_id in ids if event_id in found]
