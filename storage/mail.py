"""Mails that wait to be handed to the mail server."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from storage.database import Tx
from storage.statement import sql


@dataclass(frozen=True, slots=True)
class WaitingMail:
    """A mail that was taken to be sent; `message` has its headers, and `attempts` counts this one too."""

    number: int
    recipient: str
    message: bytes
    attempts: int
    expires: int


_INSERT = sql("INSERT INTO mails (due, expires, recipient, message) VALUES ($1, $2, $3, $4)")


async def insert_mail(tx: Tx, recipient: str, message: bytes, due: int, expires: int) -> None:
    """Keeps the mail until it is sent, or has expired."""
    await tx.execute(_INSERT, due, expires, recipient, message)


_TAKE = sql("""
    UPDATE mails SET due = $2, attempts = attempts + 1
    WHERE number IN (SELECT number FROM mails WHERE due <= $1 ORDER BY due LIMIT $3 FOR UPDATE SKIP LOCKED)
    RETURNING number, recipient, message, attempts, expires
""")


async def take_mails(tx: Tx, now: int, until: int, most: int) -> list[WaitingMail]:
    """The mails that are due, the oldest first; nobody else takes them before `until`."""
    found = [WaitingMail(**row) for row in await tx.fetch(_TAKE, now, until, most)]
    return sorted(found, key=lambda mail: mail.number)


_NEXT_DUE = sql("SELECT min(due) FROM mails")


async def next_due(tx: Tx) -> int | None:
    """When the next mail is to be sent; None when none waits."""
    due: int | None = await tx.fetchval(_NEXT_DUE)
    return due


_POSTPONE = sql("""
    UPDATE mails SET due = d.due FROM unnest($1::bigint[], $2::bigint[]) AS d (number, due) WHERE mails.number = d.number
""")


async def postpone_mails(tx: Tx, due: Sequence[tuple[int, int]]) -> None:
    """Each mail (its number) is tried again at its time."""
    await tx.execute(_POSTPONE, [number for number, _ in due], [at for _, at in due])


_DELETE = sql("DELETE FROM mails WHERE number = ANY($1::bigint[])")


async def delete_mails(tx: Tx, numbers: Collection[int]) -> None:
    """Forgets the mails: they have been sent, or never will be."""
    await tx.execute(_DELETE, list(numbers))
