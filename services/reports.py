"""Reporting what should not be: to the administrators of this server (§Reporting Content)."""

from __future__ import annotations

from protocol.ids import EventID, RoomID, UserID
from protocol.matrix_error import NotFound
from services.requester import Requester
from services.rooms.read import NOT_FOUND, view_of, visible_event
from services.tenant import Tenant
from storage.reports import report_of_event, report_of_room, report_of_user


async def report_event(
    tenant: Tenant, requester: Requester, room_id: RoomID, event_id: EventID, reason: str | None
) -> None:
    """Reports an event; raises NotFound where the user is not in the room, or may not see the event."""
    async with tenant.database.transaction() as tx:
        view = await view_of(tx, requester, room_id)
        if not view.is_joined:  # «The caller must be joined to the room to report it.»
            raise NotFound(NOT_FOUND)
        await visible_event(tx, view, event_id)
        await report_of_event(tx, tenant.clock.now(), requester.user_id, event_id, reason)


async def report_room(tenant: Tenant, requester: Requester, room_id: RoomID, reason: str) -> None:
    """Reports a room. Whether there is such a room is not told, and costs the same time."""
    async with tenant.database.transaction() as tx:
        await report_of_room(tx, tenant.clock.now(), requester.user_id, room_id, reason)


async def report_user(tenant: Tenant, requester: Requester, user_id: UserID, reason: str) -> None:
    """Reports a user; the same is true."""
    async with tenant.database.transaction() as tx:
        await report_of_user(tx, tenant.clock.now(), requester.user_id, user_id, reason)
