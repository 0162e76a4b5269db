"""Typing, receipts and presence reach other servers."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tests.client_api.stored import path
from tests.federation.peer import MakePeer
from tests.federation.plays import join_through, public_room
from tests.fixtures.client import Client
from tests.fixtures.federation import MakeFederated
from tests.fixtures.time import FakeClock


async def types(client: Client, room_id: str, is_typing: bool = True) -> None:
    """Types, or ceases to."""
    body = {"typing": True, "timeout": 30_000} if is_typing else {"typing": False}
    await client.ok("PUT", path(room_id, "typing", client.user_id), json=body)


async def reads_to(client: Client, room_id: str, event_id: str, kind: str = "m.read", **more: Any) -> None:
    """Sets a receipt."""
    await client.ok("POST", path(room_id, "receipt", kind, event_id), json=more)


def ephemeral(reply: dict[str, Any], room_id: str, type: str) -> list[dict[str, Any]]:
    """The contents of the room's ephemeral events of this type."""
    room = reply.get("rooms", {}).get("join", {}).get(room_id, {})
    return [e["content"] for e in room.get("ephemeral", {}).get("events", []) if e["type"] == type]


async def test_typing_and_receipts_are_seen_on_the_other_side(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await public_room(alice)
    await join_through(bob, room_id, one)
    said = await bob.send(room_id, "hello")
    await alice.sync_until(lambda reply: said in str(reply))
    await bob.sync()

    await types(alice, room_id)
    seen = await bob.sync_until(lambda reply: ephemeral(reply, room_id, "m.typing"))
    assert ephemeral(seen, room_id, "m.typing") == [{"user_ids": [alice.user_id]}]

    await types(alice, room_id, False)
    seen = await bob.sync_until(lambda reply: ephemeral(reply, room_id, "m.typing"))
    assert ephemeral(seen, room_id, "m.typing") == [{"user_ids": []}]

    await reads_to(alice, room_id, said)
    seen = await bob.sync_until(lambda reply: ephemeral(reply, room_id, "m.receipt"))
    [content] = ephemeral(seen, room_id, "m.receipt")
    assert set(content[said]["m.read"]) == {alice.user_id}


async def test_private_receipts_stay_here(make_federated: MakeFederated, make_peer: MakePeer) -> None:
    one, peer = await make_federated(), await make_peer()
    alice = await one.user("alice")
    room_id = await public_room(alice)
    await peer.joins(one, room_id)
    first, second = await alice.send(room_id, "first"), await alice.send(room_id, "second")

    await reads_to(alice, room_id, first, "m.read.private")
    await reads_to(alice, room_id, second, thread_id="main")

    await peer.until(lambda: peer.edus("m.receipt"))
    [receipt] = peer.edus("m.receipt")
    told = receipt[room_id]
    assert set(told) == {"m.read"}
    assert told["m.read"][alice.user_id]["event_ids"] == [second]
    assert told["m.read"][alice.user_id]["data"]["thread_id"] == "main"


async def test_who_goes_on_typing_is_told_again_after_a_while(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    clock = FakeClock()
    one, peer = await make_federated(clock=clock), await make_peer(clock=clock)
    alice = await one.user("alice")
    room_id = await public_room(alice)
    await peer.joins(one, room_id)

    await types(alice, room_id)
    await peer.until(lambda: len(peer.edus("m.typing")) == 1)
    await types(alice, room_id)
    clock.advance(20_000)
    await types(alice, room_id)
    await peer.until(lambda: len(peer.edus("m.typing")) == 2)
    clock.advance(30_000)  # and now no more
    await peer.until(lambda: len(peer.edus("m.typing")) == 3)

    assert [edu["typing"] for edu in peer.edus("m.typing")] == [True, True, False]


async def test_presence_is_told_only_where_that_is_wanted(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    discreet, chatty = await make_federated(), await make_federated(federation={"send_presence": True})
    peer = await make_peer()
    for one in (discreet, chatty):
        alice = await one.user("alice")
        room_id = await public_room(alice)
        await peer.joins(one, room_id)
        body = {"presence": "online", "status_msg": "here"}
        await alice.ok("PUT", f"presence/{quote(alice.user_id)}/status", json=body)
        await alice.send(room_id, one.name)

    await peer.until(lambda: peer.edus("m.presence") and len(peer.bodies()) == 2)
    [push] = [told for edu in peer.edus("m.presence") for told in edu["push"]]
    assert push["user_id"] == f"@alice:{chatty.name}"
    assert (push["presence"], push["status_msg"]) == ("online", "here")
    assert push["last_active_ago"] >= 0
