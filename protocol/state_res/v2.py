"""State resolution v2 (room versions 2 to 11) and v2.1 (12), once the full conflicted set is known."""

from collections.abc import Collection, Iterable, Mapping, Set

from protocol.auth.needed import state_needed_for
from protocol.auth.rules import check_auth
from protocol.errors import Rejected
from protocol.event_format import create_of_room_id
from protocol.events import CREATE, POWER_LEVELS, Event, StateKey
from protocol.ids import EventID
from protocol.room_versions import RoomVersion, StateResolution
from protocol.state_res.order import by_mainline, by_power


def resolve_v2(
    version: RoomVersion,
    unconflicted: Mapping[StateKey, EventID],
    full: Set[EventID],
    events: Mapping[EventID, Event],
    rejected: Collection[EventID],
) -> dict[StateKey, EventID]:
    """The resolved state; `full` is the full conflicted set. Rejected events do not get into it."""
    # v2.1 starts from the empty map, v2 from the unconflicted one.
    starts_empty = version.state_resolution is StateResolution.V2_1
    state = {} if starts_empty else dict(unconflicted)
    power_order = by_power(version, full, events)
    _authorise(version, state, power_order, events, rejected)
    rest = set(full).difference(power_order)
    mainline_order = by_mainline(state.get((POWER_LEVELS, "")), rest, events)
    _authorise(version, state, mainline_order, events, rejected)
    # The unconflicted state always wins.
    state.update(unconflicted)
    return state


def _authorise(
    version: RoomVersion,
    state: dict[StateKey, EventID],
    order: Iterable[EventID],
    events: Mapping[EventID, Event],
    rejected: Collection[EventID],
) -> None:
    """The *iterative auth checks*: put into the state, one after the other, those events that it allows."""
    for event_id in order:
        event = events[event_id]
        # COMPAT Synapse: what was rejected when it came is not admitted now.
        if event_id in rejected or not event.is_state:
            continue
        try:
            check_auth(version, event, _state_for(version, event, state, events, rejected))
        except Rejected:
            continue
        state[event.key] = event_id


def _state_for(
    version: RoomVersion,
    event: Event,
    state: Mapping[StateKey, EventID],
    events: Mapping[EventID, Event],
    rejected: Collection[EventID],
) -> dict[StateKey, Event]:
    """The state so far, and where it has nothing the event's own auth events, unless they were rejected."""
    known = {events[a].key: events[a] for a in event.auth_events if a not in rejected}
    needed = state_needed_for(version, event.type, event.sender, event.state_key, event.content)
    for key in needed:
        if key in state:
            known[key] = events[state[key]]
    if version.room_id_is_create_hash and event.type != CREATE:
        known[CREATE, ""] = events[create_of_room_id(event.room_id)]
    return known
