"""The state before our join in a room that we have entered without its members, as a server of the room tells it.

Every server in the room has what our join follows on, but not yet the join itself: so the state there is asked for first,
with the one event on top. Where the join follows on several events the server that let us in has resolved their states
already; only when it does not tell of that they are resolved here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TypeVar

from protocol.auth.needed import state_needed_for
from protocol.auth.rules import check_auth
from protocol.errors import Rejected
from protocol.events import Event, StateKey
from protocol.ids import EventID, ServerName
from services.ports import RemoteFailed
from services.rooms.auth_difference import StateUnknown
from services.rooms.membership.observations import EventsLeftOut
from services.rooms.receive.fetch import MAX_SINGLE, fetch_auth_events, fetched_events, keep_outliers, unknown
from services.rooms.receive.outliers import store_outliers
from services.rooms.receive_state import StateBefore, merged
from services.tenant import Tenant
from storage.events import Standing, StoredEvent, event_by_id, events_by_id
from storage.servers.partial_rooms import told_events
from storage.state import EMPTY

T = TypeVar("T")

MAX_STATE = 500_000  # events of one state and what it rests on
_AT_ONCE = 2_000  # events that are looked up together

State = dict[StateKey, EventID]


async def state_before_join(tenant: Tenant, server: ServerName, join: Event) -> State:
    """The state, whose events are here as outliers, without those that are not allowed. Raises RemoteFailed where the server
    does not tell it, or where our join is not allowed there."""
    state = await _told_somehow(tenant, server, join)
    reason = await _refusal(tenant, join, state)
    if reason is not None:
        raise RemoteFailed(server, None, None, f"not the room that we have joined: {reason}")
    return state


async def _told_somehow(tenant: Tenant, server: ServerName, join: Event) -> State:
    if len(join.prev_events) == 1:
        first, second = _after_each_prev, _before
    else:
        first, second = _before, _after_each_prev
    try:
        return await first(tenant, server, join)
    except RemoteFailed as failed:
        if failed.status is None:  # it cannot be reached, or what it told was looked at and is none
            raise
        return await second(tenant, server, join)


async def _after_each_prev(tenant: Tenant, server: ServerName, join: Event) -> State:
    """What the states after the events that the join follows on resolve to."""
    states = [
        StateBefore(EMPTY, await _after(tenant, server, join, event_id)) for event_id in join.prev_events
    ]
    try:
        resolved = await merged(tenant, join.version, states)
    except StateUnknown as error:
        raise RemoteFailed(server, None, None, f"its states cannot be resolved: {error}") from None
    return {key: event_id for key, event_id in resolved.changes.items() if event_id is not None}


async def _after(tenant: Tenant, server: ServerName, join: Event, event_id: EventID) -> State:
    state = await _told(tenant, server, join, event_id)
    stored = await _event(tenant, server, join, event_id)
    is_allowed = (
        stored.standing is not Standing.REJECTED and await _refusal(tenant, stored.event, state) is None
    )
    if stored.event.is_state and is_allowed:
        state[stored.event.key] = stored.event.event_id
    return state


async def _before(tenant: Tenant, server: ServerName, join: Event) -> State:
    return await _told(tenant, server, join, join.event_id)


async def _told(tenant: Tenant, server: ServerName, join: Event, event_id: EventID) -> State:
    """The state before the event as the server tells it, without what cannot be verified or is rejected."""
    told = await tenant.remotes.state_ids(server, join.room_id, event_id)
    if len(told.pdu_ids) + len(told.auth_chain_ids) > MAX_STATE:
        raise RemoteFailed(server, None, None, "it tells a state of too many events")
    wanted: set[EventID] = set()
    for some in portions([*told.pdu_ids, *told.auth_chain_ids]):
        wanted |= await unknown(tenant, some)
    if len(wanted) > MAX_SINGLE:
        whole = await tenant.remotes.state(server, join.room_id, event_id)
        await keep_outliers(tenant, join.version, join.room_id, [*whole.auth_chain, *whole.pdus])
    elif wanted:
        found = await fetched_events(tenant, server, join.version, join.room_id, wanted)
        await store_outliers(tenant, found)
    return await _of_what_is_here(tenant, server, join, told.pdu_ids)


async def _of_what_is_here(
    tenant: Tenant, server: ServerName, join: Event, event_ids: Sequence[EventID]
) -> State:
    state: State = {}
    left_out = dict.fromkeys(event_ids)
    for some in portions(event_ids):
        async with tenant.database.read() as tx:
            found = await told_events(tx, some)
        for one in found:
            if (
                one.room_id != join.room_id
                or one.key is None
                or state.get(one.key, one.event_id) != one.event_id
            ):
                raise RemoteFailed(server, None, None, "it tells something that is no state of the room")
            if one.standing is not Standing.REJECTED:
                state[one.key] = one.event_id
                del left_out[one.event_id]
    if left_out:
        tenant.observe(EventsLeftOut(join.room_id, server, len(left_out), next(iter(left_out))))
    return state


async def _event(tenant: Tenant, server: ServerName, join: Event, event_id: EventID) -> StoredEvent:
    async with tenant.database.read() as tx:
        stored = await event_by_id(tx, event_id)
    if stored is None:
        for event in await fetched_events(tenant, server, join.version, join.room_id, [event_id]):
            if await unknown(tenant, event.auth_events):
                await fetch_auth_events(tenant, server, event)
            await store_outliers(tenant, [event])
        async with tenant.database.read() as tx:
            stored = await event_by_id(tx, event_id)
    if stored is None or stored.event.room_id != join.room_id:
        raise RemoteFailed(server, 404, None, f"it does not show {event_id}, or not what that rests on")
    return stored


async def _refusal(tenant: Tenant, event: Event, state: State) -> str | None:
    """Why the event is not allowed in this state; None if it is."""
    keys = state_needed_for(event.version, event.type, event.sender, event.state_key, event.content)
    ids = [state[key] for key in keys if key in state]
    async with tenant.database.read() as tx:
        found = await events_by_id(tx, ids)
    try:
        check_auth(event.version, event, {stored.event.key: stored.event for stored in found.values()})
    except Rejected as error:
        return str(error)
    return None


def portions(items: Collection[T], size: int = _AT_ONCE) -> Iterator[list[T]]:
    """The items, some at a time."""
    items = list(items)
    for start in range(0, len(items), size):
        yield items[start : start + size]
