"""Rooms' heads as stored, and the room's state now."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import orjson

from protocol.events import Event, StateKey
from protocol.ids import EventID, RoomID
from protocol.room_versions import RoomVersion, version_named
from storage.database import Tx
from storage.events import event_of
from storage.statement import rows, sql


@dataclass(frozen=True, slots=True)
class StoredHead:
    """A room's head as committed, with some of its state; `layers` and `sizes` are those of its snapshot."""

    room_id: RoomID
    room_version: RoomVersion
    version: int
    depth: int
    forward_extremities: tuple[EventID, ...]
    snapshot: int
    layers: tuple[int, ...]
    sizes: tuple[int, ...]
    tally: int
    joined: int
    invited: int
    position: int
    state: dict[StateKey, Event]


_HEAD = sql(
    """
    SELECT r.*, s.layers, s.sizes, c.type, c.state_key, e.event_id, e.json
    FROM rooms AS r
    JOIN state_snapshots AS s ON s.snapshot = r.snapshot
    LEFT JOIN (
        SELECT c.* FROM unnest($2::text[], $3::text[]) AS k (type, state_key)
        JOIN current_state AS c ON c.room_id = $1 AND c.type = k.type AND c.state_key = k.state_key
    ) AS c ON true
    LEFT JOIN events AS e ON e.event_id = c.event_id
    WHERE r.room_id = $1
"""
)


async def head_of(tx: Tx, room_id: str, keys: Collection[StateKey]) -> StoredHead | None:
    """The room's head with the state under these keys, in one query; None for a room that we do not have."""
    found = await tx.fetch(_HEAD, room_id, *_columns(keys))
    if not found:
        return None
    row, version = found[0], version_named(found[0]["room_version"])
    return StoredHead(
        room_id=row["room_id"],
        room_version=version,
        version=row["version"],
        depth=row["depth"],
        forward_extremities=tuple(orjson.loads(row["forward_extremities"])),
        snapshot=row["snapshot"],
        layers=tuple(row["layers"]),
        sizes=tuple(row["sizes"]),
        tally=row["tally"],
        joined=row["joined"],
        invited=row["invited"],
        position=row["position"],
        state=_state(room_id, (row for row in found if row["event_id"] is not None), version),
    )


_STATE = sql(
    """
    SELECT c.type, c.state_key, e.event_id, e.json
    FROM unnest($2::text[], $3::text[]) AS k (type, state_key)
    JOIN current_state AS c ON c.room_id = $1 AND c.type = k.type AND c.state_key = k.state_key
    JOIN events AS e ON e.event_id = c.event_id
"""
)


async def current_state_events(
    tx: Tx, room_id: str, version: RoomVersion, keys: Collection[StateKey]
) -> dict[StateKey, Event]:
    """The room's state now under these keys; keys that are not in the state are missing."""
    return _state(room_id, await tx.fetch(_STATE, room_id, *_columns(keys)), version)


_STATE_OF_TYPES = sql(
    """
    SELECT c.type, c.state_key, e.event_id, e.json
    FROM current_state AS c JOIN events AS e ON e.event_id = c.event_id
    WHERE c.room_id = $1 AND c.type = ANY($2::text[])
"""
)


async def current_state_of_types(
    tx: Tx, room_id: str, version: RoomVersion, types: Collection[str]
) -> dict[StateKey, Event]:
    """The room's state now of these event types, whatever the state key."""
    return _state(room_id, await tx.fetch(_STATE_OF_TYPES, room_id, list(types)), version)


_IDS = sql("SELECT type, state_key, event_id FROM current_state WHERE room_id = $1")
_IDS_OF_TYPE = sql("SELECT type, state_key, event_id FROM current_state WHERE room_id = $1 AND type = $2")
_IDS_OF_KEYS = sql(
    """
    SELECT c.type, c.state_key, c.event_id
    FROM unnest($2::text[], $3::text[]) AS k (type, state_key)
    JOIN current_state AS c ON c.room_id = $1 AND c.type = k.type AND c.state_key = k.state_key
"""
)
_IDS_BUT_OTHER_MEMBERS = sql(
    """
    SELECT type, state_key, event_id FROM current_state WHERE room_id = $1 AND type <> 'm.room.member'
    UNION ALL
    SELECT type, state_key, event_id FROM current_state
    WHERE room_id = $1 AND type = 'm.room.member' AND state_key = ANY($2::text[] || ARRAY(
        SELECT user_id FROM memberships WHERE room_id = $1 AND is_local AND membership <> 'leave'
    ))
"""
)


async def current_state_ids(
    tx: Tx, room_id: str, *, event_type: str | None = None
) -> dict[StateKey, EventID]:
    """The room's state now, or that of one event type."""
    if event_type is not None:
        return _ids(await tx.fetch(_IDS_OF_TYPE, room_id, event_type))
    return _ids(await tx.fetch(_IDS, room_id))


async def current_state_ids_of(tx: Tx, room_id: str, keys: Collection[StateKey]) -> dict[StateKey, EventID]:
    """The room's state now under these keys."""
    return _ids(await tx.fetch(_IDS_OF_KEYS, room_id, *_columns(keys)))


async def current_state_ids_of_ours(
    tx: Tx, room_id: str, members: Collection[str]
) -> dict[StateKey, EventID]:
    """The room's state now but for its members; of these the ones that are named, and users of ours who have not just left."""
    return _ids(await tx.fetch(_IDS_BUT_OTHER_MEMBERS, room_id, list(members)))


def _ids(found: Any) -> dict[StateKey, EventID]:
    return {(row["type"], row["state_key"]): row["event_id"] for row in found}


def _columns(keys: Collection[StateKey]) -> tuple[list[str], list[str]]:
    # Others may make us look for what PostgreSQL cannot even be asked for, and what therefore is not there.
    there = [key for key in keys if "\0" not in key[0] and "\0" not in key[1]]
    return [event_type for event_type, _ in there], [state_key for _, state_key in there]


def _state(room_id: str, found: Any, version: RoomVersion) -> dict[StateKey, Event]:
    return {
        (row["type"], row["state_key"]): event_of(row["event_id"], room_id, row["json"], version)
        for row in found
    }


# Values: room ID, type, state key, event ID (None takes the key out of the state).
SET_CURRENT_STATE = rows(
    """
    WITH change AS (
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[])
            AS change (position, room_id, type, state_key, event_id)
    ), removed AS (
        DELETE FROM current_state AS c USING change
        WHERE change.event_id IS NULL AND c.room_id = change.room_id
            AND c.type = change.type AND c.state_key = change.state_key
    )
    INSERT INTO current_state (room_id, type, state_key, event_id)
    SELECT room_id, type, state_key, event_id FROM change WHERE event_id IS NOT NULL
    ON CONFLICT (room_id, type, state_key) DO UPDATE SET event_id = excluded.event_id
""",
    key=(0, 1, 2),
)

# Values: room ID, type, state key, event ID or None, the event that was there before or None.
APPEND_STATE_DELTA = rows(
    """
    INSERT INTO state_deltas (position, room_id, type, state_key, event_id, previous)
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
"""
)
