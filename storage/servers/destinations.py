"""The servers that we deliver to: up to where each has everything, whether it can be reached, and who delivers.

One process delivers to a server. It holds the server's row for a while (`LEASE`, by the clock of the database) and goes
on holding it by delivering; one that dies lets go by not doing so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from protocol.ids import ServerName
from storage.database import Tx
from storage.statement import sql


@dataclass(frozen=True, slots=True)
class Claimed:
    """A destination that is ours to deliver to: all up to `position` is delivered. Another process may have been at it."""

    position: int
    failing_since: int | None
    retry_at: int
    retry_after: int
    was_anothers: bool


_CLAIM = sql("""
    WITH n AS (SELECT * FROM unnest($1::text[], $3::bigint[]) AS n (server, position)),
    before AS (SELECT d.server, d.holder FROM destinations AS d JOIN n ON n.server = d.server)
    INSERT INTO destinations AS d (server, position, holder, held_until)
    SELECT server, position, $2, now() + interval '2 minutes' FROM n ORDER BY server
    ON CONFLICT (server) DO UPDATE SET holder = excluded.holder, held_until = excluded.held_until
    WHERE d.holder IS NULL OR d.holder = $2 OR d.held_until < now()
    RETURNING server, position, failing_since, retry_at, retry_after,
        coalesce((SELECT holder FROM before AS b WHERE b.server = d.server) <> $2, false) AS was_anothers
""")


async def claim(tx: Tx, wanted: Mapping[ServerName, int], process: str) -> dict[ServerName, Claimed]:
    """Those of the destinations that no other process holds, from now on ours; each with the position for one that is new."""
    found = await tx.fetch(_CLAIM, list(wanted), process, list(wanted.values()))
    return {ServerName(server): Claimed(*values) for server, *values in found}


_DELIVERED = sql("""
    UPDATE destinations AS d
    SET position = greatest(d.position, n.position), failing_since = NULL, retry_at = 0, retry_after = 0,
        held_until = now() + interval '2 minutes'
    FROM unnest($2::text[], $3::bigint[]) AS n (server, position)
    WHERE d.server = n.server AND d.holder = $1
""")


async def set_delivered(tx: Tx, process: str, delivered: Mapping[ServerName, int]) -> None:
    """The servers have all up to these positions; they go on being ours."""
    await tx.execute(_DELIVERED, process, list(delivered), list(delivered.values()))


_RELEASE = sql("""
    UPDATE destinations AS d SET position = greatest(d.position, n.position), holder = NULL, held_until = NULL
    FROM unnest($2::text[], $3::bigint[]) AS n (server, position)
    WHERE d.server = n.server AND d.holder = $1
""")


async def release(tx: Tx, process: str, delivered: Mapping[ServerName, int]) -> None:
    """The servers have all up to these positions, and are free for other processes."""
    await tx.execute(_RELEASE, process, list(delivered), list(delivered.values()))


_FAILED = sql("""
    UPDATE destinations AS d SET failing_since = coalesce(d.failing_since, n.at), retry_at = n.at + n.pause,
        retry_after = n.pause, holder = NULL, held_until = NULL
    FROM unnest($2::text[], $3::bigint[], $4::bigint[]) AS n (server, at, pause)
    WHERE d.server = n.server AND (d.holder = $1 OR d.holder IS NULL)
""")


async def set_failed(tx: Tx, process: str, failed: Mapping[ServerName, tuple[int, int]]) -> None:
    """The servers could not be reached then (ms), and will be tried again after a pause (ms), by whoever comes first."""
    at, pauses = zip(*failed.values(), strict=True)
    await tx.execute(_FAILED, process, list(failed), list(at), list(pauses))


_HEARD = sql("UPDATE destinations SET retry_at = 0 WHERE server = $1 AND retry_at > $2")


async def end_pause(tx: Tx, server: str, now: int) -> bool:
    """The server has been heard from; was there a pause to be ended?"""
    return await tx.execute(_HEARD, server, now) != "UPDATE 0"


_PAUSING = sql("SELECT server, retry_at, retry_after FROM destinations WHERE retry_at > $1")


async def pausing(tx: Tx, now: int) -> list[tuple[str, int, int]]:
    """The servers that could not be reached: (server, when it is to be tried again, after which pause)."""
    return [(row["server"], row["retry_at"], row["retry_after"]) for row in await tx.fetch(_PAUSING, now)]


_BEHIND = sql("""
    SELECT server, (
        failing_since IS NOT NULL
        OR EXISTS (SELECT FROM outbox AS o WHERE o.server = d.server)
        OR EXISTS (
            SELECT FROM room_servers AS s JOIN rooms AS r ON r.room_id = s.room_id
            WHERE s.server = d.server AND r.position > d.position
                AND (s.joined > 0 OR s.until > d.position OR s.targeted > d.position)
        )
        OR EXISTS (
            SELECT FROM device_changes AS c
            JOIN memberships AS m ON m.user_id = c.user_id AND m.is_local AND m.membership = 'join'
            JOIN room_servers AS s ON s.room_id = m.room_id
            WHERE c.position > d.position AND s.server = d.server AND s.joined > 0
        )
    ) AS is_behind
    FROM destinations AS d
    WHERE retry_at <= $1 AND (holder IS NULL OR holder = $2 OR held_until < now())
    ORDER BY d.server
""")


async def maybe_behind(tx: Tx, now: int, process: str) -> dict[str, bool]:
    """The servers that nobody is delivering to, and of each whether it may lack something."""
    return {row["server"]: row["is_behind"] for row in await tx.fetch(_BEHIND, now, process)}


_ABANDONED = sql("""
    SELECT server FROM destinations
    WHERE holder IS NOT NULL AND held_until < now() OR holder IS NULL AND failing_since IS NOT NULL AND retry_at < $1
""")


async def abandoned(tx: Tx, before: int) -> list[str]:
    """The servers whose process has died, or has not tried again what it should have tried before this time."""
    return [row["server"] for row in await tx.fetch(_ABANDONED, before)]
