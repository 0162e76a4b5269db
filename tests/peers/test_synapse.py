"""Synapse and our server federate: every play with rooms made here, and with rooms made there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.fixtures.certificates import Authority
from tests.fixtures.federation import MakeFederated
from tests.peers import plays_of_rooms as rooms
from tests.peers import plays_of_users as users
from tests.peers.peer import Peer
from tests.peers.stage import Stage, heard, member, same_view
from tests.peers.synapse import synapse

Play = Callable[[Stage], Awaitable[None]]

VERSIONS = ["10", "11", "12"]
ROOMS: list[Play] = [
    rooms.join_by_alias,
    rooms.talk,
    rooms.invite,
    rooms.knock,
    rooms.restricted_join,
    rooms.read_history,
    rooms.redact,
    rooms.leave_kick_ban,
    rooms.speak_at_once,
]
USERS: list[Play] = [
    users.typing_and_receipts,
    users.profiles,
    users.directory,
    users.keys,
    users.lose_a_device,
    users.to_device,
    users.media,
]


@pytest.fixture(scope="module")
async def peer(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> AsyncIterator[Peer]:
    async with synapse(tmp_path_factory.mktemp("synapse"), authority) as running:
        yield running


@pytest.fixture(params=["made-here", "made-there"])
async def stage(request: pytest.FixtureRequest, make_federated: MakeFederated, peer: Peer) -> Stage:
    """Our server is new for each test, Synapse is the same one."""
    ours = await make_federated()
    return Stage(ours, peer) if request.param == "made-here" else Stage(peer, ours)


@pytest.mark.peers
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("play", ROOMS, ids=lambda play: play.__name__)
async def test_in_a_room(stage: Stage, play: Play, version: str) -> None:
    await play(Stage(stage.resident, stage.other, version))


@pytest.mark.peers
@pytest.mark.parametrize("version", VERSIONS)
async def test_a_knock_is_taken_back(make_federated: MakeFederated, peer: Peer, version: str) -> None:
    # Synapse does not tell other servers when its own users take a knock back (its issue 18030).
    await rooms.knock_and_think_better_of_it(Stage(peer, await make_federated(), version))


@pytest.mark.peers
@pytest.mark.parametrize("version", VERSIONS)
async def test_three_servers(make_federated: MakeFederated, peer: Peer, version: str) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob, room_id = await Stage(one, peer, version).meeting()
    # Synapse asks one server for history, and is content with less than all: now there is but one.
    await same_view(room_id, alice, bob)
    carol = await two.user("carol")
    await Stage(peer, two, version).enter(carol, room_id)
    await member(alice, room_id, carol, "join")
    await member(bob, room_id, carol, "join")
    for _ in range(3):
        said = await asyncio.gather(*(who.send(room_id, "all at once") for who in (alice, bob, carol)))
        for who in (alice, bob, carol):
            await heard(who, room_id, *said)
    await same_view(room_id, alice, bob, in_order=False)
    await same_view(room_id, bob, carol, in_order=False)


@pytest.mark.peers
@pytest.mark.parametrize("play", USERS, ids=lambda play: play.__name__)
async def test_of_users(stage: Stage, play: Play) -> None:
    await play(stage)
