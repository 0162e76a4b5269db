"""State resolution: one state out of those of several branches of a room (§State resolution)."""

from collections.abc import Collection, Mapping, Sequence, Set

from protocol.events import Event, StateKey
from protocol.ids import EventID
from protocol.room_versions import RoomVersion, StateResolution
from protocol.state_res.conflicts import auth_difference_of, conflicted_subgraph, separate
from protocol.state_res.v1 import resolve_v1
from protocol.state_res.v2 import resolve_v2

State = Mapping[StateKey, EventID]


def resolve(
    version: RoomVersion,
    sets: Sequence[State],
    events: Mapping[EventID, Event],
    rejected: Collection[EventID] = frozenset(),
) -> dict[StateKey, EventID]:
    """The state that the states resolve to.

    `events` must hold all events of the states with their whole auth chains (the create event too): KeyError
    says that one is not there.
    """
    if version.state_resolution is StateResolution.V1:
        return resolve_v1(version, sets, events)
    unconflicted, conflicted = separate(sets)
    if not conflicted:
        return unconflicted
    full = conflicted | auth_difference_of(sets, unconflicted, events)
    if version.state_resolution is StateResolution.V2_1:
        full |= conflicted_subgraph(conflicted, events)
    return resolve_v2(version, unconflicted, full, events, rejected)


def resolve_with_auth_difference(
    version: RoomVersion,
    sets: Sequence[State],
    auth_difference: Set[EventID],
    events: Mapping[EventID, Event],
    rejected: Collection[EventID] = frozenset(),
) -> dict[StateKey, EventID]:
    """As resolve, where the auth difference is known already: for state resolution v2 and v2.1 (not v1).

    In v2.1 it includes the conflicted subgraph. `events` must hold the conflicted events, those of the auth
    difference, the auth events of both, all power levels events of their auth chains, the create event, and
    of the unconflicted state what authorises them.
    """
    unconflicted, conflicted = separate(sets)
    if not conflicted:
        return unconflicted
    return resolve_v2(version, unconflicted, conflicted | auth_difference, events, rejected)


__all__ = ["State", "resolve", "resolve_with_auth_difference"]
