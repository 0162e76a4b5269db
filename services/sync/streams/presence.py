"""Presence: who of those with whom the user shares a room is there."""

from __future__ import annotations

from typing import Any

from protocol.ids import UserID
from services.presence import shown
from services.sync.look import Look
from storage.sync_user_data import newly_sharing_rooms, sharing_rooms

PRESENCE = "m.presence"


class _Everybody:
    """A set that has everybody in it."""

    def __contains__(self, user_id: object) -> bool:
        return True


EVERYBODY = _Everybody()


async def changes(look: Look) -> list[dict[str, Any]]:
    """An m.presence event for each of them (and for the user) whose presence has changed, or is news to the user."""
    tenant, wanted = look.tenant, look.filter.presence
    if not tenant.settings.presence_enabled or not wanted.allows_type(PRESENCE):
        return []
    since = look.since.ephemeral if look.since is not None else 0
    moved = tenant.ephemeral.presence_changed_since(since, EVERYBODY, look.upto.ephemeral)
    users = await _sharing(look, set(moved)) | await _newly_sharing(look)
    return [
        event
        for user_id in sorted(users)
        if user_id not in look.ignored and (event := _event(look, user_id)) is not None
    ]


async def _sharing(look: Look, moved: set[str]) -> set[str]:
    """Those of the users whose presence concerns the user."""
    users = moved & {look.user_id}
    unknown = []
    for user_id in moved - users:
        shares = (
            look.tenant.listeners.share_a_room(look.listener, user_id) if look.noted is not None else None
        )
        if shares is None:
            unknown.append(user_id)
        elif shares:
            users.add(user_id)
    if unknown:
        users |= await sharing_rooms(await look.connection.tx(), look.user_id, unknown)
    return users


async def _newly_sharing(look: Look) -> set[str]:
    """Those of whom something is known, and who are in a room with the user only now."""
    if look.since is None or (look.noted is not None and not look.noted.device_lists):
        return set()
    known = look.tenant.ephemeral.presence_changed_since(0, EVERYBODY, look.upto.ephemeral)
    if not known:
        return set()
    return await newly_sharing_rooms(await look.connection.tx(), look.user_id, look.after, known)


def _event(look: Look, user_id: str) -> dict[str, Any] | None:
    if look.tenant.ephemeral.presence(user_id) is None:
        return None
    return {"type": PRESENCE, "sender": user_id, "content": shown(look.tenant, UserID(user_id))}
