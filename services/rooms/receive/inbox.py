"""PDUs that have been taken over from other servers: worked off room by room, in the order in which they came.

What is placed at once (nearly all) is never written down here: the journal's commit is what the sender is told of. What
takes longer, because other servers must be asked, is written to `inbound_pdus` before the sender is answered, and done in
the background. After a restart, or when the process that had taken a PDU over has died, whoever looks next goes on with it:
an event is placed only once, however often it is tried.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import asyncpg
import orjson

from protocol.errors import ProtocolError
from protocol.events import Event
from protocol.hashes import event_id
from protocol.ids import RoomID, ServerName
from protocol.json import canonical_lenient
from protocol.matrix_error import MatrixError
from protocol.room_versions import version_named
from services.observations import BackgroundFailure
from services.rooms.append import committed
from services.rooms.head import UnknownRoom
from services.rooms.membership.whole import until_whole
from services.rooms.policy import received_under_policy
from services.rooms.receive.gaps import receive_with_what_it_needs
from services.rooms.receive.observations import EventRefused, TooManyWait, TooMuchWaits
from services.rooms.receive.place import Committing, Missing, begin_to_receive
from services.rooms.receive_state import StateUnknown
from services.tenant import Tenant
from storage.journal import Stale
from storage.servers.inbound import (
    PDU_ROW,
    InboundPdu,
    drop_beyond,
    drop_oldest,
    forget_pdus,
    forget_responses,
    keep_pdus,
    kept_pdus,
    waiting_bytes,
)

QUICK = 1.0  # seconds that a sender waits for its events to be placed
MAX_WAITING = 500  # events of a room in memory: more are kept in the database until there is room
MAX_KEPT = 5_000  # events of a room that wait in the database: of more the oldest are dropped
MAX_KEPT_BYTES = 64 * 1024 * 1024
MAX_IN_ALL = 10_000  # events of all rooms in memory; beyond that few of each room
FEW = 10
LOOKS = 100  # times that it is looked how much waits in all rooms, while as much comes as may wait
_AT_ONCE = 100  # events of a room that are taken up again together
_LOOK_EVERY = 10_000  # ms
_LEFT_BEHIND = 120_000  # ms after which somebody else takes up what has not been done
_REMEMBERED = 3 * 24 * 3_600_000  # ms: how long answers to transactions are kept


# What may be over in a moment: the origin, or we, are to try again. Whatever else goes wrong goes wrong again.
_PASSING = (MatrixError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)


async def take_over(tenant: Tenant, origin: ServerName, events: Sequence[Event]) -> set[Event]:
    """Those of the events that could not be placed through a fault of ours, and never will. The others are in their rooms, or
    will be: whatever happens then, the origin need not send them again.

    The events have been checked as far as that goes without their rooms. Raises what makes it right to send them again.
    """
    now = [event for event in events if _has_room(tenant, event.room_id)]
    jobs = {event: _put(tenant, origin, event) for event in now}
    if jobs:
        await asyncio.wait(jobs.values(), timeout=QUICK)
    later = [event for event in events if event not in jobs or not jobs[event].done()]
    failed = {event: error for event, done in jobs.items() if (error := _failure(done)) is not None}
    for event, error in failed.items():
        if isinstance(error, _PASSING):
            raise error
        tenant.observe(BackgroundFailure(f"placing {event.event_id}", error))
    if later:
        await _keep(tenant, origin, later)
        for event in later:
            if event in jobs:
                jobs[event].add_done_callback(partial(_finished, tenant, event))
    return set(failed)


def _has_room(tenant: Tenant, room_id: RoomID) -> bool:
    waiting = tenant.inbound.length(room_id)
    return waiting < FEW or (waiting < MAX_WAITING and tenant.inbound.total < MAX_IN_ALL)


def _failure(done: asyncio.Future[None]) -> BaseException | None:
    return done.exception() if done.done() and not done.cancelled() else None


def _put(tenant: Tenant, origin: ServerName, event: Event) -> asyncio.Future[None]:
    # What one server cannot tell more of another may: the event is tried for each that sends it.
    name = f"{event.event_id} {origin}"
    return tenant.inbound.put(event.room_id, name, partial(_receive, tenant, origin, event))


async def _receive(tenant: Tenant, origin: ServerName, event: Event) -> Coroutine[Any, Any, None] | None:
    """Places the event, or drops it for good; raises where it is to be tried again. The commit is left to be waited for."""
    try:
        await until_whole(tenant, event.room_id)
        signed = await received_under_policy(tenant, event)
        refusal = "the room's policy server has not signed it" if signed is None else None
        event = signed or event
        try:
            _, done = await begin_to_receive(tenant, event, origin, refusal)
        except (Missing, StateUnknown):
            await receive_with_what_it_needs(tenant, event, origin, refusal)
            return None
    except UnknownRoom:
        tenant.observe(
            EventRefused(event.room_id, event.event_id, origin, "dropped", "we are not in the room")
        )
        return None
    return _committed(tenant, origin, event, refusal, done) if done is not None else None


async def _committed(
    tenant: Tenant, origin: ServerName, event: Event, refusal: str | None, done: Committing
) -> None:
    try:
        await committed(done)
    except Stale:  # somebody else was faster
        await receive_with_what_it_needs(tenant, event, origin, refusal)


async def _keep(tenant: Tenant, origin: ServerName, events: Sequence[Event]) -> None:
    pdus = [
        InboundPdu(event.room_id, event.event_id, origin, canonical_lenient(event.json)) for event in events
    ]
    dropped: dict[RoomID, int] = {}
    async with tenant.database.transaction() as tx:
        await keep_pdus(tx, origin, tenant.clock.now(), pdus)
        # What comes after them names what was before it: once that is placed, they are asked for as any other gap.
        for room_id in sorted({event.room_id for event in events}):
            dropped[room_id] = len(await drop_oldest(tx, room_id, MAX_KEPT, MAX_KEPT_BYTES))
    await _share(tenant, sum(len(pdu.json) + PDU_ROW for pdu in pdus))
    for room_id, number in dropped.items():
        if number:
            tenant.observe(TooManyWait(room_id, number))


async def _share(tenant: Tenant, more: int) -> None:
    """So much more waits. What is too much in all rooms together is dropped, of those servers that have sent most. Not each time
    it is looked."""
    most, staged = tenant.settings.federation.max_waiting, tenant.staged
    staged.unseen += more
    if staged.unseen < most // LOOKS:
        return
    staged.unseen = 0
    async with tenant.database.transaction() as tx:
        if await waiting_bytes(tx) <= most:
            return
        gone = await drop_beyond(tx, most - most // 10)
    if gone:
        server = Counter(origin for _, origin in gone).most_common(1)[0][0]
        tenant.observe(TooMuchWaits(len(gone), len({room_id for room_id, _ in gone}), server))


def _finished(tenant: Tenant, event: Event, done: asyncio.Future[None]) -> None:
    """What was kept is done. What could not be done now stays, and is taken up again."""
    if done.cancelled():
        return
    error = done.exception()
    if isinstance(error, _PASSING):
        return
    if error is not None:
        tenant.observe(BackgroundFailure(f"placing {event.event_id}", error))
    tenant.inbound.put(event.room_id, f"forget {event.event_id}", partial(_forget, tenant, event))


async def _forget(tenant: Tenant, event: Event) -> None:
    async with tenant.database.transaction() as tx:
        await forget_pdus(tx, event.room_id, [event.event_id])


async def take_up_again(tenant: Tenant, received_until: int) -> int:
    """Goes on with what was taken over until then and has not been done; how many events that are."""
    async with tenant.database.read() as tx:
        kept = await kept_pdus(tx, received_until, _AT_ONCE)
    for pdu, room_version in kept:
        event = _event(pdu, room_version)
        if event is None:
            async with tenant.database.transaction() as tx:
                await forget_pdus(tx, pdu.room_id, [pdu.event_id])
        elif _has_room(tenant, pdu.room_id):
            _put(tenant, pdu.origin, event).add_done_callback(partial(_finished, tenant, event))
    return len(kept)


def _event(pdu: InboundPdu, room_version: str | None) -> Event | None:
    """The event, which was checked before; None where the room is gone."""
    if room_version is None:
        return None
    version, json = version_named(room_version), orjson.loads(pdu.json)
    try:
        return Event.from_trusted(json, event_id(json, version), version, pdu.room_id)
    except (ProtocolError, KeyError):
        return None


@asynccontextmanager
async def inbox_alive(tenant: Tenant) -> AsyncIterator[None]:
    """What an earlier process left undone is taken up, and from time to time what others did; it ends before this does."""
    task = asyncio.create_task(_look_again_and_again(tenant), name="events that were taken over")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        await tenant.inbound.stop()


async def _look_again_and_again(tenant: Tenant) -> None:
    patience = 0  # whatever there is at the start was left behind, or does no harm when it is done twice
    while True:
        try:
            now = tenant.clock.now()
            await take_up_again(tenant, now - patience)
            async with tenant.database.transaction() as tx:
                await forget_responses(tx, now - _REMEMBERED)
        except Exception as error:  # noqa: BLE001 - a background loop goes on
            tenant.observe(BackgroundFailure("events that were taken over", error))
        patience = _LEFT_BEHIND
        await tenant.clock.sleep(_LOOK_EVERY)
