"""What a tenant does by itself while it is served; a short command beside the server does nothing of this."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from federation.outbound.life import telling_others
from services.accounts.life import accounts_alive
from services.appservices.life import telling_appservices
from services.delayed.life import delayed_alive
from services.keys.resync import lists_resynced
from services.mail.outbox import mail_alive
from services.media.life import media_alive
from services.previews.life import previews_alive
from services.push.delivery.life import pushing
from services.rooms.membership.completing import completing
from services.rooms.receive.inbox import inbox_alive
from services.rooms.unredacted import originals_forgotten
from services.search.follow import searchable
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
        await stack.enter_async_context(telling_appservices(tenant))
        await stack.enter_async_context(delayed_alive(tenant))
        await stack.enter_async_context(originals_forgotten(tenant))
        await stack.enter_async_context(mail_alive(tenant))
        await stack.enter_async_context(pushing(tenant))
        await stack.enter_async_context(media_alive(tenant))
        await stack.enter_async_context(previews_alive(tenant))
        await stack.enter_async_context(searchable(tenant))
        yield
