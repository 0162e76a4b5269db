"""Events that are to be sent later (MSC4140), and for a while those that have been."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from protocol.ids import DeviceID, EventID, RoomID, UserID
from storage.database import Tx
from storage.statement import sql


@dataclass(frozen=True, slots=True)
class DelayedEvent:
    """A row: `finalised` is when it was sent (`event_id`), failed (`error`) or was cancelled; None while it waits."""

    delay_id: str
    user_id: UserID
    device_id: DeviceID | None
    room_id: RoomID
    type: str
    state_key: str | None
    content: bytes
    due: int
    since: int
    delay: int
    txn_id: str | None = None
    finalised: int | None = None
    event_id: EventID | None = None
    error: bytes | None = None


def _delayed(row: asyncpg.Record) -> DelayedEvent:
    return DelayedEvent(**{name: row[name] for name in DelayedEvent.__slots__})


_INSERT = sql("""
    INSERT INTO delayed_events (delay_id, user_id, device_id, room_id, type, state_key, content, due, since, delay, txn_id,
        txn_digest, seen)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, (SELECT position FROM journal)
    WHERE (SELECT count(*) FROM delayed_events WHERE user_id = $2 AND finalised IS NULL) < $13
    ON CONFLICT (txn_digest) DO NOTHING RETURNING true
""")


async def insert_delayed(tx: Tx, event: DelayedEvent, txn_digest: bytes | None, most: int) -> bool:
    """Keeps the event; False when the user has `most` of them waiting, or the transaction was there before."""
    who = (event.delay_id, event.user_id, event.device_id, event.room_id)
    what = (event.type, event.state_key, event.content)
    when = (event.due, event.since, event.delay)
    return await tx.fetchval(_INSERT, *who, *what, *when, event.txn_id, txn_digest, most) is True


_OF_TXN = sql("SELECT delay_id FROM delayed_events WHERE txn_digest = $1")


async def delayed_of_txn(tx: Tx, txn_digest: bytes) -> str | None:
    """The ID of what the transaction left."""
    value: str | None = await tx.fetchval(_OF_TXN, txn_digest)
    return value


_FIRST = sql("SELECT min(due) FROM delayed_events WHERE user_id = $1 AND finalised IS NULL")


async def first_due(tx: Tx, user_id: str) -> int | None:
    """When the user's next one is to be sent."""
    value: int | None = await tx.fetchval(_FIRST, user_id)
    return value


# A state event is not sent any more once somebody else has set what it would set.
_SETTLE = sql("""
    UPDATE delayed_events AS d SET finalised = $1, error = $4
    WHERE d.finalised IS NULL AND d.lease <= $1 AND d.state_key IS NOT NULL AND (d.user_id = $2 OR d.delay_id = ANY($3::text[]))
        AND EXISTS (
            SELECT FROM state_deltas AS s JOIN events AS e ON e.event_id = s.event_id
            WHERE s.room_id = d.room_id AND s.position > d.seen AND s.type = d.type AND s.state_key = d.state_key
                AND e.sender <> d.user_id
        )
""")


async def cancel_overtaken(
    tx: Tx, now: int, why: bytes, user_id: str | None = None, delay_ids: Sequence[str] = ()
) -> None:
    """Cancels what others have overtaken, of one user or of some events; `why` is the error that stands there."""
    await tx.execute(_SETTLE, now, user_id, list(delay_ids), why)


_BY_ID = sql("SELECT * FROM delayed_events WHERE delay_id = $1")


async def get_delayed(tx: Tx, delay_id: str) -> DelayedEvent | None:
    """One of them, whether it waits or not."""
    row = await tx.fetchrow(_BY_ID, delay_id)
    return None if row is None else _delayed(row)


_WAITING = sql("SELECT * FROM delayed_events WHERE user_id = $1 AND finalised IS NULL ORDER BY due, number")


async def waiting_of(tx: Tx, user_id: str) -> list[DelayedEvent]:
    """All of the user's that wait, in the order in which they will be sent."""
    return [_delayed(row) for row in await tx.fetch(_WAITING, user_id)]


_RESTART = sql("""
    UPDATE delayed_events SET due = $2 + delay, since = $2, seen = (SELECT position FROM journal)
    WHERE delay_id = $1 AND finalised IS NULL AND lease <= $2 RETURNING true
""")


async def restart(tx: Tx, delay_id: str, now: int) -> bool:
    """Its time begins to run anew; False when it does not wait."""
    return await tx.fetchval(_RESTART, delay_id, now) is True


_CANCEL = sql("""
    UPDATE delayed_events SET finalised = $2 WHERE delay_id = $1 AND finalised IS NULL AND lease <= $2 RETURNING true
""")


async def cancel(tx: Tx, delay_id: str, now: int) -> bool:
    """It is not sent; False when it does not wait."""
    return await tx.fetchval(_CANCEL, delay_id, now) is True


_TAKE = sql("""
    UPDATE delayed_events SET lease = $3 WHERE delay_id = $1 AND finalised IS NULL AND lease <= $2 RETURNING *
""")


async def take(tx: Tx, delay_id: str, now: int, until: int) -> DelayedEvent | None:
    """The event, which is the caller's to send until then; None when it does not wait."""
    row = await tx.fetchrow(_TAKE, delay_id, now, until)
    return None if row is None else _delayed(row)


_DUE = sql("""
    SELECT delay_id FROM delayed_events WHERE finalised IS NULL AND due <= $1 AND lease <= $1
    ORDER BY due, number LIMIT $2 FOR UPDATE SKIP LOCKED
""")
_TAKE_ALL = sql("""
    UPDATE delayed_events SET lease = $2 WHERE delay_id = ANY($1::text[]) AND finalised IS NULL RETURNING *
""")


async def take_due(tx: Tx, now: int, until: int, most: int, why: bytes) -> tuple[list[DelayedEvent], bool]:
    """What is due, in order, and the caller's to send until then; and whether there was any. In one transaction."""
    ids = [row["delay_id"] for row in await tx.fetch(_DUE, now, most)]
    if not ids:
        return [], False
    await cancel_overtaken(tx, now, why, delay_ids=ids)
    rows = await tx.fetch(_TAKE_ALL, ids, until)
    return [_delayed(row) for row in sorted(rows, key=lambda row: (row["due"], row["number"]))], True


_FINISH = sql("""
    UPDATE delayed_events SET finalised = $2, event_id = $3, error = $4 WHERE delay_id = $1 AND finalised IS NULL
""")


async def finish(tx: Tx, delay_id: str, now: int, event_id: str | None, error: bytes | None = None) -> None:
    """It has been sent, or could not be."""
    await tx.execute(_FINISH, delay_id, now, event_id, error)


_RELEASE = sql("UPDATE delayed_events SET lease = $2 WHERE delay_id = $1 AND finalised IS NULL")


async def release(tx: Tx, delay_id: str, until: int) -> None:
    """It has not been sent, and whoever looks after that time may try."""
    await tx.execute(_RELEASE, delay_id, until)


_NEXT = sql("SELECT min(greatest(due, lease)) FROM delayed_events WHERE finalised IS NULL")


async def next_due(tx: Tx) -> int | None:
    """When there is something to do again."""
    value: int | None = await tx.fetchval(_NEXT)
    return value


_FORGET = sql("DELETE FROM delayed_events WHERE finalised < $1")


async def forget_finalised(tx: Tx, before: int) -> None:
    """Nobody asks any more what became of those."""
    await tx.execute(_FORGET, before)
