"""One resolution of the states of several branches: what is read for it, and the question that comes of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from protocol.auth.needed import state_needed_for
from protocol.event_format import create_of_room_id
from protocol.events import CREATE, POWER_LEVELS, Event, StateKey
from protocol.ids import EventID, RoomID
from protocol.room_versions import RoomVersion, StateResolution
from protocol.state_res import resolve, resolve_with_auth_difference
from services.rooms.auth_difference import AuthDifference, StateUnknown
from storage.auth_chains import AuthNode, power_levels_under
from storage.database import Tx
from storage.events import Standing, events_by_id
from storage.state import Snapshot, state_ids_of_keys
from storage.state_branches import keys_that_may_differ

Changes: TypeAlias = Mapping[StateKey, EventID | None]


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """All that a state resolution needs, and nothing that it does not: pure from here on."""

    version: RoomVersion
    room_id: RoomID
    sets: list[dict[StateKey, EventID]]  # only the keys that matter
    auth_difference: frozenset[EventID]
    events: dict[EventID, Event]
    rejected: frozenset[EventID]

    def answer(self) -> dict[StateKey, EventID]:
        """The resolved state, at the keys that matter."""
        if self.version.state_resolution is StateResolution.V1:
            return resolve(self.version, self.sets, self.events)
        return resolve_with_auth_difference(
            self.version, self.sets, self.auth_difference, self.events, self.rejected
        )

    def changes(self, resolved: Mapping[StateKey, EventID]) -> dict[StateKey, EventID | None]:
        """What the resolved state has that the first branch has not; None for what it lacks."""
        before = self.sets[0]
        return {
            key: resolved.get(key)
            for key in before.keys() | resolved.keys()
            if before.get(key) != resolved.get(key)
        }


@dataclass(frozen=True, slots=True, eq=False)
class Branches:
    """The branches' states, as far as they differ. Each is a stored snapshot with changes."""

    version: RoomVersion
    states: Sequence[tuple[Snapshot, Changes]]
    fresh: Mapping[EventID, Event]  # what is not stored yet
    conflicted_keys: frozenset[StateKey]
    conflicted: list[dict[StateKey, EventID]]  # what each state has at these keys

    @classmethod
    async def read(
        cls,
        tx: Tx,
        version: RoomVersion,
        states: Sequence[tuple[Snapshot, Changes]],
        fresh: Mapping[EventID, Event],
    ) -> Branches:
        """Finds out where the states differ."""
        suspects = await keys_that_may_differ(tx, [base for base, _ in states])
        suspects.update(*(changes for _, changes in states))
        found = await _states_at(tx, states, suspects)
        keys = frozenset(key for key in suspects if len({state.get(key) for state in found}) > 1)
        conflicted = [{key: state[key] for key in keys if key in state} for state in found]
        return cls(version, states, fresh, keys, conflicted)

    async def question(self, tx: Tx) -> Question:
        """Reads what the resolution needs. Raises StateUnknown."""
        difference = await self._auth_difference(tx)
        full = difference.union(*(state.values() for state in self.conflicted))
        events, rejected = await _load(tx, full, self.fresh)
        room_id = next(iter(events.values())).room_id
        common = await self._agreed(tx, _keys_that_matter(self.version, [events[e] for e in full]))
        named = {named for event_id in full for named in events[event_id].auth_events}
        named |= set(common.values())
        if self.version.room_id_is_create_hash:
            named.add(create_of_room_id(room_id))
        more, more_rejected = await _load(tx, named - events.keys(), self.fresh)
        events |= more
        if self.version.state_resolution is not StateResolution.V1:
            events |= await _mainlines(tx, events, full)
        sets = [common | state for state in self.conflicted]
        return Question(self.version, room_id, sets, difference, events, rejected | more_rejected)

    async def _auth_difference(self, tx: Tx) -> frozenset[EventID]:
        if self.version.state_resolution is StateResolution.V1:
            return frozenset()
        fresh = {
            event_id: AuthNode(float("inf"), event.key, event.auth_events)
            for event_id, event in self.fresh.items()
        }
        search = AuthDifference(
            tx,
            [frozenset(state.values()) for state in self.conflicted],
            lambda keys: self._agreed(tx, keys),
            fresh,
        )
        difference = await search.difference()
        if self.version.state_resolution is StateResolution.V2_1:
            difference |= await search.subgraph()
        return difference

    async def _agreed(self, tx: Tx, keys: Collection[StateKey]) -> dict[StateKey, EventID]:
        """The unconflicted state under these keys."""
        wanted = set(keys) - self.conflicted_keys
        (state,) = await _states_at(tx, self.states[:1], wanted)
        return state


def _keys_that_matter(version: RoomVersion, full: Sequence[Event]) -> set[StateKey]:
    """Where the resolution looks at the unconflicted state, or overlays it."""
    keys = {(CREATE, ""), (POWER_LEVELS, "")}
    for event in full:
        keys.add(event.key)
        keys |= state_needed_for(version, event.type, event.sender, event.state_key, event.content)
    return keys


async def _states_at(
    tx: Tx, states: Sequence[tuple[Snapshot, Changes]], keys: Collection[StateKey]
) -> list[dict[StateKey, EventID]]:
    stored = await state_ids_of_keys(tx, {base.snapshot for base, _ in states}, keys) if keys else {}
    found = []
    for base, changes in states:
        state: dict[StateKey, EventID | None] = {**stored.get(base.snapshot, {})}
        state.update({key: changes[key] for key in keys if key in changes})
        found.append({key: event_id for key, event_id in state.items() if event_id is not None})
    return found


async def _load(
    tx: Tx, event_ids: Collection[EventID], fresh: Mapping[EventID, Event]
) -> tuple[dict[EventID, Event], frozenset[EventID]]:
    """The events, and which of them were rejected. Raises StateUnknown."""
    events = {event_id: fresh[event_id] for event_id in event_ids if event_id in fresh}
    stored = await events_by_id(tx, [event_id for event_id in event_ids if event_id not in events])
    if len(stored) + len(events) < len(event_ids):
        raise StateUnknown(
            f"{len(event_ids) - len(stored) - len(events)} events of the auth chains are not here"
        )
    events.update((event_id, found.event) for event_id, found in stored.items())
    return events, frozenset(e for e, found in stored.items() if found.standing is Standing.REJECTED)


async def _mainlines(
    tx: Tx, events: Mapping[EventID, Event], full: Collection[EventID]
) -> dict[EventID, Event]:
    """What lies under the events as far as it is power levels: only in which order, so nothing but that is in it.

    Of events that are not to be authorised themselves no other auth events count.
    """
    some = next(iter(events.values()))
    lines = await power_levels_under(tx, events.keys())
    return {
        event_id: replace(events[event_id], auth_events=before)
        if event_id in events
        else Event(
            event_id, some.room_id, POWER_LEVELS, "", some.sender, {}, 0, 0, (), before, {}, some.version
        )
        for event_id, before in lines.items()
        if event_id not in full
    }
