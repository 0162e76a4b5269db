"""A room as the server through which we join it shows it to us (send_join): what of that is allowed, and what is not.

The signatures and hashes of all events have been checked before. Here each event is put to the authorisation rules, in
the order in which the events rest on each other, and at the end our own join in the state that came out of that.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from protocol.auth.rules import check_auth, check_auth_events
from protocol.errors import Rejected, UnsupportedRoomVersion
from protocol.event_format import create_of_room_id
from protocol.events import CREATE, Event, StateKey
from protocol.ids import EventID, RoomID
from protocol.room_versions import RoomVersion, version_of_create


@dataclass(frozen=True, slots=True)
class EnteredRoom:
    """The room before our join: its state, further events that this rests on, and those that were refused, with reasons."""

    create: Event
    state: dict[StateKey, Event]
    auth_chain: tuple[Event, ...]
    refused: tuple[tuple[EventID, str], ...]


def enter_room(
    version: RoomVersion,
    room_id: RoomID,
    state: Sequence[Event],
    auth_chain: Sequence[Event],
    join: Event,
    *,
    is_partial: bool,
) -> EnteredRoom:
    """The part of what was shown that is allowed. Raises Rejected where this is not the room that was asked for, or where
    our join would not be allowed in it. With `is_partial`, of the members only those that the join rests on are known.
    """
    shown = {event.event_id: event for event in (*auth_chain, *state) if event.room_id == room_id}
    _check_state(state, room_id)
    create = next((event for event in state if event.key == (CREATE, "")), None)
    if create is None or not _makes_room(create, version, room_id):
        raise Rejected("the state has no create event of this room and version")
    allowed, refused = _allowed(version, shown, create)
    if create.event_id not in allowed:
        raise Rejected("the create event is not allowed")
    kept = {event.key: allowed[event.event_id] for event in state if event.event_id in allowed}
    in_state = {event.event_id for event in kept.values()}
    _check_join(version, join, kept, allowed, is_partial)
    rest = tuple(event for event_id, event in allowed.items() if event_id not in in_state)
    return EnteredRoom(create, kept, rest, tuple(refused.items()))


def _check_state(state: Sequence[Event], room_id: RoomID) -> None:
    if any(event.room_id != room_id or not event.is_state for event in state):
        raise Rejected("the state has events that are none of this room's state")
    if len({event.key for event in state}) < len({event.event_id for event in state}):
        raise Rejected("the state has two events under one key")


def _makes_room(create: Event, version: RoomVersion, room_id: RoomID) -> bool:
    # «since v12 the room ID is the hash of the create event»
    if version.room_id_is_create_hash and create.event_id != create_of_room_id(room_id):
        return False
    try:
        return version_of_create(create.content) == version
    except UnsupportedRoomVersion:
        return False


def _allowed(
    version: RoomVersion, shown: Mapping[EventID, Event], create: Event
) -> tuple[dict[EventID, Event], dict[EventID, str]]:
    """The events that their auth events allow, in an order in which each comes after those; and why others are not."""
    allowed: dict[EventID, Event] = {}
    refused: dict[EventID, str] = {}
    for event in _in_order(shown):
        named = [allowed[event_id] for event_id in event.auth_events if event_id in allowed]
        if len(named) < len(event.auth_events):
            refused[event.event_id] = "an auth event is missing or not allowed"
            continue
        try:
            check_auth_events(version, event, named, ())
            check_auth(version, event, _state_of(version, named, create))
        except Rejected as error:
            refused[event.event_id] = str(error)
        else:
            allowed[event.event_id] = event
    for event_id in shown.keys() - allowed.keys() - refused.keys():
        refused[event_id] = "its auth events go round in a circle"
    return allowed, refused


def _in_order(shown: Mapping[EventID, Event]) -> Iterable[Event]:
    """The events, each after those of its auth events that are there; without those that rest on each other."""
    waiting = {
        event_id: sum(named in shown for named in set(event.auth_events)) for event_id, event in shown.items()
    }
    followers: dict[EventID, list[EventID]] = {}
    for event_id, event in shown.items():
        for named in set(event.auth_events):
            followers.setdefault(named, []).append(event_id)
    ready = deque(event_id for event_id, count in waiting.items() if not count)
    while ready:
        event_id = ready.popleft()
        yield shown[event_id]
        for follower in followers.get(event_id, ()):
            waiting[follower] -= 1
            if not waiting[follower]:
                ready.append(follower)


def _state_of(version: RoomVersion, named: Iterable[Event], create: Event) -> dict[StateKey, Event]:
    state = {event.key: event for event in named}
    if version.room_id_is_create_hash:  # nobody names it there
        state[CREATE, ""] = create
    return state


def _check_join(
    version: RoomVersion,
    join: Event,
    state: Mapping[StateKey, Event],
    allowed: Mapping[EventID, Event],
    is_partial: bool,
) -> None:
    named = [allowed[event_id] for event_id in join.auth_events if event_id in allowed]
    if len(named) < len(join.auth_events):
        raise Rejected("what our join rests on was not shown, or is not allowed")
    check_auth_events(version, join, named, ())
    by_key = _state_of(version, named, state[CREATE, ""])
    check_auth(version, join, by_key)
    check_auth(version, join, {**by_key, **state} if is_partial else state)
