"""The loop that sends delayed events when their time has come, in whatever process; those of earlier ones too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import groupby

from services.background import running
from services.delayed.fire import LEASE, OVERTAKEN, fire
from services.observations import BackgroundFailure
from services.settings import DAY, HOUR
from services.tenant import Tenant
from storage.delayed_events import DelayedEvent, forget_finalised, next_due, take_due

AT_ONCE = 50
RETRY = 5_000  # ms
LOOK_AGAIN, LOOK_FOR_SOME = 15_000, 60_000  # ms: another process may have been given one, and died
KEPT = 7 * DAY
"""How long it is known what became of an event."""


@asynccontextmanager
async def delayed_alive(tenant: Tenant) -> AsyncIterator[None]:
    """While this lasts, delayed events are sent."""
    if not tenant.settings.delayed_events.enabled:
        yield
        return
    loops = {
        "delayed events": _send_those_due(tenant),
        "old delayed events": _forget(tenant),
    }
    async with running(loops):
        yield


async def _send_those_due(tenant: Tenant) -> None:
    while True:
        try:
            until = await _round(tenant)
        except Exception as error:  # noqa: BLE001 - it goes on
            tenant.observe(BackgroundFailure("delayed events", error))
            until = tenant.clock.now() + RETRY
        if until > 0:
            await tenant.delayed.wait(tenant.clock, until)


async def _round(tenant: Tenant) -> int:
    """Sends what is due; when to look again."""
    now = tenant.clock.now()
    async with tenant.database.transaction() as tx:
        due, any_due = await take_due(tx, now, now + LEASE, AT_ONCE, OVERTAKEN)
        following = None if any_due else await next_due(tx)
    if any_due:
        due.sort(key=lambda event: event.room_id)  # stable: within a room they go in their order
        rooms = [list(events) for _, events in groupby(due, key=lambda event: event.room_id)]
        await asyncio.gather(*(_in_order(tenant, events) for events in rooms))
        return 0
    return now + LOOK_FOR_SOME if following is None else min(following, now + LOOK_AGAIN)


async def _in_order(tenant: Tenant, events: list[DelayedEvent]) -> None:
    for event in events:
        try:
            await fire(tenant, event)
        except Exception as error:  # noqa: BLE001 - the others are sent; this one comes again when its lease is over
            tenant.observe(BackgroundFailure("delayed events", error))


async def _forget(tenant: Tenant) -> None:
    while True:
        try:
            async with tenant.database.read() as tx:
                await forget_finalised(tx, tenant.clock.now() - KEPT)
        except Exception as error:  # noqa: BLE001 - it goes on
            tenant.observe(BackgroundFailure("old delayed events", error))
        await tenant.clock.sleep(HOUR)
