"""Waiting for files whose media IDs were given out before they were uploaded (MSC2246); whatever process takes them."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from services.tenant import Tenant
from storage import media, topics
from storage.feed import Subscriber
from storage.journal import Change


async def tell_arrived(tenant: Tenant, media_id: str) -> None:
    """The file has come: whoever waits for it looks again."""
    await tenant.journal.append(Change((), (topics.media(media_id),)))


async def wait_until_filled(tenant: Tenant, media_id: str, patience: int) -> bool:
    """Returns when the file has come, True, or when so many milliseconds have passed."""
    news, topic = asyncio.Event(), topics.media(media_id)

    def told(_: int, woken: tuple[str, ...]) -> None:
        if topic in woken:
            news.set()

    subscriber = Subscriber(told, lambda _: news.set())
    tenant.feed.subscribe(subscriber)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(patience / 1000):
                while not await _is_filled(tenant, media_id):
                    await news.wait()
                    news.clear()
                return True
    finally:
        tenant.feed.unsubscribe(subscriber)
    return False


async def _is_filled(tenant: Tenant, media_id: str) -> bool:
    async with tenant.database.read() as tx:
        slot = await media.slot(tx, media_id)
    return slot is None or slot.is_filled  # one that is forgotten will not come
