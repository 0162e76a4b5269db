"""Finding the room that a client names by its ID or an alias."""

from __future__ import annotations

from protocol.ids import RoomID, ServerName, parse_room_alias, parse_room_id, server_of
from services.aliases import resolve_alias
from services.tenant import Tenant


async def room_named(tenant: Tenant, room_id_or_alias: str) -> tuple[RoomID, list[ServerName]]:
    """The ID of the room, and servers that know it where an alias led there, the alias's own among them; raises InvalidId
    for what names no room, NotFound for an alias that leads nowhere."""
    if not room_id_or_alias.startswith("#"):
        return parse_room_id(room_id_or_alias), []
    alias = parse_room_alias(room_id_or_alias)
    room_id, servers = await resolve_alias(tenant, alias)
    return room_id, [*servers, server_of(alias)]
