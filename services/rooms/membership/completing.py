"""The job that makes partial rooms whole: by whatever process, some at a time each, and again after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from protocol.matrix_error import MatrixError
from services.background import running
from services.observations import BackgroundFailure, Observation
from services.ports import RemoteFailed
from services.rooms.membership.complete import complete
from services.rooms.membership.fill import give_up
from services.rooms.membership.observations import RoomNotCompleted
from services.tenant import Tenant
from storage.servers.handshakes import residence
from storage.servers.partial_rooms import (
    PartialRoom,
    next_attempt,
    take_partial,
    try_again_later,
)

LEASE = 10 * 60_000  # ms: whoever has not completed a room by then has died
RETRY = 15_000  # ms
LOOK_AGAIN = 60_000  # ms: a process that was to do it may have died


AT_ONCE = 5  # rooms: one whose servers do not answer holds up no other


@asynccontextmanager
async def completing(tenant: Tenant) -> AsyncIterator[None]:
    """Partial rooms, those of earlier processes too, are made whole as long as this lasts."""
    tenant.partial_rooms.listen(tenant.feed)
    async with running({"completing rooms": _go_on(tenant)}):
        yield


async def _go_on(tenant: Tenant) -> None:
    work, running = tenant.partial_rooms.work, set[asyncio.Task[None]]()
    try:
        while True:
            work.clear()
            try:
                wait = await _begin_next(tenant, running)
            except Exception as error:  # noqa: BLE001 - a background loop goes on
                tenant.observe(BackgroundFailure("completing rooms", error))
                wait = RETRY
            with suppress(TimeoutError):
                async with asyncio.timeout(wait / 1000):
                    await work.wait()
    finally:
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)


async def _begin_next(tenant: Tenant, running: set[asyncio.Task[None]]) -> int:
    """Begins to complete a room, if there is one; how long (ms) to wait then."""
    if len(running) == AT_ONCE:
        return LOOK_AGAIN  # it is said when one of them is done
    now = tenant.clock.now()
    async with tenant.database.transaction() as tx:
        room = await take_partial(tx, now, now + LEASE)
        following = await next_attempt(tx) if room is None else None
        is_over = room is not None and not (await residence(tx, room.room_id)).is_resident
    if room is None:
        return LOOK_AGAIN if following is None else min(max(following - now, 0), LOOK_AGAIN)
    if is_over:
        await give_up(tenant, room.room_id)  # ours have left it meanwhile
    else:
        task = asyncio.create_task(_complete(tenant, room), name=f"completing {room.room_id}")
        running.add(task)
        task.add_done_callback(running.discard)
        task.add_done_callback(lambda _: tenant.partial_rooms.work.set())
    return 0


async def _complete(tenant: Tenant, room: PartialRoom) -> None:
    failed: Observation
    try:
        await complete(tenant, room)
        return
    except (RemoteFailed, MatrixError) as error:
        failed = RoomNotCompleted(room.room_id, error)
    except Exception as error:  # noqa: BLE001 - it is tried again
        failed = BackgroundFailure("completing rooms", error)
    async with tenant.database.transaction() as tx:
        await try_again_later(tx, room.room_id, tenant.clock.now(), RETRY)
    tenant.observe(failed)
