"""State resolution v1, as room version 1 has it (§State resolution of room version 1)."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from protocol.auth.rules import check_auth
from protocol.errors import Rejected
from protocol.events import JOIN_RULES, MEMBER, POWER_LEVELS, Event, StateKey
from protocol.ids import EventID
from protocol.room_versions import RoomVersion

_Resolved = dict[StateKey, Event]


def resolve_v1(
    version: RoomVersion,
    sets: Sequence[Mapping[StateKey, EventID]],
    events: Mapping[EventID, Event],
) -> dict[StateKey, EventID]:
    """The resolved state. Here a key that some states do not have is no conflict."""
    candidates: dict[StateKey, set[EventID]] = {}
    for state in sets:
        for key, event_id in state.items():
            candidates.setdefault(key, set()).add(event_id)
    resolved = {key: events[next(iter(ids))] for key, ids in candidates.items() if len(ids) == 1}
    conflicts = {
        key: [events[event_id] for event_id in ids] for key, ids in candidates.items() if len(ids) > 1
    }
    # Those of one type do not see each other's outcome.
    for event_type in (POWER_LEVELS, JOIN_RULES, MEMBER):
        keys = [key for key in conflicts if key[0] == event_type]
        resolved.update({key: _last_allowed(version, conflicts.pop(key), resolved) for key in keys})
    resolved.update({key: _first_allowed(version, among, resolved) for key, among in conflicts.items()})
    return {key: event.event_id for key, event in resolved.items()}


def _last_allowed(version: RoomVersion, conflicted: Iterable[Event], resolved: _Resolved) -> Event:
    """From the least depth up, each event that those before it allow, until one is not allowed."""
    state = dict(resolved)
    first, *others = sorted(conflicted, key=_shallow_first)
    state[first.key] = first
    for event in others:
        if not _is_allowed(version, event, state):
            break
        state[event.key] = event
    return state[first.key]


def _first_allowed(version: RoomVersion, conflicted: Iterable[Event], resolved: _Resolved) -> Event:
    """From the greatest depth down, the first event that is allowed; COMPAT Synapse: if none is, the last."""
    deep_first = sorted(conflicted, key=_shallow_first, reverse=True)
    return next((event for event in deep_first if _is_allowed(version, event, resolved)), deep_first[-1])


def _shallow_first(event: Event) -> tuple[int, int]:
    # Ascending depth; among equals descending sha1 of the event ID.
    digest = hashlib.sha1(event.event_id.encode(), usedforsecurity=False).digest()
    return event.depth, -int.from_bytes(digest)


def _is_allowed(version: RoomVersion, event: Event, state: _Resolved) -> bool:
    try:
        check_auth(version, event, state)
    except Rejected:
        return False
    return True
