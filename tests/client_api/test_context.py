"""/context and /event show an event and what stands around it, to those who may see it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from tests.fixtures.client import Client


def _path(room: str, event: str, what: str = "context") -> str:
    return f"rooms/{quote(room, safe='')}/{what}/{quote(event, safe='')}"


async def _context(client: Client, room: str, event: str, **params: Any) -> dict[str, Any]:
    return dict(await client.ok("GET", _path(room, event), params=params))


def _ids(events: list[dict[str, Any]]) -> list[str]:
    return [event["event_id"] for event in events]


async def test_an_event_stands_between_those_before_and_after(alice: Client) -> None:
    room = await alice.create_room()
    sent = [await alice.send(room, f"{n}") for n in range(7)]
    found = await _context(alice, room, sent[3], limit=4)
    assert found["event"]["event_id"] == sent[3]
    assert _ids(found["events_before"]) == [sent[2], sent[1]]
    assert _ids(found["events_after"]) == [sent[4], sent[5]]
    assert "m.room.create" in {event["type"] for event in found["state"]}
    back = await alice.messages(room, "b", 1, **{"from": found["start"]})
    on = await alice.messages(room, "f", 1, **{"from": found["end"]})
    assert _ids(back) == [sent[0]]
    assert _ids(on) == [sent[6]]


async def test_the_limit_may_be_zero_and_odd(alice: Client) -> None:
    room = await alice.create_room()
    sent = [await alice.send(room, f"{n}") for n in range(3)]
    alone = await _context(alice, room, sent[1], limit=0)
    assert alone["events_before"] == alone["events_after"] == []
    assert _ids(await alice.messages(room, "f", 1, **{"from": alone["end"]})) == [sent[2]]
    assert _ids(await alice.messages(room, "b", 1, **{"from": alone["start"]})) == [sent[0]]
    one = await _context(alice, room, sent[1], limit=1)
    assert len(one["events_before"]) + len(one["events_after"]) == 1


async def test_the_state_is_that_at_the_last_event(alice: Client) -> None:
    room = await alice.create_room()
    first = await alice.send(room, "one")
    await alice.set_state(room, "m.room.topic", {"topic": "later"})
    now = await _context(alice, room, first, limit=0)
    assert "m.room.topic" not in {event["type"] for event in now["state"]}
    later = await _context(alice, room, first, limit=2)
    assert "m.room.topic" in {event["type"] for event in later["state"]}


async def test_lazy_loading_keeps_to_the_members_who_speak(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    said = await alice.send(room, "hello")
    lazy = json.dumps({"lazy_load_members": True})
    found = await _context(alice, room, said, limit=0, filter=lazy)
    assert [e["state_key"] for e in found["state"] if e["type"] == "m.room.member"] == [alice.user_id]


async def test_strangers_see_no_event(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    said = await alice.send(room, "hello")
    other = await bob.create_room()
    for client, place, event in ((bob, room, said), (alice, room, "$none"), (bob, other, said)):
        for what in ("context", "event"):
            status, reply = await client.get(_path(place, event, what))
            assert (status, reply["errcode"]) == (404, "M_NOT_FOUND")


async def test_one_event_has_its_room_and_what_its_sender_knows(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    said = await alice.send(room, "hello")
    mine = await alice.ok("GET", _path(room, said, "event"))
    assert mine["room_id"] == room
    assert "transaction_id" in mine["unsigned"]
    assert "transaction_id" not in (await bob.ok("GET", _path(room, said, "event")))["unsigned"]
