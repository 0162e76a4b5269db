"""Presence (§Presence): who is there. Set by clients, kept up by their /sync and by what they do, and fading.

Nothing of it is stored: after a restart everybody is offline until their clients come back.
"""

from __future__ import annotations

from dataclasses import replace

from protocol.ids import DeviceID, UserID
from protocol.json import JsonObject
from protocol.matrix_error import Forbidden
from services.requester import Requester
from services.tenant import Tenant
from storage.redis.replica import OFFLINE, ONLINE, UNAVAILABLE, PresenceState
from storage.shared_rooms import share_a_room

PRESENCES = (ONLINE, UNAVAILABLE, OFFLINE)

SEEN_EVERY = 25_000
"""Milliseconds. A sign of life that comes sooner after the last one is not told to the other processes."""
ACTIVE_FOR = 60_000
"""How long after having done something a user counts as active; activity is told half as often."""

_UNKNOWN = PresenceState(OFFLINE, 0, 0)


async def set_presence(tenant: Tenant, requester: Requester, presence: str, status_msg: str | None) -> None:
    """The requester says so; nothing happens when presence is switched off."""
    if tenant.settings.presence_enabled:
        now = tenant.clock.now()
        await tenant.ephemeral.set_presence(
            requester.user_id, PresenceState(presence, now, now, status_msg, requester.device_id)
        )


async def seen(
    tenant: Tenant, user_id: UserID, presence: str = ONLINE, device: DeviceID | None = None
) -> None:
    """A client of the user's syncs, and says that it is `presence` (`set_presence` of /sync)."""
    if not tenant.settings.presence_enabled or presence == OFFLINE:
        return
    now = tenant.clock.now()
    state = tenant.ephemeral.presence(user_id) or _UNKNOWN
    shown = state.at(now)
    if shown.presence == OFFLINE:
        await tenant.ephemeral.set_presence(
            user_id, replace(shown, presence=presence, last_active=now, last_seen=now, device=device)
        )
    elif presence == UNAVAILABLE and shown.presence == ONLINE and _was_last_in_use(shown, device, now):
        # Another device may be in use: an idle one says so only for itself.
        await tenant.ephemeral.set_presence(user_id, replace(shown, presence=presence, last_seen=now))
    elif now >= state.last_seen + SEEN_EVERY:
        in_use = device if presence == ONLINE else shown.device
        await tenant.ephemeral.set_presence(user_id, replace(shown, last_seen=now, device=in_use))


def _was_last_in_use(state: PresenceState, device: DeviceID | None, now: int) -> bool:
    return now >= state.last_active + ACTIVE_FOR or (device is not None and device == state.device)


async def touched(tenant: Tenant, user_id: UserID, device: DeviceID | None = None) -> None:
    """The user has done something by hand: who was idle is there again. One who is offline on purpose stays so."""
    state = tenant.ephemeral.presence(user_id)
    if state is None or not tenant.settings.presence_enabled:
        return
    now = tenant.clock.now()
    is_known = (
        state.presence == ONLINE and now < state.last_active + ACTIVE_FOR // 2 and state.device == device
    )
    if state.presence != OFFLINE and not is_known:
        await tenant.ephemeral.set_presence(
            user_id, replace(state, presence=ONLINE, last_active=now, last_seen=now, device=device)
        )


def shown(tenant: Tenant, user_id: UserID) -> JsonObject:
    """The content of the user's `m.presence`; offline when nothing is known."""
    now = tenant.clock.now()
    state = (tenant.ephemeral.presence(user_id) or _UNKNOWN).at(now)
    content: JsonObject = {"presence": state.presence}
    if state.last_active:
        content["last_active_ago"] = max(now - state.last_active, 0)
    if state.presence == ONLINE:
        content["currently_active"] = now < state.last_active + ACTIVE_FOR
    if state.status_msg is not None:
        content["status_msg"] = state.status_msg
    return content


async def get_presence(tenant: Tenant, requester: Requester, user_id: UserID) -> JsonObject:
    """The user's presence; raises Forbidden unless they share a room."""
    if user_id != requester.user_id:
        async with tenant.database.read() as tx:
            if not await share_a_room(tx, requester.user_id, user_id):
                raise Forbidden("You do not share a room with this user")
    return shown(tenant, user_id)
