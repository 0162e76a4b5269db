"""Pushers: where a user's notifications are to be sent."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from storage.database import Tx
from storage.statement import each, sql

_OF_USER = sql("SELECT json FROM pushers WHERE user_id = $1 ORDER BY created, app_id, pushkey")


async def pushers_of(tx: Tx, user_id: str) -> list[bytes]:
    """The user's pushers as the API shows them, JSON objects, the oldest first."""
    return [row["json"] for row in await tx.fetch(_OF_USER, user_id)]


# For the journal: (user_id, app_id, pushkey, device_id, created, json, enabled). It is told of what comes from now on; one
# that was there goes on where it was, unless it was switched off.
SET_PUSHER = each("""
    INSERT INTO pushers AS p (position, user_id, app_id, pushkey, device_id, created, json, enabled)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (user_id, app_id, pushkey) DO UPDATE
    SET device_id = excluded.device_id, json = excluded.json, enabled = excluded.enabled,
        position = CASE WHEN p.enabled THEN p.position ELSE excluded.position END,
        behind = p.behind AND p.enabled
""")

# For the journal: (user_id, app_id, pushkey).
DELETE_PUSHER = each(
    "DELETE FROM pushers WHERE user_id = $2 AND app_id = $3 AND pushkey = $4 AND $1::bigint IS NOT NULL"
)

# For the journal: (user_id, app_id, pushkey): those of other users with this app ID and pushkey.
DELETE_OTHERS_PUSHERS = each(
    "DELETE FROM pushers WHERE user_id <> $2 AND app_id = $3 AND pushkey = $4 AND $1::bigint IS NOT NULL"
)

_OTHERS = sql("SELECT user_id FROM pushers WHERE user_id <> $1 AND app_id = $2 AND pushkey = $3")


async def others_with(tx: Tx, user_id: str, app_id: str, pushkey: str) -> list[str]:
    """The other users who have a pusher with this app ID and pushkey."""
    return [row["user_id"] for row in await tx.fetch(_OTHERS, user_id, app_id, pushkey)]


_KEYS = sql("SELECT app_id, pushkey, device_id FROM pushers WHERE user_id = $1")


async def keys_of(tx: Tx, user_id: str) -> dict[tuple[str, str], str | None]:
    """(app ID, pushkey) -> device, of each of the user's pushers."""
    return {(row["app_id"], row["pushkey"]): row["device_id"] for row in await tx.fetch(_KEYS, user_id)}


_REJECTED = sql("DELETE FROM pushers WHERE app_id = $1 AND pushkey = $2 RETURNING user_id")


async def delete_rejected(tx: Tx, app_id: str, pushkey: str) -> list[str]:
    """There is no such device any more; whose pushers are gone."""
    return [row["user_id"] for row in await tx.fetch(_REJECTED, app_id, pushkey)]


@dataclass(frozen=True, slots=True)
class StoredPusher:
    """A pusher as it is delivered to; see the table."""

    user_id: str
    app_id: str
    pushkey: str
    device_id: str | None
    created: int
    json: bytes
    position: int
    enabled: bool
    behind: bool
    badge: int
    due: int | None


_COLUMNS = "user_id, app_id, pushkey, device_id, created, json, position, enabled, behind, badge, due"
_ALL = sql(f"SELECT {_COLUMNS} FROM pushers WHERE $1::text[] IS NULL OR user_id = ANY($1)")  # noqa: S608


async def stored_pushers(tx: Tx, user_ids: Collection[str] | None = None) -> list[StoredPusher]:
    """All pushers, or those of some users."""
    return [StoredPusher(**row) for row in await tx.fetch(_ALL, None if user_ids is None else list(user_ids))]


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a pusher has got to."""

    user_id: str
    app_id: str
    pushkey: str
    position: int
    behind: bool
    badge: int


_MARK = sql("""
    UPDATE pushers AS p SET position = greatest(p.position, m.position), behind = m.behind, badge = m.badge
    FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::boolean[], $6::int[])
        AS m (user_id, app_id, pushkey, position, behind, badge)
    WHERE p.user_id = m.user_id AND p.app_id = m.app_id AND p.pushkey = m.pushkey
""")


async def mark_pushers(tx: Tx, marks: Collection[Mark]) -> None:
    """Writes down where the pushers are, one mark a pusher."""
    columns = [
        [getattr(mark, name) for mark in marks]
        for name in ("user_id", "app_id", "pushkey", "position", "behind", "badge")
    ]
    await tx.execute(_MARK, *columns)


_DUE = sql("UPDATE pushers SET due = $4 WHERE user_id = $1 AND app_id = $2 AND pushkey = $3")


async def set_due(tx: Tx, user_id: str, app_id: str, pushkey: str, due: int | None) -> None:
    """The next digest is to be written then; None: when there is something again."""
    await tx.execute(_DUE, user_id, app_id, pushkey, due)
