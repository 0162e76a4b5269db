"""Restricted rooms: who may join them without an invite, and who of ours vouches for that (§Restricted rooms)."""

from __future__ import annotations

from collections.abc import Iterable

from protocol.auth.levels import PowerLevels
from protocol.errors import Rejected
from protocol.events import CREATE, JOIN_RULES, POWER_LEVELS, StateMap
from protocol.ids import UserID
from protocol.matrix_error import Forbidden, UnableToAuthoriseJoin, UnableToGrantJoin
from services.rooms.head import Head
from services.tenant import Tenant
from storage.database import Tx
from storage.membership import joined_among, longest_joined
from storage.servers.handshakes import allowed_by

AUTHORISED_VIA = "join_authorised_via_users_server"
_RESTRICTED = ("restricted", "knock_restricted")


def is_restricted(head: Head, state: StateMap) -> bool:
    """Do the room's join rules let the members of other rooms in?"""
    rules = state.get((JOIN_RULES, ""))
    if rules is None or not head.room_version.restricted_join_rule:
        return False
    rule = rules.content.get("join_rule")
    return rule in _RESTRICTED and (rule == _RESTRICTED[0] or head.room_version.knock_restricted_join_rule)


async def authoriser(tenant: Tenant, head: Head, state: StateMap, user_id: UserID) -> UserID:
    """A user of ours who could invite, for a join whose conditions are met. `state` has the create event, power levels and
    join rules.

    Raises Forbidden where the conditions are not met, UnableToAuthoriseJoin where we cannot tell, UnableToGrantJoin where
    nobody here may invite.
    """
    async with tenant.database.read() as tx:
        await check_conditions(tx, state, user_id)
        found = await _inviter(tx, head, state)
    if found is None:
        raise UnableToGrantJoin
    return found


async def check_conditions(tx: Tx, state: StateMap, user_id: UserID) -> None:
    """Raises Forbidden or UnableToAuthoriseJoin unless the user is in one of the rooms whose members may join."""
    rooms = await allowed_by(tx, list(_allowed_rooms(state)), user_id)
    if any(room.is_joined for room in rooms):
        return
    # «none of the conditions can be validated by the server»: another one may be in those rooms.
    if any(not room.is_known for room in rooms):
        raise UnableToAuthoriseJoin
    raise Forbidden("You are in none of the rooms whose members may join")


async def may_authorise(tx: Tx, head: Head, state: StateMap, named: UserID) -> bool:
    """May this user of ours, who is named in a join, vouch for it? `state` has the create event and power levels."""
    levels = PowerLevels.of(head.room_version, state[CREATE, ""], state.get((POWER_LEVELS, "")))
    try:
        able = levels.of_user(named) >= levels.invite
    except Rejected:
        return False
    return able and bool(await joined_among(tx, head.room_id, [named]))


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
