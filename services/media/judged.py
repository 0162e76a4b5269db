"""Quarantine of what the checks do not let in; an administrator may end it."""

from __future__ import annotations

from services.tenant import Tenant
from storage.quarantine import quarantine_bytes


async def put_away(tenant: Tenant, origin: str, media_id: str, digest: bytes | None, by: str) -> None:
    """Nobody is given the file, and with a `digest` nobody its bytes by whatever media ID; said before the file has a row."""
    async with tenant.database.transaction() as tx:
        await quarantine_bytes(tx, origin, media_id, digest, by, tenant.clock.now())
