"""One-time keys: each is handed out once, in the order of upload."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from storage.database import Tx
from storage.statement import sql


@dataclass(frozen=True, slots=True)
class OneTimeKey:
    """A key of a device to be handed out, a one-time or a fallback key; `json` is a string or an object."""

    algorithm: str
    key_id: str
    json: bytes


@dataclass(frozen=True, slots=True)
class Wanted:
    """Somebody wants a key of this algorithm for this device."""

    user_id: str
    device_id: str
    algorithm: str


def columns_of(wanted: Collection[Wanted]) -> tuple[list[str], list[str], list[str]]:
    """As the statements take them: user IDs, device IDs, algorithms."""
    return [w.user_id for w in wanted], [w.device_id for w in wanted], [w.algorithm for w in wanted]


# The device is kept from being deleted meanwhile: otherwise keys might stay that belong to nobody.
_INSERT = sql("""
    WITH device AS (
        SELECT user_id, device_id FROM devices WHERE user_id = $1 AND device_id = $2 FOR KEY SHARE
    )
    INSERT INTO one_time_keys (user_id, device_id, algorithm, key_id, json)
    SELECT d.user_id, d.device_id, n.algorithm, n.key_id, n.json
    FROM device AS d, unnest($3::text[], $4::text[], $5::bytea[]) WITH ORDINALITY AS n (algorithm, key_id, json, number)
    ORDER BY n.number
    ON CONFLICT DO NOTHING
""")


async def insert_one_time_keys(tx: Tx, user_id: str, device_id: str, keys: Sequence[OneTimeKey]) -> int:
    """How many of the keys were added; those whose IDs are there already stay as they are."""
    columns = [k.algorithm for k in keys], [k.key_id for k in keys], [k.json for k in keys]
    tag = await tx.execute(_INSERT, user_id, device_id, *columns)
    return int(tag.rpartition(" ")[2])


_STORED = sql("""
    SELECT k.algorithm, k.key_id, k.json
    FROM unnest($3::text[], $4::text[]) AS n (algorithm, key_id)
    JOIN one_time_keys AS k ON k.user_id = $1 AND k.device_id = $2
        AND k.algorithm = n.algorithm AND k.key_id = n.key_id
""")


async def stored_one_time_keys(
    tx: Tx, user_id: str, device_id: str, keys: Sequence[OneTimeKey]
) -> list[OneTimeKey]:
    """What is stored under the IDs of these keys."""
    columns = [k.algorithm for k in keys], [k.key_id for k in keys]
    return [OneTimeKey(**row) for row in await tx.fetch(_STORED, user_id, device_id, *columns)]


_COUNTS = sql("""
    SELECT algorithm, count(*) AS count FROM one_time_keys WHERE user_id = $1 AND device_id = $2 GROUP BY algorithm
""")


async def one_time_key_counts(tx: Tx, user_id: str, device_id: str) -> dict[str, int]:
    """How many keys the device has left, by algorithm; algorithms without any are missing."""
    return {row["algorithm"]: row["count"] for row in await tx.fetch(_COUNTS, user_id, device_id)}


# Two requests at once do not wait for each other: the second passes over what the first has locked.
_TAKE = sql("""
    WITH taken AS MATERIALIZED (
        SELECT k.user_id, k.device_id, k.algorithm, k.key_id
        FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::text[], $3::text[])) AS w (user_id, device_id, algorithm)
        CROSS JOIN LATERAL (
            SELECT * FROM one_time_keys AS o
            WHERE o.user_id = w.user_id AND o.device_id = w.device_id AND o.algorithm = w.algorithm
            ORDER BY o.number LIMIT 1
            FOR UPDATE SKIP LOCKED
        ) AS k
    )
    DELETE FROM one_time_keys AS k USING taken AS t
    WHERE k.user_id = t.user_id AND k.device_id = t.device_id AND k.algorithm = t.algorithm AND k.key_id = t.key_id
    RETURNING k.user_id, k.device_id, k.algorithm, k.key_id, k.json
""")


async def take_one_time_keys(tx: Tx, wanted: Collection[Wanted]) -> dict[Wanted, OneTimeKey]:
    """The oldest key of each kind that is wanted, taken out of the store; what has run out is missing."""
    taken = {}
    for row in await tx.fetch(_TAKE, *columns_of(wanted)):
        user_id, device_id, algorithm, key_id, json = row
        taken[Wanted(user_id, device_id, algorithm)] = OneTimeKey(algorithm, key_id, json)
    return taken
