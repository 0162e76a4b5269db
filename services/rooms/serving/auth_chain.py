"""Auth chains: the auth events of events, and theirs, and so on; in one query, however long."""

from __future__ import annotations

from collections.abc import Collection

from protocol.room_versions import RoomVersion
from storage.database import Tx
from storage.servers.serving import auth_chain_below


async def auth_chain_ids(tx: Tx, version: RoomVersion, room_id: str, starts: Collection[str]) -> set[str]:
    """All that these events rest on; they themselves are left out, unless another of them rests on them."""
    chain = await auth_chain_below(tx, starts)
    if version.room_id_is_create_hash:
        # The create event stands in every chain, also where the room ID names it and nothing else.
        chain.add("$" + room_id[1:])
    return chain
