"""What relates to an event: listed by /relations, bundled with the event, and listed as threads."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver

Json = dict[str, Any]


def _path(room: str, *rest: str) -> str:
    return "/_matrix/client/v1/rooms/" + "/".join(quote(part, safe="") for part in (room, *rest))


def _relates(rel_type: str, event: str, **more: Any) -> Json:
    return {
        "msgtype": "m.text",
        "body": "x",
        "m.relates_to": {"rel_type": rel_type, "event_id": event} | more,
    }


def _edit(event: str, body: str) -> Json:
    return _relates("m.replace", event) | {"m.new_content": {"msgtype": "m.text", "body": body}}


async def _children(client: Client, room: str, event: str, *rest: str, **params: Any) -> list[str]:
    """All children, page by page."""
    found: list[str] = []
    while True:
        page = await client.ok("GET", _path(room, "relations", event, *rest), params=params)
        found += [child["event_id"] for child in page["chunk"]]
        if "next_batch" not in page:
            return found
        params["from"] = page["next_batch"]


async def _bundle(client: Client, room: str, event: str) -> Json:
    """What is bundled with the event, the same in each way of reading it."""
    path = f"rooms/{quote(room, safe='')}"
    one = await client.ok("GET", f"{path}/event/{quote(event, safe='')}")
    around = await client.ok("GET", f"{path}/context/{quote(event, safe='')}", params={"limit": 0})
    (paged,) = [found for found in await client.messages(room) if found["event_id"] == event]
    bundles = [found["unsigned"].get("m.relations", {}) for found in (one, around["event"], paged)]
    ids = [json.dumps(bundle, sort_keys=True) for bundle in map(_ageless, bundles)]
    assert ids[0] == ids[1] == ids[2]
    return dict(bundles[0])


def _ageless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _ageless(inner) for key, inner in value.items() if key != "age"}
    return [_ageless(inner) for inner in value] if isinstance(value, list) else value


async def _two_in_a_room(alice: Client, bob: Client) -> str:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    return room


async def test_children_are_listed_by_kind_both_ways_and_page_by_page(alice: Client, bob: Client) -> None:
    room = await _two_in_a_room(alice, bob)
    root = await alice.send(room, "root")
    said = [await bob.send(room, _relates("m.thread", root)) for _ in range(3)]
    liked = await bob.send(
        room, {"m.relates_to": {"rel_type": "m.annotation", "event_id": root, "key": "+"}}, "m.reaction"
    )
    deep = await alice.send(room, _relates("m.reference", liked))
    everything = [*said, liked]
    for limit in (1, 2, 50):
        assert await _children(alice, room, root, limit=limit) == everything[::-1]
        assert await _children(alice, room, root, limit=limit, dir="f") == everything
    assert await _children(alice, room, root, "m.thread") == said[::-1]
    assert await _children(alice, room, root, "m.annotation", "m.reaction") == [liked]
    assert await _children(alice, room, root, "m.annotation", "m.room.message") == []
    assert await _children(alice, room, root, recurse="true", limit=2) == [deep, *everything[::-1]]
    assert await _children(alice, room, root, "m.reference", recurse="true") == [deep]
    deeper = await alice.ok("GET", _path(room, "relations", root), params={"recurse": "true"})
    assert deeper["recursion_depth"] == 3
    assert "recursion_depth" not in await alice.ok("GET", _path(room, "relations", root))
    await bob.redact(room, said[1])
    assert await _children(alice, room, root, "m.thread") == [said[2], said[0]]
    await alice.redact(room, root)
    assert await _children(alice, room, root, "m.thread") == [said[2], said[0]]


async def test_from_and_to_are_tokens_of_sync(alice: Client) -> None:
    room = await alice.create_room()
    root = await alice.send(room, "root")
    await alice.send(room, _relates("m.thread", root))
    await alice.sync()
    begin = alice.next_batch
    later = [await alice.send(room, _relates("m.thread", root)) for _ in range(2)]
    assert await _children(alice, room, root, to=begin) == later[::-1]
    assert await _children(alice, room, root, dir="f", **{"from": begin}) == later


async def test_children_of_what_may_not_be_seen_and_nonsense(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    root = await alice.send(room, "root")
    assert (await bob.get(_path(room, "relations", root)))[0] == 404
    assert (await alice.get(_path(room, "relations", "$no")))[0] == 404
    for params in ({"dir": "x"}, {"from": "x"}, {"limit": "0"}, {"recurse": "maybe"}):
        status, said = await alice.get(_path(room, "relations", root), params=params)
        assert (status, said["errcode"]) == (400, "M_INVALID_PARAM"), params


async def test_the_newest_valid_edit_is_bundled(alice: Client, bob: Client) -> None:
    room = await _two_in_a_room(alice, bob)
    said = await alice.send(room, "helo")
    assert "m.relations" not in (await alice.messages(room, limit=1))[0]["unsigned"]
    first = await alice.send(room, _edit(said, "hallo"))
    await bob.send(room, _edit(said, "not mine to edit"))
    await alice.send(room, _relates("m.replace", said))  # with nothing new
    edit = (await _bundle(bob, room, said))["m.replace"]
    assert (edit["event_id"], edit["room_id"], edit["content"]["m.new_content"]["body"]) == (
        first,
        room,
        "hallo",
    )
    second = await alice.send(room, _edit(said, "hello"))
    assert (await _bundle(bob, room, said))["m.replace"]["event_id"] == second
    await alice.send(room, _edit(second, "an edit has no edits"))
    assert await _bundle(bob, room, second) == {}
    await alice.redact(room, second)
    assert (await _bundle(bob, room, said))["m.replace"]["event_id"] == first
    await alice.redact(room, said)
    assert await _bundle(bob, room, said) == {}


async def test_threads_and_references_are_bundled(alice: Client, bob: Client) -> None:
    room = await _two_in_a_room(alice, bob)
    root = await alice.send(room, "root")
    one = await bob.send(room, _relates("m.thread", root))
    two = await bob.send(room, _relates("m.thread", root))
    edit = await bob.send(room, _edit(two, "edited"))
    refs = [await alice.send(room, _relates("m.reference", root)) for _ in range(2)]
    await alice.send(
        room, {"m.relates_to": {"rel_type": "m.annotation", "event_id": root, "key": "+"}}, "m.reaction"
    )
    bundle = await _bundle(bob, room, root)
    assert set(bundle) == {"m.thread", "m.reference"}
    assert {ref["event_id"] for ref in bundle["m.reference"]["chunk"]} == set(refs)
    thread = bundle["m.thread"]
    assert (thread["count"], thread["current_user_participated"]) == (2, True)
    assert thread["latest_event"]["event_id"] == two
    assert thread["latest_event"]["unsigned"]["m.relations"]["m.replace"]["event_id"] == edit
    await bob.redact(room, two)
    thread = (await _bundle(alice, room, root))["m.thread"]
    assert (thread["count"], thread["latest_event"]["event_id"]) == (1, one)


async def test_the_ignored_count_nothing(homeserver: Homeserver, alice: Client, bob: Client) -> None:
    carol = await homeserver.user("carol")
    room = await _two_in_a_room(alice, bob)
    await carol.join(room)
    root = await bob.send(room, "root")
    heard = await carol.send(room, _relates("m.thread", root))
    await bob.send(room, _relates("m.thread", root))
    path = f"user/{alice.user_id}/account_data/m.ignored_user_list"
    await alice.ok("PUT", path, json={"ignored_users": {bob.user_id: {}}})
    assert await _children(alice, room, root) == [heard]
    (found,) = (await alice.ok("GET", _path(room, "threads")))["chunk"]
    thread = found["unsigned"]["m.relations"]["m.thread"]
    assert (thread["count"], thread["latest_event"]["event_id"]) == (1, heard)
    assert (found["event_id"], found["content"]) == (root, {})


async def test_who_may_not_see_children_is_not_told_of_them(alice: Client, bob: Client) -> None:
    rule = {"type": "m.room.history_visibility", "content": {"history_visibility": "joined"}}
    room = await alice.create_room(preset="public_chat", initial_state=[rule])
    await bob.join(room)
    root = await alice.send(room, "root")
    seen = await alice.send(room, _relates("m.thread", root))
    first = await alice.send(room, _edit(root, "first"))
    await bob.leave(room)
    await alice.send(room, _relates("m.thread", root))
    await alice.send(room, _edit(root, "second"))
    for again in (False, True):
        if again:
            await bob.join(room)
        bundle = await _bundle(bob, room, root)
        assert bundle["m.thread"]["latest_event"]["event_id"] == seen
        assert (bundle["m.thread"]["count"], bundle["m.replace"]["event_id"]) == (1, first)
        assert await _children(bob, room, root) == [first, seen]
    last = await alice.send(room, _relates("m.thread", root))
    thread = (await _bundle(bob, room, root))["m.thread"]
    assert (thread["count"], thread["latest_event"]["event_id"]) == (2, last)


async def test_sync_bundles_where_there_is_a_gap_and_only_there(
    homeserver: Homeserver, alice: Client, bob: Client
) -> None:
    room = await _two_in_a_room(alice, bob)
    root = await alice.send(room, "root")
    await bob.sync()
    for _ in range(2):
        await alice.send(room, _relates("m.thread", root))
        before = homeserver.tenant.database.statements_run
        await bob.sync(set_presence="offline")
    assert homeserver.tenant.database.statements_run == before
    limit = json.dumps({"room": {"timeline": {"limit": 3}}})
    for fillers, since in ((0, bob.next_batch), (2, bob.next_batch), (0, "")):
        for _ in range(fillers):
            await alice.send(room, "more")
        said = await alice.send(room, "helo")
        edit = await alice.send(room, _edit(said, "hello"))
        await alice.send(room, "and")
        timeline = (await bob.sync(since=since, filter=limit))["rooms"]["join"][room]["timeline"]
        assert timeline["limited"] is bool(fillers or not since)
        shown = timeline["events"][0]
        assert shown["event_id"] == said
        if timeline["limited"]:
            assert shown["unsigned"]["m.relations"]["m.replace"]["event_id"] == edit
        else:
            assert "m.relations" not in shown["unsigned"]


async def test_a_page_costs_as_many_statements_for_many_relations_as_for_few(
    homeserver: Homeserver, alice: Client
) -> None:
    async def cost(room: str) -> int:
        before = homeserver.tenant.database.statements_run
        await alice.messages(room)
        return homeserver.tenant.database.statements_run - before

    few, many = await alice.create_room(), await alice.create_room()
    plain = await alice.create_room()
    await alice.send(plain, "hello")
    for room, count in ((few, 1), (many, 6)):
        for _ in range(count):
            root = await alice.send(room, "root")
            said = await alice.send(room, _relates("m.thread", root))
            await alice.send(room, _edit(said, "edited"))
    assert await cost(many) == await cost(few)
    assert await cost(few) - await cost(plain) == 3


async def test_threads_are_listed_by_their_last_events(alice: Client, bob: Client) -> None:
    room = await _two_in_a_room(alice, bob)
    roots = [await alice.send(room, f"{n}") for n in range(4)]
    await bob.send(room, "no thread")
    for root in roots:
        await alice.send(room, _relates("m.thread", root))
    await bob.send(room, _relates("m.thread", roots[1]))
    order = [roots[1], roots[3], roots[2], roots[0]]
    for limit in (1, 2, 3, 10):
        found: list[str] = []
        params: dict[str, Any] = {"limit": limit}
        while True:
            page = await alice.ok("GET", _path(room, "threads"), params=params)
            found += [event["event_id"] for event in page["chunk"]]
            if "next_batch" not in page:
                break
            params["from"] = page["next_batch"]
        assert found == order, limit
    mine = await bob.ok("GET", _path(room, "threads"), params={"include": "participated"})
    assert [event["event_id"] for event in mine["chunk"]] == [roots[1]]
    assert mine["chunk"][0]["unsigned"]["m.relations"]["m.thread"]["current_user_participated"] is True
    others = await bob.ok("GET", _path(room, "threads"))
    last = others["chunk"][-1]["unsigned"]["m.relations"]["m.thread"]
    assert (last["count"], last["current_user_participated"]) == (1, False)
    status, said = await bob.get(_path(room, "threads"), params={"include": "some"})
    assert (status, said["errcode"]) == (400, "M_INVALID_PARAM")


async def test_threads_are_not_for_strangers(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    assert (await bob.get(_path(room, "threads")))[0] == 403
