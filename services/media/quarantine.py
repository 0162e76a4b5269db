"""Putting files into quarantine, and letting them out."""

from __future__ import annotations

from protocol.ids import RoomID, ServerName, UserID
from services.media.naming import naming_step
from services.tenant import Tenant
from storage import quarantine


async def put_file(tenant: Tenant, origin: ServerName, media_id: str, by: str) -> int:
    """One file, whether it is here or not; how many: 0 if it is protected."""
    async with tenant.database.transaction() as tx:
        return await quarantine.quarantine(tx, tenant.name, origin, media_id, by, tenant.clock.now())


async def put_user(tenant: Tenant, user_id: UserID, by: str) -> int:
    """All files of a user, but for protected ones; how many."""
    async with tenant.database.transaction() as tx:
        return await quarantine.quarantine_of_user(tx, tenant.name, user_id, by, tenant.clock.now())


async def put_room(tenant: Tenant, room_id: RoomID, by: str) -> int:
    """All files that events of a room name up to now, but for protected ones; how many."""
    while not await naming_step(tenant):
        pass
    async with tenant.database.transaction() as tx:
        return await quarantine.quarantine_in_room(tx, tenant.name, room_id, by, tenant.clock.now())


async def release_file(tenant: Tenant, origin: ServerName, media_id: str) -> None:
    """One file, and others with equal bytes."""
    async with tenant.database.transaction() as tx:
        await quarantine.end_quarantine(tx, tenant.name, origin, media_id)


async def protect_file(tenant: Tenant, media_id: str, protected: bool) -> bool:
    """Keeps a file of ours from quarantine, or not; False when there is none."""
    async with tenant.database.transaction() as tx:
        return await quarantine.protect(tx, media_id, protected)
