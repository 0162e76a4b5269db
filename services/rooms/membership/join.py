"""Joining a room, by its ID or an alias."""

from __future__ import annotations

from collections.abc import Iterable

from protocol.auth.levels import PowerLevels
from protocol.build import EventDraft
from protocol.errors import Rejected
from protocol.events import CREATE, JOIN_RULES, MEMBER, POWER_LEVELS, StateMap
from protocol.ids import RoomID, UserID
from protocol.json import JsonObject
from protocol.matrix_error import Forbidden
from services.requester import Requester
from services.rooms.head import Head
from services.rooms.membership.bring_along import bring_along
from services.rooms.send import send_event
from services.tenant import Tenant
from storage.database import Tx
from storage.membership import is_joined_to_any, joined_among, longest_joined

_RESTRICTED = ("restricted", "knock_restricted")


async def join(tenant: Tenant, requester: Requester, room_id: RoomID, content: JsonObject) -> None:
    """Returns when the requester is joined. `content` are further members of the event: `reason`.

    Raises UnknownRoom for a room that is not here, Forbidden where the join rules forbid it.
    """
    user_id = requester.user_id
    keys = ((CREATE, ""), (POWER_LEVELS, ""), (JOIN_RULES, ""), (MEMBER, user_id))
    async with tenant.heads.locked(room_id) as head:
        state = await head.state_events(tenant.database, keys)
    member = state.get((MEMBER, user_id))
    before = member.membership if member is not None else None
    if before == "join":
        return
    content = {**content, "membership": "join"}
    if before != "invite" and _is_restricted(head, state):
        content["join_authorised_via_users_server"] = await _authoriser(tenant, head, state, user_id)
    await send_event(tenant, requester, room_id, EventDraft(MEMBER, content, user_id))
    await bring_along(tenant, user_id, room_id, state[CREATE, ""])


def _is_restricted(head: Head, state: StateMap) -> bool:
    rules = state.get((JOIN_RULES, ""))
    if rules is None or not head.room_version.restricted_join_rule:
        return False
    return rules.content.get("join_rule") in _RESTRICTED


async def _authoriser(tenant: Tenant, head: Head, state: StateMap, user_id: UserID) -> UserID:
    """A user of ours who could invite, for a join whose conditions are met (§Restricted rooms)."""
    async with tenant.database.read() as tx:
        if not await is_joined_to_any(tx, list(_allowed_rooms(state)), user_id):
            raise Forbidden("You are in none of the rooms whose members may join")
        found = await _inviter(tx, head, state)
    if found is None:
        raise Forbidden("Nobody on this server may let you join")
    return found


def _allowed_rooms(state: StateMap) -> Iterable[str]:
    allow = state[JOIN_RULES, ""].content.get("allow")
    for condition in allow if isinstance(allow, list) else ():
        if isinstance(condition, dict) and condition.get("type") == "m.room_membership":
            room_id = condition.get("room_id")
            if isinstance(room_id, str) and "\0" not in room_id:
                yield room_id


async def _inviter(tx: Tx, head: Head, state: StateMap) -> UserID | None:
    levels = PowerLevels.of(head.room_version, state[CREATE, ""], state.get((POWER_LEVELS, "")))
    users = levels.content.get("users", {}) if levels.content is not None else {}
    named = {user for user in users if "\0" not in user} if isinstance(users, dict) else set()
    try:
        able = [user for user in named | levels.creators if levels.of_user(user) >= levels.invite]
        found = await joined_among(tx, head.room_id, able)
        # Most rooms let everybody invite: then anybody does.
        if not found and levels.named("users_default") >= levels.invite:
            unable = [user for user in named if levels.of_user(user) < levels.invite]
            found = await longest_joined(tx, head.room_id, unable)
    except Rejected:  # nonsense for power levels, in old room versions
        return None
    return found[0] if found else None
