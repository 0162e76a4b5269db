"""Our authorisation rules against Synapse's: random events in random rooms of every version."""

from collections import Counter
from typing import Any

import pytest

from protocol.auth.levels import parse_level
from protocol.auth.rules import check_auth, check_auth_events
from protocol.errors import Rejected
from protocol.event_format import parse_pdu
from protocol.events import CREATE, Event
from protocol.ids import server_of
from protocol.room_versions import ROOM_VERSIONS, RoomVersion
from tests.protocol.oracle import synapse
from tests.protocol.oracle.random_rooms import NAMED, RandomRoom, another_create
from tests.protocol.rooms import Room

ROOMS, EVENTS = 12, 60


def _our_verdict(version: RoomVersion, event: Event, room: Room) -> synapse.Verdict:
    try:
        check_auth(version, event, room.state)
    except Rejected as e:
        return str(e)
    return None


def _is_known_difference(event: Event, room: Room) -> bool:
    """The differences that docs/decisions/0004-differences-from-synapse.md explains."""
    # 1. In a room that does not federate Synapse looks at the domain of a membership's target too.
    if event.type == "m.room.member" and room.create.content.get("m.federate", True) is not True:
        return server_of(event.state_key or "") != server_of(room.create.sender)
    # 2. Power levels that are none, in versions that let them into the room.
    levels = [
        room.state.get(("m.room.power_levels", "")),
        event if event.type == "m.room.power_levels" else None,
    ]
    return not room.version.integer_power_levels and any(
        _has_nonsense(event.content, room.version) for event in levels if event
    )


def _has_nonsense(content: Any, version: RoomVersion) -> bool:
    tables = [content[name] for name in ("users", "events", "notifications") if name in content]
    if not all(isinstance(table, dict) for table in tables):
        return True
    values = [content[name] for name in NAMED if name in content]
    values += [value for table in tables for value in table.values()]
    try:
        for value in values:
            parse_level(value, version)
    except Rejected:
        return True
    return False


@pytest.mark.parametrize("version", ROOM_VERSIONS.values(), ids=lambda version: f"v{version.id}")
def test_state_rules_agree(version: RoomVersion) -> None:
    allowed: Counter[bool] = Counter()
    for seed in range(ROOMS):
        random_room = RandomRoom(version, seed)
        for _ in range(EVENTS):
            event = random_room.proposal()
            state = random_room.room.state
            ours = _our_verdict(version, event, random_room.room)
            theirs = synapse.check_state_rules(event, state.values())
            if (ours is None) != (theirs is None) and not _is_known_difference(event, random_room.room):
                pytest.fail(
                    f"{event} {event.content}\nours: {ours}\ntheirs: {theirs}\nseed {seed}\n{_shown(state)}"
                )
            allowed[ours is None] += 1
            random_room.accept_if_allowed(event)
    assert min(allowed[True], allowed[False]) > ROOMS * EVENTS // 20, "one-sided: tests too little"


@pytest.mark.parametrize("version", ROOM_VERSIONS.values(), ids=lambda version: f"v{version.id}")
def test_rules_without_state_agree(version: RoomVersion) -> None:
    allowed: Counter[bool] = Counter()
    for seed in range(ROOMS):
        random_room = RandomRoom(version, seed, sane=True)
        for _ in range(EVENTS // 2):
            event = random_room.proposal()
            strange = _with_strange_auth_events(event, random_room)
            _assert_agree_without_state(strange, random_room.room)
            allowed[_our_stateless_verdict(strange, random_room.room) is None] += 1
            random_room.accept_if_allowed(event)
        for _ in range(EVENTS // 2):
            _assert_agree_without_state(
                another_create(random_room.room, random_room.chance), random_room.room
            )
    assert min(allowed[True], allowed[False]) > ROOMS * EVENTS // 20, "one-sided: tests too little"


def _with_strange_auth_events(event: Event, random_room: RandomRoom) -> Event:
    """The event with an auth event fewer or more, perhaps."""
    auth_events = list(event.auth_events)
    roll = random_room.chance.random()
    if roll < 0.3:
        auth_events.append(random_room.chance.choice(list(random_room.room.events)))
    elif roll < 0.5 and auth_events:
        auth_events.remove(random_room.chance.choice(auth_events))
    pairs = event.version.event_id_names_server
    json = {**event.json, "auth_events": [[e, {"sha256": ""}] for e in auth_events] if pairs else auth_events}
    return parse_pdu(json, event.version)


def _our_stateless_verdict(event: Event, room: Room) -> synapse.Verdict:
    try:
        if event.type == CREATE:
            check_auth(room.version, event, {})
        check_auth_events(room.version, event, [room.events[e] for e in event.auth_events], ())
    except Rejected as e:
        return str(e)
    return None


def _assert_agree_without_state(event: Event, room: Room) -> None:
    ours = _our_stateless_verdict(event, room)
    theirs = synapse.check_stateless_rules(event, room.events)
    assert (ours is None) == (theirs is None), f"{event} {event.json}\nours: {ours}\ntheirs: {theirs}"


def _shown(state: dict[tuple[str, str], Event]) -> str:
    return "\n".join(f"{event} {event.content}" for event in state.values())
