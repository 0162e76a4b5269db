"""Telling other servers what happens here, while a tenant is served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from federation.outbound.follow_rooms import Follower
from federation.outbound.sender import Sender
from services.servers.device_changes import prune_device_changes
from services.servers.follow import follow_feed
from services.tenant import Tenant


@asynccontextmanager
async def telling_others(tenant: Tenant) -> AsyncIterator[None]:
    """As long as this lasts, other servers are told; nothing is done where federation is off."""
    if not tenant.remotes.reachable:
        yield
        return
    sender = Sender(tenant, tenant.feed.position)
    follower = Follower(tenant, sender)
    follow_feed(tenant, follower.told, follower.reset)
    tenant.ephemeral.subscribe(follower.told_ephemeral)
    end = tenant.heard.subscribe(sender.heard_from)
    await sender.start()
    tasks = [
        asyncio.create_task(follower.follow(), name="telling other servers"),
        asyncio.create_task(prune_device_changes(tenant), name="changes of devices that are no more"),
    ]
    try:
        yield
    finally:
        end()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await sender.stop()
