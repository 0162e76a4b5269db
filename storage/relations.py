"""What events say of other events: relations, threads, redactions."""

from __future__ import annotations

from protocol.ids import EventID
from storage.database import Tx
from storage.statement import each, rows, sql

# Values: child, parent, room ID, relation type, event type, sender, key of an annotation or None.
APPEND_RELATION = rows(
    """
    INSERT INTO relations (position, child, parent, room_id, rel_type, type, sender, key)
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::text[])
    ON CONFLICT DO NOTHING
"""
)

# Values: does the event count as unread, room ID, the thread's root, event ID, sender.
APPEND_THREAD_EVENT = rows(
    """
    INSERT INTO thread_events (position, counts, room_id, root, event_id, sender)
    SELECT * FROM unnest($1::bigint[], $2::boolean[], $3::text[], $4::text[], $5::text[], $6::text[])
    ON CONFLICT DO NOTHING
"""
)

# An event that is about another (an edit, a reaction) is in the thread of that one, if it is in any.
# Values: does the event count as unread, room ID, the other event, event ID, sender.
FOLLOW_THREAD = each(
    """
    INSERT INTO thread_events (position, counts, room_id, root, event_id, sender)
    SELECT $1, $2, $3, parent.root, $5, $6 FROM thread_events AS parent
    WHERE parent.event_id = $4 AND parent.room_id = $3
    ON CONFLICT DO NOTHING
"""
)

# Values: redaction, its target, room ID, whether it was carried out.
APPEND_REDACTION = rows(
    """
    INSERT INTO redactions (redaction, target, room_id, applied)
    SELECT n.redaction, n.target, n.room_id, n.applied
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::boolean[])
        AS n (position, redaction, target, room_id, applied)
    ON CONFLICT DO NOTHING
"""
)

# A redacted event relates to nothing any more, and is nothing to be read. Values: event ID.
FORGET_RELATION = each("DELETE FROM relations WHERE child = $2 AND $1::bigint IS NOT NULL")
UNCOUNT_THREAD_EVENT = each(
    "UPDATE thread_events SET counts = false WHERE event_id = $2 AND $1::bigint IS NOT NULL"
)


_ANNOTATION = sql(
    """
    SELECT child FROM relations
    WHERE parent = $1 AND rel_type = 'm.annotation' AND type = $2 AND key = $3 AND sender = $4 LIMIT 1
"""
)


async def annotation_by(tx: Tx, parent: str, event_type: str, key: str, sender: str) -> EventID | None:
    """The sender's annotation of the event with this key, if there is one that is not redacted."""
    child: EventID | None = await tx.fetchval(_ANNOTATION, parent, event_type, key, sender)
    return child


_REL_TYPE = sql("SELECT rel_type FROM relations WHERE child = $1")


async def rel_type_of(tx: Tx, child: str) -> str | None:
    """How the event relates to another one; None if it does not."""
    rel_type: str | None = await tx.fetchval(_REL_TYPE, child)
    return rel_type
