"""Where the states of several snapshots differ, read from the layers that they do not share."""

from __future__ import annotations

from collections.abc import Sequence

from protocol.events import StateKey
from storage.database import Tx
from storage.state import Snapshot
from storage.statement import sql

_SUSPECTS = sql(
    """
    WITH own AS (
        SELECT DISTINCT ON (part.branch, l.type, l.state_key) l.type, l.state_key, l.event_id
        FROM unnest($1::int[], $2::bigint[], $3::int[]) AS part (branch, layer, place)
        JOIN state_layers AS l ON l.layer = part.layer
        ORDER BY part.branch, l.type, l.state_key, part.place DESC
    )
    SELECT type, state_key FROM own
    GROUP BY type, state_key
    HAVING count(*) < $4 OR count(DISTINCT event_id) + (count(event_id) < count(*))::int > 1
"""
)


async def keys_that_may_differ(tx: Tx, states: Sequence[Snapshot]) -> set[StateKey]:
    """All keys at which the states differ, and perhaps some at which they do not."""
    shared = _shared(states)
    parts = [
        (branch, layer, place)
        for branch, state in enumerate(states)
        for place, layer in enumerate(state.layers[shared:])
    ]
    if not parts:
        return set()
    branches, layers, places = zip(*parts, strict=True)
    found = await tx.fetch(_SUSPECTS, branches, layers, places, len(states))
    return {(row["type"], row["state_key"]) for row in found}


def _shared(states: Sequence[Snapshot]) -> int:
    """How many layers, the oldest, all have in common: a snapshot keeps the front of its predecessor's list."""
    shared = 0
    for layers in zip(*(state.layers for state in states), strict=False):
        if len(set(layers)) > 1:
            break
        shared += 1
    return shared
