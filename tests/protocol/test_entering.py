"""Templates of other servers, and rooms as they show them to us: what is taken, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from protocol.build import EventDraft, build_event
from protocol.entered_room import EnteredRoom, enter_room
from protocol.errors import InvalidEvent, Rejected
from protocol.events import CREATE, MEMBER, Event
from protocol.ids import EventID, RoomID, ServerName, UserID
from protocol.room_versions import V1, V6, V10, V11, V12, RoomVersion
from protocol.templates import read_template
from tests.protocol.rooms import ALICE, BOB, CAROL, Room, foreign, key_of

EACH = pytest.mark.parametrize("version", [V1, V6, V10, V11, V12], ids=lambda v: v.id)
DAVE = UserID("@dave:three")


def template_of(room: Room, user: UserID, membership: str = "join") -> dict[str, Any]:
    """A template as a resident server makes it."""
    json = room.draft(user, MEMBER, {"membership": membership}, user).json
    return {name: value for name, value in json.items() if name not in ("hashes", "signatures", "event_id")}


def join_of(room: Room, user: UserID) -> Event:
    """The user's join by the room's own template."""
    place = read_template(room.version, template_of(room, user), room_id(room), user, "join")
    server = ServerName(user.partition(":")[2])
    return build_event(
        room.version,
        EventDraft(MEMBER, {"membership": "join"}, user),
        room_id=room_id(room),
        sender=user,
        prev_events=place.prev_events,
        auth_events=place.auth_events,
        depth=place.depth,
        origin_server_ts=1,
        key=key_of(server),
        server_name=server,
        event_id=None if room.version.event_id_is_hash else EventID(f"$join:{server}"),
    )


def room_id(room: Room) -> RoomID:
    assert room.room_id is not None
    return room.room_id


def enter(room: Room, join: Event, state: list[Event] | None = None, **more: Any) -> EnteredRoom:
    shown = list(room.state.values()) if state is None else state
    return enter_room(
        more.pop("version", room.version),
        more.pop("room_id", room_id(room)),
        shown,
        more.pop("auth_chain", list(room.events.values())),
        join,
        is_partial=more.pop("is_partial", False),
    )


@EACH
def test_the_room_is_as_it_was_shown(version: RoomVersion) -> None:
    room = Room.opened(version, BOB, CAROL)
    join = join_of(room, DAVE)

    entered = enter(room, join)

    assert {key: event.event_id for key, event in entered.state.items()} == room.state_ids
    assert entered.create.event_id == room.create.event_id
    assert entered.refused == ()
    assert {event.event_id for event in entered.auth_chain} == room.events.keys() - set(
        room.state_ids.values()
    )


@pytest.mark.parametrize(
    "change",
    [
        {"type": "m.room.power_levels"},
        {"room_id": "!other:one"},
        {"sender": ALICE},
        {"state_key": ALICE},
        {"content": {"membership": "ban"}},
        {"content": {"membership": "leave"}},
        {"content": "join"},
        {"depth": -1},
        {"depth": True},
        {"depth": 2**70},
        {"prev_events": []},
        {"prev_events": ["$a"] * 21},
        {"prev_events": [7]},
        {"prev_events": {"a": 1}},
        {"auth_events": ["no event ID"]},
        {"auth_events": ["$" + "a" * 300]},
        {"content": {"membership": "join", "join_authorised_via_users_server": 5}},
        {"content": {"membership": "join", "join_authorised_via_users_server": "nobody"}},
    ],
    ids=str,
)
def test_a_template_of_something_else_is_refused(change: dict[str, Any]) -> None:
    room = Room.opened(V10)
    template = template_of(room, DAVE)
    assert read_template(V10, template, room_id(room), DAVE, "join").depth == room.latest.depth + 1  # type: ignore[union-attr]

    with pytest.raises(InvalidEvent):
        read_template(V10, template | change, room_id(room), DAVE, "join")


@pytest.mark.parametrize("edge", ["$a:one", ["$a:one"], ["$a:one", {}], ["$a:one", {"sha256": 1}], [1, {}]])
def test_pairs_must_be_pairs_in_version_1(edge: Any) -> None:
    room = Room.opened(V1)

    with pytest.raises(InvalidEvent):
        read_template(V1, template_of(room, DAVE) | {"prev_events": [edge]}, room_id(room), DAVE, "join")


def test_a_template_authorises_joins_of_restricted_rooms_only() -> None:
    room = Room.opened(V11)
    content = {"membership": "join", "join_authorised_via_users_server": ALICE}
    joining = template_of(room, DAVE) | {"content": content}
    leaving = template_of(room, DAVE, "leave") | {"content": content | {"membership": "leave"}}

    assert read_template(V11, joining, room_id(room), DAVE, "join").authorised_via == ALICE
    assert read_template(V11, leaving, room_id(room), DAVE, "leave").authorised_via is None
    assert read_template(V6, joining, room_id(room), DAVE, "join").authorised_via is None


def without(room: Room, *keys: tuple[str, str]) -> list[Event]:
    return [event for key, event in room.state.items() if key not in keys]


def no_create(room: Room) -> list[Event]:
    return without(room, (CREATE, ""))


def of_another_room(room: Room) -> list[Event]:
    return list(Room.opened(room.version, name="other").state.values())


def with_one_of_another_room(room: Room) -> list[Event]:
    other = Room.opened(V12, name="other")
    return [*room.state.values(), other.put(ALICE, "m.room.name", {"name": "Other"}, "")]


def with_two_names(room: Room) -> list[Event]:
    first = room.put(ALICE, "m.room.name", {"name": "A"}, "")
    second = room.put(ALICE, "m.room.name", {"name": "B"}, "")
    return [*without(room, ("m.room.name", "")), first, second]


def with_a_message(room: Room) -> list[Event]:
    return [*room.state.values(), room.says(ALICE, "hello")]


@pytest.mark.parametrize(
    "lie", [no_create, of_another_room, with_one_of_another_room, with_two_names, with_a_message]
)
@pytest.mark.parametrize("version", [V12])
def test_a_lie_about_the_room_is_no_room(version: RoomVersion, lie: Callable[[Room], list[Event]]) -> None:
    room = Room.opened(version, BOB)
    join = join_of(room, DAVE)

    with pytest.raises(Rejected):
        enter(room, join, lie(room))


@EACH
def test_the_version_must_be_the_one_of_the_create_event(version: RoomVersion) -> None:
    room = Room.opened(version, BOB)
    other = V10 if version is not V10 else V6

    with pytest.raises(Rejected):
        enter(room, join_of(room, DAVE), version=other)


@EACH
def test_forged_members_are_left_out(version: RoomVersion) -> None:
    room = Room.opened(version, join_rule="invite")
    invite = room.member(DAVE, "invite", by=ALICE)
    forged = foreign(room, CAROL, MEMBER, {"membership": "join"}, CAROL)
    join = join_of(room, DAVE)

    entered = enter(room, join, [*room.state.values(), forged])

    assert [event_id for event_id, _ in entered.refused] == [forged.event_id]
    assert (MEMBER, CAROL) not in entered.state
    assert entered.state[MEMBER, DAVE].event_id == invite.event_id


@EACH
def test_what_rests_on_what_was_not_shown_is_left_out(version: RoomVersion) -> None:
    room = Room.opened(version, BOB)
    join = join_of(room, DAVE)
    later = room.put(ALICE, "m.room.name", {"name": "A"}, "")
    member = room.state[MEMBER, ALICE]
    chain = [event for event in room.events.values() if event is not member]

    # Without Alice's join neither her name for the room nor the power levels and join rules stand, and so not our join.
    with pytest.raises(Rejected):
        enter(room, join, [e for e in room.state.values() if e is not member], auth_chain=chain)
    assert enter(room, join).state[later.key].event_id == later.event_id


@EACH
def test_our_join_must_be_allowed_in_the_state_that_was_shown(version: RoomVersion) -> None:
    room = Room.opened(version, BOB)
    join = join_of(room, DAVE)
    room.member(DAVE, "ban", by=ALICE)

    with pytest.raises(Rejected):
        enter(room, join)


def test_with_members_left_out_the_join_rests_on_its_auth_events() -> None:
    room = Room.opened(V11, join_rule="invite")
    room.member(DAVE, "invite", by=ALICE)
    join = join_of(room, DAVE)
    state = [event for event in room.state.values() if event.type != MEMBER]

    entered = enter(room, join, state, is_partial=True)

    assert MEMBER not in {key[0] for key in entered.state}
    with pytest.raises(Rejected):
        enter(room, join, state, is_partial=False)


def test_events_that_rest_on_each_other_are_left_out() -> None:
    room = Room.opened(V1, BOB)
    join = join_of(room, DAVE)
    one, two = "$one:two", "$two:two"
    named = [[room.create.event_id, {"sha256": "x"}], [room.state[MEMBER, BOB].event_id, {"sha256": "x"}]]
    circle = [
        foreign(room, BOB, "org.a", {}, key, event_id=mine, auth_events=[*named, [other, {"sha256": "x"}]])
        for key, mine, other in (("1", one, two), ("2", two, one))
    ]

    entered = enter(room, join, [*room.state.values(), *circle])

    assert {event_id for event_id, _ in entered.refused} == {one, two}


def test_many_events_cost_no_more_than_their_number() -> None:
    """A chain of thousands would break a walk that calls itself."""
    room = Room.opened(V11)
    join = join_of(room, DAVE)
    for _ in range(3000):
        room.member(ALICE, "join", displayname="again")

    assert len(enter(room, join, auth_chain=list(room.events.values())).state) == len(room.state)
