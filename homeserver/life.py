"""What a tenant does by itself while it is served; a short command beside the server does nothing of this."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from federation.outbound.life import telling_others
from services.accounts.life import accounts_alive
from services.keys.resync import lists_resynced
from services.rooms.membership.completing import completing
from services.rooms.receive.inbox import inbox_alive
from services.tenant import Tenant


@asynccontextmanager
async def alive(tenant: Tenant) -> AsyncIterator[None]:
    """Background work begins, and what an earlier process left undone is taken up; it ends before this does."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(accounts_alive(tenant))
        await stack.enter_async_context(inbox_alive(tenant))
        await stack.enter_async_context(completing(tenant))
        await stack.enter_async_context(lists_resynced(tenant))
        await stack.enter_async_context(telling_others(tenant))
        yield
