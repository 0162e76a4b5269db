"""In which order events that came together are placed, and which of them were asked for at all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from heapq import heapify, heappop, heappush

from protocol.events import Event
from protocol.ids import EventID


def oldest_first(events: Iterable[Event]) -> Iterator[Event]:
    """The events, each after those of its prev and auth events that are among them; without those that are in a circle."""
    by_id = {event.event_id: event for event in events}
    after = {event_id: _named(event) & by_id.keys() for event_id, event in by_id.items()}
    followers: dict[EventID, list[EventID]] = {}
    for event_id, named in after.items():
        for one in named:
            followers.setdefault(one, []).append(event_id)
    ready = [(by_id[event_id].depth, event_id) for event_id, named in after.items() if not named]
    heapify(ready)
    while ready:
        _, done = heappop(ready)
        yield by_id[done]
        for event_id in followers.get(done, ()):
            after[event_id] = after[event_id] - {done}
            if not after[event_id]:
                heappush(ready, (by_id[event_id].depth, event_id))


def _named(event: Event) -> set[EventID]:
    return {*event.prev_events, *event.auth_events}


def leading_back(events: Iterable[Event], points: Collection[EventID]) -> list[Event]:
    """Those of the events that are reached from the points over prev events: nobody asked for others."""
    by_id = {event.event_id: event for event in events}
    found: dict[EventID, Event] = {}
    todo = list(points)
    while todo:
        event = by_id.get(todo.pop())
        if event is not None and event.event_id not in found:
            found[event.event_id] = event
            todo.extend(event.prev_events)
    return list(found.values())
