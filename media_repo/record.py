"""Naming blobs in the database, while others may be deleting those that nobody names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from protocol.matrix_error import Unknown
from services.tenant import Tenant
from storage.database import Tx
from storage.remote_media import cached_bytes, clear_blobs, hold_blobs, needed_among, shrink


@asynccontextmanager
async def recording(tenant: Tenant, digest: bytes) -> AsyncIterator[Tx]:
    """A transaction that names a blob which was just written. Raises Unknown (503) in the rare case that equal bytes,
    which had been there before, were deleted in between.
    """
    async with tenant.database.transaction() as tx:
        await hold_blobs(tx)
        if await tenant.blobs.size(digest) is None:
            raise Unknown("The file could not be kept: try again", status=503)
        yield tx


async def discard(tenant: Tenant, digest: bytes) -> None:
    """Forgets a blob that was written and will not be named, unless something else names it."""
    async with tenant.database.transaction() as tx:
        await clear_blobs(tx)
        if not await needed_among(tx, [digest]):
            await tenant.blobs.delete(digest)


async def shrink_cache(tenant: Tenant) -> None:
    """Brings what is cached (other servers' files, pictures of previews) under its limit."""
    async with tenant.database.read() as tx:
        if await cached_bytes(tx) <= tenant.settings.media.remote_cache:
            return
    async with tenant.database.transaction() as tx:
        await clear_blobs(tx)
        dropped = await shrink(tx, tenant.settings.media.remote_cache)
        needed = await needed_among(tx, dropped) if dropped else frozenset()
        for digest in dropped:
            if digest not in needed:
                await tenant.blobs.delete(digest)
