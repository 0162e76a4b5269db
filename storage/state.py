"""The state at each event: snapshots, which are lists of layers (small differences), the newest last.

A state event adds a snapshot with one layer more. When the last FANOUT layers are no larger (by class) than the new
one they are merged into one, like the digits of a counter, so that a snapshot has few layers and each key is copied a
few times only. A message shares the snapshot of the event before it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from protocol.events import StateKey
from protocol.ids import EventID
from storage.database import Tx
from storage.journal import Row
from storage.statement import each, rows, sql

FANOUT = 8
LARGEST_MERGE = FANOUT**5  # keys: a merge holds the journal up, so that larger layers stay as they are


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state at some moment: where it is stored."""

    snapshot: int
    layers: tuple[int, ...]
    sizes: tuple[int, ...]


EMPTY = Snapshot(0, (), ())

# Values: snapshot, room ID, its layers and their sizes as text of arrays.
_APPEND_SNAPSHOT = rows(
    """
    INSERT INTO state_snapshots (snapshot, room_id, layers, sizes)
    SELECT n.snapshot, n.room_id, n.layers::bigint[], n.sizes::integer[]
    FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[])
        AS n (position, snapshot, room_id, layers, sizes)
"""
)

# Values: layer, type, state key, event ID (None: not in the state any more).
_APPEND_LAYER = rows(
    """
    INSERT INTO state_layers (layer, type, state_key, event_id)
    SELECT n.layer, n.type, n.state_key, n.event_id
    FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[])
        AS n (position, layer, type, state_key, event_id)
"""
)

# Values: the layer that is made, the layers that go into it. What it has already is newer than they are.
_MERGE_LAYERS = each(
    """
    INSERT INTO state_layers (layer, type, state_key, event_id)
    SELECT DISTINCT ON (l.type, l.state_key) $2::bigint, l.type, l.state_key, l.event_id
    FROM unnest($3::bigint[]) WITH ORDINALITY AS part (layer, place)
    JOIN state_layers AS l ON l.layer = part.layer
    WHERE $1::bigint IS NOT NULL
    ORDER BY l.type, l.state_key, part.place DESC
    ON CONFLICT DO NOTHING
"""
)


def next_snapshot(
    before: Snapshot, room_id: str, changes: Mapping[StateKey, EventID | None], snapshot: int, layer: int
) -> tuple[Snapshot, list[Row]]:
    """The state after these changes under the new numbers given, and the rows that store it."""
    written = [Row(_APPEND_LAYER, (layer, *key, event_id)) for key, event_id in changes.items()]
    kept, size = _kept((*before.sizes, len(changes)))
    merged = before.layers[kept:]
    if merged:
        written.append(Row(_MERGE_LAYERS, (layer, list(merged))))
    after = Snapshot(snapshot, (*before.layers[:kept], layer), (*before.sizes[:kept], size))
    written.append(Row(_APPEND_SNAPSHOT, (snapshot, room_id, _array(after.layers), _array(after.sizes))))
    return after, written


def _kept(sizes: Sequence[int]) -> tuple[int, int]:
    """How many of the layers stay as they are, the others being merged into one; and what size that has."""
    kept, size = len(sizes) - 1, sizes[-1]
    while size < LARGEST_MERGE:
        first = kept
        while first > 0 and _size_class(sizes[first - 1]) <= _size_class(size):
            first -= 1
        if kept - first < FANOUT - 1:
            break
        size += sum(sizes[first:kept])
        kept = first
    return kept, size


def _size_class(size: int) -> int:
    """n where the size is at least FANOUT to the nth."""
    return (max(size, 1).bit_length() - 1) // (FANOUT.bit_length() - 1)


def _array(numbers: Sequence[int]) -> str:
    return "{" + ",".join(map(str, numbers)) + "}"


_LAYERS = sql("SELECT snapshot, layers, sizes FROM state_snapshots WHERE snapshot = ANY($1::bigint[])")


async def snapshots(tx: Tx, numbers: Collection[int]) -> dict[int, Snapshot]:
    """Where these snapshots' states are stored; the empty one is nowhere."""
    found = await tx.fetch(_LAYERS, list(numbers))
    stored = {
        row["snapshot"]: Snapshot(row["snapshot"], tuple(row["layers"]), tuple(row["sizes"])) for row in found
    }
    return stored | {EMPTY.snapshot: EMPTY} if EMPTY.snapshot in numbers else stored


_WHOLE = sql(
    """
    SELECT DISTINCT ON (l.type, l.state_key) l.type, l.state_key, l.event_id
    FROM state_snapshots AS s
    CROSS JOIN LATERAL unnest(s.layers) WITH ORDINALITY AS part (layer, place)
    JOIN state_layers AS l ON l.layer = part.layer
    WHERE s.snapshot = $1
    ORDER BY l.type, l.state_key, part.place DESC
"""
)


async def state_ids_at(tx: Tx, snapshot: int) -> dict[StateKey, EventID]:
    """The whole state of a snapshot."""
    found = await tx.fetch(_WHOLE, snapshot)
    return {(row["type"], row["state_key"]): row["event_id"] for row in found if row["event_id"] is not None}


_OF_KEYS = sql(
    """
    SELECT DISTINCT ON (s.snapshot, l.type, l.state_key) s.snapshot, l.type, l.state_key, l.event_id
    FROM state_snapshots AS s
    CROSS JOIN LATERAL unnest(s.layers) WITH ORDINALITY AS part (layer, place)
    CROSS JOIN unnest($2::text[], $3::text[]) AS k (type, state_key)
    JOIN state_layers AS l ON l.layer = part.layer AND l.type = k.type AND l.state_key = k.state_key
    WHERE s.snapshot = ANY($1::bigint[])
    ORDER BY s.snapshot, l.type, l.state_key, part.place DESC
"""
)


async def state_ids_of_keys(
    tx: Tx, numbers: Collection[int], keys: Collection[StateKey]
) -> dict[int, dict[StateKey, EventID]]:
    """For each of the snapshots, what it has under these keys; in one query, however many."""
    states: dict[int, dict[StateKey, EventID]] = {number: {} for number in numbers}
    # What has a NUL in it PostgreSQL cannot be asked for; nor is it there.
    there = [key for key in keys if "\0" not in key[0] and "\0" not in key[1]]
    types, state_keys = [event_type for event_type, _ in there], [state_key for _, state_key in there]
    for row in await tx.fetch(_OF_KEYS, list(numbers), types, state_keys):
        if row["event_id"] is not None:
            states[row["snapshot"]][row["type"], row["state_key"]] = row["event_id"]
    return states
