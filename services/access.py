"""Who may see a room at all."""

from __future__ import annotations

from protocol.ids import RoomID, UserID
from protocol.matrix_error import Forbidden
from storage.database import Tx
from storage.membership import Membership, membership_of

_NOT_IN_ROOM = "You are not in this room"


async def joined_member(tx: Tx, room_id: RoomID, user_id: UserID) -> Membership:
    """The membership of a user who is joined; raises Forbidden for others, and for rooms that there are not."""
    membership = await membership_of(tx, room_id, user_id)
    if membership is None or membership.membership != "join":
        raise Forbidden(_NOT_IN_ROOM)
    return membership
