"""Redaction, and who may redact whom."""

import pytest

from protocol.auth.levels import PowerLevels
from protocol.events import Event
from protocol.redaction import may_apply_redaction, redact, redact_event
from protocol.room_versions import ROOM_VERSIONS, V1, V5, V6, V10, V11, V12, RoomVersion
from tests.protocol.rooms import ALICE, BOB, CAROL, Room, foreign

every_version = pytest.mark.parametrize(
    "version", ROOM_VERSIONS.values(), ids=lambda version: f"v{version.id}"
)


@every_version
def test_a_message_loses_its_content_and_keeps_its_id(version: RoomVersion) -> None:
    event = Room.opened(version).says(ALICE, "a secret")
    redacted = redact_event(event)
    assert redacted.content == {}
    assert redacted.event_id == event.event_id
    assert redacted.json["signatures"] == event.json["signatures"]
    assert event.content["body"] == "a secret"


@every_version
def test_redacting_twice_changes_nothing_more(version: RoomVersion) -> None:
    for event in Room.opened(version, BOB).events.values():
        once = redact(event.json, version)
        assert redact(once, version) == once


def test_unsigned_and_unknown_keys_go() -> None:
    redacted = redact({"type": "t", "content": {}, "unsigned": {"age": 1}, "other": 1, "origin": "one"}, V11)
    assert redacted == {"type": "t", "content": {}}
    assert redact({"type": "t", "content": {}, "origin": "one"}, V10)["origin"] == "one"


@pytest.mark.parametrize(("version", "kept"), [(V5, ["#a:one"]), (V6, None)])
def test_aliases(version: RoomVersion, kept: list[str] | None) -> None:
    redacted = redact({"type": "m.room.aliases", "content": {"aliases": ["#a:one"]}}, version)
    assert redacted["content"].get("aliases") == kept


def test_a_third_party_invite_keeps_what_was_signed() -> None:
    content = {"membership": "invite", "third_party_invite": {"display_name": "A", "signed": {"token": "t"}}}
    event = {"type": "m.room.member", "content": content}
    assert redact(event, V11)["content"] == {
        "membership": "invite",
        "third_party_invite": {"signed": {"token": "t"}},
    }
    assert redact(event, V10)["content"] == {"membership": "invite"}
    assert content["third_party_invite"] == {"display_name": "A", "signed": {"token": "t"}}


def test_a_third_party_invite_that_nobody_signed_leaves_an_empty_object() -> None:
    event = {"type": "m.room.member", "content": {"third_party_invite": {"display_name": "A"}}}
    assert redact(event, V11)["content"] == {"third_party_invite": {}}
    assert redact({"type": "m.room.member", "content": {"third_party_invite": "A"}}, V11)["content"] == {}


def test_create_events_keep_all_since_version_11() -> None:
    event = {"type": "m.room.create", "content": {"creator": ALICE, "m.federate": False}}
    assert redact(event, V11)["content"] == event["content"]
    assert redact(event, V10)["content"] == {"creator": ALICE}


@pytest.mark.parametrize(
    "nonsense", [{}, {"type": [], "content": {"a": 1}}, {"type": "m.room.member", "content": 5}]
)
def test_nonsense_is_redacted_to_nothing(nonsense: dict[str, object]) -> None:
    assert redact(nonsense, V11)["content"] == {}


def _redaction(room: Room, sender: str, target: Event) -> Event:
    place = {} if room.version.redacts_in_content else {"redacts": target.event_id}
    content = {"redacts": target.event_id} if room.version.redacts_in_content else {}
    return foreign(room, sender, "m.room.redaction", content, **place)


def _may(room: Room, sender: str, target: Event) -> bool:
    levels = PowerLevels.of(room.version, room.create, room.state.get(("m.room.power_levels", "")))
    return may_apply_redaction(_redaction(room, sender, target), target, levels)


@pytest.mark.parametrize("version", [V10, V12], ids=lambda version: f"v{version.id}")
def test_moderators_may_redact_all_others_those_of_their_server(version: RoomVersion) -> None:
    room = Room.opened(version, BOB, CAROL)
    of_alice, of_bob = room.says(ALICE, "a"), room.says(BOB, "b")
    assert _may(room, ALICE, of_bob)
    assert _may(room, CAROL, of_bob)  # the same server
    assert not _may(room, CAROL, of_alice)


def test_the_redact_level_counts() -> None:
    room = Room.opened(V11, BOB)
    message = room.says(ALICE, "a")
    room.levels({ALICE: 100, BOB: 40}, redact=41)
    assert not _may(room, BOB, message)
    room.levels({ALICE: 100, BOB: 40}, redact=40)
    assert _may(room, BOB, message)


def test_nothing_of_another_room_is_redacted() -> None:
    room, other = Room.opened(V11), Room.opened(V12)
    assert not _may(room, ALICE, other.says(ALICE, "a"))


def test_where_event_ids_name_servers_the_auth_rules_have_decided() -> None:
    room = Room.opened(V1, BOB)
    assert _may(room, BOB, room.says(ALICE, "a"))
