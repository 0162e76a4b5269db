"""A message to very many servers: bounded in tasks and memory, and in statements, of which none is for one server alone.

With the figures of docs/performance.md: DESTINATIONS=10000 pytest -s tests/federation/test_many_destinations.py
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from federation.outbound.life import telling_others
from services.ports import RemoteFailed
from storage import topics
from storage.journal import Change
from tests.federation.fuzz.watching import memory
from tests.federation.peer import SENDING, crashed
from tests.fixtures.client import Client
from tests.fixtures.federation import MakeFederated
from tests.fixtures.homeserver import Homeserver

NUMBER = int(os.environ.get("DESTINATIONS", "2000"))
PATIENCE = 120.0
MOST_TASKS = 250
"""150 that deliver, and those of the homeserver and of the test."""


@dataclass
class Others:
    """The other servers, in the place of the network: what each was told, and how many tasks there were."""

    are_up: bool = True
    told: dict[str, int] = field(default_factory=dict)
    times: int = 0
    most_tasks: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def send_transaction(self, server: str, _: str, pdus: Any, edus: Any) -> dict[str, None]:
        """Takes a while, like a network."""
        self.most_tasks = max(self.most_tasks, len(asyncio.all_tasks()))
        await asyncio.sleep(0)
        self.times += 1
        self.news.set()
        if not self.are_up:
            raise RemoteFailed(server, None, None, "is away")  # type: ignore[arg-type]
        self.told[server] = self.told.get(server, 0) + len(pdus)
        return {}

    async def until(self, seen: Callable[[], bool]) -> None:
        """Returns when it is so."""
        async with asyncio.timeout(PATIENCE):
            while not seen():
                self.news.clear()
                await self.news.wait()


async def with_many_servers(one: Homeserver, alice: Client) -> str:
    """A room in which very many servers are, as if somebody of each had joined."""
    room_id = await alice.create_room(preset="public_chat")
    async with one.tenant.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO room_servers (room_id, server, joined, since)"
            " SELECT $1, 's' || n || '.example', 1, $2 FROM generate_series(1, $3::int) AS n",
            room_id,
            one.tenant.feed.position,
            NUMBER,
        )
    await one.tenant.journal.append(Change((), (topics.room_servers(room_id),)))
    return room_id


async def cost(one: Homeserver, what: str, work: Callable[[], Awaitable[None]]) -> int:
    """How many statements the work took; said aloud with time, CPU and memory."""
    statements, begun = one.tenant.database.statements_run, memory()
    at, cpu = time.monotonic(), time.process_time()
    await work()
    took, used = time.monotonic() - at, time.process_time() - cpu
    statements = one.tenant.database.statements_run - statements
    grown = (memory() - begun) / 2**20
    print(f"{what}: {statements} statements, {took:.2f} s, {used:.2f} s of CPU, {grown:.1f} MiB more")
    return statements


async def written(one: Homeserver) -> None:
    """Returns when it is written that all have everything: what is not written yet is told again after a crash."""
    newest = one.tenant.feed.position
    async with asyncio.timeout(PATIENCE):
        while True:
            async with one.tenant.database.read() as tx:
                have_it = "SELECT count(*) FROM destinations WHERE position >= $1"
                if await tx.fetchval(have_it, newest) == NUMBER:
                    return
            await asyncio.sleep(0.05)


async def test_one_message_to_all_of_them(
    make_federated: MakeFederated, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, others = await make_federated(), Others()
    monkeypatch.setattr(one.tenant.remotes, "send_transaction", others.send_transaction)
    alice = await one.user("alice")
    room_id = await with_many_servers(one, alice)

    async def says(number: int) -> None:
        await alice.send(room_id, f"message {number}")
        await others.until(lambda: sum(others.told.values()) == number * NUMBER)

    assert await cost(one, "the first message", lambda: says(1)) < NUMBER / 10
    assert await cost(one, "the second message", lambda: says(2)) < NUMBER / 10
    assert set(others.told.values()) == {2}
    assert others.most_tasks < MOST_TASKS
    await written(one)

    # The process dies. The next one looks once who may lack something, and reads nothing for each of them.
    async with crashed(*SENDING):
        async with one.tenant.database.transaction() as tx:
            await tx.execute("UPDATE destinations SET holder = NULL")
        begun = time.monotonic()
        async with telling_others(one.tenant):
            print(f"the start: {time.monotonic() - begun:.2f} s")
            assert await cost(one, "the first message after a start", lambda: says(3)) < NUMBER / 10


async def test_all_of_them_are_away(make_federated: MakeFederated, monkeypatch: pytest.MonkeyPatch) -> None:
    one, others = await make_federated(), Others(are_up=False)
    monkeypatch.setattr(one.tenant.remotes, "send_transaction", others.send_transaction)
    alice = await one.user("alice")
    room_id = await with_many_servers(one, alice)

    async def says() -> None:
        await alice.send(room_id, "hello")
        async with asyncio.timeout(PATIENCE):
            while True:
                async with one.tenant.database.read() as tx:
                    failing = "SELECT count(*) FROM destinations WHERE failing_since IS NOT NULL"
                    if await tx.fetchval(failing) == NUMBER:
                        return
                await asyncio.sleep(0.2)

    assert await cost(one, "a message to servers that are away", says) < NUMBER
    assert others.most_tasks < MOST_TASKS
