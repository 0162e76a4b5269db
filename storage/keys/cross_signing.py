"""Users' cross-signing keys: master, self-signing, user-signing."""

from __future__ import annotations

from collections.abc import Collection

from storage.database import Tx
from storage.statement import each, sql

_OF_USERS = sql("SELECT user_id, usage, json FROM cross_signing_keys WHERE user_id = ANY($1::text[])")


async def cross_signing_keys_of(tx: Tx, users: Collection[str]) -> dict[tuple[str, str], bytes]:
    """The keys (JSON) of these users, by user ID and usage."""
    return {(row["user_id"], row["usage"]): row["json"] for row in await tx.fetch(_OF_USERS, list(users))}


# Values: user ID, usages, the keys (JSON), is the master key a new one (then those that are not given are gone), and
# the public keys and key IDs that are replaced: signatures of and by them are worth nothing now.
SET_CROSS_SIGNING_KEYS = each("""
    WITH outdated AS (
        DELETE FROM cross_signing_keys WHERE user_id = $2 AND usage <> ALL($3::text[]) AND $5::boolean
    ), outdated_signature AS (
        DELETE FROM key_signatures
        WHERE target = $2 AND (target_key = ANY($6::text[]) OR signer = $2 AND signer_key = ANY($7::text[]))
    )
    INSERT INTO cross_signing_keys (user_id, usage, json)
    SELECT $2, n.usage, n.json FROM unnest($3::text[], $4::bytea[]) AS n (usage, json) WHERE $1::bigint IS NOT NULL
    ON CONFLICT (user_id, usage) DO UPDATE SET json = excluded.json
""")
