"""Which threads users want to be told of (MSC4306)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from protocol.ids import UserID
from storage.database import Tx
from storage.statement import each, sql


@dataclass(frozen=True, slots=True)
class Subscription:
    """How a user stands to a thread since a position; `automatic`: the client subscribed for the user."""

    position: int
    subscribed: bool
    automatic: bool
    room_id: str
    root: str


# Values: user ID, room ID, root, automatic, the position of the event that caused it (NULL: the user did). What was
# subscribed to by hand stays so, and what was unsubscribed from after that event stays as it is.
SUBSCRIBE = each("""
    INSERT INTO thread_subscriptions AS t (position, subscribed, user_id, room_id, root, automatic)
    VALUES ($1, true, $2, $3, $4, $5)
    ON CONFLICT (user_id, room_id, root) DO UPDATE
    SET position = excluded.position, subscribed = true, automatic = excluded.automatic
    WHERE CASE WHEN t.subscribed THEN t.automatic AND NOT excluded.automatic
        ELSE $6::bigint IS NULL OR t.position < $6 END
""")

# Values: user ID, room ID, root.
UNSUBSCRIBE = each("""
    INSERT INTO thread_subscriptions AS t (position, subscribed, automatic, user_id, room_id, root)
    VALUES ($1, false, false, $2, $3, $4)
    ON CONFLICT (user_id, room_id, root) DO UPDATE
    SET position = excluded.position, subscribed = false, automatic = false
    WHERE t.subscribed
""")

_ONE = sql("""
    SELECT position, subscribed, automatic, room_id, root FROM thread_subscriptions
    WHERE user_id = $1 AND room_id = $2 AND root = $3
""")


async def subscription_of(tx: Tx, user_id: str, room_id: str, root: str) -> Subscription | None:
    """How the user stands to the thread; None who has never said."""
    row = await tx.fetchrow(_ONE, user_id, room_id, root)
    return None if row is None else Subscription(**row)


_SUBSCRIBERS = sql("""
    SELECT user_id FROM thread_subscriptions
    WHERE user_id = ANY($1::text[]) AND room_id = $2 AND root = $3 AND subscribed
""")


async def subscribers_of(tx: Tx, users: Collection[str], room_id: str, root: str) -> set[UserID]:
    """Those of the users who are subscribed to the thread."""
    return {row["user_id"] for row in await tx.fetch(_SUBSCRIBERS, list(users), room_id, root)}


_CHANGES = sql("""
    SELECT position, subscribed, automatic, room_id, root FROM thread_subscriptions
    WHERE user_id = $1 AND position > $2 AND position < $3 AND (subscribed OR NOT $4)
    ORDER BY position DESC LIMIT $5
""")


async def subscription_changes(
    tx: Tx, user_id: str, after: int, before: int, limit: int, *, subscribed_only: bool = False
) -> list[Subscription]:
    """The newest changes between two positions, without them."""
    rows = await tx.fetch(_CHANGES, user_id, after, before, subscribed_only, limit)
    return [Subscription(**row) for row in rows]


_IN_THREAD = sql("SELECT position FROM thread_events WHERE event_id = $1 AND room_id = $2 AND root = $3")


async def position_in_thread(tx: Tx, event_id: str, room_id: str, root: str) -> int | None:
    """The position of an event of the thread; None of what is not in it, as its root is not."""
    value: int | None = await tx.fetchval(_IN_THREAD, event_id, room_id, root)
    return value
