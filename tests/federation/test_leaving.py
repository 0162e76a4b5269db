"""Rejecting invites of other servers, and leaving their rooms."""

from __future__ import annotations

import asyncio

from tests.federation.lying_room import LyingRoom
from tests.federation.plays import VERSIONS, join_through, membership, public_room
from tests.fixtures.federation import MakeFederated, MakeLying
from tests.fixtures.homeserver import Homeserver


async def until(homeserver: Homeserver, room_id: str, user_id: str, wanted: str) -> None:
    """Waits until the membership is this."""
    async with asyncio.timeout(60):
        while (await membership(homeserver, room_id, user_id)).get("membership") != wanted:
            await asyncio.sleep(0.05)


@VERSIONS
async def test_rejecting_an_invite(make_federated: MakeFederated, version: str) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await alice.create_room(preset="private_chat", room_version=version)
    await alice.invite(room_id, bob)
    await bob.sync()

    await bob.leave(room_id)

    assert (await membership(one, room_id, bob.user_id))["membership"] == "leave"
    assert (await membership(two, room_id, bob.user_id))["membership"] == "leave"
    assert room_id in (await bob.sync())["rooms"]["leave"]
    await alice.invite(room_id, bob)
    assert room_id in (await bob.sync())["rooms"]["invite"]


@VERSIONS
async def test_an_invite_of_a_server_that_is_gone(
    make_federated: MakeFederated, make_lying: MakeLying, version: str
) -> None:
    one, server = await make_federated(), await make_lying()
    bob = await one.user("bob")
    room = LyingRoom(server, version)
    invite = room.draft("m.room.member", {"membership": "invite"}, bob.user_id)
    body = {
        "room_version": version,
        "event": invite.json,
        "invite_room_state": [event.json for event in room.state.values()],
    }
    status, _ = await server.request(one, "PUT", room.path("v2/invite", invite.event_id), body)
    assert status == 200
    assert room.id in (await bob.sync())["rooms"]["invite"]

    await bob.leave(room.id)  # the server has no script for make_leave

    assert (await membership(one, room.id, bob.user_id))["membership"] == "leave"
    assert room.id in (await bob.sync())["rooms"]["leave"]
    assert room.id not in (await bob.sync(since="")).get("rooms", {}).get("invite", {})


async def test_an_invite_that_the_room_knows_nothing_of_any_more(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await alice.create_room(preset="private_chat")
    await alice.invite(room_id, bob)
    await alice.ok("POST", f"rooms/{room_id}/kick", json={"user_id": bob.user_id})

    await bob.leave(room_id)

    assert (await membership(two, room_id, bob.user_id))["membership"] == "leave"


async def test_leaving_a_room_is_told_to_the_others(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await public_room(alice)
    await join_through(bob, room_id, one)

    await bob.leave(room_id)

    await until(one, room_id, bob.user_id, "leave")


async def test_the_leave_of_one_server_reaches_a_third(make_federated: MakeFederated) -> None:
    """What is handed in to one server is passed on by it."""
    one, two, three = [await make_federated() for _ in range(3)]
    alice, bob, carol = await one.user("alice"), await two.user("bob"), await three.user("carol")
    room_id = await alice.create_room(preset="private_chat")
    await alice.invite(room_id, carol)
    await carol.join(room_id)
    await alice.invite(room_id, bob)
    await until(three, room_id, bob.user_id, "invite")

    await bob.leave(room_id)

    await until(three, room_id, bob.user_id, "leave")


async def test_an_invite_that_is_taken_back(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await alice.create_room(preset="private_chat")
    await alice.invite(room_id, bob)
    await bob.sync()

    await alice.ok("POST", f"rooms/{room_id}/kick", json={"user_id": bob.user_id})

    await until(two, room_id, bob.user_id, "leave")
    assert room_id in (await bob.sync())["rooms"]["leave"]


async def test_only_the_server_that_invited_takes_an_invite_back(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    one, server, other = await make_federated(), await make_lying(), await make_lying()
    bob = await one.user("bob")
    room = LyingRoom(server)
    invite = room.put("m.room.member", {"membership": "invite"}, bob.user_id)
    body = {"room_version": "11", "event": invite.json, "invite_room_state": []}
    assert (await server.request(one, "PUT", room.path("v2/invite", invite.event_id), body))[0] == 200
    kick = room.draft("m.room.member", {"membership": "leave"}, bob.user_id)
    by_bob = room.draft("m.room.member", {"membership": "leave"}, bob.user_id, sender=bob.user_id)

    await other.transaction(one, [kick.json])
    await server.transaction(one, [by_bob.json])
    assert (await membership(one, room.id, bob.user_id))["membership"] == "invite"
    await server.transaction(one, [kick.json])

    assert (await membership(one, room.id, bob.user_id))["membership"] == "leave"
