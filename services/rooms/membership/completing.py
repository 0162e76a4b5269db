"""The job that makes partial rooms whole: by whatever process, one at a time each, and again after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from services.observations import BackgroundFailure
from services.ports import RemoteFailed
from services.rooms.membership.complete import complete
from services.rooms.membership.observations import RoomNotCompleted
from services.tenant import Tenant
from storage.servers.handshakes import residence
from storage.servers.partial_rooms import forget_partial, next_attempt, take_partial, try_again_later

LEASE = 10 * 60_000  # ms: whoever has not completed a room by then has died
RETRY = 15_000  # ms
LOOK_AGAIN = 60_000  # ms: a process that was to do it may have died


@asynccontextmanager
async def completing(tenant: Tenant) -> AsyncIterator[None]:
    """Partial rooms, those of earlier processes too, are made whole as long as this lasts."""
    tenant.partial_rooms.listen(tenant.feed)
    task = asyncio.create_task(_go_on(tenant), name="completing rooms")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _go_on(tenant: Tenant) -> None:
    while True:
        try:
            wait = await _complete_next(tenant)
        except Exception as error:  # noqa: BLE001 - a background loop goes on
            tenant.observe(BackgroundFailure("completing rooms", error))
            wait = RETRY
        with suppress(TimeoutError):
            async with asyncio.timeout(wait / 1000):
                await tenant.partial_rooms.work.wait()
        tenant.partial_rooms.work.clear()


async def _complete_next(tenant: Tenant) -> int:
    """Completes a room, if there is one; how long (ms) to wait then."""
    now = tenant.clock.now()
    async with tenant.database.transaction() as tx:
        room = await take_partial(tx, now, now + LEASE)
        following = await next_attempt(tx) if room is None else None
        is_over = room is not None and not (await residence(tx, room.room_id)).is_resident
        if room is not None and is_over:
            await forget_partial(tx, room.room_id)  # ours have left it meanwhile
    if room is None:
        return LOOK_AGAIN if following is None else min(max(following - now, 0), LOOK_AGAIN)
    if is_over:
        return 0
    try:
        await complete(tenant, room)
    except RemoteFailed as failed:
        async with tenant.database.transaction() as tx:
            await try_again_later(tx, room.room_id, tenant.clock.now(), RETRY)
        tenant.observe(RoomNotCompleted(room.room_id, failed))
    return 0
