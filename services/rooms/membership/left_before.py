"""Users of ours who had left a room, and whom a server that has not heard of that shows as being in it when others of ours enter.

What we are shown is the room's state here from then on, so that their leave would be forgotten until an event follows on both
branches, and for good where nobody hears of the leave: of many events that a server has missed it is sent the last only.
"""

from __future__ import annotations

import orjson

from protocol.build import EventDraft
from protocol.events import MEMBER
from protocol.ids import RoomID
from protocol.matrix_error import MatrixError
from services.requester import Requester
from services.rooms.membership.observations import NotLeftAgain
from services.rooms.send import send_event
from services.tenant import Tenant
from storage.servers.handshakes import members_since_then


async def leave_again(tenant: Tenant, room_id: RoomID) -> None:
    """They leave once more, where all others see it. The room must be whole."""
    async with tenant.database.read() as tx:
        rows = await members_since_then(tx, room_id)
    left = {user_id for user_id, json in rows if orjson.loads(json)["content"].get("membership") == "leave"}
    for user_id in sorted(left):
        draft = EventDraft(MEMBER, {"membership": "leave"}, user_id)
        try:
            await send_event(tenant, Requester(user_id), room_id, draft)
        except MatrixError as error:
            tenant.observe(NotLeftAgain(room_id, user_id, error))
