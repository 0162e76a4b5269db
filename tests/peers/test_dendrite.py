"""Dendrite 0.13.8 and our server federate: the plays that it can take part in, with rooms made here and rooms made there.

It does not know knocking nor room version 12, does not apply redactions of others in version 11, does not show all
events of a room that forks, and numbers the news of a deleted device as it did when the device was new.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests.fixtures.certificates import Authority
from tests.fixtures.federation import MakeFederated
from tests.peers import plays_of_rooms as rooms
from tests.peers import plays_of_users as users
from tests.peers.dendrite import dendrite
from tests.peers.peer import Peer
from tests.peers.stage import Stage

Play = Callable[[Stage], Awaitable[None]]

ROOMS: list[Play] = [
    rooms.join_by_alias,
    rooms.talk,
    rooms.invite,
    rooms.restricted_join,
    rooms.read_history,
    rooms.leave_kick_ban,
]
USERS: list[Play] = [
    users.typing_and_receipts,
    users.profiles,
    users.directory,
    users.keys,
    users.to_device,
    users.media,
]


@pytest.fixture(scope="module")
async def peer(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, postgres: dict[str, Any]
) -> AsyncIterator[Peer]:
    async with dendrite(tmp_path_factory.mktemp("dendrite"), authority, postgres) as running:
        yield running


@pytest.fixture(params=["made-here", "made-there"])
async def stage(request: pytest.FixtureRequest, make_federated: MakeFederated, peer: Peer) -> Stage:
    """Our server is new for each test, Dendrite is the same one."""
    ours = await make_federated()
    return Stage(ours, peer) if request.param == "made-here" else Stage(peer, ours)


@pytest.mark.peers
@pytest.mark.parametrize("version", ["10", "11"])
@pytest.mark.parametrize("play", ROOMS, ids=lambda play: play.__name__)
async def test_in_a_room(stage: Stage, play: Play, version: str) -> None:
    await play(Stage(stage.resident, stage.other, version))


@pytest.mark.peers
async def test_redactions(stage: Stage) -> None:
    await rooms.redact(Stage(stage.resident, stage.other, "10"))


@pytest.mark.peers
@pytest.mark.parametrize("play", USERS, ids=lambda play: play.__name__)
async def test_of_users(stage: Stage, play: Play) -> None:
    await play(stage)
