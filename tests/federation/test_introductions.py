"""A server that comes to share a room with a user of ours by the user's join is told of the user's devices."""

from __future__ import annotations

from typing import Any

from protocol.events import MEMBER
from tests.federation.lying_room import LyingRoom
from tests.federation.peer import MakePeer, Peer
from tests.federation.plays import path, public_room
from tests.federation.test_device_lists import uploads_keys
from tests.federation.test_partial_state import Gate, completed, with_members
from tests.fixtures.client import Client
from tests.fixtures.federation import MakeFederated


def told_of(peer: Peer, user: Client) -> list[dict[str, Any]]:
    """The updates of the user's devices that the server has taken."""
    return [update for update in peer.edus("m.device_list_update") if update["user_id"] == user.user_id]


def devices_told(peer: Peer, user: Client) -> list[str]:
    """Of which of the user's devices the server has taken an update."""
    return [update["device_id"] for update in told_of(peer, user)]


async def test_who_joins_is_introduced_once(make_federated: MakeFederated, make_peer: MakePeer) -> None:
    one, peer = await make_federated(), await make_peer()
    alice, bob = await one.user("alice"), await one.user("bob")
    await uploads_keys(bob)
    first, second = await public_room(alice), await public_room(alice)
    await peer.joins(one, first)
    await peer.joins(one, second)

    await bob.join(first)
    await bob.join(second)
    await bob.send(second, "over")

    await peer.reads("over")
    [update] = told_of(peer, bob)
    assert update["device_id"] == bob.device_id
    assert update["stream_id"] > 0
    assert set(update["keys"]["algorithms"])
    # Nobody was new to alice: her peer has come to her.
    assert told_of(peer, alice) == []


async def test_who_comes_back_is_introduced_anew(make_federated: MakeFederated, make_peer: MakePeer) -> None:
    one, peer = await make_federated(), await make_peer()
    alice, bob = await one.user("alice"), await one.user("bob")
    room_id = await public_room(alice)
    await peer.joins(one, room_id)
    await bob.join(room_id)
    await peer.until(lambda: told_of(peer, bob))
    await bob.leave(room_id)
    await uploads_keys(bob)  # nobody there is told of this

    await bob.join(room_id)

    await peer.until(lambda: len(told_of(peer, bob)) == 2)
    without, update = told_of(peer, bob)
    assert without["device_id"] == update["device_id"] == bob.device_id
    assert "keys" not in without
    assert "keys" in update


async def test_a_server_that_was_away_is_told_later(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    one, peer = await make_federated(), await make_peer()
    alice, bob = await one.user("alice"), await one.user("bob")
    room_id = await public_room(alice)
    await peer.joins(one, room_id)
    peer.is_up = False
    await bob.join(room_id)
    await bob.send(room_id, "anybody there?")
    await make_federated(beside=one)
    peer.is_up = True

    await peer.greets(one)

    await peer.until(lambda: told_of(peer, bob))
    [update] = told_of(peer, bob)
    assert update["device_id"] == bob.device_id


async def test_who_enters_a_room_elsewhere_is_introduced(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    one, peer = await make_federated(), await make_peer()
    bob = await one.user("bob")
    room = LyingRoom(peer.server)
    room.opens()

    await bob.ok("POST", f"{path(room.id, 'join')}?via={peer.name}", json={})

    await peer.until(lambda: told_of(peer, bob))


async def test_the_servers_of_a_room_without_its_members_are_told_too(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    one, peer = await make_federated(), await make_peer()
    bob = await one.user("bob")
    room = with_members(peer.server, "11", ["ann"])
    gate = Gate(room, {f"@ann:{peer.name}"})

    await uploads_keys(bob)
    await bob.ok("POST", f"{path(room.id, 'join')}?via={peer.name}", json={})
    await gate.asked.wait()
    await peer.until(lambda: told_of(peer, bob))
    phone = await bob.log_in()
    await uploads_keys(phone)

    await peer.until(lambda: phone.device_id in devices_told(peer, bob))
    assert not gate.opened.is_set()
    gate.opened.set()  # so that the peer can end


def cat_of(peer: Peer, room: LyingRoom) -> str:
    """A user of the server who has joined the room."""
    cat = peer.user("cat")
    room.take(peer.server.signed(room.draft(MEMBER, {"membership": "join"}, cat, cat)))
    return cat


async def enters(user: Client, room: LyingRoom) -> None:
    await user.ok("POST", f"{path(room.id, 'join')}?via={room.server.name}", json={})


async def test_a_server_that_is_found_when_the_members_come_is_told(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    one, resident, absent = await make_federated(), await make_peer(), await make_peer()
    bob = await one.user("bob")
    room = LyingRoom(resident.server)
    gate = Gate(room, {cat_of(absent, room)})  # which says nothing of her server
    await enters(bob, room)
    await gate.asked.wait()
    phone = await bob.log_in()
    await uploads_keys(phone)
    await resident.until(lambda: phone.device_id in devices_told(resident, bob))
    assert told_of(absent, bob) == []

    gate.opened.set()

    await absent.until(lambda: phone.device_id in devices_told(absent, bob))
    tablet = await bob.log_in()
    await uploads_keys(tablet)
    await absent.until(lambda: tablet.device_id in devices_told(absent, bob))


async def test_a_server_that_is_found_while_it_is_away_is_told_later(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    one, resident, absent = await make_federated(), await make_peer(), await make_peer()
    bob = await one.user("bob")
    room = LyingRoom(resident.server)
    gate = Gate(room, {cat_of(absent, room)})
    await uploads_keys(bob)
    absent.is_up = False
    await enters(bob, room)
    gate.opened.set()
    await completed(one, room.id)
    await make_federated(beside=one)
    absent.is_up = True

    await absent.greets(one)

    await absent.until(lambda: bob.device_id in devices_told(absent, bob))


async def test_a_server_that_is_found_is_not_told_what_it_knows(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    one, resident, absent = await make_federated(), await make_peer(), await make_peer()
    bob = await one.user("bob")
    shared = await public_room(bob)
    await absent.joins(one, shared)
    room = LyingRoom(resident.server)
    gate = Gate(room, {cat_of(absent, room)})
    await enters(bob, room)
    gate.opened.set()
    await completed(one, room.id)

    await bob.send(shared, "over")

    await absent.reads("over")
    assert told_of(absent, bob) == []


async def test_a_server_that_is_found_still_to_be_there_is_told(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    one, resident, absent = await make_federated(), await make_peer(), await make_peer()
    bob = await one.user("bob")
    room = LyingRoom(resident.server)
    cat = cat_of(absent, room)
    room.opens()
    await enters(bob, room)
    await absent.until(lambda: told_of(absent, bob))
    await bob.leave(room.id)
    phone = await bob.log_in()
    await uploads_keys(phone)  # nobody there is told of this
    gate = Gate(room, {cat})
    await enters(bob, room)

    gate.opened.set()

    await absent.until(lambda: phone.device_id in devices_told(absent, bob))
