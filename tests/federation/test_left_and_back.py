"""A user leaves, and the server of that user comes back by another user before the others have heard of the leave."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.ports import RemoteFailed
from services.rooms.membership import first_part
from tests.federation.plays import join_through, membership, public_room
from tests.federation.test_forks import settled, state_ids
from tests.fixtures.federation import MakeFederated
from tests.fixtures.homeserver import Homeserver

PATIENCE = 60  # seconds


async def until_left(room_id: str, user_id: str, *servers: Homeserver) -> None:
    """Returns when the user is not in the room on any of the servers."""
    async with asyncio.timeout(PATIENCE):
        while {(await membership(server, room_id, user_id))["membership"] for server in servers} != {"leave"}:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("is_large", [False, True])
async def test_who_has_left_is_not_brought_back(
    make_federated: MakeFederated, monkeypatch: pytest.MonkeyPatch, is_large: bool
) -> None:
    if is_large:
        monkeypatch.setattr(first_part, "MANY", 2)
    one, two, three = await make_federated(), await make_federated(), await make_federated()
    alice, carol = await one.user("alice"), await three.user("carol")
    bob, dora = await two.user("bob"), await two.user("dora")
    room_id = await public_room(alice)
    await join_through(carol, room_id, one)
    await join_through(bob, room_id, one)
    hello = await bob.send(room_id, "hello")
    await settled(room_id, {hello}, one, two, three)

    async def cut(server: str, *_: Any) -> Any:
        raise RemoteFailed(server, None, None, "the line is cut")  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(two.tenant.remotes, "send_transaction", cut)
        await bob.leave(room_id)
        await join_through(dora, room_id, three)  # who takes Bob for joined
        await until_left(room_id, bob.user_id, two)
        assert (await membership(three, room_id, bob.user_id))["membership"] == "join"
    here = await dora.send(room_id, "here I am")
    await settled(room_id, {here}, one, three)

    # Nobody says anything that follows on both branches: one of Bob's leaves is all.
    await until_left(room_id, bob.user_id, one, two, three)
    there = await alice.send(room_id, "there you are")
    await settled(room_id, {there}, two, three)
    last = await dora.send(room_id, "all is well")
    await settled(room_id, {last}, one, three)
    states = [await state_ids(server, room_id) for server in (one, two, three)]
    assert states[0] == states[1] == states[2]
    assert (await membership(two, room_id, dora.user_id))["membership"] == "join"


async def test_who_has_come_back_stays(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await public_room(alice)
    for _ in range(3):
        await join_through(bob, room_id, one)
        hello = await bob.send(room_id, "hello")
        await settled(room_id, {hello}, one)
        await bob.set_state(
            room_id, "m.room.member", {"membership": "join", "displayname": "Robert"}, bob.user_id
        )
        await bob.leave(room_id)
    await join_through(bob, room_id, one)

    hello = await bob.send(room_id, "here to stay")
    await settled(room_id, {hello}, one)
    for server in (one, two):
        assert (await membership(server, room_id, bob.user_id))["membership"] == "join"
