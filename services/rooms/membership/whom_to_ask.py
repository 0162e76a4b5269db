"""Which servers can be asked to let a user of ours into a room."""

from __future__ import annotations

from collections.abc import Iterable

from protocol.ids import RoomID, ServerName, UserID
from services.rooms.membership.candidates import MAX_CANDIDATES, candidates
from services.tenant import Tenant
from storage.aliases import other_servers_in
from storage.membership import membership_of
from storage.servers.handshakes import remote_room


async def whom_to_ask(
    tenant: Tenant, room_id: RoomID, user_id: UserID, via: Iterable[str] = ()
) -> list[ServerName]:
    """Those named first, then whose user invited this one (or who took the knock); where nobody is named, those that were
    in the room when we last were. The domain in a room ID is a name only.
    """
    named = list(via)
    if not tenant.remotes.reachable:
        return []
    async with tenant.database.read() as tx:
        membership = await membership_of(tx, room_id, user_id)
        known = await remote_room(tx, room_id)
        others = [] if named else await other_servers_in(tx, room_id, MAX_CANDIDATES)
    more: list[str] = []
    if membership is not None and membership.membership == "invite":
        more.append(membership.sender.partition(":")[2])
    if known is not None:
        more.append(known.server)
    return candidates(tenant, named, more, others)
