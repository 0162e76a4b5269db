"""Authorisation codes: what a browser carries from us to a client."""

from __future__ import annotations

from dataclasses import dataclass

from storage.database import Tx
from storage.statement import sql


@dataclass(frozen=True, slots=True)
class Code:
    """What a code stands for; `challenge` is the S256 one of PKCE."""

    code_id: bytes
    client_id: str
    user_id: str
    device_id: str
    scope: str
    redirect_uri: str
    challenge: str
    expires: int
    used: bool = False


_INSERT = sql("""
    INSERT INTO oauth_codes (code_id, client_id, user_id, device_id, scope, redirect_uri, challenge, expires)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
""")


async def insert_code(tx: Tx, code: Code) -> None:
    """Keeps a new code."""
    of = (code.client_id, code.user_id, code.device_id, code.scope)
    await tx.execute(_INSERT, code.code_id, *of, code.redirect_uri, code.challenge, code.expires)


_CODE = sql("""
    SELECT code_id, client_id, user_id, device_id, scope, redirect_uri, challenge, expires, used
    FROM oauth_codes WHERE code_id = $1
""")


async def get_code(tx: Tx, code_id: bytes) -> Code | None:
    """The code, a used or expired one too."""
    row = await tx.fetchrow(_CODE, code_id)
    return None if row is None else Code(**row)


_TAKE = sql("UPDATE oauth_codes SET used = true WHERE code_id = $1 AND NOT used RETURNING true")


async def take_code(tx: Tx, code_id: bytes) -> bool:
    """Uses the code; False when somebody else has been faster. Others who try wait for the end of this transaction."""
    return await tx.fetchval(_TAKE, code_id) is True


_DELETE_BEFORE = sql("DELETE FROM oauth_codes WHERE expires < $1")


async def delete_codes_before(tx: Tx, expired: int) -> None:
    """Forgets codes that expired before then."""
    await tx.execute(_DELETE_BEFORE, expired)
