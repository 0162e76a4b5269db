"""The keys that other servers sign with, as they were last published."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from protocol.ids import ServerName
from storage.database import Tx
from storage.statement import sql


@dataclass(frozen=True, slots=True)
class StoredKey:
    """One key of a server; `json` is the signed object that it was published in."""

    server_name: ServerName
    key_id: str
    key: str
    valid_until: int
    is_current: bool
    fetched: int
    published_until: int
    json: bytes


_KEYS_OF = sql(
    """
    SELECT server_name, key_id, key, valid_until, is_current, fetched, published_until, json
    FROM server_keys WHERE server_name = ANY($1)
"""
)

# What a server says itself goes before what we had. What a notary passes on may be older than that.
_KEEP = sql(
    """
    INSERT INTO server_keys AS k
        (server_name, key_id, key, valid_until, is_current, fetched, published_until, json)
    SELECT $1::text, key_id, key, valid_until, is_current, $2::bigint, $3::bigint, $4::bytea
    FROM unnest($5::text[], $6::text[], $7::bigint[], $8::boolean[]) AS new (key_id, key, valid_until, is_current)
    ON CONFLICT (server_name, key_id) DO UPDATE SET key = excluded.key, valid_until = excluded.valid_until,
        is_current = excluded.is_current, fetched = excluded.fetched, published_until = excluded.published_until,
        json = excluded.json
    WHERE $9::boolean OR excluded.published_until > k.published_until
"""
)


async def keys_of(tx: Tx, servers: Collection[ServerName]) -> list[StoredKey]:
    """All keys of these servers that were ever seen."""
    return [StoredKey(**row) for row in await tx.fetch(_KEYS_OF, list(servers))]


async def keep_keys(tx: Tx, keys: Sequence[StoredKey], *, said_by_itself: bool) -> None:
    """Keeps the keys of one object; those that came through a notary only where they are newer."""
    first = keys[0]
    await tx.execute(
        _KEEP,
        first.server_name,
        first.fetched,
        first.published_until,
        first.json,
        [key.key_id for key in keys],
        [key.key for key in keys],
        [key.valid_until for key in keys],
        [key.is_current for key in keys],
        said_by_itself,
    )
