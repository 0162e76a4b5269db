"""Knocking: asking to be invited."""

from __future__ import annotations

from protocol.build import EventDraft
from protocol.events import MEMBER
from protocol.ids import RoomID
from protocol.json import JsonObject
from protocol.matrix_error import Forbidden
from services.requester import Requester
from services.rooms.send import send_event
from services.tenant import Tenant


async def knock(tenant: Tenant, requester: Requester, room_id: RoomID, content: JsonObject) -> None:
    """Returns when the requester has knocked. Raises UnknownRoom, and Forbidden where the join rules forbid it."""
    async with tenant.heads.locked(room_id) as head:
        if not head.room_version.knock_join_rule:
            raise Forbidden("This room takes no knocks")
    draft = EventDraft(MEMBER, {**content, "membership": "knock"}, requester.user_id)
    await send_event(tenant, requester, room_id, draft)
