"""Changes of our users' devices are kept until other servers have been told: then those of deleted devices are forgotten."""

from __future__ import annotations

from services.observations import BackgroundFailure
from services.settings import DAY, HOUR
from services.tenant import Tenant
from storage.keys.device_changes import prune

EVERY = HOUR
WAITED_FOR = 30 * DAY
"""A server that has been away for longer asks for the whole list when it hears of the user again: the numbers have a gap."""


async def prune_device_changes(tenant: Tenant) -> None:
    """Goes on until it is cancelled."""
    while True:
        await tenant.clock.sleep(EVERY)
        try:
            async with tenant.database.transaction() as tx:
                await prune(tx, tenant.clock.now() - WAITED_FOR)
        except Exception as error:  # noqa: BLE001 - it goes on
            tenant.observe(BackgroundFailure("changes of devices that are no more", error))
