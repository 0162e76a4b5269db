"""Filters: what they let through, and that what is none is refused."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import ProtocolError
from protocol.filters import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    NO_FILTER,
    EventFilter,
    InvalidFilter,
    parse_filter,
    parse_room_event_filter,
    prune_fields,
)
from protocol.ids import RoomID
from tests.protocol.push_events import ALICE, BOB, OTHER_ROOM, ROOM, json_values


@dataclass(frozen=True, slots=True)
class Something:
    type: str = "m.room.message"
    sender: str | None = ALICE
    content: dict[str, Any] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("json", "passes"),
    [
        ({}, True),
        ({"types": None}, True),
        ({"types": []}, False),
        ({"types": ["m.room.message"]}, True),
        ({"types": ["m.room.*"]}, True),
        ({"types": ["m.*.message", "x"]}, True),
        ({"types": ["*"]}, True),
        ({"types": ["m.room.messag?"]}, False),
        ({"types": ["M.room.message"]}, False),
        ({"types": ["m.room"]}, False),
        ({"not_types": ["m.room.*"]}, False),
        ({"not_types": ["m.reaction"]}, True),
        ({"not_types": []}, True),
        ({"types": ["m.room.message"], "not_types": ["*"]}, False),
        ({"senders": [ALICE]}, True),
        ({"senders": [BOB]}, False),
        ({"senders": []}, False),
        ({"not_senders": [ALICE]}, False),
        ({"senders": [ALICE], "not_senders": [ALICE]}, False),
        ({"contains_url": True}, False),
        ({"contains_url": False}, True),
        ({"limit": 1, "lazy_load_members": True}, True),
    ],
)
def test_what_an_event_filter_lets_through(json: dict[str, Any], passes: bool) -> None:
    assert parse_room_event_filter(json).matches(Something()) is passes
    assert parse_filter({"room": {"timeline": json}}).room.timeline.matches(Something()) is passes


def test_a_url_is_a_string() -> None:
    with_url, without = (
        parse_room_event_filter({"contains_url": True}),
        parse_room_event_filter({"contains_url": False}),
    )
    for content, has_url in (({"url": "mxc://a/b"}, True), ({"url": 1}, False), ({}, False)):
        assert with_url.matches(Something(content=content)) is has_url
        assert without.matches(Something(content=content)) is not has_url


def test_what_has_no_sender_passes_unless_senders_are_asked_for() -> None:
    assert parse_room_event_filter({"not_senders": [ALICE]}).matches(Something(sender=None))
    assert not parse_room_event_filter({"senders": [ALICE]}).matches(Something(sender=None))


@pytest.mark.parametrize(
    ("json", "room", "other"),
    [
        ({}, True, True),
        ({"rooms": [ROOM]}, True, False),
        ({"rooms": []}, False, False),
        ({"not_rooms": [ROOM]}, False, True),
        ({"rooms": [ROOM], "not_rooms": [ROOM]}, False, False),
    ],
)
def test_rooms_are_chosen_for_all_and_by_section(json: dict[str, Any], room: bool, other: bool) -> None:
    for chosen in (parse_filter({"room": json}).room, parse_room_event_filter(json)):
        assert chosen.allows_room(RoomID(ROOM)) is room
        assert chosen.allows_room(RoomID(OTHER_ROOM)) is other


def test_limits_have_a_default_and_a_cap() -> None:
    assert parse_room_event_filter({}).limit == DEFAULT_LIMIT
    assert parse_room_event_filter({"limit": 7}).limit == 7
    assert parse_room_event_filter({"limit": 10**9}).limit == MAX_LIMIT
    assert parse_room_event_filter({"limit": 0}).limit == 0


def test_a_filter_is_read_whole() -> None:
    filter = parse_filter(
        {
            "event_fields": ["type", r"content.m\.relates_to.rel_type"],
            "event_format": "federation",
            "presence": {"types": []},
            "account_data": {"not_types": ["m.tag"]},
            "room": {
                "include_leave": True,
                "state": {"lazy_load_members": True, "include_redundant_members": True},
                "timeline": {
                    "unread_thread_notifications": True,
                    "related_by_rel_types": ["m.thread"],
                    "related_by_senders": [ALICE],
                },
                "ephemeral": {"not_types": ["*"]},
                "account_data": {"limit": 3},
            },
            "com.example": 1,
        }
    )
    assert filter.event_fields == (("type",), ("content", "m.relates_to", "rel_type"))
    assert filter.federation_format
    assert filter.presence.is_nothing
    assert not filter.account_data.allows_type("m.tag")
    room = filter.room
    assert room.include_leave
    assert room.state.lazy_load_members
    assert room.state.include_redundant_members
    assert room.timeline.unread_thread_notifications
    assert (room.timeline.related_by_rel_types, room.timeline.related_by_senders) == (("m.thread",), (ALICE,))
    assert not room.ephemeral.allows_type("m.typing")
    assert room.account_data.limit == 3


def test_no_filter_lets_everything_through() -> None:
    assert parse_filter({}) == parse_filter({"room": {}, "event_format": "client"}) == NO_FILTER
    assert NO_FILTER.room.timeline.is_everything
    assert parse_room_event_filter({"limit": 5, "lazy_load_members": True}).is_everything


@pytest.mark.parametrize(
    "json",
    [
        {"types": []},
        {"types": ["*"]},
        {"not_types": ["x"]},
        {"senders": [ALICE]},
        {"not_senders": [ALICE]},
        {"rooms": [ROOM]},
        {"not_rooms": [ROOM]},
        {"contains_url": False},
        {"related_by_rel_types": ["m.thread"]},
        {"related_by_senders": []},
    ],
)
def test_a_filter_that_asks_for_anything_is_not_everything(json: dict[str, Any]) -> None:
    assert not parse_room_event_filter(json).is_everything


@pytest.mark.parametrize(
    ("json", "where"),
    [
        ([], "filter must"),
        ({"presence": []}, "filter.presence must"),
        ({"event_fields": "type"}, "filter.event_fields must"),
        ({"event_format": "other"}, "filter.event_format must"),
        ({"event_format": {}}, "filter.event_format must"),
        ({"room": {"rooms": ["#alias:example.org"]}}, "filter.room.rooms must"),
        ({"room": {"not_rooms": [1]}}, "filter.room.not_rooms must"),
        ({"room": {"include_leave": 1}}, "filter.room.include_leave must"),
        ({"room": {"timeline": {"limit": "5"}}}, "filter.room.timeline.limit must"),
        ({"room": {"timeline": {"limit": True}}}, "filter.room.timeline.limit must"),
        ({"room": {"timeline": {"limit": 1.5}}}, "filter.room.timeline.limit must"),
        ({"room": {"timeline": {"limit": -1}}}, "filter.room.timeline.limit must"),
        ({"room": {"timeline": {"senders": ["alice"]}}}, "filter.room.timeline.senders must"),
        ({"room": {"state": {"types": {}}}}, "filter.room.state.types must"),
        ({"account_data": {"types": ["x"] * 10_001}}, "filter.account_data.types has more"),
    ],
)
def test_what_is_no_filter_is_refused_by_name(json: object, where: str) -> None:
    with pytest.raises(InvalidFilter, match=where):
        parse_filter(json)


def test_fields_are_pruned_to_what_is_asked_for() -> None:
    event = {
        "type": "m.room.message",
        "sender": ALICE,
        "content": {
            "body": "x",
            "msgtype": "m.text",
            "m.relates_to": {"rel_type": "m.thread", "event_id": "$1"},
        },
    }

    def pruned(*fields: str) -> dict[str, Any]:
        paths = parse_filter({"event_fields": list(fields)}).event_fields
        assert paths is not None
        return prune_fields(event, paths)

    assert pruned() == {}
    assert pruned("type", "missing", "type.x", "content.body.x") == {"type": "m.room.message"}
    assert pruned("content.body", "sender") == {"content": {"body": "x"}, "sender": ALICE}
    assert pruned(r"content.m\.relates_to.rel_type") == {
        "content": {"m.relates_to": {"rel_type": "m.thread"}}
    }
    assert pruned("content.m.relates_to") == {}
    assert pruned("content.body", "content") == {"content": event["content"]}
    assert pruned("content.body", "content.msgtype") == {"content": {"body": "x", "msgtype": "m.text"}}


@given(
    st.dictionaries(st.text(max_size=3), json_values),
    st.lists(st.text(alphabet=r"ab\.", max_size=6), max_size=4),
)
def test_pruning_leaves_the_event_as_it_is(event: dict[str, Any], fields: list[str]) -> None:
    before = repr(event)
    paths = parse_filter({"event_fields": fields}).event_fields
    assert paths is not None
    prune_fields(event, paths)
    assert repr(event) == before


MEMBERS = (
    "event_fields", "event_format", "presence", "account_data", "room", "rooms", "not_rooms", "include_leave", "timeline",
    "state", "ephemeral", "limit", "types", "not_types", "senders", "not_senders", "contains_url", "lazy_load_members",
    "related_by_rel_types", "related_by_senders",
)  # fmt: skip
nearly_filters = st.recursive(
    json_values | st.lists(st.sampled_from([ALICE, ROOM, "m.*", "*"])),
    lambda inner: st.dictionaries(st.sampled_from(MEMBERS), inner),
    max_leaves=20,
)


@given(nearly_filters)
def test_arbitrary_json_is_a_filter_or_refused(json: object) -> None:
    try:
        filter = parse_filter(json)
    except ProtocolError:
        return
    assert isinstance(filter.room.timeline, EventFilter)
    assert 0 <= filter.room.timeline.limit <= MAX_LIMIT
    filter.room.timeline.matches(Something())
