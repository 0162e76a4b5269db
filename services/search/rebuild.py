"""Making the index anew from the events, whether the server runs or not."""

from __future__ import annotations

from collections.abc import Callable

from services.search.index import Step, index_step
from services.tenant import Tenant
from storage.search.follow import empty_index, take_index

_BUSY = 50  # ms


async def rebuild(tenant: Tenant, progress: Callable[[Step], None]) -> None:
    """Begins anew and goes on to the end; `progress` is told of each step. Until then not everything is found."""
    await _emptied(tenant)
    while True:
        step = await index_step(tenant)
        if step is None:  # a server that runs is helping
            await tenant.clock.sleep(_BUSY)
            continue
        progress(step)
        if step.is_last:
            return


async def _emptied(tenant: Tenant) -> None:
    while True:
        async with tenant.database.background() as tx:
            if await take_index(tx) is not None:
                await empty_index(tx)
                return
        await tenant.clock.sleep(_BUSY)
