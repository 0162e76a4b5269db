"""The two orders in which conflicted events are authorised (§Definitions of state resolution v2)."""

import heapq
import math
from collections.abc import Iterable, Mapping, Set

from protocol.auth.levels import Level, PowerLevels, creators_of
from protocol.errors import Rejected
from protocol.event_format import create_of_room_id
from protocol.events import CREATE, JOIN_RULES, MEMBER, POWER_LEVELS, Event
from protocol.ids import EventID
from protocol.room_versions import RoomVersion

_Events = Mapping[EventID, Event]


def is_power_event(event: Event) -> bool:
    """May the event take away others' right to do something?"""
    # COMPAT Synapse: the create event counts too, which changes nothing in sane rooms.
    if event.type in (POWER_LEVELS, JOIN_RULES, CREATE):
        return event.state_key == ""
    return event.type == MEMBER and event.membership in ("leave", "ban") and event.sender != event.state_key


def by_power(version: RoomVersion, full: Set[EventID], events: _Events) -> list[EventID]:
    """The full conflicted set's power events and what of it they rest on, in reverse topological power order.

    Auth events come first; among those that may come next the first is that of the most powerful sender, then
    the oldest, then the one of the least event ID.
    """
    rests_on = _power_graph(full, events)
    authorises: dict[EventID, list[EventID]] = {}
    for event_id, auth_events in rests_on.items():
        for auth_event in auth_events:
            authorises.setdefault(auth_event, []).append(event_id)
    waits_for = {event_id: len(auth_events) for event_id, auth_events in rests_on.items()}

    def rank(event_id: EventID) -> tuple[Level, int, EventID]:
        event = events[event_id]
        return -_power_of_sender(version, event, events), event.origin_server_ts, event_id

    ready = [rank(event_id) for event_id, count in waits_for.items() if count == 0]
    heapq.heapify(ready)
    order = []
    while ready:
        event_id = heapq.heappop(ready)[2]
        order.append(event_id)
        for later in authorises.get(event_id, ()):
            waits_for[later] -= 1
            if waits_for[later] == 0:
                heapq.heappush(ready, rank(later))
    return order


def _power_graph(full: Set[EventID], events: _Events) -> dict[EventID, set[EventID]]:
    graph: dict[EventID, set[EventID]] = {}
    todo = [event_id for event_id in full if is_power_event(events[event_id])]
    while todo:
        event_id = todo.pop()
        if event_id not in graph:
            graph[event_id] = {a for a in events[event_id].auth_events if a in full}
            todo.extend(graph[event_id])
    return graph


def _power_of_sender(version: RoomVersion, event: Event, events: _Events) -> Level:
    """By the power levels among the event's own auth events."""
    create, power_levels = None, None
    for auth_event in map(events.__getitem__, event.auth_events):
        if auth_event.key == (POWER_LEVELS, ""):
            power_levels = auth_event.content
        elif auth_event.key == (CREATE, ""):
            create = auth_event
    if version.room_id_is_create_hash:
        create = events[create_of_room_id(event.room_id)]
    creators = creators_of(create) if create else frozenset()
    try:
        return PowerLevels(version, creators, power_levels).of_user(event.sender)
    except Rejected:  # nonsense in an old room
        return 0


def by_mainline(newest: EventID | None, event_ids: Iterable[EventID], events: _Events) -> list[EventID]:
    """The events in mainline order of the power levels event `newest`: those under the oldest first."""
    positions: dict[EventID, float] = {}
    while newest is not None and newest not in positions:
        positions[newest] = len(positions)
        newest = _power_levels_before(newest, events)

    def rank(event_id: EventID) -> tuple[float, int, EventID]:
        return -_position(event_id, positions, events), events[event_id].origin_server_ts, event_id

    return sorted(event_ids, key=rank)


def _position(event_id: EventID, positions: dict[EventID, float], events: _Events) -> float:
    """How far from the newest end the event's levels leave the mainline; remembered in `positions`."""
    passed: list[EventID] = []
    at: EventID | None = event_id
    while at is not None and at not in positions:
        passed.append(at)
        at = _power_levels_before(at, events)
    position = positions[at] if at is not None else math.inf
    positions.update(dict.fromkeys(passed, position))
    return position


def _power_levels_before(event_id: EventID, events: _Events) -> EventID | None:
    for auth_event in events[event_id].auth_events:
        if events[auth_event].key == (POWER_LEVELS, ""):
            return auth_event
    return None
