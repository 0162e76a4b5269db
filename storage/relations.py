"""What events say of other events: relations, threads, redactions."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from protocol.ids import EventID
from storage.database import Tx
from storage.statement import each, rows, sql

# Values: child, parent, room ID, relation type, event type, sender, key of an annotation or None, the child's position
# where it is not the journal's (history).
APPEND_RELATION = rows(
    """
    INSERT INTO relations (position, child, parent, room_id, rel_type, type, sender, key)
    SELECT coalesce(n.own_position, n.position), n.child, n.parent, n.room_id, n.rel_type, n.type, n.sender, n.key
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
        $9::bigint[]) AS n (position, child, parent, room_id, rel_type, type, sender, key, own_position)
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


_TREE = """
    WITH RECURSIVE tree (child, position, rel_type, type, level) AS (
        SELECT child, position, rel_type, type, 1 FROM relations WHERE parent = $1 AND room_id = $2
        UNION
        SELECT r.child, r.position, r.rel_type, r.type, tree.level + 1
        FROM tree JOIN relations AS r ON r.parent = tree.child AND r.room_id = $2 WHERE tree.level < $3
    )
    SELECT child FROM tree
    WHERE ($4::text IS NULL OR rel_type = $4) AND ($5::text IS NULL OR type = $5) AND position > $6 AND position <= $7
    GROUP BY child, position
"""
_TREE_BACKWARDS = sql(_TREE + "ORDER BY position DESC LIMIT $8")
_TREE_FORWARDS = sql(_TREE + "ORDER BY position LIMIT $8")


@dataclass(frozen=True, slots=True)
class Related:
    """What is wanted of an event's children, down to a `depth`; None: any relation, any type."""

    room_id: str
    parent: str
    depth: int = 1
    rel_type: str | None = None
    type: str | None = None


async def children_of(
    tx: Tx, related: Related, after: int, upto: int, limit: int, *, is_backwards: bool
) -> list[str]:
    """The events at positions in (after, upto] that relate to the event: the newest first, or the oldest."""
    statement = _TREE_BACKWARDS if is_backwards else _TREE_FORWARDS
    wanted = (related.parent, related.room_id, related.depth, related.rel_type, related.type)
    return [row["child"] for row in await tx.fetch(statement, *wanted, after, upto, limit)]


_THREADS = sql(
    """
    SELECT r.parent AS root, r.position
    FROM relations AS r JOIN events AS e ON e.event_id = r.parent AND e.room_id = r.room_id
    WHERE r.room_id = $1 AND r.rel_type = 'm.thread' AND r.position <= $2 AND r.sender <> ALL($3::text[])
        AND e.standing <= 1
        AND NOT EXISTS (
            SELECT FROM relations AS later
            WHERE later.parent = r.parent AND later.rel_type = 'm.thread' AND later.position > r.position
                AND later.position <= $4 AND later.room_id = $1 AND later.sender <> ALL($3)
        )
        AND ($5::text IS NULL OR e.sender = $5 OR EXISTS (
            SELECT FROM relations AS own
            WHERE own.parent = r.parent AND own.rel_type = 'm.thread' AND own.room_id = $1 AND own.sender = $5
        ))
    ORDER BY r.position DESC
    LIMIT $6
"""
)


async def threads_of(
    tx: Tx,
    room_id: str,
    upto: int,
    ignored: Collection[str],
    newest: int,
    participant: str | None,
    limit: int,
) -> list[tuple[str, int]]:
    """The roots of the room's threads whose last event is at a position up to `upto`, with that position, the newest first;
    of some user's threads only, where `participant` is named. Events after `newest` do not count.
    """
    found = await tx.fetch(_THREADS, room_id, upto, list(ignored), newest, participant, limit)
    return [(row["root"], row["position"]) for row in found]
