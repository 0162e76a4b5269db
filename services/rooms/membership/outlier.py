"""Memberships in rooms that we are not in: invites, knocks, and how they end. Their events stand outside of any room."""

from __future__ import annotations

from collections.abc import Sequence

from protocol.events import Event
from protocol.ids import ServerName
from protocol.json import JsonObject, canonical_lenient, encoded
from services.rooms.event_rows import Place, placed_row
from services.tenant import Tenant
from storage import topics
from storage.events import Standing, event_by_id
from storage.journal import Change, Row
from storage.membership import SET_MEMBERSHIP, membership_of
from storage.servers.handshakes import SET_REMOTE_ROOM


async def put_outlier(
    tenant: Tenant, event: Event, server: ServerName, stripped: Sequence[JsonObject] | None = None
) -> None:
    """The membership of a user of ours is what the event says, and the user is told; again changes nothing.

    `stripped` is what the user may see of an inviting (or knocked upon) room, `server` where this can be asked for.
    """
    user_id, membership = event.state_key, event.membership
    assert user_id is not None
    assert membership is not None
    async with tenant.database.read() as tx:
        if await event_by_id(tx, event.event_id) is not None:
            return
        before = await membership_of(tx, event.room_id, user_id)
    goes_on = before is not None and before.membership == membership
    shown = encoded(stripped) if stripped is not None else None
    change = Change(
        rows=(
            placed_row(event, Place(Standing.OUTLIER), canonical_lenient(event.json)),
            Row(
                SET_MEMBERSHIP,
                (True, event.room_id, user_id, membership, event.event_id, event.sender, shown, goes_on),
            ),
            Row(SET_REMOTE_ROOM, (event.room_id, event.version.id, server)),
        ),
        wake=(topics.user(user_id),),
    )
    await tenant.journal.append(change)
