"""Guests leave when a room does not want them any more (§Guest Access)."""

from __future__ import annotations

from protocol.build import EventDraft
from protocol.events import MEMBER
from protocol.ids import RoomID
from protocol.matrix_error import MatrixError
from services.requester import Requester
from services.rooms.presets import GUEST_ACCESS
from services.rooms.send import send_event
from services.tenant import Tenant
from storage.membership import joined_guests


async def send_state(
    tenant: Tenant, requester: Requester, room_id: RoomID, draft: EventDraft, at: int | None = None
) -> str:
    """As `send_event`; where the state shuts guests out, those of ours leave the room before it returns."""
    event_id = await send_event(tenant, requester, room_id, draft, at=at)
    await shut_out_guests(tenant, room_id, draft)
    return event_id


async def shut_out_guests(tenant: Tenant, room_id: RoomID, draft: EventDraft) -> None:
    """The guests of ours leave the room, where the state that was set by the draft shuts them out."""
    if (
        draft.type == GUEST_ACCESS
        and draft.state_key == ""
        and draft.content.get("guest_access") != "can_join"
    ):
        async with tenant.database.read() as tx:
            guests = await joined_guests(tx, room_id)
        for guest in guests:
            leaving = EventDraft(MEMBER, {"membership": "leave"}, guest)
            try:
                await send_event(tenant, Requester(guest, is_guest=True), room_id, leaving)
            except MatrixError:  # the guest was faster
                continue
