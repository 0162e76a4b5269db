"""What is done for previews in the background."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.background import running
from services.observations import BackgroundFailure
from services.previews.keeping import forget_old
from services.settings import HOUR, MINUTE
from services.tenant import Tenant


@asynccontextmanager
async def previews_alive(tenant: Tenant) -> AsyncIterator[None]:
    """Old ones are forgotten as long as this lasts, also when there are no new ones any more."""
    async with running({"old previews": _forget_again_and_again(tenant)}):
        yield


async def _forget_again_and_again(tenant: Tenant) -> None:
    await tenant.clock.sleep(5 * MINUTE)
    while True:
        try:
            await forget_old(tenant)
        except Exception as error:  # noqa: BLE001 - a background loop goes on
            tenant.observe(BackgroundFailure("old previews", error))
        await tenant.clock.sleep(HOUR)
