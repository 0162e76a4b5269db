"""Codes of the device authorisation grant: the client polls with one, a person types the other."""

from __future__ import annotations

from dataclasses import dataclass

from storage.database import Tx
from storage.statement import sql


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What a client waits for; `user_id` is who has answered, `denied` what."""

    code_id: bytes
    user_code: str
    client_id: str
    device_id: str
    scope: str
    expires: int
    pace: int
    polled: int
    user_id: str | None = None
    denied: bool = False
    used: bool = False


_INSERT = sql("""
    INSERT INTO oauth_device_codes (code_id, user_code, client_id, device_id, scope, expires, pace, polled)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING true
""")


async def insert_device_code(tx: Tx, code: DeviceCode) -> bool:
    """Keeps a new code; False when somebody types this very user code for another device just now."""
    of = (code.client_id, code.device_id, code.scope)
    values = (code.code_id, code.user_code, *of, code.expires, code.pace, code.polled)
    return await tx.fetchval(_INSERT, *values) is True


_BY_ID = sql("""
    SELECT code_id, user_code, client_id, device_id, scope, expires, pace, polled, user_id, denied, used
    FROM oauth_device_codes WHERE code_id = $1 FOR UPDATE
""")


async def lock_device_code(tx: Tx, code_id: bytes) -> DeviceCode | None:
    """The code that a client polls with, for this transaction alone."""
    row = await tx.fetchrow(_BY_ID, code_id)
    return None if row is None else DeviceCode(**row)


_BY_USER_CODE = sql("""
    SELECT code_id, user_code, client_id, device_id, scope, expires, pace, polled, user_id, denied, used
    FROM oauth_device_codes WHERE user_code = $1 AND user_id IS NULL AND expires > $2
""")


async def get_by_user_code(tx: Tx, user_code: str, now: int) -> DeviceCode | None:
    """The code that a person has typed, if it still waits for an answer."""
    row = await tx.fetchrow(_BY_USER_CODE, user_code, now)
    return None if row is None else DeviceCode(**row)


_POLLED = sql("UPDATE oauth_device_codes SET polled = $2, pace = $3 WHERE code_id = $1")


async def polled(tx: Tx, code_id: bytes, now: int, pace: int) -> None:
    """Notes that the client has asked, and how long it must leave before it asks again."""
    await tx.execute(_POLLED, code_id, now, pace)


_ANSWER = sql("""
    UPDATE oauth_device_codes SET user_id = $2, denied = $3 WHERE code_id = $1 AND user_id IS NULL RETURNING true
""")


async def answer(tx: Tx, code_id: bytes, user_id: str, *, denied: bool) -> bool:
    """Notes what the user has said; False when somebody has answered before."""
    return await tx.fetchval(_ANSWER, code_id, user_id, denied) is True


_TAKE = sql("UPDATE oauth_device_codes SET used = true WHERE code_id = $1 AND NOT used RETURNING true")


async def take_device_code(tx: Tx, code_id: bytes) -> bool:
    """Uses the code; False when it has been used."""
    return await tx.fetchval(_TAKE, code_id) is True


_DELETE_BEFORE = sql("DELETE FROM oauth_device_codes WHERE expires < $1")


async def delete_device_codes_before(tx: Tx, expired: int) -> None:
    """Forgets codes that expired before then."""
    await tx.execute(_DELETE_BEFORE, expired)
