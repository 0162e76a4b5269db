"""The index follows the journal: by whatever process, one at a time, and again after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.observations import BackgroundFailure
from services.search.index import index_step
from services.tenant import Tenant
from storage import topics
from storage.feed import Subscriber

LINGER = 1.0  # seconds in which more may come that is written together
LOOK_AGAIN = 60.0
RETRY = 5_000  # ms
BUSY = 20  # ms after which one looks again whether another process has done its step
PATIENCE = 0.5  # seconds that a search waits for the index
HOPELESS = 5_000  # positions that the index may be behind for that


@asynccontextmanager
async def searchable(tenant: Tenant) -> AsyncIterator[None]:
    """The index follows the journal as long as this lasts."""
    subscriber = Subscriber(lambda _, woken: _told(tenant, woken), lambda _: tenant.search.wake())
    tenant.feed.subscribe(subscriber)
    task = asyncio.create_task(_follow(tenant), name="search index")
    try:
        yield
    finally:
        tenant.feed.unsubscribe(subscriber)
        task.cancel()
        await asyncio.wait([task])


def _told(tenant: Tenant, woken: tuple[str, ...]) -> None:
    if any(topic[0] in (topics.ROOM, topics.HISTORY) for topic in woken):
        tenant.search.wake()


async def _follow(tenant: Tenant) -> None:
    while True:
        try:
            step = await index_step(tenant)
        except Exception as error:  # noqa: BLE001 - a background loop goes on
            tenant.observe(BackgroundFailure("search index", error))
            await tenant.clock.sleep(RETRY)
            continue
        if step is not None:
            tenant.search.move(step.position)
            if not step.is_last:
                continue
        elif tenant.search.is_waited_for:
            await tenant.clock.sleep(BUSY)
            continue
        await tenant.search.wanted(LINGER, LOOK_AGAIN)


async def caught_up(tenant: Tenant, newest: int, followed: int) -> None:
    """Returns when what was sent up to now can be found, or will not be for a while: the index is being made."""
    if newest - HOPELESS < followed < newest:
        await tenant.search.reach(newest, PATIENCE)
