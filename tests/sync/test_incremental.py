"""An incremental sync applied to an older sync gives the same as a new first sync: over random histories."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.sync.history import History
from tests.sync.model import Model, assert_equal

STEPS = 120
USERS = ("alice", "bob", "carol", "dave")


@dataclass
class Watcher:
    """A device that syncs now and then in its own way, and what it has put together."""

    client: Client
    lazy: bool
    state_after: bool
    limit: int
    types: tuple[str, ...] = ("*",)
    model: Model = field(init=False)

    def __post_init__(self) -> None:
        self.model = Model(self.state_after)

    @property
    def params(self) -> dict[str, Any]:
        """How it syncs."""
        timeline = {"limit": self.limit, "types": self.types, "unread_thread_notifications": self.lazy}
        room = {"timeline": timeline, "state": {"lazy_load_members": self.lazy}}
        params = {"filter": json.dumps({"room": room}), "set_presence": "offline"}
        return params | ({"use_state_after": "true"} if self.state_after else {})

    async def goes_on(self) -> None:
        """One more sync, applied to all before."""
        self.model.apply(await self.client.sync(**self.params))

    async def check(self) -> None:
        """Holds what it has to a first sync."""
        await self.goes_on()
        whole = Model(self.state_after)
        token, self.client.next_batch = self.client.next_batch, None
        whole.apply(await self.client.sync(**self.params))
        self.client.next_batch = token
        assert_equal(self.model, whole, lazy=self.lazy, limit=self.limit)


async def _watchers(clients: list[Client]) -> list[Watcher]:
    return [
        Watcher(await clients[0].log_in(), lazy=False, state_after=False, limit=10),
        Watcher(await clients[0].log_in(), lazy=True, state_after=False, limit=3),
        Watcher(await clients[1].log_in(), lazy=True, state_after=True, limit=10),
        Watcher(await clients[1].log_in(), lazy=False, state_after=True, limit=1),
        Watcher(await clients[2].log_in(), lazy=False, state_after=False, limit=2),
        Watcher(await clients[3].log_in(), lazy=True, state_after=False, limit=20),
        Watcher(await clients[3].log_in(), lazy=False, state_after=False, limit=4, types=("m.room.mess*",)),
    ]


def _forget_what_is_in_memory(homeserver: Homeserver) -> None:
    tenant = homeserver.tenant
    for cache in (tenant.tails, tenant.listeners):
        cache.reset(tenant.feed.position)


@pytest.mark.parametrize("seed", range(6))
async def test_applying_news_gives_what_a_first_sync_gives(homeserver: Homeserver, seed: int) -> None:
    clients = [await homeserver.user(name) for name in USERS]
    watchers = await _watchers(clients)
    history = History(seed, clients)
    for number in range(STEPS):
        await history.step()
        for watcher in watchers:
            if history.random.random() < 0.25:
                await watcher.goes_on()
        if history.random.random() < 0.05:
            _forget_what_is_in_memory(homeserver)
        if number % 30 == 29:
            for watcher in watchers:
                await watcher.check()


@pytest.mark.parametrize("seed", range(100, 102))
async def test_the_same_through_two_processes(
    make_homeserver: MakeHomeserver, redis_url: str, seed: int
) -> None:
    one = await make_homeserver(redis_url=redis_url)
    clients = [await one.user(name) for name in USERS]
    watchers = await _watchers(clients)
    two = await make_homeserver(redis_url=redis_url, beside=one)
    through_two = [
        Client(two.session, two.url, c.user_id, c.device_id, c.access_token, c.password) for c in clients
    ]
    for watcher in watchers[::2]:
        watcher.client.url = two.url
    history = History(seed, clients + through_two)
    for number in range(STEPS // 2):
        await history.step()
        for watcher in watchers:
            if history.random.random() < 0.25:
                await watcher.goes_on()
        if number % 30 == 29:
            await _until_told(one, two)
            for watcher in watchers:
                await watcher.check()


async def _until_told(one: Homeserver, two: Homeserver) -> None:
    """Wake-ups, typing and presence reach the other process a little later."""
    for homeserver, other in ((one, two), (two, one)):
        client = await homeserver.user(f"probe{homeserver.tenant.feed.position}")
        there = Client(other.session, other.url, client.user_id, client.device_id, client.access_token)
        await there.sync()
        path = f"user/{client.user_id}/account_data/org.example.probe"
        await client.put(path, {"n": 1})
        await there.sync_until(lambda said: "account_data" in said)
