"""What accounts have to do when a process begins and before it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.accounts.deactivate import go_on_leaving
from services.accounts.seen import write_seen
from services.tenant import Tenant


@asynccontextmanager
async def accounts_alive(tenant: Tenant) -> AsyncIterator[None]:
    """Goes on with what an earlier process has not finished; at the end nothing runs any more, and what waits is written."""
    tenant.logins.listen(tenant.feed)
    await go_on_leaving(tenant)
    try:
        yield
    finally:
        tasks = list(tenant.logins.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await write_seen(tenant)
