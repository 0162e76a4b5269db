"""What happens here reaches the servers of those who are in the room."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.federation.plays import join_through, public_room
from tests.fixtures.client import Client
from tests.fixtures.federation import MakeFederated


async def reads(client: Client, room_id: str, event_id: str) -> dict[str, Any]:
    """The event, once the client's /sync shows it."""
    found: list[dict[str, Any]] = []

    def is_there(reply: dict[str, Any]) -> bool:
        room = reply.get("rooms", {}).get("join", {}).get(room_id, {"timeline": {"events": []}})
        found.extend(event for event in room["timeline"]["events"] if event["event_id"] == event_id)
        return bool(found)

    await client.sync_until(is_there)
    return found[0]


async def test_both_read_what_the_other_says(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await public_room(alice)
    await join_through(bob, room_id, one)
    await bob.sync()
    await alice.sync()

    said = await alice.send(room_id, "hello")
    assert (await reads(bob, room_id, said))["content"]["body"] == "hello"

    answered = await bob.send(room_id, "good morning")
    assert (await reads(alice, room_id, answered))["content"]["body"] == "good morning"


async def test_a_burst_arrives_whole_and_in_order(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await public_room(alice)
    await join_through(bob, room_id, one)
    await bob.sync()

    said = await asyncio.gather(*(alice.send(room_id, str(number)) for number in range(120)))
    last = await alice.send(room_id, "the end")
    await reads(bob, room_id, last)

    theirs = [event["event_id"] for event in await bob.messages(room_id, limit=121)]
    ours = [event["event_id"] for event in await alice.messages(room_id, limit=121)]
    assert theirs == ours
    assert set(said) < set(theirs)
