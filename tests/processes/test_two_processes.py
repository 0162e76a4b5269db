"""Two `hearth serve` on one PostgreSQL and one Redis serve one room: sent through one, read through the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from tests.fixtures.live import LiveServer, free_port

_CONFIG = """
server_name: one.example
data_folder: {folder}
listeners: [{{port: {port}}}]
database: {{url: "{database}"}}
redis: {{url: "{redis}"}}
registration: {{mode: open}}
rate_limits: {{enabled: false}}
passwords: {{time_cost: 1, memory: 8KiB}}
"""


@pytest.fixture
async def pair(
    tmp_path: Path, connection: Any, postgres: dict[str, str], redis_url: str
) -> AsyncIterator[tuple[LiveServer, LiveServer]]:
    """Two processes, on a database and a Redis of their own."""
    await connection.execute("CREATE DATABASE two_processes")
    where = f"postgresql://{postgres['user']}@/two_processes?host={quote(postgres['host'], safe='')}"
    async with AsyncExitStack() as stack:
        servers = []
        for _ in range(2):
            port = free_port()
            config = tmp_path / f"{port}.yaml"
            config.write_text(
                _CONFIG.format(folder=tmp_path / "data", port=port, database=where, redis=redis_url)
            )
            server = LiveServer(tmp_path / str(port), port=port, config=config)
            await server.start()
            stack.push_async_callback(server.stop)
            servers.append(server)
        yield servers[0], servers[1]
    await connection.execute("DROP DATABASE two_processes WITH (FORCE)")


class Person:
    """A user, who may speak through one process and listen through the other."""

    def __init__(self, session: aiohttp.ClientSession, name: str) -> None:
        self.session, self.name = session, name
        self.headers: dict[str, str] = {}
        self.user_id = f"@{name}:one.example"

    async def call(self, server: LiveServer, method: str, path: str, body: object = None) -> dict[str, Any]:
        url = f"{server.url}/_matrix/client/v3{path}"
        async with self.session.request(method, url, json=body, headers=self.headers) as reply:
            answer: dict[str, Any] = await reply.json()
            if reply.status == 401 and "session" in answer:
                assert isinstance(body, dict)
                auth = {"type": "m.login.dummy", "session": answer["session"]}
                return await self.call(server, method, path, body | {"auth": auth})
            assert reply.status == 200, answer
            return answer

    async def register(self, server: LiveServer) -> None:
        body = {"username": self.name, "password": "correct horse battery"}
        account = await self.call(server, "POST", "/register", body)
        self.headers = {"Authorization": f"Bearer {account['access_token']}"}

    async def say(self, server: LiveServer, room_id: str, text: str, txn: str) -> str:
        path = f"/rooms/{quote(room_id)}/send/m.room.message/{txn}"
        return str((await self.call(server, "PUT", path, {"msgtype": "m.text", "body": text}))["event_id"])

    async def hears(self, server: LiveServer, room_id: str, count: int) -> list[str]:
        """Event IDs of the room's messages as /sync tells them, until there are so many."""
        heard: list[str] = []
        query = "timeout=0"
        while len(heard) < count:
            news = await self.call(server, "GET", f"/sync?{query}")
            query = f"timeout=20000&since={news['next_batch']}"
            timeline = news.get("rooms", {}).get("join", {}).get(room_id, {}).get("timeline", {"events": []})
            assert not timeline.get("limited") or not heard
            heard += [event["event_id"] for event in timeline["events"] if event["type"] == "m.room.message"]
        return heard


@pytest.fixture
async def people(pair: tuple[LiveServer, LiveServer]) -> AsyncIterator[list[Person]]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        made = [Person(session, f"user{number}") for number in range(6)]
        for number, person in enumerate(made):
            await person.register(pair[number % 2])
        yield made


async def _meet(pair: tuple[LiveServer, LiveServer], people: list[Person]) -> str:
    created = await people[0].call(pair[0], "POST", "/createRoom", {"preset": "public_chat"})
    room_id = str(created["room_id"])
    for number, person in enumerate(people[1:]):
        await person.call(pair[number % 2], "POST", f"/rooms/{quote(room_id)}/join", {})
    return room_id


async def test_all_hear_all_in_one_order(pair: tuple[LiveServer, LiveServer], people: list[Person]) -> None:
    room_id = await _meet(pair, people)
    each = 25
    listening = [
        asyncio.create_task(person.hears(pair[number % 2], room_id, each * len(people)))
        for number, person in enumerate(people)
    ]

    async def talk(number: int, person: Person) -> list[str]:
        return [await person.say(pair[(number + n) % 2], room_id, str(n), f"t{n}") for n in range(each)]

    said = await asyncio.gather(*(talk(number, person) for number, person in enumerate(people)))
    heard = await asyncio.wait_for(asyncio.gather(*listening), 60)
    assert all(one == heard[0] for one in heard)
    assert sorted(heard[0]) == sorted(event_id for mine in said for event_id in mine)
    for mine in said:
        assert [event_id for event_id in heard[0] if event_id in mine] == mine


async def test_a_transaction_retried_through_the_other_process_is_the_same_event(
    pair: tuple[LiveServer, LiveServer], people: list[Person]
) -> None:
    room_id = await _meet(pair, people)
    attempts = [people[0].say(pair[number % 2], room_id, "once", "same") for number in range(6)]
    assert len(set(await asyncio.gather(*attempts))) == 1


async def test_typing_receipts_and_logout_reach_the_other_process(
    pair: tuple[LiveServer, LiveServer], people: list[Person]
) -> None:
    room_id = await _meet(pair, people)
    alice, bob = people[0], people[1]
    event_id = await alice.say(pair[0], room_id, "hello", "t")
    since = (await bob.call(pair[1], "GET", "/sync?timeout=0"))["next_batch"]
    typing = f"/rooms/{quote(room_id)}/typing/{quote(alice.user_id)}"
    await alice.call(pair[0], "PUT", typing, {"typing": True, "timeout": 30_000})
    await alice.call(pair[0], "POST", f"/rooms/{quote(room_id)}/receipt/m.read/{quote(event_id)}", {})
    seen: set[str] = set()
    while seen != {"m.typing", "m.receipt"}:
        news = await bob.call(pair[1], "GET", f"/sync?timeout=20000&since={since}")
        since = news["next_batch"]
        ephemeral = news.get("rooms", {}).get("join", {}).get(room_id, {}).get("ephemeral", {"events": []})
        seen |= {event["type"] for event in ephemeral["events"]}
    assert (await alice.call(pair[1], "GET", "/account/whoami"))["user_id"] == alice.user_id
    await alice.call(pair[0], "POST", "/logout")
    url = f"{pair[1].url}/_matrix/client/v3/account/whoami"
    while True:  # the other process hears of it by a wake-up
        async with alice.session.get(url, headers=alice.headers) as reply:
            if reply.status == 401:
                assert (await reply.json())["errcode"] == "M_UNKNOWN_TOKEN"
                return
