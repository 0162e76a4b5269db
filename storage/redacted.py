"""What redacted events said, for a while (MSC2815); and the events of a user that are to be redacted together (MSC4293)."""

from __future__ import annotations

from dataclasses import dataclass

from storage.database import Tx
from storage.events import SELECT_EVENT, StoredEvent, stored_event
from storage.statement import sql


@dataclass(frozen=True, slots=True)
class Original:
    """Whether an event was redacted, and what it said before, as far as that is still here."""

    is_redacted: bool
    json: bytes | None


_ORIGINAL = sql("""
    SELECT e.redacted_by IS NOT NULL AS is_redacted, o.json
    FROM events AS e LEFT JOIN redacted_originals AS o ON o.event_id = e.event_id WHERE e.event_id = $1
""")


async def original_of(tx: Tx, event_id: str) -> Original:
    """What the event said."""
    row = await tx.fetchrow(_ORIGINAL, event_id)
    return Original(False, None) if row is None else Original(**row)


_FORGET = sql("DELETE FROM redacted_originals WHERE redacted < now() - $1::bigint * interval '1 millisecond'")


async def forget_originals(tx: Tx, kept: int) -> None:
    """What was redacted longer ago is not kept any more (milliseconds)."""
    await tx.execute(_FORGET, kept)


_OF_SENDER = sql(
    SELECT_EVENT
    + """
    WHERE e.room_id = $1 AND e.sender = $2 AND e.standing <= 1 AND e.position >= $3 AND e.redacted_by IS NULL
        AND e.type NOT IN ('m.room.member', 'm.room.create', 'm.room.redaction')
    ORDER BY e.position DESC LIMIT $4
"""
)


async def sent_since(tx: Tx, room_id: str, user_id: str, position: int, most: int) -> list[StoredEvent]:
    """What the user has sent to the room since a position, the newest first."""
    return [stored_event(row) for row in await tx.fetch(_OF_SENDER, room_id, user_id, position, most)]
