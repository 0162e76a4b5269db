"""Sessions in which somebody shows that an address is theirs: any process can serve the next step."""

from __future__ import annotations

from dataclasses import dataclass

from storage.database import Tx
from storage.statement import sql


@dataclass(frozen=True, slots=True)
class ThreepidSession:
    """`purpose` is the one thing that it is good for; without a token nothing can validate it."""

    sid: str
    purpose: str
    medium: str
    address: str
    client_secret: str
    token: str | None
    send_attempt: int
    next_link: str | None
    created: int
    validated_at: int | None = None


_BEGIN = sql("""
    INSERT INTO threepid_sessions AS old
        (sid, purpose, medium, address, client_secret, token, send_attempt, next_link, created)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (purpose, medium, address, client_secret) DO UPDATE
    SET sid = CASE WHEN old.created < $10 THEN excluded.sid ELSE old.sid END,
        token = CASE WHEN old.created < $10 THEN excluded.token ELSE coalesce(old.token, excluded.token) END,
        validated_at = CASE WHEN old.created < $10 THEN NULL ELSE old.validated_at END,
        created = CASE WHEN old.created < $10 THEN excluded.created ELSE old.created END,
        send_attempt = excluded.send_attempt,
        next_link = excluded.next_link
    WHERE old.created < $10 OR old.send_attempt < excluded.send_attempt
    RETURNING sid, purpose, medium, address, client_secret, token, send_attempt, next_link, created, validated_at
""")


async def begin_session(tx: Tx, new: ThreepidSession, created_since: int) -> ThreepidSession | None:
    """The session of this client for the address: a new one, or the one that it has, if it is not older than that.

    None when the client has asked for this attempt, or a later one, before: there is nothing to send then.
    """
    place = (new.sid, new.purpose, new.medium, new.address, new.client_secret)
    rest = (new.token, new.send_attempt, new.next_link, new.created)
    row = await tx.fetchrow(_BEGIN, *place, *rest, created_since)
    return None if row is None else ThreepidSession(**row)


_OF_CLIENT = sql("""
    SELECT sid FROM threepid_sessions WHERE purpose = $1 AND medium = $2 AND address = $3 AND client_secret = $4
""")


async def sid_of(tx: Tx, like: ThreepidSession) -> str | None:
    """The session that the client has for the address."""
    sid: str | None = await tx.fetchval(
        _OF_CLIENT, like.purpose, like.medium, like.address, like.client_secret
    )
    return sid


_SESSION = sql("""
    SELECT sid, purpose, medium, address, client_secret, token, send_attempt, next_link, created, validated_at
    FROM threepid_sessions WHERE sid = $1 AND created >= $2
""")


async def get_session(tx: Tx, sid: str, created_since: int) -> ThreepidSession | None:
    """The session; None for one that is unknown or too old."""
    row = await tx.fetchrow(_SESSION, sid, created_since)
    return None if row is None else ThreepidSession(**row)


_VALIDATE = sql("UPDATE threepid_sessions SET validated_at = coalesce(validated_at, $2) WHERE sid = $1")


async def validate_session(tx: Tx, sid: str, now: int) -> None:
    """Notes that the address has been shown to be the client's."""
    await tx.execute(_VALIDATE, sid, now)


_DELETE = sql("DELETE FROM threepid_sessions WHERE sid = $1 RETURNING true")


async def delete_session(tx: Tx, sid: str) -> bool:
    """Ends the session: it is good for its purpose once. False when somebody else has ended it first."""
    return await tx.fetchval(_DELETE, sid) is True


_DELETE_BEFORE = sql("DELETE FROM threepid_sessions WHERE created < $1")


async def delete_sessions_before(tx: Tx, created: int) -> None:
    """Forgets old sessions."""
    await tx.execute(_DELETE_BEFORE, created)
