"""Who listens over a WebSocket, with connections that break, ends with what a first sync gives: over random histories."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from client_api.sync_websocket import PATH
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver
from tests.sync.history import History
from tests.sync.model import assert_equal
from tests.sync.test_incremental import USERS, Watcher

STEPS = 90


class Listener:
    """A watcher that is told what is new, and may lose its connection before it has acknowledged what it was told."""

    def __init__(self, watcher: Watcher, random: Any) -> None:
        self.watcher = watcher
        self._random = random
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._probes = 0

    async def hear(self) -> dict[str, Any]:
        """One more body, applied and acknowledged; now and then the connection is lost instead, and made anew."""
        while True:
            socket = await self._connected()
            async with asyncio.timeout(20):
                body: dict[str, Any] = (await socket.receive_json())["body"]
            if self._random.random() > 0.2:
                break
            await self.end()
        self.watcher.model.apply(body)
        self.watcher.client.next_batch = body["next_batch"]
        await socket.send_json({"type": "ack", "next_batch": body["next_batch"]})
        return body

    async def catch_up(self) -> None:
        """Hears all that has happened so far."""
        client = self.watcher.client
        self._probes += 1
        content = {"device": client.device_id, "n": self._probes}
        await client.ok("PUT", f"user/{client.user_id}/account_data/org.example.probe", json=content)
        while self.watcher.model.account_data.get("org.example.probe") != content:
            await self.hear()

    async def end(self) -> None:
        """Goes away."""
        if self._socket is not None:
            await self._socket.close()
            self._socket = None

    async def _connected(self) -> aiohttp.ClientWebSocketResponse:
        if self._socket is None:
            client, params = self.watcher.client, self.watcher.params
            if client.next_batch is not None:
                params |= {"since": client.next_batch}
            headers = {"Authorization": f"Bearer {client.access_token}"}
            self._socket = await client.session.ws_connect(client.url + PATH, headers=headers, params=params)
        return self._socket


@asynccontextmanager
async def _listeners(clients: list[Client], random: Any) -> AsyncIterator[list[Listener]]:
    watchers = [
        Watcher(await clients[0].log_in(), lazy=False, state_after=False, limit=10),
        Watcher(await clients[1].log_in(), lazy=True, state_after=True, limit=3),
        Watcher(await clients[2].log_in(), lazy=True, state_after=False, limit=1),
    ]
    listeners = [Listener(watcher, random) for watcher in watchers]
    try:
        yield listeners
    finally:
        for listener in listeners:
            await listener.end()


@pytest.mark.parametrize("seed", range(200, 203))
async def test_what_is_heard_gives_what_a_first_sync_gives(homeserver: Homeserver, seed: int) -> None:
    clients = [await homeserver.user(name) for name in USERS]
    history = History(seed, clients)
    async with _listeners(clients, history.random) as listeners:
        for number in range(STEPS):
            await history.step()
            for listener in listeners:
                if history.random.random() < 0.15:
                    await listener.catch_up()
            if number % 30 == 29:
                for listener in listeners:
                    await listener.catch_up()
                    watcher = listener.watcher
                    whole = Watcher(watcher.client, watcher.lazy, watcher.state_after, watcher.limit)
                    token, watcher.client.next_batch = watcher.client.next_batch, None
                    await whole.goes_on()
                    watcher.client.next_batch = token
                    assert_equal(watcher.model, whole.model, lazy=watcher.lazy, limit=watcher.limit)
