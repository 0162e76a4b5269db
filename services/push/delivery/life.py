"""Delivering pushes, and mails about missed messages, while a tenant is served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.push.delivery.follow import Delivery
from services.tenant import Tenant
from storage.feed import Subscriber

_PROCESS_LENGTH = 12


@asynccontextmanager
async def pushing(tenant: Tenant) -> AsyncIterator[None]:
    """As long as this lasts, users' pushers are told what the users miss."""
    delivery = Delivery(tenant, tenant.random.token(_PROCESS_LENGTH))
    subscriber = Subscriber(delivery.told, delivery.reset)
    tenant.feed.subscribe(subscriber)
    tasks = [
        asyncio.create_task(delivery.hold(), name="holding the pushers"),
        asyncio.create_task(delivery.follow(), name="following for the pushers"),
        asyncio.create_task(delivery.digests.write(), name="mails about missed messages"),
    ]
    try:
        yield
    finally:
        tenant.feed.unsubscribe(subscriber)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await delivery.release()
