"""In which order events that came together are placed, and which were asked for."""

from __future__ import annotations

from protocol.events import Event
from protocol.ids import EventID, RoomID
from protocol.room_versions import version_named
from services.rooms.receive.order import leading_back, oldest_first


def event(name: str, prev: str = "", auth: str = "", depth: int = 1) -> Event:
    """An event with this ID; what it names have letters for IDs."""
    json = {
        "type": "m.room.message",
        "room_id": "!room:one.test",
        "sender": "@eve:one.test",
        "content": {},
        "depth": depth,
        "origin_server_ts": 1,
        "prev_events": list(prev),
        "auth_events": list(auth),
        "hashes": {"sha256": ""},
        "signatures": {},
    }
    return Event.from_trusted(json, EventID(name), version_named("11"), RoomID("!room:one.test"))


def names(*events: Event) -> str:
    return "".join(one.event_id for one in oldest_first(events))


def test_an_event_comes_after_what_it_follows_on_whatever_its_depth_says() -> None:
    assert names(event("c", "b", depth=1), event("b", "a", depth=2), event("a", "x", depth=3)) == "abc"


def test_an_event_comes_after_what_it_rests_on() -> None:
    assert names(event("a", "x", "b"), event("b", "x", "c"), event("c", "x")) == "cba"


def test_of_those_that_do_not_name_each_other_the_less_deep_comes_first() -> None:
    assert names(event("b", depth=2), event("a", depth=3), event("c", depth=1)) == "cba"


def test_what_is_in_a_circle_is_left_out() -> None:
    assert names(event("a", "b"), event("b", "a"), event("d", "b"), event("c", "x")) == "c"


def test_only_what_is_reached_was_asked_for() -> None:
    events = [event("a", "x"), event("b", "a"), event("c", "b"), event("d", "b")]
    assert {one.event_id for one in leading_back(events, {EventID("c")})} == {"a", "b", "c"}
