"""Power levels: what they are, how they are read, and who may change them."""

from typing import Any

import pytest

from protocol.auth.levels import INFINITE, PowerLevels, creators_of, parse_level
from protocol.errors import Rejected
from protocol.room_versions import ROOM_VERSIONS, V5, V6, V9, V10, V11, V12, RoomVersion
from tests.protocol.rooms import ALICE, BOB, CAROL, Room, foreign, is_allowed

every_version = pytest.mark.parametrize(
    "version", ROOM_VERSIONS.values(), ids=lambda version: f"v{version.id}"
)


def _levels(room: Room) -> PowerLevels:
    return PowerLevels.of(room.version, room.create, room.state.get(("m.room.power_levels", "")))


@every_version
def test_defaults_without_power_levels(version: RoomVersion) -> None:
    levels = _levels(Room(version))
    assert levels.of_user(ALICE) == (INFINITE if version.creator_power else 100)
    assert levels.of_user(BOB) == 0
    assert (levels.ban, levels.kick, levels.redact, levels.invite) == (50, 50, 50, 0)
    assert (levels.to_send("t", is_state=True), levels.to_send("t", is_state=False)) == (50, 0)
    assert levels.notification("room") == 50


@every_version
def test_levels_as_given(version: RoomVersion) -> None:
    room = Room.opened(version)
    users = {BOB: 60} if version.creator_power else {ALICE: 100, BOB: 60}
    room.levels(
        users,
        users_default=5,
        ban=1,
        kick=2,
        redact=3,
        invite=4,
        events={"t": 7},
        events_default=8,
        state_default=9,
        notifications={"room": 10},
    )
    levels = _levels(room)
    assert (levels.of_user(BOB), levels.of_user(CAROL)) == (60, 5)
    assert (levels.ban, levels.kick, levels.redact, levels.invite) == (1, 2, 3, 4)
    assert (levels.to_send("t", True), levels.to_send("u", True), levels.to_send("u", False)) == (7, 9, 8)
    assert (levels.notification("room"), levels.notification("other")) == (10, 50)


@every_version
def test_with_power_levels_a_creator_that_they_do_not_name_has_no_power(version: RoomVersion) -> None:
    room = Room.opened(version)
    room.levels({})
    assert _levels(room).of_user(ALICE) == (INFINITE if version.creator_power else 0)


def test_creators() -> None:
    assert creators_of(Room(V10, creator=BOB).create) == {BOB}
    assert creators_of(Room(V10, creator=[BOB]).create) == frozenset()
    assert creators_of(Room(V11, creator=BOB).create) == {ALICE}
    assert creators_of(Room(V11, additional_creators=[BOB]).create) == {ALICE}
    assert creators_of(Room(V12, additional_creators=[BOB]).create) == {ALICE, BOB}


LENIENT = [
    ("50", 9, 50),
    (" \t+050\n", 9, 50),
    ("-5", 9, -5),
    ("50.0", 0, None),
    ("0x10", 0, None),
    ("", 0, None),
    ("+ 5", 0, None),
    ("5_0", 0, None),
    ("٥", 0, None),
    ("9" * 5000, 0, None),
    (50.57, 5, 50),
    (-50.57, 5, -50),
    (float("inf"), 0, None),
    (float("nan"), 0, None),
    (True, 0, None),
    (None, 0, None),
    ([], 0, None),
    (50, 12, 50),
]


@pytest.mark.parametrize(("value", "until", "level"), LENIENT)
def test_old_versions_read_more_as_a_level(value: Any, until: int, level: int | None) -> None:
    for number, version in enumerate(ROOM_VERSIONS.values(), start=1):
        if number <= until:
            assert parse_level(value, version) == level
        else:
            with pytest.raises(Rejected):
                parse_level(value, version)


def _may_set(room: Room, content: dict[str, Any], by: str = ALICE) -> bool:
    return is_allowed(foreign(room, by, "m.room.power_levels", content, ""), room.state)


@pytest.mark.parametrize(
    "content",
    [
        *[
            {name: wrong}
            for name in ("users_default", "ban", "invite")
            for wrong in ("50", True, None, [], {})
        ],
        *[
            {name: wrong}
            for name in ("events", "notifications")
            for wrong in (5, [], None, {"t": "50"}, {"t": True})
        ],
    ],
)
def test_levels_are_integers_since_version_10(content: dict[str, Any]) -> None:
    room = Room.opened(V10)
    room.state.pop(("m.room.power_levels", ""))
    assert not _may_set(room, content)
    room = Room.opened(V9)
    room.state.pop(("m.room.power_levels", ""))
    assert _may_set(room, content)


@every_version
@pytest.mark.parametrize("users", [5, [], None, {"bob": 5}, {"@bob": 5}, {BOB: []}, {BOB: True}, {BOB: "x"}])
def test_users_are_user_ids_with_levels(version: RoomVersion, users: Any) -> None:
    assert not _may_set(Room.opened(version), {"users": users})


def test_users_may_have_old_levels_in_old_versions() -> None:
    for version, string, number in (
        (V5, True, True),
        (V6, True, False),
        (V9, True, False),
        (V10, False, False),
    ):
        room = Room.opened(version)
        assert _may_set(room, {"users": {ALICE: "100"}}) is string
        if version is V5:
            assert _may_set(room, {"users": {ALICE: 99.5}}) is number


def test_nobody_gives_a_creator_a_level_since_version_12() -> None:
    room = Room.opened(V12, additional_creators=[BOB])
    for user in (ALICE, BOB):
        assert not _may_set(room, {"users": {user: 100}})
        first = Room(V12, additional_creators=[BOB])
        first.member(ALICE, "join")
        assert not _may_set(first, {"users": {user: 100}})
    assert _may_set(room, {"users": {CAROL: 2**53 - 1}})


def _moderated(version: RoomVersion, **content: Any) -> Room:
    """A room where Bob has 60 and Carol 40, and all that is given here."""
    room = Room.opened(version, BOB, CAROL)
    users = {BOB: 60, CAROL: 40} if version.creator_power else {ALICE: 100, BOB: 60, CAROL: 40}
    room.levels(users, **content)
    return room


def _bob_may(version: RoomVersion, before: dict[str, Any], after: dict[str, Any]) -> bool:
    room = _moderated(version, **before)
    now = room.state["m.room.power_levels", ""].content
    changed = {**{key: value for key, value in now.items() if key not in before}, **after}
    return _may_set(room, changed, by=BOB)


@every_version
@pytest.mark.parametrize(
    "name", ["users_default", "events_default", "state_default", "ban", "redact", "kick", "invite"]
)
def test_single_levels(version: RoomVersion, name: str) -> None:
    keeps_his_right = {"events": {"m.room.power_levels": 0}} if name == "state_default" else {}
    for before, after, allowed in (
        (None, 60, True),
        (None, 61, False),
        (60, 0, True),
        (60, None, True),
        (61, 0, False),
        (61, None, False),
        (61, 61, True),
    ):
        old = keeps_his_right | ({} if before is None else {name: before})
        new = keeps_his_right | ({} if after is None else {name: after})
        if name == "users_default" and before == 61:
            old["users_default"] = 61
        assert _bob_may(version, old, new) is allowed, (before, after)


@every_version
@pytest.mark.parametrize("table", ["events", "notifications"])
def test_tables(version: RoomVersion, table: str) -> None:
    limited = table == "events" or version.limit_notifications_levels
    for before, after, allowed in (
        ({}, {"x": 60}, True),
        ({}, {"x": 61}, False),
        ({"x": 61}, {}, False),
        ({"x": 61}, {"x": 5}, False),
        ({"x": 60}, {}, True),
        ({"x": 60}, {"x": 61}, False),
        ({"x": 61}, {"x": 61, "y": 5}, True),
    ):
        assert _bob_may(version, {table: before}, {table: after}) is (allowed or not limited), (before, after)


@every_version
def test_users(version: RoomVersion) -> None:
    now = {BOB: 60, CAROL: 40} if version.creator_power else {ALICE: 100, BOB: 60, CAROL: 40}
    room = _moderated(version)

    def may(users: dict[str, int]) -> bool:
        return _may_set(room, {"users": users}, by=BOB)

    assert may({**now, BOB: 10})  # lowers himself
    assert may({user: level for user, level in now.items() if user != BOB})
    assert not may({**now, BOB: 61})
    assert may({**now, CAROL: 60})
    assert not may({**now, CAROL: 61})
    assert may({**now, "@dave:three": 60})
    assert not may({**now, "@dave:three": 61})
    room.levels({**now, CAROL: 60})
    assert not may({**now, CAROL: 59})  # his equal
    assert not may({user: level for user, level in now.items() if user != CAROL})
    if not version.creator_power:
        assert not may({**now, CAROL: 60, ALICE: 99})


def test_a_creator_changes_what_is_beyond_all_integers() -> None:
    room = Room.opened(V12, BOB)
    room.levels({BOB: 2**53 - 1}, ban=2**53 - 1)
    assert _may_set(room, {"users": {}}, by=ALICE)
    assert _may_set(room, {"users": {BOB: 0}}, by=ALICE)
