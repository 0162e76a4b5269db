"""What one member does to another: inviting, kicking, banning and unbanning."""

from __future__ import annotations

from protocol.build import EventDraft
from protocol.events import MEMBER
from protocol.ids import RoomID, UserID
from protocol.json import JsonObject
from protocol.matrix_error import BadState, Forbidden
from services.access import joined_member
from services.requester import Requester
from services.rooms.membership.whole import until_whole
from services.rooms.send import send_event
from services.tenant import Tenant
from storage.membership import membership_of

# Members whom the requester may not affect are refused by the authorisation rules; here is what those rules let pass
# and the client's request does not mean: to them, a kick of a banned user is an unban.


async def invite(
    tenant: Tenant, requester: Requester, room_id: RoomID, guest: UserID, content: JsonObject
) -> None:
    """Returns when the guest is invited, by this or by the same invite before. Raises Forbidden, InviteBlocked."""
    await _send(tenant, requester, room_id, guest, {**content, "membership": "invite"})


async def kick(
    tenant: Tenant, requester: Requester, room_id: RoomID, target: UserID, content: JsonObject
) -> None:
    """Returns when the target has been made to leave. Raises Forbidden, also for one who is not in the room."""
    if await _membership(tenant, requester, room_id, target) not in ("join", "invite", "knock"):
        raise Forbidden("This user is not in the room")
    await _send(tenant, requester, room_id, target, {**content, "membership": "leave"})


async def ban(
    tenant: Tenant, requester: Requester, room_id: RoomID, target: UserID, content: JsonObject
) -> None:
    """Returns when the target is banned. Raises Forbidden."""
    await _send(tenant, requester, room_id, target, {**content, "membership": "ban"})


async def unban(
    tenant: Tenant, requester: Requester, room_id: RoomID, target: UserID, content: JsonObject
) -> None:
    """Returns when the target is not banned any more. Raises Forbidden, and BadState for one who was not banned."""
    if await _membership(tenant, requester, room_id, target) != "ban":
        raise BadState("This user is not banned")
    await _send(tenant, requester, room_id, target, {**content, "membership": "leave"})


async def _membership(tenant: Tenant, requester: Requester, room_id: RoomID, target: UserID) -> str | None:
    await until_whole(tenant, room_id)
    async with tenant.database.read() as tx:
        await joined_member(tx, room_id, requester.user_id)
        found = await membership_of(tx, room_id, target)
    return found.membership if found is not None else None


async def _send(
    tenant: Tenant, requester: Requester, room_id: RoomID, target: UserID, content: JsonObject
) -> None:
    await send_event(tenant, requester, room_id, EventDraft(MEMBER, content, target))
