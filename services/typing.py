"""Typing notifications (§Typing Notifications)."""

from __future__ import annotations

from protocol.ids import RoomID
from services import presence
from services.access import joined_member
from services.requester import Requester
from services.tenant import Tenant

DEFAULT_TIMEOUT, MAX_TIMEOUT = 30_000, 120_000


async def set_typing(tenant: Tenant, requester: Requester, room_id: RoomID, timeout: int | None) -> None:
    """The requester types for so many milliseconds, or (None) does not type any more; raises Forbidden for who is not in
    the room."""
    async with tenant.database.read() as tx:
        await joined_member(tx, room_id, requester.user_id)
    until = tenant.clock.now() + min(timeout, MAX_TIMEOUT) if timeout else None
    await tenant.ephemeral.set_typing(room_id, requester.user_id, until)
    if until is not None:
        await presence.touched(tenant, requester.user_id, requester.device_id)
