"""Device lists: whose devices or keys have changed, and for whom that is news."""

from __future__ import annotations

from storage.database import Tx
from storage.statement import rows, sql

# Values: user ID.
APPEND_DEVICE_LIST_CHANGE = rows(
    """
    INSERT INTO device_list_changes (position, user_id) SELECT * FROM unnest($1::bigint[], $2::text[])
    ON CONFLICT (user_id) DO UPDATE SET position = excluded.position
""",
    key=(0,),
)

# 1. The user's own devices, and those of who is in a room with the user now. 2. Whom the user has signed. 3. Who shares
# a room with the user since then: one of the two has joined it, or it has been encrypted. Who comes
# where others are is told of themselves too: their other devices learn what the others will send to.
# COMPAT: «who now share an encrypted room» is what the specification asks for; clients and the conformance suite count on
# being told of other rooms too.
_CHANGED = sql("""
    WITH mine AS (
        SELECT m.room_id, m.since > $2 AS is_joined, m.since > $2 OR EXISTS (
            SELECT FROM state_deltas AS d
            WHERE d.room_id = m.room_id AND d.position > $2 AND d.type = 'm.room.encryption' AND d.state_key = ''
                AND d.previous IS NULL
        ) AS is_new
        FROM memberships AS m WHERE m.user_id = $1 AND m.membership = 'join' AND m.is_local
    )
    SELECT c.user_id FROM device_list_changes AS c
    WHERE c.position > $2 AND c.position <= $3 AND (c.user_id = $1 OR EXISTS (
        SELECT FROM memberships AS theirs JOIN memberships AS mine ON mine.room_id = theirs.room_id
        WHERE theirs.user_id = c.user_id AND theirs.membership = 'join'
            AND mine.user_id = $1 AND mine.membership = 'join' AND mine.is_local
    ))
    UNION
    SELECT target FROM user_signature_changes WHERE signer = $1 AND position > $2 AND position <= $3
    UNION
    SELECT theirs.user_id FROM mine JOIN memberships AS theirs ON theirs.room_id = mine.room_id
    WHERE mine.is_new AND theirs.membership = 'join' AND theirs.user_id <> $1
    UNION
    SELECT $1 FROM mine WHERE mine.is_joined AND EXISTS (
        SELECT FROM memberships AS theirs
        WHERE theirs.room_id = mine.room_id AND theirs.membership = 'join' AND theirs.user_id <> $1
    )
    UNION
    SELECT theirs.user_id FROM mine JOIN memberships AS theirs ON theirs.room_id = mine.room_id
    WHERE theirs.membership = 'join' AND theirs.position > $2 AND theirs.since > $2 AND theirs.user_id <> $1
""")

# `parted`: who was joined and then was not, if only for a while, or joined again, told by the state deltas, since one who turns
# an invite down was never in.
# (PostgreSQL's JSON functions fail over U+0000 in any string, which others may send; what is stored is canonical, so that the
# text is as good: where it is found elsewhere in the event, one user too many is looked at.)
# `gone`: who has left a room that the user is in or has left too, or was there when the user left one. Of these, who is in no
# encrypted room with the user any more; when the room itself was not encrypted, in no room at all.
_LEFT = sql("""
    WITH mine AS MATERIALIZED (
        SELECT m.room_id, m.membership, EXISTS (
            SELECT FROM current_state AS s
            WHERE s.room_id = m.room_id AND s.type = 'm.room.encryption' AND s.state_key = ''
        ) AS encrypted
        FROM memberships AS m WHERE m.user_id = $1 AND m.is_local AND (m.membership = 'join' OR m.position > $2)
    ), parted AS (
        SELECT d.room_id, d.state_key AS user_id, d.position
        FROM mine
        JOIN state_deltas AS d ON d.room_id = mine.room_id AND d.position > $2 AND d.type = 'm.room.member'
        JOIN events AS before ON before.event_id = d.previous
        WHERE strpos(convert_from(before.json, 'UTF8'), '"membership":"join"') > 0
    ), gone AS (
        SELECT parted.user_id, mine.encrypted FROM mine JOIN parted ON parted.room_id = mine.room_id
        WHERE mine.membership = 'join' OR EXISTS (
            SELECT FROM parted AS own WHERE own.room_id = mine.room_id AND own.user_id = $1
        )
        UNION
        SELECT theirs.user_id, mine.encrypted
        FROM mine
        JOIN parted ON parted.room_id = mine.room_id AND parted.user_id = $1
        JOIN memberships AS theirs ON theirs.room_id = mine.room_id AND theirs.since <= parted.position
        WHERE mine.membership <> 'join' AND theirs.membership = 'join'
    )
    SELECT DISTINCT gone.user_id FROM gone
    WHERE gone.user_id <> $1 AND NOT EXISTS (
        SELECT FROM memberships AS theirs JOIN mine ON mine.room_id = theirs.room_id
        WHERE theirs.user_id = gone.user_id AND theirs.membership = 'join' AND mine.membership = 'join'
            AND (mine.encrypted OR NOT gone.encrypted)
    )
""")


async def device_list_changes(tx: Tx, user_id: str, after: int, upto: int) -> tuple[list[str], list[str]]:
    """Whose devices the user must look at again, and whose not any more, by what happened in (after, upto].

    Of comings and goings, also later ones count: who reads is told of them again.
    """
    changed = await tx.fetch(_CHANGED, user_id, after, upto)
    left = await tx.fetch(_LEFT, user_id, after)
    return [row["user_id"] for row in changed], [row["user_id"] for row in left]
