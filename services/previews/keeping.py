"""Previews that are kept, and their end."""

from __future__ import annotations

from services.media.removal import remove
from services.tenant import Tenant
from storage import previews

BATCH = 100


async def kept(tenant: Tenant, url: str, languages: str, at: int | None) -> bytes | None:
    """The preview from about that time (None: now), None when there is none."""
    now = tenant.clock.now()
    lifetime = tenant.settings.media.previews.lifetime
    async with tenant.database.read() as tx:
        return await previews.at(tx, url, languages, now if at is None else min(at, now), lifetime)


async def keep(tenant: Tenant, url: str, languages: str, preview: bytes, media_id: str | None) -> None:
    """Keeps what was fetched now."""
    async with tenant.database.transaction() as tx:
        await previews.add(tx, url, languages, tenant.clock.now(), preview, media_id)


async def forget_old(tenant: Tenant) -> None:
    """Forgets previews that are older than the settings say, and deletes their pictures."""
    before = tenant.clock.now() - tenant.settings.media.previews.kept
    while True:
        async with tenant.database.transaction() as tx:
            forgotten = await previews.forget(tx, before, BATCH)
        await remove(tenant, [media_id for media_id in forgotten if media_id is not None])
        if len(forgotten) < BATCH:
            return
