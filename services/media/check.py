"""Whether blobs and rows belong together: a blob that nothing names is deleted once it is a day old; what can be had again is
forgotten when its bytes are gone; a file of ours whose bytes are gone is reported, and its row kept, for the bytes may come back
with a disk that was not there.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.observations import Level
from services.settings import DAY
from services.tenant import Tenant
from storage.blob_check import forget_lost, is_alone, named
from storage.remote_media import clear_blobs, needed_among

PARTS = 256


@dataclass(frozen=True, slots=True)
class BlobsChecked:
    """What a check has found."""

    blobs: int
    orphans: int
    """Blobs that nothing named: deleted."""
    forgotten: int
    """Of other servers' files and thumbnails, whose bytes were gone."""
    lost: int
    """Of our own files, whose bytes are gone."""

    @property
    def level(self) -> Level:
        """Lost files need a person."""
        if self.lost:
            return Level.WARNING
        return Level.INFO if self.orphans or self.forgotten else Level.DEBUG

    def __str__(self) -> str:
        return (
            f"media: {self.blobs} blobs, {self.orphans} orphans deleted, {self.forgotten} of others' files and thumbnails"
            f" forgotten, {self.lost} files of ours without their bytes"
        )


async def check_blobs(tenant: Tenant) -> BlobsChecked | None:
    """Looks through all of them, and mends; None when another process is at it."""
    before = tenant.clock.now() - DAY
    async with tenant.database.transaction() as alone:
        if not await is_alone(alone):
            return None
        await tenant.blobs.forget_unfinished(before)
        parts = [await _check_part(tenant, first, before) for first in range(PARTS)]
    return BlobsChecked(*map(sum, zip(*parts, strict=True)))


async def _check_part(tenant: Tenant, first: int, before: int) -> tuple[int, int, int, int]:
    # Rows first: a file that comes in between has its blob before its row.
    async with tenant.database.read() as tx:
        known = {one.digest: one.is_ours for one in await named(tx, first)}
    held = {one.digest: one.came for one in await tenant.blobs.held(first)}
    orphans = await _delete(tenant, [d for d, came in held.items() if d not in known and came < before])
    missing = [d for d in known.keys() - held.keys() if await tenant.blobs.size(d) is None]
    again = [d for d in missing if not known[d]]
    if again:
        async with tenant.database.read() as tx:
            await forget_lost(tx, again)
    return len(held), orphans, len(again), len(missing) - len(again)


async def _delete(tenant: Tenant, digests: list[bytes]) -> int:
    if not digests:
        return 0
    async with tenant.database.transaction() as tx:
        await clear_blobs(tx)
        needed = await needed_among(tx, digests)
        for digest in digests:
            if digest not in needed:
                await tenant.blobs.delete(digest)
    return len(digests) - len(needed)
