"""Fallback keys: one for each algorithm, handed out again and again when the one-time keys have run out."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from storage.database import Tx
from storage.keys.one_time_keys import OneTimeKey, Wanted, columns_of
from storage.statement import sql

# The same key again is not a new one: if it has been used, it stays used.
_SET = sql("""
    WITH device AS (
        SELECT user_id, device_id FROM devices WHERE user_id = $1 AND device_id = $2 FOR KEY SHARE
    )
    INSERT INTO fallback_keys AS f (user_id, device_id, algorithm, key_id, json)
    SELECT d.user_id, d.device_id, n.algorithm, n.key_id, n.json
    FROM device AS d, unnest($3::text[], $4::text[], $5::bytea[]) AS n (algorithm, key_id, json)
    ON CONFLICT (user_id, device_id, algorithm) DO UPDATE
    SET key_id = excluded.key_id, json = excluded.json, used = false
    WHERE f.key_id <> excluded.key_id OR f.json <> excluded.json
""")


async def set_fallback_keys(tx: Tx, user_id: str, device_id: str, keys: Sequence[OneTimeKey]) -> None:
    """Puts the keys, one for each algorithm, in the place of the device's older ones."""
    columns = [k.algorithm for k in keys], [k.key_id for k in keys], [k.json for k in keys]
    await tx.execute(_SET, user_id, device_id, *columns)


_USE = sql("""
    WITH found AS MATERIALIZED (
        SELECT f.user_id, f.device_id, f.algorithm, f.used
        FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::text[], $3::text[])) AS w (user_id, device_id, algorithm)
        JOIN fallback_keys AS f USING (user_id, device_id, algorithm)
        ORDER BY f.user_id, f.device_id, f.algorithm
        FOR UPDATE OF f
    )
    UPDATE fallback_keys AS f SET used = true FROM found
    WHERE f.user_id = found.user_id AND f.device_id = found.device_id AND f.algorithm = found.algorithm
    RETURNING f.user_id, f.device_id, f.algorithm, f.key_id, f.json, found.used
""")


async def use_fallback_keys(
    tx: Tx, wanted: Collection[Wanted]
) -> tuple[dict[Wanted, OneTimeKey], list[Wanted]]:
    """The fallback keys for what is wanted, as far as there are any; and those that had not been used before."""
    found, fresh = {}, []
    for row in await tx.fetch(_USE, *columns_of(wanted)):
        user_id, device_id, algorithm, key_id, json, used = row
        key = Wanted(user_id, device_id, algorithm)
        found[key] = OneTimeKey(algorithm, key_id, json)
        if not used:
            fresh.append(key)
    return found, fresh


_UNUSED = sql("""
    SELECT algorithm FROM fallback_keys WHERE user_id = $1 AND device_id = $2 AND NOT used ORDER BY algorithm
""")


async def unused_fallback_key_types(tx: Tx, user_id: str, device_id: str) -> list[str]:
    """The algorithms for which the device has a fallback key that nobody was given yet."""
    return [row["algorithm"] for row in await tx.fetch(_UNUSED, user_id, device_id)]
