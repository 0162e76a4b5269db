"""Events that follow on what we do not have: what is missing is fetched, then they are placed (§Backfilling and retrieving
missing events).

First the server that sent the event is asked for the events between it and what we have, and then others are
(receive/between.py). What is still missing then is beyond a gap: the state there is asked for (receive/bridge.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress

from protocol.errors import InvalidId
from protocol.events import Event
from protocol.ids import EventID, ServerName, server_of
from services.ports import RemoteFailed
from services.rooms.receive.between import events_between, without_state
from services.rooms.receive.bridge import NoBridge, bridge
from services.rooms.receive.fetch import told_auth_events
from services.rooms.receive.observations import EventRefused
from services.rooms.receive.order import oldest_first
from services.rooms.receive.outliers import store_outliers
from services.rooms.receive.place import Missing, Placed, receive_event
from services.rooms.receive_state import StateUnknown
from services.tenant import Tenant

PATIENCE = 60.0  # seconds, for all that one event makes us ask for
_ROUNDS = 4
_DEPTH = 2  # of events that are fetched because of others that were


async def receive_with_what_it_needs(
    tenant: Tenant, event: Event, origin: ServerName, refusal: str | None = None
) -> Placed | None:
    """As `receive_event`; what is missing is fetched first. None when it cannot be had: then the event is dropped."""
    why = "what it follows on is missing"
    try:
        async with asyncio.timeout(PATIENCE):
            asked = False
            for _ in range(_ROUNDS):
                try:
                    return await receive_event(tenant, event, origin, refusal)
                except Missing as missing:
                    why = str(missing)
                    await _fetch(tenant, event, origin, missing, asked)
                    asked = True
    except (RemoteFailed, NoBridge, StateUnknown) as error:
        why = str(error)
    except TimeoutError:
        why = "fetching what it needs took too long"
    tenant.observe(EventRefused(event.room_id, event.event_id, origin, "dropped", why))
    return None


async def _fetch(tenant: Tenant, event: Event, origin: ServerName, missing: Missing, asked: bool) -> None:
    # What is between us and the event mostly brings what the event rests on.
    if missing.prev and not asked:
        await _receive_between(tenant, event, origin, missing.prev)
    elif missing.prev:
        raise NoBridge(f"{origin} does not tell what it follows on, or only what cannot be placed")
    else:
        await _receive_auth_events(tenant, event, origin, _DEPTH)


async def _receive_between(
    tenant: Tenant, event: Event, origin: ServerName, missing: Collection[EventID]
) -> None:
    """Asks for the events before this one, and places them, the oldest first; where there are none, for the state."""
    between = await events_between(tenant, origin, [event])
    for older in oldest_first(between.events.values()):
        await _receive_older(tenant, older, origin, _DEPTH, may_bridge=not between.is_nonsense)
    if not between.is_nonsense:
        lost = await without_state(tenant, missing - between.events.keys())
        await _bridge(tenant, event, origin, lost)


async def _receive_older(
    tenant: Tenant, event: Event, origin: ServerName, depth: int, *, may_bridge: bool
) -> bool:
    """Has the event got its place? What it rests on is fetched, and what is beyond a gap before it if that may be."""
    for _ in range(_ROUNDS):
        try:
            await receive_event(tenant, event, origin)
            return True
        except Missing as missing:
            try:
                if not missing.prev and depth:
                    await _receive_auth_events(tenant, event, origin, depth)
                elif missing.prev and may_bridge:
                    await _bridge(tenant, event, origin, missing.prev)
                else:
                    return False
            except (RemoteFailed, NoBridge):
                return False
        except StateUnknown:
            return False
    return False


async def _receive_auth_events(tenant: Tenant, event: Event, origin: ServerName, depth: int) -> None:
    """Asks for what the event rests on and for what that follows on: what can be placed is, the rest are outliers.

    If its own auth events were enough, a liar could rest an event on one that the state before it does not allow: accepted
    by those who have not seen where that one stands, rejected by the others, for ever.
    """
    told = await told_auth_events(tenant, origin, event)
    if not told:
        return
    between = await events_between(tenant, origin, told)
    names = {one.event_id for one in told}
    placeable = await _placeable(tenant, [*told, *between.events.values()])
    outliers: list[Event] = []
    for one in oldest_first([*told, *between.events.values()]):
        if one.event_id in placeable:
            await store_outliers(tenant, outliers)  # it may rest on them
            outliers = []
            if await _receive_older(tenant, one, origin, depth - 1, may_bridge=False):
                continue
        if one.event_id in names:
            outliers.append(one)
    await store_outliers(tenant, outliers)


async def _placeable(tenant: Tenant, events: Sequence[Event]) -> set[EventID]:
    """Those of the events before which there is nothing that is neither here nor among them."""
    missing = await without_state(tenant, {prev for event in events for prev in event.prev_events})
    found: set[EventID] = set()
    for event in oldest_first(events):
        if event.prev_events and missing.isdisjoint(set(event.prev_events) - found):
            found.add(event.event_id)
    return found


async def _bridge(tenant: Tenant, event: Event, origin: ServerName, missing: Collection[EventID]) -> None:
    """Asks for the states at what is missing. Raises NoBridge or RemoteFailed if one cannot be had from anybody."""
    for event_id in sorted(missing):
        failed: Exception | None = None
        for server in _whom_to_ask(tenant, event, origin):
            try:
                await bridge(tenant, server, event.version, event.room_id, event_id)
            except (RemoteFailed, NoBridge) as error:
                failed = error
            else:
                break
        else:
            raise failed or NoBridge("there is nobody to ask")


def _whom_to_ask(tenant: Tenant, event: Event, origin: ServerName) -> Iterable[ServerName]:
    servers = [origin]
    with suppress(InvalidId):
        servers.append(server_of(event.sender))
    return [server for server in dict.fromkeys(servers) if server != tenant.name]
