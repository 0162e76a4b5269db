"""Events that follow on what we do not have: what is missing is fetched, then they are placed (§Backfilling and retrieving
missing events).

First the server that sent the event is asked for the events between it and what we have. What is still missing then is
beyond a gap: the state there is asked for (receive/bridge.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress

from protocol.errors import InvalidId
from protocol.events import Event
from protocol.ids import EventID, ServerName, server_of
from services.ports import RemoteFailed
from services.rooms.receive.bridge import NoBridge, bridge
from services.rooms.receive.check import checked_pdus
from services.rooms.receive.fetch import fetch_auth_events
from services.rooms.receive.observations import EventRefused
from services.rooms.receive.place import Missing, Placed, receive_event
from services.rooms.receive_state import StateUnknown
from services.tenant import Tenant

PATIENCE = 60.0  # seconds, for all that one event makes us ask for
MAX_BETWEEN = 20  # events between what we have and what has come
_ROUNDS = 4
_REFUSED = 400  # statuses from here on
_EARLIEST = 20


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
        await fetch_auth_events(tenant, origin, event)


async def _receive_between(
    tenant: Tenant, event: Event, origin: ServerName, missing: Collection[EventID]
) -> None:
    """Asks for the events before this one, and places them, the oldest first; where there are none, for the state."""
    async with tenant.heads.locked(event.room_id) as head:
        earliest = head.extremities[-_EARLIEST:]
    try:
        pdus = await tenant.remotes.missing_events(
            origin, event.room_id, earliest, [event.event_id], MAX_BETWEEN, 0
        )
    except RemoteFailed as failed:
        if failed.status is None or failed.status < _REFUSED:
            raise
        pdus = []
    if not pdus:
        await _bridge(tenant, event, origin, missing)
    checked = await checked_pdus(tenant, event.version, pdus[:MAX_BETWEEN])
    for older in oldest_first(one for one in checked.events if one.room_id == event.room_id):
        if older.event_id != event.event_id:
            await _receive_older(tenant, older, origin)


async def _receive_older(tenant: Tenant, event: Event, origin: ServerName) -> None:
    for _ in range(_ROUNDS):
        try:
            await receive_event(tenant, event, origin)
            return
        except Missing as missing:
            try:
                if missing.prev:
                    await _bridge(tenant, event, origin, missing.prev)
                else:
                    await fetch_auth_events(tenant, origin, event)
            except (RemoteFailed, NoBridge):
                return


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


def oldest_first(events: Iterable[Event]) -> Iterator[Event]:
    """The events, each after those of its prev events that are among them."""
    by_id = {event.event_id: event for event in events}
    done: set[EventID] = set()
    # Depth says it for honest servers, and a lie costs nothing but another question.
    todo = sorted(by_id.values(), key=lambda event: (event.depth, event.event_id), reverse=True)
    for _ in range(len(todo) ** 2):
        if not todo:
            return
        event = todo.pop()
        if any(prev in by_id and prev not in done for prev in event.prev_events):
            todo.insert(0, event)
        else:
            done.add(event.event_id)
            yield event
