"""Which events name which files: a follower of the journal, by whatever process, one at a time.

It reads what it can: not encrypted events, and not those that were fetched as history.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import Any

from services.observations import BackgroundFailure
from services.tenant import Tenant
from storage import media_in_events, topics
from storage.feed import Subscriber
from storage.media_in_events import Naming

WINDOW = 500  # positions of one step
LINGER = 2_000  # ms in which more may come that is read together
LOOK_AGAIN = 60.0  # seconds
RETRY = 5_000
_URI = re.compile(rb"mxc://([A-Za-z0-9.:\[\]-]{1,255})/([A-Za-z0-9_-]{1,255})")


async def follow_events(tenant: Tenant) -> None:
    """Keeps it true as long as it runs."""
    news = asyncio.Event()

    def told(_: int, woken: tuple[str, ...]) -> None:
        if any(topic[0] == topics.ROOM for topic in woken):
            news.set()

    subscriber = Subscriber(told, lambda _: news.set())
    tenant.feed.subscribe(subscriber)
    try:
        while True:
            await _catch_up(tenant)
            try:
                async with asyncio.timeout(LOOK_AGAIN):
                    await news.wait()
                await tenant.clock.sleep(LINGER)
            except TimeoutError:
                pass
            news.clear()
    finally:
        tenant.feed.unsubscribe(subscriber)


async def _catch_up(tenant: Tenant) -> None:
    is_last = False
    while not is_last:
        try:
            is_last = await naming_step(tenant)
        except Exception as error:  # noqa: BLE001 - a background loop goes on
            tenant.observe(BackgroundFailure("files in events", error))
            await tenant.clock.sleep(RETRY)


async def naming_step(tenant: Tenant) -> bool:
    """Reads the next positions; whether there is nothing more to read, or somebody else reads."""
    now = tenant.clock.now()
    async with tenant.database.background() as tx:
        position = await media_in_events.take_follower(tx)
        if position is None:
            return True
        newest = await media_in_events.newest(tx)
        last = min(position + WINDOW, newest)
        if last > position:
            found = await media_in_events.naming_after(tx, position, last)
            await media_in_events.add(tx, _namings(found, now))
            await media_in_events.mark_redacted(tx, position, last, now)
            await media_in_events.mark_followed(tx, last)
    return last >= newest


def _namings(found: Iterable[Any], now: int) -> list[Naming]:
    return [
        Naming(
            origin.decode(),
            name.decode(),
            row["event_id"],
            row["room_id"],
            now if row["is_redacted"] else None,
        )
        for row in found
        for origin, name in files_in(row["json"])
    ]


def files_in(json: bytes) -> list[tuple[bytes, bytes]]:
    """Origins and media IDs of the files that an event names."""
    return sorted(set(_URI.findall(json)))
