"""Sessions of user-interactive authentication: any process can serve the next step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from storage.database import Tx
from storage.statement import sql


@dataclass(frozen=True, slots=True)
class UiaSession:
    """How far somebody has come; `body` is the digest of what is asked for, empty while nothing was."""

    session: str
    purpose: str
    body: bytes
    completed: tuple[str, ...]
    facts: Mapping[str, str]


_INSERT = sql("INSERT INTO uia_sessions (session, purpose, body, created) VALUES ($1, $2, $3, $4)")


async def insert_session(tx: Tx, session: UiaSession, created: int) -> None:
    """Keeps a session in which nothing is completed yet."""
    await tx.execute(_INSERT, session.session, session.purpose, session.body, created)


_SESSION = sql("""
    SELECT session, purpose, body, completed, facts FROM uia_sessions WHERE session = $1 AND created >= $2
""")


async def get_session(tx: Tx, session: str, created_since: int) -> UiaSession | None:
    """The session, None for one that is unknown or too old."""
    row = await tx.fetchrow(_SESSION, session, created_since)
    if row is None:
        return None
    of = (row["session"], row["purpose"], row["body"])
    return UiaSession(*of, tuple(row["completed"]), orjson.loads(row["facts"]))


_COMPLETE = sql("""
    UPDATE uia_sessions
    SET completed = array_append(array_remove(completed, $2), $2),
        facts = convert_to((convert_from(facts, 'UTF8')::jsonb || convert_from($3::bytea, 'UTF8')::jsonb)::text, 'UTF8')
    WHERE session = $1
""")


async def complete_stage(tx: Tx, session: str, stage: str, facts: Mapping[str, str]) -> None:
    """Notes that a stage has been passed and what it has shown."""
    await tx.execute(_COMPLETE, session, stage, orjson.dumps(facts))


_BIND = sql("UPDATE uia_sessions SET body = $2 WHERE session = $1 AND body = ''")


async def bind_body(tx: Tx, session: str, body: bytes) -> None:
    """From now on the session is for this body only."""
    await tx.execute(_BIND, session, body)


_DELETE = sql("DELETE FROM uia_sessions WHERE session = $1 RETURNING true")


async def delete_session(tx: Tx, session: str) -> bool:
    """Ends the session; False when somebody else has ended it first."""
    return await tx.fetchval(_DELETE, session) is True


_DELETE_BEFORE = sql("DELETE FROM uia_sessions WHERE created < $1")


async def delete_sessions_before(tx: Tx, created: int) -> None:
    """Forgets old sessions."""
    await tx.execute(_DELETE_BEFORE, created)
