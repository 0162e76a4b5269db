"""Building events of our own."""

from typing import Any

import pytest

from protocol.build import EventDraft, build_event
from protocol.errors import InvalidEvent, Oversized
from protocol.events import Event
from protocol.hashes import event_id, has_good_content_hash, reference_hash
from protocol.ids import EventID, RoomID, ServerName
from protocol.json import canonical
from protocol.room_versions import ROOM_VERSIONS, V2, V10, V11, V12, RoomVersion
from protocol.signing import check_event_signatures
from protocol.unpadded_base64 import encode_base64
from tests.protocol.rooms import ALICE, Room, key_of

ONE = ServerName("one")


def _build(version: RoomVersion, draft: EventDraft, **changes: Any) -> Event:
    arguments: dict[str, Any] = {
        "room_id": RoomID("!r:one"),
        "sender": ALICE,
        "prev_events": [EventID("$prev")],
        "auth_events": [],
        "depth": 5,
        "origin_server_ts": 1_700_000_000_000,
        "key": key_of(ONE),
        "server_name": ONE,
    }
    return build_event(version, draft, **{**arguments, **changes})


@pytest.mark.parametrize("version", ROOM_VERSIONS.values(), ids=lambda version: f"v{version.id}")
def test_events_are_hashed_signed_and_named(version: RoomVersion) -> None:
    for event in (Room.opened(version).says(ALICE, "hello"), Room(version).create):
        assert has_good_content_hash(event)
        check_event_signatures(event, {ONE: {key_of(ONE).name: key_of(ONE).verify_key}})
        assert event_id(event.json, version) == event.event_id
        assert ("event_id" in event.json) is not version.event_id_is_hash


@pytest.mark.parametrize(
    ("draft", "error"),
    [
        (EventDraft("t", {"a": 1.5}), InvalidEvent),
        (EventDraft("t", {"a": 2**53}), InvalidEvent),
        (EventDraft("t", {"a": float("nan")}), InvalidEvent),
        (EventDraft("t", {"a": "\ud800"}), InvalidEvent),
        (EventDraft("t", {}, "\ud800"), InvalidEvent),
        (EventDraft("t", {}, "a\x00b"), InvalidEvent),
        (EventDraft("t\x00", {}), InvalidEvent),
        (EventDraft("t" * 256, {}), Oversized),
        (EventDraft("t", {}, "ü" * 128), Oversized),
        (EventDraft("t", {"a": "x" * 65536}), Oversized),
        (EventDraft("m.room.power_levels", {"ban": "50"}, ""), InvalidEvent),
        (EventDraft("m.room.power_levels", {"ban": True}, ""), InvalidEvent),
        (EventDraft("m.room.power_levels", {"users": {ALICE: "100"}}, ""), InvalidEvent),
        (EventDraft("m.room.power_levels", {"events": [5]}, ""), InvalidEvent),
    ],
)
def test_what_no_client_may_send_in_whatever_version(draft: EventDraft, error: type[InvalidEvent]) -> None:
    with pytest.raises(error):
        _build(V11, draft)
    with pytest.raises(error):
        _build(V2, draft, prev_events=[], event_id="$e:one")


def test_the_largest_event() -> None:
    spare = 65536 - len(canonical(_build(V11, EventDraft("t", {"body": ""})).json))
    assert len(canonical(_build(V11, EventDraft("t", {"body": "x" * spare})).json)) == 65536
    with pytest.raises(Oversized):
        _build(V11, EventDraft("t", {"body": "x" * (spare + 1)}))


@pytest.mark.parametrize(
    "given",
    [
        EventDraft("m.room.redaction", {"reason": "spam"}, redacts=EventID("$x")),
        EventDraft("m.room.redaction", {"reason": "spam", "redacts": "$x"}),
    ],
)
def test_redacts_stands_where_the_version_wants_it(given: EventDraft) -> None:
    old, new = _build(V10, given), _build(V11, given)
    assert (old.json["redacts"], old.content) == ("$x", {"reason": "spam"})
    assert ("redacts" in new.json, new.content) == (False, {"reason": "spam", "redacts": "$x"})
    assert old.redacts == new.redacts == "$x"


def test_the_draft_is_left_as_it_was() -> None:
    content = {"reason": "spam", "redacts": "$x"}
    _build(V10, EventDraft("m.room.redaction", content))
    assert content == {"reason": "spam", "redacts": "$x"}


def test_old_versions_name_the_hashes_of_the_events_before() -> None:
    room = Room(V2)
    member = room.member(ALICE, "join")
    digest = encode_base64(reference_hash(room.create.json, V2))
    assert member.json["prev_events"] == [[room.create.event_id, {"sha256": digest}]]
    assert member.prev_events == (room.create.event_id,)
    with pytest.raises(InvalidEvent):
        _build(V2, EventDraft("t", {}), event_id="$e:one")  # the event before by its ID only
    with pytest.raises(InvalidEvent):
        _build(V2, EventDraft("t", {}), prev_events=[])  # no event ID chosen


def test_depth_is_clamped() -> None:
    assert _build(V12, EventDraft("t", {}), depth=2**60).depth == 2**53 - 1


def test_a_state_key_makes_a_state_event() -> None:
    assert _build(V11, EventDraft("t", {}, "")).is_state
    message = _build(V11, EventDraft("t", {}))
    assert not message.is_state
    assert "state_key" not in message.json
