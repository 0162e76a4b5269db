"""Mailboxes in which two devices meet: a few kilobytes, for a minute, whoever knows the ID."""

from __future__ import annotations

from dataclasses import dataclass

from storage.database import Tx
from storage.statement import sql


@dataclass(frozen=True, slots=True)
class Mailbox:
    """What lies in it now; `version` changes whenever the content does."""

    id: str
    content: bytes
    content_type: str
    version: str
    modified: int
    expires: int


_INSERT = sql("""
    INSERT INTO rendezvous (id, content, content_type, version, modified, expires)
    SELECT $1, $2, $3, $4, $5, $6 WHERE (SELECT count(*) FROM rendezvous WHERE expires > $5) < $7
    RETURNING true
""")


async def insert_mailbox(tx: Tx, box: Mailbox, most: int) -> bool:
    """Keeps a new one; False where there are `most` already."""
    values = (box.id, box.content, box.content_type, box.version, box.modified, box.expires)
    return await tx.fetchval(_INSERT, *values, most) is True


_MAILBOX = sql("""
    SELECT id, content, content_type, version, modified, expires FROM rendezvous WHERE id = $1 AND expires > $2
""")


async def get_mailbox(tx: Tx, id: str, now: int) -> Mailbox | None:
    """The mailbox, unless its time is over."""
    row = await tx.fetchrow(_MAILBOX, id, now)
    return None if row is None else Mailbox(**row)


_REPLACE = sql("""
    UPDATE rendezvous SET content = $4, content_type = $5, version = $6, modified = $2
    WHERE id = $1 AND expires > $2 AND version = $3 RETURNING true
""")


async def replace_content(tx: Tx, box: Mailbox, instead_of: str) -> bool:
    """Puts in something else, `modified` now; False when the version is not what the writer has seen."""
    values = (box.content, box.content_type, box.version)
    return await tx.fetchval(_REPLACE, box.id, box.modified, instead_of, *values) is True


_DELETE = sql("DELETE FROM rendezvous WHERE id = $1 AND expires > $2 RETURNING true")


async def delete_mailbox(tx: Tx, id: str, now: int) -> bool:
    """Throws it away; False when there was none."""
    return await tx.fetchval(_DELETE, id, now) is True


_DELETE_EXPIRED = sql("DELETE FROM rendezvous WHERE expires <= $1")


async def delete_expired_mailboxes(tx: Tx, now: int) -> None:
    """Forgets those whose time is over."""
    await tx.execute(_DELETE_EXPIRED, now)
