"""Scanning files for viruses: equal bytes once."""

from __future__ import annotations

from services.tenant import Tenant
from storage import scanned_files


async def found_in(tenant: Tenant, digest: bytes) -> str | None:
    """The name of what the scanner finds in the blob, None when it finds nothing or there is no scanner. Raises ScannerFailed."""
    if tenant.scanner is None:
        return None
    async with tenant.database.read() as tx:
        known = await scanned_files.get(tx, digest)
    if known is not None:
        return known.found
    found = await tenant.scanner.scan(tenant.blobs.read(digest))
    async with tenant.database.transaction() as tx:
        await scanned_files.add(tx, digest, found, tenant.clock.now())
    return found
