"""Leaving a room, rejecting an invite, taking back a knock; and forgetting the room after that."""

from __future__ import annotations

from protocol.build import EventDraft
from protocol.events import MEMBER
from protocol.ids import RoomID
from protocol.json import JsonObject
from protocol.matrix_error import Forbidden, NotFound, Unknown
from services.requester import Requester
from services.rooms.membership.decline import decline, drop
from services.rooms.send import send_event
from services.server_notices import refuse_to_decline
from services.tenant import Tenant
from storage.membership import forget as forget_membership
from storage.membership import membership_of
from storage.servers.handshakes import residence


async def leave(tenant: Tenant, requester: Requester, room_id: RoomID, content: JsonObject) -> None:
    """Returns when the requester is not in the room, nor invited to it. Raises Forbidden for the banned."""
    async with tenant.database.read() as tx:
        membership = await membership_of(tx, room_id, requester.user_id)
        here = await residence(tx, room_id)
    if membership is None:
        raise NotFound("You are not in this room")
    if membership.membership == "leave":
        return
    refuse_to_decline(tenant, membership)
    is_outside = membership.membership in ("invite", "knock")
    if is_outside and not here.is_resident:
        await decline(tenant, membership, content)
        return
    draft = EventDraft(MEMBER, {**content, "membership": "leave"}, requester.user_id)
    try:
        await send_event(tenant, requester, room_id, draft)
    except Forbidden:
        # Others of ours have entered the room since, and it knows nothing of this invite.
        if not is_outside:
            raise
        await drop(tenant, membership, content)


async def forget(tenant: Tenant, requester: Requester, room_id: RoomID) -> None:
    """From now on the room is not shown to the requester, who must have left it: else raises Unknown."""
    async with tenant.database.transaction() as tx:
        membership = await membership_of(tx, room_id, requester.user_id)
        if membership is not None and membership.membership not in ("leave", "ban"):
            raise Unknown("You have not left this room")
        await forget_membership(tx, room_id, requester.user_id)
