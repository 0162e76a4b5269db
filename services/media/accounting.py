"""Who keeps how much here: for administrators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from protocol.ids import RoomID, ServerName, UserID
from services.media.life import write_downloads
from services.media.naming import naming_step
from services.tenant import Tenant
from storage import media_usage
from storage.media_usage import ORDERS, Page

__all__ = ["ORDERS", "Page", "file_of", "files_in_room", "files_of_user", "rooms_by_usage", "users_by_usage"]


async def files_of_user(tenant: Tenant, user_id: UserID, page: Page) -> tuple[int, Sequence[Any]]:
    """How many files a user has, and a page of them."""
    await write_downloads(tenant)
    async with tenant.database.snapshot() as tx:
        return await media_usage.files_of_user(tx, tenant.name, user_id, page)


async def file_of(tenant: Tenant, origin: ServerName, media_id: str) -> Any | None:
    """What is known of one file; None when it is not here."""
    await write_downloads(tenant)
    async with tenant.database.read() as tx:
        return await media_usage.file_of(tx, tenant.name, origin, media_id)


async def files_in_room(tenant: Tenant, room_id: RoomID) -> list[tuple[str, str]]:
    """The files that events of a room name, as far as they can be read: server and media ID."""
    while not await naming_step(tenant):
        pass
    async with tenant.database.read() as tx:
        return await media_usage.named_in_room(tx, room_id)


async def users_by_usage(tenant: Tenant, term: str | None, start: int, limit: int) -> Sequence[Any]:
    """Users and what they keep, those with most first."""
    async with tenant.database.read() as tx:
        return await media_usage.users_by_usage(tx, term, start, limit)


async def rooms_by_usage(tenant: Tenant, start: int, limit: int) -> Sequence[Any]:
    """Rooms and what their events name, the fullest first."""
    async with tenant.database.read() as tx:
        return await media_usage.rooms_by_usage(tx, tenant.name, start, limit)
