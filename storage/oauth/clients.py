"""Clients that have registered themselves; the same metadata is one client."""

from __future__ import annotations

from storage.database import Tx
from storage.statement import sql

_REGISTER = sql("""
    INSERT INTO oauth_clients (client_id, metadata, used) VALUES ($1, $2, $3)
    ON CONFLICT (client_id) DO UPDATE SET used = greatest(oauth_clients.used, EXCLUDED.used)
""")


async def register_client(tx: Tx, client_id: str, metadata: bytes, now: int) -> None:
    """Keeps the client, or notes that it was asked for again."""
    await tx.execute(_REGISTER, client_id, metadata, now)


_CLIENT = sql("SELECT metadata FROM oauth_clients WHERE client_id = $1")


async def get_client(tx: Tx, client_id: str) -> bytes | None:
    """The metadata of the client."""
    metadata: bytes | None = await tx.fetchval(_CLIENT, client_id)
    return metadata


_USED = sql("UPDATE oauth_clients SET used = $2 WHERE client_id = $1 AND used < $2")


async def client_used(tx: Tx, client_id: str, now: int) -> None:
    """Somebody has let the client in."""
    await tx.execute(_USED, client_id, now)


_DROP_UNUSED = sql("""
    DELETE FROM oauth_clients c
    WHERE (c.used < $1 OR c.client_id IN (SELECT client_id FROM oauth_clients ORDER BY used DESC OFFSET $2))
        AND NOT EXISTS (SELECT FROM oauth_sessions s WHERE s.client_id = c.client_id)
""")


async def drop_unused_clients(tx: Tx, used_before: int, most: int) -> None:
    """Forgets clients without a session that were not used for long, and those used longest ago where there are too many."""
    await tx.execute(_DROP_UNUSED, used_before, most)
