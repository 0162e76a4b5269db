"""Several servers that write at once: in the end all have the same."""

from __future__ import annotations

import asyncio

import pytest

from tests.client_api.stored import path
from tests.federation.plays import join_through, public_room
from tests.federation.scene import set_the_scene
from tests.federation.stranger import view_of_room
from tests.fixtures.federation import MakeFederated, MakeLying
from tests.fixtures.homeserver import Homeserver

VERSIONS = pytest.mark.parametrize("version", ["1", "2", "10", "12"])


async def state_ids(homeserver: Homeserver, room_id: str) -> dict[tuple[str, str], str]:
    """The room's state by event IDs."""
    view = await view_of_room(homeserver.tenant, room_id)
    return {key: event.event_id for key, event in view.state.items()}


async def known(homeserver: Homeserver, room_id: str) -> set[str]:
    """The events of the room's timeline, from its members' joins on."""
    async with homeserver.tenant.database.read() as tx:
        rows = await tx.fetch("SELECT event_id FROM events WHERE room_id = $1 AND standing = 0", room_id)
    return {row["event_id"] for row in rows}


async def settled(room_id: str, event_ids: set[str], *servers: Homeserver) -> None:
    """Returns when all servers have the events."""
    async with asyncio.timeout(60):
        for server in servers:
            while not event_ids <= await known(server, room_id):
                await asyncio.sleep(0.05)


@VERSIONS
async def test_state_that_is_set_on_both_sides_at_once(make_federated: MakeFederated, version: str) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await public_room(alice, version)
    await join_through(bob, room_id, one)
    levels = {"users": {bob.user_id: 100} | ({} if version == "12" else {alice.user_id: 100})}
    last = await alice.set_state(room_id, "m.room.power_levels", levels)
    await settled(room_id, {last}, two)
    sent: set[str] = set()
    for number in range(3):
        sent |= set(
            await asyncio.gather(
                alice.set_state(room_id, "m.room.topic", {"topic": f"alice {number}"}),
                bob.set_state(room_id, "m.room.topic", {"topic": f"bob {number}"}),
                alice.set_state(room_id, "m.room.name", {"name": f"alice {number}"}),
                bob.set_state(room_id, "org.example.mine", {"by": number}),
                alice.send(room_id, "hello"),
                bob.send(room_id, "hello"),
            )
        )
    await settled(room_id, sent, one, two)
    assert await state_ids(one, room_id) == await state_ids(two, room_id)
    joined = await alice.send(room_id, "together again")
    await settled(room_id, {joined}, two)
    assert [event.event_id for event in (await view_of_room(two.tenant, room_id)).latest] == [joined]
    assert await state_ids(one, room_id) == await state_ids(two, room_id)


async def test_a_ban_and_what_the_banned_user_says_meanwhile(make_federated: MakeFederated) -> None:
    one, two, three = await make_federated(), await make_federated(), await make_federated()
    alice, bob, carol = await one.user("alice"), await two.user("bob"), await three.user("carol")
    room_id = await public_room(alice)
    await join_through(bob, room_id, one)
    await join_through(carol, room_id, one)
    hello = await carol.send(room_id, "hello")
    await settled(room_id, {hello}, one, two)
    await asyncio.gather(
        alice.ok("POST", path(room_id, "ban"), json={"user_id": bob.user_id}),
        bob.send(room_id, "what I always wanted to say"),
    )
    end = await alice.send(room_id, "the end")
    await settled(room_id, {end}, three)
    states = [await state_ids(server, room_id) for server in (one, three)]
    assert states[0] == states[1]
    member = await carol.ok("GET", path(room_id, "state", "m.room.member", bob.user_id))
    assert member["membership"] == "ban"


async def test_two_processes_receive_at_once(make_federated: MakeFederated, make_lying: MakeLying) -> None:
    scene = await set_the_scene(make_federated, make_lying)
    beside = await make_federated(beside=scene.one)
    view, events = scene.view, []
    for _ in range(20):
        events.append(scene.says(view))
        if len(events) % 3:  # every third is the end of a branch
            view = view.with_event(events[-1])
    await asyncio.gather(
        *(
            scene.liar.transaction(server, [event.json for event in events])
            for _ in range(3)
            for server in (scene.one, beside)
        )
    )
    await settled(scene.room_id, {event.event_id for event in events}, scene.one)
    async with scene.one.tenant.database.read() as tx:
        rows = await tx.fetch("SELECT * FROM current_state WHERE room_id = $1", scene.room_id)
    current = {(row["type"], row["state_key"]): row["event_id"] for row in rows}
    assert current == await state_ids(scene.one, scene.room_id)
