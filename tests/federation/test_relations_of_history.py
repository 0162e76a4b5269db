"""What relates to events is the same in history that came from another server; users of others are found like ours."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tests.client_api.stored import path
from tests.federation.plays import join_through, public_room
from tests.federation.test_backfill import read_back
from tests.fixtures.client import Client
from tests.fixtures.federation import MakeFederated


def _relates(rel_type: str, event: str, **more: Any) -> dict[str, Any]:
    relates_to = {"rel_type": rel_type, "event_id": event}
    return {"msgtype": "m.text", "body": "x", "m.relates_to": relates_to} | more


async def _told(client: Client, room_id: str, root: str) -> dict[str, Any]:
    """The children of the root in their order, the threads, and what is bundled with the root."""
    v1 = "/_matrix/client/v1/" + path(room_id)
    found = await client.ok("GET", f"{v1}/relations/{quote(root, safe='')}", params={"limit": 50})
    threads = await client.ok("GET", f"{v1}/threads")
    bundle = (await client.ok("GET", path(room_id, "event", root)))["unsigned"]["m.relations"]
    return {
        "children": [event["event_id"] for event in found["chunk"]],
        "threads": [event["event_id"] for event in threads["chunk"]],
        "thread": (bundle["m.thread"]["count"], bundle["m.thread"]["latest_event"]["event_id"]),
        "edit": bundle["m.replace"]["event_id"],
    }


async def test_relations_of_backfilled_events_are_those_of_the_other_server(
    make_federated: MakeFederated,
) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await public_room(alice)
    roots = [await alice.send(room_id, f"root {n}") for n in range(2)]
    for root in (*roots, *reversed(roots)):
        await alice.send(room_id, _relates("m.thread", root))
        edit = {"m.new_content": {"msgtype": "m.text", "body": "edited"}}
        await alice.send(room_id, _relates("m.replace", root, **edit))
    await join_through(bob, room_id, one)
    await read_back(bob, room_id)
    for root in roots:
        assert await _told(bob, room_id, root) == await _told(alice, room_id, root)
    await alice.send(room_id, _relates("m.thread", roots[1]))
    assert (await _told(alice, room_id, roots[1]))["threads"] == [roots[1], roots[0]]


async def test_users_of_other_servers_are_found(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    await bob.ok("PUT", f"profile/{quote(bob.user_id)}/displayname", json={"displayname": "Robért"})
    room_id = await public_room(alice)
    await join_through(bob, room_id, one)
    for seeker, term, found in ((alice, "robe", bob), (bob, "alic", alice)):
        said = await seeker.ok("POST", "user_directory/search", json={"search_term": term})
        assert [user["user_id"] for user in said["results"]] == [found.user_id]
    mutual = await alice.ok("GET", "/_matrix/client/v1/mutual_rooms", params={"user_id": bob.user_id})
    assert mutual == {"joined": [room_id], "count": 1}
