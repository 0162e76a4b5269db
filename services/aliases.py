"""Room aliases (§Room aliases): names for rooms, each kept by the server that it names."""

from __future__ import annotations

from typing import Any

from protocol.build import EventDraft
from protocol.errors import ProtocolError
from protocol.ids import RoomAlias, RoomID, ServerName, server_of
from protocol.matrix_error import Forbidden, MatrixError, NotFound, Unknown
from services.access import joined_member
from services.appservices.queries import make_alias
from services.requester import Requester
from services.room_powers import may_look_in, may_set
from services.rooms.head import UnknownRoom
from services.rooms.send import send_event
from services.tenant import Tenant
from storage import aliases, topics
from storage.aliases import Alias
from storage.journal import Change

CANONICAL_ALIAS = "m.room.canonical_alias"
MAX_SERVERS = 50


async def create_alias(tenant: Tenant, requester: Requester, alias: RoomAlias, room_id: RoomID) -> None:
    """Points the alias to the room. Raises Forbidden for an alias of another server and for who is not in the
    room, Exclusive for an application service's alias, Unknown (409) for one that is taken."""
    if server_of(alias) != tenant.name:
        raise Forbidden("This server makes only its own aliases")
    tenant.appservices.check_alias(alias, requester.appservice)
    async with tenant.database.transaction() as tx:
        if not requester.is_admin:
            await joined_member(tx, room_id, requester.user_id)
        made = await aliases.add_alias(tx, Alias(alias, room_id, requester.user_id), tenant.clock.now())
    if not made:
        raise Unknown("This room alias is taken", status=409)
    await aliases_changed(tenant, room_id)


async def aliases_changed(tenant: Tenant, room_id: RoomID) -> None:
    """Application services look again whether the room is of interest to them."""
    if tenant.appservices.known:
        await tenant.journal.append(Change((), (topics.aliases(room_id),)))


async def resolve_alias(tenant: Tenant, alias: RoomAlias) -> tuple[RoomID, list[ServerName]]:
    """The room, and servers that know it; raises NotFound."""
    if server_of(alias) != tenant.name:
        found_there = await tenant.remotes.resolve_alias(alias)
        return found_there.room_id, found_there.servers
    found = await _get(tenant, alias)
    if found is None and await make_alias(tenant, alias):
        found = await _get(tenant, alias)
    if found is None:
        raise NotFound("There is no such room alias")
    async with tenant.database.read() as tx:
        others = []
        if tenant.remotes.reachable:
            others = await aliases.other_servers_in(tx, found.room_id, MAX_SERVERS)
    return RoomID(found.room_id), [tenant.name, *map(ServerName, others)]


async def _get(tenant: Tenant, alias: RoomAlias) -> Alias | None:
    async with tenant.database.read() as tx:
        return await aliases.get_alias(tx, alias)


async def delete_alias(tenant: Tenant, requester: Requester, alias: RoomAlias) -> None:
    """Removes the alias, from the room's canonical alias too where the requester may change that.

    Its creator may, who may set the room's canonical alias, and administrators; raises NotFound or Forbidden.
    """
    async with tenant.database.read() as tx:
        found = await aliases.get_alias(tx, alias) if server_of(alias) == tenant.name else None
    if found is None:
        raise NotFound("There is no such room alias")
    if not await _may_delete(tenant, requester, found):
        raise Forbidden("You may not remove this alias")
    async with tenant.database.transaction() as tx:
        await aliases.delete_alias(tx, found)
    await aliases_changed(tenant, RoomID(found.room_id))
    try:
        await _forget_in_room(tenant, requester, alias, RoomID(found.room_id))
    except (MatrixError, ProtocolError):
        # «delete the alias and return a successful response even if the user does not have permission to update the
        # m.room.canonical_alias event»
        return


async def aliases_of_room(tenant: Tenant, requester: Requester, room_id: RoomID) -> list[str]:
    """This server's aliases of the room; raises Forbidden for who is not in it, unless anybody may read it."""
    try:
        allowed = requester.is_admin or await may_look_in(tenant, room_id, requester.user_id)
    except UnknownRoom:
        allowed = False
    if not allowed:
        raise Forbidden("You are not in this room")
    async with tenant.database.read() as tx:
        return await aliases.aliases_of_room(tx, room_id)


async def _may_delete(tenant: Tenant, requester: Requester, alias: Alias) -> bool:
    if requester.is_admin or alias.creator == requester.user_id:
        return True
    # «The homeserver needs to give the application service full control over its namespace, both for users and for room
    # aliases.»
    owner = tenant.appservices.owner_of_alias(alias.alias)
    if owner is not None and owner.id == requester.appservice:
        return True
    try:
        return await may_set(tenant, RoomID(alias.room_id), requester.user_id, CANONICAL_ALIAS)
    except UnknownRoom:
        return False


async def _forget_in_room(tenant: Tenant, requester: Requester, alias: RoomAlias, room_id: RoomID) -> None:
    key = (CANONICAL_ALIAS, "")
    async with tenant.heads.locked(room_id) as head:
        current = (await head.state_events(tenant.database, (key,))).get(key)
    if current is None:
        return
    content = _without(current.content, alias)
    if content != current.content:
        await send_event(tenant, requester, room_id, EventDraft(CANONICAL_ALIAS, content, ""))


def _without(content: dict[str, Any], alias: str) -> dict[str, Any]:
    left = {name: value for name, value in content.items() if name != "alias" or value != alias}
    if isinstance(left.get("alt_aliases"), list):
        left["alt_aliases"] = [other for other in left["alt_aliases"] if other != alias]
    return left
