"""What somebody may do in a room beside sending events: asked of the room's head."""

from __future__ import annotations

from protocol.auth.levels import PowerLevels
from protocol.events import CREATE, HISTORY_VISIBILITY, MEMBER, POWER_LEVELS, StateKey
from protocol.ids import RoomID, UserID
from services.tenant import Tenant


async def may_set(tenant: Tenant, room_id: RoomID, user_id: UserID, event_type: str) -> bool:
    """Is the user in the room, with the power to set this state? Raises UnknownRoom, and Rejected where the room's
    power levels are nonsense."""
    member: StateKey = (MEMBER, user_id)
    async with tenant.heads.locked(room_id) as head:
        state = await head.state_events(tenant.database, ((CREATE, ""), (POWER_LEVELS, ""), member))
    if member not in state or state[member].membership != "join" or (CREATE, "") not in state:
        return False
    levels = PowerLevels.of(head.room_version, state[CREATE, ""], state.get((POWER_LEVELS, "")))
    return levels.of_user(user_id) >= levels.to_send(event_type, is_state=True)


async def may_look_in(tenant: Tenant, room_id: RoomID, user_id: UserID) -> bool:
    """Is the user in the room, or can anybody read it? Raises UnknownRoom."""
    member: StateKey = (MEMBER, user_id)
    async with tenant.heads.locked(room_id) as head:
        state = await head.state_events(tenant.database, ((HISTORY_VISIBILITY, ""), member))
    visibility = state.get((HISTORY_VISIBILITY, ""))
    if visibility is not None and visibility.content.get("history_visibility") == "world_readable":
        return True
    return member in state and state[member].membership == "join"
