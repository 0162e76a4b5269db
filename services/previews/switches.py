"""Where rooms, or a user in a room, want no previews. Clients know of it; the server does where a client names the room.

They write `org.matrix.room.preview_urls` with `{"disable": true}`: as a state event for all, or data of the room for one.
"""

from __future__ import annotations

import orjson

from protocol.ids import RoomID
from protocol.matrix_error import NotFound
from services.requester import Requester
from services.rooms.read import state_event
from services.tenant import Tenant
from storage.account_data import account_data_of

PREVIEW_URLS = "org.matrix.room.preview_urls"


async def is_wanted_in(tenant: Tenant, requester: Requester, room_id: RoomID) -> bool:
    """Whether neither the room nor the user there has switched previews off; raises Forbidden for who may not read the room."""
    try:
        said: bytes | None = await state_event(tenant, requester, room_id, (PREVIEW_URLS, ""), whole=False)
    except NotFound:
        said = None
    if _is_off(said):
        return False
    async with tenant.database.read() as tx:
        return not _is_off(await account_data_of(tx, requester.user_id, room_id, PREVIEW_URLS))


def _is_off(content: bytes | None) -> bool:
    return content is not None and orjson.loads(content).get("disable") is True
