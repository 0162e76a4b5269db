"""What state events rest on, as an index: which events tell two states' auth chains apart is found without walking them.

A row has the event's auth events and the moment when it got here. Since nothing is accepted before what it rests on,
these moments are an order of the auth chains that costs nothing to keep: no other row is read to write one. A walk
down from what differs goes from the newest to the oldest, and may end as soon as all that is left to look at is in
every chain. The index on `auth_events` is for the way up: what rests on an event.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from protocol.events import Event, StateKey
from protocol.ids import EventID
from storage.database import Tx
from storage.journal import Row
from storage.statement import rows, sql

# Values: the place among the events of one change, event ID, its auth events as text of an array.
_APPEND_AUTH_CHAIN = rows(
    """
    INSERT INTO auth_chains (arrived, event_id, auth_events)
    SELECT n.position * 1048576 + n.place, n.event_id, n.auth_events::text[]
    FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[]) AS n (position, place, event_id, auth_events)
    ON CONFLICT (event_id) DO NOTHING
"""
)


@dataclass(frozen=True, slots=True)
class AuthNode:
    """A state event as the index knows it."""

    arrived: float  # infinite where it has not been stored yet
    key: StateKey
    auth_events: tuple[EventID, ...]


def auth_chain_rows(events: Iterable[Event]) -> list[Row]:
    """The rows of those that are state events: to be written in the change that stores the events, whatever their standing.

    The auth events of each must have rows already or be among these: an invite to a room that we are not in is left
    out until we are. An event that has its row keeps it.
    """
    state = {event.event_id: event for event in events if event.is_state}
    return [
        Row(_APPEND_AUTH_CHAIN, (place, event.event_id, _array(event.auth_events)))
        for place, event in enumerate(_oldest_first(state))
    ]


def _oldest_first(state: dict[EventID, Event]) -> list[Event]:
    if len(state) < 2:
        return list(state.values())
    order = TopologicalSorter({event_id: event.auth_events for event_id, event in state.items()})
    try:
        return [state[event_id] for event_id in order.static_order() if event_id in state]
    except CycleError:  # only where event IDs are chosen; such events are not accepted
        return list(state.values())


def _array(texts: Sequence[str]) -> str:
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return "{" + ",".join(f'"{text}"' for text in quoted) + "}"


_DOWN = sql(
    """
    WITH RECURSIVE down (event_id, level) AS (
        SELECT start, 0 FROM unnest($1::text[]) AS start
        UNION
        SELECT named, down.level + 1
        FROM down
        JOIN auth_chains AS c ON c.event_id = down.event_id
        CROSS JOIN LATERAL unnest(c.auth_events) AS named
        WHERE down.level < $2 AND c.arrived >= $3
    )
    SELECT c.event_id, c.arrived, c.auth_events, e.type, e.state_key
    FROM (SELECT DISTINCT event_id FROM down) AS found
    JOIN auth_chains AS c ON c.event_id = found.event_id
    JOIN events AS e ON e.event_id = found.event_id
"""
)


async def nodes_down(
    tx: Tx, event_ids: Collection[EventID], levels: int, oldest: float = 0
) -> dict[EventID, AuthNode]:
    """The events and those so many levels under them; nothing under what arrived before `oldest`."""
    return _nodes(await tx.fetch(_DOWN, list(event_ids), levels, int(oldest)))


_UP = sql(
    """
    SELECT c.event_id, c.arrived, c.auth_events, e.type, e.state_key
    FROM auth_chains AS c JOIN events AS e ON e.event_id = c.event_id
    WHERE c.auth_events && $1::text[]
    ORDER BY c.arrived DESC
    LIMIT $2
"""
)


async def nodes_up(
    tx: Tx, event_ids: Collection[EventID], newest: int | None = None
) -> dict[EventID, AuthNode]:
    """What names one of these among its auth events; where `newest` is given only so many, the last that came."""
    return _nodes(await tx.fetch(_UP, list(event_ids), newest))


_POWER_LEVELS_LINE = sql(
    """
    WITH RECURSIVE line (event_id, before) AS (
        SELECT start, ARRAY(
            SELECT e.event_id FROM auth_chains AS c CROSS JOIN LATERAL unnest(c.auth_events) AS named
            JOIN events AS e ON e.event_id = named AND e.type = 'm.room.power_levels' AND e.state_key = ''
            WHERE c.event_id = start
        ) FROM unnest($1::text[]) AS start
        UNION
        SELECT earlier, ARRAY(
            SELECT e.event_id FROM auth_chains AS c CROSS JOIN LATERAL unnest(c.auth_events) AS named
            JOIN events AS e ON e.event_id = named AND e.type = 'm.room.power_levels' AND e.state_key = ''
            WHERE c.event_id = earlier
        ) FROM line CROSS JOIN LATERAL unnest(line.before) AS earlier
    )
    SELECT event_id, before FROM line
"""
)


async def power_levels_under(tx: Tx, event_ids: Collection[EventID]) -> dict[EventID, tuple[EventID, ...]]:
    """For these events, and all power levels that lie under them: the power levels that each names."""
    found = await tx.fetch(_POWER_LEVELS_LINE, list(event_ids))
    return {row["event_id"]: tuple(row["before"]) for row in found}


def _nodes(found: Any) -> dict[EventID, AuthNode]:
    return {
        row["event_id"]: AuthNode(row["arrived"], (row["type"], row["state_key"]), tuple(row["auth_events"]))
        for row in found
    }
