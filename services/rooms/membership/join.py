"""Joining a room, by its ID or an alias: here where we are in it, else through a server that is."""

from __future__ import annotations

from collections.abc import Iterable

from protocol.build import EventDraft
from protocol.events import CREATE, JOIN_RULES, MEMBER, POWER_LEVELS
from protocol.ids import RoomID, ServerName
from protocol.json import JsonObject
from protocol.matrix_error import (
    Forbidden,
    MatrixError,
    Translated,
    UnableToAuthoriseJoin,
    UnableToGrantJoin,
)
from services.accounts.standing import refuse_suspended
from services.guards import check_members, check_rooms_of
from services.requester import Requester
from services.rooms.membership.bring_along import bring_along
from services.rooms.membership.enter import enter, join_elsewhere
from services.rooms.membership.restricted import AUTHORISED_VIA, authoriser, is_restricted
from services.rooms.membership.whole import in_part, until_whole
from services.rooms.membership.whom_to_ask import whom_to_ask
from services.rooms.send import send_event
from services.tenant import Tenant
from storage.servers.handshakes import residence


async def join(
    tenant: Tenant, requester: Requester, room_id: RoomID, content: JsonObject, via: Iterable[str] = ()
) -> None:
    """Returns when the requester is joined. `content` are further members of the event: `reason`; `via` are servers that
    may let us in where we are not in the room ourselves.

    Raises NotFound for a room that nobody knows, Forbidden where it may not be joined, and what other servers' failures
    come to (candidates.py).
    """
    refuse_suspended(requester)
    await check_rooms_of(tenant, requester)
    servers = await whom_to_ask(tenant, room_id, requester.user_id, via)
    async with tenant.database.read() as tx:
        here = await residence(tx, room_id)
    # A room that nobody else is in can only be entered here, also when ours have all left it.
    is_elsewhere = not here.is_resident and (bool(servers) or here.room_version is None)
    if is_elsewhere and await enter(tenant, requester, room_id, content, servers):
        return
    if (
        servers
        and await in_part(tenant, room_id)
        and await _let_in(tenant, requester, room_id, content, servers)
    ):
        return
    await until_whole(tenant, room_id)
    await _join_here(tenant, requester, room_id, content, servers)


async def _let_in(
    tenant: Tenant, requester: Requester, room_id: RoomID, content: JsonObject, servers: list[ServerName]
) -> bool:
    """Has another server let the requester in, where we do not know yet who is in the room, or banned from it?"""
    try:
        await join_elsewhere(tenant, requester, room_id, content, servers)
    except (MatrixError, Translated):
        return False  # it is seen when the room is whole
    return True


async def _join_here(
    tenant: Tenant, requester: Requester, room_id: RoomID, content: JsonObject, servers: list[ServerName]
) -> None:
    user_id = requester.user_id
    keys = ((CREATE, ""), (POWER_LEVELS, ""), (JOIN_RULES, ""), (MEMBER, user_id))
    async with tenant.heads.locked(room_id) as head:
        state = await head.state_events(tenant.database, keys)
    member = state.get((MEMBER, user_id))
    before = member.membership if member is not None else None
    if before == "join":
        return
    check_members(tenant, head)
    join_content = {**content, "membership": "join"}
    if before != "invite" and is_restricted(head, state):
        try:
            join_content[AUTHORISED_VIA] = await authoriser(tenant, head, state, user_id)
        except (UnableToAuthoriseJoin, UnableToGrantJoin) as error:
            if not servers:
                raise Forbidden(error.message) from None
            await join_elsewhere(tenant, requester, room_id, content, servers)
            return
    await send_event(tenant, requester, room_id, EventDraft(MEMBER, join_content, user_id))
    await bring_along(tenant, user_id, room_id, state[CREATE, ""])
