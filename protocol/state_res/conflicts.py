"""Where states differ, and which events have a say in it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from protocol.events import Event, StateKey
from protocol.ids import EventID


class Authorised(Protocol):
    """All that counts here of an event: what it rests on."""

    @property
    def auth_events(self) -> tuple[EventID, ...]:
        """The IDs of its auth events."""


def separate(
    sets: Sequence[Mapping[StateKey, EventID]],
) -> tuple[dict[StateKey, EventID], set[EventID]]:
    """The unconflicted state map, and the conflicted set: all events at other keys.

    A key is unconflicted only if every state has it, with the same event.
    """
    common = dict(sets[0])
    for state in sets[1:]:
        common = dict(common.items() & state.items())
    conflicted = {event_id for state in sets for _, event_id in state.items() - common.items()}
    return common, conflicted


def auth_difference_of(
    sets: Sequence[Mapping[StateKey, EventID]],
    unconflicted: Mapping[StateKey, EventID],
    events: Mapping[EventID, Event],
) -> set[EventID]:
    """The union less the intersection of the states' full auth chains, in which they themselves count."""
    chains = [with_auth_chain(state.items() - unconflicted.items(), events) for state in sets]
    every: set[EventID] = chains[0].intersection(*chains[1:])
    difference = chains[0].union(*chains[1:]) - every
    # What the unconflicted state rests on is in every state's chain.
    return difference - with_auth_chain(unconflicted.items(), events) if difference else difference


def with_auth_chain(
    entries: Iterable[tuple[StateKey, EventID]], events: Mapping[EventID, Event]
) -> set[EventID]:
    """The events of these state entries, their auth events, the auth events of those, and so on."""
    return _chain({event_id for _, event_id in entries}, events)


def _chain(event_ids: set[EventID], events: Mapping[EventID, Authorised]) -> set[EventID]:
    chain, todo = set(event_ids), list(event_ids)
    while todo:
        for auth_event in events[todo.pop()].auth_events:
            if auth_event not in chain:
                chain.add(auth_event)
                todo.append(auth_event)
    return chain


def conflicted_subgraph(conflicted: set[EventID], events: Mapping[EventID, Authorised]) -> set[EventID]:
    """Every event on a path of auth events between two conflicted events, ends included (since v2.1)."""
    ancestors = _chain(conflicted, events)
    authorised_by: dict[EventID, list[EventID]] = {}
    for event_id in ancestors:
        for auth_event in events[event_id].auth_events:
            authorised_by.setdefault(auth_event, []).append(event_id)
    descendants, todo = set(conflicted), list(conflicted)
    while todo:
        for event_id in authorised_by.get(todo.pop(), ()):
            if event_id not in descendants:
                descendants.add(event_id)
                todo.append(event_id)
    return descendants
