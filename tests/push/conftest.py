"""A homeserver beside a push gateway; Bob has a telephone."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.fixtures.push_gateway import PushGateway, running_gateway, set_pusher


@pytest.fixture
async def gateway() -> AsyncIterator[PushGateway]:
    """A push gateway."""
    async with running_gateway() as gateway:
        yield gateway


@pytest.fixture
async def homeserver(make_homeserver: MakeHomeserver, gateway: PushGateway) -> Homeserver:
    """One homeserver that may ask the gateway."""
    return await make_homeserver(push=gateway.settings)


@pytest.fixture
async def phone(bob: Client, gateway: PushGateway) -> Client:
    """Bob's telephone, with a pusher."""
    device = await bob.log_in()
    await set_pusher(device, gateway.url)
    return device


@pytest.fixture
async def room(alice: Client, bob: Client, homeserver: Homeserver) -> str:
    """A room of Alice, Bob and Carol."""
    room = await alice.create_room(preset="public_chat", name="The hall")
    await bob.join(room)
    await (await homeserver.user("carol")).join(room)
    return room
