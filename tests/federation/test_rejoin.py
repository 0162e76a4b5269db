"""A room that a server left and comes back to."""

from __future__ import annotations

import asyncio

import pytest

from tests.federation.plays import join_through, public_room
from tests.federation.test_forks import settled, state_ids
from tests.fixtures.federation import MakeFederated


@pytest.mark.parametrize("version", ["1", "11", "12"])
async def test_a_room_that_went_on_without_us(make_federated: MakeFederated, version: str) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await public_room(alice, version)
    await join_through(bob, room_id, one)
    hello = await bob.send(room_id, "hello")
    await settled(room_id, {hello}, one)
    since = (await bob.sync())["next_batch"]
    await bob.leave(room_id)
    async with asyncio.timeout(60):
        while (await state_ids(one, room_id)) != (await state_ids(two, room_id)):
            await asyncio.sleep(0.05)
    await alice.set_state(room_id, "m.room.topic", {"topic": "without Bob"})
    await alice.send(room_id, "is anybody there?")
    await join_through(bob, room_id, one)
    async with asyncio.timeout(60):
        while (await state_ids(one, room_id)) != (await state_ids(two, room_id)):
            await asyncio.sleep(0.05)
    room = (await bob.sync(since=since))["rooms"]["join"][room_id]
    assert ("m.room.topic", "without Bob") in [
        (event["type"], event["content"].get("topic"))
        for event in room["state"]["events"] + room["timeline"]["events"]
    ]
    here, there = await bob.send(room_id, "yes"), await alice.send(room_id, "good")
    await settled(room_id, {here, there}, one, two)
    assert await state_ids(one, room_id) == await state_ids(two, room_id)
