"""The authorisation rules, one by one: all but those for memberships and power levels."""

from typing import Any

import pytest

from protocol.auth.needed import needed_for, state_needed_for
from protocol.auth.rules import check_auth_events
from protocol.errors import Rejected
from protocol.events import Event
from protocol.room_versions import ROOM_VERSIONS, V1, V2, V3, V5, V6, V7, V8, V10, V11, V12, RoomVersion
from tests.protocol.rooms import ALICE, BOB, CAROL, Room, foreign, is_allowed

every_version = pytest.mark.parametrize(
    "version", ROOM_VERSIONS.values(), ids=lambda version: f"v{version.id}"
)


def _create(version: RoomVersion, content: dict[str, Any], **fields: Any) -> Event:
    fields = {"prev_events": [], "auth_events": [], **fields}
    room = Room(version)
    if version.room_id_is_create_hash:
        room.room_id = None
        fields.setdefault("room_id", None)
    event = foreign(room, ALICE, "m.room.create", content, "", **fields)
    if fields.get("room_id", "") is None:
        del event.json["room_id"]
    return event


# 1. m.room.create


@every_version
def test_create_has_no_prev_events(version: RoomVersion) -> None:
    room = Room(version)
    assert is_allowed(room.create, {})
    second = room.draft(ALICE, "m.room.create", {**room.create.content}, "")
    assert second.prev_events
    assert not is_allowed(second, {})


def test_create_is_of_the_senders_domain_until_version_11() -> None:
    for version in (V1, V11):
        content = {"creator": ALICE, "room_version": version.id}
        assert is_allowed(_create(version, content, room_id="!r:one"), {})
        assert not is_allowed(_create(version, content, room_id="!r:two"), {})
        assert not is_allowed(_create(version, content, room_id="!r"), {})


def test_create_brings_no_room_id_since_version_12() -> None:
    room = Room(V12)
    assert is_allowed(room.create, {})
    assert not is_allowed(
        foreign(room, ALICE, "m.room.create", {"room_version": "12"}, "", prev_events=[]), {}
    )


@every_version
def test_create_names_a_room_version_that_is_known(version: RoomVersion) -> None:
    for room_version in ("13", "", 1, None, ["1"]):
        assert not is_allowed(_create(version, {"creator": ALICE, "room_version": room_version}), {})


@every_version
def test_create_names_its_creator_until_version_10(version: RoomVersion) -> None:
    assert is_allowed(_create(version, {"room_version": version.id}), {}) is (version in (V11, V12))


@pytest.mark.parametrize("wrong", ["text", {}, None, [5], ["bob"], ["@bob"], ["@" + "x" * 255 + ":one"]])
def test_additional_creators_are_user_ids_since_version_12(wrong: Any) -> None:
    assert not is_allowed(_create(V12, {"room_version": "12", "additional_creators": wrong}), {})
    assert is_allowed(_create(V12, {"room_version": "12", "additional_creators": [BOB]}), {})
    assert is_allowed(_create(V11, {"room_version": "11", "additional_creators": wrong}), {})


# 2. auth_events


def _check_auth_events(event: Event, auth_events: list[Event], rejected: tuple[str, ...] = ()) -> bool:
    try:
        check_auth_events(event.version, event, auth_events, rejected)
    except Rejected:
        return False
    return True


@every_version
def test_auth_events(version: RoomVersion) -> None:
    room = Room.opened(version, BOB)
    event = room.says(ALICE, "hello")
    named = [room.events[event_id] for event_id in event.auth_events]
    assert _check_auth_events(event, named)
    assert _check_auth_events(event, named[:1])  # any subset with the create event
    assert not _check_auth_events(event, [*named, named[-1]])  # two of a kind
    assert not _check_auth_events(event, [*named, room.state["m.room.member", BOB]])  # not selected
    assert not _check_auth_events(event, [*named, room.says(ALICE, "not a state event")])
    assert not _check_auth_events(event, named, (named[-1].event_id,))  # itself rejected
    other = Room.opened(version, another=True)
    if version.room_id_is_create_hash:
        assert not _check_auth_events(event, [*named, room.create])
        assert not _check_auth_events(event, [other.state["m.room.member", ALICE]])  # of another room
    else:
        assert not _check_auth_events(event, named[1:])  # no create event
        elsewhere = Event(**{**{f: getattr(named[-1], f) for f in Event.__slots__}, "room_id": "!other:one"})
        assert not _check_auth_events(event, [*named[:-1], elsewhere])
    assert _check_auth_events(room.create, [])


def test_which_state_authorises() -> None:
    always = {("m.room.create", ""), ("m.room.power_levels", ""), ("m.room.member", ALICE)}
    assert needed_for(V11, "m.room.message", ALICE, None, {}) == always
    assert needed_for(V12, "m.room.message", ALICE, None, {}) == always - {("m.room.create", "")}
    assert state_needed_for(V12, "m.room.message", ALICE, None, {}) == always
    assert needed_for(V11, "m.room.create", ALICE, "", {}) == set()
    assert needed_for(V11, "m.room.message", ALICE, None, {"membership": "join"}) == always

    def for_member(version: RoomVersion, **content: Any) -> set[tuple[str, str]]:
        return set(needed_for(version, "m.room.member", ALICE, BOB, content)) - always

    bob, carol, rules = ("m.room.member", BOB), ("m.room.member", CAROL), ("m.room.join_rules", "")
    assert for_member(V11, membership="leave") == {bob}
    assert for_member(V11, membership="ban") == {bob}
    for membership in ("join", "invite", "knock"):
        assert for_member(V11, membership=membership) == {bob, rules}
    signed = {"third_party_invite": {"signed": {"token": "t"}}}
    assert for_member(V11, membership="invite", **signed) == {bob, rules, ("m.room.third_party_invite", "t")}
    assert for_member(V11, membership="join", **signed) == {bob, rules}
    via = {"join_authorised_via_users_server": CAROL}
    assert for_member(V8, membership="join", **via) == {bob, rules, carol}
    assert for_member(V7, membership="join", **via) == {bob, rules}
    assert for_member(V8, membership="leave", **via) == {bob}


# 3. (since version 12: 2. and 4.) the room


@every_version
def test_there_is_a_create_event_and_it_is_that_of_the_room(version: RoomVersion) -> None:
    room = Room.opened(version)
    message = room.says(ALICE, "hello")
    assert not is_allowed(message, {key: e for key, e in room.state.items() if key[0] != "m.room.create"})
    if version.room_id_is_create_hash:
        another = Room(version, another=True).create
        assert not is_allowed(message, {**room.state, another.key: another})


@every_version
def test_a_room_that_does_not_federate(version: RoomVersion) -> None:
    room = Room.opened(version, **{"m.federate": False})
    assert is_allowed(room.draft(ALICE, "m.room.message", {}), room.state)
    assert not is_allowed(room.draft(BOB, "m.room.member", {"membership": "join"}, BOB), room.state)
    assert is_allowed(
        room.draft("@dave:one", "m.room.member", {"membership": "join"}, "@dave:one"), room.state
    )


def test_aliases_until_version_5() -> None:
    for version, special in ((V5, True), (V6, False)):
        room = Room.opened(version)
        assert is_allowed(room.draft(BOB, "m.room.aliases", {}, "two"), room.state) is special
        assert not is_allowed(room.draft(BOB, "m.room.aliases", {}, "one"), room.state)
        assert not is_allowed(room.draft(BOB, "m.room.aliases", {}), room.state)


# 5. to 8.


@every_version
def test_only_members_speak(version: RoomVersion) -> None:
    room = Room.opened(version, BOB)
    assert is_allowed(room.draft(BOB, "m.room.message", {}), room.state)
    assert not is_allowed(room.draft(CAROL, "m.room.message", {}), room.state)
    for membership, by in (("leave", BOB), ("invite", ALICE), ("leave", ALICE), ("ban", ALICE)):
        room.member(BOB, membership, by=by)
        assert not is_allowed(room.draft(BOB, "m.room.message", {}), room.state)


@every_version
def test_third_party_invites_need_the_invite_level(version: RoomVersion) -> None:
    room = Room.opened(version, BOB)
    assert is_allowed(room.draft(BOB, "m.room.third_party_invite", {}, "token"), room.state)
    room.levels(
        {} if version.creator_power else {ALICE: 100}, invite=1, events={"m.room.third_party_invite": 0}
    )
    assert not is_allowed(room.draft(BOB, "m.room.third_party_invite", {}, "token"), room.state)
    assert is_allowed(room.draft(ALICE, "m.room.third_party_invite", {}, "token"), room.state)


@every_version
def test_levels_to_send(version: RoomVersion) -> None:
    room = Room.opened(version, BOB)
    users = {BOB: 50} if version.creator_power else {ALICE: 100, BOB: 50}
    room.levels(users, events={"m.room.topic": 51, "m.room.name": 50}, events_default=50)
    for event_type, state_key, allowed in (
        ("m.room.topic", "", False),
        ("m.room.name", "", True),
        ("m.room.avatar", "", True),  # state_default is 50
        ("m.room.message", None, True),
    ):
        assert is_allowed(room.draft(BOB, event_type, {}, state_key), room.state) is allowed
    room.levels(users, events_default=51, state_default=51)
    assert not is_allowed(room.draft(BOB, "m.room.avatar", {}, ""), room.state)
    assert not is_allowed(room.draft(BOB, "m.room.message", {}), room.state)


@every_version
def test_without_power_levels_only_the_creator_sends_state(version: RoomVersion) -> None:
    room = Room(version)
    room.member(ALICE, "join")
    room.put(ALICE, "m.room.join_rules", {"join_rule": "public"}, "")
    room.member(BOB, "join")
    assert is_allowed(room.draft(BOB, "m.room.message", {}), room.state)
    assert not is_allowed(room.draft(BOB, "m.room.topic", {}, ""), room.state)
    assert is_allowed(room.draft(ALICE, "m.room.topic", {}, ""), room.state)


@every_version
def test_a_state_key_that_is_a_user_is_the_senders(version: RoomVersion) -> None:
    room = Room.opened(version, BOB)
    assert is_allowed(room.draft(ALICE, "org.example", {}, ALICE), room.state)
    assert not is_allowed(room.draft(ALICE, "org.example", {}, BOB), room.state)
    assert not is_allowed(room.draft(ALICE, "org.example", {}, "@"), room.state)
    assert is_allowed(room.draft(ALICE, "org.example", {}, "_" + BOB), room.state)


def test_redactions_are_authorised_by_event_ids_until_version_2() -> None:
    for version, ruled in ((V1, True), (V2, True), (V3, False), (V10, False)):
        room = Room.opened(version, BOB, CAROL)
        of_alice, of_bob = room.says(ALICE, "a"), room.says(BOB, "b")
        assert is_allowed(room.draft(ALICE, "m.room.redaction", {}, redacts=of_bob.event_id), room.state)
        assert is_allowed(room.draft(CAROL, "m.room.redaction", {}, redacts=of_bob.event_id), room.state)
        assert (
            is_allowed(room.draft(BOB, "m.room.redaction", {}, redacts=of_alice.event_id), room.state)
            is not ruled
        )
        assert is_allowed(room.draft(BOB, "m.room.redaction", {}), room.state) is not ruled
