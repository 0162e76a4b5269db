"""Deleting files: their rows in one transaction, and the bytes that nobody names any more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from services.tenant import Tenant
from storage import media_removal
from storage.database import Tx
from storage.remote_media import clear_blobs, needed_among

BATCH = 100

Forget = Callable[[Tx], Awaitable[tuple[list[str], set[bytes]]]]


async def remove(tenant: Tenant, media_ids: Collection[str]) -> list[str]:
    """Deletes files of ours; those that there were."""
    return await _removed(tenant, lambda tx: media_removal.delete(tx, media_ids))


async def remove_remote(tenant: Tenant, files: Collection[tuple[str, str]]) -> list[str]:
    """Deletes what is kept of other servers' files, each by its server and media ID; their media IDs."""
    return await _removed(tenant, lambda tx: media_removal.delete_remote(tx, files))


async def remove_unused(
    tenant: Tenant, before: int, larger: int = -1, *, spare_pictures: bool = True
) -> list[str]:
    """Deletes files of ours that nobody has asked for since then, but for protected ones and, as a rule, pictures of profiles
    and rooms.
    """
    removed: list[str] = []
    while True:
        async with tenant.database.read() as tx:
            due = await media_removal.unused(tx, tenant.name, before, larger, spare_pictures, BATCH)
        gone = await remove(tenant, due)
        removed += gone
        if not gone:
            return removed


async def remove_unused_cached(tenant: Tenant, before: int) -> int:
    """Deletes other servers' files, and pictures of previews, that nobody has asked for since then; how many."""
    removed = 0
    while True:
        async with tenant.database.read() as tx:
            due = await media_removal.unused_remote(tx, before, BATCH)
            pictures = await media_removal.unused_pictures(tx, before, BATCH)
        gone = await remove_remote(tenant, due) + await remove(tenant, pictures)
        removed += len(gone)
        if not gone:
            return removed


async def remove_unnamed(tenant: Tenant, before: int) -> list[str]:
    """Deletes files of ours that were named by events, the last of which was redacted before that time."""
    async with tenant.database.read() as tx:
        due = await media_removal.unnamed(tx, tenant.name, before, BATCH)
    return await remove(tenant, due)


async def remove_of_user(tenant: Tenant, user_id: str, limit: int) -> list[str]:
    """Deletes the oldest files of a user."""
    async with tenant.database.read() as tx:
        due = await media_removal.oldest_of_user(tx, user_id, limit)
    return await remove(tenant, due)


async def _removed(tenant: Tenant, forget: Forget) -> list[str]:
    async with tenant.database.transaction() as tx:
        await clear_blobs(tx)
        removed, digests = await forget(tx)
        needed = await needed_among(tx, digests) if digests else frozenset()
        for digest in digests - needed:
            await tenant.blobs.delete(digest)
    return removed
