"""What happens here reaches the servers of those who are in the room."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from federation.outbound import follow_rooms
from protocol.build import EventDraft
from protocol.events import MEMBER
from protocol.ids import RoomID, UserID
from services.requester import Requester
from services.rooms.send import send_event
from services.servers.outgoing import events_by_server
from services.tenant import Tenant
from tests.federation.peer import MakePeer, Peer, written_down
from tests.federation.plays import join_through, path, public_room
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


async def test_what_others_say_is_not_looked_through_for_our_own(
    make_federated: MakeFederated, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await public_room(alice)
    await join_through(bob, room_id, one)
    await bob.sync()
    await alice.sync()
    for number in range(2):  # rooms are in memory from now on
        await reads(bob, room_id, await alice.send(room_id, f"warm {number}"))
        await reads(alice, room_id, await bob.send(room_id, f"warm {number} too"))
    looked: list[list[str]] = []

    async def looking(tenant: Tenant, *asked: Any) -> Any:
        found = await events_by_server(tenant, *asked)
        if tenant is two.tenant:
            looked.append([json.loads(item.pdu or b"{}")["content"]["body"] for item, _ in found])
        return found

    monkeypatch.setattr(follow_rooms, "events_by_server", looking)
    for number in range(3):
        await reads(bob, room_id, await alice.send(room_id, "hello"))
        await reads(alice, room_id, await bob.send(room_id, str(number)))

    assert looked == [["0"], ["1"], ["2"]]


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


async def test_only_servers_in_the_room_are_told(make_federated: MakeFederated, make_peer: MakePeer) -> None:
    one, peer, stranger = await make_federated(), await make_peer(), await make_peer()
    alice = await one.user("alice")
    room_id, other = await public_room(alice), await public_room(alice)
    await peer.joins(one, room_id)
    await stranger.joins(one, other)

    await alice.send(other, "elsewhere")
    await alice.send(room_id, "here")

    await peer.reads("here")
    await stranger.reads("elsewhere")


async def test_who_is_kicked_hears_of_it_and_of_nothing_more(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    one, peer, witness = await make_federated(), await make_peer(), await make_peer()
    alice = await one.user("alice")
    room_id = await public_room(alice)
    await peer.joins(one, room_id)
    await witness.joins(one, room_id)

    await alice.send(room_id, "before")
    await alice.ok("POST", path(room_id, "kick"), json={"user_id": peer.user("mallory")})
    await alice.send(room_id, "after")

    await witness.reads("before", "after")
    await peer.until(lambda: any(pdu["type"] == MEMBER for taken in peer.taken for pdu in taken.pdus))
    told = [pdu for taken in peer.taken for pdu in taken.pdus]
    kick = next(pdu for pdu in told if pdu.get("state_key") == peer.user("mallory"))
    assert kick["content"]["membership"] == "leave"
    assert peer.bodies() == ["before"]


async def test_a_join_through_us_is_told_to_the_others_and_not_to_who_joined(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    one, first, second = await make_federated(), await make_peer(), await make_peer()
    alice = await one.user("alice")
    room_id = await public_room(alice)
    await first.joins(one, room_id)
    await second.joins(one, room_id)
    await alice.send(room_id, "welcome")

    await first.reads("welcome")
    await second.reads("welcome")

    def members(peer: Peer) -> list[str]:
        return [pdu["state_key"] for t in peer.taken for pdu in t.pdus if pdu["type"] == MEMBER]

    assert members(first) == [second.user("mallory")]
    assert members(second) == []


async def test_a_server_gets_one_transaction_at_a_time(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    one, peer = await make_federated(), await make_peer()
    alice = await one.user("alice")
    room_id = await public_room(alice)
    await peer.joins(one, room_id)
    peer.is_open.clear()

    await alice.send(room_id, "0")
    await peer.until(lambda: peer.asked)
    for number in range(1, 60):
        await alice.send(room_id, str(number))
    peer.is_open.set()

    await peer.reads(*map(str, range(60)))
    assert peer.most_at_once == 1
    sizes = [len(taken.pdus) for taken in peer.taken]
    assert sizes[:2] == [1, 50]
    assert len({taken.txn_id for taken in peer.taken}) == len(sizes)


async def test_rooms_of_ours_alone_cost_nothing(make_federated: MakeFederated, make_peer: MakePeer) -> None:
    one, peer = await make_federated(), await make_peer()
    alice = await one.user("alice")
    shared, own = await public_room(alice), await public_room(alice)
    await peer.joins(one, shared)
    await alice.send(own, "warm")
    await alice.send(shared, "warm")
    await peer.reads("warm")
    await written_down(one, peer)
    sender = Requester(UserID(alice.user_id))

    draft = EventDraft("m.room.message", {"msgtype": "m.text", "body": "hello"})
    run = []
    for _ in range(5):  # something else may go on beside some of them
        before = one.tenant.database.statements_run
        await send_event(one.tenant, sender, RoomID(own), draft)
        await asyncio.sleep(0.1)  # what must not happen cannot be waited for
        run.append(one.tenant.database.statements_run - before)

    assert min(run) == 4
