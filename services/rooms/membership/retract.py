"""Invites and knocks of ours that end in a room that we are not in: the room's servers tell us by /send."""

from __future__ import annotations

from protocol.errors import InvalidId
from protocol.events import Event
from protocol.ids import ServerName, server_of
from services.rooms.membership.outlier import put_outlier
from services.tenant import Tenant
from storage.membership import membership_of
from storage.servers.handshakes import remote_room, residence


async def taken_back(tenant: Tenant, event: Event, origin: ServerName) -> bool:
    """Does the event (its signatures are checked) end an invite or a knock of a user of ours, and was it believed?

    Whether the sender may do so cannot be seen from outside the room. It is believed of the server that the invite came
    from, or that took the knock: that one could as well have invited nobody. An invite is taken back by who made it
    (COMPAT: as elsewhere).
    """
    user_id = event.state_key
    if user_id is None or event.membership not in ("leave", "ban") or event.sender == user_id:
        return False
    try:
        is_ours = server_of(user_id) == tenant.name
    except InvalidId:
        return False
    if not is_ours or server_of(event.sender) != origin:
        return False
    async with tenant.database.read() as tx:
        membership = await membership_of(tx, event.room_id, user_id)
        known = await remote_room(tx, event.room_id)
        here = await residence(tx, event.room_id)
    if membership is None or membership.membership not in ("invite", "knock") or here.is_resident:
        return False
    if known is None or known.server != origin:
        return False
    if membership.membership == "invite" and event.sender != membership.sender:
        return False
    await put_outlier(tenant, event, origin)
    return True
