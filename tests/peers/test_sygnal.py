"""Through a push gateway that others wrote: a browser hears what was said, once, and one that is gone has no pusher any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from services.push.delivery.observations import GatewayBack, GatewayFails
from services.settings import Push
from tests.client_api.test_unread import mention, read
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.fixtures.live import free_port
from tests.fixtures.push_gateway import PATH, set_pusher
from tests.peers.sygnal import APP, PYTHON, sygnal
from tests.push_gateway.test_webpush import Browser

pytestmark = pytest.mark.skipif(PYTHON is None, reason="SYGNAL_PYTHON names no Python that has Sygnal")


@dataclass
class PushService:
    """What a browser's maker runs: it takes pushes, and answers as it is told to."""

    port: int = field(default_factory=free_port)
    status: int = 201
    bodies: list[bytes] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """What the browser is given."""
        return f"http://127.0.0.1:{self.port}/push/secret"

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """As long as this lasts."""
        runner = web.ServerRunner(web.Server(self._answer))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        try:
            yield
        finally:
            await runner.cleanup()

    async def told(self, browser: Browser, count: int) -> list[Any]:
        """What it could read of the pushes, once there are so many."""
        async with asyncio.timeout(90):
            while len(self.bodies) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return [browser.opens(body) for body in self.bodies]

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.bodies.append(await request.read())
        self.arrived.set()
        return web.Response(status=self.status)


async def test_through_sygnal(make_homeserver: MakeHomeserver, tmp_path: Path) -> None:
    service, browser, port = PushService(), Browser(), free_port()
    url = f"http://127.0.0.1:{port}{PATH}"
    homeserver = await make_homeserver(push=Push(private_gateways=(url,)))
    alice, bob = await homeserver.user("alice"), await homeserver.user("bob")
    room = await alice.create_room(preset="public_chat", name="The hall")
    await bob.join(room)
    async with service.listening():
        async with sygnal(tmp_path, port):
            data = browser.data | {"endpoint": service.url, "default_payload": {"mine": 1}}
            await set_pusher(bob, url, browser.pushkey, data=data, app_id=APP)
            first = await alice.send(room, mention(bob))
            (said,) = await service.told(browser, 1)
            assert (said["event_id"], said["room_id"], said["room_name"]) == (first, room, "The hall")
            assert (said["content"], said["sender"]) == (mention(bob), alice.user_id)
            assert (said["unread"], said["mine"]) == (1, 1)
        # Sygnal is gone for a while, and what it missed is told when it is back.
        second = await alice.send(room, "are you there?")
        await observed(homeserver, GatewayFails)
        async with sygnal(tmp_path, port):
            said = (await service.told(browser, 2))[1]
            assert (said["event_id"], said["unread"]) == (second, 2)
            await observed(homeserver, GatewayBack)
            # Bob reads, and the badge is told to be gone.
            await read(bob, room, second)
            said = (await service.told(browser, 3))[2]
            assert (said["unread"], said.get("event_id")) == (0, None)
            # The browser is gone, and Sygnal rejects its key; and one of an application that it does not know.
            service.status = 410
            await set_pusher(bob, url, "a key", app_id="org.example.unknown")
            await alice.send(room, "still there?")
            async with asyncio.timeout(90):
                while (await bob.ok("GET", "pushers"))["pushers"]:
                    await asyncio.sleep(0.05)
            assert len(await service.told(browser, 4)) == 4


async def observed(homeserver: Homeserver, kind: type) -> None:
    """The homeserver has told of one."""
    async with asyncio.timeout(90):
        while not any(isinstance(one, kind) for one in homeserver.observed):
            await asyncio.sleep(0.02)
