"""Reading PDUs: what each room version's event format asks for."""

from typing import Any

import pytest

from protocol.auth.rules import check_auth_events
from protocol.errors import InvalidEvent, NotCanonical, Oversized, ProtocolError, Rejected
from protocol.event_format import create_of_room_id, parse_pdu, room_id_of_create
from protocol.events import Event
from protocol.json import canonical
from protocol.room_versions import ROOM_VERSIONS, V1, V3, V5, V6, V10, V11, V12, RoomVersion
from tests.protocol.rooms import ALICE, BOB, Room, foreign, signed_by

every_version = pytest.mark.parametrize(
    "version", ROOM_VERSIONS.values(), ids=lambda version: f"v{version.id}"
)


def _message(version: RoomVersion, **changes: Any) -> dict[str, Any]:
    """A message in federation format with these fields changed (None: left out)."""
    json = {**Room.opened(version).says(ALICE, "hello").json, **changes}
    return {key: value for key, value in json.items() if value is not None}


@every_version
def test_what_we_build_is_read_back(version: RoomVersion) -> None:
    room = Room.opened(version, BOB)
    room.says(BOB, "hello")
    for event in room.events.values():
        read = parse_pdu({**event.json, "unsigned": {"age": 5}}, version)
        for field in Event.__slots__:
            assert getattr(read, field) == getattr(event, field), field


REQUIRED = (
    "sender",
    "type",
    "content",
    "origin_server_ts",
    "hashes",
    "signatures",
    "depth",
    "prev_events",
    "auth_events",
)


@every_version
@pytest.mark.parametrize("field", [*REQUIRED, "room_id"])
def test_required_fields(version: RoomVersion, field: str) -> None:
    with pytest.raises(InvalidEvent):
        parse_pdu(_message(version, **{field: None}), version)


WRONG = [
    *[
        (field, value)
        for field in ("type", "sender", "room_id", "state_key")
        for value in (5, [], {}, True, "a\x00")
    ],
    *[("content", value) for value in ("text", [], 5)],
    *[(field, value) for field in ("depth", "origin_server_ts") for value in ("5", True, [])],
    ("sender", "alice"),
    ("sender", "@alice"),
    ("room_id", "room:one"),
    ("depth", -1),
    ("hashes", "text"),
    ("hashes", {}),
    ("hashes", {"sha256": 5}),
    ("signatures", []),
    ("signatures", {"one": "text"}),
    ("signatures", {"one": {"ed25519:a": 5}}),
    *[
        (field, value)
        for field in ("prev_events", "auth_events")
        for value in ("$a", {}, [5], ["a"], [["$a"]], [[]])
    ],
]


@every_version
def test_wrong_types(version: RoomVersion) -> None:
    for field, value in WRONG:
        with pytest.raises(InvalidEvent):
            parse_pdu(_message(version, **{field: value}), version)


@pytest.mark.parametrize("obj", [None, 5, "text", [], [{}]])
def test_what_is_no_object(obj: object) -> None:
    with pytest.raises(InvalidEvent):
        parse_pdu(obj, V11)


@pytest.mark.parametrize("field", ["type", "sender", "state_key", "room_id"])
def test_255_bytes(field: str) -> None:
    prefix = {"sender": "@a:", "room_id": "!a:"}.get(field, "")

    def padded(letter: str, bytes_: int) -> str:
        return prefix + letter * ((bytes_ - len(prefix)) // len(letter.encode()))

    assert parse_pdu(_message(V11, **{field: padded("x", 255)}), V11)
    for version, text in ((V11, padded("x", 256)), (V11, padded("ü", 257)), (V10, padded("x", 256))):
        with pytest.raises(Oversized):
            parse_pdu(_message(version, **{field: text}), version)
    # Over 255 bytes within 255 code points: until version 10 such an event is kept, but rejected.
    event = parse_pdu(_message(V10, **{field: padded("ü", 257)}), V10)
    with pytest.raises(Rejected, match="255 bytes"):
        check_auth_events(V10, event, [], ())


def test_65536_bytes_as_canonical_json_with_signatures_without_unsigned() -> None:
    def of_size(size: int) -> dict[str, Any]:
        json = _message(V11, content={"body": ""})
        return {**json, "content": {"body": "x" * (size - len(canonical(json)))}}

    assert parse_pdu({**of_size(65536), "unsigned": {"more": "x" * 100}}, V11)
    with pytest.raises(Oversized):
        parse_pdu(of_size(65537), V11)


def test_depth_is_capped() -> None:
    for version, cap in ((V5, 2**63 - 1), (V6, 2**53 - 1)):
        assert parse_pdu(_message(version, depth=cap), version).depth == cap
        with pytest.raises(ProtocolError):
            parse_pdu(_message(version, depth=cap + 1), version)


def test_20_prev_events_and_10_auth_events_unless_it_was_backfilled() -> None:
    for field, limit in (("prev_events", 20), ("auth_events", 10)):
        many = [f"${number}" for number in range(limit + 1)]
        assert parse_pdu(_message(V11, **{field: many[:limit]}), V11)
        with pytest.raises(InvalidEvent):
            parse_pdu(_message(V11, **{field: many}), V11)
        assert (
            len(getattr(parse_pdu(_message(V11, **{field: many}), V11, from_backfill=True), field))
            == limit + 1
        )


def test_canonical_json_is_enforced_since_version_6() -> None:
    for value in (1.5, 2**53, -(2**60)):
        assert parse_pdu(_message(V5, content={"a": [value]}), V5).content == {"a": [value]}
        with pytest.raises(NotCanonical):
            parse_pdu(_message(V6, content={"a": [value]}), V6)


def test_old_events_bring_their_id() -> None:
    event = parse_pdu(_message(V1, event_id="$mine:one"), V1)
    assert event.event_id == "$mine:one"
    for wrong in (None, 5, "mine:one", "$mine", "$" + "x" * 300):
        with pytest.raises(InvalidEvent):
            parse_pdu(_message(V1, event_id=wrong), V1)


def test_event_ids_are_written_in_the_alphabet_of_the_version() -> None:
    ids = [parse_pdu(_message(V3, depth=depth), V3).event_id for depth in range(1, 40)]
    assert any("/" in event_id or "+" in event_id for event_id in ids)
    ids = [parse_pdu(_message(V11, depth=depth), V11).event_id for depth in range(1, 40)]
    assert all(len(event_id) == 44 and not set(event_id) & set("/+=") for event_id in ids)


def test_v12_rooms_are_named_after_their_create_event() -> None:
    create = Room(V12).create
    assert "room_id" not in create.json
    assert create.room_id == "!" + create.event_id[1:] == room_id_of_create(create.event_id)
    assert create_of_room_id(create.room_id) == create.event_id
    for room_id in ("!short", "!opaque:one"):
        with pytest.raises(InvalidEvent):
            parse_pdu(_message(V12, room_id=room_id), V12)


def test_a_v12_create_event_with_state_key_or_without_is_not_the_same() -> None:
    room = Room(V12)
    stray = foreign(room, ALICE, "m.room.create", {"room_version": "12"})
    assert stray.room_id == room.room_id != "!" + stray.event_id[1:]
    json = {key: value for key, value in stray.json.items() if key != "room_id"}
    with pytest.raises(InvalidEvent):
        parse_pdu(signed_by(json, "one", V12), V12)
