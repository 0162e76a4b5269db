"""What is done for files in the background: counters written, lifetimes kept, blobs checked, events read for what they name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from services.media.check import check_blobs
from services.media.naming import follow_events
from services.media.removal import remove_unnamed, remove_unused, remove_unused_cached
from services.observations import BackgroundFailure
from services.settings import DAY, HOUR, MINUTE
from services.tenant import Tenant
from storage import media, media_usage

SETTLED = 10 * MINUTE  # after the start, before all blobs are looked through


@asynccontextmanager
async def media_alive(tenant: Tenant) -> AsyncIterator[None]:
    """All of it, while this lasts; what was counted is written at the end."""
    tasks = [
        asyncio.create_task(follow_events(tenant), name="files in events"),
        asyncio.create_task(_repeat(tenant, write_downloads, 0, MINUTE), name="download counters"),
        asyncio.create_task(_repeat(tenant, keep_lifetimes, MINUTE, HOUR), name="media lifetimes"),
        asyncio.create_task(_repeat(tenant, _check, SETTLED, DAY), name="media check"),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await write_downloads(tenant)


async def write_downloads(tenant: Tenant) -> None:
    """Writes what was counted since the last time."""
    counted = tenant.downloads.taken()
    if counted:
        async with tenant.database.transaction() as tx:
            await media_usage.count_downloads(tx, counted)


async def keep_lifetimes(tenant: Tenant) -> None:
    """Deletes what nobody has asked for longer than the configuration says, and what no event names any more if it says so; gives
    up uploads that did not come.
    """
    settings, now = tenant.settings.media, tenant.clock.now()
    async with tenant.database.read() as tx:
        await media.forget_expired(tx, now)
    if settings.local_lifetime is not None:
        await remove_unused(tenant, now - settings.local_lifetime)
    if settings.remote_lifetime is not None:
        await remove_unused_cached(tenant, now - settings.remote_lifetime)
    if settings.delete_with_events:
        # As long as moderators may still read what the events said.
        while await remove_unnamed(tenant, now - tenant.settings.redacted_kept):
            pass


async def _check(tenant: Tenant) -> None:
    found = await check_blobs(tenant)
    if found is not None:
        tenant.observe(found)


async def _repeat(
    tenant: Tenant, work: Callable[[Tenant], Awaitable[None]], first: int, interval: int
) -> None:
    await tenant.clock.sleep(first)
    while True:
        try:
            await work(tenant)
        except Exception as error:  # noqa: BLE001 - it goes on
            tenant.observe(BackgroundFailure(work.__name__, error))
        await tenant.clock.sleep(interval)
