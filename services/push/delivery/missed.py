"""What a user has missed at a pusher that was behind, and has not read since."""

from __future__ import annotations

import asyncpg

from protocol.ids import RoomID
from services.push.delivery.delivering import Delivering
from services.push.delivery.happened import Happened
from services.push.delivery.target import Target
from services.push.notifications import find
from services.settings import DAY
from storage.push import notifications as stored
from storage.push.following import invites_of

TOO_OLD = DAY
"""What is older is no news to a telephone."""


async def missed(delivery: Delivering, target: Target, after: int, upto: int, most: int) -> list[Happened]:
    """The last notifications at positions in (after, upto] that are unread, the oldest first."""
    tenant, user_id = delivery.tenant, target.user_id
    ignored = (await delivery.badges.likings(user_id)).ignored
    since = tenant.clock.now() - TOO_OLD
    async with tenant.database.snapshot() as tx:
        rules = (await tenant.evaluators.rules_of(tx, (user_id,)))[user_id]
        wanted = stored.Wanted(user_id, upto + 1, most, ignored)
        positions = await find(tx, wanted, rules.classification, only_highlights=False)
        rows = await stored.notified_events(tx, user_id, [one for one in positions if one > after])
        invites = await invites_of(tx, (user_id,), after, upto)
    unread = [_unread(row) for row in rows if not row["read"] and row["origin_server_ts"] >= since]
    return sorted([*unread, *map(invited, invites)], key=lambda happened: happened.position)


def _unread(row: asyncpg.Record) -> Happened:
    return Happened(
        row["position"], RoomID(row["room_id"]), row["event_id"], row["type"], row["sender"], True, False, {}
    )


def invited(row: asyncpg.Record) -> Happened:
    """An invite as `invites_of` reads it."""
    about = (row["position"], RoomID(row["room_id"]), row["event_id"], "m.room.member", row["sender"])
    return Happened(*about, False, False, {}, row["user_id"])
