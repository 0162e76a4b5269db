"""Telling application services what happens here, while a tenant is served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.tenant import Tenant
from storage.feed import Subscriber

_PROCESS_LENGTH = 12


@asynccontextmanager
async def telling_appservices(tenant: Tenant) -> AsyncIterator[None]:
    """As long as this lasts, those application services that have a URL are told; this costs nothing where there are none."""
    listening = [one for one in tenant.appservices.known if one.url is not None]
    if not listening:
        yield
        return
    from services.appservices.deliver import Deliverer  # with all that it composes: only where it has work

    process = tenant.random.token(_PROCESS_LENGTH)
    deliverers = [Deliverer(tenant, one, process) for one in listening]
    subscribers = [Subscriber(deliverer.told, deliverer.reset) for deliverer in deliverers]
    tasks = []
    for deliverer, subscriber in zip(deliverers, subscribers, strict=True):
        tenant.feed.subscribe(subscriber)
        tenant.ephemeral.subscribe(deliverer.told_ephemeral)
        tasks.append(asyncio.create_task(deliverer.hold(), name="holding an application service"))
        tasks.append(asyncio.create_task(deliverer.deliver(), name="telling an application service"))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for deliverer, subscriber in zip(deliverers, subscribers, strict=True):
            tenant.feed.unsubscribe(subscriber)
            await deliverer.release()
