"""Signatures of devices' and master keys that were uploaded after the keys themselves."""

from __future__ import annotations

from collections.abc import Collection

from storage.database import Tx
from storage.statement import each, sql

Signatures = dict[tuple[str, str], dict[str, dict[str, str]]]
"""By user and the key's name (device ID or public key): signer -> key ID -> signature."""

_VISIBLE = sql("""
    SELECT target, target_key, signer, signer_key, signature FROM key_signatures
    WHERE target = ANY($1::text[]) AND (signer = target OR signer = $2)
""")


async def visible_signatures(tx: Tx, targets: Collection[str], viewer: str) -> Signatures:
    """The signatures of these users' keys that the viewer may see: the owners' and the viewer's own."""
    found: Signatures = {}
    for row in await tx.fetch(_VISIBLE, list(targets), viewer):
        by = found.setdefault((row["target"], row["target_key"]), {}).setdefault(row["signer"], {})
        by[row["signer_key"]] = row["signature"]
    return found


# Values, both: signer, then arrays: users whose keys are signed, the keys' names, key IDs of the signer, signatures.
SIGN_OWN_KEYS = each("""
    INSERT INTO key_signatures (target, target_key, signer, signer_key, signature)
    SELECT n.target, n.target_key, $2, n.signer_key, n.signature
    FROM unnest($3::text[], $4::text[], $5::text[], $6::text[]) AS n (target, target_key, signer_key, signature)
    WHERE $1::bigint IS NOT NULL
    ON CONFLICT (target, target_key, signer, signer_key) DO UPDATE SET signature = excluded.signature
""")
SIGN_USERS = each("""
    WITH signature AS (
        INSERT INTO key_signatures (target, target_key, signer, signer_key, signature)
        SELECT n.target, n.target_key, $2, n.signer_key, n.signature
        FROM unnest($3::text[], $4::text[], $5::text[], $6::text[]) AS n (target, target_key, signer_key, signature)
        ON CONFLICT (target, target_key, signer, signer_key) DO UPDATE SET signature = excluded.signature
    )
    INSERT INTO user_signature_changes (position, signer, target)
    SELECT DISTINCT $1::bigint, $2, target FROM unnest($3::text[]) AS n (target)
    ON CONFLICT (signer, target) DO UPDATE SET position = excluded.position
""")
