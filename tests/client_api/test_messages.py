"""/messages walks through a room, both ways, as far as the reader may see."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from tests.fixtures.client import Client

Json = dict[str, Any]


async def _page(client: Client, room: str, **params: Any) -> Json:
    return dict(await client.ok("GET", f"rooms/{quote(room, safe='')}/messages", params=params))


async def _walk(client: Client, room: str, **params: Any) -> list[str]:
    """All event IDs that the pages give, one after the other."""
    found: list[str] = []
    while True:
        page = await _page(client, room, **params)
        found += [event["event_id"] for event in page["chunk"]]
        if "end" not in page:
            return found
        params["from"] = page["end"]


async def test_pages_of_both_directions_are_the_whole_room(alice: Client) -> None:
    room = await alice.create_room(name="Room")
    sent = [await alice.send(room, f"{n}") for n in range(7)]
    everything = await _walk(alice, room, dir="f", limit=100)
    assert everything[-7:] == sent
    for limit in (1, 3, 5):
        assert await _walk(alice, room, dir="f", limit=limit) == everything
        assert await _walk(alice, room, dir="b", limit=limit) == everything[::-1]


async def test_from_and_to_are_tokens_of_sync_and_of_messages(alice: Client) -> None:
    room = await alice.create_room()
    await alice.sync()
    begin = alice.next_batch
    sent = [await alice.send(room, f"{n}") for n in range(6)]
    assert await _walk(alice, room, dir="f", limit=4, **{"from": begin}) == sent
    await alice.sync()
    assert await _walk(alice, room, dir="b", limit=4, **{"from": alice.next_batch}, to=begin) == sent[::-1]
    middle = await _page(alice, room, dir="b", limit=2)
    assert middle["start"]
    assert await _walk(alice, room, dir="f", **{"from": middle["end"]}) == sent[-2:]
    assert (await _page(alice, room, dir="f", **{"from": alice.next_batch}))["chunk"] == []


async def test_filters_are_kept_to_and_pages_are_full(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    mine = []
    for n in range(6):
        mine.append(await alice.send(room, {"msgtype": "m.image", "body": f"{n}", "url": "mxc://a/b"}))
        await bob.send(room, "no")
    for wanted in ({"senders": [alice.user_id], "types": ["m.room.message"]}, {"contains_url": True}):
        params = {"dir": "b", "limit": 4, "filter": json.dumps(wanted)}
        page = await _page(alice, room, **params)
        assert [event["event_id"] for event in page["chunk"]] == mine[:1:-1]
        assert await _walk(alice, room, **params) == mine[::-1]
    nul = json.dumps({"types": ["\0"], "senders": ["@\0:a"], "related_by_rel_types": ["\0"]})
    assert await _walk(alice, room, dir="f", filter=nul) == []
    stars = json.dumps({"types": ["m.*.message"], "not_senders": [bob.user_id]})
    assert await _walk(alice, room, dir="f", filter=stars) == mine
    assert (await _page(alice, room, dir="b", filter=json.dumps({"types": []})))["chunk"] == []


async def test_lazy_loading_adds_the_members_who_speak(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    await alice.send(room, "hello")
    lazy = json.dumps({"lazy_load_members": True})
    page = await _page(alice, room, dir="b", limit=1, filter=lazy)
    assert [event["state_key"] for event in page["state"]] == [alice.user_id]
    assert "state" not in await _page(alice, room, dir="b", limit=1)


async def test_strangers_are_refused_unless_the_world_may_read(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    said = await alice.send(room, "hello")
    path = f"rooms/{quote(room, safe='')}/messages"
    assert (await bob.get(path, params={"dir": "b"}))[0] == 403
    assert (await bob.get("rooms/%21no:one.example/messages", params={"dir": "b"}))[0] == 403
    await alice.set_state(room, "m.room.history_visibility", {"history_visibility": "world_readable"})
    now = await alice.send(room, "for all")
    seen = [event["event_id"] for event in await bob.messages(room)]
    assert now in seen
    assert said not in seen


async def test_who_has_left_reads_up_to_the_end_and_not_on(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    before = await alice.send(room, "before")
    await bob.leave(room)
    after = await alice.send(room, "after")
    seen = await _walk(bob, room, dir="b", limit=2)
    assert before in seen
    assert after not in seen
    await bob.ok("POST", f"rooms/{quote(room, safe='')}/forget", json={})
    assert (await bob.get(f"rooms/{quote(room, safe='')}/messages", params={"dir": "b"}))[0] == 403


async def test_who_may_not_read_is_told_so_whatever_is_asked(alice: Client) -> None:
    room = await alice.create_room()
    await alice.leave(room)
    messages = f"rooms/{quote(room, safe='')}/messages"
    status, said = await alice.get(messages)
    assert (status, said["errcode"]) == (400, "M_MISSING_PARAM")
    await alice.ok("POST", f"rooms/{quote(room, safe='')}/forget", json={})
    status, said = await alice.get(messages)
    assert (status, said["errcode"]) == (403, "M_FORBIDDEN")


async def test_nonsense_is_refused(alice: Client) -> None:
    room = quote(await alice.create_room(), safe="")
    bad: tuple[tuple[Json, str], ...] = (
        ({}, "M_MISSING_PARAM"),
        ({"dir": "x"}, "M_INVALID_PARAM"),
        ({"dir": "b", "from": "nonsense"}, "M_INVALID_PARAM"),
        ({"dir": "b", "limit": "many"}, "M_INVALID_PARAM"),
        ({"dir": "b", "limit": "-1"}, "M_INVALID_PARAM"),
        ({"dir": "b", "filter": "{"}, "M_INVALID_PARAM"),
        ({"dir": "b", "filter": '{"types": 1}'}, "M_INVALID_PARAM"),
    )
    for params, errcode in bad:
        status, said = await alice.get(f"rooms/{room}/messages", params=params)
        assert (status, said["errcode"]) == (400, errcode), params


async def test_filters_ask_for_what_others_related_to(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    one, two, _ = [await alice.send(room, f"{n}") for n in range(3)]
    for sender, event, rel_type in ((bob, one, "m.thread"), (alice, two, "m.reference")):
        await sender.send(
            room,
            {"msgtype": "m.text", "body": "x", "m.relates_to": {"rel_type": rel_type, "event_id": event}},
        )
    for wanted, found in (
        ({"related_by_rel_types": ["m.thread"]}, [one]),
        ({"related_by_senders": [alice.user_id]}, [two]),
        ({"related_by_rel_types": ["m.thread", "m.reference"]}, [two, one]),
        ({"related_by_rel_types": ["m.thread"], "related_by_senders": [alice.user_id]}, []),
    ):
        assert await _walk(alice, room, dir="b", filter=json.dumps(wanted)) == found
    news = await alice.sync(filter=json.dumps({"room": {"timeline": {"related_by_rel_types": ["m.thread"]}}}))
    assert [e["event_id"] for e in news["rooms"]["join"][room]["timeline"]["events"]] == [one]
