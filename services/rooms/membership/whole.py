"""What must not be decided as long as we do not know all members of a room waits here until we do."""

from __future__ import annotations

import asyncio

from protocol.build import EventDraft
from protocol.events import MEMBER
from protocol.ids import RoomID
from protocol.matrix_error import Unknown
from services.requester import Requester
from services.rooms.head import UnknownRoom
from services.tenant import Tenant
from storage.membership import membership_of
from storage.servers.handshakes import Residence, residence
from storage.servers.partial_rooms import is_partial

PATIENCE = 60.0  # seconds


async def until_whole(tenant: Tenant, room_id: RoomID, patience: float = PATIENCE) -> None:
    """Returns when the room's whole state is known, which for nearly all rooms is at once. Raises Unknown (503) when that takes
    too long, and UnknownRoom when it will never be: because all of ours have left the room while it was waited for."""
    if not await in_part(tenant, room_id):
        return
    await until_whole_or_left(tenant, room_id, patience)
    if not (await _residence(tenant, room_id)).is_resident:
        raise UnknownRoom


async def until_whole_or_left(tenant: Tenant, room_id: RoomID, patience: float = PATIENCE) -> None:
    """Returns when the room's whole state is known, or will not be known any better: because all of ours have left. Raises
    Unknown (503) when that takes too long."""
    if not await in_part(tenant, room_id):
        return
    with tenant.partial_rooms.news_of(room_id) as news:
        try:
            async with asyncio.timeout(patience):
                while await in_part(tenant, room_id) and (await _residence(tenant, room_id)).is_resident:
                    await news.wait()
                    news.clear()
        except TimeoutError:
            raise Unknown("The members of this room are still being fetched", status=503) from None


async def until_decidable(tenant: Tenant, requester: Requester, room_id: RoomID, draft: EventDraft) -> None:
    """Returns when the draft can be decided upon. Whom a membership concerns must be known: that is, but for those of ours
    who are in the room, the case only when all members are. Raises as `until_whole`."""
    if draft.type != MEMBER or not await in_part(tenant, room_id):
        return
    if draft.state_key == requester.user_id:
        async with tenant.database.read() as tx:
            own = await membership_of(tx, room_id, requester.user_id)
        if own is not None and own.membership == "join":
            return
    await until_whole(tenant, room_id)


async def in_part(tenant: Tenant, room_id: RoomID) -> bool:
    """Are we in the room without knowing all of its members?"""
    async with tenant.database.read() as tx:
        return await is_partial(tx, room_id)


async def _residence(tenant: Tenant, room_id: RoomID) -> Residence:
    async with tenant.database.read() as tx:
        return await residence(tx, room_id)
