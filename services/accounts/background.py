"""What accounts do while nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from services.observations import BackgroundFailure
from services.tenant import Tenant


def in_background(tenant: Tenant, work: Coroutine[Any, Any, None], name: str) -> None:
    """Begins the work; a failure is observed."""
    task = asyncio.create_task(_watched(tenant, work, name), name=name)
    tenant.logins.tasks.add(task)
    task.add_done_callback(tenant.logins.tasks.discard)


async def _watched(tenant: Tenant, work: Coroutine[Any, Any, None], name: str) -> None:
    try:
        await work
    except Exception as error:  # noqa: BLE001 - nobody waits for it who could be told
        tenant.observe(BackgroundFailure(name, error))
